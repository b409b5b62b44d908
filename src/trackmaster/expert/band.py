"""Pulling a route tight where the ground is wider than a road, like a rubber band between the edges.

The middle of the blocks makes an L over a platform that a driver crosses on a slant.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.route import SPACING_M, Route
from trackmaster.track import Material, Track, Trigger

F64 = NDArray[np.float64]

CELL_M = 2.0
REACH_M = 56.0
"""How far from the route the band may go."""

STEP_M = 8.0
"""Distance of the band's points at first."""

_MARGIN_CELLS = 3
_SWEEPS = 4_000
_ABOVE_M = 3.0
_EVEN_M = 0.5
_POST_M = 4.0
_GATE_REACH_M = 12.0
_FIXED = 4


@dataclass(frozen=True, eq=False)
class _Ground:
    """Which cells of the x-z plane can be driven on at the height of the route, edges left out."""

    origin: F64
    free: NDArray[np.bool_]

    def is_free(self, xz: F64) -> NDArray[np.bool_]:
        cell = ((xz - self.origin) / CELL_M).astype(np.int64)
        inside = np.all((cell >= 0) & (cell < self.free.shape), axis=1)
        cell = np.where(inside[:, None], cell, 0)
        free: NDArray[np.bool_] = inside & self.free[cell[:, 0], cell[:, 1]]
        return free


def pull_tight(track: Track, route: Route, materials: Sequence[Material]) -> F64:
    """Return a path (P, 3) from start to finish that is as short as the drivable ground and the gates allow.

    Args:
        track: gives the ground.
        route: where to begin; the result stays on the same side of every edge.
        materials: on which one may drive.
    """
    ground = _ground(track, route, materials)
    count = max(3 + 2 * _FIXED, int(route.finish_m / STEP_M))
    s = np.linspace(0.0, route.finish_m, count)
    band = route.at(s, np.zeros(count))
    gates = [(np.abs(s - gate_m) <= _GATE_REACH_M, _trigger_at(track, route, gate_m)) for gate_m in route.gates_m]
    for _ in range(_SWEEPS):
        pulled = band.copy()
        pulled[1:-1] = 0.5 * band[1:-1] + 0.25 * (band[:-2] + band[2:])
        for near, trigger in gates:
            pulled[near] = _between_posts(pulled[near], trigger)
        pulled[:_FIXED], pulled[-_FIXED:] = band[:_FIXED], band[-_FIXED:]
        band = np.where(ground.is_free(pulled)[:, None], pulled, band)
    height = np.interp(s, SPACING_M * np.arange(len(route.points_m)), route.points_m[:, 1])
    return np.stack([band[:, 0], height, band[:, 1]], axis=1)


def _trigger_at(track: Track, route: Route, gate_m: float) -> Trigger:
    behind = route.points_m[int(gate_m / SPACING_M) + 1]
    return min(track.triggers, key=lambda trigger: float(((trigger.center_m - behind) ** 2).sum()))


def _between_posts(xz: F64, trigger: Trigger) -> F64:
    """Return the points (k, 2) moved across the gate until they lie between its posts."""
    center, across = trigger.center_m[[0, 2]], trigger.rotation[[0, 2], 0]
    aside = (xz - center) @ across
    limit = trigger.half_size_m[0] - _POST_M
    moved: F64 = xz + (np.clip(aside, -limit, limit) - aside)[:, None] * across
    return moved


def _ground(track: Track, route: Route, materials: Sequence[Material]) -> _Ground:
    """Look straight down on a grid of cells around the route."""
    points = route.points_m[: int(route.finish_m / SPACING_M) + 2]
    low, high = points[:, [0, 2]].min(axis=0) - REACH_M, points[:, [0, 2]].max(axis=0) + REACH_M
    nx, nz = ((high - low) / CELL_M).astype(int) + 1
    cells = np.stack(np.meshgrid(np.arange(nx), np.arange(nz), indexing="ij"), axis=-1).reshape(-1, 2)
    centers = low + (cells + 0.5) * CELL_M
    sparse = points[:: int(STEP_M / SPACING_M)]
    apart = ((centers[:, None] - sparse[None, :, [0, 2]]) ** 2).sum(axis=2)
    nearest, near = apart.argmin(axis=1), apart.min(axis=1) < REACH_M**2
    surface_m = sparse[nearest, 1]
    rays = np.stack([centers[:, 0], surface_m + _ABOVE_M, centers[:, 1]], axis=1)
    free = np.zeros(len(cells), np.bool_)
    height, triangle = track.mesh.ground_below(rays[near])
    free[near] = (np.abs(height - surface_m[near]) < _EVEN_M) & np.isin(track.mesh.material[triangle], materials)
    return _Ground(low, _without_edges(free.reshape(nx, nz)))


def _without_edges(free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    for _ in range(_MARGIN_CELLS):
        padded = np.pad(free, 1)
        free = free & padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return free
