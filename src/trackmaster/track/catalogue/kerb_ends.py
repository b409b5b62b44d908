"""Where kerbs end on a plate: from their full section they narrow and sink in straight lines to their outer edge."""

from collections.abc import Callable

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import ASPHALT, KERB, METAL
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, net

Place = Callable[[int, F64, F64], F64]
"""Number of a section, offsets to the left (k,) and heights (k,) to points (k, 3) of the block's frame."""

KERB_OUTER_M = m.ASPHALT_HALF_WIDTH_M + m.KERB_M[-1][0]
"""Distance of the kerb's outer edge from the middle of the road."""


def fading_kerb(share: float) -> F64:
    """Return (6, 2) offsets and heights of a kerb from the asphalt outwards; 1 is its full section, 0 its end.

    All faces run to one point on the outer edge (measured on ``PlatformToRoad``: of 6 drives over its kerb 4 stay
    within 0.1 mm of the ghost until they leave it over the outer edge, one within 0.7 mm, one within 3 mm; 28 windows
    are explained to 2.0 times what a ghost can tell, with a kerb whose height alone fades to 2.5 at best).
    """
    full = np.add(m.KERB_M, (m.ASPHALT_HALF_WIDTH_M, 0.0))
    end = np.array([KERB_OUTER_M, 0.0])
    return np.vstack([[[m.ASPHALT_HALF_WIDTH_M, 0.0]], end + share * (full - end)])


def road_with_fading_kerbs(place: Place, shares: list[float], left_m: float, right_m: float) -> list[Patch]:
    """Return asphalt, kerbs and gutters of a road in the direction of travel.

    Args:
        place: puts a point of a section into the block.
        shares: what is left of the kerbs in each section.
        left_m: how far the left gutter reaches from the middle.
        right_m: the same at the right.
    """
    rows = range(len(shares))
    half = m.ASPHALT_HALF_WIDTH_M
    level = ((half, -half, ASPHALT), (left_m, KERB_OUTER_M, METAL), (-KERB_OUTER_M, -right_m, METAL))
    patches = [_strip(place, len(shares), left, right, finish) for left, right, finish in level]
    kerbs = [fading_kerb(share) for share in shares]
    patches.append(net(np.stack([place(k, kerbs[k][::-1, 0], kerbs[k][::-1, 1]) for k in rows]), KERB))
    patches.append(net(np.stack([place(k, -kerbs[k][:, 0], kerbs[k][:, 1]) for k in rows]), KERB))
    return patches


def _strip(place: Place, count: int, left: float, right: float, finish: Finish) -> Patch:
    return net(np.stack([place(k, np.array([left, right]), np.zeros(2)) for k in range(count)]), finish)
