"""Flat plates between a road and the quarter pipes beside or before it."""

import itertools
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.caps import barrier_ends
from trackmaster.track.catalogue.edges import EDGES
from trackmaster.track.catalogue.kerb_ends import road_with_fading_kerbs
from trackmaster.track.catalogue.loops import STRIP_FINISHES, STRIPS_M
from trackmaster.track.catalogue.profile import BARRIER, KERB, METAL, UNDERSIDE, road_profile
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces, exits_of
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, flipped, height_field, rectangle, wall

KERB_BEGINS_M = 16.0
"""Where the kerbs of ``PlatformToRoad`` begin to rise (measured by driving over them: +-0.4)."""

RUBBER_BEGINS_M = 15.5
"""Beginning of the level rubber across the plate before that (measured: rubber at 15.79 and 15.94, asphalt before)."""

KERB_FADES_M = 0.5
"""How far before its end the kerbs of ``PlatformToRoad2`` fade (assumed)."""

PLATE_END_M = 64.0
"""Where the slanting edge of ``PlatformToRoad2`` meets the pipe's side (assumed; contacts reach 55 m)."""

_TOP = m.ROAD_SURFACE_M
_HIGH = _TOP + m.WALL_HEIGHT_M
_OUTER = 16.0 + m.WALL_OFFSET_M


def plate_to_road(site: Site) -> list[Patch]:
    """Return the plate between a pipe (-z) and a road (+z): strips, then a road whose gutters reach the sides."""
    strips = zip(STRIPS_M[:-1], STRIPS_M[1:], STRIP_FINISHES, strict=True)
    patches = [rectangle((x0, 0.0), (x1, RUBBER_BEGINS_M), _TOP, finish) for x0, x1, finish in strips]
    patches.append(rectangle((0.0, RUBBER_BEGINS_M), (32.0, KERB_BEGINS_M), _TOP, KERB))
    patches += road_with_fading_kerbs(_on_plate, [0.0, 1.0], 16.0, 16.0)
    patches += barrier_ends((16.0, 32.0), (0.0, -1.0))
    patches += [wall(*EDGES[side], 0.0, _TOP, BARRIER) for side in (1, 3) if (side, (0, 0, 0)) not in site.joined]
    return patches if site.on_ground else [*patches, flipped(rectangle((0, 0), (32, 32), 0.0, UNDERSIDE))]


def plate_beside_road(*, mirrored: bool) -> Surfaces:
    """Return the plate from a road (-z) to a pipe at its right (``mirrored``) or left side, closed by a barrier."""
    return partial(_plate_beside_road, mirrored=mirrored)


def _plate_beside_road(site: Site, *, mirrored: bool) -> list[Patch]:
    begin = 4.0
    right = [
        *_road_on_plate(begin, 0.0, _OUTER),
        _triangle(np.array([[0.0, _TOP, begin], [0.0, _TOP, PLATE_END_M], [_OUTER, _TOP, begin]])),
        *_barrier((_OUTER, 0.0), (_OUTER, begin), (0.0, PLATE_END_M)),
    ]
    if not site.on_ground:
        corners = [[0.0, 0.0, 0.0], [0.0, 0.0, PLATE_END_M], [_OUTER, 0.0, begin], [_OUTER, 0.0, 0.0]]
        both = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
        right.append(Patch(np.array(corners), both, UNDERSIDE.material, UNDERSIDE.look))
    return right if mirrored else [_mirrored(patch) for patch in right]


def _on_plate(section: int, offset: F64, height: F64) -> F64:
    z = np.full_like(offset, (KERB_BEGINS_M, 32.0)[section])
    return np.stack([16.0 + offset, _TOP + height, z], axis=1)


def _road_on_plate(end: float, low: float, high: float) -> list[Patch]:
    """Return asphalt, kerbs and gutters from -z to ``end``, between two lines along z; the kerbs fade at the end."""
    inner = [(x, y) for x, y in road_profile().points if abs(x) < m.WALL_OFFSET_M]
    offsets, heights = np.array(sorted({(16.0 + x, y) for x, y in inner})).T
    fade = (end - KERB_FADES_M, end)

    def height(x: F64, z: F64) -> F64:
        kerb = np.interp(x, offsets, heights) - _TOP
        lifted: F64 = _TOP + kerb * np.interp(z, fade, (1.0, 0.0))
        return lifted

    edges = [low, *offsets, high]
    finishes = [METAL, *_inner_finishes(len(offsets) - 1), METAL]
    return [
        height_field([x0, x1], [0.0, *fade], height, finish)
        for x0, x1, finish in zip(edges[:-1], edges[1:], finishes, strict=True)
    ]


def _inner_finishes(count: int) -> tuple[Finish, ...]:
    finishes = road_profile().finishes
    skip = (len(finishes) - count) // 2
    return finishes[skip : skip + count]


def _barrier(*points: tuple[float, float]) -> list[Patch]:
    """Return a barrier on the left of a walker along ``points``: inner face, top and back of a thin wall."""
    patches = []
    for start, end in itertools.pairwise(points):
        patches.append(wall(end, start, _TOP, _HIGH, BARRIER))
        patches.append(wall(start, end, 0.0, _HIGH, BARRIER))
    return patches


def _triangle(corners: F64) -> Patch:
    return Patch(corners, np.array([[0, 1, 2]], np.int32), METAL.material, METAL.look)


def _mirrored(patch: Patch) -> Patch:
    vertices = patch.vertices * [-1.0, 1.0, 1.0] + [32.0, 0.0, 0.0]
    return flipped(Patch(vertices, patch.triangles, patch.material, patch.look, patch.collidable))


def _plate(surfaces: Surfaces, exits: str, faces: str = "", size: tuple[int, int] = (1, 1)) -> BlockSpec:
    return BlockSpec(
        "plate", surfaces, size=size, exits=exits_of(exits), evidence=Evidence.MEASURED, faces=exits_of(faces)
    )


PLATES: dict[str, BlockSpec] = {
    "StadiumPlatformToRoad": _plate(plate_to_road, "+z@0,0,0:R -z@0,0,0:L", "-x@0,0,0:L +x@0,0,0:L"),
    "StadiumPlatformToRoad2": _plate(
        plate_beside_road(mirrored=False), "-z@0,0,0:R +x@0,0,0:L +x@0,0,1:L", size=(1, 2)
    ),
    "StadiumPlatformToRoad2Mirror": _plate(
        plate_beside_road(mirrored=True), "-z@0,0,0:R -x@0,0,0:L -x@0,0,1:L", size=(1, 2)
    ),
}
"""Plates by name."""
