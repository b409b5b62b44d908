"""Flat RoadMain blocks: straights, junctions, curves, gates and boosters."""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Exit, Site, Spawn, Surfaces, Waypoint, exits_of
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import (
    Finish,
    Path,
    Profile,
    arc_path,
    fan,
    polyline_path,
    rectangle,
    straight_path,
    sweep,
)
from trackmaster.track.surface import Look, Material

ASPHALT = Finish(Material.ASPHALT, Look.ROAD)
KERB = Finish(Material.RUBBER, Look.KERB)
SIDE = Finish(Material.CONCRETE, Look.WALL)
UNDERSIDE = Finish(Material.CONCRETE, Look.UNDERSIDE)
TURBO = Finish(Material.TURBO, Look.TURBO)
ROULETTE = Finish(Material.TURBO_ROULETTE, Look.TURBO)
FREE_WHEELING = Finish(Material.FREE_WHEELING, Look.FREE_WHEELING)
PAD = Finish(Material.ASPHALT, Look.START)

CURVE_STEP_M = 8.0
"""Length of one step along the outer edge of a curve: the edge is then less than 0.1 m off its circle."""

_BORDER = (
    (0.0, m.ROAD_SURFACE_M),
    (m.KERB_TOP_OFFSET_M - m.ASPHALT_HALF_WIDTH_M, m.ROAD_SURFACE_M + m.KERB_HEIGHT_M),
    (m.ROAD_OUTER_OFFSET_M - m.ASPHALT_HALF_WIDTH_M, m.ROAD_SURFACE_M + m.KERB_HEIGHT_M),
    (m.ROAD_OUTER_OFFSET_M - m.ASPHALT_HALF_WIDTH_M, m.ROAD_BODY_BOTTOM_M),
)
"""Cross-section of one border, from the edge of the asphalt outwards and down to the bottom of the body."""

_BORDER_FINISHES = (KERB, KERB, SIDE)


def road_profile(surface: Finish = ASPHALT) -> Profile:
    """Return the cross-section of a flat road, from the bottom of its left side to the bottom of its right side."""
    half = m.ASPHALT_HALF_WIDTH_M
    left = tuple((half + offset, height) for offset, height in reversed(_BORDER))
    right = tuple((-half - offset, height) for offset, height in _BORDER)
    return Profile(left + right, (*reversed(_BORDER_FINISHES), surface, *_BORDER_FINISHES))


def border_profile() -> Profile:
    """Return the border on the right of a line that follows the edge of the asphalt."""
    return Profile(tuple((-offset, height) for offset, height in _BORDER), _BORDER_FINISHES)


def straight(surface: Finish = ASPHALT) -> Surfaces:
    """Return the surfaces of a straight that runs along z."""
    return partial(_swept, path=straight_path((16, 0), (16, 32)), profile=road_profile(surface))


def curve(cells: int) -> Surfaces:
    """Return the surfaces of a quarter circle over ``cells`` x ``cells`` from the side -x to the side +z."""
    radius = 32.0 * cells - 16.0
    steps = max(4, math.ceil((32.0 * cells) * math.pi / 2 / CURVE_STEP_M))
    return partial(_swept, path=arc_path((0, 32.0 * cells), radius, -math.pi / 2, 0.0, steps), profile=road_profile())


def _swept(site: Site, *, path: Path, profile: Profile) -> list[Patch]:
    patches = sweep(path, profile)
    if not site.on_ground:
        (left, _), (right, _) = profile.points[0], profile.points[-1]
        bottom = Profile(((right, m.ROAD_BODY_BOTTOM_M), (left, m.ROAD_BODY_BOTTOM_M)), (UNDERSIDE,))
        patches += sweep(path, bottom)
    return patches


def junction(open_sides: frozenset[int]) -> Surfaces:
    """Return the surfaces of a single cell whose road leaves through ``open_sides`` (0..3 = +z, -x, -z, +x)."""
    return partial(_junction, open_sides=open_sides)


def _junction(site: Site, *, open_sides: frozenset[int]) -> list[Patch]:
    outline, borders = _junction_outline(open_sides)
    patches = [fan((16, 16), outline, m.ROAD_SURFACE_M, ASPHALT)]
    for border in borders:
        patches += sweep(border, border_profile())
    if not site.on_ground:
        inset = 16 - m.ROAD_OUTER_OFFSET_M
        plate = rectangle((inset, inset), (32 - inset, 32 - inset), m.ROAD_BODY_BOTTOM_M, UNDERSIDE)
        patches.append(Patch(plate.vertices, plate.triangles[:, ::-1].copy(), plate.material, plate.look))
    return patches


def _junction_outline(open_sides: frozenset[int]) -> tuple[F64, list[Path]]:
    """Return the asphalt's outline, walked from +x towards +z, and its borders with the outside on their right."""
    around = (3, 0, 1, 2)  # sides in the order of growing angle: +x, +z, -x, -z; corner k lies after around[k]
    outline: list[tuple[float, float]] = []
    paths: list[Path] = []
    run: list[tuple[float, float]] = []
    runs: list[list[tuple[float, float]]] = []
    for k, (sx, sz) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        before, after = around[k] in open_sides, around[(k + 1) % 4] in open_sides
        if before and after:
            fillet = _fillet(sx, sz)
            paths.append(fillet)
            outline += [(x, z) for x, z in fillet.points[::-1]]
            continue
        corner = _corner(sx, sz, x_open=before if sx * sz > 0 else after, z_open=after if sx * sz > 0 else before)
        outline.append(corner)
        run.append(corner)
        if after:
            runs.append(run)
            run = []
    if not open_sides:
        return np.array(outline), [polyline_path(run[::-1], closed=True)]
    if run:  # the border goes on over the side where the walk began
        runs[0] = run + runs[0]
    return np.array(outline), paths + [polyline_path(r[::-1]) for r in runs]


def _fillet(sx: int, sz: int) -> Path:
    """Return the rounded edge between two open sides, around the corner of the cell."""
    toward_center = math.atan2(-sz, -sx)
    return arc_path((16 + 16 * sx, 16 + 16 * sz), 16 - m.ASPHALT_HALF_WIDTH_M,
                    toward_center - math.pi / 4, toward_center + math.pi / 4, 4)


def _corner(sx: int, sz: int, *, x_open: bool, z_open: bool) -> tuple[float, float]:
    """Return where the asphalt's edge ends at an open side, or turns where both sides are closed."""
    half = m.ASPHALT_HALF_WIDTH_M
    return 16 + sx * (16.0 if x_open else half), 16 + sz * (16.0 if z_open else half)


def _variant(text: str, surfaces: Surfaces) -> BlockSpec:
    return BlockSpec("road", surfaces, exits=exits_of(text), evidence=Evidence.ASSUMED)


def _sides(exits: tuple[Exit, ...]) -> frozenset[int]:
    return frozenset(e.side for e in exits)


_ISOLATED, _DEAD_END, _CORNER, _STRAIGHT, _T, _CROSS = (
    "",
    "+z@0,0,0:R",
    "+z@0,0,0:R -x@0,0,0:R",
    "+z@0,0,0:R -z@0,0,0:R",
    "+z@0,0,0:R -x@0,0,0:R -z@0,0,0:R",
    "+z@0,0,0:R -x@0,0,0:R -z@0,0,0:R +x@0,0,0:R",
)

ROAD_MAIN: dict[int, BlockSpec] = {
    0: _variant(_ISOLATED, junction(_sides(exits_of(_ISOLATED)))),
    1: _variant(_DEAD_END, junction(_sides(exits_of(_DEAD_END)))),
    2: _variant(_CORNER, curve(1)),
    3: _variant(_STRAIGHT, straight()),
    4: _variant(_T, junction(_sides(exits_of(_T)))),
    5: _variant(_CROSS, junction(_sides(exits_of(_CROSS)))),
}
"""``StadiumRoadMain`` by variant number."""

_CHECKPOINT = Waypoint(
    TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.ROAD_SURFACE_M, m.ROAD_SURFACE_M + m.ROAD_RESPAWN_OVER_SURFACE_M)
_FINISH = Waypoint(
    TriggerKind.FINISH, m.FINISH_PLANE_M, m.ROAD_SURFACE_M, m.ROAD_SURFACE_M + m.ROAD_RESPAWN_OVER_SURFACE_M)
_THROUGH = exits_of(_STRAIGHT)

ROADS: dict[str, BlockSpec] = {
    "StadiumRoadMainStartLine": BlockSpec(
        "road", straight(), exits=exits_of("+z@0,0,0:R"), spawn=Spawn(m.START_BEHIND_M, m.START_HEIGHT_M)),
    "StadiumRoadMainFinishLine": BlockSpec(
        "road", straight(), exits=exits_of("-z@0,0,0:R"), waypoint=_FINISH),
    "StadiumRoadMainStartFinishLine": BlockSpec(
        "road", straight(), exits=_THROUGH, waypoint=_FINISH,
        spawn=Spawn(m.START_FINISH_BEHIND_M, m.START_FINISH_HEIGHT_M)),
    "StadiumRoadMainCheckpoint": BlockSpec("road", straight(), exits=_THROUGH, waypoint=_CHECKPOINT),
    "StadiumRoadMainTurbo": BlockSpec("road", straight(TURBO), exits=_THROUGH),
    "StadiumRoadMainTurboRoulette": BlockSpec("road", straight(ROULETTE), exits=_THROUGH),
    "StadiumRoadMainFW": BlockSpec("road", straight(FREE_WHEELING), exits=_THROUGH),
    "StadiumRoadStretch": BlockSpec("road", straight(), exits=_THROUGH),
    **{
        f"StadiumRoadMainGTCurve{n}": BlockSpec(
            "road", curve(n), size=(n, n), exits=exits_of(f"-x@0,0,0:R +z@{n - 1},0,{n - 1}:R"))
        for n in (2, 3, 4, 5)
    },
}
"""Flat roads that have one form only."""
