"""Ways over gaps: where no block goes on, a line may fly (or roll over open ground) to an entry ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.catalogue import BlockSpec, Clip, Exit
from trackmaster.track.mesh import F64
from trackmaster.track.placement import OUTWARDS, PlacedBlock, local_joint
from trackmaster.units import CELL_SIZE_M

REACH_M, RISE_M, FALL_M = 260.0, 48.0, 200.0
"""A gap is at most this long, and its far side this much higher or lower."""

SPREAD, SIDEWAYS_M = 1.0, 24.0
"""The far side lies within this slope to either side, plus this much."""

PIPE_REACH_M, PIPE_M = 200.0, 300.0
"""Out of a pipe one comes down within this distance; it costs at least as much as this many metres of road."""

CHOICES = 16
"""Entries tried from one edge, cheapest first."""

_TAKE_OFF_M, _PER_METRE, _PER_METRE_SIDEWAYS, _TURN_M = 40.0, 3.0, 2.0, 60.0
"""A gap costs this many metres of road: roads are preferred, then straight and short gaps."""

_JOINS = {
    Clip.TILT_LEFT: Clip.TILT_RIGHT,
    Clip.TILT_RIGHT: Clip.TILT_LEFT,
    Clip.BANK_LEFT: Clip.BANK_RIGHT,
    Clip.BANK_RIGHT: Clip.BANK_LEFT,
}


@dataclass(frozen=True, eq=False)
class Landing:
    """An entry that can be reached over a gap: how one arrives there, and what the gap costs in metres of road."""

    block: PlacedBlock
    entry: Exit
    position_m: F64
    heading: int
    clip: Clip
    cost_m: float


def with_open_sides(placed: Sequence[PlacedBlock]) -> list[PlacedBlock]:
    """Return the blocks as the route search sees them.

    Lips are exits, gates without exits are driven through, and platform slopes can be crossed.
    """
    opened = {id(item.spec): item.spec for item in placed}
    for key, spec in opened.items():
        opened[key] = replace(spec, exits=_open_exits(spec))  # equal blocks keep sharing one entry
    return [replace(item, spec=opened[id(item.spec)]) for item in placed]


def _open_exits(spec: BlockSpec) -> tuple[Exit, ...]:
    if spec.family == "platform slope" and spec.middle is not None:
        return (*spec.exits, *_sideways(float(np.interp(16.0, *np.array(spec.middle).T)), (1, 3)))
    if spec.waypoint is not None and not spec.exits:
        return _sideways(spec.waypoint.respawn_height_m, (0, 2))
    if spec.family == "platform slope":
        return _sideways(2 * CELL_SIZE_M[1], (0, 2))
    return (*spec.exits, *spec.lips)


def _sideways(height_m: float, sides: tuple[int, int]) -> tuple[Exit, ...]:
    """Return exits at both ends of a way across a slope or through a gate, at the level nearest to its height."""
    return tuple(Exit(side, (0, round(height_m / CELL_SIZE_M[1]), 0), Clip.PLATFORM) for side in sides)


class LandingTable:
    """All entries of a map, to be looked up by take-off."""

    def __init__(self, placed: Sequence[PlacedBlock]) -> None:
        """Collect the entries of all blocks."""
        self._ports = [(item, way) for item in placed for way in item.spec.exits]
        positions = [item.to_world(local_joint(way.side, way.unit)) for item, way in self._ports]
        surfaces = np.array([way.clip.surface_m for _, way in self._ports])
        self._positions: F64 = np.array(positions, np.float64).reshape(-1, 3)
        self._positions[:, 1] += surfaces
        inwards = [(item.world_side(way.side) + 2) % 4 for item, way in self._ports]
        self._headings: NDArray[np.int64] = np.array(inwards, np.int64)

    def around(self, position_m: F64) -> list[Landing]:
        """Return the entries near the end of a road that leads into a pipe: one may come down anywhere beside it."""
        offset = self._positions - position_m
        distance = np.linalg.norm(offset, axis=1)
        usable = (distance > 1.0) & (distance < PIPE_REACH_M)
        return self._cheapest(usable, PIPE_M + 2 * _PER_METRE * distance)

    def ahead(self, position_m: F64, heading: int) -> list[Landing]:
        """Return the entries that can be reached from ``position_m`` towards ``heading``, cheapest first."""
        forward = np.array([OUTWARDS[heading][0], 0.0, OUTWARDS[heading][1]])
        offset = self._positions - position_m
        along = offset @ forward
        across = np.linalg.norm((offset - along[:, None] * forward) * [1.0, 0.0, 1.0], axis=1)
        turn = (self._headings - heading) % 4
        usable = (along > 1.0) & (along < REACH_M) & (across <= SPREAD * along + SIDEWAYS_M) & (turn != 2)
        usable &= (offset[:, 1] <= RISE_M) & (offset[:, 1] >= -FALL_M)
        cost = _TAKE_OFF_M + _PER_METRE * np.linalg.norm(offset, axis=1) + _PER_METRE_SIDEWAYS * across
        cost += _TURN_M * (turn != 0)
        return self._cheapest(usable, cost)

    def _cheapest(self, usable: NDArray[np.bool_], cost: F64) -> list[Landing]:
        numbers = np.flatnonzero(usable)
        cheapest = numbers[np.argsort(cost[numbers], kind="stable")[:CHOICES]]
        return [self._landing(int(number), float(cost[number])) for number in cheapest]

    def _landing(self, number: int, cost_m: float) -> Landing:
        block, entry = self._ports[number]
        clip = _JOINS.get(entry.clip, entry.clip)
        return Landing(block, entry, self._positions[number], int(self._headings[number]), clip, cost_m)
