"""What the catalogue says about one block: its surfaces, exits, gate and start, and how well we know them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.rises import Rise
from trackmaster.track.mesh import Patch
from trackmaster.track.pose import TriggerKind


class Evidence(Enum):
    """Where the numbers of a block come from."""

    MEASURED = "measured on ghosts"
    """Wheels of real drives touched blocks of this name."""
    FAMILY = "measured on a sister block"
    """The same shape as a measured block: mirrored, or with another surface."""
    ASSUMED = "assumed"
    """No wheel told us; joints with measured neighbours are kept."""


class Clip(Enum):
    """What kind of surface an exit joins; only equal kinds connect (a left tilt or bank continues a right one)."""

    ROAD = "R"
    TILT_LEFT = "tL"
    TILT_RIGHT = "tR"
    DIRT = "D"
    DIRT_HIGH = "DH"
    TUBE = "T"
    LOOP = "L"
    BANK_LEFT = "hL"
    BANK_RIGHT = "hR"
    PLATFORM = "P"
    WATER = "W"

    def joins(self, other: "Clip") -> bool:
        """Tell whether a road can go on from an exit of this kind to one of the other."""
        for pair in ({Clip.TILT_LEFT, Clip.TILT_RIGHT}, {Clip.BANK_LEFT, Clip.BANK_RIGHT}):
            if self in pair:
                return {self, other} == pair
        return self is other

    @property
    def surface_m(self) -> float:
        """Height of the driving surface over the floor of the exit's cell."""
        return _SURFACE_M.get(self, m.ROAD_SURFACE_M)


_SURFACE_M = {
    Clip.TILT_LEFT: m.TILTED_FLOOR_M + m.ROAD_SURFACE_M,
    Clip.TILT_RIGHT: m.TILTED_FLOOR_M + m.ROAD_SURFACE_M,
    Clip.BANK_LEFT: m.DIRT_BANK_M,
    Clip.BANK_RIGHT: m.DIRT_BANK_M,
    Clip.PLATFORM: 0.0,
    Clip.DIRT: m.DIRT_SURFACE_M,
    Clip.DIRT_HIGH: m.DIRT_SURFACE_M + 8.0,
    Clip.WATER: m.POOL_FLOOR_M,
}


@dataclass(frozen=True)
class Exit:
    """A side of the block through which one drives.

    Attributes:
        side: 0, 1, 2, 3 = +z, -x, -z, +x of the block before it is turned (numbers as block directions); 4 and 5 are up
            and down.
        unit: (x, y, z) cell of the footprint that the side belongs to.
        clip: what it joins.
    """

    side: int
    unit: tuple[int, int, int]
    clip: Clip


@dataclass(frozen=True)
class Waypoint:
    """A checkpoint or finish gate across the block's forward axis.

    Attributes:
        kind: checkpoint or finish.
        plane_m: the car's origin is counted this far before the centre of the block, from either side.
        surface_m: height of the driving surface over the block's floor.
        respawn_height_m: height of the car's origin over the block's floor after a respawn.
        half_width_m: reach of the gate to either side.
        height_m: reach of the gate above the surface.
    """

    kind: TriggerKind
    plane_m: float
    surface_m: float
    respawn_height_m: float
    half_width_m: float = 16.0
    height_m: float = 8.0


@dataclass(frozen=True)
class Spawn:
    """Where a race begins: behind the centre of the block, origin at this height over the block's floor."""

    behind_m: float
    height_m: float


@dataclass(frozen=True)
class Site:
    """What a block's surfaces need to know about the place it stands on.

    Attributes:
        on_ground: the block replaces a tile of terrain.
        joined: (side, unit) pairs of exits and faces where a neighbour goes on seamlessly.
    """

    on_ground: bool
    joined: frozenset[tuple[int, tuple[int, int, int]]]


Surfaces = Callable[[Site], list[Patch]]
"""Builds the surfaces of a block in its own frame."""


@dataclass(frozen=True)
class BlockSpec:
    """One block (or one variant of it) as the catalogue declares it.

    Attributes:
        family: group for reports, such as ``road`` or ``platform``.
        surfaces: builder of the block's surfaces.
        size: footprint (x, z) in cells before turning.
        exits: sides through which one drives.
        evidence: whether the shape was measured or assumed.
        waypoint: gate, if it has one.
        spawn: start of a race, if it is one.
        middle: surface height over the block's floor along z in the middle of a slope; None elsewhere.
        covers_ground: the block takes the place of the grass tiles under it when it stands on the ground.
        is_terrain: ground that gives way to a block which replaces it.
        faces: sides that nobody drives through, but where an equal neighbour goes on (4 and 5 are up and down).
        lips: sides over which one leaves into the air.
        replaces_terrain: the block takes the place of the terrain blocks in its columns, one level around its own.
    """

    family: str
    surfaces: Surfaces
    size: tuple[int, int] = (1, 1)
    exits: tuple[Exit, ...] = ()
    evidence: Evidence = Evidence.ASSUMED
    waypoint: Waypoint | None = None
    spawn: Spawn | None = None
    covers_ground: bool = False
    is_terrain: bool = False
    replaces_terrain: bool = False
    faces: tuple[Exit, ...] = ()
    lips: tuple[Exit, ...] = ()
    middle: Rise | None = None

    @property
    def is_assumed(self) -> bool:
        """No ghost told us the shape, neither on this block nor on a sister."""
        return self.evidence is Evidence.ASSUMED

    def climb(self, side: int) -> float:
        """Return the slope of the road where it leaves through ``side``, along the way out; 0 where it is level."""
        if self.middle is None or side not in (0, 2):
            return 0.0
        (z0, h0), (z1, h1) = self.middle[-2:] if side == 0 else self.middle[1::-1]
        return (h1 - h0) / abs(z1 - z0)


def exits_of(text: str) -> tuple[Exit, ...]:
    """Read exits from the compact form of the catalogue: ``"-z@0,0,0:R +z@0,1,0:R"``."""
    sides = {"+z": 0, "-x": 1, "-z": 2, "+x": 3, "+y": 4, "-y": 5}
    exits = []
    for word in text.split():
        place, clip = word.split(":")
        side, unit = place.split("@")
        x, y, z = (int(number) for number in unit.split(","))
        exits.append(Exit(sides[side], (x, y, z), Clip(clip)))
    return tuple(exits)
