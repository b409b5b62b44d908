"""Finding *a* way to the finish of any track: remember where cars got to, go back there, try on from there.

A plan along a smooth line (``search``) is fast on roads, but a loop, a wall ride or a jump has no smooth line in the
plane. Here the state of the whole car is kept for every place, speed, angle and gate that was reached, the earliest
arrival each; batches of simulated cars start again from such states and follow a line for a second with random skill.
Where nobody gets on, the line is discouraged there and another one is planned, from any place that a car stood on.

Source: Ecoffet et al. 2021, "First return, then explore", arXiv:2004.12919 (the archive, and returning by restoring).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.archive import Archive, Arrivals
from trackmaster.expert.errors import ExpertError
from trackmaster.expert.follow import Followers
from trackmaster.expert.guide import Guide
from trackmaster.expert.journal import ROOT, Journal
from trackmaster.expert.rollout import bits_of
from trackmaster.expert.stock import ALONG_M, ATTIC_M, PLACE_M, headings, line_cells, place_cells, stands, taken_bits
from trackmaster.sim import CarView, World, WorldState, view_of
from trackmaster.sim.layout import INT_ROWS
from trackmaster.track import Track, TrackError
from trackmaster.track.route import RouteSearch, Source
from trackmaster.track.ways import Mark
from trackmaster.track.whereabouts import block_names
from trackmaster.units import TICKS_PER_ACTION

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FRONT_M = 80.0
"""Places this much further back on the line are chosen e times less often."""

PATIENCE_ROUNDS, LOOK_BACK_M = 5, 8.0
"""After so many rounds without progress, that distance grows by this much with every further one: what went wrong
at the front may have begun long before it."""

ANYWHERE = 0.02
"""Weight of a place far behind the front, against 1 at the front."""

STRAY = 0.1
"""Share of the tries that set out from any place at all, to find what no plan knows."""

STUCK_ROUNDS, STEP_M = 10, 3.0
"""Rounds without this much progress at the front of the line, after which another line is looked for."""

HURRY, HURRY_MS = 0.5, 300.0
"""Share of the tries on the line that then set out from the earliest arrivals; one that is later by so much than the
earliest at its place is chosen e times less often. Loops and long flights ask for speed, and who has it comes early."""

DRIVEN_COST = 0.3
"""A metre that was driven costs this many metres of planned road: what is reached counts more than a short cut."""

RECORD_M = 10.0
"""Less to go by this much is worth new patience."""


@dataclass(frozen=True)
class Exploration:
    """How long to look for a way.

    Attributes:
        seed: of all random draws.
        rounds: batches without a new best, in gates passed or metres left to the finish, after which it gives up.
        limit: batches at most.
        decisions: of 50 ms in one try.
        keep_every: decisions between two states that are kept.
        polish_rounds: batches after the first finish, in which a faster one may turn up.
    """

    seed: int = 0
    rounds: int = 100
    limit: int = 3000
    decisions: int = 20
    keep_every: int = 4
    polish_rounds: int = 0


@dataclass(frozen=True, eq=False)
class Discovery:
    """A drive that reached the finish.

    Attributes:
        keys: uint8 (D,) key bits per decision; decision d acts on the five ticks that start at 10 + 50 d.
        race_time_ms: of the drive.
        rounds: batches until it was found.
    """

    keys: U8
    race_time_ms: int
    rounds: int


@dataclass(eq=False)
class _Front:
    """How far the cars came: on the line of now, and at all."""

    furthest_m: float = -np.inf
    since: int = 0
    gates: int = 0
    left_m: float = np.inf
    record: int = 0


class Explorer:
    """Explores one track; the world's number of cars is the number of tries per batch."""

    def __init__(self, world: World, track: Track, exploration: Exploration) -> None:
        """Plan a first line and prepare an archive that holds the start.

        Raises:
            TrackError: no way leads from the start over all checkpoints to the finish.
        """
        self._world, self._track, self._options = world, track, exploration
        self._random = np.random.default_rng(exploration.seed)
        self._search = RouteSearch(track.blocks)
        start = Source(self._search.graph.first())
        self._guide = Guide(track, np.zeros((0, 3)), self._search.course([start], track.laps))
        self._journal = Journal()
        self._line, self._places, self._attic = Archive(), Archive(), Archive()
        self._front = _Front()
        self._plans = 1
        self._best: Discovery | None = None
        self._best_since = 0

    def run(self, report: Callable[[str], None] = lambda _: None) -> Discovery:
        """Explore until the finish is reached; equal arguments give equal drives.

        Raises:
            ExpertError: the finish was not reached in the rounds that were allowed.
        """
        self._begin()
        number, last = 0, self._options.limit
        while number < last:
            self._try(number)
            number += 1
            if self._best is not None:
                last = min(last, self._best_since + self._options.polish_rounds)
            else:
                self._look_at_front(number)
                if number - self._front.record >= self._options.rounds:
                    break
            if number % 20 == 1:
                report(self._sentence(number))
        if self._best is None:
            raise ExpertError(
                f"No drive reached the finish in {number} rounds of {self._world.n_cars} tries, the last "
                f"{number - self._front.record} without progress: the best one came {self._done_m:.0f} m of "
                f"{self._guide.way_m:.0f} m far on line {self._plans} and passed {self._front.gates} gates. It ended "
                f"{self._front_place()}. Allow more rounds, or look at that place: can it be driven at all?"
            )
        return self._best

    def _begin(self) -> None:
        """Keep the start: the first tick is driven without keys, as an agent's first decision comes after it."""
        none = np.zeros(self._world.n_cars, np.float32)
        self._world.reset()
        self._world.step(none, none, none, ticks=1)
        start = np.array([0])
        nobody = np.full(1, ROOT)
        path = self._world.view.position_m[:1, None].copy()
        self._keep(self._guide.zones.start(1), start, nobody, np.zeros((1, 0), np.uint8), path)

    def _try(self, number: int) -> None:
        stuck_rounds = number - self._front.record if self._best is None else 0  # at the finish nobody is stuck
        slots, places = self._choose(stuck_rounds)
        origins = np.concatenate([self._line.nodes(slots), self._places.nodes(places)])
        self._world.restore(_joined(self._line.states(slots), self._places.states(places)))
        zone = np.concatenate([self._line.zones(slots), self._places.zones(places)])
        n = self._world.n_cars
        followers = Followers.draw(self._random, n, wanderers=len(places))
        keys = np.zeros((n, self._options.decisions), np.uint8)
        path = np.zeros((n, self._options.decisions, 3), np.float32)
        for k in range(self._options.decisions):
            view = self._world.view
            zone = self._guide.zones.advance(zone, view.position_m)
            pressed = followers.decide(view, self._guide.zones, zone, self._random)
            keys[:, k] = bits_of(pressed)
            self._world.step(pressed.steer, pressed.gas, pressed.brake, ticks=TICKS_PER_ACTION)
            path[:, k] = self._world.view.position_m
            if (k + 1) % self._options.keep_every == 0:
                zone = self._guide.zones.advance(zone, self._world.view.position_m)
                self._note_finishes(origins, keys[:, : k + 1], number)
                running = np.flatnonzero(~self._world.view.finished)
                self._keep(zone[running], running, origins[running], keys[running, : k + 1], path[running, : k + 1])

    def _choose(self, stuck_rounds: int) -> tuple[I64, I64]:
        """Return the slots of the line and of the places from which the cars of a round set out.

        Args:
            stuck_rounds: how long there has been no progress.
        """
        behind = self._line.progress_m.max() - self._line.progress_m
        front_m = FRONT_M + LOOK_BACK_M * max(stuck_rounds - PATIENCE_ROUNDS, 0)
        strays = int(STRAY * self._world.n_cars) if len(self._places) else 0
        on_line, near_front = self._world.n_cars - strays, np.exp(-behind / front_m)
        hurried = int(HURRY * on_line) if stuck_rounds > STUCK_ROUNDS else 0
        slots = self._line.choose(self._random, on_line - hurried, near_front + ANYWHERE)
        if hurried:
            early = np.exp(-self._line.delays_ms(ALONG_M) / HURRY_MS)
            slots = np.concatenate([slots, self._line.choose(self._random, hurried, near_front * early)])
        missing = self._places.gates.max(initial=0) - self._places.gates
        if not strays:
            return slots, np.zeros(0, np.int64)
        return slots, self._places.choose(self._random, strays, np.exp(-2.0 * missing))

    def _keep(self, zone: I32, cars: I64, origins: I64, keys: U8, path_m: F32) -> None:
        """Remember cars (n,) that came from ``origins`` with keys (n, D) along paths (n, D, 3)."""
        state = self._world.snapshot(cars)
        view = view_of(state.floats, state.ints, state.bytes)

        def node_of(rows: I64) -> Callable[[int], int]:
            return lambda k: self._journal.add(int(origins[rows[k]]), keys[rows[k]], path_m[rows[k]])

        near = np.flatnonzero(self._guide.is_near(zone, view.position_m, view.cp_count))
        self._line.keep(self._on_line(state.take(near), zone[near]), node_of(near))
        standing = np.flatnonzero(stands(view))
        self._places.keep(_anywhere(state.take(standing), zone[standing], PLACE_M), node_of(standing))

    def _on_line(self, state: WorldState, zone: I32) -> Arrivals:
        view = view_of(state.floats, state.ints, state.bytes)
        progress_m = self._guide.zones.progress_m(zone, view.position_m)
        cells = line_cells(view, progress_m, self._guide.zones.directions(zone))
        return Arrivals(cells, progress_m, view.cp_count.astype(np.int64), view.time_ms.astype(np.int64), zone, state)

    def _look_at_front(self, number: int) -> None:
        """Note progress; plan another line where there is none."""
        front = self._front
        furthest_m = float(self._line.progress_m.max(initial=-np.inf))
        if furthest_m > front.furthest_m + STEP_M:
            front.furthest_m, front.since = furthest_m, number
        gates, left_m = int(self._line.gates.max(initial=0)), self._guide.zones.true_finish_m - furthest_m
        if (gates, -left_m) > (front.gates, -front.left_m + RECORD_M) or gates > front.gates:
            front.gates, front.left_m, front.record = gates, left_m, number
        if number - front.since >= STUCK_ROUNDS:
            self._plan_again(furthest_m)
            front.furthest_m, front.since = float(self._line.progress_m.max(initial=-np.inf)), number

    def _plan_again(self, stuck_m: float) -> None:
        """Look for another line, from the start or from any place that a car stood on, and go on with that."""
        for position, direction in self._guide.hard_places(stuck_m):
            self._search.graph.discourage(Mark(position, direction))
        sources, nodes = [Source(self._search.graph.first())], [ROOT]
        slots = np.arange(len(self._places))
        view, bits = self._look(self._places, slots)
        laps = int(view.lap.max())
        heading = headings(view)
        for slot in slots[view.lap == laps].tolist():
            position = view.position_m[slot].astype(np.float64)
            ways = self._search.graph.from_place(position, heading[slot])
            if ways:
                node = int(self._places.nodes(slots[slot : slot + 1])[0])
                cost_m = DRIVEN_COST * self._journal.length_m(node)
                sources.append(Source(ways, bits[slot], cost_m))
                nodes.append(node)
        try:
            course = self._search.course(sources[laps > 0 :], self._track.laps - laps)
        except TrackError:  # no place of this lap leads on: the line of now is all there is
            return
        node = nodes[course.source + (laps > 0)]
        driven = np.zeros((0, 3)) if node == ROOT else self._journal.path_to(node).astype(np.float64)
        self._guide = Guide(self._track, driven, course)
        self._plans += 1
        self._take_over()

    def _take_over(self) -> None:
        """Put all that was reached onto the new line."""
        old, self._line = self._line, Archive()
        for archive in [a for a in (old, self._attic, self._places) if len(a)]:
            slots = np.arange(len(archive))
            view, bits = self._look(archive, slots)
            position, gates = view.position_m.astype(np.float64), view.cp_count.astype(np.int64)
            zone, near = self._guide.locate(position, headings(view), gates, bits)
            archive.put_zones(zone)
            rows = slots[near]
            self._line.keep(self._on_line(archive.states(rows), zone[near]), archive.nodes(rows).tolist().__getitem__)
            if archive is old:
                far = slots[~near]
                self._attic.keep(_anywhere(old.states(far), zone[~near], ATTIC_M), old.nodes(far).tolist().__getitem__)

    @staticmethod
    def _look(archive: Archive, slots: I64) -> tuple[CarView, list[int]]:
        state = archive.states(slots)
        return view_of(state.floats, state.ints, state.bytes), taken_bits(state.ints[INT_ROWS["taken"]])

    def _note_finishes(self, origins: I64, keys: U8, number: int) -> None:
        times = self._world.view.race_time_ms
        done = np.flatnonzero(times >= 0)
        if not len(done):
            return
        car = int(done[np.argmin(times[done])])
        if self._best is None:
            self._best_since = number + 1
        if self._best is None or times[car] < self._best.race_time_ms:
            whole = np.concatenate([self._journal.keys_to(int(origins[car])), keys[car]])
            self._best = Discovery(whole, int(times[car]), number + 1)

    def _sentence(self, number: int) -> str:
        best = "-" if self._best is None else f"{self._best.race_time_ms} ms"
        return (
            f"round {number}: {len(self._line)} places, furthest {self._done_m:.0f} of {self._guide.way_m:.0f} m "
            f"on line {self._plans}, {self._front.gates} gates passed, best {best}"
        )

    def _front_place(self) -> str:
        """Say where the car that came furthest on the line is, for people who look at the map."""
        slot = np.array([int(np.argmax(self._line.progress_m))])
        view, _ = self._look(self._line, slot)
        x, y, z = view.position_m[0].tolist()
        return f"at ({x:.0f}, {y:.0f}, {z:.0f}) on {block_names(self._track, view.position_m)[0]}"

    @property
    def _done_m(self) -> float:
        return float(self._line.progress_m.max(initial=0.0)) - self._guide.zones.start_m


def _anywhere(state: WorldState, zone: I32, size_m: F64) -> Arrivals:
    view = view_of(state.floats, state.ints, state.bytes)
    nothing = np.zeros(len(zone))
    gates, times = view.cp_count.astype(np.int64), view.time_ms.astype(np.int64)
    return Arrivals(place_cells(view, size_m), nothing, gates, times, zone, state)


def _joined(first: WorldState, second: WorldState) -> WorldState:
    if not second.n_cars:
        return first
    return WorldState(
        np.concatenate([first.floats, second.floats], axis=1),
        np.concatenate([first.ints, second.ints], axis=1),
        np.concatenate([first.bytes, second.bytes], axis=1),
    )
