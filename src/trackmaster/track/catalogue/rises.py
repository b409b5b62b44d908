"""Height profiles of slopes along z, sampled to knots: polynomials fitted to wheel contacts, and Bezier curves.

Each profile starts at zero; coefficients belong to powers of z / length, beginning with the power in ``first``.
"""

import math
from collections.abc import Sequence

import numpy as np

from trackmaster.track.catalogue.measured import ROAD_SURFACE_M

Rise = tuple[tuple[float, float], ...]
"""Knots (distance along z, height over the beginning), metres; straight in between."""


def polynomial(length_m: float, coefficients: Sequence[float], *, first: int, steps: int) -> Rise:
    """Return the knots of a polynomial rise; the last one lies on the exact sum of the coefficients."""
    knots = []
    for k in range(steps + 1):
        t = k / steps
        height = sum(c * t ** (first + i) for i, c in enumerate(coefficients))
        knots.append((t * length_m, max(height, 0.0) if sum(coefficients) > 0 else height))
    return tuple(knots)


def bezier(length_m: float, height_m: float, *, steps: int) -> Rise:
    """Return the knots, equally far apart along z, of a cubic Bezier curve that begins and ends level.

    Its handles are as long as a third of the line from end to end.
    """
    handle = math.hypot(length_m, height_m) / 3 / length_m
    t = np.linspace(0.0, 1.0, 4001)
    along = 3 * t * (1 - t) ** 2 * handle + 3 * t * t * (1 - t) * (1 - handle) + t**3
    share = np.linspace(0.0, 1.0, steps + 1)
    height = height_m * np.interp(share, along, t * t * (3 - 2 * t))
    return tuple(zip((share * length_m).tolist(), height.tolist(), strict=True))


def raised(rise: Rise, by_m: float) -> Rise:
    """Return the rise lifted by a constant."""
    return tuple((z, h + by_m) for z, h in rise)


def turned(rise: Rise) -> Rise:
    """Return the rise of the same block built the other way round: mirrored along z and upside down."""
    (length, height) = rise[-1]
    return tuple((length - z, height - h) for z, h in reversed(rise))


def backwards(rise: Rise) -> Rise:
    """Return the same surface seen from its other end, starting at its height there."""
    length = rise[-1][0]
    return tuple((length - z, h) for z, h in reversed(rise))


BI_SLOPE: Rise = tuple(
    (4.0 * piece, height)
    for piece, height in enumerate(
        (0.0, 0.0364, 0.1237, 0.2693, 0.4715, 0.7351, 1.064, 1.4591, 1.9223, 2.4518, 3.0484, 3.7133, 4.4474, 5.2484,
         6.1116, 7.0328, 8.0)
    )
)  # fmt: skip
"""BiSlopeStart, and BiSlopeEnd turned around: 16 pieces of 4 m.

Measured by driving over it from starts known to 0.1 mm, heights to 0.5 mm: 7 samples behind its beginning four cars
are 1 mm off (a polynomial through 332 contacts left 15 mm), and three that take off from its top are 0.1 to 0.4 mm off
after 0.3 s of flight instead of 44 to 76 (the first piece is 4.0 m long with a slope of 0.0091: with pieces of 3.5 or
4.6 m, or slopes of 0.0090 or 0.0092, one of the three is 5 mm off or more).
"""

SLOPE_BASE_2 = bezier(32.0, 16.0, steps=16)
"""RoadMainSlopeBase2: handles of 11.93 m, pieces of 2 m.

Measured on 68 samples of 5 drives, how far cars are from the ghosts after 0.1 s (geometric mean): 10 mm; with handles
11.8 or 12.0 m long 12 and 11 mm, with handles of different lengths above 40 mm, with 15 or 17 pieces 16 mm, with a
polynomial of the fifth degree, fitted to 171 contacts, 15 mm.
"""

SLOPE_BASE = tuple((z, h / 2) for z, h in SLOPE_BASE_2)
"""RoadMainSlopeBase: half of SlopeBase2 (assumed; its four contacts agree within 0.05)."""

SLOPE_STRAIGHT: Rise = ((0.0, 0.0), (32.0, 8.0))
"""RoadMainSlopeStraight and the checkpoints and boosters of its kind (measured, 229 contacts, residual 3 mm)."""

U_TOP = polynomial(32.0, (8.0548, -8.0548), first=1, steps=16)
"""RoadMainSlopeUTop over its ends, UBottom below them: a parabola of 2.01 m in pieces of 2 m (61 contacts: 9 mm).

Its first piece is 2.0 m long with a slope of 0.2360: a car that takes off behind it is 0.5 mm off after 0.5 s instead
of 63; with pieces of 1.6 or 2.67 m it is 22 and 69 mm off at best, with slopes of 0.2356 and 0.2364 1 mm and more."""

U_BOTTOM: Rise = tuple((z, -h) for z, h in U_TOP)
"""See :data:`U_TOP`."""

CIRCUIT_SLOPE_START = polynomial(32.0, (-4.967, 58.705, -106.893, 87.815, -26.66), first=2, steps=16)
"""CircuitSlopeStart (measured, 180 contacts, median residual 6 mm)."""

CIRCUIT_SLOPE_END = turned(polynomial(32.0, (1.632, 32.876, -64.477, 55.558, -17.589), first=2, steps=16))
"""CircuitSlopeEnd (measured, 72 contacts, median residual 6 mm)."""

CIRCUIT_SLOPE_STRAIGHT: Rise = ((0.0, 0.0), (32.0, 16.0))
"""CircuitSlopeStraight (measured, 9 contacts, residual 9 mm)."""

PLATFORM_TO_ROAD = polynomial(32.0, (0.279, -2.735, 22.232, -30.787, 12.356), first=1, steps=16)
"""PlatformToRoadMain (measured, 78 contacts, median residual 6 mm)."""

DEAD_END = tuple((13.0 + z, h - 0.345) for z, h in polynomial(11.0, (0.491, -0.004, -0.239, 0.097), first=1, steps=6))
"""Ramp of a dead end, relative to the road surface (measured, 52 contacts, median residual 7 mm)."""

CIRCUIT_RAMPS: dict[str, Rise] = {
    "Big": (
        (0.0, 10.0), (3.73, 9.86), (7.38, 9.65), (9.2, 9.51), (10.0, 9.42), (12.1, 9.235), (13.3, 9.13), (15.2, 8.96),
        (17.0, 8.785), (19.0, 8.61), (21.0, 8.475), (23.0, 8.34), (25.0, 8.2), (27.2, 8.1), (29.3, 8.05), (31.4, 8.01),
        (32.0, 8.0),
    ),
    "Small1x05": ((0.0, 8.5), (4.5, 8.36), (9.3, 8.22), (11.9, 8.13), (15.5, 8.01), (16.5, 8.0), (32.0, 8.0)),
    "Small1x1": (
        (0.0, 8.49), (2.7, 8.46), (11.65, 8.33), (16.75, 8.25), (20.0, 8.19), (22.9, 8.14), (26.3, 8.09), (29.3, 8.05),
        (32.0, 8.0),
    ),
}  # fmt: skip
"""Ramps on platforms over the floor of their block (measured, 65, 58 and 22 contacts; the last metres to the lip are
assumed)."""

RAMP: Rise = (
    (2.0, 7.93), (4.0, 7.03), (5.5, 6.36), (6.7, 5.82), (8.5, 5.06), (10.0, 4.42), (11.25, 3.94), (12.3, 3.55),
    (13.9, 3.0), (15.2, 2.61), (16.6, 2.22), (18.2, 1.885), (20.0, 1.6), (21.0, 1.51), (22.2, 1.44),
    (24.0, ROAD_SURFACE_M),
)  # fmt: skip
"""``StadiumRamp`` over the floor of its block (measured, 179 contacts; the lip lies before 2.06 m)."""

RAMP_LOW: Rise = (
    (2.0, 4.63), (2.6, 4.5), (4.0, 4.18), (5.6, 3.82), (7.1, 3.51), (8.9, 3.11), (10.0, 2.87), (11.2, 2.65),
    (12.1, 2.48), (13.3, 2.28), (14.4, 2.11), (15.4, 1.94), (16.7, 1.775), (18.1, 1.61), (19.0, 1.545), (20.0, 1.48),
    (21.0, 1.43), (22.1, 1.39), (24.0, ROAD_SURFACE_M),
)  # fmt: skip
"""``StadiumRampLow`` (measured, 227 contacts)."""
