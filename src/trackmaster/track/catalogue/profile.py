"""The cross-section of RoadMain: asphalt, rubber kerb, metal gutter, barrier."""

from trackmaster.track.catalogue import measured as m
from trackmaster.track.shapes import Finish, Profile
from trackmaster.track.surface import Look, Material

ASPHALT = Finish(Material.ASPHALT, Look.ROAD)
KERB = Finish(Material.RUBBER, Look.KERB)
METAL = Finish(Material.METAL, Look.MARKING)
BARRIER = Finish(Material.CONCRETE, Look.WALL)
UNDERSIDE = Finish(Material.CONCRETE, Look.UNDERSIDE)

_TOP = m.ROAD_SURFACE_M + m.WALL_HEIGHT_M

Kerb = tuple[tuple[float, float], ...]
"""Distance from the asphalt's edge and height of its corners, from the foot to the outer edge."""


def _half(kerb: Kerb) -> tuple[tuple[float, float, Finish], ...]:
    """Return offset, height, and the finish of the face that follows, from the edge of the asphalt outwards."""
    return (
        *((m.ASPHALT_HALF_WIDTH_M + x, m.ROAD_SURFACE_M + y, KERB) for x, y in kerb[:-1]),
        (m.ASPHALT_HALF_WIDTH_M + kerb[-1][0], m.ROAD_SURFACE_M, METAL),
        (m.WALL_OFFSET_M, m.ROAD_SURFACE_M, BARRIER),
        (m.WALL_OFFSET_M, _TOP, BARRIER),
        (m.ROAD_OUTER_OFFSET_M, _TOP, BARRIER),
    )


_HALF = _half(m.KERB_M)

_FOOT = (m.ROAD_OUTER_OFFSET_M, m.ROAD_BODY_BOTTOM_M)


def road_profile(surface: Finish = ASPHALT, *, gutter: Finish | None = None, kerb: Kerb = m.KERB_M) -> Profile:
    """Return the cross-section of a flat road from the foot of its left side to the foot of its right side.

    Args:
        surface: what the asphalt is replaced by, for boosters.
        gutter: what kerb and gutter are replaced by, for roads that are one surface from wall to wall.
        kerb: section of the kerbs.
    """
    half = _without_kerb(gutter) if gutter else _half(kerb)
    left = (_FOOT, *((x, y) for x, y, _ in reversed(half)))
    right = (*((-x, y) for x, y, _ in half), (-_FOOT[0], _FOOT[1]))
    outwards = tuple(finish for _, _, finish in half)
    return Profile(left + right, (*reversed(outwards), surface, *outwards))


def border_profile() -> Profile:
    """Return kerb, gutter and barrier on the right of a line that follows the edge of the asphalt."""
    edge = m.ASPHALT_HALF_WIDTH_M
    points = (*((edge - x, y) for x, y, _ in _HALF), (edge - _FOOT[0], _FOOT[1]))
    return Profile(points, tuple(finish for _, _, finish in _HALF))


def underside_profile() -> Profile:
    """Return the bottom of the road body, facing down."""
    offset, height = _FOOT
    return Profile(((-offset, height), (offset, height)), (UNDERSIDE,))


def _without_kerb(gutter: Finish) -> tuple[tuple[float, float, Finish], ...]:
    return ((m.ASPHALT_HALF_WIDTH_M, m.ROAD_SURFACE_M, gutter), *_HALF[len(m.KERB_M) :])
