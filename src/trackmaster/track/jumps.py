"""Ways over gaps: where no block goes on, a line may fly (or roll over open ground) to an entry ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackmaster.track.catalogue import BlockSpec, Clip, Exit
from trackmaster.track.mesh import F64
from trackmaster.track.placement import OUTWARDS, PlacedBlock
from trackmaster.track.pose import GRID_COLUMNS, GRID_LEVELS
from trackmaster.track.sheets import FLOOR, join_of, sheet_of, spot_of
from trackmaster.track.take_off import flight_cost_m
from trackmaster.units import CELL_SIZE_M

REACH_M, RISE_M, FALL_M = 260.0, 48.0, 200.0
"""A gap is at most this long, and its far side this much higher or lower."""

SPREAD, SIDEWAYS_M = 1.0, 24.0
"""The far side lies within this slope to either side, plus this much."""

PIPE_REACH_M, PIPE_M = 200.0, 300.0
"""Out of a pipe one comes down within this distance; it costs at least as much as this many metres of road."""

CHOICES = 16
"""Entries tried from one edge, cheapest first."""

GATE_CHOICES, GROUND_CHOICES = 4, 3
"""Gates, and tiles of open ground, tried besides."""

_TAKE_OFF_M, _PER_METRE, _PER_METRE_SIDEWAYS, _TURN_M = 40.0, 3.0, 2.0, 60.0
"""A gap costs this many metres of road: roads are preferred, then straight and short gaps."""

_GROUND_M, _LEVEL_M, _ROLL_M = 12.0, 1.0, 48.0
"""Between ends below this height one rolls over the ground; between level ends this near over a missing exit."""

_BULK_LEVELS = 2
"""A block without exits fills its own level and this many around it."""

_NO_BULK = {"water", "ring", "border", "platform"}
"""Families whose blocks without exits do not carry a car from one side to the other."""

WATER_M = 600.0
"""What a way into the water costs on top: cars are slow there and do not get out again easily."""

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

    Lips are exits, gates without exits are driven through, platform slopes can be crossed, and pipes, walls and loops
    are driven on over all of their edges.
    """
    opened: dict[int, BlockSpec] = {}
    for item in placed:
        if id(item.spec) not in opened:  # equal blocks keep sharing one entry
            opened[id(item.spec)] = replace(item.spec, exits=_open_exits(item))
    return [replace(item, spec=opened[id(item.spec)]) for item in placed]


def _open_exits(item: PlacedBlock) -> tuple[Exit, ...]:
    sheet, spec = sheet_of(item.block.name), item.spec
    if sheet is not None:
        return tuple(sheet.ports)
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


def floor_exits(item: PlacedBlock) -> list[Exit]:
    """Return the exits of a block on the ground plan."""
    return [way for way in item.spec.exits if join_of(item, way) == FLOOR]


class LandingTable:
    """All entries of a map, to be looked up by take-off."""

    def __init__(self, placed: Sequence[PlacedBlock], ground: Sequence[PlacedBlock] = ()) -> None:
        """Collect the entries of all blocks and of the tiles of open ground."""
        self._ports = [(item, way) for item in (*placed, *ground) for way in floor_exits(item)]
        positions = [spot_of(item, way) for item, way in self._ports]
        self._positions: F64 = np.array(positions, np.float64).reshape(-1, 3)
        inwards = [(item.world_side(way.side) + 2) % 4 for item, way in self._ports]
        self._headings: NDArray[np.int64] = np.array(inwards, np.int64)
        self._is_ground = np.arange(len(self._ports)) >= len(self._ports) - sum(len(g.spec.exits) for g in ground)
        self._is_water = np.array([way.clip is Clip.WATER for _, way in self._ports], np.bool_)
        self._is_gate = np.array([item.spec.waypoint is not None for item, _ in self._ports], np.bool_)
        self._bulk = np.zeros((GRID_COLUMNS, GRID_LEVELS, GRID_COLUMNS), np.bool_)
        for item in placed:
            if not floor_exits(item) and item.spec.family not in _NO_BULK:
                low = max(item.block.y - _BULK_LEVELS, 0)
                for x, z in item.columns():
                    self._bulk[x, low : item.block.y + _BULK_LEVELS + 1, z] = True

    def around(self, position_m: F64, *, extra_m: float = 0.0) -> list[Landing]:
        """Return the entries near an end with none ahead of it (in a pipe, say): one may come down anywhere beside.

        Args:
            position_m: (3,) end of the road.
            extra_m: what all of them cost on top.
        """
        offset = self._positions - position_m
        distance = np.linalg.norm(offset, axis=1)
        usable = (distance > 1.0) & (distance < PIPE_REACH_M) & ~self._is_ground
        return self._cheapest(usable, PIPE_M + extra_m + 2 * _PER_METRE * distance)

    def ahead(self, position_m: F64, heading: int, slope: float | None) -> list[Landing]:
        """Return the entries that can be reached from ``position_m`` towards ``heading``, cheapest first.

        Args:
            position_m: (3,) edge from which the car flies.
            heading: direction of travel, 0..3.
            slope: metres that the road climbs per metre there; None for a car that flies already.
        """
        forward = np.array([OUTWARDS[heading][0], 0.0, OUTWARDS[heading][1]])
        offset = self._positions - position_m
        along = offset @ forward
        across = np.linalg.norm((offset - along[:, None] * forward) * [1.0, 0.0, 1.0], axis=1)
        turn = (self._headings - heading) % 4
        usable = (
            (along > (1.0 if slope is not None else -1.0))
            & (along < REACH_M)
            & (across <= SPREAD * along + SIDEWAYS_M)
            & (turn != 2)
        )
        usable &= (offset[:, 1] <= RISE_M) & (offset[:, 1] >= -FALL_M)
        cost = _TAKE_OFF_M + _PER_METRE * np.linalg.norm(offset, axis=1) + _PER_METRE_SIDEWAYS * across
        cost += _TURN_M * (turn != 0) + WATER_M * self._is_water
        usable &= ~self._is_ground | (turn == 0)
        if slope is not None:
            distance = np.hypot(along, across)
            rolls = np.maximum(self._positions[:, 1], position_m[1]) < _GROUND_M
            rolls |= (np.abs(offset[:, 1]) <= _LEVEL_M) & (distance <= _ROLL_M)
            rolls |= self._over_bulk(position_m, offset)
            cost += np.where(rolls, 0.0, flight_cost_m(distance, offset[:, 1], slope))
        return self._cheapest(usable, cost)

    def _over_bulk(self, position_m: F64, offset: F64) -> NDArray[np.bool_]:
        """Return over which of the gaps (n,) something stands whose exits nobody knows: a wall, a loop, a hill."""
        middles = position_m + offset * np.array([0.25, 0.5, 0.75])[:, None, None]  # (3, n, 3)
        x, y, z = np.moveaxis((middles // CELL_SIZE_M).astype(np.int64), -1, 0)
        x, z = np.clip(x, 0, GRID_COLUMNS - 1), np.clip(z, 0, GRID_COLUMNS - 1)
        over: NDArray[np.bool_] = self._bulk[x, np.clip(y, 0, GRID_LEVELS - 1), z].any(axis=0)
        return over

    def _cheapest(self, usable: NDArray[np.bool_], cost: F64) -> list[Landing]:
        numbers = np.flatnonzero(usable)
        order = numbers[np.argsort(cost[numbers], kind="stable")]
        ground, order = order[self._is_ground[order]], order[~self._is_ground[order]]
        gates = order[CHOICES:][self._is_gate[order[CHOICES:]]]
        cheapest = np.concatenate([order[:CHOICES], gates[:GATE_CHOICES], ground[:GROUND_CHOICES]])
        return [self._landing(int(number), float(cost[number])) for number in cheapest]

    def _landing(self, number: int, cost_m: float) -> Landing:
        block, entry = self._ports[number]
        clip = _JOINS.get(entry.clip, entry.clip)
        return Landing(block, entry, self._positions[number], int(self._headings[number]), clip, cost_m)
