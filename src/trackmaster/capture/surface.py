"""Whether the wheels of a recorded run stood on the surfaces that we would draw under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.gbx import Ghost
from trackmaster.track import TriangleMesh
from trackmaster.track.contacts import wheel_contacts
from trackmaster.units import CELL_SIZE_M

F64 = NDArray[np.float64]

REACH_M: Final = 0.3
"""A wheel stands on a surface that is this near along the car's up axis."""
MIN_SHARE: Final = 0.95
MAX_CONTACTS: Final = 4_000
"""More touching wheels are thinned out evenly."""


@dataclass(frozen=True)
class SurfaceMatch:
    """How many of the touching wheels that were looked at have a surface under them."""

    wheels: int
    supported: int

    @property
    def share(self) -> float:
        """Part of the wheels with a surface, 0 when no wheel touched anything."""
        return self.supported / self.wheels if self.wheels else 0.0

    @property
    def is_ok(self) -> bool:
        """True when the run was driven on this mesh."""
        return self.share >= MIN_SHARE


def match_surface(ghost: Ghost, mesh: TriangleMesh) -> SurfaceMatch:
    """Compare the wheels of a finished run that touched something with the mesh.

    Samples beside a respawn do not count, nor does what comes after the finish. The lowest point of a wheel is its
    hub's rest point minus suspension and radius along the car's down axis (car physics reference, 1.3).

    Args:
        ghost: a finished run with samples.
        mesh: of the map it is said to have been driven on.
    """
    contacts = wheel_contacts(ghost)
    count = min(len(contacts), MAX_CONTACTS)
    chosen = np.linspace(0, max(len(contacts) - 1, 0), count).astype(np.intp)
    supported = has_surface(contacts.points_m[chosen], contacts.up[chosen], mesh, reach_m=REACH_M)
    return SurfaceMatch(count, int(supported.sum()))


def has_surface(points_m: F64, up: F64, mesh: TriangleMesh, *, reach_m: float) -> NDArray[np.bool_]:
    """Tell which points have a collidable triangle near that faces them.

    Args:
        points_m: (N, 3) world.
        up: (N, 3) unit vectors along which the distance counts, up or down.
        mesh: surfaces.
        reach_m: largest distance.
    """
    corners = mesh.vertices[mesh.triangles[mesh.collidable]].astype(np.float64)
    low, high = corners.min(axis=1) - reach_m, corners.max(axis=1) + reach_m
    size = CELL_SIZE_M[0]
    cells = np.floor(points_m / size).astype(np.int64)
    found = np.zeros(len(points_m), np.bool_)
    for cell in np.unique(cells, axis=0):
        mine = np.flatnonzero((cells == cell).all(axis=1))
        there = corners[np.all((low <= (cell + 1) * size) & (high >= cell * size), axis=1)]
        for number in mine:
            found[number] = _is_near(there, points_m[number], up[number], reach_m)
    return found


def _is_near(corners: F64, point_m: F64, up: F64, reach_m: float) -> bool:
    """Tell whether the line through a point along ``up`` meets a triangle (F, 3, 3) from its outside within reach."""
    a = corners[:, 0] - point_m
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(edge_1, edge_2)
    facing = normal @ up
    is_outside = facing > 1e-9
    scale = 1.0 / np.where(is_outside, facing, 1.0)
    height = np.einsum("ij,ij->i", normal, a) * scale
    side = np.cross(a, up)
    s = np.einsum("ij,ij->i", edge_2, side) * scale
    t = -np.einsum("ij,ij->i", edge_1, side) * scale
    inside = (s >= -1e-3) & (t >= -1e-3) & (s + t <= 1 + 1e-3)
    return bool((is_outside & inside & (np.abs(height) <= reach_m)).any())
