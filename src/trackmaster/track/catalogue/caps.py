"""What closes a road where it ends: one-sided bodies must not be open to the front, and some ends have a lip."""

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import BARRIER, METAL, UNDERSIDE
from trackmaster.track.mesh import Patch
from trackmaster.track.shapes import flipped, quad, wall

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


def end_lip(middle: Plan, facing: Plan, *, floor_m: float = 0.0, climb: float = 0.0) -> list[Patch]:
    """Return the metal lip that goes on where a road ends in the air.

    Args:
        middle: middle of the road's end in the block's frame.
        facing: unit vector out of the road.
        floor_m: height that the road's floor has there.
        climb: slope of the road in the direction of ``facing``; the lip goes on with it (assumed, only a level one was
            measured).
    """
    ahead = np.array([facing[0], climb, facing[1]]) * m.END_LIP_M
    across = np.array([-facing[1], 0.0, facing[0]]) * m.WALL_OFFSET_M
    near = np.array([middle[0], floor_m + m.ROAD_SURFACE_M, middle[1]])
    top = np.array([near - across, near + across, near + across + ahead, near - across + ahead])
    bottom = top - [0.0, m.END_LIP_THICKNESS_M, 0.0]
    sides = [np.array([top[i], bottom[i], bottom[k], top[k]]) for i, k in ((1, 2), (2, 3), (3, 0))]
    return [quad(top, METAL), flipped(quad(bottom, UNDERSIDE)), *(quad(side, BARRIER) for side in sides)]


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
