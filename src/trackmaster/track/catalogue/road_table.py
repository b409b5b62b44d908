"""The declared roads: every RoadMain block by name and variant."""

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue import rises
from trackmaster.track.catalogue.profile import ASPHALT
from trackmaster.track.catalogue.rises import Rise
from trackmaster.track.catalogue.roads import (
    FREE_WHEELING,
    ROULETTE,
    TURBO,
    climbing_diagonal,
    curve,
    dead_end,
    diagonal,
    finish_line,
    junction,
    platform_to_road,
    slope,
    start_line,
    straight,
)
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Spawn, Surfaces, Waypoint, exits_of
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import Finish

MEASURED, ASSUMED = Evidence.MEASURED, Evidence.ASSUMED

_RESPAWN_M = m.ROAD_SURFACE_M + m.RESPAWN_OVER_SURFACE_M
CHECKPOINT = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.ROAD_SURFACE_M, _RESPAWN_M)
SLOPE_CHECKPOINT = Waypoint(TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.ROAD_SURFACE_M + 4, _RESPAWN_M + 4)
FINISH = Waypoint(TriggerKind.FINISH, m.FINISH_PLANE_M, m.ROAD_SURFACE_M, _RESPAWN_M)

_THROUGH = "+z@0,0,0:R -z@0,0,0:R"
_UP = "-z@0,0,0:R +z@0,1,0:R"
_DOWN = "+z@0,0,0:R -z@0,1,0:R"
_DOWNWARDS = rises.backwards(rises.SLOPE_STRAIGHT)


def _road(
    surfaces: Surfaces,
    exits: str,
    evidence: Evidence = MEASURED,
    *,
    size: tuple[int, int] = (1, 1),
    waypoint: Waypoint | None = None,
    spawn: Spawn | None = None,
    lips: str = "",
) -> BlockSpec:
    return BlockSpec(
        "road",
        surfaces,
        size=size,
        exits=exits_of(exits),
        evidence=evidence,
        waypoint=waypoint,
        spawn=spawn,
        lips=exits_of(lips),
    )


def _slope(
    rise: Rise,
    exits: str,
    evidence: Evidence = MEASURED,
    *,
    surface: Finish = ASPHALT,
    base_m: float = 0.0,
    size: tuple[int, int] = (1, 1),
    waypoint: Waypoint | None = None,
) -> BlockSpec:
    return BlockSpec(
        "road slope",
        slope(rise, surface, base_m=base_m),
        size=size,
        exits=exits_of(exits),
        evidence=evidence,
        waypoint=waypoint,
        middle=rises.raised(rise, base_m + m.ROAD_SURFACE_M),
    )


ROAD_MAIN: dict[int, BlockSpec] = {
    0: _road(junction(frozenset()), "", ASSUMED),
    1: _road(dead_end, "+z@0,0,0:R", lips="-z@0,0,0:P"),
    2: _road(curve(1), "+z@0,0,0:R -x@0,0,0:R"),
    3: _road(straight(), _THROUGH),
    4: _road(junction(frozenset({0, 1, 2})), "+z@0,0,0:R -x@0,0,0:R -z@0,0,0:R", ASSUMED),
    5: _road(junction(frozenset({0, 1, 2, 3})), "+z@0,0,0:R -x@0,0,0:R -z@0,0,0:R +x@0,0,0:R", ASSUMED),
}
"""``StadiumRoadMain`` by variant number: isolated, dead end, corner, straight, T, cross."""

_DIAGONALS = {
    f"StadiumRoadMainGTDiag{length}x{across}{'Mirror' if mirrored else ''}": _road(
        diagonal(length, across, mirrored=mirrored),
        f"+z@0,0,{length - 1}:R -z@{across - 1},0,0:R" if mirrored else f"-z@0,0,0:R +z@{across - 1},0,{length - 1}:R",
        Evidence.FAMILY if length == 4 else MEASURED,
        size=(across, length),
    )
    for length, across in ((2, 2), (3, 2), (4, 3))
    for mirrored in (False, True)
}

_CLIMBING_DIAGONALS = {
    f"StadiumRoadMainGTDiag{length}x{across}Slope{'Mirror' if mirrored else ''}": BlockSpec(
        "road slope",
        climbing_diagonal(length, across, mirrored=mirrored),
        size=(across, length),
        exits=exits_of(
            f"+z@0,{length},{length - 1}:R -z@{across - 1},0,0:R"
            if mirrored
            else f"-z@0,0,0:R +z@{across - 1},{length},{length - 1}:R"
        ),
        evidence=MEASURED if (length, mirrored) == (2, True) else Evidence.FAMILY,
        middle=((0.0, m.ROAD_SURFACE_M), (32.0 * length, m.ROAD_SURFACE_M + 8.0 * length)),
    )
    for length, across in ((2, 2), (3, 2), (4, 3))
    for mirrored in (False, True)
}

ROADS: dict[str, BlockSpec] = {
    "StadiumRoadMainStartLine": _road(start_line, "+z@0,0,0:R", spawn=Spawn(m.START_BEHIND_M, m.START_HEIGHT_M)),
    "StadiumRoadMainFinishLine": _road(finish_line, "-z@0,0,0:R", waypoint=FINISH),
    "StadiumRoadMainStartFinishLine": _road(
        straight(), _THROUGH, waypoint=FINISH, spawn=Spawn(m.START_FINISH_BEHIND_M, m.START_FINISH_HEIGHT_M)
    ),
    "StadiumRoadMainCheckpoint": _road(straight(), _THROUGH, waypoint=CHECKPOINT),
    "StadiumRoadMainTurbo": _road(straight(TURBO), _THROUGH),
    "StadiumRoadMainTurboRoulette": _road(straight(ROULETTE), _THROUGH, Evidence.FAMILY),
    "StadiumRoadMainFW": _road(straight(FREE_WHEELING), _THROUGH),
    "StadiumRoadStretch": _road(straight(), _THROUGH),
    **{
        f"StadiumRoadMainGTCurve{n}": _road(curve(n), f"-x@0,0,0:R +z@{n - 1},0,{n - 1}:R", size=(n, n))
        for n in (2, 3, 4, 5)
    },
    **_DIAGONALS,
    **_CLIMBING_DIAGONALS,
    "StadiumRoadMainSlopeBase": _slope(rises.SLOPE_BASE, _UP, ASSUMED),
    "StadiumRoadMainSlopeBase2": _slope(rises.SLOPE_BASE_2, "-z@0,0,0:R +z@0,2,0:R"),
    "StadiumRoadMainSlopeStraight": _slope(rises.SLOPE_STRAIGHT, _UP),
    "StadiumRoadStretchSlope": _slope(rises.SLOPE_STRAIGHT, _UP, ASSUMED),
    "StadiumRoadMainSlopeUTop": _slope(rises.U_TOP, _THROUGH),
    "StadiumRoadMainSlopeUBottom": _slope(rises.U_BOTTOM, "+z@0,1,0:R -z@0,1,0:R", base_m=8.0),
    "StadiumRoadMainBiSlopeStart": _slope(rises.BI_SLOPE, "-z@0,0,0:R +z@0,1,1:R", size=(1, 2)),
    "StadiumRoadMainBiSlopeEnd": _slope(rises.turned(rises.BI_SLOPE), "-z@0,0,0:R +z@0,1,1:R", size=(1, 2)),
    "StadiumRoadMainCheckpointUp": _slope(rises.SLOPE_STRAIGHT, _UP, waypoint=SLOPE_CHECKPOINT),
    "StadiumRoadMainCheckpointDown": _slope(_DOWNWARDS, _DOWN, waypoint=SLOPE_CHECKPOINT),
    "StadiumRoadMainTurboUp": _slope(rises.SLOPE_STRAIGHT, _UP, surface=TURBO),
    "StadiumRoadMainTurboDown": _slope(_DOWNWARDS, _DOWN, surface=TURBO),
    "StadiumRoadMainTurboRouletteUp": _slope(rises.SLOPE_STRAIGHT, _UP, Evidence.FAMILY, surface=ROULETTE),
    "StadiumRoadMainTurboRouletteDown": _slope(_DOWNWARDS, _DOWN, surface=ROULETTE),
    "StadiumPlatformToRoadMain": BlockSpec(
        "platform",
        platform_to_road,
        exits=exits_of("+z@0,1,0:R -z@0,1,0:P"),
        evidence=MEASURED,
        middle=rises.raised(rises.PLATFORM_TO_ROAD, m.PLATFORM_TOP_M),
    ),
}
"""Roads that have one form only."""
