"""A toy world behind the interface of the racing environment: keep to a lane that bends, and brake for nothing.

Cars move along x. The lane's middle bends; a car more than 1.5 beside it is stuck for good. A car that gets no further
for a while is cut off. Random driving finishes next to never.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 7
LIMIT_STEPS = 20
STALL_STEPS = 4
STEER = np.array([0, -1, 1, 0, -1, 1, 0, -1, 1, 0, -1, 1])
GAS = np.array([1, 1, 1, 0, 0, 0, -1, -1, -1, 0, 0, 0])
N_FLOATS = 8
IMAGE = (1, 36, 36)


class ToyLane:
    """N cars; ended ones stand until they are reset."""

    def __init__(self, num_envs: int, seed: int = 0) -> None:
        self.num_envs = num_envs
        self._rng = np.random.default_rng(seed)
        self._x = np.zeros(num_envs)
        self._y = np.zeros(num_envs)
        self._steps = np.zeros(num_envs, dtype=int)
        self._furthest = np.zeros(num_envs)
        self._furthest_step = np.zeros(num_envs, dtype=int)
        self._over = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], Mapping[str, NDArray[Any]]]:
        options = options or {}
        mask = options.get("reset_mask", np.ones(self.num_envs, dtype=bool))
        self._x[mask] = self._steps[mask] = self._furthest[mask] = self._furthest_step[mask] = 0
        self._y[mask] = [float(s) for s in options["start"]] if "start" in options else 0.0
        self._over[mask] = False
        return self._observe(), self._info()

    def step(self, actions: NDArray[Any]) -> tuple[Any, ...]:
        running = ~self._over
        moving = running & (np.abs(self._offset()) <= 1.5)
        before = self._x.copy()
        self._x = np.where(moving, np.clip(self._x + GAS[actions], 0, LENGTH), self._x)
        self._y = np.where(moving, self._y + 0.7 * STEER[actions], self._y)
        self._steps += running
        self._furthest_step = np.where(self._x > self._furthest, self._steps, self._furthest_step)
        self._furthest = np.maximum(self._furthest, self._x)
        finished = moving & (self._x >= LENGTH) & (np.abs(self._offset()) <= 1.5)
        stalled = self._steps - self._furthest_step >= STALL_STEPS
        off = running & ~finished & (stalled | (self._steps >= LIMIT_STEPS))
        reward = np.where(running, 0.5 * (self._x - before) - 0.6, 0.0).astype(np.float32)
        self._over |= finished | off
        return self._observe(), reward, finished, off, self._info()

    def close(self) -> None:
        pass

    def _middle(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2.0 * np.sin(x / 3.0)

    def _offset(self) -> NDArray[np.float64]:
        return self._y - self._middle(self._x)

    def _observe(self) -> dict[str, NDArray[Any]]:
        floats = np.zeros((self.num_envs, N_FLOATS), dtype=np.float32)
        floats[:, 1], floats[:, 2] = self._offset(), self._x / LENGTH
        for k in range(4):
            floats[:, 3 + k] = self._middle(self._x + k + 1) - self._y
        image = np.zeros((self.num_envs, *IMAGE), dtype=np.uint8)
        image[np.arange(self.num_envs), 0, np.clip(18 + 4 * self._offset(), 0, 35).astype(int)] = 255
        return {"image": image, "floats": floats}

    def _info(self) -> Mapping[str, NDArray[Any]]:
        finished = self._over & (self._x >= LENGTH) & (np.abs(self._offset()) <= 1.5)
        return {
            "progress_m": self._x.copy(),
            "finished": finished,
            "race_time_ms": np.where(finished, 50 * self._steps, -1),
            "time_ms": 50 * self._steps,
            "potential": (-0.1 * np.abs(self._offset())).astype(np.float32),
        }
