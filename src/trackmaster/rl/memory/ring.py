"""Preallocated storage of rows: one array per column, written in blocks, each row marked if it may be drawn.

A block holds consecutive rows of one episode. Whatever a drawable row looks back at lies just before it, so histories
are index arithmetic; a block that begins an episode is padded in front by whoever writes it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.samples.chunk import Columns, SampleError

SHARD_ROWS = 16_384
"""Rows of one file of a saved memory; a save writes only those that have changed."""


@dataclass(frozen=True)
class Origin:
    """Where a block is from."""

    worker: int
    episode: int
    first_step: int
    """Step of its first row; negative in padding."""
    version: int


class Ring:
    """Rows in the order they arrived; the oldest are overwritten.

    Args:
        capacity: rows; the memory behind them is touched only as it fills.
        lookback: rows before a drawable one that it needs.
        rng: source of every draw.
    """

    BOOKKEEPING = ("drawable", "run", "worker", "episode", "step", "version")

    def __init__(self, capacity: int, lookback: int, rng: np.random.Generator) -> None:
        self.capacity, self.lookback, self.rng = capacity, lookback, rng
        self.columns: Columns = {}
        self.drawable = np.zeros(capacity, dtype=np.bool_)
        self.run = np.zeros(capacity, dtype=np.uint16)
        """Drawable rows from here to the end of the block."""
        self.worker = np.zeros(capacity, dtype=np.uint16)
        self.episode = np.zeros(capacity, dtype=np.uint32)
        self.step = np.zeros(capacity, dtype=np.int32)
        self.version = np.zeros(capacity, dtype=np.int64)
        self.head = self.high = 0
        self.changed_shards: set[int] = set()
        self._count = 0
        self._listed: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self._count

    def allocate(self, block: Columns) -> None:
        """Make one array per column in the shapes and dtypes of a first block.

        Raises:
            SampleError: this machine cannot hold so many rows of this size.
        """
        try:
            self.columns = {
                name: np.zeros((self.capacity, *column.shape[1:]), dtype=column.dtype) for name, column in block.items()
            }
        except (MemoryError, ValueError):  # the latter where the size is no number of bytes at all
            size = sum(int(column.nbytes) // max(1, len(column)) for column in block.values())
            raise SampleError(
                f"A memory of {self.capacity} rows of {size} bytes, {self.capacity * size / 2**30:.1f} GiB in all, "
                "does not fit this machine: lower MEMORY_SIZE (memory_size), or let workers send smaller observations."
            ) from None

    def append(self, block: Columns, first_drawable: int, origin: Origin) -> int:
        """Write a block over the oldest rows.

        Args:
            block: columns of equal length; the first call decides which.
            first_drawable: rows in front that cannot be drawn.
            origin: where it is from.

        Returns:
            The number of drawable rows it added.

        Raises:
            SampleError: other columns than before, or more rows than fit at all.
        """
        if not self.columns:
            self.allocate(block)
        n = self._check(block)
        if self.head + n > self.capacity:
            self._forget(self.head, self.high)
            self.high, self.head = self.head, 0
        start, end = self.head, self.head + n
        self._forget(start, min(end + self.lookback, self.capacity))
        for name, column in self.columns.items():
            column[start:end] = block[name]
        first = min(max(first_drawable, self.lookback), n)
        self.drawable[start + first : end] = True
        self.run[start:end] = np.minimum(np.arange(n, 0, -1), n - first)
        self.worker[start:end], self.episode[start:end] = origin.worker, origin.episode
        self.step[start:end] = np.arange(origin.first_step, origin.first_step + n)
        self.version[start:end] = origin.version
        self._count += n - first
        self._listed.clear()
        self.head, self.high = end, max(self.high, end)
        self.changed_shards.update(range(start // SHARD_ROWS, (end - 1) // SHARD_ROWS + 1))
        return n - first

    def draw(self, n: int, *, sequence: int = 1) -> NDArray[np.int64]:
        """Return ``n`` rows drawn uniformly among those that may be, each with ``sequence - 1`` more to follow.

        Raises:
            SampleError: there are none.
        """
        rows = self.rows(sequence)
        if not len(rows):
            what = "transitions" if sequence == 1 else f"runs of {sequence} consecutive transitions"
            raise SampleError(f"The memory holds no {what} to draw: collect before training (start_training).")
        return rows[self.rng.integers(0, len(rows), size=n)]

    def rows(self, sequence: int = 1) -> NDArray[np.int64]:
        """Return every row that may be drawn and is followed by ``sequence - 1`` more, ascending."""
        if sequence not in self._listed:
            fits = self.drawable[: self.high]
            self._listed[sequence] = np.flatnonzero(
                fits if sequence == 1 else fits & (self.run[: self.high] >= sequence)
            )
        return self._listed[sequence]

    def evict(self, worker: int) -> int:
        """Never draw what a worker sent; return how many rows that were."""
        mine = self.drawable & (self.worker == worker)
        self.drawable[mine] = False
        self._recount()
        if not self._count:  # whatever comes next may look different
            self.columns, self.head, self.high = {}, 0, 0
        return int(mine.sum())

    def restored(self, head: int, high: int) -> None:
        """Take over positions after the arrays were filled from files."""
        self.head, self.high = head, high
        self._recount()

    def _recount(self) -> None:
        self._count = int(self.drawable.sum())
        self._listed.clear()

    def _forget(self, start: int, end: int) -> None:
        self._count -= int(self.drawable[start:end].sum())
        self.drawable[start:end] = False

    def _check(self, block: Columns) -> int:
        n = len(next(iter(block.values())))
        problems = [f"{name} is missing" for name in self.columns if name not in block]
        problems += [f"{name} is unknown" for name in block if name not in self.columns]
        for name in self.columns.keys() & block.keys():
            own, given = self.columns[name], block[name]
            if own.dtype != given.dtype or own.shape[1:] != given.shape[1:] or len(given) != n:
                problems.append(f"{name} is {given.dtype}{given.shape}, expected {own.dtype}(n, *{own.shape[1:]})")
        if problems:
            raise SampleError(
                f"Samples do not fit those stored before: {'; '.join(sorted(problems))}. Give every worker the same "
                "environment, sample_compressor and obs_preprocessor."
            )
        if n > min(self.capacity, np.iinfo(np.uint16).max):
            raise SampleError(f"{n} rows at once do not fit a memory of {self.capacity} rows: raise memory_size.")
        return n
