"""Where to drive and how fast, before anything was driven: road width, smooth line, speed that the bends allow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.band import pull_tight
from trackmaster.expert.route import SPACING_M, Route
from trackmaster.track import Material, Track

F64 = NDArray[np.float64]

KNOT_M = 8.0
"""Distance between two points at which line and speed are chosen; in between both are interpolated."""

EDGE_M = 1.0
"""The smooth line keeps this far away from where the room ends."""

CAR_HALF_WIDTH_M = 1.0
"""Nothing of the car shall be further out than this from its origin when it runs along an edge."""

MAX_SPEED_MPS = 150.0
"""Speed that no bend limits."""

_GATE_POST_M = 2.0
_MOMENTUM = 0.98
_PROBE_ABOVE_M = 3.0
_PROBE_STEP_M = 0.5
_PROBE_REACH_M = 18.0
_STEP_HEIGHT_M = 0.12
GRIPPY = (
    Material.CONCRETE, Material.PAVEMENT, Material.METAL, Material.RUBBER, Material.ASPHALT, Material.TURBO,
    Material.TURBO_RED, Material.TURBO_ROULETTE, Material.DIRT, Material.DIRT_ROAD)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Corridor:
    """Room to both sides of a route and a smooth line inside, one value per knot.

    Attributes:
        knots_m: (K,) arc lengths.
        left_m: (K,) furthest offset of the car's origin to the left, >= 0.
        right_m: (K,) the same to the right, <= 0.
        smooth_m: (K,) offsets of a line with little bending.
        curvature: (K,) 1/m along that line, + = to the left.
    """

    knots_m: F64
    left_m: F64
    right_m: F64
    smooth_m: F64
    curvature: F64

    def speed_mps(self, grip_mps2: float, braking_mps2: float) -> F64:
        """Return the speed (K,) at which bends need ``grip_mps2`` sideways and every bend can be braked for."""
        limit = np.sqrt(grip_mps2 / np.maximum(np.abs(self.curvature), grip_mps2 / MAX_SPEED_MPS**2))
        for k in range(len(limit) - 2, -1, -1):
            reach = np.sqrt(limit[k + 1] ** 2 + 2.0 * braking_mps2 * (self.knots_m[k + 1] - self.knots_m[k]))
            limit[k] = min(limit[k], reach)
        speed: F64 = limit
        return speed


def build_corridor(track: Track, route: Route) -> Corridor:
    """Measure the road on the track's own triangles and lay the smooth line into it."""
    knots = np.arange(0.0, route.length_m, KNOT_M)
    left, right = _through_gates(track, route, knots, *_room(track, route, knots))
    smooth = _smoothest(route, knots, left, right)
    return Corridor(knots, left, right, smooth, _curvature(route.at(knots, smooth)))


def find_way(track: Track) -> tuple[Route, Corridor]:
    """Return the route of a track and the room along it.

    The middle of the blocks says little where platforms are wide: if the room is larger than what is measured, the
    route is pulled tight first.

    Raises:
        TrackError: no connected road leads over all checkpoints to the finish.
    """
    route = Route.of_track(track)
    corridor = build_corridor(track, route)
    widest = _PROBE_REACH_M - CAR_HALF_WIDTH_M
    if max(corridor.left_m.max(), -corridor.right_m.min()) >= widest:
        route = Route.along(pull_tight(track, route, GRIPPY), track.triggers)
        corridor = build_corridor(track, route)
    return route, corridor


def _room(track: Track, route: Route, knots: F64) -> tuple[F64, F64]:
    """Return how far the even, grippy surface under the line reaches to the left and to the right of each knot."""
    offsets = np.arange(-_PROBE_REACH_M, _PROBE_REACH_M + 1e-9, _PROBE_STEP_M)
    s, o = np.repeat(knots, len(offsets)), np.tile(offsets, len(knots))
    xz = route.at(s, o)
    index = np.minimum((s / SPACING_M).astype(np.int64), len(route.points_m) - 1)
    rays = np.stack([xz[:, 0], route.points_m[index, 1] + _PROBE_ABOVE_M, xz[:, 1]], axis=1)
    height, triangle = track.mesh.ground_below(rays)
    good = (triangle >= 0) & np.isin(track.mesh.material[triangle], GRIPPY)
    height, good = height.reshape(len(knots), -1), good.reshape(len(knots), -1)
    middle = len(offsets) // 2
    even = np.abs(np.diff(height, axis=1)) <= _STEP_HEIGHT_M
    left = np.array([_run(g[middle:], e[middle:]) for g, e in zip(good, even, strict=True)])
    right = np.array([_run(g[middle::-1], e[middle - 1 :: -1]) for g, e in zip(good, even, strict=True)])
    left, right = (np.maximum(side * _PROBE_STEP_M - CAR_HALF_WIDTH_M, 0.0) for side in (left, right))
    inside = knots <= route.finish_m + 2 * KNOT_M  # nothing is known behind the last block: stay in the middle
    return np.where(inside, left, 2.0), np.where(inside, -right, -2.0)


def _through_gates(track: Track, route: Route, knots: F64, left: F64, right: F64) -> tuple[F64, F64]:
    """Return the room narrowed around gates, so that no line inside leads past one."""
    left, right = left.copy(), right.copy()
    for gate_m in (*route.gates_m, route.finish_m):
        behind = route.points_m[min(int(gate_m / SPACING_M) + 2, len(route.points_m) - 1)]
        for trigger in track.triggers:
            if trigger.contains(behind)[0]:
                near = np.abs(knots - gate_m) <= KNOT_M
                middle = (trigger.center_m - behind)[[0, 2]] @ route.left[int(gate_m / SPACING_M)]
                half = trigger.half_size_m[0] - _GATE_POST_M
                left[near] = np.clip(middle + half, 0.0, left[near])
                right[near] = np.clip(middle - half, right[near], 0.0)
    return left, right


def _run(good: NDArray[np.bool_], even: NDArray[np.bool_]) -> int:
    """Steps from the middle outwards until the surface ends, changes or jumps."""
    usable = good[1:] & even[: len(good) - 1]
    return int(np.argmin(usable)) if not usable.all() else len(usable)


def _smoothest(route: Route, knots: F64, left: F64, right: F64, sweeps: int = 4_000) -> F64:
    """Return the offsets of a line of little bending: gradient steps with momentum, kept inside the road."""
    offset = before = np.zeros(len(knots))
    normal = route.at(knots, np.ones(len(knots))) - route.at(knots, offset)
    low, high = right + EDGE_M, left - EDGE_M
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    for _ in range(sweeps):
        points = route.at(knots, offset)
        bend = np.zeros_like(points)
        bend[1:-1] = points[2:] - 2 * points[1:-1] + points[:-2]
        force = np.zeros_like(points)
        force[1:-1] = bend[2:] - 2 * bend[1:-1] + bend[:-2]
        push = -0.02 * (force * normal).sum(axis=1)
        push[[0, 1, -2, -1]] = 0.0
        moved = np.clip(offset + _MOMENTUM * (offset - before) + push, low, high)
        before, offset = offset, moved
    return offset


def _curvature(points: F64) -> F64:
    """Return the curvature (K,) of a polyline through its triples of points, + = to the left, smoothed a little."""
    curvature = np.zeros(len(points))
    a, b = points[1:-1] - points[:-2], points[2:] - points[1:-1]
    c = points[2:] - points[:-2]
    la, lb, lc = (np.sqrt((side**2).sum(axis=1)) for side in (a, b, c))
    # In the x-z plane with y up, a left turn has a positive z1*x2 - x1*z2.
    curvature[1:-1] = 2.0 * (a[:, 1] * b[:, 0] - a[:, 0] * b[:, 1]) / np.maximum(la * lb * lc, 1e-9)
    padded = np.pad(curvature, 1, mode="edge")
    smoothed: F64 = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return smoothed
