"""Progress along a reference line: zones, checkpoint ties, metres."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.errors import TrackError
from trackmaster.units import CELL_SIZE_M

if TYPE_CHECKING:
    from trackmaster.gbx import Block

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

POINTS_BEFORE_START = 20
"""Points added before the start; also the zone in which a race begins."""

POINTS_AFTER_FINISH = 1_000
"""Points added behind the finish."""

MAX_DISTANCE_M = (0.25**2 + 45.0**2) ** 0.5
"""A zone is only entered this close to its centre: half of the classic road width of 90 m."""

TIE_DISTANCE_M = 12.0
"""A checkpoint is tied to the nearest centre if that is closer than this, and released when the car is."""

_TIE_MASK = 200
_SMOOTHING = 5
_GATE_NAME = re.compile(r"Checkpoint|StartLine|FinishLine|StartFinishLine")
_RAISED = (("High", 7.0), ("StadiumRoadMainCheckpointRight", 5.0), ("StadiumRoadMainCheckpointLeft", 5.0))


class ZoneMap:
    """A reference line as cars see it: which zone they are in and how many metres they have done.

    All methods take arrays over cars and return arrays over cars.

    Attributes:
        centers: float64 (M, 3), the line with 20 points before the start and 1000 behind the finish, smoothed.
        start_idx: zone in which a race begins.
        finish_idx: zone index that other projects append when a race is finished.
        finish_m: metres that belong to ``finish_idx`` (two zones behind the finish: kept for equal rewards).
        true_finish_m: metres at the finish itself.
    """

    def __init__(self, points_m: F64, gates_m: F64 | None = None) -> None:
        """Extend the line and tie gates to it.

        Args:
            points_m: (N, 3) reference line.
            gates_m: (K, 3) points of :func:`gate_points`; None ties nothing.

        Raises:
            TrackError: fewer than 4 points.
        """
        points = np.asarray(points_m, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) < 4:
            raise TrackError(f"A reference line of shape {points.shape} is unusable, expected (N, 3) with N >= 4.")
        self.centers = _extended(points)
        self.start_idx = POINTS_BEFORE_START
        self.finish_idx = len(self.centers) - POINTS_AFTER_FINISH
        middles = (self.centers[:-1] + self.centers[1:]) / 2
        vectors = np.diff(middles, axis=0)
        self._middles = middles
        self._lengths = np.linalg.norm(vectors, axis=1)
        self._directions = vectors / np.maximum(self._lengths, 1e-12)[:, None]
        self._done_m = np.concatenate([[0.0], np.cumsum(self._lengths)])
        self.finish_m = float(self._done_m[self.finish_idx])
        self.true_finish_m = float(self._done_m[self.finish_idx - 2])
        self._tie = _ties(self.centers, gates_m)

    @property
    def start_m(self) -> float:
        """Metres at the start (not zero: the line begins 20 points earlier)."""
        return float(self._done_m[self.start_idx - 1] + self._lengths[self.start_idx - 1] / 2)

    def start(self, n: int) -> I32:
        """Return the zone indices (n,) of cars at the start."""
        return np.full(n, self.start_idx, np.int32)

    def advance(self, zone_idx: I32, position_m: NDArray[np.floating], *, deck_height_m: float = -np.inf) -> I32:
        """Return the zones of cars that were in ``zone_idx`` (n,) and are now at ``position_m`` (n, 3).

        Cars not above ``deck_height_m`` keep their zone.
        """
        zone = np.array(zone_idx, np.int64)
        p = np.asarray(position_m, np.float64)
        active = np.flatnonzero(p[:, 1] > deck_height_m)
        self._forward(zone, p, active)
        self._backward(zone, p, active)
        return zone.astype(np.int32)

    def follow(self, position_m: NDArray[np.floating]) -> I32:
        """Return the zones (T,) of one car on its way from the start, as ``advance`` finds them tick by tick.

        Plain numbers: arrays of one element would take fifty times as long.

        Args:
            position_m: (T, 3) of the car, one row per tick.
        """
        centers, ties = self.centers.tolist(), self._tie.tolist()
        last = len(centers) - 1 - POINTS_AFTER_FINISH
        zone, found = self.start_idx, []
        for place in (row.tolist() for row in np.asarray(position_m, np.float64)):
            here = _apart(centers[zone], place)
            while zone < last:
                there = _apart(centers[zone + 1], place)
                if not (there <= here and there <= MAX_DISTANCE_M) or _apart(ties[zone], place) > TIE_DISTANCE_M:
                    break
                zone, here = zone + 1, there
            while zone >= 2:
                there = _apart(centers[zone - 1], place)
                if not (there < here and there <= MAX_DISTANCE_M):
                    break
                zone, here = zone - 1, there
            found.append(zone)
        return np.array(found, np.int32)

    def progress_m(self, zone_idx: I32, position_m: NDArray[np.floating]) -> F64:
        """Return the metres (n,) done along the line."""
        before = np.asarray(zone_idx, np.int64) - 1
        ahead = np.asarray(position_m, np.float64) - self._middles[before]
        along = np.sum(ahead * self._directions[before], axis=1)
        done: F64 = self._done_m[before] + np.clip(along, 0.0, self._lengths[before])
        return done

    def directions(self, zone_idx: I32) -> F64:
        """Return the unit vectors (n, 3) along the line in zones (n,)."""
        along: F64 = self._directions[np.asarray(zone_idx, np.int64) - 1]
        return along

    def ahead(self, zone_idx: I32, count: int = 40, every: int = 20) -> F64:
        """Return ``count`` centres (n, count, 3) from the current one on, ``every`` zones apart."""
        wanted = np.asarray(zone_idx, np.int64)[:, None] + every * np.arange(count)
        centers: F64 = self.centers[np.minimum(wanted, len(self.centers) - 1)]
        return centers

    def _forward(self, zone: NDArray[np.int64], p: F64, active: NDArray[np.intp]) -> None:
        last = len(self.centers) - 1 - POINTS_AFTER_FINISH
        while len(active):
            active = active[zone[active] < last]
            i = zone[active]
            here = np.linalg.norm(self.centers[i] - p[active], axis=1)
            there = np.linalg.norm(self.centers[i + 1] - p[active], axis=1)
            active = active[(there <= here) & (there <= MAX_DISTANCE_M) & self._released(i, p[active])]
            zone[active] += 1

    def _backward(self, zone: NDArray[np.int64], p: F64, active: NDArray[np.intp]) -> None:
        while len(active):
            active = active[zone[active] >= 2]
            i = zone[active]
            here = np.linalg.norm(self.centers[i] - p[active], axis=1)
            there = np.linalg.norm(self.centers[i - 1] - p[active], axis=1)
            active = active[(there < here) & (there <= MAX_DISTANCE_M)]
            zone[active] -= 1

    def _released(self, i: NDArray[np.int64], p: F64) -> NDArray[np.bool_]:
        gate = self._tie[i]
        far: NDArray[np.bool_] = np.linalg.norm(gate - p, axis=1) > TIE_DISTANCE_M  # untied centres hold NaN: never far
        return ~far


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return sqrt(x * x + y * y + z * z)


def gate_points(blocks: Sequence[Block]) -> F64:
    """Return the points (K, 3) of a map's start, checkpoint and finish blocks that lines are tied to."""
    points = []
    for block in blocks:
        if not _GATE_NAME.search(block.name):
            continue
        x, y, z = (c * size for c, size in zip((block.x, block.y, block.z), CELL_SIZE_M, strict=True))
        raised = sum(height for part, height in _RAISED if part in block.name)
        points.append((x + CELL_SIZE_M[0] / 2, y + raised, z + CELL_SIZE_M[2] / 2))
    return np.array(points, np.float64).reshape(-1, 3)


def _extended(points: F64) -> F64:
    before = points[0] + (points[0] - points[1]) * np.arange(POINTS_BEFORE_START, 0, -1)[:, None]
    after = points[-1] + (points[-1] - points[-2]) * np.arange(1, POINTS_AFTER_FINISH + 1)[:, None]
    line = np.vstack([before, points, after])
    smooth = line.copy()
    smooth[_SMOOTHING:-_SMOOTHING] = (line[: -2 * _SMOOTHING] + line[2 * _SMOOTHING :]) / 2
    return smooth


def _ties(centers: F64, gates: F64 | None) -> F64:
    """Return for each centre the gate that holds it, NaN where none does."""
    tie = np.full(centers.shape, np.nan)
    for gate in np.zeros((0, 3)) if gates is None else gates:
        distance = np.linalg.norm(centers - gate, axis=1)
        while distance[nearest := int(np.argmin(distance))] < TIE_DISTANCE_M:
            tie[nearest] = gate
            distance[max(0, nearest - _TIE_MASK) : nearest + _TIE_MASK + 1] = np.inf
    return tie
