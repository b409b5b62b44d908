"""Dirt roads along the side of a hill: a bank that steepens towards the top, its corners, and the ways onto it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from trackmaster.track.catalogue.dirt_roads import SECTION, section
from trackmaster.track.catalogue.hills import DIRT, ease
from trackmaster.track.catalogue.spec import Site, Surfaces
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import height_field

BANK: tuple[tuple[float, float], ...] = (
    (0.0, 17.0),
    (5.0, 17.0),
    (8.0, 16.5),
    (10.0, 15.4),
    (12.5, 13.25),
    (14.5, 11.4),
    (16.5, 9.8),
    (18.5, 8.25),
    (20.5, 6.9),
    (22.5, 5.72),
    (24.5, 4.74),
    (26.5, 3.84),
    (28.5, 3.1),
    (30.5, 2.5),
    (32.5, 1.98),
    (35.0, 1.55),
    (37.5, 1.25),
    (40.0, 1.1),
    (44.0, 1.0),
    (128.0, 1.0),
)
"""Height over the floor by distance from the hill's upper edge (measured, 237 contacts between 12 and 40 m; the top is
assumed)."""

TO_LEVEL_X_M = (0.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 60.0, 64.0)
TO_LEVEL_Z_M = (28.0, 31.0, 34.0, 36.0, 38.0, 40.0, 42.0, 44.0, 46.0, 48.0)
TO_LEVEL = (
    (3.27, 2.35, 1.73, 1.40, 1.22, 1.10, 1.05, 1.00, 1.00, 1.00),
    (3.50, 2.45, 1.62, 1.20, 0.85, 0.72, 0.58, 0.50, 0.45, 0.40),
    (3.75, 2.75, 1.70, 1.20, 0.80, 0.55, 0.42, 0.33, 0.25, 0.20),
    (3.35, 2.30, 1.45, 1.15, 0.70, 0.50, 0.30, 0.10, 0.00, -0.10),
    (3.00, 2.20, 1.20, 0.70, 0.15, 0.00, -0.20, -0.45, -0.55, -0.60),
    (2.50, 1.50, 0.55, -0.20, -0.30, -0.55, -0.65, -0.70, -0.68, -0.65),
    (2.00, 1.20, 0.30, -0.30, -0.57, -0.70, -0.82, -0.85, -0.80, -0.77),
    (1.50, 1.10, 0.60, 0.00, -0.40, -0.55, -0.65, -0.75, -0.75, -0.74),
    (1.17, 1.00, 1.00, 1.00, 0.09, -0.20, -0.42, -0.58, -0.59, -0.605),
)
"""Way from the bank (x = 0) to the level lane (x = 64) by x and z (read off 256 contacts, +-0.15)."""

_LANE = [offset for offset, _ in SECTION]
_FINE = np.unique(
    np.concatenate(
        [[x for x, _ in BANK if x <= 44.0], np.subtract(48.0, _LANE), np.add(48.0, _LANE), [33.5, 36.0, 64.0]]
    )
)
"""Places across a bank and a level lane in its lower half."""

Heights = Callable[[F64, F64], F64]


def bank(distance_m: F64) -> F64:
    """Return the bank's height by distance from the hill's upper edge."""
    knots, heights = np.array(BANK).T
    found: F64 = np.interp(distance_m, knots, heights)
    return found


def hillside(size: tuple[int, int], heights: Heights, *, along_z_only: bool = False) -> Surfaces:
    """Return the surfaces of a block of ``size`` cells whose height over its floor is a function of x and z."""
    return partial(_hillside, size=size, heights=heights, along_z_only=along_z_only)


def straight_bank(_x: F64, z: F64) -> F64:
    """Return the bank along x; the hill rises towards -z."""
    return bank(z)


def bank_corner_in(x: F64, z: F64) -> F64:
    """Return the bank around an inward corner of the hill; the low corner is (64, 64)."""
    return bank(64.0 - np.hypot(64.0 - x, 64.0 - z))


def bank_corner_out(x: F64, z: F64) -> F64:
    """Return the bank around an outward corner of the hill; the hill's corner is (64, 0)."""
    return bank(np.hypot(64.0 - x, z))


def bank_to_level(*, level_at_left: bool) -> Heights:
    """Return the way between the bank and a level lane along x over two cells; the lane is at +x or -x."""
    return partial(_bank_to_level, level_at_left=level_at_left)


def bank_turn(*, towards_right: bool) -> Heights:
    """Return the way from a lane (+z) onto a bank that goes on at -x or, ``towards_right`` unset, at +x."""
    return partial(_bank_turn, towards_right=towards_right)


def _bank_to_level(x: F64, z: F64, *, level_at_left: bool) -> F64:
    share = ease(np.clip(x / 64.0, 0.0, 1.0)) if level_at_left else ease(np.clip(1.0 - x / 64.0, 0.0, 1.0))
    level = np.where(z < 32.0, _beside(z), section(z - 48.0))
    mixed = (1.0 - share) * bank(z) + share * level
    inside = np.clip(np.minimum((z - 24.0) / 6.0, (50.0 - z) / 4.0), 0.0, 1.0)
    from_bank = x if level_at_left else 64.0 - x
    inside = inside * np.clip((64.0 - from_bank) / 4.0, 0.0, 1.0)
    found: F64 = (1.0 - inside) * mixed + inside * _table(from_bank, z)
    return found


def _table(x: F64, z: F64) -> F64:
    """Return :data:`TO_LEVEL` between its knots."""
    columns = np.stack([np.interp(z, TO_LEVEL_Z_M, row) for row in TO_LEVEL])
    knots = np.array(TO_LEVEL_X_M)
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    share = np.clip((x - knots[at]) / (knots[at + 1] - knots[at]), 0.0, 1.0)
    points = np.arange(len(x))
    found: F64 = (1.0 - share) * columns[at, points] + share * columns[at + 1, points]
    return found


def _beside(z: F64) -> F64:
    """Return the plain side of a hill beside a level lane: it has to meet the hill at the block's other end."""
    height: F64 = 17.0 - 16.0 * ease(np.clip(z / 32.0, 0.0, 1.0))
    return height


def _bank_turn(x: F64, z: F64, *, towards_right: bool) -> F64:
    across = x if towards_right else 32.0 - x
    radius = np.hypot(across, 64.0 - z)
    share = ease(np.clip(np.arctan2(64.0 - z, across) / (np.pi / 2), 0.0, 1.0))  # 0 at the lane, 1 at the bank
    share = np.maximum(share, np.clip((radius - 28.8) / 4.0, 0.0, 1.0))
    mixed: F64 = (1.0 - share) * section(radius - 16.0) + share * bank(64.0 - radius)
    return mixed


def _hillside(_site: Site, *, size: tuple[int, int], heights: Heights, along_z_only: bool) -> list[Patch]:
    across = np.array([0.0, 32.0]) if along_z_only else _knots(size[0])
    return [height_field(across, _FINE, heights, DIRT)]


def _knots(cells: int) -> F64:
    """Return places across: as fine as a lane over one cell, as a bank over two."""
    lane = np.array([x for x, _ in SECTION])
    return np.unique(np.concatenate([16.0 - lane, 16.0 + lane, [0.0, 3.0, 29.0, 32.0]])) if cells == 1 else _FINE
