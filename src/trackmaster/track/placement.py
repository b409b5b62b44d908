"""Blocks of a map put on the grid: catalogue entry, place in the world, neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trackmaster.track.catalogue import BlockSpec, Clip, Exit, Site, lookup
from trackmaster.track.catalogue.caps import end_cap, end_lip
from trackmaster.track.coverage import Coverage, count_blocks
from trackmaster.track.errors import TrackError
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.pose import GRID_COLUMNS, GRID_LEVELS, block_offset_m, direction_rotation
from trackmaster.units import CELL_SIZE_M

if TYPE_CHECKING:
    from trackmaster.gbx import Block

MAX_TRIANGLES = 3_000_000
"""Twenty-five times the largest real map known to us; to build so many takes seconds and below 1 GB."""

OUTWARDS = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))
"""x and z of the direction into which each side (0..3) looks."""

UP, DOWN = 4, 5
"""The sides above and below; only blocks that look the same way continue each other there."""

Joint = tuple[int, int, int]
"""Middle of a cell's side, in half cells along x and z and in levels: equal joints touch."""


Sides = frozenset[tuple[int, tuple[int, int, int]]]
"""Some of a block's exits and faces: side and cell of each."""

END_FILLERS = frozenset({"StadiumGrassClip", "StadiumDirtClip", "StadiumWaterClip"})
"""Stand in the cell behind a road that ends in the air: over grass and dirt cars were seen to drive on over a lip, over
water it is assumed."""


@dataclass(frozen=True)
class PlacedBlock:
    """A block of a map whose geometry is known."""

    index: int
    block: Block
    spec: BlockSpec

    @cached_property
    def rotation(self) -> F64:
        """(3, 3) from the block's frame to the world."""
        return direction_rotation(self.block.direction)

    @cached_property
    def offset_m(self) -> F64:
        """Where the block's local origin lies in the world."""
        return block_offset_m(self.block.direction, (self.block.x, self.block.y, self.block.z), self.spec.size)

    def to_world(self, points_m: F64) -> F64:
        """Move points (N, 3) or (3,) of the block's frame into the world."""
        world: F64 = np.asarray(points_m, np.float64) @ self.rotation.T + self.offset_m
        return world

    def joint(self, side: int, unit: tuple[int, int, int]) -> Joint:
        """Return the world position of a side of one of the block's cells."""
        x, y, z = self.to_world(local_joint(side, unit))
        return round(x / CELL_SIZE_M[0] * 2), round(z / CELL_SIZE_M[2] * 2), round(y / CELL_SIZE_M[1])

    def world_side(self, side: int) -> int:
        """Return the direction (0..3) into which a side of the block looks after turning."""
        return (side + self.block.direction) % 4 if side < UP else side

    def columns(self) -> list[tuple[int, int]]:
        """Return the (x, z) cells of the block's footprint on the grid."""
        sx, sz = self.spec.size if self.block.direction % 2 == 0 else self.spec.size[::-1]
        return [(self.block.x + i, self.block.z + k) for i in range(sx) for k in range(sz)]

    def patches(self, joined: Sides, lips: Sides = frozenset()) -> list[Patch]:
        """Return the block's surfaces in the world.

        Args:
            joined: exits and faces where a neighbour goes on.
            lips: exits that end in the air over a lip.
        """
        site = Site(on_ground=self.block.is_ground, joined=joined)
        patches = self.spec.surfaces(site)
        for way in self.spec.exits:
            place = way.side, way.unit
            if way.clip is Clip.ROAD and place not in joined:
                x, floor_m, z = local_joint(*place)
                patches += end_cap((x, z), OUTWARDS[way.side], floor_m=floor_m)
                if place in lips:
                    patches += end_lip((x, z), OUTWARDS[way.side], floor_m=floor_m, climb=self.spec.climb(way.side))
        return [patch.moved(self.rotation, self.offset_m) for patch in patches]


def local_joint(side: int, unit: tuple[int, int, int]) -> F64:
    """Return the middle of a cell's side at the cell's floor, in the block's frame, metres."""
    cx, cy, cz = CELL_SIZE_M
    if side >= UP:
        return np.array([(unit[0] + 0.5) * cx, (unit[1] + (side == UP)) * cy, (unit[2] + 0.5) * cz])
    ahead_x, ahead_z = OUTWARDS[side]
    return np.array([(unit[0] + 0.5 + ahead_x / 2) * cx, unit[1] * cy, (unit[2] + 0.5 + ahead_z / 2) * cz])


def place_blocks(blocks: Sequence[Block]) -> tuple[list[PlacedBlock], Coverage]:
    """Look every block of a map up in the catalogue; of equal blocks in the same place only the first is taken.

    Raises:
        TrackError: a block with known geometry lies outside of the map's grid, or all together have more than 3 million
            triangles.
    """
    placed = []
    taken: set[tuple[str, int, int, int, int, int]] = set()
    for index, block in enumerate(blocks):
        spec = lookup(block.name, block.variant)
        place = (block.name, block.variant, block.x, block.y, block.z, block.direction)
        if spec is not None and place not in taken:
            taken.add(place)
            item = PlacedBlock(index, block, spec)
            _check_on_grid(item)
            placed.append(item)
    _check_size(placed)
    return placed, count_blocks(blocks)


def _check_on_grid(item: PlacedBlock) -> None:
    block = item.block
    fits = all(0 <= x < GRID_COLUMNS and 0 <= z < GRID_COLUMNS for x, z in item.columns())
    if fits and 0 <= block.y < GRID_LEVELS and 0 <= block.direction < 4:
        return
    raise TrackError(
        f"Block {item.index} ({block.name}) stands at ({block.x}, {block.y}, {block.z}), direction {block.direction}: "
        f"outside of the {GRID_COLUMNS} x {GRID_LEVELS} x {GRID_COLUMNS} grid of a Stadium map. "
        "Maps with freely moved blocks (TMUnlimiter) cannot be driven here: leave this one out."
    )


def _check_size(placed: Sequence[PlacedBlock]) -> None:
    size = sum(_n_triangles(item.spec, item.block.is_ground) for item in placed)
    if size > MAX_TRIANGLES:
        raise TrackError(
            f"The {len(placed)} known blocks of the map have {size} triangles, at most {MAX_TRIANGLES} are possible. "
            "No map made for people is as large: leave it out."
        )


@lru_cache(maxsize=4096)
def _n_triangles(spec: BlockSpec, on_ground: bool) -> int:
    """Triangles of a block that stands alone; neighbours only take some away."""
    return sum(len(patch.triangles) for patch in spec.surfaces(Site(on_ground, frozenset())))


def exits_by_joint(placed: Iterable[PlacedBlock]) -> dict[Joint, list[tuple[PlacedBlock, Exit]]]:
    """Collect the exits of all blocks by the place where they could meet."""
    table: dict[Joint, list[tuple[PlacedBlock, Exit]]] = {}
    for item in placed:
        for way in item.spec.exits:
            table.setdefault(item.joint(way.side, way.unit), []).append((item, way))
    return table


_Face = tuple[Joint, int, int, Clip]
"""Where, looking which way, turned how (for faces up and down), of which kind."""


def lips_of(placed: Sequence[PlacedBlock], joined: dict[int, Sides], blocks: Sequence[Block]) -> dict[int, Sides]:
    """Return for each placed block (by map index) the exits that end in the air over a lip.

    Args:
        placed: blocks with known geometry.
        joined: where they go on seamlessly.
        blocks: all blocks of the map; the game marks the cell behind such an end with a filler block, and leaves that
            out where the end abuts on something. Over terrain less than a level below there is no lip all the same.
    """
    fillers = {(block.x, block.y, block.z) for block in blocks if block.name in END_FILLERS}
    terrain = {
        (x, item.block.y + above, z)
        for item in placed
        if item.spec.is_terrain
        for x, z in item.columns()
        for above in (0, 1)
    }
    fillers -= terrain
    lips: dict[int, set[tuple[int, tuple[int, int, int]]]] = {}
    for item in placed:
        for way in item.spec.exits:
            place = way.side, way.unit
            x, z, level = item.joint(*place)
            ahead_x, ahead_z = OUTWARDS[item.world_side(way.side)] if way.side < UP else (0.0, 0.0)
            # a joint counts in half cells: the middle of the next cell lies one half further
            behind = (x + round(ahead_x) - 1) // 2, level, (z + round(ahead_z) - 1) // 2
            if way.clip is Clip.ROAD and place not in joined[item.index] and behind in fillers:
                lips.setdefault(item.index, set()).add(place)
    return {item.index: frozenset(lips.get(item.index, ())) for item in placed}


def joined_sides(placed: Sequence[PlacedBlock]) -> dict[int, Sides]:
    """Return for each placed block (by map index) the exits and faces where an equal neighbour goes on.

    There the blocks leave out end caps and side walls: an inner wall would trip the wheels at every border.
    """
    seen: dict[_Face, list[tuple[int, tuple[int, tuple[int, int, int]]]]] = {}
    for item in placed:
        for way in (*item.spec.exits, *item.spec.faces):
            turn = item.block.direction if way.side >= UP else 0
            key = (item.joint(way.side, way.unit), item.world_side(way.side), turn, way.clip)
            seen.setdefault(key, []).append((item.index, (way.side, way.unit)))
    joined: dict[int, set[tuple[int, tuple[int, int, int]]]] = {}
    for (joint, side, turn, clip), members in seen.items():
        across = (side + 2) % 4 if side < UP else UP + DOWN - side
        if any(clip.joins(other) and (joint, across, turn, other) in seen for other in Clip):
            for index, place in members:
                joined.setdefault(index, set()).add(place)
    return {item.index: frozenset(joined.get(item.index, ())) for item in placed}


def replaced_terrain(placed: Sequence[PlacedBlock]) -> frozenset[int]:
    """Return the map indices of terrain blocks whose place a dirt road (or the like) takes.

    The map lists the terrain under such a road as well: one level below a flat road, one above at the top of a slope.
    """
    roads: dict[tuple[int, int], list[int]] = {}
    for item in placed:
        if item.spec.replaces_terrain:
            for column in item.columns():
                roads.setdefault(column, []).append(item.block.y)
    return frozenset(
        item.index
        for item in placed
        if item.spec.is_terrain
        and any(abs(level - item.block.y) <= 1 for column in item.columns() for level in roads.get(column, ()))
    )
