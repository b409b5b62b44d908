"""Turns the samples of one environment into chunks that can each be used alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.samples.chunk import Chunk, Columns
from trackmaster.rl.samples.columns import stack_rows

NO_HISTORY = np.zeros((0, 0), dtype=np.float32)


class ChunkBuilder:
    """Gathers the rows of one episode at a time.

    Args:
        session: names one life of the worker.
        worker_id: number of the worker.
        context_rows: rows that a chunk repeats of the one before, so that histories and the previous observation of its
            first new row can be rebuilt from it alone; at least 1.
    """

    def __init__(self, *, session: str, worker_id: int = 0, context_rows: int = 1) -> None:
        self.session, self.worker_id, self.context_rows = session, worker_id, max(1, context_rows)
        self.episode_id, self.seq = -1, 0
        self._rows: list[Columns] = []
        self._context = self._first_step = 0
        self._version, self._act_history = -1, NO_HISTORY

    @property
    def new_rows(self) -> int:
        """Rows that no chunk has brought yet."""
        return len(self._rows) - self._context

    def begin(self, row: Columns, *, weights_version: int = -1, act_history: NDArray[np.float32] | None = None) -> None:
        """Start an episode with what ``reset`` returned; ``act_history`` (n, A) is its action buffer."""
        self.episode_id += 1
        self._rows, self._context, self._first_step = [row], 0, 0
        self._version = weights_version
        self._act_history = NO_HISTORY if act_history is None else act_history

    def drive_with(self, weights_version: int) -> None:
        """The rows to come are driven with other weights; what was gathered must have been taken."""
        self._version = weights_version

    def add(self, row: Columns) -> None:
        """Add what a step returned."""
        self._rows.append(row)

    def take(self, *, end: bool, stats: Mapping[str, float] | None = None) -> Chunk:
        """Return the gathered rows as a chunk and keep the context of the next one."""
        is_first = self._first_step == 0 and self._context == 0
        chunk = Chunk(
            session=self.session, seq=self.seq, worker_id=self.worker_id, episode_id=self.episode_id,
            first_step=self._first_step, context=self._context, weights_version=self._version,
            columns=stack_rows(self._rows), end_of_episode=end, n_steps=self.new_rows - int(is_first),
            stats=dict(stats or {}), act_history=self._act_history if self._first_step == 0 else NO_HISTORY,
        )  # fmt: skip
        self.seq += 1
        kept = min(self.context_rows, len(self._rows))
        self._first_step += len(self._rows) - kept
        self._rows, self._context = self._rows[-kept:], kept
        return chunk

    def outcome(self, row: Columns, stats: Mapping[str, float], *, weights_version: int, n_steps: int) -> Chunk:
        """Return a chunk that tells how an episode went that nobody may learn from, such as a test."""
        self.episode_id += 1
        chunk = Chunk(
            session=self.session, seq=self.seq, worker_id=self.worker_id, episode_id=self.episode_id,
            first_step=n_steps, context=0, weights_version=weights_version, columns=stack_rows([row]),
            end_of_episode=True, n_steps=n_steps, fill_buffer=False, stats=dict(stats),
        )  # fmt: skip
        self.seq += 1
        return chunk
