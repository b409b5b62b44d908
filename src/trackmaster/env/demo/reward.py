"""Rewards along a demonstrated drive: progress as tmrl pays it, our signed variant, and counted checkpoints.

A demonstration is a path resampled to points 0.1 m apart. A cursor follows the car along it; what is paid is the
cursor's way: 0.1 per metre, 100 for the finish. In the mode ``tmrl`` the cursor goes back for free, so that driving to
and fro earns without end; ``signed``, the default, takes back what it gave: the sum never exceeds the length.

Source: tmrl 0.7.1, its reward function (constants and stopping rules); the signed mode is ours.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackmaster.env.errors import EnvError

F64 = NDArray[np.float64]
RewardMode = Literal["signed", "tmrl"]
RewardKind = Literal["signed", "tmrl", "checkpoints"]

POINT_DISTANCE_M: Final = 0.1
POINTS_PER_UNIT: Final = 100.0
"""Points of the demonstration that make a reward of 1."""


class TrajectoryReward(Protocol):
    """Pays a car by where it is, once per time step."""

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, position_m: ArrayLike, *, is_finished: bool) -> tuple[float, bool]:
        """Return what this step is worth and whether the episode is over."""

    @property
    def progress(self) -> float:
        """0 to 1, how much of the demonstration lies behind."""


_COUNTS: Final = ("check_forward", "check_backward", "min_steps", "failure_countdown")


@dataclass(frozen=True)
class DemoRewardConfig:
    """Constants under the names that ``REWARD_CONFIG`` of a config.json gives them, in lower case."""

    check_forward: int = 500
    """Points that are looked ahead from the best so far: cuts of up to 50 m are allowed, and paid."""
    check_backward: int = 10
    max_stray: float = 100.0
    """Metres from the demonstration beyond which nothing counts as progress."""
    min_steps: int = 70
    """Steps before failures are counted."""
    failure_countdown: int = 10
    """Steps in a row without progress after which the episode ends."""
    end_of_track: float = 100.0
    """Paid for the finish."""
    constant_penalty: float = 0.0
    """Added in every step; 0 or negative."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no rule; counts may come as floats without a fraction.

        Raises:
            EnvError: a number that is none, a count that is not whole or too small, or no positive distance.
        """
        counts = {name: getattr(self, name) for name in _COUNTS}
        paid = (self.end_of_track, self.constant_penalty)
        if not all(isinstance(value, (int, float)) for value in (*counts.values(), *paid, self.max_stray)):
            raise EnvError(f"the constants of the reward are numbers; found {self}.")
        if not (
            all(float(value).is_integer() for value in counts.values())
            and min(self.check_forward, self.check_backward) >= 1
            and min(self.failure_countdown, self.min_steps) >= 0
        ):
            raise EnvError(
                f"the reward looks {self.check_forward} points ahead, {self.check_backward} back, and counts "
                f"{self.failure_countdown} failures after {self.min_steps} steps: expected whole numbers of at least "
                "1, 1, 0 and 0."
            )
        if not self.max_stray > 0 or not all(math.isfinite(value) for value in paid):
            raise EnvError(
                f"the reward strays up to {self.max_stray} m, pays {self.end_of_track} for the finish and "
                f"{self.constant_penalty} per step: expected more than 0, and finite numbers."
            )
        for name, value in counts.items():
            object.__setattr__(self, name, int(value))


class DemoCursor:
    """The point of a demonstration that a car has reached."""

    def __init__(self, points_m: F64, config: DemoRewardConfig, *, reaches_start: bool) -> None:
        """Stand at the first point.

        Args:
            points_m: (M, 3), equally spaced.
            config: how far to look.
            reaches_start: whether going back may lead to the first point again (tmrl's never does).
        """
        self._points, self._config = points_m, config
        self._lowest = 0 if reaches_start else 1
        self.index = 0

    def follow(self, position_m: F64) -> int:
        """Move on, or back where there is no way on; return the points gained, negative when going back."""
        before = self.index
        self.index = self._forward(position_m)
        if self.index == before:
            self.index = self._backward(position_m)
            return min(self.index - before, 0)
        return self.index - before

    def _forward(self, position_m: F64) -> int:
        best, reach = self.index, self._config.check_forward
        while True:
            distance = np.linalg.norm(self._points[best : best + reach] - position_m, axis=1)
            nearest = best + len(distance) - 1 - int(np.argmin(distance[::-1]))  # the last of equally near ones
            if nearest == best:
                break
            best = nearest
        near = float(np.linalg.norm(self._points[best] - position_m)) <= self._config.max_stray
        return best if near else self.index

    def _backward(self, position_m: F64) -> int:
        best, reach = self.index, self._config.check_backward
        while True:
            low = max(best - reach + 1, min(best, self._lowest))
            distance = np.linalg.norm(self._points[low : best + 1] - position_m, axis=1)
            nearest = low + int(np.argmin(distance))  # the earliest of equally near ones
            if nearest == best:
                return best
            best = nearest


class DemoReward:
    """Pays the way along a demonstration; ends an episode that gets no further."""

    def __init__(
        self, points_m: ArrayLike, config: DemoRewardConfig | None = None, *, mode: RewardMode = "signed"
    ) -> None:
        """Take a demonstration.

        Args:
            points_m: (M, 3) points 0.1 m apart (``resampled``), M >= 2.
            config: constants.
            mode: ``signed`` or ``tmrl``.

        Raises:
            EnvError: the points are none.
        """
        self.points_m = checked_points(points_m)
        self.config = config if config is not None else DemoRewardConfig()
        self.mode = mode
        self._cursor = DemoCursor(self.points_m, self.config, reaches_start=mode == "signed")
        self._steps = self._failures = 0

    @property
    def progress(self) -> float:
        """0 to 1, the cursor's place."""
        return self._cursor.index / len(self.points_m)

    def reset(self) -> None:
        """Begin an episode at the first point."""
        self._cursor.index = self._steps = self._failures = 0

    def step(self, position_m: ArrayLike, *, is_finished: bool) -> tuple[float, bool]:
        """Return the reward of one time step, and whether the episode is over.

        Args:
            position_m: (3,) of the car, world.
            is_finished: the finish line is passed.
        """
        self._steps += 1
        gained = self._cursor.follow(np.asarray(position_m, dtype=np.float64))
        is_over = self._note(has_progress=gained > 0)
        paid = gained if self.mode == "signed" else max(gained, 0)
        reward = paid / POINTS_PER_UNIT + self.config.constant_penalty
        if is_finished:
            return reward + self.config.end_of_track, True
        return reward, is_over

    def _note(self, *, has_progress: bool) -> bool:
        """Count failures; True when there were too many."""
        if has_progress:
            self._failures = 0
        elif self._steps > self.config.min_steps:
            self._failures += 1
            return self._failures > self.config.failure_countdown
        return False


class CheckpointReward:
    """Counts the checkpoints passed that a demonstration is divided into, each paid once per episode."""

    def __init__(self, points_m: ArrayLike, config: DemoRewardConfig | None = None, *, spacing_m: float = 10.0) -> None:
        """Divide a demonstration.

        Args:
            points_m: (M, 3) points 0.1 m apart.
            config: constants; the stopping rules are those of ``DemoReward``.
            spacing_m: metres between two checkpoints.

        Raises:
            EnvError: the points are none, or the spacing is not positive.
        """
        if not spacing_m > 0:
            raise EnvError(f"checkpoints {spacing_m} m apart cannot be passed: give a positive distance.")
        self._way = DemoReward(points_m, config)
        self._spacing = spacing_m / POINT_DISTANCE_M
        self._passed = 0

    @property
    def progress(self) -> float:
        """0 to 1, the cursor's place on the demonstration."""
        return self._way.progress

    def reset(self) -> None:
        """Begin an episode with no checkpoint passed."""
        self._way.reset()
        self._passed = 0

    def step(self, position_m: ArrayLike, *, is_finished: bool) -> tuple[float, bool]:
        """Return how many checkpoints are new (and what the finish is worth), and whether the episode is over."""
        _, is_over = self._way.step(position_m, is_finished=is_finished)
        passed = int(round(self._way.progress * len(self._way.points_m)) / self._spacing)
        new, self._passed = max(0, passed - self._passed), max(passed, self._passed)
        config = self._way.config
        return new + config.constant_penalty + (config.end_of_track if is_finished else 0.0), is_over


def trajectory_reward(
    points_m: ArrayLike, config: DemoRewardConfig | None = None, kind: RewardKind = "signed"
) -> TrajectoryReward:
    """Return the reward of a name: ``DemoReward`` in one of its modes, or ``CheckpointReward``.

    Raises:
        EnvError: there is none of that name, or the points are none.
    """
    if kind == "checkpoints":
        return CheckpointReward(points_m, config)
    if kind not in ("signed", "tmrl"):
        raise EnvError(f"reward_mode {kind!r} does not exist: there are signed, tmrl and checkpoints.")
    return DemoReward(points_m, config, mode=kind)


def resampled(path_m: ArrayLike, *, distance_m: float = POINT_DISTANCE_M) -> F64:
    """Return a driven path as points (M, 3) that are ``distance_m`` apart along it; the end is kept.

    Raises:
        EnvError: fewer than two places, or numbers that are not finite.
    """
    path = checked_points(path_m)
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    path = path[np.concatenate(([True], step > 0))]
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))))
    count = round(along[-1] / distance_m)
    if count < 1:
        raise EnvError(f"the path is {along[-1]:.2f} m long: a demonstration must be driven from start to finish.")
    wanted = np.minimum(distance_m * np.arange(count + 1), along[-1])
    return np.stack([np.interp(wanted, along, path[:, axis]) for axis in range(3)], axis=1)


def checked_points(points_m: ArrayLike) -> F64:
    """Return points as float64 (M, 3).

    Raises:
        EnvError: another shape, fewer than two, or numbers that are not finite.
    """
    points = np.asarray(points_m, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2 or not np.isfinite(points).all():
        raise EnvError(f"a demonstration has shape {points.shape}; expected at least two finite points (M, 3).")
    return points
