"""The two borders of the road along a reference line: what a lidar measures against and a driver keeps between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trackmaster.track.border import side_distances_m
from trackmaster.track.mesh import F64, TriangleMesh

REACH_M: Final = 24.0
"""Half of a road is never taken for wider than this: on an open platform nothing nearer ends."""
STEP_M: Final = 0.25
"""Resolution of a border's distance from the line."""
DROP_M: Final = 1.0
"""A step down on the road itself is no border up to this height."""

_ABOVE_M: Final = 1.5


@dataclass(frozen=True, eq=False)
class Corridor:
    """Where the surface under a line ends, to its left and to its right.

    Attributes:
        left_m: float64 (K, 3), world.
        right_m: float64 (K, 3), world.
    """

    left_m: F64
    right_m: F64


def corridor_along(mesh: TriangleMesh, line_m: F64) -> Corridor:
    """Return the borders beside each point of a line.

    A border is where the surface stops, makes a step upwards (or down by more than a metre), or becomes another kind
    (``track.border``), square to the line and in the plane of the surface below it. Where there is no surface (a jump)
    the width of the road before and after is carried on.

    Args:
        mesh: of the map.
        line_m: (K, 3) points on the surface or up to 1.5 m above it, K >= 2.
    """
    rotation = _frames(mesh, line_m)
    width = side_distances_m(mesh, line_m, rotation, reach_m=REACH_M, step_m=STEP_M, drop_m=DROP_M)  # (K, 2)
    for side in width.T:
        known = np.isfinite(side)
        side[:] = np.interp(np.arange(len(side)), np.flatnonzero(known), side[known]) if known.any() else REACH_M
    lateral = rotation[:, :, 0]
    flat = lateral / np.maximum(np.hypot(lateral[:, 0], lateral[:, 2]), 0.5)[:, None]
    return Corridor(line_m + width[:, :1] * flat, line_m - width[:, 1:] * flat)


def _frames(mesh: TriangleMesh, line_m: F64) -> F64:
    """Return (K, 3, 3): left, up and forward of a car that stood at each point and looked along the line."""
    forward = np.gradient(line_m, axis=0)
    _, triangle = mesh.ground_below(line_m + np.array([0.0, _ABOVE_M, 0.0]), reach_m=2 * _ABOVE_M)
    up = np.where((triangle >= 0)[:, None], mesh.normals()[triangle].astype(np.float64), np.array([0.0, 1.0, 0.0]))
    left = _unit(np.cross(up, forward))
    return np.stack([left, up, _unit(np.cross(left, up))], axis=2)


def _unit(vectors: F64) -> F64:
    unit: F64 = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
