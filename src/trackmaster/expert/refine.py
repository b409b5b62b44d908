"""Making a drive faster than its plan: tries of changed key presses, each continued by the plan's driver.

At every point of the run many short changes of the keys are driven into the future. What the change was worth is seen
after some more seconds in which the driver goes on by plan, so a gain that ruins the next bend is no gain. The best try
is kept for a few decisions, then the next point follows: a receding horizon with the driver as its end.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.driver import Keys, LineDriver
from trackmaster.expert.pace import Pace, speed_of
from trackmaster.expert.rollout import bits_of, keys_of
from trackmaster.expert.route import Route
from trackmaster.expert.search import Found
from trackmaster.gbx.timeline import ACCELERATE, BRAKE, LEFT, RIGHT
from trackmaster.sim import CarView, World, WorldState
from trackmaster.units import ACTION_MS, TICK_MS, TICKS_PER_ACTION

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

_STEERING = np.array([0, LEFT, RIGHT], np.uint8)
_PEDALS = np.array([ACCELERATE, ACCELERATE, 0, BRAKE, ACCELERATE | BRAKE], np.uint8)
_STEERING_BITS = LEFT | RIGHT

_FALLEN_M = 4.0
"""A car this far below the route has left the track (blocks lie 8 m above each other)."""

_GATE_SLACK_M = 3.0
"""A gate this far behind a car must have been counted, or the car drove past it."""


@dataclass(frozen=True)
class Refinement:
    """How hard to look for improvements.

    Attributes:
        seed: of all random draws.
        changed: decisions that a try may change (50 ms each).
        horizon: decisions that a try lasts in all.
        keep: decisions kept of the best try.
        rounds: batches of tries per point; later ones change the best of the earlier ones.
    """

    seed: int = 0
    changed: int = 12
    horizon: int = 40
    keep: int = 4
    rounds: int = 2


@dataclass(frozen=True, eq=False)
class _Tries:
    keys: U8  # (N, horizon)
    cost_s: F64  # (N,)


class Refiner:
    """Refines one found drive on a world whose cars are the tries."""

    def __init__(self, world: World, route: Route, found: Found, settings: Refinement) -> None:
        self._world, self._found, self._settings = world, found, settings
        self._n = world.n_cars
        self._pace = Pace.of_drive(world, found.keys, found.race_time_ms)
        self._point = np.zeros(self._n, np.int64)  # where the cars are along the measure's path
        self._random = np.random.default_rng(settings.seed)
        self._driver = LineDriver(route, found.plan.take(np.zeros(self._n, np.int64)))

    def run(self, report: Callable[[str], None] = lambda _: None) -> Found:
        """Return the drive after refinement, or the old one if it was faster or the tries lost their way."""
        view, none = self._world.view, np.zeros(self._n, np.float32)
        self._world.reset()
        self._world.step(none, none, none, ticks=1)
        kept: list[int] = []
        guess: U8 | None = None
        limit = 2 * len(self._found.keys) + 40
        while view.race_time_ms[0] < 0 and len(kept) < limit:
            best = self._look_around(guess)
            if best is None:
                break
            for bits in best[: self._settings.keep]:
                self._driver.locate(view)
                self._driver.decide(view)  # as in the try: its memory must be the same, or it would go on differently
                self._place_m(view)
                self._press(keys_of(np.full(self._n, bits, np.uint8)))
                kept.append(int(bits))
                if view.race_time_ms[0] >= 0:
                    break
            guess = best[self._settings.keep :]
        time_ms = int(view.race_time_ms[0])
        if time_ms < 0:
            report(f"refining lost the way to the finish after {len(kept) * ACTION_MS} ms: the plan's drive is kept")
        if not 0 <= time_ms < self._found.race_time_ms:
            return self._found
        report(f"refined from {self._found.race_time_ms} ms to {time_ms} ms")
        count = (time_ms - TICK_MS) // ACTION_MS + 1
        return replace(self._found, keys=np.array(kept[:count], np.uint8), race_time_ms=time_ms)

    def _look_around(self, guess: U8 | None) -> U8 | None:
        """Return the best keys (horizon,) from here on, None if every try leaves the track.

        The world and the driver are put back to where they were.
        """
        here, memory = self._world.snapshot(), (self._driver.memory(), self._point.copy())
        if guess is None:
            guess = self._drive(None).keys[0]
            self._go_back(here, memory)
        parents = guess[None, : self._settings.changed]
        best_keys, best_cost = None, np.inf
        for _ in range(self._settings.rounds):
            tries = self._drive(self._changes(parents))
            order = np.argsort(tries.cost_s, kind="stable")[:8]
            if tries.cost_s[order[0]] < best_cost:
                best_cost, best_keys = float(tries.cost_s[order[0]]), tries.keys[order[0]]
            parents = tries.keys[order, : self._settings.changed]
            self._go_back(here, memory)
        return best_keys

    def _go_back(self, here: WorldState, memory: tuple[tuple[F64, I64], I64]) -> None:
        self._world.restore(here)
        self._driver.recall(memory[0])
        self._point = memory[1].copy()

    def _changes(self, parents: U8) -> U8:
        """Return changed copies (N, changed) of the parents (P, changed), which stand unchanged in the rows from 1 on.

        Row 0 is not used: there the driver goes by plan. The unchanged rows make sure that nothing good is lost.
        """
        draw, width = self._random, parents.shape[1]
        keys = parents[np.arange(-1, self._n - 1) % len(parents)].copy()
        for row in range(len(parents) + 1, self._n):
            for _ in range(int(draw.integers(1, 4))):
                begin, length = int(draw.integers(width)), int(draw.integers(1, 7))
                part = keys[row, begin : begin + length]
                if draw.random() < 0.65:
                    part[:] = (part & ~np.uint8(_STEERING_BITS)) | _STEERING[draw.integers(len(_STEERING))]
                else:
                    part[:] = (part & np.uint8(_STEERING_BITS)) | _PEDALS[draw.integers(len(_PEDALS))]
        return keys

    def _drive(self, given: U8 | None) -> _Tries:
        """Drive the given keys, then the plan; row 0 goes by plan from the start."""
        settings, view = self._settings, self._world.view
        keys = np.zeros((self._n, settings.horizon), np.uint8)
        finish_s = np.full(self._n, np.inf)
        before = np.zeros(self._n)
        for step in range(settings.horizon):
            self._driver.locate(view)
            before = self._place_m(view)
            bits = bits_of(self._driver.decide(view))
            if given is not None and step < given.shape[1]:
                bits[1:] = given[1:, step]
            keys[:, step] = bits
            running = view.race_time_ms < 0
            self._press(keys_of(bits))
            finish_s = np.where(running & (view.race_time_ms >= 0), self._crossing_s(before, view), finish_s)
        return _Tries(keys, -self._lead_s(view, finish_s))

    def _place_m(self, view: CarView) -> F64:
        position = view.position_m[:, [0, 2]].astype(np.float64)
        place, _, self._point = self._pace.route.project(position, self._point)
        return place

    def _crossing_s(self, before_m: F64, view: CarView) -> F64:
        """Return when cars (N,) that finished in the last decision crossed the line, between the ticks."""
        step_m = np.maximum(self._place_m(view) - before_m, 1e-3)
        part = np.clip((self._pace.route.finish_m - before_m) / step_m, 0.0, 1.0)
        return 1e-3 * (view.time_ms - ACTION_MS * (1.0 - part))

    def _lead_s(self, view: CarView, finish_s: F64) -> F64:
        """Return the lead over the drive that is refined; minus infinity for who fell off or missed a gate."""
        place = self._place_m(view)
        due = np.searchsorted(self._pace.route.gates_m, place - _GATE_SLACK_M)
        surface_m = self._pace.route.points_m[self._point, 1]
        is_on_track = (view.cp_count >= due) & (view.position_m[:, 1] > surface_m - _FALLEN_M)
        lead = self._pace.lead_s(place, 1e-3 * view.time_ms.astype(np.float64), speed_of(view))
        lead = np.where(is_on_track & (place < self._pace.route.finish_m), lead, -np.inf)
        return np.where(np.isfinite(finish_s), self._pace.time_s[-1] - finish_s, lead)

    def _press(self, keys: Keys) -> None:
        self._world.step(keys.steer, keys.gas, keys.brake, ticks=TICKS_PER_ACTION)
