"""Interfaces and clocks for tests of the real-time environment."""

import gymnasium as gym
import numpy as np

from trackmaster.env.realtime.clock import VirtualClock


class Recorder:
    """Shows the action in force as its observation, keeps what was sent, ends after some captures."""

    def __init__(self, episode_length: float = np.inf) -> None:
        self.episode_length = episode_length
        self.sent: list[float] = []
        self.captures = self.waits = self.resets = 0

    def get_observation_space(self) -> gym.spaces.Tuple:
        return gym.spaces.Tuple((gym.spaces.Box(-100, 100, (1,)),))

    def get_action_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(-100, 100, (1,))

    def get_default_action(self) -> np.ndarray:
        return np.zeros(1, dtype=np.float32)

    def send_control(self, control) -> None:
        self.sent.append(float(control[0]))

    def reset(self, seed=None, options=None):
        self.captures = 0
        self.resets += 1
        return [np.array([self.sent[-1] if self.sent else 0.0], dtype=np.float32)], {"resets": self.resets}

    def get_obs_rew_terminated_info(self):
        self.captures += 1
        return [np.array([self.sent[-1]], dtype=np.float32)], 1.0, self.captures >= self.episode_length, {}

    def wait(self) -> None:
        self.waits += 1

    def render(self) -> str:
        return "drawn"


class ThinkingClock(VirtualClock):
    """A virtual clock on which the agent can take its time."""

    def think(self, seconds: float) -> None:
        self.sleep_until(self.now_s() + seconds)
