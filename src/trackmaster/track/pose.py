"""Where things stand: poses, triggers and the grid of blocks."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from trackmaster.units import CELL_SIZE_M

F64 = NDArray[np.float64]

GRID_COLUMNS = 32
"""Cells of a Stadium map along x and along z."""

GRID_LEVELS = 32
"""Cells of a Stadium map upwards."""

_FORWARD = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))


@dataclass(frozen=True, eq=False)
class Pose:
    """Place and attitude of the car: ``rotation`` has the car's axes (left, up, forward) as columns, in the world."""

    position_m: F64
    rotation: F64


class TriggerKind(IntEnum):
    """What passing a trigger means for the race."""

    CHECKPOINT = 0
    FINISH = 1


@dataclass(frozen=True, eq=False)
class Trigger:
    """An oriented box that the car's ORIGIN enters when the game counts the passage.

    Attributes:
        kind: checkpoint or finish.
        block_index: number of the block in the map's list.
        center_m: (3,) world.
        rotation: (3, 3), the box's axes as columns.
        half_size_m: (3,) half lengths along these axes.
        respawn: where the car is put after a respawn while this is the last one passed.
    """

    kind: TriggerKind
    block_index: int
    center_m: F64
    rotation: F64
    half_size_m: F64
    respawn: Pose

    def contains(self, points_m: F64) -> NDArray[np.bool_]:
        """Tell for each point (N, 3) whether it lies inside the box."""
        local = (np.atleast_2d(points_m) - self.center_m) @ self.rotation
        inside: NDArray[np.bool_] = np.all(np.abs(local) <= self.half_size_m, axis=1)
        return inside


def direction_rotation(direction: int) -> F64:
    """Return the (3, 3) rotation of a block direction: 0, 1, 2, 3 look along +Z, -X, -Z, +X."""
    fx, fz = _FORWARD[direction % 4]
    # left = up x forward
    return np.array([[fz, 0.0, fx], [0.0, 1.0, 0.0], [-fx, 0.0, fz]])


def block_offset_m(direction: int, cell: tuple[int, int, int], size: tuple[int, int]) -> F64:
    """Return where the local corner of a block lands in the world.

    A turned block keeps its footprint inside the same minimum cell, so its local origin moves to another corner.

    Args:
        direction: 0..3.
        cell: block coordinates (x, y, z).
        size: footprint (x, z) in cells before turning.
    """
    cx, cy, cz = CELL_SIZE_M
    corner = np.array([cell[0] * cx, cell[1] * cy, cell[2] * cz])
    sx, sz = size[0] * cx, size[1] * cz
    shift = ((0.0, 0.0), (sz, 0.0), (sx, sz), (0.0, sx))[direction % 4]
    offset: F64 = corner + np.array([shift[0], 0.0, shift[1]])
    return offset
