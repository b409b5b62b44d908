"""Where an episode begins: the start line, a slightly disturbed one for evaluation, or a kept state on the way.

On the simulator equal starts give equal runs, so "n deterministic episodes" are n starts drawn from one seed;
attempt 0 is undisturbed and gives the official time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.fleet import CarSnapshot
from trackmaster.game.start import UNDISTURBED, Start
from trackmaster.sim.camera import CameraState
from trackmaster.sim.state import WorldState
from trackmaster.units import TICK_MS

MAX_WAIT_TICKS: Final = 5
MAX_LATERAL_M: Final = 0.5
MAX_YAW_RAD: Final = np.pi / 180

KEEP_EVERY_MS: Final = 1_000
"""Race time between two states that a running episode offers as starts."""
POOL_SIZE: Final = 256
"""Kept states; the oldest leaves first."""


def evaluation_starts(seed: int, attempts: int) -> tuple[Start, ...]:
    """Return the starts of an evaluation: number 0 undisturbed, each other drawn from ``seed`` and its number."""
    return tuple(_drawn_start(seed, attempt) if attempt else UNDISTURBED for attempt in range(attempts))


def _drawn_start(seed: int, attempt: int) -> Start:
    rng = np.random.default_rng((seed, attempt))
    return Start(
        wait_ticks=int(rng.integers(0, MAX_WAIT_TICKS + 1)),
        lateral_m=float(rng.uniform(-MAX_LATERAL_M, MAX_LATERAL_M)),
        yaw_rad=float(rng.uniform(-MAX_YAW_RAD, MAX_YAW_RAD)),
    )


@dataclass(frozen=True, slots=True)
class KeptStart:
    """The complete state of one car in mid-episode; fits every car on the same track."""

    time_ms: int
    track_index: int
    state: CarSnapshot
    books: dict[str, Any]


def car_snapshot(values: Mapping[str, Any]) -> CarSnapshot:
    """Return what ``dataclasses.asdict`` made of a snapshot as a snapshot again."""
    steer, gas, brake = values["inputs"]
    world, camera = WorldState(**values["world"]), CameraState(**values["camera"])
    return CarSnapshot(world, camera, (steer, gas, brake), values["map_uid"])


def _kept_start(values: Mapping[str, Any]) -> KeptStart:
    return KeptStart(values["time_ms"], values["track_index"], car_snapshot(values["state"]), dict(values["books"]))


class StartPool:
    """Keeps states of running episodes and gives them out as starts, none of them shortly before a failure.

    Episodes that always begin at the start line see the late parts of a long track rarely; half of the episodes from
    kept states cure that.
    """

    def __init__(self, n_cars: int, margin_ticks: int) -> None:
        """Begin empty.

        Args:
            n_cars: cars that offer states.
            margin_ticks: how long before a failure a state must lie.
        """
        self._margin_ms = margin_ticks * TICK_MS
        self._offered: list[list[KeptStart]] = [[] for _ in range(n_cars)]
        self._pool: deque[KeptStart] = deque(maxlen=POOL_SIZE)

    def __len__(self) -> int:
        """Return how many starts can be drawn."""
        return len(self._pool)

    def wants(self, car: int, time_ms: int) -> bool:
        """Return whether ``car`` should offer its state now."""
        offered = self._offered[car]
        return time_ms - (offered[-1].time_ms if offered else 0) >= KEEP_EVERY_MS

    def offer(self, car: int, start: KeptStart) -> None:
        """Take a state of a running episode; it can be drawn once the episode has ended well after it."""
        self._offered[car].append(start)

    def drop_offers(self, mask: NDArray[np.bool_]) -> None:
        """Forget what the running episodes of the cars in ``mask`` (N,) offered: they are broken off."""
        for car in np.flatnonzero(mask).tolist():
            self._offered[car].clear()

    def close_episode(self, car: int, *, failed_ms: int | None) -> None:
        """Move the states of an ended episode that lie early enough into the pool.

        Args:
            car: whose episode ended.
            failed_ms: race time at which the drive failed, None if it finished. A car that is cut off for standing
                still failed where it got no further; when it was cut off it had been lost for long.
        """
        fitting = (s for s in self._offered[car] if failed_ms is None or s.time_ms <= failed_ms - self._margin_ms)
        self._pool.extend(fitting)
        self._offered[car].clear()

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` takes: a tree of plain values and arrays."""
        offered = [[asdict(start) for start in starts] for starts in self._offered]
        return {"offered": offered, "pool": [asdict(start) for start in self._pool]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with the starts that ``state`` held."""
        self._offered = [[_kept_start(start) for start in starts] for starts in state["offered"]]
        self._pool = deque((_kept_start(start) for start in state["pool"]), maxlen=POOL_SIZE)

    def draw(self, track_index: int, rng: np.random.Generator) -> KeptStart | None:
        """Return a kept start on one track, None when there is none yet."""
        fitting = [start for start in self._pool if start.track_index == track_index]
        return fitting[int(rng.integers(len(fitting)))] if fitting else None
