"""The ways through the blocks of a map and over the gaps between them: the graph in which routes are searched.

Blocks are joined at their exits; a way through a block is a straight, an arc or an S-bend between two of its exits, or
leads over a pipe, a wall or a loop (see :mod:`sheets`). Where nothing goes on, a way flies straight to an entry ahead
(see :mod:`jumps`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trackmaster.track import open_ground
from trackmaster.track.catalogue import BlockSpec, Clip, Exit
from trackmaster.track.jumps import LandingTable, floor_exits, with_open_sides
from trackmaster.track.mesh import F64
from trackmaster.track.placement import OUTWARDS, Joint, PlacedBlock, exits_by_joint, local_joint
from trackmaster.track.pose import TriggerKind
from trackmaster.track.sheets import FLOOR, join_of, opposite, sheet_of, spot_of
from trackmaster.track.take_off import TakeOffs
from trackmaster.units import CELL_SIZE_M

POINT_SPACING_M = 1.0
"""Spacing of the points along a way through a block."""

MARK_REACH_M, MARK_COST_M, MARK_COSINE = 20.0, 200.0, 0.5
"""A way that passes this near to a marked place, turned less than 60 degrees, costs this much more."""

STANDS_M = 2.5
"""A car stands on a block if it is not this much below or above all of its exits."""

AHEAD_COSINE = 0.3
"""Exits ahead of a car are those less than about 70 degrees to the side."""

GRASS_COST = 3.0
"""A metre over open grass costs as much as this many on a road."""

SHEET_COST = 2.0
"""A metre on pipes, walls and loops costs as much as this many on a road."""

RAMP_SLOPE, EDGE_M = 0.1, 1_500.0
"""A car that leaves an edge less steep than this comes down ahead or not at all: other ways are dearer by so much."""

MAX_GAPS = 1_500
"""Gaps that the search looks over; real maps have some hundreds of edges."""


@dataclass(frozen=True)
class Doorway:
    """A place between two blocks, passed in a direction: leaving towards ``heading`` on a surface of kind ``clip``.

    ``join`` tells apart what meets there beside the ground plan (see :mod:`sheets`).
    """

    joint: Joint
    heading: int
    clip: Clip
    join: str = FLOOR


@dataclass(frozen=True, eq=False)
class Way:
    """One way through a block or over a gap.

    Attributes:
        out: where it comes out; None behind the finish.
        points_m: (k, 3) along it, world.
        cost_m: its length, or more where it is hard to drive.
        gate: number of the checkpoint that it passes.
        is_on_sheet: it leads over a pipe, a wall or a loop, close to the surface.
    """

    out: Doorway | None
    points_m: F64
    cost_m: float
    gate: int | None
    is_on_sheet: bool = False


@dataclass(frozen=True, eq=False)
class Mark:
    """A place that is better left out, in the direction in which it is passed: both (3,), world."""

    position_m: F64
    direction: F64


class WayGraph:
    """All ways over the blocks of one map, found when they are asked for.

    Attributes:
        gates: the blocks with checkpoints; their places in this list are the gates' numbers.
    """

    def __init__(self, placed: Sequence[PlacedBlock]) -> None:
        """Index the exits of all blocks."""
        placed = with_open_sides(placed)
        self._take_offs = TakeOffs()
        self._gaps = 0
        tiles = open_ground.grass_tiles(placed)
        self._landings, self._with_ground = LandingTable(placed), LandingTable(placed, tiles)
        placed = [*placed, *tiles]
        self._doors = exits_by_joint(placed)
        self._ways: dict[Doorway, list[Way]] = {}
        self._plans: dict[tuple[int, Exit, Exit], tuple[F64 | None, float]] = {}
        self.gates = [b for b in placed if b.spec.waypoint and b.spec.waypoint.kind is TriggerKind.CHECKPOINT]
        self._gate_number = {block.index: number for number, block in enumerate(self.gates)}
        self._start = next(block for block in placed if block.spec.spawn is not None)
        self._columns: dict[tuple[int, int], list[PlacedBlock]] = {}
        for block in placed:
            for column in block.columns() if floor_exits(block) else ():
                self._columns.setdefault(column, []).append(block)
        self._marks: list[Mark] = []
        self._surcharges: dict[Way, float] = {}

    def allow_ground(self) -> bool:
        """Let flights end on open ground as well; return whether that is new."""
        if self._landings is self._with_ground:
            return False
        self._landings = self._with_ground
        self._gaps = MAX_GAPS // 2
        self._ways.clear()
        self._surcharges.clear()
        return True

    def discourage(self, mark: Mark) -> None:
        """Make all ways dearer that pass near a place in about the same direction."""
        self._marks.append(mark)
        self._surcharges.clear()

    def cost_m(self, way: Way) -> float:
        """Return what a way costs in metres, marked places included."""
        if not self._marks:
            return way.cost_m
        if way not in self._surcharges:
            self._surcharges[way] = self._surcharge_m(way.points_m)
        return way.cost_m + self._surcharges[way]

    def _surcharge_m(self, points_m: F64) -> float:
        steps = np.diff(points_m, axis=0)
        middles = points_m[:-1] + steps / 2
        positions = np.array([mark.position_m for mark in self._marks])
        directions = np.array([mark.direction for mark in self._marks])
        near = np.linalg.norm(middles[:, None] - positions, axis=2) < MARK_REACH_M  # (k, marks)
        along = steps @ directions.T > MARK_COSINE * np.linalg.norm(steps, axis=1)[:, None]
        return MARK_COST_M * int((near & along).any(axis=0).sum())

    def first(self) -> list[Way]:
        """Return the ways out of the start."""
        spawn = self._start.spec.spawn
        assert spawn is not None
        origin = np.array([16.0, 16.0 - spawn.behind_m])
        ways = []
        for way_out in self._start.spec.exits:
            if way_out.side == 0:
                end = local_joint(way_out.side, way_out.unit)
                xz = _line(origin, end[[0, 2]])
                heights = np.full(len(xz), way_out.clip.surface_m)
                points = self._start.to_world(np.stack([xz[:, 0], heights, xz[:, 1]], axis=1))
                ways.append(Way(self._leave(self._start, way_out), points, length_m(points), None))
        return ways

    def through(self, doorway: Doorway) -> list[Way]:
        """Return the ways on behind a doorway: the shortest for each exit and gate."""
        if doorway not in self._ways:
            best: dict[tuple[Doorway, int | None], Way] = {}
            is_paved = False
            for block, entry in self._entered(doorway):
                gate = self._gate_number.get(block.index) if entry.side % 2 == 0 else None
                is_grass = block.spec.family == open_ground.FAMILY
                for way_out in block.spec.exits:
                    local, long_m = self._plan(block, entry, way_out)
                    if local is None:
                        continue
                    long_m *= GRASS_COST if is_grass else 1.0
                    is_paved |= not is_grass
                    key = (self._leave(block, way_out), gate)
                    if key not in best or long_m < best[key].cost_m:
                        is_on_sheet = sheet_of(block.block.name) is not None
                        best[key] = Way(key[0], block.to_world(local), long_m, gate, is_on_sheet)
            is_on_grass = any(block.spec.family == open_ground.FAMILY for block, _ in self._left(doorway))
            gaps = self._over_gap(doorway) if not is_paved and not is_on_grass else []
            self._ways[doorway] = [*best.values(), *gaps]
        return self._ways[doorway]

    def _over_gap(self, doorway: Doorway) -> list[Way]:
        """Return the ways over the gap behind a doorway that nothing continues, or out of the pipe it leads into."""
        if self._gaps >= MAX_GAPS:
            return []
        self._gaps += 1
        half_x, half_z, level = doorway.joint
        cx, cy, cz = CELL_SIZE_M
        begin = np.array([half_x * cx / 2, level * cy + doorway.clip.surface_m, half_z * cz / 2])
        slope: float | None = 0.0
        for block, way_out in self._left(doorway):
            if doorway.join != FLOOR:
                begin, slope = spot_of(block, way_out), None
                break
            height_m, slope = self._take_offs.of(block.spec, way_out)
            begin[1] = level * cy + height_m
            slope = None if block.spec.family == "ring" else slope
            break
        is_closed = any(block.spec.family != open_ground.FAMILY for block, _ in self._entered(doorway))
        is_closed |= doorway.join != FLOOR
        found = [] if is_closed else self._landings.ahead(begin, doorway.heading, slope)
        is_edge = not is_closed and slope is not None and slope <= RAMP_SLOPE
        found = found or self._landings.around(begin, extra_m=EDGE_M if is_edge else 0.0)
        ways = []
        for landing in found:
            joint = landing.block.joint(landing.entry.side, landing.entry.unit)
            out = Doorway(joint, landing.heading, landing.clip)
            ways.append(Way(out, _line(begin, landing.position_m), landing.cost_m, None))
        return ways

    def _plan(self, block: PlacedBlock, entry: Exit, way_out: Exit) -> tuple[F64 | None, float]:
        """Return the way in the block's frame and its length; equal blocks share it."""
        key = (id(block.spec), entry, way_out)
        if key not in self._plans:
            sheet, local = sheet_of(block.block.name), None
            if way_out is not entry:
                local = self._on_plan(block.spec, entry, way_out) if sheet is None else sheet.way(entry, way_out)
            factor = 1.0 if sheet is None else SHEET_COST
            self._plans[key] = (local, 0.0 if local is None else factor * length_m(local))
        return self._plans[key]

    def _on_plan(self, spec: BlockSpec, entry: Exit, way_out: Exit) -> F64 | None:
        """Return the way over a block on the ground plan; over a lip it ends as high as the surface does there."""
        local = way_between(spec, entry, way_out)
        if local is None:
            return None
        share = np.linspace(0.0, 1.0, len(local))
        for way, part in ((entry, 1.0 - share), (way_out, share)):
            if way in spec.lips:
                local[:, 1] += part * (self._take_offs.of(spec, way)[0] - way.clip.surface_m)
        return local

    def _left(self, doorway: Doorway) -> Iterator[tuple[PlacedBlock, Exit]]:
        for block, way_out in self._doors.get(doorway.joint, ()):
            is_it = block.world_side(way_out.side) == doorway.heading and way_out.clip is doorway.clip
            if is_it and join_of(block, way_out) == doorway.join:
                yield block, way_out

    def _entered(self, doorway: Doorway) -> Iterator[tuple[PlacedBlock, Exit]]:
        for block, entry in self._doors.get(doorway.joint, ()):
            faces = block.world_side(entry.side) == opposite(doorway.heading) and _goes_on(doorway.clip, entry.clip)
            if faces and join_of(block, entry) == doorway.join:
                yield block, entry

    def from_place(self, position_m: F64, heading: F64) -> list[Way]:
        """Return the ways on for a car: straight to the exits, ahead of it, of the block that it stands on.

        Args:
            position_m: (3,) car origin.
            heading: (3,) unit vector.
        """
        column = int(position_m[0] // CELL_SIZE_M[0]), int(position_m[2] // CELL_SIZE_M[2])
        ways = []
        for block in self._columns.get(column, ()):
            exits = floor_exits(block)
            spots = np.array([spot_of(block, way) for way in exits])
            if not spots[:, 1].min() - STANDS_M < position_m[1] < spots[:, 1].max() + STANDS_M:
                continue
            number = self._gate_number.get(block.index)
            middle = block.to_world(np.array([CELL_SIZE_M[0] / 2, 0.0, CELL_SIZE_M[2] / 2]))
            gate = number if number is not None and (middle - position_m) @ heading > 0 else None
            for way_out, spot in zip(exits, spots, strict=True):
                if (spot - position_m) @ heading > AHEAD_COSINE * np.linalg.norm(spot - position_m):
                    points = _line(position_m, spot)
                    ways.append(Way(self._leave(block, way_out), points, length_m(points), gate))
        return ways

    def finish(self, doorway: Doorway) -> Way | None:
        """Return the way through the finish right behind a doorway, if there is one."""
        for block, entry in self._entered(doorway):
            gate = block.spec.waypoint
            if gate is None or gate.kind is not TriggerKind.FINISH or entry.side != 2:
                continue
            begin = local_joint(entry.side, entry.unit)
            xz = _line(begin[[0, 2]], np.array([16.0, 16.0 - gate.plane_m]))
            points = block.to_world(np.stack([xz[:, 0], np.full(len(xz), gate.surface_m), xz[:, 1]], axis=1))
            return Way(None, points, length_m(points), None)
        return None

    @staticmethod
    def _leave(block: PlacedBlock, way_out: Exit) -> Doorway:
        joint, heading = block.joint(way_out.side, way_out.unit), block.world_side(way_out.side)
        return Doorway(joint, heading, way_out.clip, join_of(block, way_out))


def _goes_on(leaving: Clip, entering: Clip) -> bool:
    """Tell whether one can drive on; a road that stands on a platform drops to it by its own thickness."""
    return leaving.joins(entering) or {leaving, entering} in ({Clip.ROAD, Clip.PLATFORM}, {Clip.DIRT, Clip.PLATFORM})


def way_between(spec: BlockSpec, entry: Exit, way_out: Exit) -> F64 | None:
    """Return points (k, 3) in the block's frame from one exit to another, None where one cannot drive through."""
    begin, end = local_joint(entry.side, entry.unit), local_joint(way_out.side, way_out.unit)
    ahead_in, ahead_out = -np.array(OUTWARDS[entry.side]), np.array(OUTWARDS[way_out.side])
    xz = _plan(begin[[0, 2]], ahead_in, end[[0, 2]], ahead_out)
    if xz is None:
        return None
    if spec.middle is not None:
        knots, heights = np.array(spec.middle, np.float64).T
        return np.stack([xz[:, 0], np.interp(xz[:, 1], knots, heights), xz[:, 1]], axis=1)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xz, axis=0), axis=1))])
    share = along / along[-1]
    low, high = begin[1] + entry.clip.surface_m, end[1] + way_out.clip.surface_m
    return np.stack([xz[:, 0], low + (high - low) * share, xz[:, 1]], axis=1)


def _plan(begin: F64, ahead_in: F64, end: F64, ahead_out: F64) -> F64 | None:
    """Return the way on the ground plan; both directions are of travel."""
    turn = float(ahead_in @ ahead_out)
    if turn < -0.5:
        return None
    offset = end - begin
    if turn > 0.5:
        across = offset - (offset @ ahead_in) * ahead_in
        if offset @ ahead_in <= 0:
            return None
        if np.linalg.norm(across) < 1e-6:
            return _line(begin, end)
        return _s_bend(begin, offset @ ahead_in * ahead_in, across)
    along_in, along_out = float(offset @ ahead_in), float(offset @ ahead_out)
    if along_in <= 0 or along_out <= 0:
        return None
    radius = min(along_in, along_out)
    angles = np.linspace(0, np.pi / 2, max(4, int(radius * np.pi / 2 / POINT_SPACING_M)))[:, None]
    corner = begin + (along_in - radius) * ahead_in
    arc = corner + radius * (np.sin(angles) * ahead_in + (1 - np.cos(angles)) * ahead_out)
    points = np.vstack([_line(begin, arc[0]), arc, _line(arc[-1], end)])
    return points[_distinct(points)]


def _s_bend(begin: F64, forward: F64, across: F64) -> F64:
    """Return an S whose ends run parallel: smooth in slope at both ends."""
    steps = np.linspace(0, 1, max(4, int(np.linalg.norm(forward) / POINT_SPACING_M)))[:, None]
    points: F64 = begin + steps * forward + steps**2 * (3 - 2 * steps) * across
    return points


def _line(begin: F64, end: F64) -> F64:
    steps = max(2, int(np.linalg.norm(end - begin) / POINT_SPACING_M) + 1)
    points: F64 = begin + np.linspace(0, 1, steps)[:, None] * (end - begin)
    return points


def _distinct(points: F64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    return np.concatenate([[True], gaps])


def length_m(points_m: F64) -> float:
    """Return the length of a polyline (k, 3)."""
    return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())
