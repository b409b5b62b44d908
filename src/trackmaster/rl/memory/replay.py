"""Replay memory: a preallocated ring of single-step rows, pictures stored once, transitions rebuilt when drawn."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.rl.memory.chunk_ring import LEFT, WORKER, ChunkRing, check_reach
from trackmaster.rl.memory.files import damage_as_sentence, read_columns, read_state, write_memory
from trackmaster.rl.memory.priorities import FIRST_PRIORITY, Priorities
from trackmaster.rl.memory.targets import MiniRace, n_step_return, window_steps
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleSpec
from trackmaster.rl.schedules import Schedule

PRIORITY = "_priority"
"""File of the priorities in a saved memory."""
MAX_EPISODES = 2**16
"""That may be under way at once; those of workers that are gone never end."""


@dataclass(frozen=True)
class Batch:
    """Transitions ready for the learner; the tensors are buffers of the memory and change with the next draw."""

    image: Tensor
    """(B, C, H, W) uint8."""
    floats: Tensor
    """(B, F) with the drawn clock in column 0."""
    action: Tensor
    """(B,) int64."""
    reward: Tensor
    """(B,) n-step, shaped."""
    gamma: Tensor
    """(B,) 0 where terminal."""
    next_image: Tensor
    next_floats: Tensor
    weight: Tensor | None = None
    """(B,) what each sample's loss counts; None where all count 1."""
    report: Callable[[NDArray[np.float32]], None] | None = None
    """Takes the (B,) absolute errors of the predicted returns; None where nobody wants them."""


class Memory(Protocol):
    """Appends what workers send and draws what an agent trains on."""

    def append(self, chunk: Chunk) -> int:
        """Store a chunk and return the number of transitions it added."""
        ...

    def __len__(self) -> int:
        """Return the number of transitions that can be drawn for training."""
        ...

    def sample(self, *, test: bool = False) -> Batch:
        """Draw one batch."""
        ...


class IQNMemory(ChunkRing):
    """Ring of rows for the IQN agent.

    Rows of a chunk lie side by side, so the next state of row r after s decisions is row r + s and no picture is
    stored twice. A new chunk overwrites the oldest rows; windows only look forward, so what is left of a half
    overwritten chunk stays valid.

    Args:
        spec: columns of a row.
        capacity: rows to allocate; memory is touched only when it is filled.
        batch_size: transitions per draw.
        n_steps: longest n-step window in decisions.
        mini_race: the bounded reward window.
        cut_non_greedy: end n-step windows before exploratory actions.
        test_ratio: share of *episodes* that are kept out of training.
        rng: source of every draw.
        priorities: draws in proportion to the agent's errors; uniformly when left out.
        beta: how far weights make up for unequal draws, by frames; wholly when left out.
    """

    def __init__(
        self,
        spec: SampleSpec,
        capacity: int,
        *,
        batch_size: int,
        n_steps: int = 3,
        mini_race: MiniRace | None = None,
        cut_non_greedy: bool = True,
        test_ratio: float = 0.05,
        rng: np.random.Generator,
        priorities: Priorities | None = None,
        beta: Schedule | None = None,
    ) -> None:
        super().__init__(spec, capacity)
        self.batch_size = batch_size
        self.n_steps, self.cut_non_greedy, self.test_ratio = n_steps, cut_non_greedy, test_ratio
        self.mini_race = mini_race or MiniRace()
        self.gamma = 1.0
        """Discount per decision, set by the agent's schedule."""
        self.priorities, self._beta_schedule = priorities, beta
        self.set_frames(0)
        self._rng, self._test_rng = rng, rng.spawn(1)[0]  # testing must not change what training draws
        self._role = np.zeros(capacity, dtype=np.uint8)  # 0 cannot be drawn, 1 training, 2 test
        self._counts = [0, 0, 0]
        self._test_episodes: dict[tuple[str, int], bool] = {}
        self._buffers = self._allocate_batch()

    def __len__(self) -> int:
        return self._counts[1]

    @property
    def n_test(self) -> int:
        """Transitions kept for the test loss."""
        return self._counts[2]

    def set_frames(self, frames: int) -> None:
        """Move the schedule of the weights to this number of decisions played."""
        self.beta = 1.0 if self._beta_schedule is None else self._beta_schedule(frames)

    def append(self, chunk: Chunk) -> int:
        """Store a chunk over the oldest rows.

        Returns:
            The number of transitions it added.

        Raises:
            SampleError: the columns differ from the spec or the chunk does not fit the ring at all.
        """
        start, end = self._place(chunk)
        n = end - start
        role = 2 if self._is_test(chunk) else 1
        self._role[start : end - 1] = role
        self._counts[role] += n - 1
        if role == 1 and self.priorities is not None and n > 1:
            self.priorities.add(np.arange(start, end - 1))
        return chunk.n_transitions

    def sample(self, *, test: bool = False) -> Batch:
        """Draw a batch, by priority where there are priorities; every transition's mini-race clock is drawn with it.

        Raises:
            SampleError: nothing is stored that could be drawn.
        """
        rng = self._test_rng if test else self._rng
        weight: NDArray[np.float32] | None = None
        if self.priorities is not None and not test and self._counts[1]:
            rows, weight = self.priorities.draw(self.batch_size, self.beta, rng)
        else:
            rows = self._draw_rows(2 if test else 1, rng)
        clock = self.mini_race.draw_clock(len(rows), rng)
        offsets = rows[:, None] + 1 + np.arange(self.n_steps)  # beyond the end "clip" gives some row, which is masked
        available = self._left.take(rows)
        inside = np.arange(self.n_steps) < available[:, None]
        steps, terminal = window_steps(
            self._columns["terminated"].take(offsets, mode="clip") & inside,
            self._columns["greedy"].take(offsets, mode="clip"),
            available,
            clock,
            horizon_actions=self.mini_race.horizon_actions,
            cut_non_greedy=self.cut_non_greedy,
        )
        ends = rows + steps
        potential = self._columns["potential"]
        window = n_step_return(
            self._columns["reward"].take(offsets, mode="clip"), steps, terminal, potential.take(rows),
            potential.take(ends), gamma=self.gamma,
        )  # fmt: skip
        batch = self._gather(rows, ends, clock, window.reward, window.gamma, steps)
        if weight is None or self.priorities is None:
            return batch
        return replace(batch, weight=torch.from_numpy(weight), report=self._reporter(self.priorities, rows, clock))

    def save(self, folder: Path) -> None:
        """Write the filled rows and the states of both generators into ``folder``."""
        state = {
            "head": self._head, "high": self._high, "limit": self.limit, "rng": self._rng.bit_generator.state,
            "test_rng": self._test_rng.bit_generator.state,
            "test_episodes": [[s, e, flag] for (s, e), flag in self._test_episodes.items()],
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
            newer = {PRIORITY, WORKER}  # than some saved memories
            known = {name: array for name, array in self._stored.items() if name in state["crc32"] or name not in newer}
            stored = read_columns(folder, known, high, state["crc32"])
            _check_rows(stored)
            if self.priorities is not None:
                self.priorities.restore(_saved_priorities(stored, high))
            test_episodes = {(str(s), int(e)): bool(flag) for s, e, flag in state["test_episodes"]}
            self._rng.bit_generator.state = state["rng"]
            self._test_rng.bit_generator.state = state["test_rng"]
        for name, column in self._stored.items():
            if name in stored and name != PRIORITY:
                column[:high] = stored[name]
        self._role[high:] = 0
        self._head, self._high, self.limit = head, high, min(limit, self.capacity)
        self._test_episodes = test_episodes
        self._counts = [int((self._role[:high] == role).sum()) for role in range(3)]

    @property
    def _stored(self) -> Columns:
        priority = {} if self.priorities is None else {PRIORITY: self.priorities.column}
        return {**self._columns, LEFT: self._left, WORKER: self._worker, "_role": self._role, **priority}

    def _reporter(
        self, priorities: Priorities, rows: NDArray[np.int64], clock: NDArray[np.int64]
    ) -> Callable[[NDArray[np.float32]], None]:
        """Return what takes the errors of a draw.

        Near the end of the mini-race hardly anything is left to be wrong about, so such draws say little of a row.
        """
        long = clock < self.mini_race.horizon_actions - self.mini_race.oversample_long_term_steps
        return lambda errors: priorities.update(rows[long], errors[long])

    def _is_test(self, chunk: Chunk) -> bool:
        key = (chunk.session, chunk.episode_id)
        if key not in self._test_episodes:
            self._test_episodes[key] = bool(self._rng.random() < self.test_ratio)
            if len(self._test_episodes) > MAX_EPISODES:
                del self._test_episodes[next(iter(self._test_episodes))]
        return self._test_episodes.pop(key) if chunk.end_of_episode else self._test_episodes[key]

    def _forget(self, start: int, end: int) -> None:
        roles = self._role[start:end]
        if self.priorities is not None and end > start:
            self.priorities.forget(np.arange(start, end))
        self._counts[1] -= int(np.count_nonzero(roles == 1))
        self._counts[2] -= int(np.count_nonzero(roles == 2))
        roles[:] = 0

    def _draw_rows(self, role: int, rng: np.random.Generator) -> NDArray[np.int64]:
        if role == 2 and self._counts[role]:  # a few of many rows: listing them is quicker
            return rng.choice(np.flatnonzero(self._role[: self._high] == 2), self.batch_size)
        return self._draw_among(self._role, role, self._counts[role], self.batch_size, rng)

    def _allocate_batch(self) -> Batch:
        image, floats = self.spec["image"], self.spec["floats"]
        b = self.batch_size
        return Batch(
            image=torch.zeros((b, *image.shape), dtype=torch.uint8), floats=torch.zeros((b, *floats.shape)),
            action=torch.zeros(b, dtype=torch.int64), reward=torch.zeros(b), gamma=torch.zeros(b),
            next_image=torch.zeros((b, *image.shape), dtype=torch.uint8), next_floats=torch.zeros((b, *floats.shape)),
        )  # fmt: skip

    def _gather(
        self,
        rows: NDArray[np.int64],
        ends: NDArray[np.int64],
        clock: NDArray[np.int64],
        reward: NDArray[np.float32],
        gamma: NDArray[np.float32],
        steps: NDArray[np.int64],
    ) -> Batch:
        out = self._buffers
        image, floats = self._columns["image"], self._columns["floats"]
        np.take(image, rows, axis=0, out=out.image.numpy(), mode="clip")
        np.take(image, ends, axis=0, out=out.next_image.numpy(), mode="clip")
        np.take(floats, rows, axis=0, out=out.floats.numpy(), mode="clip")
        np.take(floats, ends, axis=0, out=out.next_floats.numpy(), mode="clip")
        out.floats.numpy()[:, 0] = clock
        out.next_floats.numpy()[:, 0] = clock + steps
        out.action.numpy()[:] = self._columns["action"].take(rows + 1)
        out.reward.numpy()[:] = reward
        out.gamma.numpy()[:] = gamma
        return out


def _saved_priorities(stored: Columns, high: int) -> NDArray[np.float64]:
    """Return the priorities of saved rows; of a memory that had none, all trainable rows count alike."""
    is_drawn = stored["_role"] == 1
    if PRIORITY not in stored:
        return np.where(is_drawn, FIRST_PRIORITY, 0.0)
    if not np.array_equal(stored[PRIORITY][:high] > 0, is_drawn):
        raise ValueError("the priorities belong to other rows")
    return np.asarray(stored[PRIORITY])


def _check_rows(stored: Columns) -> None:
    """Refuse rows that could be drawn although the rows after them are not there."""
    role = stored["_role"]
    if role.max(initial=0) > 2:
        raise ValueError(f"a row has the role {role.max()}, expected 0 to 2")
    check_reach(np.flatnonzero(role), stored[LEFT], len(role))
