"""Environments of Gymnasium's registry, scaled and in float32 where that is asked for."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from trackmaster.env.gym_env import GenericGymEnv

NESTED_ID = "trackmaster-tests/Nested-v0"


class Nested(gym.Env):
    observation_space = spaces.Tuple((
        spaces.Box(-4.0, 2.0, (2,), np.float64), spaces.Dict({"picture": spaces.Box(0, 255, (2, 2), np.uint8)}),
    ))  # fmt: skip
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, first: float = 1.0) -> None:
        self.first = first

    def reset(self, *, seed=None, options=None):
        return (np.array([self.first, -4.0]), {"picture": np.full((2, 2), 200, np.uint8)}), {}

    def step(self, action):
        return (*self.reset()[:1], 0.0, False, False, {})


@pytest.fixture(autouse=True)
def registered():
    gym.register(NESTED_ID, entry_point=Nested)
    yield
    gym.registry.pop(NESTED_ID)


def test_the_environment_is_taken_as_it_is_by_default() -> None:
    env = GenericGymEnv("Pendulum-v1", {"g": 9.0})
    assert env.unwrapped.g == 9.0
    assert env.observation_space.shape == (3,)
    assert env.observation_space.contains(env.reset(seed=0)[0])


@pytest.mark.parametrize(("scale", "to_float32"), [(0.0, True), (0.5, False), (0.5, True), (-1.0, True)])
def test_floats_are_scaled_wherever_they_are_and_nothing_else(scale: float, to_float32: bool) -> None:
    env = GenericGymEnv(NESTED_ID, {"first": 2.0}, obs_scale=scale, to_float32=to_float32)
    for obs in (env.reset()[0], env.step(np.zeros(1, np.float32))[0]):
        assert env.observation_space.contains(obs)
        assert obs[0].dtype == (np.float32 if to_float32 else np.float64)
        np.testing.assert_array_equal(obs[0], np.array([2.0, -4.0]) * (scale or 1.0))
        assert obs[1]["picture"].tolist() == [[200, 200], [200, 200]]
    bounds = np.sort(np.array([-4.0, 2.0]) * (scale or 1.0))
    assert [env.observation_space[0].low[0], env.observation_space[0].high[0]] == bounds.tolist()
