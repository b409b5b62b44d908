"""Drawing rows of a replay memory in proportion to how wrong the agent was about them.

The chance of a row is its priority over the sum of all, its priority ``(error + epsilon) ** alpha``. What is drawn more
often than its share would be counts less: the loss of a sample is multiplied by ``(N * P) ** -beta``, divided by the
largest such weight of the batch.

Source: Schaul et al. 2016, arXiv:1511.05952, section 3.3 (proportional variant, stratified draws).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FIRST_PRIORITY: Final = 0.4
"""Of rows that arrive while nothing is known yet."""
NEWCOMER_FACTOR: Final = 2.0
"""Later ones get this times the average, so that each is soon drawn once."""

QUANTILES: Final[Mapping[str, float]] = {
    "min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "d9": 0.9, "c98": 0.98, "max": 1.0,
}  # fmt: skip


class SumTree:
    """Numbers by index whose sum is known, and the index at which a running sum is reached.

    A heap of sums in one array: node k holds the sum of nodes 2k and 2k + 1, the leaves come last. Many indices are
    changed or found in one call, level by level.

    Args:
        capacity: numbers to hold, all 0 at first.
    """

    def __init__(self, capacity: int) -> None:
        self._levels = max(1, (capacity - 1).bit_length())
        self._first_leaf = 1 << self._levels
        self._nodes = np.zeros(2 * self._first_leaf)
        self.values: Floats = self._nodes[self._first_leaf : self._first_leaf + capacity]
        """(capacity,) the numbers; read only, ``set`` changes them."""

    @property
    def total(self) -> float:
        """The sum of all numbers."""
        return float(self._nodes[1])

    def set(self, indices: Rows, values: Floats | float) -> None:
        """Change the numbers at ``indices``; of an index that is named twice the last one stays."""
        nodes = indices + self._first_leaf
        self._nodes[nodes] = values
        for _ in range(self._levels):
            nodes = np.unique(nodes >> 1)
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, mass: Floats) -> Rows:
        """Return for every ``mass`` in [0, total) the index in whose share of the running sum it lies."""
        node, left_over = np.ones(len(mass), dtype=np.int64), mass.copy()
        for _ in range(self._levels):
            node *= 2
            in_left = self._nodes[node]
            # Rounding may leave a little more than there is on the right: an empty half is never entered.
            goes_right = (left_over >= in_left) & (self._nodes[node + 1] > 0)
            left_over -= np.where(goes_right, in_left, 0.0)
            node += goes_right
        return node - self._first_leaf


class Priorities:
    """Which rows of a memory can be drawn, and how likely each is.

    Args:
        capacity: rows of the memory.
        alpha: how much errors count; 0 would draw uniformly.
        epsilon: added to every error, so that no row is lost for good.
    """

    def __init__(self, capacity: int, *, alpha: float, epsilon: float) -> None:
        self._tree, self._alpha, self._epsilon = SumTree(capacity), alpha, epsilon
        self._n = 0

    @property
    def column(self) -> Floats:
        """(capacity,) priority per row, 0 where nothing can be drawn; what ``restore`` takes."""
        return self._tree.values

    def add(self, rows: Rows) -> None:
        """Let new rows be drawn."""
        new = NEWCOMER_FACTOR * self._tree.total / self._n if self._n else FIRST_PRIORITY
        self._tree.set(rows, new)
        self._n += len(rows)

    def forget(self, rows: Rows) -> None:
        """Let rows be drawn no more; some may never have been."""
        self._n -= int(np.count_nonzero(self._tree.values[rows]))
        self._tree.set(rows, 0.0)

    def draw(self, n: int, beta: float, rng: np.random.Generator) -> tuple[Rows, NDArray[np.float32]]:
        """Return (n,) rows and what the loss of each counts, at most 1."""
        total = self._tree.total
        rows = self._tree.find((np.arange(n) + rng.random(n)) * (total / n))
        weight = (self._tree.values[rows] * (self._n / total)) ** -beta
        return rows, (weight / weight.max()).astype(np.float32)

    def update(self, rows: Rows, errors: NDArray[np.floating]) -> None:
        """Set the priorities of rows to what their (n,) absolute errors ask for; forgotten rows stay forgotten."""
        known = self._tree.values[rows] > 0
        self._tree.set(rows[known], (errors[known].astype(np.float64) + self._epsilon) ** self._alpha)

    def restore(self, column: Floats) -> None:
        """Take over the priorities of the first rows; the others cannot be drawn.

        Raises:
            ValueError: one is negative or not finite.
        """
        if not (np.isfinite(column).all() and (column >= 0).all()):
            raise ValueError("priorities must be finite and not negative")
        self._tree.set(np.arange(len(self._tree.values)), 0.0)
        self._tree.set(np.arange(len(column)), column)
        self._n = int(np.count_nonzero(column))

    def spread(self) -> dict[str, float]:
        """Return quantiles and mean of the priorities under Linesight's names."""
        known = self._tree.values[self._tree.values > 0]
        if not len(known):
            return {}
        found = {f"Buffer/priorities_{name}": float(np.quantile(known, q)) for name, q in QUANTILES.items()}
        return {**found, "Buffer/priorities_mean": float(known.mean())}
