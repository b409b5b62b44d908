"""Replay memory of SAC and REDQ: one preallocated ring per column, every picture once, transitions by index.

The rows of a chunk lie side by side, so the picture history of a row is the rows before it, cut at the first row of its
chunk. A chunk brings as many old rows along as that needs (its context); only what it adds may be drawn.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.rl.continuous.batches import TransitionBatch
from trackmaster.rl.continuous.columns import observed
from trackmaster.rl.continuous.variety import action_variety, policy_variety
from trackmaster.rl.memory.chunk_ring import LEFT, WORKER, ChunkRing, check_reach
from trackmaster.rl.memory.files import damage_as_sentence, read_columns, read_state, write_memory
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError, SampleSpec

VERSION, BACK, MAY_DRAW = "_weights_version", "_back", "_may_draw"
LOOKED_AT = 4096
"""Rows that the variety of the memory is estimated from."""


class TransitionMemory(ChunkRing):
    """Ring of rows for agents that learn from single transitions.

    Args:
        spec: columns of a row.
        capacity: rows to allocate; memory is touched only when it is filled.
        batch_size: transitions per draw.
        history: how many rows of a picture column make one observation, by column; 1 where left out.
        gamma: discount of the potential's difference that is added to the reward.
        rng: source of every draw.
    """

    def __init__(
        self,
        spec: SampleSpec,
        capacity: int,
        *,
        batch_size: int,
        history: Mapping[str, int] | None = None,
        gamma: float = 1.0,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(spec, capacity)
        self.batch_size = batch_size
        self.history = {name: frames for name, frames in (history or {}).items() if frames > 1}
        self.gamma = gamma
        self._rng = rng
        self._version = np.zeros(capacity, dtype=np.uint32)
        self._back = np.zeros(capacity, dtype=np.uint16)  # rows of the same chunk before it
        self._may_draw = np.zeros(capacity, dtype=bool)
        self._count = 0
        self._longest = max(self.history.values(), default=1)
        self._out = self._allocate_batch()

    def __len__(self) -> int:
        return self._count

    @property
    def n_test(self) -> int:
        """Transitions kept for a test loss: none, actor-critic losses say little about driving."""
        return 0

    def append(self, chunk: Chunk) -> int:
        """Store a chunk over the oldest rows.

        Returns:
            The number of transitions it added.

        Raises:
            SampleError: the columns differ from the spec or the chunk does not fit the ring at all.
        """
        start, end = self._place(chunk, lookback=self._longest - 1)
        self._version[start:end] = chunk.weights_version
        self._back[start:end] = np.arange(end - start)
        first = start + max(0, chunk.context - 1)
        self._may_draw[first : end - 1] = True
        added = max(0, end - 1 - first)
        self._count += added
        return added

    def sample(self, *, test: bool = False) -> TransitionBatch:
        """Draw a batch uniformly; its tensors are buffers of the memory and change with the next draw.

        Raises:
            SampleError: nothing is stored that could be drawn.
        """
        if test:
            raise SampleError("This memory keeps no transitions for tests.")
        return self.transitions(self._draw_among(self._may_draw, True, self._count, self.batch_size, self._rng))

    def transitions(self, rows: NDArray[np.int64]) -> TransitionBatch:
        """Return the transitions from chosen rows to the rows after them, ``batch_size`` of them."""
        out, after = self._out, rows + 1
        for name in observed(self.spec):
            self._gather(name, rows, out.obs[name])
            self._gather(name, after, out.next_obs[name])
        columns = self._columns
        np.take(columns["action"], after, axis=0, out=out.action.numpy(), mode="clip")
        terminated = columns["terminated"][after]
        out.reward.numpy()[:] = columns["reward"][after] + self._shaping(rows, after, terminated)
        out.terminated.numpy()[:] = terminated
        out.truncated.numpy()[:] = columns["truncated"][after]
        return out

    def variety(self) -> dict[str, float]:
        """Return how mixed the stored experience is, estimated from a part of it."""
        rows = np.flatnonzero(self._may_draw[: self._high])
        rows = rows[:: max(1, len(rows) // LOOKED_AT)] + 1
        return {
            "Buffer/action_variety": action_variety(self._columns["action"][rows]),
            "Buffer/policy_variety": policy_variety(self._version[rows]),
        }

    def save(self, folder: Path) -> None:
        """Write the filled rows and the generator's state into ``folder``."""
        state = {
            "head": self._head, "high": self._high, "limit": self.limit, "rng": self._rng.bit_generator.state,
        }  # fmt: skip
        write_memory(folder, self._stored, self._high, state)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote; the limit becomes at most this memory's capacity.

        Raises:
            SampleError: the files are damaged, or the rows do not fit this memory.
        """
        with damage_as_sentence(folder):
            state = read_state(folder)
            head, high, limit = self._saved_positions(folder, state)
            known = {name: array for name, array in self._stored.items() if name in state["crc32"] or name != WORKER}
            stored = read_columns(folder, known, high, state["crc32"])
            _check_rows(stored, high)
            self._rng.bit_generator.state = state["rng"]
        for name, column in known.items():
            column[:high] = stored[name]
        self._may_draw[high:] = False
        self._head, self._high, self.limit = head, high, min(limit, self.capacity)
        self._count = int(np.count_nonzero(self._may_draw[:high]))

    @property
    def _stored(self) -> Columns:
        bookkeeping: Columns = {
            VERSION: self._version, LEFT: self._left, WORKER: self._worker, BACK: self._back, MAY_DRAW: self._may_draw,
        }  # fmt: skip
        return {**self._columns, **bookkeeping}

    def _shaping(
        self, rows: NDArray[np.int64], after: NDArray[np.int64], terminated: NDArray[np.bool_]
    ) -> NDArray[np.float32] | float:
        if "potential" not in self._columns:
            return 0.0
        potential = self._columns["potential"]
        gain: NDArray[np.float32] = np.where(terminated, 0.0, self.gamma * potential[after]) - potential[rows]
        return gain

    def _forget(self, start: int, end: int) -> None:
        marks = self._may_draw[start:end]
        self._count -= int(np.count_nonzero(marks))
        marks[:] = False

    def _gather(self, name: str, rows: NDArray[np.int64], out: Tensor) -> None:
        column, target = self._columns[name], out.numpy()
        frames = self.history.get(name, 1)
        if frames == 1:
            np.take(column, rows, axis=0, out=target, mode="clip")
            return
        back = self._back[rows].astype(np.int64)
        for place in range(frames):  # oldest first; before the first row of an episode that row is repeated
            target[:, place] = column[rows - np.minimum(frames - 1 - place, back), 0]

    def _allocate_batch(self) -> TransitionBatch:
        b = self.batch_size

        def observation() -> dict[str, Tensor]:
            return {name: self._empty(name) for name in observed(self.spec)}

        return TransitionBatch(
            obs=observation(), action=torch.zeros((b, *self.spec["action"].shape)), reward=torch.zeros(b),
            next_obs=observation(), terminated=torch.zeros(b), truncated=torch.zeros(b),
        )  # fmt: skip

    def _empty(self, name: str) -> Tensor:
        column = self.spec[name]
        frames = self.history.get(name, 1)
        shape: tuple[Any, ...] = column.shape if frames == 1 else (frames, *column.shape[1:])
        return torch.from_numpy(np.zeros((self.batch_size, *shape), dtype=column.dtype))


def _check_rows(stored: Columns, high: int) -> None:
    """Refuse rows whose neighbours are not there."""
    check_reach(np.flatnonzero(stored[MAY_DRAW]), stored[LEFT], high)
    if (stored[BACK] > np.arange(high)).any():
        raise ValueError("rows point beyond the beginning of the memory")
