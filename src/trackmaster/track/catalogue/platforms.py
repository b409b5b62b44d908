"""Platform ("circuit") blocks: flat tops one level over the block's floor, their borders, slopes and gates."""

import math
from functools import partial

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue import rises
from trackmaster.track.catalogue.edges import EDGES
from trackmaster.track.catalogue.rises import Rise
from trackmaster.track.catalogue.roads import knots_path, lift_of
from trackmaster.track.catalogue.spec import BlockSpec, Clip, Evidence, Exit, Site, Surfaces, Waypoint, exits_of
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import (
    Finish,
    Path,
    Profile,
    arc_path,
    fan,
    flipped,
    rectangle,
    straight_path,
    sweep,
    wall,
)
from trackmaster.track.surface import Look, Material

TOP = Finish(Material.ASPHALT, Look.PLATFORM)
TURBO = Finish(Material.TURBO, Look.TURBO)
RUBBER = Finish(Material.RUBBER, Look.KERB)
SIDE = Finish(Material.CONCRETE, Look.WALL)
UNDERSIDE = Finish(Material.CONCRETE, Look.UNDERSIDE)
CONTROL = Finish(Material.CONCRETE, Look.PLATFORM)

UP = (0, 1, 0)
"""The cell above the block: a platform's surface is that cell's floor."""

_UNDER_M = m.PLATFORM_TOP_M - m.PLATFORM_THICKNESS_M
_BARRIER_M = 32.0 - m.BORDER_RUBBER_M
"""Distance of a border's barrier from the side with the platform."""


def tile(top: Finish = TOP) -> Surfaces:
    """Return the surfaces of a flat platform: top, underside and the sides that no neighbour continues."""
    return partial(_tile, top=top)


def slope(rise: Rise, top: Finish = TOP, *, base_m: float = m.PLATFORM_TOP_M) -> Surfaces:
    """Return the surfaces of a platform as wide as its cell that climbs along z from ``base_m``."""
    return partial(_slope, rise=rise, top=top, base_m=base_m)


def leaning(top: Finish = TOP, *, left_high: bool) -> Surfaces:
    """Return the surfaces of a platform that climbs two levels to one side."""
    return partial(_leaning, top=top, left_high=left_high)


def border_straight(site: Site) -> list[Patch]:
    """Return the strip of rubber and the barrier along the side +z, where the platform goes on."""
    return _border(site, straight_path((32, _BARRIER_M), (0, _BARRIER_M)))


def border_corner_out(site: Site) -> list[Patch]:
    """Return the border around an outward corner of the platform, which lies towards -x and +z."""
    return _border(site, arc_path((0, 32), m.BORDER_RUBBER_M, 0.0, -math.pi / 2, 6))


def border_corner_in(site: Site) -> list[Patch]:
    """Return the border around an inward corner: the platform goes on towards +x and +z."""
    around = arc_path((0, 0), _BARRIER_M, 0.0, math.pi / 2, 12)
    patches = _border(site, around)
    outline = around.points * (32.0 / _BARRIER_M)
    patches.append(fan((32, 32), outline[::-1], m.PLATFORM_TOP_M, TOP, closed=False))
    return patches + _sides(site, (0, 3))


def _tile(site: Site, *, top: Finish) -> list[Patch]:
    patches = [rectangle((0, 0), (32, 32), m.PLATFORM_TOP_M, top), *_sides(site, (0, 1, 2, 3))]
    return patches if site.on_ground else [*patches, _underside()]


def _sides(site: Site, sides: tuple[int, ...]) -> list[Patch]:
    bottom = 0.0 if site.on_ground else _UNDER_M
    return [wall(*EDGES[side], bottom, m.PLATFORM_TOP_M, SIDE) for side in sides if (side, UP) not in site.joined]


def bridge_deck(_site: Site) -> list[Patch]:
    """Return the deck of a sculptured bridge: its height is known, its extent (the whole cell) is not."""
    top, low = m.BRIDGE_DECK_M, m.BRIDGE_DECK_M - m.PLATFORM_THICKNESS_M / 2
    sides = [wall(*edge, low, top, SIDE) for edge in EDGES]
    return [rectangle((0, 0), (32, 32), top, TOP), flipped(rectangle((0, 0), (32, 32), low, UNDERSIDE)), *sides]


def _underside() -> Patch:
    return flipped(rectangle((0, 0), (32, 32), _UNDER_M, UNDERSIDE))


def _border(site: Site, path: Path) -> list[Patch]:
    """Return rubber, barrier and outer face along ``path``, which follows the barrier with the platform on its left."""
    top, high = m.PLATFORM_TOP_M, m.PLATFORM_TOP_M + m.WALL_HEIGHT_M
    foot = 0.0 if site.on_ground else _UNDER_M
    outer = -m.BORDER_WALL_THICKNESS_M
    points = ((m.BORDER_RUBBER_M, top), (0.0, top), (0.0, high), (outer, high), (outer, foot))
    patches = sweep(path, Profile(points, (RUBBER, SIDE, SIDE, SIDE)))
    if not site.on_ground:
        patches += sweep(path, Profile(((outer, foot), (m.BORDER_RUBBER_M, foot)), (UNDERSIDE,)))
    return patches


def _slope(_site: Site, *, rise: Rise, top: Finish, base_m: float) -> list[Patch]:
    low = -m.PLATFORM_THICKNESS_M
    points = ((16.0, low), (16.0, 0.0), (-16.0, 0.0), (-16.0, low), (16.0, low))
    return sweep(knots_path(rise), Profile(points, (SIDE, top, SIDE, UNDERSIDE)), lift=lift_of(rise, base_m))


def _leaning(_site: Site, *, top: Finish, left_high: bool) -> list[Patch]:
    side = 8.0 if left_high else -8.0
    middle, low = m.PLATFORM_TOP_M + 8.0, -m.PLATFORM_THICKNESS_M
    right, left = middle - side, middle + side
    points = ((16.0, left + low), (16.0, left), (-16.0, right), (-16.0, right + low), (16.0, left + low))
    return sweep(straight_path((16, 0), (16, 32)), Profile(points, (SIDE, top, SIDE, UNDERSIDE)))


def _ramp(site: Site, *, rise: Rise) -> list[Patch]:
    """Return a platform whose top climbs towards -z, up to a lip."""
    points = ((16.0, 0.0), (-16.0, 0.0))
    patches = sweep(knots_path(rise), Profile(points, (TOP,)), lift=lift_of(rise))
    for side in (1, 3):
        if (side, UP) not in site.joined:
            x = 16.0 if side == 3 else -16.0
            flank = ((x, -m.PLATFORM_THICKNESS_M), (x, 0.0))
            patches += sweep(
                knots_path(rise), Profile(flank if side == 3 else flank[::-1], (SIDE,)), lift=lift_of(rise)
            )
    lip = rise[0][1]
    patches.append(wall((0, 0), (32, 0), 0.0 if site.on_ground else _UNDER_M, lip, SIDE))
    return patches if site.on_ground else [*patches, _underside()]


_FOUR_WAYS = tuple(Exit(side, UP, Clip.PLATFORM) for side in range(4))
_GATE = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.PLATFORM_TOP_M, m.PLATFORM_TOP_M)
_SLOPE_UP = "-z@0,1,0:P +z@0,2,0:P"


def _flat(
    surfaces: Surfaces,
    exits: tuple[Exit, ...] = _FOUR_WAYS,
    evidence: Evidence = Evidence.MEASURED,
    waypoint: Waypoint | None = None,
) -> BlockSpec:
    return BlockSpec("platform", surfaces, exits=exits, evidence=evidence, waypoint=waypoint)


def _slope_block(
    rise: Rise,
    exits: str,
    top: Finish = TOP,
    evidence: Evidence = Evidence.MEASURED,
    *,
    base_m: float = m.PLATFORM_TOP_M,
    waypoint: Waypoint | None = None,
) -> BlockSpec:
    return BlockSpec(
        "platform slope",
        slope(rise, top, base_m=base_m),
        exits=exits_of(exits),
        evidence=evidence,
        waypoint=waypoint,
        middle=rises.raised(rise, base_m),
    )


def _leaning_block(top: Finish, *, left_high: bool, waypoint: Waypoint | None = None) -> BlockSpec:
    return BlockSpec("platform slope", leaning(top, left_high=left_high), evidence=Evidence.FAMILY, waypoint=waypoint)


_STEEP = rises.CIRCUIT_SLOPE_STRAIGHT
_STEEP_DOWN = rises.backwards(_STEEP)
_UP, _DOWN = "-z@0,1,0:P +z@0,3,0:P", "+z@0,1,0:P -z@0,3,0:P"
_HALF_WAY_M = m.PLATFORM_TOP_M + 8.0
_STEEP_GATE = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, _HALF_WAY_M, _HALF_WAY_M)
_LEANING_GATE = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.PLATFORM_TOP_M, _HALF_WAY_M, height_m=24.0)
_FAMILY = Evidence.FAMILY

_STEEP_BLOCKS: dict[str, BlockSpec] = {
    "StadiumPlatformSlope2Straight": _slope_block(_STEEP, "-z@0,0,0:P +z@0,2,0:P", base_m=0.0),
    "StadiumPlatformBiSlope2Start": _slope_block(rises.CIRCUIT_SLOPE_START, _SLOPE_UP),
    "StadiumPlatformBiSlope2End": _slope_block(rises.CIRCUIT_SLOPE_END, "-z@0,0,0:P +z@0,1,0:P", base_m=0.0),
    "StadiumPlatformCheckpointUp": _slope_block(_STEEP, _UP, waypoint=_STEEP_GATE),
    "StadiumPlatformCheckpointDown": _slope_block(_STEEP_DOWN, _DOWN, TOP, _FAMILY, waypoint=_STEEP_GATE),
    "StadiumPlatformCheckpointLeft": _leaning_block(TOP, left_high=False, waypoint=_LEANING_GATE),
    "StadiumPlatformCheckpointRight": _leaning_block(TOP, left_high=True, waypoint=_LEANING_GATE),
    "StadiumPlatformTurboUp": _slope_block(_STEEP, _UP, TURBO, _FAMILY),
    "StadiumPlatformTurboDown": _slope_block(_STEEP_DOWN, _DOWN, TURBO, _FAMILY),
    "StadiumPlatformTurboLeft": _leaning_block(TURBO, left_high=False),
    "StadiumPlatformTurboRight": _leaning_block(TURBO, left_high=True),
    "StadiumCircuitTurboUp": _slope_block(_STEEP, _UP, TURBO, _FAMILY),
    "StadiumCircuitTurboDown": _slope_block(_STEEP_DOWN, _DOWN, TURBO),
}

_RAMPS: dict[str, BlockSpec] = {
    f"StadiumCircuitRamp{name}": BlockSpec(
        "platform ramp",
        partial(_ramp, rise=rise),
        exits=exits_of("+z@0,1,0:P"),
        evidence=Evidence.MEASURED,
        lips=exits_of("-z@0,1,0:P"),
    )
    for name, rise in rises.CIRCUIT_RAMPS.items()
}

PLATFORM_ROAD: dict[int, BlockSpec] = {
    variant: _flat(tile(), evidence=Evidence.MEASURED if variant < 3 else Evidence.FAMILY) for variant in range(6)
}
"""``StadiumPlatformRoad`` by variant: all are one flat tile (50 contacts up to the edges)."""

PLATFORMS: dict[str, BlockSpec] = {
    "StadiumCircuitBase": _flat(tile()),
    "StadiumPlatformCheckpoint": _flat(tile(), waypoint=_GATE),
    "StadiumPlatformTurbo": _flat(tile(TURBO)),
    "StadiumCircuitTurbo": _flat(tile(TURBO)),
    **{f"StadiumCircuitPillar{n}": _flat(tile()) for n in (1, 2, 3, 6)},
    **{f"StadiumCircuitPillar{n}": _flat(tile(), evidence=Evidence.ASSUMED) for n in (4, 5, 7)},
    **{f"StadiumControlRoad{kind}": _flat(tile(CONTROL)) for kind in ("Camera", "Glass")},
    "StadiumControlRoadPub": _flat(tile(CONTROL), evidence=Evidence.FAMILY),
    "StadiumCircuitBorderStraight": _flat(border_straight, exits_of("+z@0,1,0:P")),
    "StadiumCircuitBorderCornerIn": _flat(border_corner_in, exits_of("+z@0,1,0:P +x@0,1,0:P")),
    "StadiumCircuitBorderCornerOut": _flat(border_corner_out, (), Evidence.ASSUMED),
    "StadiumSculptBridgeStraightSmall": BlockSpec("bridge", bridge_deck, evidence=Evidence.MEASURED),
    **_STEEP_BLOCKS,
    **_RAMPS,
    "StadiumCircuitSlopeStart": _slope_block(rises.CIRCUIT_SLOPE_START, _SLOPE_UP),
    "StadiumCircuitSlopeStraight": _slope_block(rises.CIRCUIT_SLOPE_STRAIGHT, "-z@0,1,0:P +z@0,3,0:P"),
    "StadiumCircuitSlopeEnd": _slope_block(rises.CIRCUIT_SLOPE_END, _SLOPE_UP),
}
"""Platforms by name."""
