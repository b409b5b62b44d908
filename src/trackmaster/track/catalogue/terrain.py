"""Ground blocks: grass, gates on the grass, water."""

from trackmaster.track.catalogue import hills
from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.edges import EDGES
from trackmaster.track.catalogue.spec import BlockSpec, Clip, Exit, Site, Waypoint
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import Finish, rectangle, wall
from trackmaster.track.surface import Look, Material

FLOOR = Finish(Material.SLIDING_RUBBER, Look.UNDERSIDE)
BANK = Finish(Material.CONCRETE, Look.WALL)
WATER = Finish(Material.WATER, Look.WATER)

_CELL = (0, 0, 0)


def nothing(_site: Site) -> list[Patch]:
    """Return no surface: the grass of the map goes on under the block."""
    return []


def basin(site: Site) -> list[Patch]:
    """Return the floor under the water, the water's surface (drawn only) and the banks where no water goes on.

    The water itself (drag, buoyancy) is a matter of physics.
    """
    surface = rectangle((0, 0), (32, 32), m.WATER_SURFACE_M, WATER)
    drawn = Patch(surface.vertices, surface.triangles, surface.material, surface.look, collidable=False)
    banks = [
        wall(*EDGES[side][::-1], m.POOL_FLOOR_M, m.GRASS_M, BANK)
        for side in range(4)
        if (side, _CELL) not in site.joined
    ]
    return [rectangle((0, 0), (32, 32), m.POOL_FLOOR_M, FLOOR), drawn, *banks]


_GATE = Waypoint(
    TriggerKind.CHECKPOINT, m.CHECKPOINT_PLANE_M, m.GRASS_OVER_FLOOR_M, m.GRASS_OVER_FLOOR_M + m.RESPAWN_OVER_SURFACE_M
)

TERRAIN: dict[str, BlockSpec] = {
    "StadiumDirt": hills.DIRT_TILE,
    "StadiumGrass": BlockSpec("ground", nothing),
    "StadiumGrassCheckpoint": BlockSpec("ground", nothing, waypoint=_GATE),
    # The rim of a pool is grass for the most part (18 contacts at 9.00 to 9.08); its last metres are not modelled.
    "StadiumPool": BlockSpec("water", nothing),
    "StadiumWater": BlockSpec(
        "water", basin, exits=tuple(Exit(side, _CELL, Clip.WATER) for side in range(4)), covers_ground=True
    ),
}
"""Ground blocks by name."""
