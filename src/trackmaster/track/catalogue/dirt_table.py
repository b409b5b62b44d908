"""The declared roads of dirt by name and variant."""

from trackmaster.track.catalogue import dirt_roads as d
from trackmaster.track.catalogue import hillsides as h
from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.dirt_mixed import bridge, dam_to_road, lane_to_road
from trackmaster.track.catalogue.roads import TURBO
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Surfaces, Waypoint, exits_of
from trackmaster.track.catalogue.tilted import Easing
from trackmaster.track.pose import TriggerKind

MEASURED, FAMILY, ASSUMED = Evidence.MEASURED, Evidence.FAMILY, Evidence.ASSUMED

HILL_EASING = Easing((0.62, 2.96, -0.99))
"""Climb of HillSlope2 (measured, 146 contacts, median residual 17 mm)."""

DAM_EASING = Easing((1.24, 3.34, -0.72))
"""Climb of ToRoadDirtHigh2 (measured, 280 contacts, median residual 27 mm)."""

CURVED_EASING, CURVED_EASING_BIS = Easing((0.49, 1.79, 1.82)), Easing((0.27, 1.13, 1.28))
CURVED_BANK, CURVED_BANK_BIS = (1.69, -3.31), (2.32, -1.85)
"""HillSlopeGT2 and GT2Bis (measured, 197 and 412 contacts, median residual 52 and 63 mm, 90 % 150 mm)."""

WAVE = (
    (16.0, 4.4),
    (17.5, 4.18),
    (18.85, 3.5),
    (21.1, 2.47),
    (22.3, 1.95),
    (25.1, 0.96),
    (26.6, 0.57),
    (28.0, 0.24),
    (29.6, 0.06),
    (32.0, 0.0),
)
"""The far half of Wave_x1 (measured, 23 contacts); the near half mirrors it."""

DOUBLE_WAVE = (
    (0.0, 0.0),
    (1.0, 0.02),
    (2.1, 0.06),
    (3.1, 0.13),
    (4.2, 0.22),
    (5.0, 0.36),
    (6.05, 0.59),
    (7.8, 0.79),
    (9.0, 0.85),
    (11.0, 0.75),
    (16.0, 0.3),
)
"""The near half of Wave_x2 (measured up to 8 m, 58 contacts; the trough is assumed); the far half mirrors it."""

SHORT_DAM_EASING = Easing((1.5, 2.6))
"""Climb of ToRoadDirtHigh (measured on its lower half, 31 contacts)."""

DEAD_END = ((0.0, 1.0), (2.0, 1.0), (6.0, 0.64), (10.0, 0.3), (14.0, 0.0), (18.0, -0.17), (24.0, -0.5), (32.0, -0.605))
"""Floor of a lane that runs out (measured, 110 contacts)."""

_THROUGH, _HIGH = "+z@0,0,0:D -z@0,0,0:D", "+z@0,0,0:DH -z@0,0,0:DH"
_WAYS = ("+z@0,0,0", "-x@0,0,0", "-z@0,0,0", "+x@0,0,0")


def _gate(floor_m: float) -> Waypoint:
    surface = floor_m + m.DIRT_SURFACE_M
    return Waypoint(TriggerKind.CHECKPOINT, m.DIRT_CHECKPOINT_PLANE_M, surface, surface + m.RESPAWN_OVER_SURFACE_M)


def _dirt(
    surfaces: Surfaces,
    exits: str,
    evidence: Evidence,
    size: tuple[int, int] = (1, 1),
    waypoint: Waypoint | None = None,
    family: str = "dirt road",
) -> BlockSpec:
    return BlockSpec(
        family,
        surfaces,
        size=size,
        exits=exits_of(exits),
        evidence=evidence,
        waypoint=waypoint,
        covers_ground=True,
        replaces_terrain=True,
    )


def _arms(*sides: int, clip: str = "D") -> str:
    return " ".join(f"{_WAYS[side]}:{clip}" for side in sides)


ROAD_DIRT: dict[int, BlockSpec] = {
    0: _dirt(d.junction(()), "", ASSUMED),
    1: _dirt(d.dead_end(DEAD_END), _arms(0), MEASURED),
    2: _dirt(d.curve(1), _arms(0, 1), FAMILY),
    3: _dirt(d.straight(), _THROUGH, MEASURED),
    4: _dirt(d.junction((0, 1, 2)), _arms(0, 1, 2), ASSUMED),
    5: _dirt(d.junction((0, 1, 2, 3)), _arms(0, 1, 2, 3), ASSUMED),
}
"""``StadiumRoadDirt`` by variant."""

ROAD_DIRT_HIGH: dict[int, BlockSpec] = {
    1: _dirt(d.straight(raised=True), _arms(0, clip="DH"), ASSUMED),
    2: _dirt(d.curve(1, raised=True), _arms(0, 1, clip="DH"), FAMILY),
    3: _dirt(d.straight(raised=True), _HIGH, FAMILY),
}
"""``StadiumRoadDirtHigh`` by variant; the isolated mound, T and cross are not known."""

_LANES: dict[str, BlockSpec] = {
    "Checkpoint": _dirt(d.straight(), _THROUGH, MEASURED, waypoint=_gate(0.0)),
    "Turbo": _dirt(d.straight(TURBO), _THROUGH, MEASURED),
    "FenceStraight": _dirt(d.straight(), _THROUGH, MEASURED),
    "FenceCorner": _dirt(d.curve(1), _arms(0, 1), MEASURED),
    "ToRoadGrass": _dirt(d.straight(), _THROUGH, FAMILY),
    "GTCurve2": _dirt(d.curve(2), "-x@0,0,0:D +z@1,0,1:D", MEASURED, (2, 2)),
    "GTCurve3": _dirt(d.curve(3), "-x@0,0,0:D +z@2,0,2:D", MEASURED, (3, 3)),
    "DiagonaleLeft": _dirt(d.diagonal(mirrored=False), "-z@0,0,0:D +z@1,0,2:D", MEASURED, (2, 3)),
    "DiagonaleRight": _dirt(d.diagonal(mirrored=True), "+z@0,0,2:D -z@1,0,0:D", MEASURED, (2, 3)),
    "Wave_x1": _dirt(d.waves((*((32.0 - z, y) for z, y in WAVE[:0:-1]), *WAVE)), _THROUGH, MEASURED),
    "Wave_x2": _dirt(d.waves((*DOUBLE_WAVE, *((32.0 - z, y) for z, y in DOUBLE_WAVE[-2::-1]))), _THROUGH, MEASURED),
    "ToRoad": _dirt(lane_to_road, "+z@0,0,0:D -z@0,0,0:R", MEASURED),
}

_RAISED: dict[str, BlockSpec] = {
    "HighCheckpoint": _dirt(d.straight(raised=True), _HIGH, FAMILY, waypoint=_gate(8.0)),
    "HighFenceStraight": _dirt(d.straight(raised=True), _HIGH, FAMILY),
    "HighFenceCorner": _dirt(d.curve(1, raised=True), _arms(0, 1, clip="DH"), MEASURED),
    "HighGTCurve3": _dirt(d.curve(3, raised=True), "-x@0,0,0:DH +z@2,0,2:DH", FAMILY, (3, 3)),
    "HighToRoad": _dirt(dam_to_road, "+z@0,0,0:DH -z@0,1,0:R", MEASURED),
    "ToRoadDirtHigh2": _dirt(d.climb(2, 8.0, DAM_EASING, raised_end=True), "-z@0,0,0:D +z@0,0,1:DH", MEASURED, (1, 2)),
    "ToRoadDirtHigh": _dirt(d.climb(1, 8.0, SHORT_DAM_EASING, raised_end=True), "-z@0,0,0:D +z@0,0,0:DH", MEASURED),
    "ToRoadDirtHighBridge": _dirt(bridge, f"{_THROUGH} -x@0,0,0:DH +x@0,0,0:DH", ASSUMED),
}

_HILLS: dict[str, BlockSpec] = {
    "Slope2": _dirt(d.climb(2, 16.0, HILL_EASING, hill=True), "-z@0,0,0:D +z@0,2,1:D", MEASURED, (1, 2)),
    "Slope": _dirt(d.climb(1, 16.0, HILL_EASING, hill=True), "-z@0,0,0:D +z@0,2,0:D", ASSUMED),
    "SlopeGT2": _dirt(
        d.curved_climb((0.0, 64.0), 0.0, -1.0, CURVED_EASING, CURVED_BANK),
        "-x@0,2,0:D +z@1,0,1:D",
        MEASURED,
        (2, 2),
    ),
    "SlopeGT2Bis": _dirt(
        d.curved_climb((64.0, 64.0), 2.0, 3.0, CURVED_EASING_BIS, CURVED_BANK_BIS),
        "+z@0,0,1:D +x@1,2,0:D",
        MEASURED,
        (2, 2),
    ),
    "TiltStraight": _dirt(
        h.hillside((1, 2), h.straight_bank, along_z_only=True), "-x@0,0,1:hL +x@0,0,1:hR", MEASURED, (1, 2)
    ),
    "TiltCornerIn": _dirt(h.hillside((2, 2), h.bank_corner_in), "+z@1,0,1:hL +x@1,0,1:hR", MEASURED, (2, 2)),
    "TiltCornerOut": _dirt(h.hillside((2, 2), h.bank_corner_out), "-z@0,0,0:hL +x@1,0,1:hR", ASSUMED, (2, 2)),
    "TiltCornerLeft": _dirt(
        h.hillside((1, 2), h.bank_turn(towards_right=True)), "+z@0,0,1:D -x@0,0,1:hL", MEASURED, (1, 2)
    ),
    "TiltCornerRight": _dirt(
        h.hillside((1, 2), h.bank_turn(towards_right=False)), "+z@0,0,1:D +x@0,0,1:hR", MEASURED, (1, 2)
    ),
    "TiltToRoadLeft": _dirt(
        h.hillside((2, 2), h.bank_to_level(level_at_left=True)), "-x@0,0,1:hL +x@1,0,1:D", MEASURED, (2, 2)
    ),
    "TiltToRoadRight": _dirt(
        h.hillside((2, 2), h.bank_to_level(level_at_left=False)), "-x@0,0,1:D +x@1,0,1:hR", MEASURED, (2, 2)
    ),
}

DIRT_ROADS: dict[str, BlockSpec] = {
    **{f"StadiumRoadDirt{name}": spec for name, spec in (*_LANES.items(), *_RAISED.items())},
    **{f"StadiumRoadDirtHill{name}": spec for name, spec in _HILLS.items()},
}
"""Roads of dirt by name."""
