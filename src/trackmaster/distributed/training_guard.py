"""Keeps the best states of a run by the return of its test episodes, and leads back to the best one after a collapse.

Collapses are common and quiet: the losses look as ever while test episodes get worse and worse. How bad a return is, is
measured on the way that the run has come: from its first test to its best.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from trackmaster.distributed.disk_trouble import DiskTrouble
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.files import atomic_write_text
from trackmaster.rl.evaluation.best_snapshots import RANK_FILE, BestSnapshots

MEMORY_FILE = "guard.json"


class TrainingGuard:
    """Looks at the statistics of every round.

    Args:
        folder: of the snapshots.
        keep: snapshots of the best rounds; 0 keeps none and never leads back.
        drop: share of the way from the first test return to the best one that may be lost before a round is bad.
        patience: bad rounds in a row that make a collapse; 0 never finds one.
        say: where lines for people go.
    """

    def __init__(
        self, folder: Path, *, keep: int = 3, drop: float = 0.5, patience: int = 10, say: Callable[[str], None] = print
    ) -> None:
        self._folder, self._keep, self._drop, self._patience, self._say = folder, keep, drop, patience, say
        self._snapshots, self._trouble = BestSnapshots(folder, keep), DiskTrouble(say)
        self._first = self._best = math.nan
        self._bad_in_a_row = 0
        self._remember()

    def note(self, stats: Mapping[str, float], training: TorchTrainingOffline) -> bool:
        """Take up a round; return whether the agent was led back to its best state."""
        value = stats.get("return_test", math.nan)
        if math.isnan(value) or not self._keep:
            return False
        self._first = value if math.isnan(self._first) else self._first
        self._best = value if math.isnan(self._best) else max(value, self._best)
        with self._trouble.survived("One of the best few states"):
            self._snapshots.offer([value], training.total_samples, training.agent.save)
        way = self._best - self._first  # nothing is lost of a way that was never made
        is_bad = way > 0 and value < self._best - self._drop * way
        self._bad_in_a_row = self._bad_in_a_row + 1 if is_bad else 0
        led_back = bool(self._patience) and self._bad_in_a_row >= self._patience and self._lead_back(value, training)
        content = {"first": self._first, "best": self._best, "bad_in_a_row": self._bad_in_a_row}
        with self._trouble.survived("What the guard against collapses remembers"):
            atomic_write_text(self._folder / MEMORY_FILE, json.dumps(content))
        return led_back

    def _lead_back(self, value: float, training: TorchTrainingOffline) -> bool:
        self._bad_in_a_row = 0
        if not (ranked := self._snapshots.ranked()):
            self._say("Driving was unlearnt, and no better state could be written: going on from where it is.")
            return False
        rank, folder = ranked[0]
        state = json.loads((folder / RANK_FILE).read_text(encoding="utf-8"))["agent"]
        training.agent.load(folder, state)
        self._say(
            f"The return of test episodes has fallen to {value:.4g} and was {rank[0]:.4g}: the agent goes on from its "
            f"best state ({folder})."
        )
        return True

    def _remember(self) -> None:
        path = self._folder / MEMORY_FILE
        if not path.exists():
            return
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            first, best, bad_in_a_row = float(content["first"]), float(content["best"]), int(content["bad_in_a_row"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            self._say(
                f"{path}: what the guard against collapses remembered cannot be read ({error}); it begins anew, and "
                "the next test episode counts as the first one."
            )
            return
        self._first, self._best, self._bad_in_a_row = first, best, bad_in_a_row
