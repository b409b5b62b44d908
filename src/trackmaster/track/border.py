"""How far it is from a car to where the surface it stands on ends, measured on the track's own triangles."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.mesh import F64, TriangleMesh
from trackmaster.track.surface import Material

REACH_M: Final = 16.0
"""Distances are cut off here: on an open platform nothing nearer ends."""
STEP_M: Final = 0.5
"""Distance between two points that are looked at, and thereby the resolution."""

_STEP_HEIGHT_M: Final = 0.12
"""A kerb or a wall is a larger step than this beside the car's own plane."""
_ABOVE_M: Final = 1.5
_CELL_M: Final = 32.0
_KINDS: Final = np.zeros(256, np.uint8)
_KINDS[[Material.GRASS]] = 1
_KINDS[[Material.DIRT, Material.DIRT_ROAD, Material.SAND]] = 2
_KINDS[[Material.WATER]] = 3


def border_distance_m(mesh: TriangleMesh, position_m: F64, rotation: F64) -> F64:
    """Return the distance to the nearer border, to the left or to the right of each car.

    From the car outwards along its lateral axis, every half metre, the surface is looked up that lies below the plane
    of the car. It ends where there is none, where it jumps by more than 0.12 m against that plane, or where another
    kind begins (paved, grass, dirt, water).

    Args:
        mesh: of the map.
        position_m: (N, 3) origins of the cars.
        rotation: (N, 3, 3) car to world.

    Returns:
        (N,) metres up to ``REACH_M``; NaN for a car that has no surface within 1.5 m of its origin, or that leans by
        more than 60 degrees, where left and right say nothing about the road.
    """
    nearer: F64 = side_distances_m(mesh, position_m, rotation).min(axis=1)
    return nearer


def side_distances_m(
    mesh: TriangleMesh,
    position_m: F64,
    rotation: F64,
    *,
    reach_m: float = REACH_M,
    step_m: float = STEP_M,
    drop_m: float = _STEP_HEIGHT_M,
) -> F64:
    """Return the distances to the border on the left and on the right, (N, 2); see ``border_distance_m``.

    Args:
        mesh: of the map.
        position_m: (N, 3) origins of the cars.
        rotation: (N, 3, 3) car to world.
        reach_m: distances are cut off here.
        step_m: distance between two points that are looked at, and thereby the resolution.
        drop_m: a step down to the same kind of surface is no border up to this height (a car drives off a start ramp).
    """
    corners = mesh.vertices[mesh.triangles[mesh.collidable]].astype(np.float64)
    kinds = _KINDS[mesh.material[mesh.collidable]]
    low, high = corners.min(axis=1), corners.max(axis=1)
    found = np.full((len(position_m), 2), np.nan)
    reach: F64 = step_m * np.arange(-round(reach_m / step_m), round(reach_m / step_m) + 1, dtype=np.float64)
    cells = np.floor(position_m[:, [0, 2]] / _CELL_M).astype(np.int64)
    for cell in np.unique(cells, axis=0):
        left_low, right_high = cell * _CELL_M - reach_m, (cell + 1) * _CELL_M + reach_m
        near = np.flatnonzero(np.all((high[:, [0, 2]] >= left_low) & (low[:, [0, 2]] <= right_high), axis=1))
        box = low[near], high[near]
        for car in np.flatnonzero((cells == cell).all(axis=1)):
            found[car] = _one(corners[near], kinds[near], box, (position_m[car], rotation[car]), reach, drop_m)
    return found


def _one(
    corners: F64, kinds: NDArray[np.uint8], box: tuple[F64, F64], pose: tuple[F64, F64], reach: F64, drop_m: float
) -> tuple[float, float]:
    """Return the distances left and right of one car among the triangles around it."""
    position_m, rotation = pose
    lateral, up = rotation[:, 0], rotation[:, 1]
    flat = np.hypot(lateral[0], lateral[2])
    if up[1] < 0.5 or flat < 0.5:
        return float("nan"), float("nan")
    points = position_m + reach[:, None] * (lateral / flat)  # equally far apart as seen from above
    low, high = points.min(axis=0), points.max(axis=0)
    low[1] -= 2 * _ABOVE_M
    high[1] += _ABOVE_M
    near = np.all((box[1] >= low) & (box[0] <= high), axis=1)
    height, kind = _surface_below(corners[near], kinds[near], points)
    above_plane = height - points[:, 1]
    middle = len(reach) // 2
    if not abs(above_plane[middle]) <= _ABOVE_M:
        return float("nan"), float("nan")
    step_m = float(reach[1] - reach[0])
    left, right = slice(middle, None), slice(middle, None, -1)
    return step_m * _steps(kind[left], above_plane[left], drop_m), step_m * _steps(
        kind[right], above_plane[right], drop_m
    )


def _steps(kind: NDArray[np.int64], above_plane: F64, drop_m: float) -> int:
    """Return after how many points, from the car outwards, the surface ends."""
    rise = np.diff(above_plane)
    goes_on = (kind[1:] == kind[:-1]) & (rise <= _STEP_HEIGHT_M) & (rise >= -drop_m)
    return len(goes_on) if goes_on.all() else int(np.argmin(goes_on))


def _surface_below(corners: F64, kinds: NDArray[np.uint8], points: F64) -> tuple[F64, NDArray[np.int64]]:
    """Return height (P,) and kind of the highest upward-facing triangle (F, 3, 3) below points raised by 1.5 m."""
    if not len(corners):
        return np.full(len(points), np.nan), np.full(len(points), -1)
    a, b, c = (corners[:, k] for k in range(3))
    u, v = b - a, c - a
    w = points[:, None] - a  # (P, F, 3)
    up = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]  # y of the normal
    safe = np.where(up > 1e-9, up, 1.0)
    s = (w[..., 2] * v[:, 0] - w[..., 0] * v[:, 2]) / safe
    t = (u[:, 2] * w[..., 0] - u[:, 0] * w[..., 2]) / safe
    height = a[:, 1] + s * u[:, 1] + t * v[:, 1]
    is_below = (up > 1e-9) & (s >= -1e-9) & (t >= -1e-9) & (s + t <= 1 + 1e-9)
    is_below &= height <= points[:, 1, None] + _ABOVE_M
    height = np.where(is_below, height, -np.inf)
    best = height.argmax(axis=1)
    highest = height[np.arange(len(points)), best]
    has_one = np.isfinite(highest)
    return np.where(has_one, highest, np.nan), np.where(has_one, kinds[best].astype(np.int64), -1)
