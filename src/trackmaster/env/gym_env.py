"""Any environment of Gymnasium's registry as the roles of the seed expect it."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class GenericGymEnv(gym.Wrapper[Any, Any, Any, Any]):
    """An environment by its id, with observations scaled and in float32 if that is asked for.

    Args:
        id: in Gymnasium's registry.
        gym_kwargs: passed on to ``gymnasium.make``.
        obs_scale: factor of every float in an observation; 0 leaves them as they are.
        to_float32: turn float64 observations into float32.
    """

    def __init__(
        self,
        id: str = "Pendulum-v1",  # noqa: A002 - the seed's name
        gym_kwargs: Mapping[str, Any] | None = None,
        obs_scale: float = 0.0,
        to_float32: bool = False,
    ) -> None:
        env: gym.Env[Any, Any] = gym.make(id, **dict(gym_kwargs or {}))
        super().__init__(env)
        self._scale, self._to_float32 = obs_scale, to_float32
        if obs_scale or to_float32:
            self.observation_space = self._space(env.observation_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._changed(obs), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act once."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._changed(obs), reward, terminated, truncated, info

    def _changed(self, obs: Any) -> Any:
        if isinstance(obs, (tuple, list)):
            return tuple(self._changed(part) for part in obs)
        if isinstance(obs, Mapping):
            return {key: self._changed(part) for key, part in obs.items()}
        array = np.asarray(obs)
        if array.dtype.kind != "f":
            return array
        scaled = array * array.dtype.type(self._scale) if self._scale else array
        return scaled.astype(np.float32) if self._to_float32 and array.dtype == np.float64 else scaled

    def _space(self, space: spaces.Space[Any]) -> spaces.Space[Any]:
        if isinstance(space, spaces.Tuple):
            return spaces.Tuple([self._space(part) for part in space.spaces])
        if isinstance(space, spaces.Dict):
            return spaces.Dict({key: self._space(part) for key, part in space.spaces.items()})
        if isinstance(space, spaces.Box) and space.dtype is not None and space.dtype.kind == "f":
            low, high = np.sort([self._changed(space.low), self._changed(space.high)], axis=0)
            return spaces.Box(low, high, dtype=low.dtype.type)
        return space
