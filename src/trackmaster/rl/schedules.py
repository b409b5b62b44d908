"""Values that change over training, given at a few points of the frame count (one frame = one decision of 50 ms)."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from trackmaster.errors import ConfigError

ScheduleKind = Literal["exponential", "linear", "staircase"]


class Schedule:
    """A number as a function of the frames played; constant before the first and after the last point.

    Args:
        points: (frame, value) pairs with growing frames.
        kind: how to go from one point to the next: exponentially, linearly or not before the next one is reached.
        speed: frames are divided by it, so 2 runs through the schedule in half the frames.
        name: used in messages.

    Raises:
        ConfigError: no points, frames that do not grow, or a value that the kind cannot interpolate.
    """

    def __init__(
        self, points: Sequence[tuple[float, float]], kind: ScheduleKind, *, speed: float = 1.0, name: str = "schedule"
    ) -> None:
        frames = [frame / speed for frame, _ in points]
        values = [value for _, value in points]
        if not points or any(b <= a for a, b in itertools.pairwise(frames)):
            raise ConfigError(
                f"{name}: expected at least one [frame, value] pair and growing frames, found {list(points)}."
            )
        if kind == "exponential" and len(points) > 1 and min(values) <= 0:
            raise ConfigError(f"{name}: an exponential schedule needs positive values, found {min(values)}.")
        self._frames, self._values, self._kind = frames, values, kind

    def __call__(self, frame: float) -> float:
        """Return the value after ``frame`` frames."""
        later = next((i for i, start in enumerate(self._frames) if frame < start), len(self._frames))
        if later == 0:
            return self._values[0]
        if later == len(self._frames) or self._kind == "staircase":
            return self._values[later - 1]
        share = (frame - self._frames[later - 1]) / (self._frames[later] - self._frames[later - 1])
        begin, end = self._values[later - 1], self._values[later]
        if self._kind == "linear":
            return begin + (end - begin) * share
        return begin * math.exp(-math.log(begin / end) * share)
