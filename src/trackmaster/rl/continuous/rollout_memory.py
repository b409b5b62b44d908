"""What PPO learns from: the rows that the newest published policy drove, kept until there are enough, used once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trackmaster.rl.continuous.batches import Rollout, TransitionBatch
from trackmaster.rl.continuous.columns import observed
from trackmaster.rl.continuous.variety import action_variety
from trackmaster.rl.memory.chunk_ring import UNKNOWN_WORKER, WORKER
from trackmaster.rl.memory.files import damage_as_sentence, read_columns, read_state, write_memory
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError, SampleSpec

FROM, END = "_from", "_end"


class RolloutMemory:
    """Rows of one rollout, chunk after chunk.

    Args:
        spec: columns of a row; with ``draw`` and ``log_prob`` the learner knows exactly what was drawn.
        n_steps: transitions that make a rollout.
        history: how many rows of a picture column make one observation, by column; 1 where left out.
        gamma: discount of the potential's difference that is added to the reward.
    """

    def __init__(
        self, spec: SampleSpec, n_steps: int, *, history: Mapping[str, int] | None = None, gamma: float = 1.0
    ) -> None:
        self.spec, self.n_steps, self.gamma = spec, n_steps, gamma
        self.history = {name: frames for name, frames in (history or {}).items() if frames > 1}
        # Context rows come on top of the transitions, and the last chunks may bring more than was missing.
        self.capacity = self.limit = 4 * n_steps
        self.version = 0
        """The weights published last. Their rows are taken, and those of every version since the rollout began, which
        are the same weights under another number; all others are dropped and counted."""
        self._first_version = 0
        self.n_dropped = 0
        self._columns: Columns = {
            name: np.zeros((self.capacity, *column.shape), dtype=column.dtype) for name, column in spec.items()
        }
        self._from = np.zeros(self.capacity, dtype=bool)  # a transition leads from here to the next row
        self._end = np.zeros(self.capacity, dtype=bool)  # it is the last one of its chunk
        self._back = np.zeros(self.capacity, dtype=np.int64)
        self._worker = np.full(self.capacity, UNKNOWN_WORKER, dtype=np.uint16)
        self._head = self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether there are enough transitions to learn from."""
        return self._count >= self.n_steps

    @property
    def n_test(self) -> int:
        """Transitions kept for a test loss: none."""
        return 0

    def append(self, chunk: Chunk) -> int:
        """Store a chunk that the newest weights drove; return the number of transitions it added.

        Raises:
            SampleError: the columns differ from the spec.
        """
        chunk.check(self.spec)
        n, first = len(chunk), max(0, chunk.context - 1)
        added = max(0, n - 1 - first)
        if not self._first_version <= chunk.weights_version <= self.version or not added:
            self.n_dropped += added
            return 0
        while self._head + n > self.capacity:  # many short chunks, each with the rows that complete its history
            self._grow()
        start, end = self._head, self._head + n
        for name, column in self._columns.items():
            column[start:end] = chunk.columns[name]
        self._from[start:end] = self._end[start:end] = False
        self._from[start + first : end - 1] = True
        self._end[end - 2] = True
        self._back[start:end] = np.arange(n)
        self._worker[start:end] = chunk.worker_id
        self._head, self._count = end, self._count + added
        return added

    def evict(self, worker_id: int) -> int:
        """Learn nothing from what a worker sent; return the number of transitions."""
        mine = self._from & (self._worker == worker_id)
        mine[self._head :] = False
        self._from[mine] = False
        dropped = int(np.count_nonzero(mine))
        self._count -= dropped
        return dropped

    def sample(self, *, test: bool = False) -> Rollout:
        """Return everything that is stored, in the order driven.

        Raises:
            SampleError: nothing is stored.
        """
        if test or not self._count:
            raise SampleError("The rollout is empty: collect before training.")
        rows = np.flatnonzero(self._from[: self._head])
        after, columns = rows + 1, self._columns
        terminated = columns["terminated"][after]
        shaping = np.where(terminated, 0.0, self.gamma * columns["potential"][after]) - columns["potential"][rows]
        batch = TransitionBatch(
            obs={name: self._observation(name, rows) for name in observed(self.spec)},
            action=torch.from_numpy(columns["action"][after]),
            reward=torch.from_numpy((columns["reward"][after] + shaping).astype(np.float32)),
            next_obs={name: self._observation(name, after) for name in observed(self.spec)},
            terminated=torch.from_numpy(terminated.astype(np.float32)),
            truncated=torch.from_numpy(columns["truncated"][after].astype(np.float32)),
        )
        is_known = "draw" in columns and "log_prob" in columns
        return Rollout(
            batch,
            torch.from_numpy(self._end[rows]),
            torch.from_numpy(columns["draw"][after]) if is_known else None,
            torch.from_numpy(columns["log_prob"][after]) if is_known else None,
        )

    def begin(self, version: int) -> None:
        """Begin the rollout of newly published weights."""
        self.version = self._first_version = version
        self._head = self._count = 0

    def go_on(self, version: int) -> None:
        """Take rows of this version too: the same weights were published once more, to have more driven with them."""
        self.version = version

    def variety(self) -> dict[str, float]:
        """Return how mixed the stored experience is."""
        rows = np.flatnonzero(self._from[: self._head]) + 1
        return {
            "Buffer/action_variety": action_variety(self._columns["action"][rows]),
            "Buffer/dropped_transitions": float(self.n_dropped),
        }

    def save(self, folder: Path) -> None:
        """Write the rollout as far as it is collected."""
        state = {
            "head": self._head, "version": self.version, "first_version": self._first_version,
            "n_dropped": self.n_dropped,
        }  # fmt: skip
        write_memory(folder, self._stored, self._head, state)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote.

        Raises:
            SampleError: the files are damaged, or the rows do not fit this memory.
        """
        with damage_as_sentence(folder):
            state = read_state(folder)
            head = int(state["head"])
            first_version, version = int(state.get("first_version", state["version"])), int(state["version"])
            if head < 0:
                raise ValueError(f"{head} rows")
            known = {name: array for name, array in self._stored.items() if name in state["crc32"] or name != WORKER}
            stored = read_columns(folder, known, head, state["crc32"])
            leads = np.flatnonzero(stored[FROM])
            if len(leads) and leads[-1] + 1 >= head:
                raise ValueError("rows point beyond the end of the rollout")
        while head > self.capacity:
            self._grow()
        for name, column in self._stored.items():
            if name in stored:
                column[:head] = stored[name]
        self._head, self._count = head, len(leads)
        self.version, self._first_version, self.n_dropped = version, first_version, int(state["n_dropped"])

    def _grow(self) -> None:
        """Make room for as many rows again."""
        more = self.capacity
        self._columns = {name: np.concatenate((c, np.zeros_like(c))) for name, c in self._columns.items()}
        self._from, self._end = (np.concatenate((c, np.zeros(more, dtype=bool))) for c in (self._from, self._end))
        self._back = np.concatenate((self._back, np.zeros_like(self._back)))
        self._worker = np.concatenate((self._worker, np.full_like(self._worker, UNKNOWN_WORKER)))
        self.capacity = self.limit = self.capacity + more

    @property
    def _stored(self) -> Columns:
        return {**self._columns, FROM: self._from, END: self._end, "_back": self._back, WORKER: self._worker}

    def _observation(self, name: str, rows: NDArray[np.int64]) -> torch.Tensor:
        column, frames = self._columns[name], self.history.get(name, 1)
        if frames == 1:
            return torch.from_numpy(column[rows])
        index = rows[:, None] - np.minimum(np.arange(frames - 1, -1, -1), self._back[rows][:, None])
        return torch.from_numpy(column[index][:, :, 0])
