"""The best few evaluated states of a run, beside the very best one: choices for whoever ships an agent."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trackmaster.files import atomic_dir, atomic_write_text

FOLDER, RANK_FILE = "best_k", "rank.json"


class BestSnapshots:
    """Keeps ``keep`` snapshots in ``best_k/<decisions played>/``, the worst of them giving way to a better one.

    Args:
        run_dir: folder of the run.
        keep: how many; 0 keeps none.
    """

    def __init__(self, run_dir: Path, keep: int) -> None:
        self._folder, self._keep = run_dir / FOLDER, keep

    def offer(self, rank: Sequence[float], frames: int, write_agent: Callable[[Path], dict[str, Any]]) -> bool:
        """Keep a state if it is among the best; return whether it is.

        Args:
            rank: larger is better, compared number by number.
            frames: decisions played before the evaluation.
            write_agent: writes weights into a folder and returns the rest of the agent's state.
        """
        kept = self.ranked()
        if self._keep < 1 or (len(kept) >= self._keep and list(rank) <= kept[self._keep - 1][0]):
            return False
        with atomic_dir(self._folder / f"{frames:012d}") as temporary:
            state = write_agent(temporary)
            content = {"rank": list(rank), "frames": frames, "agent": state}
            atomic_write_text(temporary / RANK_FILE, json.dumps(content))
        for _, folder in self.ranked()[self._keep :]:
            shutil.rmtree(folder)
        return True

    def ranked(self) -> list[tuple[list[float], Path]]:
        """Return ranks and folders, best first; what cannot be read is left out."""
        found = []
        for path in sorted(self._folder.glob(f"*/{RANK_FILE}")):
            try:
                found.append(
                    ([float(part) for part in json.loads(path.read_text(encoding="utf-8"))["rank"]], path.parent)
                )
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return sorted(found, key=lambda pair: pair[0], reverse=True)
