"""What PPO learns from: the rows that the newest published policy drove, kept until there are enough, used once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trackmaster.rl.continuous.batches import Rollout, TransitionBatch
from trackmaster.rl.continuous.columns import observed
from trackmaster.rl.continuous.variety import action_variety
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
        """The published weights whose rows are taken; all others are dropped and counted."""
        self.n_dropped = 0
        self._columns: Columns = {
            name: np.zeros((self.capacity, *column.shape), dtype=column.dtype) for name, column in spec.items()
        }
        self._from = np.zeros(self.capacity, dtype=bool)  # a transition leads from here to the next row
        self._end = np.zeros(self.capacity, dtype=bool)  # it is the last one of its chunk
        self._back = np.zeros(self.capacity, dtype=np.int64)
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
        if chunk.weights_version != self.version or self._head + n > self.capacity:
            self.n_dropped += added
            return 0
        start, end = self._head, self._head + n
        for name, column in self._columns.items():
            column[start:end] = chunk.columns[name]
        self._from[start:end] = self._end[start:end] = False
        self._from[start + first : end - 1] = True
        self._end[end - 2] = added > 0
        self._back[start:end] = np.arange(n)
        self._head, self._count = end, self._count + added
        return added

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
        self.version = version
        self._head = self._count = 0

    def variety(self) -> dict[str, float]:
        """Return how mixed the stored experience is."""
        rows = np.flatnonzero(self._from[: self._head]) + 1
        return {
            "Buffer/action_variety": action_variety(self._columns["action"][rows]),
            "Buffer/dropped_transitions": float(self.n_dropped),
        }

    def save(self, folder: Path) -> None:
        """Write the rollout as far as it is collected."""
        state = {"head": self._head, "version": self.version, "n_dropped": self.n_dropped}
        write_memory(folder, self._stored, self._head, state)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote.

        Raises:
            SampleError: the files are damaged, or the rows do not fit this memory.
        """
        with damage_as_sentence(folder):
            state = read_state(folder)
            head = int(state["head"])
            if not 0 <= head <= self.capacity:
                raise SampleError(f"{folder}: holds {head} rows, the rollout at most {self.capacity}: raise n_steps.")
            stored = read_columns(folder, self._stored, head, state["crc32"])
            leads = np.flatnonzero(stored[FROM])
            if len(leads) and leads[-1] + 1 >= head:
                raise ValueError("rows point beyond the end of the rollout")
        for name, column in self._stored.items():
            column[:head] = stored[name]
        self._head, self._count = head, len(leads)
        self.version, self.n_dropped = int(state["version"]), int(state["n_dropped"])

    @property
    def _stored(self) -> Columns:
        return {**self._columns, FROM: self._from, END: self._end, "_back": self._back}

    def _observation(self, name: str, rows: NDArray[np.int64]) -> torch.Tensor:
        column, frames = self._columns[name], self.history.get(name, 1)
        if frames == 1:
            return torch.from_numpy(column[rows])
        index = rows[:, None] - np.minimum(np.arange(frames - 1, -1, -1), self._back[rows][:, None])
        return torch.from_numpy(column[index][:, :, 0])
