"""A driver with a plan: follows a line at a planned speed with the keyboard, whole batches of cars at a time.

The plan (offsets and speeds along the track, a few gains) is what the search changes; the driver itself reacts to what
the car does, so a plan that is a little wrong still ends at the finish. Only sums, products, quotients and square roots
are used: they round alike on every machine, and so the drives come out the same everywhere.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.route import Route

if TYPE_CHECKING:
    from trackmaster.sim import CarView

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_SLOW_MPS = 3.0
_STEER_LIMIT = 1.5


@dataclass(frozen=True, eq=False)
class Plans:
    """What N drivers mean to do; every array has one row per driver.

    Attributes:
        knots_m: (K,) arc lengths of the columns of ``offset_m`` and ``speed_mps``.
        offset_m: (N, K) where to drive, to the left of the centre line.
        speed_mps: (N, K) gas is lifted above this speed.
        look_base_m: (N,) distance of the point that is aimed at, at standstill.
        look_s: (N,) the same, per speed.
        follow: (N,) how much of the turn rate that leads to the aimed point is steered.
        damp_s: (N,) how strongly an unwanted turn rate is steered against.
        dead: (N,) share of full lock that has to add up before a key is pressed.
        brake_margin_mps: (N,) the brake is pressed this much above the planned speed.
    """

    knots_m: F64
    offset_m: F64
    speed_mps: F64
    look_base_m: F64
    look_s: F64
    follow: F64
    damp_s: F64
    dead: F64
    brake_margin_mps: F64

    def __len__(self) -> int:
        return len(self.offset_m)

    def take(self, rows: I64) -> "Plans":
        """Return the plans of the given drivers."""
        picked = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "knots_m"}
        return Plans(self.knots_m, **picked)


@dataclass(frozen=True, eq=False)
class Keys:
    """Inputs of N cars for one decision, float32 (N,): ``steer`` -1, 0 or 1 (+ = right), ``gas``, ``brake`` 0 or 1."""

    steer: NDArray[np.float32]
    gas: NDArray[np.float32]
    brake: NDArray[np.float32]


class LineDriver:
    """Drives N cars after N plans; holds what a driver remembers between two decisions."""

    def __init__(self, route: Route, plans: Plans) -> None:
        self._route = route
        self._plans = plans
        self._rows = np.arange(len(plans))
        self._owed = np.zeros(len(plans))  # steering that was wanted but not yet pressed
        self.point = np.zeros(len(plans), np.int64)
        self.s_m = np.zeros(len(plans))
        self.offset_m = np.zeros(len(plans))

    def memory(self) -> tuple[F64, I64]:
        """Return what the driver remembers, to be given back to ``recall`` when the world is restored."""
        return self._owed.copy(), self.point.copy()

    def recall(self, memory: tuple[F64, I64]) -> None:
        """Go back to what was remembered."""
        self._owed, self.point = memory[0].copy(), memory[1].copy()

    def locate(self, view: "CarView") -> None:
        """Update where the cars are along the route (``s_m``, ``offset_m``)."""
        position = view.position_m[:, [0, 2]].astype(np.float64)
        self.s_m, self.offset_m, self.point = self._route.project(position, self.point)

    def decide(self, view: "CarView") -> Keys:
        """Return the keys for the next decision; ``locate`` comes first."""
        plans = self._plans
        position = view.position_m[:, [0, 2]].astype(np.float64)
        velocity = view.velocity_mps[:, [0, 2]].astype(np.float64)
        nose = view.rotation[:, [0, 2], 2].astype(np.float64)
        turn = view.angular_velocity_radps[:, 1].astype(np.float64)

        speed = np.sqrt((velocity**2).sum(axis=1))
        along = np.where((speed > _SLOW_MPS)[:, None], velocity / np.maximum(speed, 1e-9)[:, None], nose)
        ahead_m = plans.look_base_m + plans.look_s * speed
        aim = self._route.at(self.s_m + ahead_m, self._at(plans.offset_m, self.s_m + ahead_m)) - position
        distance_squared = np.maximum((aim**2).sum(axis=1), 1.0)
        aside = aim[:, 0] * along[:, 1] - aim[:, 1] * along[:, 0]  # to the left of the direction of travel
        wanted_turn = 2.0 * speed * aside / distance_squared

        left = plans.follow * wanted_turn + plans.damp_s * (wanted_turn - turn)
        self._owed = np.clip(self._owed + np.clip(left, -_STEER_LIMIT, _STEER_LIMIT), -_STEER_LIMIT, _STEER_LIMIT)
        key = np.where(self._owed > plans.dead, 1.0, np.where(self._owed < -plans.dead, -1.0, 0.0))
        self._owed -= key

        over = speed - self._at(plans.speed_mps, self.s_m)
        brake = over > plans.brake_margin_mps
        return Keys((-key).astype(np.float32), (over <= 0).astype(np.float32), brake.astype(np.float32))

    def _at(self, table: F64, s_m: F64) -> F64:
        """Interpolate one value per driver from its row of ``table`` at its own arc length."""
        knots = self._plans.knots_m
        scaled = np.clip((s_m - knots[0]) / (knots[1] - knots[0]), 0.0, len(knots) - 1.000001)
        index = scaled.astype(np.int64)
        low = table[self._rows, index]
        value: F64 = low + (scaled - index) * (table[self._rows, index + 1] - low)
        return value
