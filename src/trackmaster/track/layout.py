"""Laying out roads block by block, as one draws a line: each block joins the exit of the one before."""

from __future__ import annotations

from trackmaster.gbx import Block
from trackmaster.gbx.block import GROUND_FLAG
from trackmaster.track.catalogue import BlockSpec, Exit, lookup
from trackmaster.track.errors import TrackError
from trackmaster.track.placement import PlacedBlock

GROUND_LEVEL = 1
"""Level of blocks that stand on the grass."""

ROAD_STRAIGHT, ROAD_CORNER = 3, 2
"""Variants of ``StadiumRoadMain``."""


class RoadLayout:
    """A road that grows at its end.

    Attributes:
        blocks: what was laid so far.
    """

    def __init__(self, x: int, y: int, z: int, direction: int, *, name: str = "StadiumRoadMainStartLine") -> None:
        """Begin with a start block at the cell (x, y, z) that looks into ``direction`` (0..3 = +Z, -X, -Z, +X)."""
        self.blocks: list[Block] = []
        self._at = (2 * x + 1, 2 * z + 1, y)
        self._heading = direction
        self._put(name, 0, x, y, z, direction)
        self._move(self._placed(self.blocks[-1]), self._find(self._spec(name, 0), 0))

    def straights(self, count: int) -> RoadLayout:
        """Add ``count`` straight cells of road."""
        for _ in range(count):
            self.add("StadiumRoadMain", variant=ROAD_STRAIGHT)
        return self

    def right(self, cells: int) -> RoadLayout:
        """Add a quarter turn to the right over ``cells`` x ``cells`` (1 to 5)."""
        return self._curve(cells, entry_side=1)

    def left(self, cells: int) -> RoadLayout:
        """Add a quarter turn to the left over ``cells`` x ``cells`` (1 to 5)."""
        return self._curve(cells, entry_side=0)

    def add(self, name: str, *, variant: int = 0, entry_side: int = 2) -> RoadLayout:
        """Add any block that is entered through its side ``entry_side`` (0..3 = +z, -x, -z, +x before turning).

        Raises:
            TrackError: the block is unknown or cannot be entered and left that way.
        """
        spec = self._spec(name, variant)
        entry = self._find(spec, entry_side)
        ways_out = [way for way in spec.exits if way is not entry]
        direction = (self._heading + 2 - entry.side) % 4
        # Put it into cell (0, 0, 0), see where its entry lands, and shift it by the difference.
        trial = PlacedBlock(0, Block(name, direction, 0, 0, 0), spec)
        half_x, half_z, level = trial.joint(entry.side, entry.unit)
        x, z = (self._at[0] - half_x) // 2, (self._at[1] - half_z) // 2
        self._put(name, variant, x, self._at[2] - level, z, direction)
        if ways_out:
            self._move(self._placed(self.blocks[-1]), ways_out[0])
        return self

    def _curve(self, cells: int, *, entry_side: int) -> RoadLayout:
        if cells == 1:
            return self.add("StadiumRoadMain", variant=ROAD_CORNER, entry_side=entry_side)
        return self.add(f"StadiumRoadMainGTCurve{cells}", entry_side=entry_side)

    def _put(self, name: str, variant: int, x: int, y: int, z: int, direction: int) -> None:
        flags = variant | (GROUND_FLAG if y == GROUND_LEVEL else 0)
        self.blocks.append(Block(name, direction, x, y, z, flags))

    def _placed(self, block: Block) -> PlacedBlock:
        return PlacedBlock(len(self.blocks), block, self._spec(block.name, block.variant))

    def _move(self, block: PlacedBlock, way_out: Exit) -> None:
        self._at = block.joint(way_out.side, way_out.unit)
        self._heading = block.world_side(way_out.side)

    @staticmethod
    def _spec(name: str, variant: int) -> BlockSpec:
        spec = lookup(name, variant)
        if spec is None:
            raise TrackError(f"The block {name} (variant {variant}) is not in the catalogue: lay out known ones.")
        return spec

    @staticmethod
    def _find(spec: BlockSpec, side: int) -> Exit:
        for way in spec.exits:
            if way.side == side:
                return way
        raise TrackError(f"The block cannot be entered through side {side}; its exits are {spec.exits}.")
