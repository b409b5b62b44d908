"""The line that an exploration follows for the time being: where a car is on it, and where its gates are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.track import Track, Trigger, TriggerKind, ZoneMap, gate_points, line_from_path
from trackmaster.track.route import Course
from trackmaster.track.ways import length_m

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
B1 = NDArray[np.bool_]

REACH_M = 40.0
"""A car further from the line than this has lost its way."""

BELOW_M = 10.0
"""So has one that is this much lower; flights sag below the straight line over a gap."""

FALLEN_M = 6.0
"""So has one that is this much lower where the line leads over a pipe, a wall or a loop: it fell off. And so has one
that comes from anywhere: what is a level lower is another road."""

GATE_ZONES = 20
"""So has one that is this many zones behind a gate that it did not pass."""

ZONE_M = 0.5
"""Length of a zone."""

_COARSE_ZONES = 4
_BACKWARDS_M = 30.0


@dataclass(frozen=True, eq=False)
class _Leg:
    """Zones between two gates of the line, and the trigger bits of the lap that are set there."""

    first: int
    last: int
    taken: int


class Guide:
    """A line from the start to the finish: a drive so far, then a course over the blocks.

    Attributes:
        zones: the line.
        course: the planned rest.
    """

    def __init__(self, track: Track, driven_m: F64, course: Course) -> None:
        """Join both parts.

        Args:
            track: gives the gates.
            driven_m: (P, 3) where a car came from the start to the beginning of the course; may be empty.
            course: the way from there.
        """
        self.course = course
        path = np.concatenate([driven_m, course.points_m])
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        path = path[np.concatenate([[True], steps > 1e-3])]
        self.zones = ZoneMap(
            line_from_path(path, map_uid=track.uid).points_m, gate_points([placed.block for placed in track.blocks])
        )
        self._driven_m = float(steps[: len(driven_m)].sum()) if len(driven_m) else 0.0
        self._below_m = self._limits_below()
        until_finish = self.zones.centers[: self.zones.finish_idx + 1]
        self._legs = _legs(until_finish, track.triggers, track.n_checkpoints)
        self._last = np.array([leg.last for leg in self._legs])

    @property
    def way_m(self) -> float:
        """Length of the whole line."""
        return self.zones.true_finish_m - self.zones.start_m

    def is_near(self, zone: I32, position_m: NDArray[np.floating], gates: NDArray[np.integer]) -> B1:
        """Return which cars (n,) are on the way: beside the line, not far below it, and without a gate left out."""
        off = position_m - self.zones.centers[zone]
        last = self._last[np.minimum(gates, len(self._last) - 1)]
        near: B1 = (np.linalg.norm(off, axis=1) < REACH_M) & (off[:, 1] > -self._below_m[zone])
        near &= zone <= last + GATE_ZONES
        return near

    def _limits_below(self) -> F64:
        """Return for each zone how far below the line a car may be."""
        limits = np.full(len(self.zones.centers), BELOW_M)
        begin_m = self._driven_m
        for way in self.course.ways:
            end_m = begin_m + length_m(way.points_m)
            if way.is_on_sheet:
                limits[self._zone_at(begin_m) : self._zone_at(end_m) + 1] = FALLEN_M
            begin_m = end_m
        return limits

    def _zone_at(self, done_m: float) -> int:
        return min(self.zones.start_idx + int(done_m / ZONE_M), len(self.zones.centers) - 2)

    def locate(self, position_m: F64, heading: F64, gates: I64, taken: list[int]) -> tuple[I32, B1]:
        """Return the zones (n,) nearest to cars that come from anywhere, and which of the cars are on the way."""
        zone = np.full(len(position_m), self.zones.start_idx, np.int64)
        fits = np.array([g < len(self._legs) and self._legs[g].taken == t for g, t in zip(gates, taken, strict=True)])
        directions = np.gradient(self.zones.centers, axis=0)
        for number, leg in enumerate(self._legs):
            cars = np.flatnonzero(fits & (gates == number))
            numbers = np.arange(leg.first, leg.last + 1, _COARSE_ZONES)
            if len(cars) and len(numbers):
                apart = np.linalg.norm(position_m[cars, None] - self.zones.centers[numbers], axis=2)
                apart += _BACKWARDS_M * (heading[cars] @ directions[numbers].T < 0)
                zone[cars] = numbers[apart.argmin(axis=1)]
        zone32 = zone.astype(np.int32)
        fits &= position_m[:, 1] - self.zones.centers[zone, 1] > -FALLEN_M
        return zone32, fits & self.is_near(zone32, position_m, gates)

    def hard_places(self, progress_m: float) -> list[tuple[F64, F64]]:
        """Return positions and directions of the line at a progress that nobody gets beyond, and behind it."""
        along_m = progress_m - self.zones.start_m - self._driven_m
        lengths = np.cumsum([length_m(way.points_m) for way in self.course.ways])
        number = int(np.clip(np.searchsorted(lengths, along_m), 0, len(lengths) - 1))
        points = self.course.ways[number].points_m
        zone = self._zone_at(progress_m - self.zones.start_m)
        here = self.zones.centers[zone]
        return [
            (here, _unit(self.zones.centers[zone + 1] - here)),
            (points[-1], _unit(points[-1] - points[-2])),
        ]


def _unit(vector: F64) -> F64:
    unit: F64 = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit


def _legs(centers: F64, triggers: tuple[Trigger, ...], n_checkpoints: int) -> list[_Leg]:
    """Return the parts of a line between the gates that count on it, in the order of driving."""
    entries = []
    for number, trigger in enumerate(triggers):
        inside = trigger.contains(centers)
        entries += [(int(zone), number) for zone in np.flatnonzero(inside[1:] & ~inside[:-1]) + 1]
    legs: list[_Leg] = []
    first, taken = 1, 0
    for zone, number in sorted(entries):
        if triggers[number].kind is TriggerKind.FINISH:
            if taken.bit_count() < n_checkpoints:
                continue
            following = 0
        elif taken >> number & 1:
            continue
        else:
            following = taken | 1 << number
        legs.append(_Leg(first, zone, taken))
        first, taken = zone, following
    return [*legs, _Leg(first, len(centers) - 1, taken)]
