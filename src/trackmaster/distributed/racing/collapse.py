"""Notices that an agent has unlearnt to drive, by comparing its evaluations with the best of the run.

Collapses are common and quiet: the loss looks as ever while deterministic episodes no longer finish. One bad evaluation
may be chance or a passing change of style; several in a row are not.
"""

import statistics
from collections.abc import Mapping
from typing import Final

from trackmaster.rl.evaluation.episodes import Evaluation

BY_CHANCE: Final = 0.25
"""Share of the attempts that evaluations of one and the same driver may differ by: of ten or twenty, a few finishes."""


class CollapseGuard:
    """Counts bad evaluations in a row.

    Args:
        drop: share of the best outcome that may be lost before an evaluation is bad.
        patience: bad evaluations in a row that make a collapse; 0 never finds one.
    """

    def __init__(self, drop: float, patience: int) -> None:
        self._drop, self._patience = drop, patience
        self._best_finishes = self._best_metres = 0.0
        self.bad_in_a_row = self.n_collapses = 0

    def note(self, evaluations: Mapping[str, Evaluation]) -> bool:
        """Take up an evaluation; return whether it completes a collapse."""
        finishes = statistics.fmean(result.finish_rate for result in evaluations.values())
        metres = statistics.fmean(result.mean_progress_m for result in evaluations.values())
        lost = self._best_finishes - finishes
        is_bad = (lost > BY_CHANCE and self._is_below(finishes, self._best_finishes)) or self._is_below(
            metres, self._best_metres
        )
        self._best_finishes, self._best_metres = max(finishes, self._best_finishes), max(metres, self._best_metres)
        self.bad_in_a_row = self.bad_in_a_row + 1 if is_bad else 0
        if not self._patience or self.bad_in_a_row < self._patience:
            return False
        self.bad_in_a_row = 0
        self.n_collapses += 1
        return True

    def state(self) -> dict[str, float]:
        """Return what ``restore`` takes."""
        return {
            "best_finishes": self._best_finishes, "best_metres": self._best_metres,
            "bad_in_a_row": self.bad_in_a_row, "n_collapses": self.n_collapses,
        }  # fmt: skip

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on where ``state`` was taken; nothing of it is known of a run that an older program saved."""
        if state:
            self._best_finishes, self._best_metres = state["best_finishes"], state["best_metres"]
            self.bad_in_a_row, self.n_collapses = int(state["bad_in_a_row"]), int(state["n_collapses"])

    def _is_below(self, value: float, best: float) -> bool:
        return value < (1.0 - self._drop) * best
