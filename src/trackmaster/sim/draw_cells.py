"""Meshes sorted into cells, ready for the rasteriser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

CELL_M = 32.0
"""Edge of a culling cell, the size of a block."""


class MeshLike(Protocol):
    """The part of a triangle mesh that can be drawn (see :class:`trackmaster.track.mesh.TriangleMesh`)."""

    @property
    def vertices(self) -> F32:
        """Float32 (V, 3), world metres."""

    @property
    def triangles(self) -> I32:
        """Int32 (F, 3), counter-clockwise seen from outside."""

    @property
    def look(self) -> NDArray[np.uint8]:
        """Uint8 (F,) appearance classes."""


@dataclass(frozen=True, eq=False)
class SceneArrays:
    """All tracks' triangles, cell after cell.

    Attributes:
        corners: float32 (F, 3 corners, 3).
        planes: float32 (F, 4), unit normal and offset; positive in front.
        surface: int32 (F,), look * 4 + axis the texture is seen along (0 = y, 1 = x, 2 = z).
        cell_first: int32 (C + 1,), first triangle of each cell.
        cell_low: float32 (C, 3), box around the triangles of a cell.
        cell_high: float32 (C, 3).
        track_grid: int32 (T, 5): columns, rows, first cell, origin x, origin z (metres). Every track owns
            columns * rows cells and one more for triangles too large for a cell.
    """

    corners: F32
    planes: F32
    surface: I32
    cell_first: I32
    cell_low: F32
    cell_high: F32
    track_grid: I32

    @property
    def normals(self) -> F32:
        """Unit normals, float32 (F, 3)."""
        return self.planes[:, :3]


def build_scene(meshes: Sequence[MeshLike]) -> SceneArrays:
    """Sort the triangles of one or more tracks into cells.

    Triangles without area are left out: they have no plane and cover no pixel.
    """
    parts = [_sort_track(mesh) for mesh in meshes]
    grids, corners, planes, surface, counts = [], [], [], [], []
    first_cell = 0
    for grid, corner, plane, look, count in parts:
        grids.append((grid[0], grid[1], first_cell, grid[2], grid[3]))
        first_cell += len(count)
        corners.append(corner)
        planes.append(plane)
        surface.append(look)
        counts.append(count)
    all_corners = np.concatenate(corners)
    cell_first = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    low, high = _cell_boxes(all_corners, cell_first)
    return SceneArrays(
        np.ascontiguousarray(all_corners),
        np.concatenate(planes),
        np.concatenate(surface),
        cell_first,
        low,
        high,
        np.asarray(grids, np.int32),
    )


def _sort_track(mesh: MeshLike) -> tuple[tuple[int, int, int, int], F32, F32, I32, NDArray[np.int64]]:
    corners = np.asarray(mesh.vertices, np.float32)[np.asarray(mesh.triangles, np.int64).reshape(-1, 3)]
    corners = corners.reshape(-1, 3, 3)
    wide = corners.astype(np.float64)
    normal = np.cross(wide[:, 1] - wide[:, 0], wide[:, 2] - wide[:, 0])
    length = np.sqrt((normal * normal).sum(axis=1))
    keep = length > 1e-9
    corners, wide, look = corners[keep], wide[keep], np.asarray(mesh.look)[keep].astype(np.int32)
    normal = normal[keep] / length[keep, None]
    offset = -(normal * wide.mean(axis=1)).sum(axis=1)

    flat = wide[:, :, [0, 2]]
    centre = flat.mean(axis=1)
    low = np.floor(flat.min(axis=(0, 1)) / CELL_M).astype(int) if len(wide) else np.zeros(2, int)
    high = np.floor(flat.max(axis=(0, 1)) / CELL_M).astype(int) if len(wide) else np.zeros(2, int)
    columns, rows = (high - low + 1).tolist()
    column_row = np.clip(np.floor(centre / CELL_M).astype(int) - low, 0, [columns - 1, rows - 1])
    cell = column_row[:, 1] * columns + column_row[:, 0]
    # A triangle may stand out of its cell by less than one cell; larger ones are looked at in every view.
    cell[(np.abs(flat - centre[:, None]) > CELL_M).any(axis=(1, 2))] = columns * rows
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=columns * rows + 1)

    axis = np.array([1, 0, 2], np.int32)[np.argmax(np.abs(normal) + np.array([0, 0.3, 0]), axis=1)]
    planes = np.concatenate([normal, offset[:, None]], axis=1).astype(np.float32)
    grid = (columns, rows, int(low[0] * CELL_M), int(low[1] * CELL_M))
    return grid, corners[order], planes[order], (look * 4 + axis)[order].astype(np.int32), counts


def _cell_boxes(corners: F32, cell_first: I32) -> tuple[F32, F32]:
    """Return the lowest and highest corner of each cell's triangles; empty cells get zeros."""
    n_cells = len(cell_first) - 1
    low, high = np.zeros((n_cells, 3), np.float32), np.zeros((n_cells, 3), np.float32)
    for cell in np.flatnonzero(np.diff(cell_first)):
        points = corners[cell_first[cell] : cell_first[cell + 1]].reshape(-1, 3)
        low[cell], high[cell] = points.min(axis=0), points.max(axis=0)
    return low, high
