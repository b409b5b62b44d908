"""Rows of chunks in preallocated arrays: what the memories of IQN and of SAC and REDQ have in common."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError, SampleSpec

LEFT, WORKER = "_left", "_worker"
UNKNOWN_WORKER = 2**16 - 1
"""Of rows that were saved before workers were noted."""
ROWS_SETTING = "the rows in memory.memory_size_schedule"


class ChunkRing(ABC):
    """Rows of a chunk lie side by side; a new chunk overwrites the oldest rows.

    Args:
        spec: columns of a row.
        capacity: rows to allocate; memory is touched only when it is filled.
    """

    def __init__(self, spec: SampleSpec, capacity: int) -> None:
        self.spec, self.capacity = spec, capacity
        self.limit = capacity
        """Rows in use, set by the size schedule; grows up to the capacity."""
        self._columns: Columns = {
            name: np.zeros((capacity, *column.shape), dtype=column.dtype) for name, column in spec.items()
        }
        self._left = np.zeros(capacity, dtype=np.uint16)  # rows of the same chunk after this one
        self._worker = np.full(capacity, UNKNOWN_WORKER, dtype=np.uint16)
        self._head = self._high = 0

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of transitions that can be drawn for training."""

    @property
    @abstractmethod
    def n_test(self) -> int:
        """Transitions kept for a test loss."""

    def evict(self, worker_id: int) -> int:
        """Never draw what a worker sent again; return the number of transitions."""
        before = len(self) + self.n_test
        for start, end in runs_of(self._worker[: self._high] == worker_id):
            self._forget(start, end)
        return before - len(self) - self.n_test

    @abstractmethod
    def _forget(self, start: int, end: int) -> None:
        """Never draw these rows again."""

    def _place(self, chunk: Chunk, *, lookback: int = 0) -> tuple[int, int]:
        """Write the columns of a chunk over the oldest rows and return its first row and the one behind its last.

        Args:
            chunk: what to store.
            lookback: so many rows behind the new ones lose the beginning of their history with what is overwritten.

        Raises:
            SampleError: the columns differ from the spec or the chunk does not fit the ring at all.
        """
        chunk.check(self.spec)
        n = len(chunk)
        if n > min(self.limit, np.iinfo(np.uint16).max):
            raise SampleError(f"A chunk of {n} rows does not fit a memory of {self.limit} rows: raise {ROWS_SETTING}.")
        if self._head + n > self.limit:
            self._forget(self._head, self._high)
            self._head = 0
        start, end = self._head, self._head + n
        self._forget(start, min(end + lookback, self.capacity))
        for name, column in self._columns.items():
            column[start:end] = chunk.columns[name]
        self._left[start:end] = np.arange(n - 1, -1, -1)
        self._worker[start:end] = chunk.worker_id
        self._head, self._high = end, max(self._high, end)
        return start, end

    def _draw_among(
        self, marks: NDArray[Any], mark: int, count: int, n: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw rows uniformly among the marked ones without listing them.

        Args:
            marks: (capacity,) what each row is good for.
            mark: what rows to draw are marked with; none is from the highest filled row on.
            count: how many rows are.
            n: how many to draw.
            rng: source of the draws.

        Raises:
            SampleError: there are none.
        """
        if not count:
            raise SampleError("The memory holds no transition to draw: collect before training.")
        rows = np.empty(0, dtype=np.int64)
        share = count / self._high
        while len(rows) < n:
            drawn = rng.integers(0, self._high, int((n - len(rows)) / share * 1.05) + 8)
            rows = np.concatenate((rows, drawn[marks[drawn] == mark]))
        return rows[:n]

    def _saved_positions(self, folder: Path, state: dict[str, Any]) -> tuple[int, int, int]:
        """Return head, filled rows and limit of a saved memory.

        Raises:
            SampleError: it holds more rows than this one.
            ValueError: the numbers do not belong together.
        """
        head, high, limit = int(state["head"]), int(state["high"]), int(state["limit"])
        if high > self.capacity:
            raise SampleError(f"{folder}: holds {high} rows, the memory only {self.capacity}: raise {ROWS_SETTING}.")
        if not (0 <= head <= high and limit >= 1):
            raise ValueError(f"head {head}, {high} rows and limit {limit} do not belong together")
        return head, high, limit


def runs_of(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first row and the row behind the last one of every run of marked rows."""
    edges = np.flatnonzero(np.diff(marks.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def check_reach(drawn: NDArray[np.int64], left: NDArray[Any], high: int) -> None:
    """Refuse rows that could be drawn although the rows after them are not there.

    Args:
        drawn: those that may be drawn.
        left: (high,) rows of the same chunk after each.
        high: filled rows.

    Raises:
        ValueError: there is such a row.
    """
    after = left[drawn].astype(np.int64)
    if (after < 1).any() or (drawn + after >= high).any():
        raise ValueError("rows point beyond the end of the memory")
