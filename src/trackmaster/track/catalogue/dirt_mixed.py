"""Where dirt meets other roads: from a lane or a dam to asphalt, and a dam's bridge over a lane."""

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.caps import barrier_ends
from trackmaster.track.catalogue.dirt_roads import DIRT_LEVEL_M, SECTION, lane, section
from trackmaster.track.catalogue.hills import DIRT
from trackmaster.track.catalogue.profile import ASPHALT, UNDERSIDE, road_profile
from trackmaster.track.catalogue.spec import Site
from trackmaster.track.catalogue.tilted import Easing
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, Profile, height_field, straight_path, sweep

LANE_EASING = Easing((-3.59, -0.11, 3.73))
"""Asphalt to lane (measured, 40 contacts, median residual 18 mm)."""

DAM_EASING = Easing((-0.52, 0.71))
"""Asphalt to dam (measured, 163 contacts, median residual 12 mm)."""

BRIDGE_THICKNESS_M = 1.0
"""Thickness of the bridge of ``ToRoadDirtHighBridge`` (assumed)."""

_KERB = [(abs(x), y - m.ROAD_SURFACE_M) for x, y in road_profile().points if 10.0 < abs(x) < 11.0 and x > 0]
_FADE_M = 1.0
_FLAT_TO_M = 12.6
_NEARLY_M = 1e-6


def lane_to_road(_site: Site) -> list[Patch]:
    """Return the way from asphalt (-z) down to a lane (+z)."""
    return _from_asphalt(m.ROAD_SURFACE_M, m.DIRT_SURFACE_M, LANE_EASING, 16.0, raised=False)


def dam_to_road(_site: Site) -> list[Patch]:
    """Return the way from asphalt one level up (-z) to a lane on a dam (+z)."""
    return _from_asphalt(8.0 + m.ROAD_SURFACE_M, 8.0 + m.DIRT_SURFACE_M, DAM_EASING, 32.0, raised=True)


def bridge(_site: Site) -> list[Patch]:
    """Return a lane along z and a dam's lane along x over it (assumed)."""
    along_x = straight_path((0.0, 16.0), (32.0, 16.0))
    deck = sorted({(x, y + 8.0) for x, y in SECTION} | {(-x, y + 8.0) for x, y in SECTION}, reverse=True)
    bottom = 8.0 + SECTION[0][1] - BRIDGE_THICKNESS_M
    outer = deck[0][0]
    points = ((outer, bottom), *deck, (-outer, bottom), (outer, bottom))
    finishes: list[Finish] = [UNDERSIDE, *[DIRT] * (len(deck) - 1), UNDERSIDE, UNDERSIDE]
    return [lane(straight_path((16.0, 0.0), (16.0, 32.0))), *sweep(along_x, Profile(points, tuple(finishes)))]


def _from_asphalt(high_m: float, low_m: float, easing: Easing, asphalt_to_m: float, *, raised: bool) -> list[Patch]:
    kerb_x, kerb_y = np.array(sorted(_KERB)).T

    def height(x: F64, z: F64) -> F64:
        offset = np.abs(x - 16.0)
        share = np.clip(z / 32.0, 0.0, 1.0)
        middle = high_m + (low_m - high_m) * easing(share)
        hollow = (section(offset) - section(np.zeros(1))) * share**2
        kerb = np.interp(offset, kerb_x, kerb_y, left=0.0, right=0.0) * np.clip(1.0 - z / _FADE_M, 0.0, 1.0)
        found = middle + hollow + kerb
        beside = np.full_like(found, DIRT_LEVEL_M) if raised else np.maximum(found, DIRT_LEVEL_M)
        shaped: F64 = np.where(offset > _FLAT_TO_M + _NEARLY_M, beside, found)
        return shaped

    knots = np.array([*(x for x, _ in SECTION), *kerb_x, _FLAT_TO_M, 16.0])
    across = np.unique(np.concatenate([16.0 - knots, 16.0 + knots]))
    along = np.unique(np.concatenate([[0.0, 0.02, _FADE_M], np.linspace(2.0, 32.0, 16)]))
    patches = [height_field(across, along[along <= asphalt_to_m], height, ASPHALT)]
    if asphalt_to_m < 32.0:
        patches.append(height_field(across, along[along >= asphalt_to_m], height, DIRT))
    return patches + barrier_ends((16.0, 0.0), (0.0, 1.0), floor_m=high_m - m.ROAD_SURFACE_M)
