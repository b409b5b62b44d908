"""Roads with a plate or an opening in the middle, and ramps that end in the air."""

from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue import rises
from trackmaster.track.catalogue.profile import ASPHALT, BARRIER, METAL, UNDERSIDE, road_profile
from trackmaster.track.catalogue.rises import Rise
from trackmaster.track.catalogue.roads import knots_path, lift_of
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces, Waypoint, exits_of
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import Profile, box, flipped, rectangle, straight_path, sweep, wall

MEASURED, FAMILY, ASSUMED = Evidence.MEASURED, Evidence.FAMILY, Evidence.ASSUMED

PLATE_HALF_WIDTH_M, PLATE_BEGIN_M, PLATE_END_M = 5.0, 5.7, 26.3
"""The metal plate in the middle of the road, or the opening in its place (measured, 825 contacts, +-0.3)."""

PILLAR_HALF_M, PILLAR_HEIGHT_M = 1.0, 8.0
"""Pillars on the plate: size assumed; no wheel was ever in the middle of HolePillar (14.8 to 17.2 m, 12.5 to 20 m)."""

RAMP_HALF_WIDTH_M = 12.6
"""Half width of ramps (contacts up to 8.9; the rest is assumed)."""

Tilt = tuple[float, float, float]
"""Height of a plane: at (0, 0), per metre of x, per metre of z."""

LEVEL: Tilt = (0.0, 0.0, 0.0)
CLIMBING: Tilt = (0.0, 0.0, 0.25)
TILTED: Tilt = (m.TILTED_FLOOR_M - 16.0 * m.CROSS_SLOPE, m.CROSS_SLOPE, 0.0)

_TOP = m.ROAD_SURFACE_M


def holed_road(tilt: Tilt, *, is_open: bool, pillars: tuple[tuple[float, float], ...] = ()) -> Surfaces:
    """Return a straight with a plate (or an opening) in its middle, laid on a plane; pillars stand at (x, z)."""
    return partial(_holed_road, tilt=tilt, is_open=is_open, pillars=pillars)


def ramp(rise: Rise) -> Surfaces:
    """Return a ramp that climbs towards -z from the road at +z and ends in a lip."""
    return partial(_ramp, rise=rise)


def _holed_road(site: Site, *, tilt: Tilt, is_open: bool, pillars: tuple[tuple[float, float], ...]) -> list[Patch]:
    left, right = 16.0 + PLATE_HALF_WIDTH_M, 16.0 - PLATE_HALF_WIDTH_M
    begin, end = PLATE_BEGIN_M, PLATE_END_M
    patches = _sides()
    for z0, z1 in ((0.0, begin), (end, 32.0)):
        patches.append(rectangle((right, z0), (left, z1), _TOP, ASPHALT))
    if is_open:
        corners = ((right, begin), (left, begin), (left, end), (right, end))
        for start, stop in zip(corners, (*corners[1:], corners[0]), strict=True):
            patches.append(wall(stop, start, m.ROAD_BODY_BOTTOM_M, _TOP, BARRIER))
    else:
        patches.append(rectangle((right, begin), (left, end), _TOP, METAL))
    if not site.on_ground:
        patches += _bottom(is_open)
    patches = [_laid(patch, tilt) for patch in patches]
    for x, z in pillars:
        foot = _TOP + tilt[0] + tilt[1] * x + tilt[2] * z - PILLAR_HALF_M / 2
        low = (x - PILLAR_HALF_M, foot, z - PILLAR_HALF_M)
        high = (x + PILLAR_HALF_M, foot + PILLAR_HEIGHT_M, z + PILLAR_HALF_M)
        patches += box(low, high, BARRIER)
    return patches


def _sides() -> list[Patch]:
    """Return the road beside the plate, along the whole block."""
    profile = road_profile()
    asphalt = next(k for k, finish in enumerate(profile.finishes) if finish is ASPHALT)
    points, finishes = profile.points, profile.finishes
    path = straight_path((16.0, 0.0), (16.0, 32.0))
    left = Profile((*points[: asphalt + 1], (PLATE_HALF_WIDTH_M, _TOP)), finishes[: asphalt + 1])
    right = Profile(((-PLATE_HALF_WIDTH_M, _TOP), *points[asphalt + 1 :]), finishes[asphalt:])
    return sweep(path, left) + sweep(path, right)


def _bottom(is_open: bool) -> list[Patch]:
    outer, half = m.ROAD_OUTER_OFFSET_M, PLATE_HALF_WIDTH_M
    areas = [((16 - outer, 0.0), (16 + outer, 32.0))]
    if is_open:
        areas = [
            ((16 - outer, 0.0), (16 - half, 32.0)),
            ((16 + half, 0.0), (16 + outer, 32.0)),
            ((16 - half, 0.0), (16 + half, PLATE_BEGIN_M)),
            ((16 - half, PLATE_END_M), (16 + half, 32.0)),
        ]
    return [flipped(rectangle(low, high, m.ROAD_BODY_BOTTOM_M, UNDERSIDE)) for low, high in areas]


def _laid(patch: Patch, tilt: Tilt) -> Patch:
    vertices = patch.vertices.copy()
    vertices[:, 1] += tilt[0] + tilt[1] * vertices[:, 0] + tilt[2] * vertices[:, 2]
    return Patch(vertices, patch.triangles, patch.material, patch.look, patch.collidable)


def _ramp(site: Site, *, rise: Rise) -> list[Patch]:
    (lip_z, lip_m), (flat_z, _) = rise[0], rise[-1]
    half = RAMP_HALF_WIDTH_M
    path, lift = knots_path(rise), lift_of(rise)
    patches = sweep(path, Profile(((half, 0.0), (-half, 0.0)), (METAL,)), lift=lift)
    for side in (1.0, -1.0):
        outline = np.array([(z, y) for z, y in rise])
        x = 16.0 + side * half
        top = np.stack([np.full(len(outline), x), outline[:, 1], outline[:, 0]], axis=1)
        foot = top * [1.0, 0.0, 1.0] + [0.0, m.ROAD_BODY_BOTTOM_M, 0.0]
        k = np.arange(len(outline) - 1)
        n = len(outline)
        faces = np.concatenate([np.stack([k, k + 1, k + 1 + n], 1), np.stack([k, k + 1 + n, k + n], 1)])
        patch = Patch(np.concatenate([top, foot]), faces.astype(np.int32), BARRIER.material, BARRIER.look)
        patches.append(patch if side < 0 else flipped(patch))
    patches.append(wall((16 - half, lip_z), (16 + half, lip_z), m.ROAD_BODY_BOTTOM_M, lip_m, BARRIER))
    patches += sweep(straight_path((16.0, flat_z), (16.0, 32.0)), road_profile())
    if not site.on_ground:
        outer = m.ROAD_OUTER_OFFSET_M
        patches.append(flipped(rectangle((16 - outer, lip_z), (16 + outer, 32.0), m.ROAD_BODY_BOTTOM_M, UNDERSIDE)))
    return patches


def _block(surfaces: Surfaces, exits: str, evidence: Evidence, lips: str = "") -> BlockSpec:
    return BlockSpec("holed road", surfaces, exits=exits_of(exits), evidence=evidence, lips=exits_of(lips))


_LEVEL_WAYS, _UP_WAYS, _TILT_WAYS = "+z@0,0,0:R -z@0,0,0:R", "-z@0,0,0:R +z@0,1,0:R", "+z@0,0,0:tR -z@0,0,0:tL"
_ONE = ((16.0, 16.0),)

_RING_GATE = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, 0.0, 0.0, half_width_m=16.0, height_m=16.0)


def nothing(_site: Site) -> list[Patch]:
    """Return no surface: a ring in the air is only a gate here."""
    return []


HOLES: dict[str, BlockSpec] = {
    "StadiumHole": _block(holed_road(LEVEL, is_open=True), _LEVEL_WAYS, MEASURED),
    "StadiumHoleSlope": _block(holed_road(CLIMBING, is_open=True), _UP_WAYS, FAMILY),
    "StadiumHoleTilt": _block(holed_road(TILTED, is_open=True), _TILT_WAYS, MEASURED),
    "StadiumHolePillar": _block(holed_road(LEVEL, is_open=False, pillars=_ONE), _LEVEL_WAYS, MEASURED),
    "StadiumHolePillarSlope": _block(holed_road(CLIMBING, is_open=False, pillars=_ONE), _UP_WAYS, MEASURED),
    "StadiumHolePillarTilt": _block(holed_road(TILTED, is_open=False, pillars=_ONE), _TILT_WAYS, FAMILY),
    "StadiumHolePillar2Front": _block(
        holed_road(LEVEL, is_open=False, pillars=((12.0, 16.0), (20.0, 16.0))), _LEVEL_WAYS, MEASURED
    ),
    "StadiumHolePillar2Line": _block(
        holed_road(LEVEL, is_open=False, pillars=((16.0, 10.0), (16.0, 22.0))), _LEVEL_WAYS, MEASURED
    ),
    "StadiumHolePillar3": _block(holed_road(LEVEL, is_open=False), _LEVEL_WAYS, MEASURED),
    "StadiumRamp": _block(ramp(rises.RAMP), "+z@0,0,0:R", MEASURED, "-z@0,1,0:P"),
    "StadiumRampLow": _block(ramp(rises.RAMP_LOW), "+z@0,0,0:R", MEASURED, "-z@0,0,0:P"),
    "StadiumCheckpointRingV": BlockSpec("ring", nothing, evidence=ASSUMED, waypoint=_RING_GATE),
}
"""Roads with a plate or a hole, ramps and rings by name."""
