"""Dirt ground: flat tiles, the sides of hills in all forms, the border between dirt and grass.

Hills, borders and pools share one scheme of variants. A variant says which of the block's sides are "low" (the outside)
and which corners are low although both sides next to them are not.
"""

import itertools
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, height_field, rectangle
from trackmaster.track.surface import Look, Material

DIRT = Finish(Material.DIRT, Look.DIRT)
GRASS = Finish(Material.GRASS, Look.GRASS)

_LEFT_FRONT, _RIGHT_FRONT, _LEFT_BACK, _RIGHT_BACK = (1, 1), (0, 1), (1, 0), (0, 0)
_FRONT, _BACK, _RIGHT, _LEFT = (2, 1), (2, 0), (0, 2), (1, 2)
"""Corners and sides as (x, z): 1 is the far end of the axis, 0 its beginning, 2 its whole length."""

LOW_PARTS: dict[int, tuple[tuple[int, int], ...]] = {
    0: (_LEFT_FRONT,),
    1: (_LEFT_FRONT, _RIGHT_FRONT),
    2: (_LEFT_FRONT, _RIGHT_BACK),
    3: (_LEFT_FRONT, _RIGHT_FRONT, _RIGHT_BACK),
    4: (_LEFT_FRONT, _RIGHT_FRONT, _LEFT_BACK, _RIGHT_BACK),
    5: (_FRONT,),
    6: (_FRONT, _RIGHT_BACK),
    7: (_FRONT, _LEFT_BACK),
    8: (_FRONT, _LEFT_BACK, _RIGHT_BACK),
    9: (_FRONT, _RIGHT),
    10: (_FRONT, _RIGHT, _LEFT_BACK),
    11: (_FRONT, _BACK),
    12: (_FRONT, _RIGHT, _BACK),
    13: (_FRONT, _RIGHT, _BACK, _LEFT),
}
"""Low parts by variant (read off the neighbours of all such blocks in the official maps)."""

HILL_HEIGHT_M = 16.0
"""A hill's side climbs two levels."""

_STEPS = 8
_GRID = np.linspace(0.0, 32.0, _STEPS + 1)


def lowness(parts: tuple[tuple[int, int], ...], x: F64, z: F64) -> F64:
    """Return how near each point of a cell is to the low parts: 1 on them, 0 on the far side."""
    found = np.zeros_like(x)
    for along_x, along_z in parts:
        near_x = (1 - x / 32.0, x / 32.0, np.ones_like(x))[along_x]
        near_z = (1 - z / 32.0, z / 32.0, np.ones_like(z))[along_z]
        found = np.maximum(found, np.minimum(near_x, near_z))
    return found


def ease(share: F64) -> F64:
    """Return a smooth step from 0 to 1, level at both ends."""
    step: F64 = share * share * (3.0 - 2.0 * share)
    return step


def hill_side(parts: tuple[tuple[int, int], ...]) -> Surfaces:
    """Return the surfaces of a cell of a hill's side."""
    return partial(_hill_side, parts=parts)


def border(parts: tuple[tuple[int, int], ...]) -> Surfaces:
    """Return the flat surfaces of a cell that is dirt inside and grass outside."""
    return partial(_border, parts=parts)


def flat_dirt(_site: Site) -> list[Patch]:
    """Return one flat tile of dirt."""
    return [rectangle((0, 0), (32, 32), m.DIRT_PLANE_M, DIRT)]


def _hill_side(_site: Site, *, parts: tuple[tuple[int, int], ...]) -> list[Patch]:
    def height(x: F64, z: F64) -> F64:
        return m.DIRT_PLANE_M - HILL_HEIGHT_M * ease(lowness(parts, x, z))

    across = _GRID[[0, -1]] if all(along_x == 2 for along_x, _ in parts) else _GRID
    return [height_field(across, _GRID, height, DIRT)]


def _border(_site: Site, *, parts: tuple[tuple[int, int], ...]) -> list[Patch]:
    edges = _GRID[::4] if all(2 in part for part in parts) else _GRID[::2]
    patches = []
    for x0, x1 in itertools.pairwise(edges):
        for z0, z1 in itertools.pairwise(edges):
            middle = np.array([(x0 + x1) / 2]), np.array([(z0 + z1) / 2])
            finish = GRASS if lowness(parts, *middle)[0] > 0.5 else DIRT
            patches.append(rectangle((x0, z0), (x1, z1), m.DIRT_PLANE_M, finish))
    return patches


def _terrain(surfaces: Surfaces, evidence: Evidence) -> BlockSpec:
    return BlockSpec("dirt ground", surfaces, evidence=evidence, covers_ground=True, is_terrain=True)


DIRT_TILE = _terrain(flat_dirt, Evidence.MEASURED)
"""``StadiumDirt`` (333 contacts at 9.00 over its floor, +-0.01)."""

DIRT_HILL = {variant: _terrain(hill_side(parts), Evidence.ASSUMED) for variant, parts in LOW_PARTS.items()}
"""``StadiumDirtHill`` by variant: height at the borders follows from its neighbours, the S between is assumed."""

DIRT_BORDER = {variant: _terrain(border(parts), Evidence.ASSUMED) for variant, parts in LOW_PARTS.items()}
"""``StadiumDirtBorder`` by variant: dirt and grass lie on one plane; where one ends and the other begins is assumed."""
