"""Height profiles of slopes along z: polynomials fitted to wheel contacts, sampled to knots.

Each profile starts at zero; coefficients belong to powers of z / length, beginning with the power in ``first``.
"""

from collections.abc import Sequence

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


BI_SLOPE = polynomial(64.0, (0.302, 5.533, 4.109, -1.944), first=1, steps=20)
"""BiSlopeStart, and BiSlopeEnd turned around (measured, 332 contacts, median residual 6 mm)."""

SLOPE_BASE_2 = polynomial(32.0, (0.428, 33.73, 20.72, -64.6, 25.722), first=1, steps=20)
"""RoadMainSlopeBase2 (measured, 171 contacts, median residual 8 mm)."""

SLOPE_BASE = tuple((z, h / 2) for z, h in SLOPE_BASE_2)
"""RoadMainSlopeBase: half of SlopeBase2 (assumed; its four contacts agree within 0.05)."""

SLOPE_STRAIGHT: Rise = ((0.0, 0.0), (32.0, 8.0))
"""RoadMainSlopeStraight and the checkpoints and boosters of its kind (measured, 229 contacts, residual 3 mm)."""

U_TOP = polynomial(32.0, (8.0, -8.0), first=1, steps=12)
"""RoadMainSlopeUTop over its ends, UBottom below them: a parabola of 2 m (measured, 61 contacts, residual 9 mm)."""

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
