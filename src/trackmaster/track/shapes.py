"""Parametric surfaces in the frame of a block: swept profiles, outlines with borders, boxes.

Block frame of direction 0: x grows to the left of a car that drives forward, z grows forward, y up; the origin is the
low corner of the footprint. Every function returns closed or half-open skins whose normals point outwards.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.mesh import Patch
from trackmaster.track.surface import Look, Material

F64 = NDArray[np.float64]
Height = Callable[[F64, F64], F64]
"""Lift of a surface as a function of block-local x and z, metres."""


@dataclass(frozen=True)
class Finish:
    """Material and appearance of one face of a profile."""

    material: Material
    look: Look


@dataclass(frozen=True)
class Profile:
    """Cross-section of a road, listed from the left to the right as the driver sees it, over the top.

    Attributes:
        points: (offset to the left, height) in metres.
        finishes: one per segment between neighbouring points.
    """

    points: tuple[tuple[float, float], ...]
    finishes: tuple[Finish, ...]

    def __post_init__(self) -> None:
        if len(self.finishes) != len(self.points) - 1:
            raise ValueError(f"{len(self.points)} profile points need {len(self.points) - 1} finishes")

    def mirrored(self) -> "Profile":
        """Return the cross-section seen by a driver of the opposite direction."""
        return Profile(tuple((-x, y) for x, y in reversed(self.points)), tuple(reversed(self.finishes)))

    def divided(self, width_m: float) -> "Profile":
        """Return the same cross-section with no level segment wider than ``width_m`` (for twisted roads)."""
        points, finishes = [self.points[0]], []
        for (x0, y0), (x1, y1), finish in zip(self.points[:-1], self.points[1:], self.finishes, strict=True):
            pieces = max(1, math.ceil(abs(x1 - x0) / width_m)) if y0 == y1 else 1
            points += [(x0 + (x1 - x0) * k / pieces, y0 + (y1 - y0) * k / pieces) for k in range(1, pieces + 1)]
            finishes += [finish] * pieces
        return Profile(tuple(points), tuple(finishes))


@dataclass(frozen=True, eq=False)
class Path:
    """A line on the ground plan.

    Attributes:
        points: (n, 2) x and z, metres.
        lefts: (n, 2) unit vectors to the left of the direction of travel; longer at mitred corners.
        closed: the last point joins the first.
    """

    points: F64
    lefts: F64
    closed: bool = False

    def __len__(self) -> int:
        return len(self.points)


def straight_path(start: tuple[float, float], end: tuple[float, float], steps: int = 1) -> Path:
    """Return a straight line in ``steps`` equal pieces."""
    a, b = np.array(start, np.float64), np.array(end, np.float64)
    along = (b - a) / np.linalg.norm(b - a)
    points = a + np.linspace(0, 1, steps + 1)[:, None] * (b - a)
    return Path(points, np.repeat([[along[1], -along[0]]], steps + 1, axis=0))


def arc_path(center: tuple[float, float], radius_m: float, start_rad: float, end_rad: float, steps: int) -> Path:
    """Return an arc of a circle; angles run from +x towards +z, a growing angle turns to the RIGHT of travel."""
    angles = np.linspace(start_rad, end_rad, steps + 1)
    radial = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # travelling with growing angle, the outside of the circle lies to the left (x is left when z is forward)
    side = 1.0 if end_rad > start_rad else -1.0
    return Path(np.array(center) + radius_m * radial, side * radial)


def s_path(start: tuple[float, float], end: tuple[float, float], steps: int) -> Path:
    """Return an S of two equal arcs between two points; it begins and ends along z."""
    (x0, z0), (x1, z1) = start, end
    across, along = x1 - x0, z1 - z0
    turn = 2 * math.atan(across / along)  # heading in the middle, to the left
    radius = along / (2 * math.sin(abs(turn)))
    half = np.linspace(0, abs(turn), steps // 2 + 1)
    side = math.copysign(1.0, across)
    first = np.stack([x0 + side * radius * (1 - np.cos(half)), z0 + radius * np.sin(half)], axis=1)
    points = np.vstack([first, (np.array([x0 + x1, z0 + z1]) - first[::-1])[1:]])
    heading = side * np.concatenate([half, half[::-1][1:]])
    return Path(points, np.stack([np.cos(heading), -np.sin(heading)], axis=1))


def polyline_path(points: Sequence[tuple[float, float]] | F64, *, closed: bool = False) -> Path:
    """Return a line through ``points`` with mitred corners."""
    p = np.asarray(points, np.float64)
    ahead = np.roll(p, -1, axis=0) - p
    if not closed:
        ahead[-1] = ahead[-2]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    behind = np.roll(ahead, 1, axis=0)
    if not closed:
        behind[0] = ahead[0]
    left_ahead = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
    left_behind = np.stack([behind[:, 1], -behind[:, 0]], axis=1)
    mitre = (left_ahead + left_behind) / (1.0 + np.sum(left_ahead * left_behind, axis=1, keepdims=True))
    return Path(p, mitre, closed)


def sweep(
    path: Path, profile: Profile, *, lift: Height | None = None, rise_m: F64 | None = None, bank: F64 | None = None
) -> list[Patch]:
    """Return the skin that ``profile`` leaves when it moves along ``path``, one patch per kind of finish.

    Args:
        path: line on the ground plan.
        profile: cross-section.
        lift: height to add by place.
        rise_m: (n,) height to add at each point of the path.
        bank: (n,) how much higher the section gets per metre to the left, at each point of the path.
    """
    offsets, heights = np.array(profile.points, np.float64).T
    xz = path.points[:, None, :] + path.lefts[:, None, :] * offsets[None, :, None]  # (n, k, 2)
    vertices = np.empty((*xz.shape[:2], 3))
    vertices[..., 0], vertices[..., 2] = xz[..., 0], xz[..., 1]
    vertices[..., 1] = heights[None, :]
    if lift is not None:
        vertices[..., 1] += lift(xz[..., 0], xz[..., 1])
    if rise_m is not None:
        vertices[..., 1] += rise_m[:, None]
    if bank is not None:
        vertices[..., 1] += bank[:, None] * offsets[None, :]
    rows = np.arange(len(path))
    here, there = (rows, np.roll(rows, -1)) if path.closed else (rows[:-1], rows[1:])
    width = len(profile.points)
    patches = []
    for finish, columns in _runs(profile.finishes):
        quads = [
            np.stack([here * width + j, here * width + j + 1, there * width + j + 1, there * width + j], axis=1)
            for j in columns
        ]
        patches.append(_quads(vertices.reshape(-1, 3), np.concatenate(quads), finish))
    return patches


def net(vertices: F64, finish: Finish) -> Patch:
    """Return the surface through (n, k, 3) vertices: rows in the direction of travel, columns from left to right."""
    rows, width = vertices.shape[:2]
    first = (np.arange(rows - 1)[:, None] * width + np.arange(width - 1)).reshape(-1)
    return _quads(
        vertices.reshape(-1, 3), np.stack([first, first + 1, first + width + 1, first + width], axis=1), finish
    )


def fan(center: tuple[float, float], outline: F64, height_m: float, finish: Finish, *, closed: bool = True) -> Patch:
    """Return a flat area that is star-shaped around ``center``; ``outline`` (n, 2) turns from +x towards +z."""
    count = len(outline)
    vertices = np.empty((count + 1, 3))
    vertices[0] = (center[0], height_m, center[1])
    vertices[1:, 0], vertices[1:, 1], vertices[1:, 2] = outline[:, 0], height_m, outline[:, 1]
    ring = np.arange(count if closed else count - 1)
    triangles = np.stack([np.zeros_like(ring), (ring + 1) % count + 1, ring + 1], axis=1)
    return Patch(vertices, triangles.astype(np.int32), finish.material, finish.look)


def rectangle(low: tuple[float, float], high: tuple[float, float], height_m: float, finish: Finish) -> Patch:
    """Return a flat rectangle that faces up."""
    (x0, z0), (x1, z1) = low, high
    corners = np.array([[x0, height_m, z0], [x0, height_m, z1], [x1, height_m, z1], [x1, height_m, z0]], np.float64)
    return quad(corners, finish)


def quad(corners: F64, finish: Finish, *, collidable: bool = True) -> Patch:
    """Return one quadrilateral (4, 3), counter-clockwise seen from outside."""
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Patch(np.asarray(corners, np.float64), triangles, finish.material, finish.look, collidable)


def flipped(patch: Patch) -> Patch:
    """Return the patch facing the other way."""
    return Patch(patch.vertices, patch.triangles[:, ::-1].copy(), patch.material, patch.look, patch.collidable)


def wall(start: tuple[float, float], end: tuple[float, float], bottom_m: float, top_m: float, finish: Finish) -> Patch:
    """Return an upright rectangle that faces the left of somebody who walks from ``start`` to ``end``."""
    (x0, z0), (x1, z1) = start, end
    corners = np.array([[x0, bottom_m, z0], [x0, top_m, z0], [x1, top_m, z1], [x1, bottom_m, z1]], np.float64)
    return quad(corners, finish)


def height_field(
    across_m: Sequence[float] | F64, along_m: Sequence[float] | F64, height: Height, finish: Finish
) -> Patch:
    """Return the surface over a grid of block-local x and z that faces up.

    Each cell is split along the diagonal whose ends differ less in height, which keeps ridges and valleys sharp.
    """
    x, z = np.asarray(across_m, np.float64), np.asarray(along_m, np.float64)
    grid_x, grid_z = (g.reshape(-1) for g in np.meshgrid(x, z, indexing="ij"))
    vertices = np.stack([grid_x, height(grid_x, grid_z), grid_z], axis=1)
    first = (np.arange(len(x) - 1)[:, None] * len(z) + np.arange(len(z) - 1)).reshape(-1)
    quads = np.stack([first, first + 1, first + len(z) + 1, first + len(z)], axis=1)
    y = vertices[quads, 1]
    plain = np.abs(y[:, 0] - y[:, 2]) <= np.abs(y[:, 1] - y[:, 3])
    order = np.where(plain[:, None], [[0, 1, 2, 0, 2, 3]], [[0, 1, 3, 1, 2, 3]])
    triangles = np.take_along_axis(quads, order, axis=1).reshape(-1, 3).astype(np.int32)
    return Patch(vertices, triangles, finish.material, finish.look)


def box(
    low: tuple[float, float, float], high: tuple[float, float, float], finish: Finish, *, collidable: bool = True
) -> list[Patch]:
    """Return the six faces of an upright box."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    v = np.array([[x, y, z] for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)], np.float64)
    faces = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    return [quad(v[list(face)], finish, collidable=collidable) for face in faces]


def _runs(finishes: Sequence[Finish]) -> list[tuple[Finish, list[int]]]:
    numbered = sorted(enumerate(finishes), key=lambda item: (item[1].material, item[1].look))
    return [(finish, [j for j, _ in group]) for finish, group in groupby(numbered, key=lambda item: item[1])]


def _quads(vertices: F64, quads: NDArray[np.int64], finish: Finish) -> Patch:
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    return Patch(vertices, triangles, finish.material, finish.look)
