"""What makes two cars of an exploration alike: cells along a line, and cells of the space."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import CarView

F64 = NDArray[np.float64]

ALONG_M, SPEED_MPS = 6.0, 6.0
"""Size of a cell along the line."""

SKEW_RAD = 0.35
"""Cars whose ways part by this much are not alike: who arrives first often leaves the road a moment later."""

PLACE_M, ATTIC_M = np.array([16.0, 8.0, 16.0, 1e9]), np.array([8.0, 8.0, 8.0, 12.0])
"""Sizes of cells along x, y and z, and steps of speed: half a block at any speed; what lies off the line of now."""

_UPRIGHT = 0.3
_WHEELS = 3


def line_cells(view: CarView, progress_m: F64, along: F64) -> list[Hashable]:
    """Return for each car (n,): gate, place along the line, speed, angle to the line, and whether it flies.

    Args:
        view: the cars.
        progress_m: (n,) along the line.
        along: (n, 3) direction of the line where each car is.
    """
    place = (progress_m // ALONG_M).astype(int)
    speed = (np.linalg.norm(view.velocity_mps, axis=1) // SPEED_MPS).astype(int)
    flies = ~np.any(view.wheel_contact, axis=1)
    columns = (view.cp_count, place, speed, _skew(headings(view), along), flies)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _skew(heading: F64, along: F64) -> NDArray[np.int64]:
    """Return by how many steps each heading (n, 3) points to the left of a direction (n, 3)."""
    left = heading[:, 0] * along[:, 2] - heading[:, 2] * along[:, 0]
    angle: F64 = np.arctan2(left, np.sum(heading * along, axis=1))
    return np.round(angle / SKEW_RAD).astype(np.int64)


def place_cells(view: CarView, size: F64) -> list[Hashable]:
    """Return for each car (n,): gate, place in space, speed and the quarter into which it moves; ``size`` is (4,)."""
    speed = np.linalg.norm(view.velocity_mps, axis=1, keepdims=True)
    cells = (np.concatenate([view.position_m, speed], axis=1) // size).astype(int)
    x, y, z, fast = cells.T.tolist()
    heading = headings(view)
    quarter = np.floor(np.arctan2(heading[:, 0], heading[:, 2]) / (np.pi / 2) + 0.5).astype(int) % 4
    return list(zip(view.cp_count.tolist(), x, y, z, fast, quarter.tolist(), strict=True))


def stands(view: CarView) -> NDArray[np.bool_]:
    """Return which cars stand on something with their wheels."""
    upright = view.rotation[:, 1, 1] > _UPRIGHT
    standing: NDArray[np.bool_] = (view.wheel_contact.sum(axis=1) >= _WHEELS) & upright
    return standing


def headings(view: CarView) -> F64:
    """Return the unit vectors (n, 3) along which cars move, of slow ones where their noses point to."""
    velocity = view.velocity_mps.astype(np.float64)
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    moving: F64 = np.where(speed > 3.0, velocity / np.maximum(speed, 1e-6), view.rotation[:, :, 2])
    return moving


def taken_bits(taken: NDArray[np.int32]) -> list[int]:
    """Return the gates (4, n) that cars took on their lap as one whole number each, bit n for trigger n."""
    words = taken.astype(np.int64) & 0xFFFFFFFF
    return [sum(int(word) << 32 * k for k, word in enumerate(column)) for column in words.T]
