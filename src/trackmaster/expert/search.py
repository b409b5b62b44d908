"""Finding a fast plan for one track: the cross-entropy method with credit given where it is due.

A whole lap has some hundred numbers, too many to judge by one lap time. But line and speed at one place matter for the
next few seconds only, so every knot of the plan picks its own best drives, by the time they needed around that knot.

Source: cross-entropy method: Rubinstein 1999, "The cross-entropy method for combinatorial and continuous optimization".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.driver import Plans
from trackmaster.expert.errors import ExpertError
from trackmaster.expert.line import KNOT_M, MAX_SPEED_MPS, Corridor
from trackmaster.expert.rollout import Drives, drive, stations
from trackmaster.expert.route import Route
from trackmaster.sim import World

F64 = NDArray[np.float64]

GAINS = ("look_base_m", "look_s", "follow", "damp_s", "dead", "brake_margin_mps")
_LOW = np.array([2.0, 0.08, 0.2, 0.0, 0.3, 0.5])
_HIGH = np.array([12.0, 0.6, 3.0, 1.5, 0.8, 12.0])
_ROOT_OF_GRIP = (3.5, 8.4)
_BRAKING_MPS2 = (6.0, 30.0)
_PATIENCE = 1.12
_SHARE_OF_SMOOTH = (0.3, 1.0)


@dataclass(frozen=True)
class Style:
    """How one expert differs from another.

    Attributes:
        seed: of all random draws.
        generations: how long it practises.
        room: share of the road's width it uses, 0..1.
    """

    seed: int = 0
    generations: int = 20
    room: float = 1.0


@dataclass(frozen=True, eq=False)
class Found:
    """The best drive of a search: its plan (one row), key bits per decision and race time."""

    plan: Plans
    keys: NDArray[np.uint8]
    race_time_ms: int
    history_ms: tuple[int, ...]


class PlanSearch:
    """Searches plans for one track; the world's number of cars is the number of candidates."""

    def __init__(self, world: World, route: Route, corridor: Corridor, style: Style, *, limit_ms: int) -> None:
        self._world, self._route, self._corridor, self._style = world, route, corridor, style
        self._n = world.n_cars
        self._random = np.random.default_rng(style.seed)
        self._stations = stations(route, KNOT_M)
        self._limit_ms = limit_ms
        self._best: Found | None = None
        self._history: list[int] = []

    def run(self, report: Callable[[str], None] = lambda _: None) -> Found:
        """Practise and return the fastest drive.

        Raises:
            ExpertError: nobody finished.
        """
        plans = self._newcomers()
        drives = self._try(plans, report)
        plans, drives = self._copy_best(plans, drives, report)
        center = _Center.around(plans.take(np.argsort(drives.cost_s(), kind="stable")[: max(4, self._n // 16)]))
        for generation in range(self._style.generations):
            done = generation / self._style.generations
            plans = center.sample(self._random, self._n, self._corridor, self._style, done)
            if self._best is not None:
                plans = _with_first(plans, self._best.plan)
            drives = self._try(plans, report)
            center = center.moved(plans, drives, self._stations)
        if self._best is None:
            far = float(drives.reached_m.max())
            raise ExpertError(
                f"No plan reached the finish: the best one came {far:.0f} m of {self._route.finish_m:.0f} m far. "
                "Allow more candidates or generations, or look at the track: can it be driven at all?"
            )
        return replace(self._best, history_ms=tuple(self._history))

    def _try(self, plans: Plans, report: Callable[[str], None]) -> Drives:
        drives = drive(self._world, self._route, plans, self._stations, self._limit_ms)
        finished = drives.race_time_ms >= 0
        if finished.any():
            row = int(np.argmin(drives.cost_s()))
            time_ms = int(drives.race_time_ms[row])
            if self._best is None or time_ms <= self._best.race_time_ms:
                self._best = Found(plans.take(np.array([row])), drives.decisions(row), time_ms, ())
            # Nobody who is much slower than the best can become an elite: do not wait for them.
            self._limit_ms = min(self._limit_ms, int(_PATIENCE * self._best.race_time_ms) // 50 * 50 + 10)
        self._history.append(self._best.race_time_ms if self._best else -1)
        report(f"{finished.mean():4.0%} finish, best {self._history[-1]} ms, furthest {drives.reached_m.max():.0f} m")
        return drives

    def _newcomers(self) -> Plans:
        """Return very different drivers: gains at random, the smooth line more or less, speeds from guessed grip."""
        draw = self._random
        gains = _LOW + draw.random((self._n, len(GAINS))) * (_HIGH - _LOW)
        grip = draw.uniform(*_ROOT_OF_GRIP, self._n) ** 2
        braking = draw.uniform(*_BRAKING_MPS2, self._n)
        speed = np.stack([self._corridor.speed_mps(g, b) for g, b in zip(grip, braking, strict=True)])
        share = draw.uniform(*_SHARE_OF_SMOOTH, self._n)[:, None] * self._style.room
        return _plans(self._corridor.knots_m, share * self._corridor.smooth_m, speed, gains)

    def _copy_best(self, plans: Plans, drives: Drives, report: Callable[[str], None]) -> tuple[Plans, Drives]:
        """Two rounds in which everybody imitates one of the best newcomers and changes the gains a little."""
        for scale in (0.25, 0.12):
            elite = np.argsort(drives.cost_s(), kind="stable")[: max(4, self._n // 12)]
            parents = plans.take(elite[self._random.integers(len(elite), size=self._n)])
            gains = np.stack([getattr(parents, name) for name in GAINS], axis=1)
            gains = np.clip(gains + scale * (_HIGH - _LOW) * self._random.standard_normal(gains.shape), _LOW, _HIGH)
            pace = 1.0 + 0.3 * scale * self._random.standard_normal((self._n, 1))
            speed = np.clip(parents.speed_mps * pace, 4.0, MAX_SPEED_MPS)
            plans = _plans(plans.knots_m, parents.offset_m, speed, gains)
            drives = self._try(plans, report)
        return plans, drives


@dataclass(frozen=True, eq=False)
class _Center:
    """Mean and spread from which plans are drawn: offsets (K,), speeds (K,) and gains (G,)."""

    knots_m: F64
    offset: F64
    speed: F64
    gains: F64
    offset_spread: F64
    speed_spread: F64
    gains_spread: F64

    @classmethod
    def around(cls, plans: Plans) -> "_Center":
        gains = np.stack([getattr(plans, name) for name in GAINS], axis=1)
        count = len(plans.knots_m)
        best = plans.take(np.array([0]))
        return cls(
            plans.knots_m,
            best.offset_m[0],
            best.speed_mps[0],
            gains[0],
            np.full(count, 2.0),
            np.full(count, 0.12),
            np.maximum(gains.std(axis=0), 0.05 * (_HIGH - _LOW)),
        )

    def sample(self, random: np.random.Generator, n: int, corridor: Corridor, style: Style, progress: float) -> Plans:
        """Draw plans; neighbouring knots move together, because a zigzag is never fast."""
        floor = 1.0 - progress
        shape = (n, len(self.knots_m))
        offset = self.offset + np.maximum(self.offset_spread, 0.5 * floor) * _smooth_noise(random, shape)
        offset = np.clip(offset, corridor.right_m * style.room, corridor.left_m * style.room)
        pace = np.maximum(self.speed_spread, 0.03 * floor) * _smooth_noise(random, shape)
        speed = np.clip(self.speed * (1.0 + pace), 4.0, MAX_SPEED_MPS)
        gains = self.gains + self.gains_spread * random.standard_normal((n, len(GAINS)))
        return _plans(self.knots_m, offset, speed, np.clip(gains, _LOW, _HIGH))

    def moved(self, plans: Plans, drives: Drives, stations_m: F64) -> "_Center":
        """Return the centre after every knot has looked at the drives that were best around it."""
        cost = _local_cost(drives, stations_m, self.knots_m)  # (N, K)
        count = max(6, len(plans) // 10)
        order = np.argsort(cost, axis=0, kind="stable")[:count]  # (E, K)
        usable: NDArray[np.bool_] = np.asarray(np.isfinite(np.take_along_axis(cost, order, axis=0)).all(axis=0))
        offset, offset_spread = _refit(self.offset, self.offset_spread, plans.offset_m, order, usable)
        ratio = plans.speed_mps / self.speed
        pace, speed_spread = _refit(np.ones_like(self.speed), self.speed_spread, ratio, order, usable)
        best = np.argsort(drives.cost_s(), kind="stable")[:count]
        gains = np.stack([getattr(plans, name) for name in GAINS], axis=1)[best]
        return replace(
            self,
            offset=offset,
            offset_spread=offset_spread,
            speed=self.speed * pace,
            speed_spread=speed_spread,
            gains=gains.mean(axis=0),
            gains_spread=0.9 * gains.std(axis=0) + 0.01 * (_HIGH - _LOW),
        )


_BEFORE_M = 40.0
_BEHIND_M = 120.0
_WHOLE_LAP = 0.1


def _local_cost(drives: Drives, stations_m: F64, knots_m: F64) -> F64:
    """Return the seconds (N, K) from shortly before each knot to well behind it, plus a little of the whole lap."""
    passage = np.concatenate([np.zeros((len(drives), 1)), drives.passage_s], axis=1)
    marks = np.concatenate([[0.0], stations_m])
    last = len(marks) - 1
    begin = np.clip(np.searchsorted(marks, knots_m - _BEFORE_M), 0, last - 1)
    end = np.clip(np.searchsorted(marks, knots_m + _BEHIND_M), 1, last)
    lap = passage[:, -1:]
    slowest = lap[np.isfinite(lap)].max(initial=0.0)
    lap = np.where(np.isfinite(lap), lap, slowest + 10.0)  # who fails later may still show how to drive here
    with np.errstate(invalid="ignore"):  # a drive that stopped before the window: inf - inf
        cost = passage[:, end] - passage[:, begin] + _WHOLE_LAP * lap
    return np.where(np.isnan(cost), np.inf, cost)


def _refit(mean: F64, spread: F64, values: F64, order: NDArray[np.intp], usable: NDArray[np.bool_]) -> tuple[F64, F64]:
    elite = np.take_along_axis(values, order, axis=0)
    new_mean = 0.3 * mean + 0.7 * elite.mean(axis=0)
    new_spread = 0.4 * spread + 0.6 * elite.std(axis=0)
    return np.where(usable, new_mean, mean), np.where(usable, new_spread, spread)


def _smooth_noise(random: np.random.Generator, shape: tuple[int, int]) -> F64:
    """Return unit normal noise (N, K) whose neighbouring columns are alike."""
    white = random.standard_normal((shape[0], shape[1] + 4))
    weights = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
    mixed = sum(w * white[:, i : i + shape[1]] for i, w in enumerate(weights))
    noise: F64 = mixed / np.sqrt((weights**2).sum())
    return noise


def _plans(knots_m: F64, offset: F64, speed: F64, gains: F64) -> Plans:
    return Plans(knots_m, offset, speed, *(gains[:, i].copy() for i in range(len(GAINS))))


def _with_first(plans: Plans, first: Plans) -> Plans:
    """Return the plans with row 0 replaced by an earlier one, so that the best so far stays in the race."""

    def put(name: str) -> F64:
        table: F64 = getattr(plans, name).copy()
        table[0] = getattr(first, name)[0]
        return table

    return Plans(plans.knots_m, put("offset_m"), put("speed_mps"), *(put(name) for name in GAINS))
