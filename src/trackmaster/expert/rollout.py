"""Driving a batch of plans on the simulator, and what the search has to know about each drive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.driver import Keys, LineDriver, Plans
from trackmaster.expert.route import Route
from trackmaster.gbx.timeline import ACCELERATE, BRAKE, LEFT, RIGHT
from trackmaster.sim import World
from trackmaster.units import ACTION_MS, TICK_MS, TICKS_PER_ACTION

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Drives:
    """What N drives did.

    Attributes:
        keys: uint8 (N, D) key bits of each decision; decision d acts on the five ticks that start at 10 + 50 d.
        race_time_ms: (N,) -1 for a drive that did not finish.
        passage_s: (N, S) time in seconds at each station of the route, infinite where it was not reached.
        reached_m: (N,) furthest arc length.
    """

    keys: U8
    race_time_ms: NDArray[np.int64]
    passage_s: F64
    reached_m: F64

    def __len__(self) -> int:
        return len(self.keys)

    def cost_s(self) -> F64:
        """Return one number per drive that sorts them: time at the finish, or a day minus progress."""
        at_finish = self.passage_s[:, -1]
        return np.where(self.race_time_ms >= 0, at_finish, 86_400.0 - self.reached_m)

    def decisions(self, row: int) -> U8:
        """Return the keys of one finished drive up to and including the decision in which it finished."""
        count = (int(self.race_time_ms[row]) - TICK_MS) // ACTION_MS + 1
        return self.keys[row, :count].copy()


def stations(route: Route, spacing_m: float) -> F64:
    """Return the arc lengths at which passages are timed; the last one is the finish."""
    return np.append(np.arange(spacing_m, route.finish_m - spacing_m / 2, spacing_m), route.finish_m)


def drive(world: World, route: Route, plans: Plans, stations_m: F64, limit_ms: int) -> Drives:
    """Drive every plan from the start until all have finished or ``limit_ms`` is over.

    The first tick is driven without keys, as an agent's first decision also comes after it.

    Args:
        world: as many cars as there are plans, all on the route's track.
        route: centre line of that track.
        plans: one per car.
        stations_m: (S,) see :func:`stations`.
        limit_ms: race time after which nobody is waited for.
    """
    count = len(plans)
    driver = LineDriver(route, plans)
    watch = _Stopwatch(count, stations_m)
    none = np.zeros(count, np.float32)
    world.reset()
    world.step(none, none, none, ticks=1)
    record = np.zeros((count, (limit_ms - TICK_MS) // ACTION_MS + 1), np.uint8)
    for step in range(record.shape[1]):
        driver.locate(world.view)
        watch.note(driver.s_m, step * ACTION_MS + TICK_MS, world.view.race_time_ms)
        if (world.view.race_time_ms >= 0).all():
            break
        keys = driver.decide(world.view)
        record[:, step] = bits_of(keys)
        world.step(keys.steer, keys.gas, keys.brake, ticks=TICKS_PER_ACTION)
    return Drives(record, world.view.race_time_ms.astype(np.int64), watch.passage_s, watch.reached_m)


def bits_of(keys: Keys) -> U8:
    """Return the key bits of inputs."""
    bits = ACCELERATE * (keys.gas > 0) + BRAKE * (keys.brake > 0) + LEFT * (keys.steer < 0) + RIGHT * (keys.steer > 0)
    packed: U8 = bits.astype(np.uint8)
    return packed


def keys_of(bits: U8) -> Keys:
    """Return the inputs that key bits mean; left wins over right, as in the game."""
    left, right = (bits & LEFT) > 0, (bits & RIGHT) > 0
    steer = np.where(left, -1.0, np.where(right, 1.0, 0.0))
    gas, brake = (bits & ACCELERATE) > 0, (bits & BRAKE) > 0
    return Keys(steer.astype(np.float32), gas.astype(np.float32), brake.astype(np.float32))


class _Stopwatch:
    """Times at which cars pass stations, interpolated between two decisions."""

    def __init__(self, count: int, stations_m: F64) -> None:
        self._stations = stations_m
        self._next = np.zeros(count, np.int64)
        self._rows = np.arange(count)
        self._before_m = np.zeros(count)
        self.passage_s = np.full((count, len(stations_m)), np.inf)
        self.reached_m = np.zeros(count)

    def note(self, s_m: F64, time_ms: int, race_time_ms: NDArray[np.int32]) -> None:
        """Take the cars' places at ``time_ms``; the finish only counts for a car whose race is over."""
        last = len(self._stations) - 1
        while True:
            goal = self._stations[np.minimum(self._next, last)]
            passed = (self._next <= last) & (s_m >= goal) & ((self._next < last) | (race_time_ms >= 0))
            if not passed.any():
                break
            part = (s_m - goal) / np.maximum(s_m - self._before_m, 1e-6)
            at = 1e-3 * (time_ms - ACTION_MS * np.minimum(part, 1.0))
            rows = self._rows[passed]
            self.passage_s[rows, self._next[passed]] = at[passed]
            self._next[passed] += 1
        self._before_m = s_m
        self.reached_m = np.clip(s_m, self.reached_m, self._stations[-1])
