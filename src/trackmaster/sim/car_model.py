"""The drawn car: an open-wheeled wedge of our own design, placed on the hubs of the simulated one.

Car axes: x to the left, y up, z forward, metres from the car's origin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Point = tuple[float, float, float]
Color = tuple[float, float, float]

FRONT_HUB_M = (0.863, 0.34, 1.782)
"""Front left hub of a standing car; the right one is its mirror image. Source: car_physics facts, wheel hubs."""

REAR_HUB_M = (0.885, 0.34, -1.2055)
WHEEL_RADIUS_M = 0.364
WHEEL_WIDTH_M = 0.364

PAINT: Color = (60, 60, 214)
DARK: Color = (44, 40, 38)
TRIM: Color = (236, 236, 236)
GLASS: Color = (150, 110, 60)
LAMP: Color = (120, 130, 255)
TYRE: Color = (46, 44, 44)
RIM: Color = (190, 190, 190)


@dataclass(frozen=True, eq=False)
class CarModel:
    """Triangles of the car, counter-clockwise seen from outside.

    Attributes:
        corners: float32 (F, 3 corners, 3), car axes.
        normals: float32 (F, 3), unit.
        colors: float32 (F, 3), blue, green, red.
        part: int32 (F,), 0 body, +1 / -1 left / right front wheel (turned by the steering).
    """

    corners: F32
    normals: F32
    colors: F32
    part: NDArray[np.int32]


def _hexahedron(bottom: list[Point], top: list[Point]) -> list[tuple[Point, Point, Point]]:
    """Return the 12 outward triangles of a box whose lids list their corners counter-clockwise seen from above."""
    triangles = [(top[0], top[1], top[2]), (top[0], top[2], top[3])]
    triangles += [(bottom[0], bottom[2], bottom[1]), (bottom[0], bottom[3], bottom[2])]
    for i in range(4):
        j = (i + 1) % 4
        triangles += [(bottom[i], bottom[j], top[j]), (bottom[i], top[j], top[i])]
    return triangles


def _slab(
    rear: tuple[float, float, float], front: tuple[float, float, float], z: tuple[float, float]
) -> list[tuple[Point, Point, Point]]:
    """Return a symmetric tapered box: ``rear`` and ``front`` are (half width, y low, y high) at the two z."""

    def ring(y: int) -> list[Point]:
        back, fore = rear[0], front[0]
        return [(back, rear[y], z[0]), (fore, front[y], z[1]), (-fore, front[y], z[1]), (-back, rear[y], z[0])]

    return _hexahedron(ring(1), ring(2))


def _wheel(hub: Point, sides: int) -> tuple[list[tuple[Point, Point, Point]], list[Color]]:
    """Return a prism around the hub's x axis with a bright hexagon on its outer face."""
    x, y, z = hub
    outward = 1.0 if x > 0 else -1.0
    angles = 2 * np.pi * np.arange(sides) / sides
    rim = [(float(np.sin(a)), float(np.cos(a))) for a in angles]

    def at(k: int, dx: float, radius: float) -> Point:
        s, c = rim[k % sides]
        return (x + dx, y + radius * c, z + radius * s)

    half, radius = WHEEL_WIDTH_M / 2, WHEEL_RADIUS_M
    triangles: list[tuple[Point, Point, Point]] = []
    colors: list[Color] = []
    for k in range(sides):
        a, b = at(k, -half, radius), at(k + 1, -half, radius)
        c, d = at(k, half, radius), at(k + 1, half, radius)
        triangles += [(a, c, b), (b, c, d)]
        colors += [TYRE, TYRE]
        # Lids: the outer one carries the rim, the inner one faces the body and is seen from ahead or behind only.
        for sign in (1.0, -1.0):
            p, q = at(k, sign * half, radius), at(k + 1, sign * half, radius)
            m: Point = (x + sign * half, y, z)
            triangles.append((m, q, p) if sign > 0 else (m, p, q))
            colors.append(RIM if sign == outward and k % 2 == 0 else TYRE)
    return triangles, colors


def build_car(sides: int = 8) -> CarModel:
    """Return the car with ``sides``-sided wheels, about 200 triangles."""
    triangles: list[tuple[Point, Point, Point]] = []
    colors: list[Color] = []
    part: list[int] = []

    def add(shape: list[tuple[Point, Point, Point]], color: Color | list[Color], number: int = 0) -> None:
        triangles.extend(shape)
        colors.extend(color if isinstance(color, list) else [color] * len(shape))
        part.extend([number] * len(shape))

    add(_slab((0.52, 0.12, 0.68), (0.46, 0.12, 0.58), (-1.75, 0.75)), PAINT)  # tub
    add(_slab((0.46, 0.16, 0.36), (0.50, 0.14, 0.40), (-1.80, -1.70)), DARK)  # diffuser
    add(_slab((0.30, 0.46, 0.54), (0.30, 0.46, 0.54), (-1.78, -1.70)), LAMP)  # tail light
    add(_slab((0.46, 0.12, 0.58), (0.20, 0.14, 0.32), (0.75, 2.2)), PAINT)  # nose
    add(_slab((0.86, 0.14, 0.54), (0.70, 0.14, 0.46), (-0.75, 0.70)), DARK)  # side pods
    add(_slab((0.13, 0.54, 0.62), (0.10, 0.40, 0.46), (0.60, 1.75)), TRIM)  # stripe on the nose
    add(_slab((0.30, 0.64, 0.98), (0.34, 0.58, 0.68), (-0.55, 0.45)), GLASS)  # canopy
    add(_slab((0.22, 0.66, 0.78), (0.26, 0.66, 1.00), (-1.70, -0.55)), TRIM)  # engine cover
    add(_slab((0.95, 0.98, 1.05), (0.95, 0.94, 1.00), (-1.98, -1.58)), PAINT)  # rear wing
    add(_slab((0.06, 0.62, 1.00), (0.06, 0.62, 1.00), (-1.85, -1.65)), DARK)  # its post
    add(_slab((0.90, 0.12, 0.18), (0.80, 0.12, 0.17), (1.95, 2.30)), TRIM)  # front wing
    add(_slab((0.80, 0.30, 0.38), (0.80, 0.30, 0.38), (1.74, 1.82)), DARK)  # front axle
    add(_slab((0.80, 0.30, 0.38), (0.80, 0.30, 0.38), (-1.27, -1.14)), DARK)  # rear axle
    for hub, front in ((FRONT_HUB_M, True), (REAR_HUB_M, False)):
        for sign in (1, -1):
            shape, tones = _wheel((sign * hub[0], hub[1], hub[2]), sides)
            add(shape, tones, sign if front else 0)

    corners = np.asarray(triangles, np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt((normal * normal).sum(axis=1))
    keep = length > 1e-9
    return CarModel(
        corners[keep].astype(np.float32),
        (normal[keep] / length[keep, None]).astype(np.float32),
        np.asarray(colors, np.float32)[keep],
        np.asarray(part, np.int32)[keep],
    )
