"""What an agent's folder may hold already, and how it is kept when a prepared pair of networks takes its place."""

import json
import re
from pathlib import Path

from trackmaster.files import sha256_of
from trackmaster.pretrain.errors import PretrainError

NETWORK_FILES = ("weights1.torch", "weights2.torch")
"""Online and target network, as the learner loads them."""

INIT_NAME = "init.json"

SAVED_RUN = ("state.json", "recovery")
"""What the learner continues a run from, whatever networks lie beside it."""

TRAINED_NAMES = ("optimizer1.torch", "scaler.torch", "accumulated_stats.json", "best_eval", "memory", *SAVED_RUN)
"""Files and folders that only a trained agent has beside its networks."""

_RECORDS = (INIT_NAME, "config_snapshot.yaml", "metrics.csv")
_SET_ASIDE = re.compile(r"earlier-\d+|.*\.before_\d+")
"""Folders of runs that were set aside, here or by the learner."""


def has_saved_run(save_dir: Path) -> bool:
    """Tell whether the learner would continue a run there instead of starting from the networks."""
    return any((save_dir / name).exists() for name in SAVED_RUN)


def saved_runs_below(save_dir: Path) -> tuple[Path, ...]:
    """Return the runs in folders of ``save_dir`` that the learner would continue without looking at a pair above."""
    if not save_dir.is_dir():
        return ()
    folders = (path for path in save_dir.iterdir() if path.is_dir() and not _SET_ASIDE.fullmatch(path.name))
    return tuple(sorted(path for path in folders if has_saved_run(path)))


def refuse_trained(save_dir: Path) -> None:
    """Check that ``save_dir`` holds no networks other than ones that an injection wrote and nothing trained since.

    Raises:
        PretrainError: it holds a trained agent.
    """
    touched = _touched(save_dir)
    if touched:
        raise PretrainError(
            f"{touched[0]}: belongs to an agent that was trained, or was not made here. Use another --save-dir, patch "
            "it with --no-fresh, or set it aside with --overwrite."
        )


def set_aside(save_dir: Path) -> Path | None:
    """Move a trained agent to the first free ``earlier-N/`` of its own folder, whole, and return where it went.

    Networks that an injection wrote and nothing trained since are no loss; then nothing is moved.
    """
    if not _touched(save_dir):
        return None
    number = 1
    while (earlier := save_dir / f"earlier-{number}").exists():
        number += 1
    earlier.mkdir()
    # The records last: while one of the others is still here, what is left is no untouched injection.
    for name in (*TRAINED_NAMES, *NETWORK_FILES, *_RECORDS):
        if (save_dir / name).exists():
            (save_dir / name).rename(earlier / name)
    return earlier


def _touched(save_dir: Path) -> list[Path]:
    """What in ``save_dir`` is not exactly as an injection left it."""
    try:
        recorded = json.loads((save_dir / INIT_NAME).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        recorded = {}
    known = recorded if isinstance(recorded, dict) else {}
    networks = [path for path in (save_dir / name for name in NETWORK_FILES) if path.exists()]
    trained = [path for path in (save_dir / name for name in TRAINED_NAMES) if path.exists()]
    return trained + [path for path in networks if known.get(path.name) != sha256_of(path)]
