"""A toy world with analog actions: push a point to the origin and keep it there.

The point's place is the whole state, what an action moves is known, and so is the best return; random pushing stays far
below it. Episodes are cut off after ten decisions, which must not look like an end to the critics.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.continuous.columns import continuous_sample_spec
from trackmaster.rl.samples.chunk import Chunk

LIMIT, STEP = 10, 0.3
OBSERVATION = gym.spaces.Dict({"floats": gym.spaces.Box(-2.0, 2.0, (2,), np.float32)})
ACTION = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)


class ToyPoint:
    """N points at once; all episodes are equally long."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self._rng = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> dict[str, NDArray[Any]]:
        self._place = self._rng.uniform(-1.0, 1.0, (self.n, 2)).astype(np.float32)
        return self.observe()

    def observe(self) -> dict[str, NDArray[Any]]:
        return {"floats": self._place.copy()}

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]]:
        self._place = np.clip(self._place + STEP * action, -2.0, 2.0).astype(np.float32)
        return self.observe(), -np.square(self._place).sum(axis=1)


def drive(actor: Any, world: ToyPoint, *, version: int, extras: dict[str, tuple[int, ...]] | None = None,
          test: bool = False) -> tuple[list[Chunk], float]:  # fmt: skip
    """Drive one episode with every point; return the chunks and the mean return."""
    spec = continuous_sample_spec(OBSERVATION, 2, extras=extras)
    observation = world.reset()
    zero = {name: np.zeros((world.n, *column.shape), column.dtype) for name, column in spec.items()}
    rows = [{**zero, **observation}]
    for step in range(LIMIT):
        action, known = actor.act_batch(observation, np.full(world.n, test))
        observation, reward = world.step(action)
        ended = np.full(world.n, step == LIMIT - 1)
        rows.append({**zero, **known, **observation, "action": action, "reward": reward, "truncated": ended})
    columns = {name: np.stack([row[name] for row in rows], axis=1).astype(c.dtype) for name, c in spec.items()}
    chunks = [
        Chunk(
            session="toy", seq=i, worker_id=0, episode_id=i, first_step=0, context=0, weights_version=version,
            columns={name: column[i] for name, column in columns.items()}, end_of_episode=True,
        )
        for i in range(world.n)
    ]  # fmt: skip
    return chunks, float(columns["reward"].sum(axis=1).mean())
