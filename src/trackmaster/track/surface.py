"""What a triangle is made of (the game's material ids) and what it looks like (our own appearance classes)."""

from enum import IntEnum


class Material(IntEnum):
    """Surface ids as the game numbers them; ghosts store the same numbers per wheel."""

    CONCRETE = 0
    PAVEMENT = 1
    GRASS = 2
    ICE = 3
    METAL = 4
    SAND = 5
    DIRT = 6
    TURBO = 7
    DIRT_ROAD = 8
    RUBBER = 9
    SLIDING_RUBBER = 10
    ROCK = 12
    WATER = 13
    WOOD = 14
    ASPHALT = 16
    RESONANT_METAL = 22
    TURBO_RED = 26
    NOT_COLLIDABLE = 28
    FREE_WHEELING = 29
    TURBO_ROULETTE = 30


class Look(IntEnum):
    """Appearance class of a triangle; the renderer owns the colour that belongs to each."""

    ROAD = 0
    KERB = 1
    GRASS = 2
    PLATFORM = 3
    DIRT = 4
    WALL = 5
    TURBO = 6
    CHECKPOINT = 7
    FINISH = 8
    START = 9
    MARKING = 10
    SCENERY = 11
    WATER = 12
    FREE_WHEELING = 13
    UNDERSIDE = 14
