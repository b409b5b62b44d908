"""A world that observes as the real-time environment does: pictures with a history, and a buffer of actions.

The buffer's rules are those of the seed: a step's action is the last entry, the episode's last action is never sent,
and after a reset the last entry is the default action.
"""

from typing import Any

import numpy as np
from gymnasium import Env, spaces

H, N, SIDE = 4, 4, 6


class DelayedWorld(Env):
    """Every number in an observation is drawn anew, so that nothing passes for anything else.

    Args:
        lengths: steps of the episodes, in turn.
        reset_act_buf: whether a reset fills the buffer with the default action.
        seed: of what is seen.
    """

    def __init__(self, lengths: tuple[int, ...] = (7, 1, 2, 11), *, reset_act_buf: bool = False, seed: int = 0) -> None:
        self.action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.observation_space = spaces.Tuple((
            spaces.Box(0.0, 1000.0, (1,)), spaces.Box(0.0, 6.0, (1,)), spaces.Box(0.0, np.inf, (1,)),
            spaces.Box(0, 255, (H, SIDE, SIDE), np.uint8), *(spaces.Box(-1.0, 1.0, (3,)) for _ in range(N)),
        ))  # fmt: skip
        self.default_action = np.zeros(3, np.float32)
        self._lengths, self._reset_act_buf = lengths, reset_act_buf
        self._rng = np.random.default_rng(seed)
        self._episode = self._step = 0
        self._images = np.zeros((H, SIDE, SIDE), np.uint8)
        self._actions = [self.default_action] * N
        self.ep_max_length = np.inf

    def set_ep_max_length(self, length: float) -> None:
        self.ep_max_length = length

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._images[:] = self._rng.integers(0, 256, (SIDE, SIDE))
        filled = [self.default_action] * N
        self._actions = filled if self._reset_act_buf else [*self._actions[:-1], self.default_action]
        self._step = 0
        self._episode += 1
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._actions = [*self._actions[1:], np.array(action, np.float32)]
        self._images = np.concatenate((self._images[1:], self._rng.integers(0, 256, (1, SIDE, SIDE)).astype(np.uint8)))
        self._step += 1
        length = self._lengths[self._episode % len(self._lengths)]
        terminated = self._step >= length and self._episode % 2 == 0
        truncated = not terminated and self._step >= min(length, self.ep_max_length)
        return self._observe(), float(self._rng.normal()), terminated, truncated, {"lap": self._episode}

    def _observe(self) -> Any:
        floats = (self._rng.uniform(0, 100, (1,)).astype(np.float32) for _ in range(3))
        return (*floats, self._images.copy(), *(action.copy() for action in self._actions))
