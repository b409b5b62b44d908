"""The triangle mesh that physics collides with and the renderer draws."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.surface import Look, Material

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

WELD_M = 1e-4
"""Vertices closer than this are one vertex: two blocks that meet share their border exactly."""

MIN_TRIANGLE_AREA_M2 = 1e-6
"""Smaller triangles have no usable normal and are dropped."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A piece of surface with one material and one look, in the frame of a block or of the world.

    Attributes:
        vertices: (V, 3) metres.
        triangles: (F, 3) vertex numbers, counter-clockwise seen from outside.
        collidable: False for things that are only drawn.
    """

    vertices: F64
    triangles: I32
    material: Material
    look: Look
    collidable: bool = True

    def moved(self, rotation: F64, offset_m: F64) -> "Patch":
        """Return the patch after ``rotation`` (3, 3) and then ``offset_m`` (3,)."""
        return Patch(self.vertices @ rotation.T + offset_m, self.triangles, self.material, self.look, self.collidable)


@dataclass(frozen=True, eq=False)
class TriangleMesh:
    """One-sided triangles of a whole track: normals point away from the solid.

    Attributes:
        vertices: float32 (V, 3), world metres, Y up.
        triangles: int32 (F, 3), counter-clockwise seen from outside.
        material: uint8 (F,) game material ids (:class:`Material`).
        look: uint8 (F,) appearance classes (:class:`Look`).
        collidable: bool (F,), False for triangles that are only drawn.
    """

    vertices: NDArray[np.float32]
    triangles: I32
    material: NDArray[np.uint8]
    look: NDArray[np.uint8]
    collidable: NDArray[np.bool_]

    @classmethod
    def from_patches(cls, patches: Iterable[Patch]) -> "TriangleMesh":
        """Join patches into one mesh: equal vertices are welded, degenerate triangles dropped."""
        parts = list(patches)
        sizes = [len(part.vertices) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        vertices = np.concatenate([part.vertices for part in parts]) if parts else np.zeros((0, 3))
        triangles = (
            np.concatenate([part.triangles + offset for part, offset in zip(parts, offsets[:-1], strict=True)])
            if parts
            else np.zeros((0, 3), np.int64)
        )
        counts = [len(part.triangles) for part in parts]
        material = np.repeat(np.array([part.material for part in parts], np.uint8), counts)
        look = np.repeat(np.array([part.look for part in parts], np.uint8), counts)
        collidable = np.repeat(np.array([part.collidable for part in parts], np.bool_), counts)

        keys, first, inverse = np.unique(
            np.round(vertices / WELD_M).astype(np.int64), axis=0, return_index=True, return_inverse=True
        )
        del keys
        vertices_f32 = vertices[first].astype(np.float32)
        triangles = inverse.reshape(-1)[triangles]
        keep = _areas(vertices_f32, triangles) > MIN_TRIANGLE_AREA_M2
        return cls(vertices_f32, triangles[keep].astype(np.int32), material[keep], look[keep], collidable[keep])

    @property
    def n_triangles(self) -> int:
        """Number of triangles."""
        return len(self.triangles)

    def normals(self) -> NDArray[np.float32]:
        """Return the outward unit normal of every triangle, float32 (F, 3)."""
        a, b, c = (self.vertices[self.triangles[:, k]].astype(np.float64) for k in range(3))
        cross = np.cross(b - a, c - a)
        unit: NDArray[np.float32] = (cross / np.linalg.norm(cross, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the lowest and the highest corner of the box around all vertices."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def ground_below(self, points_m: F64, *, reach_m: float = 1e9) -> tuple[F64, I32]:
        """Return what a vertical ray downwards from each point meets first.

        Slow and plain (every ray against every triangle of its cell); meant for checks and tools, not for physics.

        Args:
            points_m: (N, 3) ray origins.
            reach_m: surfaces further below than this count as nothing.

        Returns:
            Height of the surface (N,), NaN where there is none, and the triangle number (N,), -1 where there is none.
        """
        corners = self.vertices[self.triangles].astype(np.float64)  # (F, 3, 3)
        corners = corners[self.collidable]
        numbers = np.flatnonzero(self.collidable)
        low, high = corners[:, :, [0, 2]].min(axis=1), corners[:, :, [0, 2]].max(axis=1)
        heights = np.full(len(points_m), np.nan)
        hits = np.full(len(points_m), -1, np.int32)
        for i, point in enumerate(np.asarray(points_m, np.float64)):
            near = np.flatnonzero(np.all((low <= point[[0, 2]] + 1e-9) & (high >= point[[0, 2]] - 1e-9), axis=1))
            found = _heights_at(corners[near], point)
            found[(found > point[1] + 1e-6) | (found < point[1] - reach_m)] = -np.inf
            if len(near) and np.isfinite(found.max()):
                heights[i] = found.max()
                hits[i] = numbers[near[int(found.argmax())]]
        return heights, hits


def _areas(vertices: NDArray[np.float32], triangles: NDArray[np.int64]) -> F64:
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    area: F64 = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return area


def _heights_at(corners: F64, point: F64) -> F64:
    """Return the height of each upward-facing triangle (F, 3, 3) at the point's x and z, -inf outside of it."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, point - a
    up = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]  # y of the normal
    safe = np.where(up > 1e-9, up, 1.0)
    s = (w[:, 2] * v[:, 0] - w[:, 0] * v[:, 2]) / safe
    t = (u[:, 2] * w[:, 0] - u[:, 0] * w[:, 2]) / safe
    inside = (up > 1e-9) & (s >= -1e-9) & (t >= -1e-9) & (s + t <= 1 + 1e-9)
    height: F64 = np.where(inside, a[:, 1] + s * u[:, 1] + t * v[:, 1], -np.inf)
    return height
