"""A race as a ``RealTimeGymInterface``: where a car comes from (a source), what is seen of it (a view), what it earns.

The simulator, TrackMania Nations Forever and TrackMania 2020 are sources; the observations that the seed and tmrl name
are views. Everything else is the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from rtgym import RealTimeGymInterface

from trackmaster.env.actions import N_ANALOG
from trackmaster.env.demo.reward import TrajectoryReward
from trackmaster.env.realtime.clock import Clock
from trackmaster.game.state import CarState

PictureKind = Literal["follow", "lidar"]


@dataclass(frozen=True)
class PictureWish:
    """What a view wants to look at."""

    kind: PictureKind
    """``follow``: the camera behind the car; ``lidar``: from the cockpit, borders dark."""
    size: tuple[int, int]
    """Width and height in pixels; a source that cannot draw other sizes gives its own."""


@dataclass(frozen=True)
class Reading:
    """A car at one moment."""

    speed_kmph: float
    gear: float
    rpm: float
    position_m: NDArray[np.floating]
    is_finished: bool
    picture: NDArray[np.uint8] | None = None
    """(H, W, 4) BGRA, if a view wished for one."""
    state: CarState | None = None
    """Everything, where the source knows it."""
    info: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """Something that drives a car in its own time."""

    def use_clock(self, clock: Clock) -> None:
        """Learn by which clock the environment lives."""

    def send(self, control: NDArray[np.floating]) -> None:
        """Put gas, brake, steer in force; returns at once."""

    def reset(self, options: Mapping[str, Any] | None) -> None:
        """Release everything and go to the start."""

    def read(self, wish: PictureWish | None) -> Reading:
        """Return the car as it is now."""

    def wait(self) -> None:
        """Release everything and pause until the next reset."""

    def close(self) -> None:
        """Let go of the game."""


class View(Protocol):
    """What an agent sees of a reading."""

    wish: PictureWish | None

    def space(self) -> gym.spaces.Tuple[Any]:
        """Return the space of ``observe``, without the action buffer."""

    def begin(self, reading: Reading, progress: float) -> list[NDArray[Any]]:
        """Observe the first reading of an episode: histories are filled with it."""

    def observe(self, reading: Reading, progress: float) -> list[NDArray[Any]]:
        """Observe one more."""


class RaceInterface(RealTimeGymInterface):  # type: ignore[misc]  # rtgym has no types
    """Drives a source, shows a view of it, pays by a trajectory."""

    def __init__(self, source: Source, view: View, reward: TrajectoryReward) -> None:
        """Put the parts together; nothing is touched yet."""
        self._source, self._view, self._reward = source, view, reward

    def use_clock(self, clock: Clock) -> None:
        """Pass the environment's clock on."""
        self._source.use_clock(clock)

    def get_observation_space(self) -> gym.spaces.Tuple[Any]:
        """Return the view's space."""
        return self._view.space()

    def get_action_space(self) -> gym.spaces.Box:
        """Return gas, brake, steer, each from -1 to 1; pedals are released up to 0."""
        return gym.spaces.Box(-1.0, 1.0, (N_ANALOG,), np.float32)

    def get_default_action(self) -> NDArray[np.float32]:
        """Return no gas, no brake, straight on."""
        return np.zeros(N_ANALOG, dtype=np.float32)

    def send_control(self, control: NDArray[np.floating] | None) -> None:
        """Put an action in force; None changes nothing."""
        if control is not None:
            self._source.send(np.asarray(control, dtype=np.float32))

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[NDArray[Any]], dict[str, Any]]:
        """Go to the start and look."""
        del seed  # no source knows chance
        self._reward.reset()  # first: without a demonstration the game is left alone
        self._source.reset(options)
        reading = self._source.read(self._view.wish)
        return self._view.begin(reading, self._reward.progress), dict(reading.info)

    def get_obs_rew_terminated_info(self) -> tuple[list[NDArray[Any]], float, bool, dict[str, Any]]:
        """Look, and pay."""
        reading = self._source.read(self._view.wish)
        reward, terminated = self._reward.step(reading.position_m, is_finished=reading.is_finished)
        observation = self._view.observe(reading, self._reward.progress)
        info = {**reading.info, "finished": reading.is_finished, "progress": self._reward.progress}
        return observation, float(np.float32(reward)), terminated, info

    def wait(self) -> None:
        """Pause until the next reset."""
        self._source.wait()

    def render(self) -> None:
        """Draw nothing: what is seen is in the observation."""

    def close(self) -> None:
        """Let go of the game."""
        self._source.close()
