"""A drive as the measure of others: how many seconds ahead of it a car is at any place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.rollout import keys_of
from trackmaster.expert.route import Route
from trackmaster.sim import World
from trackmaster.units import ACTION_MS, TICKS_PER_ACTION

if TYPE_CHECKING:
    from trackmaster.sim import CarView

F64 = NDArray[np.float64]

_CARRY_M = 30.0
"""A higher speed than that of the measure counts as the time it saves over this distance."""

_SLOW_MPS = 2.0


@dataclass(frozen=True, eq=False)
class Pace:
    """Place, time and speed of a finished drive.

    Attributes:
        route: the driven path as a route: progress along it is not distorted by the inside of bends.
        marks_m: (D,) arc lengths at the decisions, the finish last.
        time_s: (D,) race times there.
        speed_mps: (D,) speeds there.
    """

    route: Route
    marks_m: F64
    time_s: F64
    speed_mps: F64

    @classmethod
    def of_drive(cls, world: World, keys: NDArray[np.uint8], race_time_ms: int) -> "Pace":
        """Drive finished keys (D,) with all cars of a world and take the first car's pace; ``world`` is left there."""
        view, none = world.view, np.zeros(world.n_cars, np.float32)
        world.reset()
        world.step(none, none, none, ticks=1)
        path, time_s, speed = [], [], []
        for bits in (*keys, np.uint8(0)):
            path.append(view.position_m[0].astype(np.float64))
            time_s.append(min(1e-3 * int(view.time_ms[0]), 1e-3 * race_time_ms))
            speed.append(float(speed_of(view)[0]))
            inputs = keys_of(np.full(world.n_cars, bits, np.uint8))
            world.step(inputs.steer, inputs.gas, inputs.brake, ticks=TICKS_PER_ACTION)
        points = np.array(path)
        over_m = speed[-2] * max(0.0, 1e-3 * ACTION_MS - (time_s[-1] - time_s[-2]))  # the last decision ended later
        last = points[-1] - points[-2]
        points[-1] -= last * min(0.9, over_m / max(float(np.sqrt((last**2).sum())), 1e-6))
        marks = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(points[:, 0]), np.diff(points[:, 2])))])
        return cls(Route.along(points, world.tracks[0].triggers), marks, np.array(time_s), np.array(speed))

    def lead_s(self, place_m: F64, time_s: F64, speed_mps: F64) -> F64:
        """Return by how many seconds cars (N,) at these places and times are ahead, speed counted as time."""
        there_s = np.interp(place_m, self.marks_m, self.time_s)
        usual_mps = np.interp(place_m, self.marks_m, self.speed_mps)
        worth_s = _CARRY_M * (1.0 / np.maximum(usual_mps, _SLOW_MPS) - 1.0 / np.maximum(speed_mps, _SLOW_MPS))
        lead: F64 = there_s - time_s + worth_s
        return lead


def speed_of(view: "CarView") -> F64:
    """Return the speed (N,) of all cars."""
    velocity = view.velocity_mps.astype(np.float64)
    speed: F64 = np.sqrt((velocity**2).sum(axis=1))
    return speed
