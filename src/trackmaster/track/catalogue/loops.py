"""The family that loops: quarter pipes, upright walls and curved walls.

All of them share one cross-section over 32 m (strips of asphalt and metal) and stand 1.345 m inside of the cell's
border, so that a wall continues a quarter pipe and a quarter pipe continues a plate at the height of a road.
"""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import ASPHALT, BARRIER, METAL
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces, exits_of
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, Path, Profile, arc_path, flipped, rectangle, sweep, wall

STRIPS_M = (0.0, 1.0, 8.0, 24.0, 31.0, 32.0)
"""Borders of the strips across (measured, 1 900 contacts, +-0.05)."""

STRIP_FINISHES = (ASPHALT, METAL, ASPHALT, METAL, ASPHALT)

DEPTH_M = m.ROAD_SURFACE_M
"""The pipes and curved walls begin this far inside of their cell: one road's height."""

WALL_DEPTH_M = 1.345
"""Straight walls stand this far inside of their cell (measured from 18 starts before nine passes up a pipe that stay
within 0.5 mm of the ghost: with 1.3449 to 1.345 two that leave the wall again are then 0.2 to 1.1 mm from it, with 0.1
mm less 8)."""

RADIUS_M = 32.0 - m.ROAD_SURFACE_M
"""Radius of the quarter pipes (measured: a car that enters from the race start stays within 0.5 mm of the ghost all the
way up, with half a millimetre more or less it does not; behind the end of the pipe nine passes tell 0.1 mm apart)."""

CEILING_RADIUS_M, CEILING_Z_M, CEILING_Y_M = 30.655, 32.0001, 0.0004
"""The pipe that leads from upright to upside down: radius and axis (measured from 11 starts before passes that come up
the wall within 1 mm of the ghost: two that fly into it are 0.1 and 0.4 mm from the ghost behind it instead of 12 and
15, with radius or depth 0.1 to 0.2 mm away, or the axis on the corner of the cell, one of them is lost)."""

PIPE_STEPS = 48
"""Pieces of a quarter pipe (measured: driven on 594 samples of real loops, 48 pieces leave 0.04 m/s after 0.1 s, 44 and
52 leave 0.08, 20 leave 0.39, because every edge between two pieces costs speed)."""

_SIDES = "-x@0,0,0:L +x@0,0,0:L"
_CELL = (0, 0, 0)
_RIGHT, _LEFT, _UP, _DOWN = (1, _CELL), (3, _CELL), 4, 5


def pipe(start_m: float, half_height_m: float, levels: int) -> Surfaces:
    """Return the surfaces of a pipe that goes from flat (at +z, ``start_m`` over the floor) to upright (at -z)."""
    return partial(_pipe, start_m=start_m, half_height_m=half_height_m, levels=levels)


def ceiling_pipe(site: Site) -> list[Patch]:
    """Return the surfaces of a pipe that goes from upright to upside down."""
    angles = np.linspace(0.0, math.pi / 2, PIPE_STEPS + 1)
    along = np.minimum(CEILING_Z_M - CEILING_RADIUS_M * np.cos(angles), 32.0)
    line = np.stack([along, CEILING_Y_M + CEILING_RADIUS_M * np.sin(angles)], axis=1)
    back = np.array([[0.0, 0.0], [0.0, 32.0], [32.0, 32.0]])
    patches = [*_ribbon(line[::-1]), wall((32, 0), (0, 0), 0.0, 32.0, BARRIER)]
    patches.append(rectangle((0, 0), (32, 32), 32.0, BARRIER))
    return patches + _flanks(site, np.vstack([back[:1], line, back[:0:-1]]))


def upright_wall(levels: int) -> Surfaces:
    """Return the surfaces of a straight wall that faces +z."""
    return partial(_wall, levels=levels)


def curved_wall(cells: int, levels: int) -> Surfaces:
    """Return the surfaces of a quarter circle of wall that faces its centre at (0, ``32 cells``)."""
    return partial(_curved_wall, cells=cells, levels=levels)


def _pipe(site: Site, *, start_m: float, half_height_m: float, levels: int) -> list[Patch]:
    top_m = 8.0 * levels
    angles = np.linspace(math.pi, math.pi * 1.5, PIPE_STEPS + 1)
    along = np.minimum(DEPTH_M + RADIUS_M * (1.0 + np.cos(angles)), 32.0)
    line = np.stack([along, start_m + half_height_m * (1.0 + np.sin(angles))], axis=1)  # from the upright end down
    foot = 0.0 if start_m < m.PLATFORM_TOP_M else m.PLATFORM_TOP_M - m.PLATFORM_THICKNESS_M
    patches = [*_ribbon(line), wall((32, 0), (0, 0), foot, top_m, BARRIER)]
    if not site.on_ground:
        patches.append(flipped(rectangle((0, 0), (32, 32), foot, BARRIER)))
    patches += _flanks(site, np.vstack([[[0.0, foot], [0.0, top_m]], line, [[32.0, foot]]]))
    if (_UP, (0, levels - 1, 0)) not in site.joined:
        patches.append(rectangle((0, 0), (32, DEPTH_M), top_m, BARRIER))
    return patches


def _wall(site: Site, *, levels: int) -> list[Patch]:
    top_m = 8.0 * levels
    patches = [
        *_ribbon(np.array([[WALL_DEPTH_M, top_m], [WALL_DEPTH_M, 0.0]])),
        wall((32, 0), (0, 0), 0.0, top_m, BARRIER),
    ]
    patches += _flanks(site, np.array([[0.0, 0.0], [0.0, top_m], [WALL_DEPTH_M, top_m], [WALL_DEPTH_M, 0.0]]))
    if (_UP, (0, levels - 1, 0)) not in site.joined:
        patches.append(rectangle((0, 0), (32, WALL_DEPTH_M), top_m, BARRIER))
    if (_DOWN, _CELL) not in site.joined:
        patches.append(flipped(rectangle((0, 0), (32, WALL_DEPTH_M), 0.0, BARRIER)))
    return patches


def _curved_wall(site: Site, *, cells: int, levels: int) -> list[Patch]:
    size, top_m = 32.0 * cells, 8.0 * levels
    path = arc_path((0.0, size), size - DEPTH_M, 0.0, -math.pi / 2, 10 * cells)
    # travelling with falling angle the centre lies to the left: faces from the wall's front over its top to its back
    points = [(0.0, 0.0), (0.0, top_m), (-DEPTH_M, top_m), (-DEPTH_M, 0.0)]
    finishes = [METAL, BARRIER, BARRIER]
    if (_UP, (0, levels - 1, 0)) in site.joined:
        return _joined_above(path, points)
    patches = sweep(path, Profile(tuple(points), tuple(finishes)))
    return patches + _arc_ends(path, top_m)


def _joined_above(path: Path, points: list[tuple[float, float]]) -> list[Patch]:
    front = sweep(path, Profile(tuple(points[:2]), (METAL,)))
    return front + sweep(path, Profile(tuple(points[2:]), (BARRIER,))) + _arc_ends(path, points[1][1])


def _arc_ends(path: Path, top_m: float) -> list[Patch]:
    inner = path.points[[0, -1]]
    outer = inner - path.lefts[[0, -1]] * DEPTH_M
    first = wall(tuple(outer[0]), tuple(inner[0]), 0.0, top_m, BARRIER)
    last = wall(tuple(inner[1]), tuple(outer[1]), 0.0, top_m, BARRIER)
    return [flipped(first), flipped(last)]


def _ribbon(line: F64) -> list[Patch]:
    """Return the strips along ``line`` (n, 2) of z and y; it looks up where z grows."""
    patches = []
    for x0, x1, finish in zip(STRIPS_M[:-1], STRIPS_M[1:], STRIP_FINISHES, strict=True):
        patches += _lengthwise(line, x0, x1, finish)
    return patches


def _lengthwise(line: F64, x0: float, x1: float, finish: Finish) -> list[Patch]:
    count = len(line)
    vertices = np.empty((2 * count, 3))
    vertices[:count, 0], vertices[count:, 0] = x0, x1
    vertices[:, 1], vertices[:, 2] = np.tile(line[:, 1], 2), np.tile(line[:, 0], 2)
    k = np.arange(count - 1)
    first = np.stack([k, k + 1, k + 1 + count], axis=1)
    second = np.stack([k, k + 1 + count, k + count], axis=1)
    return [Patch(vertices, np.concatenate([first, second]).astype(np.int32), finish.material, finish.look)]


def _flanks(site: Site, outline: F64) -> list[Patch]:
    """Return both sides of a body whose cross-section ``outline`` (n, 2) of z and y is star-shaped around its start."""
    patches = []
    k = np.arange(1, len(outline) - 1)
    triangles = np.stack([np.zeros_like(k), k, k + 1], axis=1).astype(np.int32)
    for place, x in ((_LEFT, 32.0), (_RIGHT, 0.0)):
        if place not in site.joined:
            vertices = np.stack([np.full(len(outline), x), outline[:, 1], outline[:, 0]], axis=1)
            patches.append(_facing(Patch(vertices, triangles, BARRIER.material, BARRIER.look), 1.0 if x else -1.0))
    return patches


def _facing(patch: Patch, along_x: float) -> Patch:
    """Return the flat patch turned so that it looks towards that sign of x."""
    a, b, c = (patch.vertices[patch.triangles[:, i]] for i in range(3))
    looks = np.cross(b - a, c - a)[:, 0].sum()
    return patch if looks * along_x > 0 else flipped(patch)


def _upright(levels: int, surfaces: Surfaces, evidence: Evidence, size: tuple[int, int] = (1, 1)) -> BlockSpec:
    sides = "" if size != (1, 1) else _SIDES
    faces = exits_of(f"{sides} +y@0,{levels - 1},0:L -y@0,0,0:L")
    return BlockSpec("wall", surfaces, size=size, evidence=evidence, faces=faces)


def _quarter(surfaces: Surfaces, exits: str, faces: str) -> BlockSpec:
    return BlockSpec("loop", surfaces, exits=exits_of(exits), evidence=Evidence.MEASURED, faces=exits_of(faces))


LOOPS: dict[str, BlockSpec] = {
    "StadiumPlatformLoopStart": _quarter(pipe(m.ROAD_SURFACE_M, RADIUS_M, 4), "+z@0,0,0:L", f"{_SIDES} +y@0,3,0:L"),
    "StadiumPlatformLoopEnd": _quarter(ceiling_pipe, "", f"{_SIDES} -y@0,0,0:L"),
    "StadiumCircuitLoopStart": _quarter(pipe(m.PLATFORM_TOP_M, 32.0, 5), "+z@0,1,0:P", f"{_SIDES} +y@0,4,0:L"),
    "StadiumPlatformWallBorder": _upright(1, upright_wall(1), Evidence.FAMILY),
    "StadiumPlatformWall1": _upright(1, upright_wall(1), Evidence.FAMILY),
    "StadiumPlatformWallPub2": _upright(2, upright_wall(2), Evidence.MEASURED),
    "StadiumPlatformWall2": _upright(2, upright_wall(2), Evidence.FAMILY),
    "StadiumPlatformWall4": _upright(4, upright_wall(4), Evidence.MEASURED),
    **{
        f"StadiumPlatformGTCurve{cells}Wall{levels}": _upright(
            levels,
            curved_wall(cells, levels),
            Evidence.MEASURED if (cells, levels) == (2, 4) else Evidence.FAMILY,
            (cells, cells),
        )
        for cells in (2, 3)
        for levels in (1, 2, 4)
    },
}
"""Pipes and walls by name."""
