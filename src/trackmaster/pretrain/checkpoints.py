"""Training states on disk: the last one, and the best ones under names that tell their epoch."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trackmaster.files import atomic_path
from trackmaster.pretrain.errors import PretrainError

LAST_NAME = "last.ckpt"
HISTORY_KEY = "recorder"
"""Where both loops keep the history inside a training state."""

_BEST = re.compile(r"best-epoch=(\d+).*\.ckpt")


class CheckpointKeeper:
    """Writes a training state after every epoch and keeps the best few beside it."""

    def __init__(self, folder: Path, monitor: str, *, save_top_k: int) -> None:
        """Keep states in ``folder``.

        Args:
            folder: made when the first state is written.
            monitor: metric in the file names.
            save_top_k: best states kept; -1 keeps all, 0 none.
        """
        self.folder = folder
        self._monitor = monitor
        self._save_top_k = save_top_k

    def save(self, epoch: int, rows: list[dict[str, float]], write: Callable[[Path], None]) -> None:
        """Write the state after an epoch and remove the ones that are no longer among the best.

        Args:
            epoch: just finished, from 0.
            rows: metrics of all epochs so far.
            write: writes the state to a path.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / LAST_NAME) as temporary:
            write(temporary)
        kept = self._best_epochs(rows)
        if epoch in kept:
            value = rows[epoch][self._monitor]
            with atomic_path(self.folder / f"best-epoch={epoch:03d}-{self._monitor}={value:.6f}.ckpt") as temporary:
                temporary.write_bytes((self.folder / LAST_NAME).read_bytes())
        for path in self.folder.glob("best-*.ckpt"):
            found = _BEST.fullmatch(path.name)
            if found and int(found[1]) not in kept:
                path.unlink()

    def _best_epochs(self, rows: list[dict[str, float]]) -> set[int]:
        ranked = sorted(range(len(rows)), key=lambda epoch: (rows[epoch][self._monitor], epoch))
        return set(ranked if self._save_top_k < 0 else ranked[: self._save_top_k])


def read_history(path: Path) -> dict[str, Any]:
    """Return the history inside a training state.

    Raises:
        PretrainError: the file cannot be read or holds none.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        history = state[HISTORY_KEY]
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PretrainError(
            f"{path}: is no training state that can be continued ({reason}). Start a new run."
        ) from None
    return dict(history)


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest training state of a run: the last one, else the best one with the highest epoch."""
    last = folder / LAST_NAME
    if last.is_file():
        return last
    best = [(int(found[1]), path) for path in folder.glob("best-*.ckpt") if (found := _BEST.fullmatch(path.name))]
    return max(best)[1] if best else None
