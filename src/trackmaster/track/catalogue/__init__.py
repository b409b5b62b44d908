"""The block catalogue: name and variant to surfaces, exits, gates and starts."""

from collections.abc import Iterator

from trackmaster.track.catalogue.borders import BORDERS
from trackmaster.track.catalogue.dirt_table import DIRT_ROADS, ROAD_DIRT, ROAD_DIRT_HIGH
from trackmaster.track.catalogue.hills import DIRT_BORDER, DIRT_HILL
from trackmaster.track.catalogue.holes import HOLES
from trackmaster.track.catalogue.loops import LOOPS
from trackmaster.track.catalogue.plates import PLATES
from trackmaster.track.catalogue.platforms import PLATFORM_ROAD, PLATFORMS
from trackmaster.track.catalogue.road_table import ROAD_MAIN, ROADS
from trackmaster.track.catalogue.scenery import SCENERY
from trackmaster.track.catalogue.side_loops import SIDE_LOOPS
from trackmaster.track.catalogue.spec import BlockSpec, Clip, Evidence, Exit, Site, Spawn, Waypoint
from trackmaster.track.catalogue.terrain import TERRAIN
from trackmaster.track.catalogue.tilted import TILTED

__all__ = [
    "SCENERY",
    "BlockSpec",
    "Clip",
    "Evidence",
    "Exit",
    "Site",
    "Spawn",
    "Waypoint",
    "is_scenery",
    "known_blocks",
    "lookup",
]

_SINGLE: dict[str, BlockSpec] = {
    **ROADS,
    **PLATFORMS,
    **TERRAIN,
    **LOOPS,
    **PLATES,
    **TILTED,
    **DIRT_ROADS,
    **BORDERS,
    **HOLES,
    **SIDE_LOOPS,
}
_BY_VARIANT: dict[str, dict[int, BlockSpec]] = {
    "StadiumRoadMain": ROAD_MAIN,
    "StadiumDirtHill": DIRT_HILL,
    "StadiumDirtBorder": DIRT_BORDER,
    "StadiumRoadDirt": ROAD_DIRT,
    "StadiumPlatformRoad": PLATFORM_ROAD,
    "StadiumRoadDirtHigh": ROAD_DIRT_HIGH,
}


def lookup(name: str, variant: int) -> BlockSpec | None:
    """Return what is known about a block, or None for a name (or variant) outside the catalogue."""
    if name in _BY_VARIANT:
        return _BY_VARIANT[name].get(variant)
    return _SINGLE.get(name)


def known_blocks() -> Iterator[tuple[str, int, BlockSpec]]:
    """Yield every block of the catalogue as name, variant (0 where there is only one form) and entry."""
    for name, spec in sorted(_SINGLE.items()):
        yield name, 0, spec
    for name, variants in sorted(_BY_VARIANT.items()):
        for variant, spec in sorted(variants.items()):
            yield name, variant, spec


def is_scenery(name: str) -> bool:
    """Tell whether a block is known to be decoration that a car does not touch."""
    return name in SCENERY
