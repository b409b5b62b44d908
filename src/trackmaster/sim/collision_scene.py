"""Turns tracks into the arrays the physics kernels read: triangles in grid cells, trigger boxes, start poses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim.bumps import bump_tile
from trackmaster.sim.constants import (
    MATERIAL_NOT_COLLIDABLE,
    MATERIAL_RED_TURBO,
    MATERIAL_ROULETTE,
    MATERIAL_TURBO,
    MATERIAL_WATER,
    N_MATERIALS,
    NO_WATER_M,
    WATER_CELL_M,
)
from trackmaster.sim.errors import SimError
from trackmaster.sim.kernels_collide import CELL_M
from trackmaster.sim.kernels_types import Gate, Scene, TrackHead, Triangle
from trackmaster.sim.layout import MAX_TRIGGERS
from trackmaster.sim.rotation import quaternion_from_matrix
from trackmaster.sim.warp_start import wp
from trackmaster.track import Pose, TriangleMesh, Trigger
from trackmaster.units import CELL_SIZE_M

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MAX_CELLS = 4_000_000
"""A grid beyond this (a mesh tens of kilometres wide) is refused instead of filling the memory."""
MARGIN_M = 1.0
BOOSTERS = (MATERIAL_TURBO, MATERIAL_RED_TURBO, MATERIAL_ROULETTE)


class Drivable(Protocol):
    """What the simulator needs to know of a track (:class:`trackmaster.track.Track` has it all)."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def mesh(self) -> TriangleMesh:
        """All surfaces."""

    @property
    def start(self) -> Pose:
        """Pose of the car's origin at race time 0."""

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """Checkpoint and finish boxes."""

    @property
    def laps(self) -> int:
        """Laps of a race."""

    @property
    def n_checkpoints(self) -> int:
        """Checkpoints that one lap asks for."""


def _corners(mesh: TriangleMesh) -> tuple[F64, NDArray[np.intp]]:
    """Return the corners (F, 3, 3) of collidable triangles with an area, and their numbers in the mesh."""
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    solid = mesh.collidable & (mesh.material != MATERIAL_NOT_COLLIDABLE)
    keep = np.flatnonzero(solid & (np.linalg.norm(cross, axis=1) > 1e-9))
    return corners[keep], keep


def _axes(track: Drivable, corners: F64, material: NDArray[np.uint8]) -> F64:
    """Return the forward axis of the block under each booster triangle (F, 3); zero where there is none.

    A booster pushes along its block; only the track's blocks know that direction, the mesh does not.
    """
    axes = np.zeros((len(corners), 3))
    boosters = np.flatnonzero(np.isin(material, BOOSTERS))
    blocks = [placed for placed in getattr(track, "blocks", ()) if "Turbo" in placed.block.name]
    columns = {column: placed for placed in blocks for column in placed.columns()}
    for k in boosters:
        middle = corners[k].mean(axis=0)
        placed = columns.get((int(middle[0] // CELL_SIZE_M[0]), int(middle[2] // CELL_SIZE_M[2])))
        if placed is not None:
            axes[k] = placed.rotation[:, 2]
    return axes


class _Grid:
    """Columns of 8 x 8 m over one mesh; each lists the triangles whose box touches it."""

    def __init__(self, low: F64, high: F64, name: str) -> None:
        ground = [0, 2]
        if len(low):
            self.origin: F64 = low[:, ground].min(axis=0) - MARGIN_M
            span = high[:, ground].max(axis=0) + MARGIN_M - self.origin
        else:
            self.origin, span = np.zeros(2), np.ones(2)
        self.shape: I64 = np.maximum(np.ceil(span / CELL_M), 1).astype(np.int64)
        if not np.all(np.isfinite(span)) or self.shape.prod() > MAX_CELLS:
            raise SimError(
                f"Track '{name}' covers {span[0]:.0f} x {span[1]:.0f} m, more than the simulator's grid can hold; "
                "check the mesh for stray vertices."
            )
        # The kernels do this division in float32, so widen every box a little before sorting it in.
        first = np.floor((low[:, ground] - 0.01 - self.origin) / CELL_M).astype(np.int64)
        last = np.floor((high[:, ground] + 0.01 - self.origin) / CELL_M).astype(np.int64)
        self.first = np.clip(first, 0, self.shape - 1)
        self.last = np.clip(last, 0, self.shape - 1)

    def lists(self) -> tuple[I64, I64]:
        """Return how many triangles each cell has (cells,) and all lists one after the other."""
        size = self.last - self.first + 1
        per_triangle = size[:, 0] * size[:, 1]
        triangle = np.repeat(np.arange(len(size)), per_triangle)
        nth = np.arange(per_triangle.sum()) - np.repeat(np.cumsum(per_triangle) - per_triangle, per_triangle)
        x = self.first[triangle, 0] + nth // size[triangle, 1]
        z = self.first[triangle, 1] + nth % size[triangle, 1]
        cell = x * self.shape[1] + z
        order = np.argsort(cell, kind="stable")
        return np.bincount(cell, minlength=int(self.shape.prod())), triangle[order]


def _records(struct: Any, n: int) -> Any:
    """Return a zeroed record array of a Warp struct; its fields are set by name."""
    return np.zeros(n, struct.numpy_dtype())


def _triangle_rows(corners: F64, axes: F64, material: NDArray[np.uint8], grid: _Grid) -> Any:
    rows = _records(Triangle, len(corners))
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows["a"], rows["b"], rows["c"] = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = cross / np.linalg.norm(cross, axis=1, keepdims=True)
    out = np.cross(np.roll(corners, -1, axis=1) - corners, normal[:, None])
    out /= np.linalg.norm(out, axis=2, keepdims=True)
    rows["normal"] = normal
    rows["low"], rows["high"] = corners.min(axis=1), corners.max(axis=1)
    rows["edges"], rows["edge_offsets"] = out, np.einsum("fkx,fkx->fk", out, corners)
    # Rounding grows with the size of the numbers; a millimetre covers small ones.
    rows["slack"] = 1e-3 + 1e-5 * (np.abs(corners).max(axis=(1, 2)) + np.ptp(corners, axis=1).max(axis=1))
    rows["axis"] = axes
    rows["material"] = np.where(material < N_MATERIALS, material, 0)
    rows["cell_x"], rows["cell_z"] = grid.first[:, 0], grid.first[:, 1]
    return rows


def _gate_rows(track: Drivable) -> Any:
    rows = _records(Gate, len(track.triggers))
    for k, trigger in enumerate(track.triggers):
        row = rows[k : k + 1]
        row["centre"] = trigger.center_m
        row["to_box"] = np.asarray(trigger.rotation).T
        row["half"] = trigger.half_size_m
        row["reach_squared"] = float(np.sum(np.square(trigger.half_size_m))) * 1.001
        row["reach"] = np.sqrt(row["reach_squared"]) + 0.01
        row["is_finish"] = trigger.kind.name == "FINISH"
        row["respawn_position"] = trigger.respawn.position_m
        row["respawn_quaternion"] = quaternion_from_matrix(trigger.respawn.rotation)
    return rows


def _head_row(track: Drivable, grid: _Grid, first_cell: int, first_gate: int) -> Any:
    row = _records(TrackHead, 1)
    row["grid_x"], row["grid_z"] = grid.origin
    row["cells_x"], row["cells_z"] = grid.shape
    row["first_cell"], row["first_gate"] = first_cell, first_gate
    row["n_gates"], row["n_checkpoints"] = len(track.triggers), track.n_checkpoints
    row["laps"] = max(track.laps, 1)
    row["start_position"] = track.start.position_m
    row["start_quaternion"] = quaternion_from_matrix(track.start.rotation)
    return row


class _Water:
    """Heights of a track's water in cells of 32 m, read off the surfaces that are drawn of it."""

    def __init__(self, mesh: TriangleMesh) -> None:
        corners = mesh.vertices[mesh.triangles[mesh.material == MATERIAL_WATER]].astype(np.float64)
        middle = corners.mean(axis=1)
        cells = np.floor(middle[:, [0, 2]] / WATER_CELL_M).astype(np.int64)
        self.first: I64 = cells.min(axis=0) if len(cells) else np.zeros(2, np.int64)
        self.shape: I64 = cells.max(axis=0) - self.first + 1 if len(cells) else np.zeros(2, np.int64)
        if self.shape.prod() > MAX_CELLS:
            raise SimError(f"Water spreads over {self.shape[0]} x {self.shape[1]} cells, which is no map of the game.")
        self.level: F64 = np.full(self.shape, NO_WATER_M)
        self.level[tuple((cells - self.first).T)] = middle[:, 1]

    def describe(self, row: Any, first: int) -> None:
        """Write into a track's head where its cells are."""
        row["first_water"] = first
        row["water_x"], row["water_z"] = self.first
        row["water_columns"], row["water_rows"] = self.shape


def build_scene(tracks: Sequence[Drivable], track_of_car: NDArray[np.int32], device: str) -> Scene:
    """Return the static arrays of all tracks on a device.

    Args:
        tracks: what the cars drive on; triangles with the material of nothing collidable are left out.
        track_of_car: int32 (N,), which track each car is on.
        device: Warp device name.

    Raises:
        SimError: a track is too wide for the grid or has too many triggers.
    """
    heads, triangles, gates, counts, items, levels = [], [], [], [], [], []
    n_triangles = n_gates = n_cells = n_levels = 0
    for track in tracks:
        if len(track.triggers) > MAX_TRIGGERS:
            raise SimError(
                f"Track '{track.name}' has {len(track.triggers)} triggers; at most {MAX_TRIGGERS} are handled."
            )
        corners, keep = _corners(track.mesh)
        grid = _Grid(corners.min(axis=1), corners.max(axis=1), track.name)
        heads.append(_head_row(track, grid, n_cells, n_gates))
        water = _Water(track.mesh)
        water.describe(heads[-1], n_levels)
        levels.append(water.level.ravel())
        n_levels += water.level.size
        material = track.mesh.material[keep]
        triangles.append(_triangle_rows(corners, _axes(track, corners, material), material, grid))
        gates.append(_gate_rows(track))
        count, item = grid.lists()
        counts.append(count)
        items.append(item + n_triangles)
        n_triangles, n_gates, n_cells = n_triangles + len(corners), n_gates + len(gates[-1]), n_cells + len(count)

    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    scene = Scene()
    scene.tracks = wp.array(np.concatenate(heads), dtype=TrackHead, device=device)
    scene.track_of_car = wp.array(track_of_car, dtype=wp.int32, device=device)
    scene.cell_start = wp.array(starts, dtype=wp.int32, device=device)
    scene.cell_items = wp.array(np.concatenate(items).astype(np.int32), dtype=wp.int32, device=device)
    scene.triangles = wp.array(np.concatenate(triangles), dtype=Triangle, device=device)
    scene.gates = wp.array(np.concatenate(gates), dtype=Gate, device=device)
    scene.water = wp.array(np.concatenate([*levels, [NO_WATER_M]]), dtype=wp.float32, device=device)
    scene.bumps = wp.array(bump_tile(), dtype=wp.uint8, device=device)
    return scene


def scene_for_cars(scene: Scene, track_of_car: NDArray[np.int32], device: str) -> Scene:
    """Return a scene that shares all arrays but the one that says which track each car (N,) is on."""
    struct: Any = Scene  # at run time no class but Warp's description of one
    shared = Scene()
    for name in struct.vars:
        setattr(shared, name, getattr(scene, name))
    shared.track_of_car = wp.array(track_of_car, dtype=wp.int32, device=device)
    return shared
