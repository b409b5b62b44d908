"""The centre line of a track that nobody drove: the cheapest way through every gate, in the graph of :mod:`ways`."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from trackmaster.track.errors import TrackError
from trackmaster.track.mesh import F64
from trackmaster.track.placement import PlacedBlock
from trackmaster.track.ways import POINT_SPACING_M, Doorway, Way, WayGraph, length_m

MAX_STATES = 100_000
"""States after which the search stops comparing orders of checkpoints and goes to the nearest one left."""


@dataclass(frozen=True, eq=False)
class Source:
    """A place from which a lap may be finished.

    Attributes:
        ways: how it goes on.
        taken: bit n is set where checkpoint number n is passed already.
        cost_m: what it cost to come here.
    """

    ways: list[Way]
    taken: int = 0
    cost_m: float = 0.0


@dataclass(frozen=True, eq=False)
class Course:
    """A way to the finish.

    Attributes:
        source: number of the source from which it begins.
        points_m: (N, 3) along it, world.
        ways: its parts; a part of it may be shorter than the points say where two of them meet.
    """

    source: int
    points_m: F64
    ways: tuple[Way, ...]


@dataclass(order=True)
class _Entry:
    cost_m: float
    order: int
    doorway: Doorway = field(compare=False)
    taken: int = field(compare=False)


_State = tuple[Doorway, int]
_Found = tuple[int, list[Way]]
"""Number of the source, and the ways from there through the finish."""


class RouteSearch:
    """Cheapest courses over the blocks of one map.

    Attributes:
        graph: the ways; what is discouraged there is avoided by later searches.
    """

    def __init__(self, placed: Sequence[PlacedBlock]) -> None:
        """Index the exits of all blocks."""
        self.graph = WayGraph(placed)

    def centre_line(self, laps: int) -> F64:
        """Return points (N, 3) from the start over all checkpoints to the finish, ``laps`` times.

        Raises:
            TrackError: no connected road leads there.
        """
        return self.course([Source(self.graph.first())], laps).points_m

    def course(self, sources: Sequence[Source], laps: int) -> Course:
        """Return the cheapest course that ends a lap begun at one of the sources, and goes on for ``laps - 1`` more.

        Raises:
            TrackError: no connected road leads there.
        """
        try:
            chosen, ways = self._lap(sources)
        except TrackError:
            if not self.graph.allow_ground():
                raise
            chosen, ways = self._lap(sources)
        for _ in range(laps - 1):
            doorway, half_way = ways[-2].out, ways[-1]
            assert doorway is not None
            ways += self._lap([Source([_beyond(way, half_way) for way in self.graph.through(doorway)])])[1]
        return Course(chosen, _in_a_row(ways), tuple(ways))

    def _lap(self, sources: Sequence[Source]) -> _Found:
        """Return the ways of one lap; the last one leads through the finish."""
        everything = (1 << len(self.graph.gates)) - 1
        self._check_reach(sources)
        came_from: dict[_State, tuple[_State | int, Way]] = {}
        best: dict[_State, float] = {}
        queue: list[_Entry] = []
        numbers = count()

        def offer(way: Way, cost_m: float, taken: int, previous: _State | int) -> None:
            taken |= 0 if way.gate is None else 1 << way.gate
            if way.out is None:
                return
            state = (way.out, taken)
            cost_m += self.graph.cost_m(way)
            if cost_m < best.get(state, np.inf):
                best[state] = cost_m
                came_from[state] = (previous, way)
                heapq.heappush(queue, _Entry(cost_m, next(numbers), way.out, taken))

        for number, source in enumerate(sources):
            for way in source.ways:
                offer(way, source.cost_m, source.taken, number)
        while queue and len(best) <= MAX_STATES:
            entry = heapq.heappop(queue)
            state = (entry.doorway, entry.taken)
            if entry.cost_m > best[state]:
                continue
            if entry.taken == everything and (final := self.graph.finish(entry.doorway)):
                chosen, ways = self._trace(state, came_from)
                return chosen, [*ways, final]
            for way in self.graph.through(entry.doorway):
                offer(way, entry.cost_m, entry.taken, state)
        if queue:
            return self._nearest_first(sources)
        raise _no_road("a finish after all checkpoints", len(best))

    def _nearest_first(self, sources: Sequence[Source]) -> _Found:
        """Return one lap that always goes to the nearest gate left: for maps with too many orders to compare."""
        most = max(source.taken.bit_count() for source in sources)
        furthest = min((s for s in sources if s.taken.bit_count() == most), key=lambda s: s.cost_m)
        begins = {id(w): k for k, s in enumerate(sources) for w in s.ways if s.taken == furthest.taken}
        path: list[Way] = []
        ways = [(w, s.cost_m) for s in sources for w in s.ways if s.taken == furthest.taken]
        left = {number for number in range(len(self.graph.gates)) if not furthest.taken >> number & 1}
        while left:
            path += self._leg(ways, lambda way: way.gate in left and self._leads_on(way, len(left) == 1))
            gate, doorway = path[-1].gate, path[-1].out
            assert gate is not None
            left.remove(gate)
            ways = [(way, 0.0) for way in self.graph.through(doorway)] if doorway is not None else []
        if not (path and path[-1].out and self.graph.finish(path[-1].out)):
            path += self._leg(ways, lambda way: way.out is not None and self.graph.finish(way.out) is not None)
        assert path[-1].out is not None
        final = self.graph.finish(path[-1].out)
        assert final is not None
        return begins[id(path[0])], [*path, final]

    def _leads_on(self, way: Way, is_last: bool) -> bool:
        """Tell whether something follows a gate: more road, or the finish behind the last one."""
        if way.out is None:
            return False
        return bool(self.graph.through(way.out)) or (is_last and self.graph.finish(way.out) is not None)

    def _leg(self, first: list[tuple[Way, float]], is_goal: Callable[[Way], bool]) -> list[Way]:
        """Return the cheapest chain of ways, from one of ``first`` and its cost so far, to a way that is a goal."""
        numbers = count()
        queue: list[tuple[float, int, Way, tuple[Way, ...]]] = [
            (cost_m + self.graph.cost_m(way), next(numbers), way, ()) for way, cost_m in first
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
            for onward in self.graph.through(way.out):
                heapq.heappush(queue, (cost_m + self.graph.cost_m(onward), next(numbers), onward, chain))
        raise _no_road("the next checkpoint", len(seen))

    @staticmethod
    def _trace(state: _State, came_from: dict[_State, tuple[_State | int, Way]]) -> _Found:
        ways: list[Way] = []
        at: _State | int = state
        while not isinstance(at, int):
            at, way = came_from[at]
            ways.append(way)
        return at, ways[::-1]

    def _check_reach(self, sources: Sequence[Source]) -> None:
        """Look without counting: a gate that no road leads to would keep the real search busy for nothing."""
        seen: set[Doorway] = set()
        gates = {n for n in range(len(self.graph.gates)) if any(s.taken >> n & 1 for s in sources)}
        todo = [way for source in sources for way in source.ways]
        while todo:
            way = todo.pop()
            gates |= set() if way.gate is None else {way.gate}
            if way.out is not None and way.out not in seen:
                seen.add(way.out)
                todo += self.graph.through(way.out)
        missing = [block.block for number, block in enumerate(self.graph.gates) if number not in gates]
        if missing:
            block = missing[0]
            raise _no_road(f"checkpoint {block.name} at ({block.x}, {block.y}, {block.z})", len(seen))
        if not any(self.graph.finish(doorway) for doorway in seen):
            raise _no_road("a finish", len(seen))


def _no_road(goal: str, searched: int) -> TrackError:
    return TrackError(
        f"No connected road leads from the start to {goal} (searched {searched} places). The track has wide gaps or "
        "blocks whose exits are unknown: give the path of a ghost as reference line."
    )


def _in_a_row(ways: Sequence[Way]) -> F64:
    """Return the points (N, 3) of ways one after the other; from a lip above the next block the line drops straight."""
    parts = [ways[0].points_m]
    for way in ways[1:]:
        begin, end = parts[-1][-1], way.points_m[0]
        steps = int(np.linalg.norm(end - begin) / POINT_SPACING_M)
        parts += [begin + np.linspace(0.0, 1.0, steps + 1)[1:-1, None] * (end - begin), way.points_m]
    line = np.concatenate(parts)
    keep = np.concatenate([[True], np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-6])
    points: F64 = line[keep]
    return points


def _beyond(way: Way, done: Way) -> Way:
    """Return what is left of a straight way after the part of it that ``done`` covers already."""
    begin = way.points_m[0]
    rest = way.points_m[np.linalg.norm(way.points_m - begin, axis=1) > length_m(done.points_m)]
    points = np.vstack([done.points_m[-1:], rest])
    return Way(way.out, points, length_m(points), way.gate)
