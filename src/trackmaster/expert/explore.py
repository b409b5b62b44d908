"""Finding *a* way to the finish of any track: remember where cars got to, go back there, try on from there.

A plan along a smooth line (``search``) is fast on roads, but a loop, a wall ride or a jump has no smooth line in the
plane. Here the state of the whole car is kept for every place, speed and gate that was reached, the earliest arrival
each; batches of simulated cars start again from such states and follow the line for a second with random skill.

Source: Ecoffet et al. 2021, "First return, then explore", arXiv:2004.12919 (the archive, and returning by restoring).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.archive import Archive, Arrivals
from trackmaster.expert.errors import ExpertError
from trackmaster.expert.follow import Followers
from trackmaster.expert.rollout import bits_of
from trackmaster.sim import World
from trackmaster.track import Track, ZoneMap, gate_points, line_from_path
from trackmaster.units import TICKS_PER_ACTION

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

REACH_M = 40.0
"""A car further from the line than this has lost its way."""

BELOW_M = 10.0
"""So has one that is this much lower; flights sag below the straight line over a gap."""


@dataclass(frozen=True)
class Exploration:
    """How long to look for a way.

    Attributes:
        seed: of all random draws.
        rounds: batches at most.
        decisions: of 50 ms in one try.
        keep_every: decisions between two states that are kept.
        polish_rounds: batches after the first finish, in which a faster one may turn up.
    """

    seed: int = 0
    rounds: int = 1500
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


class Explorer:
    """Explores one track; the world's number of cars is the number of tries per batch."""

    def __init__(self, world: World, track: Track, exploration: Exploration) -> None:
        """Prepare an archive that holds the start.

        Raises:
            TrackError: no way leads from the start over all checkpoints to the finish.
        """
        self._world, self._options = world, exploration
        self._random = np.random.default_rng(exploration.seed)
        points = line_from_path(track.centre_line(), map_uid=track.uid).points_m
        self._zones = ZoneMap(points, gate_points([placed.block for placed in track.blocks]))
        self._archive = Archive()
        self._best: Discovery | None = None

    def run(self, report: Callable[[str], None] = lambda _: None) -> Discovery:
        """Explore until the finish is reached; equal arguments give equal drives.

        Raises:
            ExpertError: the finish was not reached in the rounds that were allowed.
        """
        self._begin()
        last = self._options.rounds
        for number in range(self._options.rounds):
            if number >= last:
                break
            self._try(number)
            if self._best is not None and last == self._options.rounds:
                last = number + 1 + self._options.polish_rounds
            if number % 20 == 0:
                report(self._sentence(number))
        if self._best is None:
            raise ExpertError(
                f"No drive reached the finish in {self._options.rounds} rounds of {self._world.n_cars} tries: the best "
                f"one came {self._done_m:.0f} m of {self._way_m:.0f} m far and passed {self._archive.most_gates} "
                "gates. Allow more rounds, or look at that place: can it be driven at all?"
            )
        return self._best

    def _begin(self) -> None:
        """Keep the start: the first tick is driven without keys, as an agent's first decision comes after it."""
        none = np.zeros(self._world.n_cars, np.float32)
        self._world.reset()
        self._world.step(none, none, none, ticks=1)
        zone = self._zones.start(1)
        self._archive.keep(self._arrivals(zone, np.array([0])), np.array([-1]), np.zeros((1, 0), np.uint8))

    def _try(self, number: int) -> None:
        slots = self._archive.choose(self._random, self._world.n_cars)
        origins = self._archive.nodes(slots)  # now: while these cars drive, their slots may get earlier arrivals
        self._world.restore(self._archive.states(slots))
        zone = self._archive.zones(slots)
        followers = Followers.draw(self._random, self._world.n_cars)
        keys = np.zeros((self._world.n_cars, self._options.decisions), np.uint8)
        for k in range(self._options.decisions):
            view = self._world.view
            zone = self._zones.advance(zone, view.position_m)
            pressed = followers.decide(view, self._zones, zone, self._random)
            keys[:, k] = bits_of(pressed)
            self._world.step(pressed.steer, pressed.gas, pressed.brake, ticks=TICKS_PER_ACTION)
            if (k + 1) % self._options.keep_every == 0:
                zone = self._zones.advance(zone, self._world.view.position_m)
                self._note_finishes(origins, keys[:, : k + 1], number)
                running = np.flatnonzero(~self._world.view.finished & self._is_near(zone))
                arrivals = self._arrivals(zone[running], running)
                self._archive.keep(arrivals, origins[running], keys[running, : k + 1])

    def _is_near(self, zone: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which cars are still on the way: beside the line, not on the ground far below it."""
        off = self._world.view.position_m - self._zones.centers[zone]
        near: NDArray[np.bool_] = (np.linalg.norm(off, axis=1) < REACH_M) & (off[:, 1] > -BELOW_M)
        return near

    def _arrivals(self, zone: NDArray[np.int32], cars: NDArray[np.int64]) -> Arrivals:
        view = self._world.view
        position, velocity = view.position_m[cars], view.velocity_mps[cars]
        is_airborne: NDArray[np.bool_] = ~np.any(view.wheel_contact[cars], axis=1)
        return Arrivals(
            progress_m=self._zones.progress_m(zone, position),
            speed_mps=np.linalg.norm(velocity, axis=1).astype(np.float64),
            gates=view.cp_count[cars].astype(np.int64),
            is_airborne=is_airborne,
            time_ms=view.time_ms[cars].astype(np.int64),
            zone=zone,
            state=self._world.snapshot(cars),
        )

    def _note_finishes(self, origins: NDArray[np.int64], keys: U8, number: int) -> None:
        times = self._world.view.race_time_ms
        done = np.flatnonzero(times >= 0)
        if not len(done):
            return
        car = int(done[np.argmin(times[done])])
        if self._best is None or times[car] < self._best.race_time_ms:
            whole = np.concatenate([self._archive.keys_to(int(origins[car])), keys[car]])
            self._best = Discovery(whole, int(times[car]), number + 1)

    def _sentence(self, number: int) -> str:
        best = "-" if self._best is None else f"{self._best.race_time_ms} ms"
        return (
            f"round {number + 1}: {len(self._archive)} places, furthest {self._done_m:.0f} of {self._way_m:.0f} m, "
            f"{self._archive.most_gates} gates passed, best {best}"
        )

    @property
    def _done_m(self) -> float:
        return self._archive.furthest_m - self._zones.start_m

    @property
    def _way_m(self) -> float:
        return self._zones.true_finish_m - self._zones.start_m
