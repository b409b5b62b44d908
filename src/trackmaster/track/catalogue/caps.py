"""The faces that close a road where it ends: one-sided bodies must not be open to the front."""

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import BARRIER
from trackmaster.track.mesh import Patch
from trackmaster.track.shapes import wall

Plan = tuple[float, float]
"""x and z, metres."""


def end_cap(middle: Plan, facing: Plan, *, floor_m: float = 0.0) -> list[Patch]:
    """Return the cross-section of a road (kerbs left out) that ends at ``middle`` and faces ``facing``.

    Args:
        middle: middle of the road's end in the block's frame.
        facing: unit vector out of the road.
        floor_m: height that the road's floor has there.
    """
    outer = m.ROAD_OUTER_OFFSET_M
    body = _face(middle, facing, -outer, outer, floor_m + m.ROAD_BODY_BOTTOM_M, floor_m + m.ROAD_SURFACE_M)
    return [body, *barrier_ends(middle, facing, floor_m=floor_m)]


def barrier_ends(middle: Plan, facing: Plan, *, floor_m: float = 0.0) -> list[Patch]:
    """Return the ends of both barriers of such a road."""
    inner, outer = m.WALL_OFFSET_M, m.ROAD_OUTER_OFFSET_M
    low = floor_m + m.ROAD_SURFACE_M
    spans = ((-outer, -inner), (inner, outer))
    return [_face(middle, facing, begin, end, low, low + m.WALL_HEIGHT_M) for begin, end in spans]


def _face(middle: Plan, facing: Plan, begin: float, end: float, low_m: float, high_m: float) -> Patch:
    # a walker who has ``facing`` on the left goes along (-z, x) of it
    along = np.array([-facing[1], facing[0]])
    start, stop = np.array(middle) + begin * along, np.array(middle) + end * along
    return wall((start[0], start[1]), (stop[0], stop[1]), low_m, high_m, BARRIER)
