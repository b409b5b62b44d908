"""The centre line of a track that nobody drove: shortest way over connected blocks through every gate.

Blocks are joined at their exits; a way through a block is a straight, an arc or an S-bend between two of its exits.
Where nothing goes on, the line flies straight to an entry ahead (see :mod:`jumps`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from trackmaster.track.catalogue import BlockSpec, Clip, Exit
from trackmaster.track.errors import TrackError
from trackmaster.track.jumps import LandingTable, with_open_sides
from trackmaster.track.mesh import F64
from trackmaster.track.placement import OUTWARDS, Joint, PlacedBlock, exits_by_joint, local_joint
from trackmaster.track.pose import TriggerKind
from trackmaster.units import CELL_SIZE_M

POINT_SPACING_M = 1.0
"""Spacing of the points along a way through a block."""

MAX_STATES = 100_000
"""States after which the search stops comparing orders of checkpoints and goes to the nearest one left."""


MAX_GAPS = 1_500
"""Gaps that the search looks over; real maps have some hundreds of edges."""


@dataclass(frozen=True)
class Doorway:
    """A place between two blocks, passed in a direction: leaving towards ``heading`` on a surface of kind ``clip``."""

    joint: Joint
    heading: int
    clip: Clip


@dataclass(frozen=True, eq=False)
class _Way:
    """One way through a block: where it comes out, its points in the world, its length and the gate it passes."""

    out: Doorway | None
    points_m: F64
    length_m: float
    gate: int | None


@dataclass(order=True)
class _Entry:
    cost_m: float
    order: int
    doorway: Doorway = field(compare=False)
    taken: int = field(compare=False)


_State = tuple[Doorway, int]


class RouteSearch:
    """Shortest ways over the blocks of one map."""

    def __init__(self, placed: Sequence[PlacedBlock]) -> None:
        """Index the exits of all blocks."""
        placed = with_open_sides(placed)
        self._landings = LandingTable(placed)
        self._gaps = 0
        self._doors = exits_by_joint(placed)
        self._ways: dict[Doorway, list[_Way]] = {}
        self._plans: dict[tuple[int, Exit, Exit], tuple[F64 | None, float]] = {}
        gates = [b for b in placed if b.spec.waypoint and b.spec.waypoint.kind is TriggerKind.CHECKPOINT]
        self._gate_number = {block.index: number for number, block in enumerate(gates)}
        self._gates = gates
        self._start = next(block for block in placed if block.spec.spawn is not None)

    def centre_line(self, laps: int) -> F64:
        """Return points (N, 3) from the start over all checkpoints to the finish, ``laps`` times.

        Raises:
            TrackError: no connected road leads there.
        """
        pieces = []
        ways, doorway = self._lap(self._first_ways())
        pieces += ways
        for _ in range(laps - 1):
            half_way = pieces[-1]
            ways, doorway = self._lap([_beyond(way, half_way) for way in self._through(doorway)])
            pieces += ways
        line = np.concatenate([way.points_m for way in pieces])
        keep = np.concatenate([[True], np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-6])
        points: F64 = line[keep]
        return points

    def _first_ways(self) -> list[_Way]:
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
                ways.append(_Way(self._leave(self._start, way_out), points, _length(points), None))
        return ways

    def _lap(self, first: list[_Way]) -> tuple[list[_Way], Doorway]:
        """Return the ways of one lap and the doorway behind the finish (of the finish block itself)."""
        everything = (1 << len(self._gates)) - 1
        self._check_reach(first)
        came_from: dict[_State, tuple[_State | None, _Way]] = {}
        best: dict[_State, float] = {}
        queue: list[_Entry] = []
        numbers = count()

        def offer(way: _Way, cost_m: float, taken: int, previous: _State | None) -> None:
            taken |= 0 if way.gate is None else 1 << way.gate
            if way.out is None:
                return
            state = (way.out, taken)
            if cost_m + way.length_m < best.get(state, np.inf):
                best[state] = cost_m + way.length_m
                came_from[state] = (previous, way)
                heapq.heappush(queue, _Entry(best[state], next(numbers), way.out, taken))

        for way in first:
            offer(way, 0.0, 0, None)
        while queue and len(best) <= MAX_STATES:
            entry = heapq.heappop(queue)
            state = (entry.doorway, entry.taken)
            if entry.cost_m > best[state]:
                continue
            if entry.taken == everything and (final := self._finish(entry.doorway)):
                return [*self._trace(state, came_from), final[0]], final[1]
            for way in self._through(entry.doorway):
                offer(way, entry.cost_m, entry.taken, state)
        if queue:
            return self._nearest_first(first)
        raise _no_road("a finish after all checkpoints", len(best))

    def _nearest_first(self, first: list[_Way]) -> tuple[list[_Way], Doorway]:
        """Return one lap that always goes to the nearest gate left: for maps with too many orders to compare."""
        path: list[_Way] = []
        ways = first
        left = set(range(len(self._gates)))
        while left:
            path += self._leg(ways, lambda way: way.gate in left and self._leads_on(way, len(left) == 1))
            gate, doorway = path[-1].gate, path[-1].out
            assert gate is not None
            left.remove(gate)
            ways = self._through(doorway) if doorway is not None else []
        if not (path and path[-1].out and self._finish(path[-1].out)):
            path += self._leg(ways, lambda way: way.out is not None and self._finish(way.out) is not None)
        assert path[-1].out is not None
        final = self._finish(path[-1].out)
        assert final is not None
        return [*path, final[0]], final[1]

    def _leads_on(self, way: _Way, is_last: bool) -> bool:
        """Tell whether something follows a gate: more road, or the finish behind the last one."""
        if way.out is None:
            return False
        return bool(self._through(way.out)) or (is_last and self._finish(way.out) is not None)

    def _leg(self, first: list[_Way], is_goal: Callable[[_Way], bool]) -> list[_Way]:
        """Return the shortest chain of ways from one of ``first`` to a way that is a goal."""
        numbers = count()
        queue: list[tuple[float, int, _Way, tuple[_Way, ...]]] = [
            (way.length_m, next(numbers), way, ()) for way in first
        ]
        heapq.heapify(queue)
        seen: set[Doorway] = set()
        while queue:
            cost_m, _, way, before = heapq.heappop(queue)
            chain = (*before, way)
            if is_goal(way):
                return list(chain)
            if way.out is None or way.out in seen:
                continue
            seen.add(way.out)
            for onward in self._through(way.out):
                heapq.heappush(queue, (cost_m + onward.length_m, next(numbers), onward, chain))
        raise _no_road("the next checkpoint", len(seen))

    @staticmethod
    def _trace(state: _State, came_from: dict[_State, tuple[_State | None, _Way]]) -> list[_Way]:
        ways: list[_Way] = []
        at: _State | None = state
        while at is not None:
            at, way = came_from[at]
            ways.append(way)
        return ways[::-1]

    def _check_reach(self, first: list[_Way]) -> None:
        """Look without counting: a gate that no road leads to would keep the real search busy for nothing."""
        seen: set[Doorway] = set()
        gates: set[int] = set()
        todo = list(first)
        while todo:
            way = todo.pop()
            gates |= set() if way.gate is None else {way.gate}
            if way.out is not None and way.out not in seen:
                seen.add(way.out)
                todo += self._through(way.out)
        missing = [block.block for number, block in enumerate(self._gates) if number not in gates]
        if missing:
            block = missing[0]
            raise _no_road(f"checkpoint {block.name} at ({block.x}, {block.y}, {block.z})", len(seen))
        if not any(self._finish(doorway) for doorway in seen):
            raise _no_road("a finish", len(seen))

    def _through(self, doorway: Doorway) -> list[_Way]:
        """Return the ways on behind a doorway: the shortest for each exit and gate."""
        if doorway not in self._ways:
            best: dict[tuple[Doorway, int | None], _Way] = {}
            for block, entry in self._entered(doorway):
                gate = self._gate_number.get(block.index) if entry.side % 2 == 0 else None
                for way_out in block.spec.exits:
                    local, length_m = self._plan(block, entry, way_out)
                    if local is None:
                        continue
                    key = (self._leave(block, way_out), gate)
                    if key not in best or length_m < best[key].length_m:
                        best[key] = _Way(key[0], block.to_world(local), length_m, gate)
            self._ways[doorway] = list(best.values()) or self._over_gap(doorway)
        return self._ways[doorway]

    def _over_gap(self, doorway: Doorway) -> list[_Way]:
        """Return the ways over the gap behind a doorway that nothing continues, or out of the pipe it leads into."""
        if self._gaps >= MAX_GAPS:
            return []
        self._gaps += 1
        half_x, half_z, level = doorway.joint
        cx, cy, cz = CELL_SIZE_M
        begin = np.array([half_x * cx / 2, level * cy + doorway.clip.surface_m, half_z * cz / 2])
        is_closed = any(True for _ in self._entered(doorway))
        found = [] if is_closed else self._landings.ahead(begin, doorway.heading)
        found = found or self._landings.around(begin)
        ways = []
        for landing in found:
            joint = landing.block.joint(landing.entry.side, landing.entry.unit)
            out = Doorway(joint, landing.heading, landing.clip)
            ways.append(_Way(out, _line(begin, landing.position_m), landing.cost_m, None))
        return ways

    def _plan(self, block: PlacedBlock, entry: Exit, way_out: Exit) -> tuple[F64 | None, float]:
        """Return the way in the block's frame and its length; equal blocks share it."""
        key = (id(block.spec), entry, way_out)
        if key not in self._plans:
            local = way_between(block.spec, entry, way_out) if way_out is not entry else None
            self._plans[key] = (local, 0.0 if local is None else _length(local))
        return self._plans[key]

    def _entered(self, doorway: Doorway) -> Iterator[tuple[PlacedBlock, Exit]]:
        for block, entry in self._doors.get(doorway.joint, ()):
            if block.world_side(entry.side) == (doorway.heading + 2) % 4 and _goes_on(doorway.clip, entry.clip):
                yield block, entry

    def _finish(self, doorway: Doorway) -> tuple[_Way, Doorway] | None:
        for block, entry in self._entered(doorway):
            gate = block.spec.waypoint
            if gate is None or gate.kind is not TriggerKind.FINISH or entry.side != 2:
                continue
            begin = local_joint(entry.side, entry.unit)
            xz = _line(begin[[0, 2]], np.array([16.0, 16.0 - gate.plane_m]))
            points = block.to_world(np.stack([xz[:, 0], np.full(len(xz), gate.surface_m), xz[:, 1]], axis=1))
            return _Way(None, points, _length(points), None), doorway
        return None

    @staticmethod
    def _leave(block: PlacedBlock, way_out: Exit) -> Doorway:
        return Doorway(block.joint(way_out.side, way_out.unit), block.world_side(way_out.side), way_out.clip)


def _no_road(goal: str, searched: int) -> TrackError:
    return TrackError(
        f"No connected road leads from the start to {goal} (searched {searched} places). The track has wide gaps or "
        "blocks whose exits are unknown: give the path of a ghost as reference line."
    )


def _goes_on(leaving: Clip, entering: Clip) -> bool:
    """Tell whether one can drive on; a road that stands on a platform drops to it by its own thickness."""
    return leaving.joins(entering) or {leaving, entering} == {Clip.ROAD, Clip.PLATFORM}


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
    return np.vstack([begin, arc, end])[_distinct(np.vstack([begin, arc, end]))]


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


def _beyond(way: _Way, done: _Way) -> _Way:
    """Return what is left of a straight way after the part of it that ``done`` covers already."""
    begin = way.points_m[0]
    rest = way.points_m[np.linalg.norm(way.points_m - begin, axis=1) > done.length_m]
    points = np.vstack([done.points_m[-1:], rest])
    return _Way(way.out, points, _length(points), way.gate)


def _length(points: F64) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
