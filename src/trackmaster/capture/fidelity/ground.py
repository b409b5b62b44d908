"""What the wheels of a recorded run stood on: level planes, surfaces of the mesh, blocks that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.fidelity.drives import F64, Bools, Recording
from trackmaster.track import Pose, Track, TriangleMesh
from trackmaster.track.catalogue.measured import ROAD_SURFACE_M
from trackmaster.track.contacts import HUBS_M, WHEEL_RADIUS_M
from trackmaster.units import CELL_SIZE_M

ASPHALT: Final = 16
LEVEL_Y: Final = 0.9985
"""Smallest vertical part of the car's up axis on a plane: the body leans less than 3 degrees."""
WHEEL_TOLERANCE_M: Final = 0.022
"""A wheel stands on a plane when its lowest point is this near; the suspension is stored in steps of 16 mm."""
PLANE_TOLERANCE_M: Final = 0.012
"""The mean of the four wheels, whose steps average out."""
REACH_M: Final = 0.12
"""A wheel stands on the mesh when a surface is this near along the car's up axis."""
TICK_S, SUBSTEP_M, SINK_M, SLOW_SINK_M = 0.01, 0.3, 0.0095, 0.014
PLANE_HALF_M: Final = 4_096.0
VOID_M: Final = -20_000.0
NO_PLANE: Final = np.nan


@dataclass(frozen=True, eq=False)
class Ground:
    """One entry per row of a recording.

    Attributes:
        wheel_m: (R, 4, 3) lowest point of each wheel, world.
        plane_m: (R,) height of the level asphalt plane that all four wheels stand on, NaN where they do not.
        on_platform: (R,) that plane is the top of a platform, not a road.
    """

    wheel_m: F64
    plane_m: F64
    on_platform: Bools

    @classmethod
    def of(cls, recording: Recording) -> Ground:
        """Find the planes of all rows."""
        down = np.broadcast_to(HUBS_M, (len(recording), 4, 3)).copy()
        down[:, :, 1] -= recording.damper_m + WHEEL_RADIUS_M
        down[:, :, 1] += _sink_m(recording)[:, None]
        wheels = recording.position_m[:, None] + np.einsum("rij,rwj->rwi", recording.rotation, down)
        height = wheels[:, :, 1].mean(axis=1)
        floor = CELL_SIZE_M[1]
        road = np.round((height - ROAD_SURFACE_M) / floor) * floor + ROAD_SURFACE_M
        platform = np.round(height / floor) * floor
        on_platform = np.abs(height - platform) < np.abs(height - road)
        plane = np.where(on_platform, platform, road)
        stands = recording.contact.all(axis=1) & (recording.material == ASPHALT).all(axis=1) & (recording.turbo == 0)
        stands &= recording.rotation[:, 1, 1] > LEVEL_Y
        stands &= (np.abs(wheels[:, :, 1] - plane[:, None]) < WHEEL_TOLERANCE_M).all(axis=1)
        stands &= np.abs(height - plane) < PLANE_TOLERANCE_M
        return cls(wheels, np.where(stands, plane, NO_PLANE), on_platform)


def _sink_m(recording: Recording) -> F64:
    """Return (R,) how much longer a recorded suspension is than the way to the surface.

    It grows by 5 per second of what it lacks to its rest length after each contact, so by 9.5 mm shared among the
    sub-steps of a tick; cars with one sub-step rock a little on top of that (both taken from the simulator on a plane).
    """
    travel = (np.linalg.norm(recording.velocity_mps, axis=1) + np.linalg.norm(recording.spin_radps, axis=1)) * TICK_S
    steps = np.floor(travel / SUBSTEP_M) + 1
    sink: F64 = np.where(steps == 1, SLOW_SINK_M, SINK_M / steps)
    return sink


def level_floor(height_m: float) -> SimpleNamespace:
    """Return a track that is one large level square of asphalt."""
    h, y = PLANE_HALF_M, height_m
    corners = np.array([[-h, y, -h], [-h, y, h], [h, y, h], [h, y, -h]], np.float32)
    kind = np.full(2, ASPHALT, np.uint8)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    mesh = TriangleMesh(corners, triangles, kind, np.zeros_like(kind), np.ones(2, np.bool_))
    start = Pose(np.array([0.0, y + 0.21, 0.0]), np.eye(3))
    return SimpleNamespace(name="plane", mesh=mesh, start=start, triggers=(), laps=1, n_checkpoints=0)


def is_supported(recording: Recording, rows: NDArray[np.int64], ground: Ground, track: Track) -> Bools:
    """Tell for chosen rows of one drive whether all touching wheels stand on known surfaces.

    A wheel counts as supported when a surface of the mesh is near, and no block without known geometry begins in the
    wheel's column of the map.
    """
    which, wheel = np.nonzero(recording.contact[rows])
    points = ground.wheel_m[rows[which], wheel]
    up = recording.rotation[rows[which], :, 1]
    near = _near_mesh(points, up, track.mesh) & ~_in_unknown_column(points, track)
    supported = np.ones(len(rows), np.bool_)
    np.logical_and.at(supported, which, near)
    return supported


def on_platforms(recording: Recording, rows: NDArray[np.int64], ground: Ground, track: Track) -> Bools:
    """Tell for chosen rows whether the middle of the car is in a column with a platform whose top is near."""
    tops: dict[tuple[int, int], list[int]] = {}
    for placed in track.blocks:
        if placed.spec.family == "platform":
            for column in placed.columns():
                tops.setdefault(column, []).append(placed.block.y)
    cells = np.floor(recording.position_m[rows][:, [0, 2]] / CELL_SIZE_M[0]).astype(int)
    level = ground.wheel_m[rows, :, 1].mean(axis=1) / CELL_SIZE_M[1]
    return np.array(
        [
            any(abs(h - y - 0.5) < 1.0 for y in tops.get((int(x), int(z)), ()))
            for (x, z), h in zip(cells, level, strict=True)
        ],
        np.bool_,
    )


def _in_unknown_column(points: F64, track: Track) -> Bools:
    unknown = {(b.x, b.z) for b in track.challenge.blocks if b.name in track.coverage.unknown}
    cells = np.floor(points[:, [0, 2]] / CELL_SIZE_M[0]).astype(int)
    return np.array([(int(x), int(z)) in unknown for x, z in cells], np.bool_)


def _near_mesh(points: F64, up: F64, mesh: TriangleMesh) -> Bools:
    corners = mesh.vertices[mesh.triangles[mesh.collidable]].astype(np.float64)
    low, high = corners.min(axis=1) - REACH_M, corners.max(axis=1) + REACH_M
    near = np.zeros(len(points), np.bool_)
    size = CELL_SIZE_M[0]
    cells = np.floor(points / size).astype(np.int64)
    for cell in np.unique(cells, axis=0):
        mine = np.flatnonzero((cells == cell).all(axis=1))
        there = np.all((low <= (cell + 1) * size) & (high >= cell * size), axis=1)
        if there.any():
            near[mine] = _smallest_distance(corners[there], points[mine], up[mine]) < REACH_M
    return near


def _smallest_distance(corners: F64, points: F64, up: F64) -> F64:
    """Return (P,) the smallest distance along ``up`` from each point to a triangle (F, 3, 3) that faces it."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edge1, edge2 = b - a, c - a
    p = np.cross(up[:, None], edge2[None])
    det = np.einsum("fi,pfi->pf", edge1, p)
    faces = det < -1e-9
    safe = np.where(faces, det, 1.0)
    s = points[:, None] - a[None]
    q = np.cross(s, edge1[None])
    u = np.einsum("pfi,pfi->pf", s, p) / safe
    v = np.einsum("pi,pfi->pf", up, q) / safe
    distance = np.abs(np.einsum("fi,pfi->pf", edge2, q) / safe)
    inside = faces & (u >= -1e-3) & (v >= -1e-3) & (u + v <= 1 + 1e-3)
    smallest: F64 = np.where(inside, distance, np.inf).min(axis=1)
    return smallest
