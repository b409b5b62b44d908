"""The open grass and dirt of a map as the route search sees it: a tile per free column, crossed in any direction."""

from collections.abc import Sequence

from trackmaster.gbx import Block
from trackmaster.track.catalogue import BlockSpec, Clip, Exit
from trackmaster.track.catalogue.terrain import nothing
from trackmaster.track.placement import PlacedBlock
from trackmaster.track.pose import GRID_COLUMNS

LEVEL = 1
"""The grass lies one metre over the floor of this level."""

FAMILY = "open grass"
_TILE = BlockSpec(FAMILY, nothing, exits=tuple(Exit(side, (0, 0, 0), Clip.PLATFORM) for side in range(4)))


def grass_tiles(placed: Sequence[PlacedBlock]) -> list[PlacedBlock]:
    """Return a tile for each column of the map in which no block stands on the ground or takes its place."""
    taken = {column for item in placed if _is_in_the_way(item) for column in item.columns()}
    return [
        PlacedBlock(-1, Block("", 0, x, LEVEL, z, 0x1000), _TILE)
        for x in range(GRID_COLUMNS)
        for z in range(GRID_COLUMNS)
        if (x, z) not in taken
    ]


def _is_in_the_way(item: PlacedBlock) -> bool:
    if item.spec.family == "dirt ground":
        return item.block.y > 0  # hills; flat dirt at the very bottom is as open as grass
    is_gate = item.spec.waypoint is not None
    return item.block.y <= LEVEL and (item.spec.family != "ground" or is_gate)
