"""The running episodes of N cars: zones, history, reward and the end, all as arrays.

Single and vector environment, and whoever drives recorded cars, keep their books here, so that the same car gives the
same observation wherever it drives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.actions import ACTION_FORWARD, ANALOG_TABLE
from trackmaster.env.config import EnvConfig
from trackmaster.env.driver_floats import DriverFloats
from trackmaster.env.errors import EnvError
from trackmaster.env.observation import ObservationBuilder, ShiftClock
from trackmaster.env.reward import potential, step_reward
from trackmaster.env.zones import ZoneTable
from trackmaster.game.state import CarStates
from trackmaster.units import TICK_MS


class EndReason(IntEnum):
    """Why an episode ended; ``RUNNING`` while it has not."""

    RUNNING = 0
    FINISHED = 1
    STALLED = 2
    TIME_LIMIT = 3


@dataclass(slots=True)
class StepOutcome:
    """What one decision of N cars brought."""

    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


BOOK_FIELDS: Final = (
    "zone_idx",
    "progress_m",
    "start_progress_m",
    "furthest_idx",
    "furthest_ms",
    "time_ms",
    "previous_actions",
    "shift_since_ms",
)
"""The arrays that make up a car's bookkeeping; a kept start stores one row of each."""


class EpisodeBook:
    """Bookkeeping of N episodes that run side by side."""

    def __init__(
        self,
        config: EnvConfig,
        zones: ZoneTable,
        track_uids: tuple[str, ...],
        driver: DriverFloats | None = None,
    ) -> None:
        """Allocate the books.

        Args:
            config: limits and reward.
            zones: reference line of every car.
            track_uids: map uid of every car, for limits that a map overrides.
            driver: builds the floats that agents see instead of the 184.
        """
        n = len(track_uids)
        self.config = config
        self.reward = config.reward
        self.zones = zones
        self.builder = ObservationBuilder(config.extra_floats)
        self.shift = ShiftClock(n)
        self.stall_limit_ms = np.array([config.stall_limit_for(uid) for uid in track_uids], dtype=np.int32)
        self.zone_idx = zones.start_idx.copy()
        self.progress_m = np.zeros(n)
        self.start_progress_m = np.zeros(n)
        self.furthest_idx = self.zone_idx.copy()
        self.furthest_ms = np.zeros(n, dtype=np.int32)
        self.time_ms = np.zeros(n, dtype=np.int32)
        self.previous_actions = np.full((n, layout.N_PREVIOUS_ACTIONS), ACTION_FORWARD, dtype=np.int64)
        self.reason = np.zeros(n, dtype=np.int8)
        self.floats = np.zeros((n, self.builder.n_floats), dtype=np.float32)
        self._previous_floats = np.zeros_like(self.floats)
        self.driver = driver

    @property
    def seen_floats(self) -> NDArray[np.float32]:
        """(N, F) what agents see; the 184 floats unless the configuration names another set."""
        return self.floats if self.driver is None else self.driver.out

    @property
    def share_done(self) -> NDArray[np.float64]:
        """(N,) 0 to 1, how much of the whole line lies behind each car."""
        share: NDArray[np.float64] = np.clip(self.progress_m / self.zones.true_finish_m, 0.0, 1.0)
        return share

    @property
    def shift_since_ms(self) -> NDArray[np.int32]:
        """(N,) race time at which a gear change began, -1 when steady."""
        return self.shift.since_ms

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """(N,) metres along the line since the episode began, never beyond the line's true finish."""
        metres: NDArray[np.float64] = np.minimum(self.progress_m, self.zones.true_finish_m) - self.start_progress_m
        return metres

    def begin(self, mask: NDArray[np.bool_], cars: CarStates) -> None:
        """Open new episodes for the cars in ``mask``, at the beginning of the line.

        Args:
            mask: (N,) who starts anew.
            cars: all N cars, already standing at their starts.
        """
        self.reason[mask] = EndReason.RUNNING
        self.previous_actions[mask] = ACTION_FORWARD
        self.shift.reset(mask)
        if self.driver is not None:
            self.driver.forget(mask)
        self.zone_idx = np.where(mask, self.zones.start_idx, self.zone_idx)
        moved = self._advance(cars)
        self.zone_idx = np.where(mask, moved, self.zone_idx)
        metres = self.zones.progress_m(self.zone_idx, cars.position_m)
        self.progress_m = np.where(mask, metres, self.progress_m)
        self.start_progress_m = np.where(mask, metres, self.start_progress_m)
        self.furthest_idx = np.where(mask, self.zone_idx, self.furthest_idx)
        self.furthest_ms = np.where(mask, cars.time_ms, self.furthest_ms)
        self.time_ms = np.where(mask, cars.time_ms, self.time_ms)
        self._observe(cars)

    def advance(
        self, actions: NDArray[np.integer], cars: CarStates, *, analog: NDArray[np.float32] | None = None
    ) -> StepOutcome:
        """Close one decision: cars took ``actions`` and stand where ``cars`` says.

        Episodes that have ended before keep their books, are paid nothing and stay ended.

        Args:
            actions: (N,) indices of the action table.
            cars: (N,) cars after the decision.
            analog: (N, 3) the same decision as analog action; without it that of the keys.
        """
        running = self.reason == EndReason.RUNNING
        finished = cars.finished & running
        zone_idx = np.where(running, self._advance(cars), self.zone_idx)
        metres = self.zones.progress_m(zone_idx, cars.position_m)
        # A finished car counts as having covered the whole line, as in the agents whose weights we exchange.
        metres = np.where(finished, np.maximum(self.zones.finish_m, self.progress_m), metres)
        change = np.where(running, metres - self.progress_m, 0.0)
        now_ms = np.where(finished, cars.race_time_ms, cars.time_ms)
        elapsed = np.where(running, now_ms - self.time_ms, 0)
        self.zone_idx = np.where(finished, np.maximum(zone_idx, self.zones.finish_idx), zone_idx).astype(np.int32)
        self._note_furthest(running, cars)
        self._end(running, finished, cars)
        self._remember(running, actions)
        if self.driver is not None:
            self.driver.remember(running, ANALOG_TABLE[actions] if analog is None else analog)
        self.progress_m = np.where(running, metres, self.progress_m)
        self.time_ms = np.where(running, cars.time_ms, self.time_ms)
        self._previous_floats[:] = self.floats
        self._observe(cars)
        reward = step_reward(
            self.reward,
            floats=self.floats,
            previous_floats=self._previous_floats,
            actions=actions,
            progress_change_m=change,
            elapsed_ms=elapsed,
            is_final=self.reason != EndReason.RUNNING,
        )
        terminated = self.reason == EndReason.FINISHED
        return StepOutcome(reward, terminated, (self.reason != EndReason.RUNNING) & ~terminated)

    def failed_ms(self, car: int) -> int | None:
        """Return the race time at which an ended episode failed: where it got no further, or where time ran out."""
        if self.reason[car] == EndReason.FINISHED:
            return None
        return int(self.furthest_ms[car] if self.reason[car] == EndReason.STALLED else self.time_ms[car])

    def potential(self) -> NDArray[np.float32]:
        """Return the (N,) potential of the current observations."""
        return potential(self.reward, self.floats)

    def keep(self, car: int) -> dict[str, object]:
        """Return one car's books as values that ``put_back`` takes."""
        books: dict[str, object] = {name: np.copy(getattr(self, name)[car]) for name in BOOK_FIELDS}
        return books if self.driver is None else {**books, **self.driver.keep(car)}

    def resume(self, car: int, books: Mapping[str, Any]) -> None:
        """Go on with a kept episode exactly where it stood, unlike ``put_back``, which counts it as a new one."""
        for name in BOOK_FIELDS:
            getattr(self, name)[car] = books[name]
        if self.driver is not None:
            self.driver.put_back(car, books)

    def put_back(self, car: int, books: dict[str, object], cars: CarStates) -> None:
        """Continue a kept episode on ``car`` as a new one: counted from here, the stall clock starts anew."""
        for name in BOOK_FIELDS:
            getattr(self, name)[car] = books[name]
        if self.driver is not None:
            self.driver.put_back(car, books)
        self.start_progress_m[car] = self.progress_m[car]
        self.furthest_ms[car] = self.time_ms[car]
        self.furthest_idx[car] = self.zone_idx[car]
        self.reason[car] = EndReason.RUNNING
        self._observe(cars)

    def _advance(self, cars: CarStates) -> NDArray[np.int32]:
        moved = self.zones.advance(self.zone_idx, cars.position_m)
        low = cars.position_m[:, 1] <= self.config.deck_height_m
        kept: NDArray[np.int32] = np.where(low, self.zone_idx, moved).astype(np.int32)
        return kept

    def _note_furthest(self, running: NDArray[np.bool_], cars: CarStates) -> None:
        further = running & (self.zone_idx > self.furthest_idx)
        self.furthest_idx = np.where(further, self.zone_idx, self.furthest_idx)
        self.furthest_ms = np.where(further, cars.time_ms, self.furthest_ms)

    def _end(self, running: NDArray[np.bool_], finished: NDArray[np.bool_], cars: CarStates) -> None:
        stalled = running & ~finished & (cars.time_ms - self.furthest_ms >= self.stall_limit_ms)
        late = running & ~finished & ~stalled & (cars.time_ms >= self.config.time_limit_ms)
        self.reason[finished] = EndReason.FINISHED
        self.reason[stalled] = EndReason.STALLED
        self.reason[late] = EndReason.TIME_LIMIT

    def _remember(self, running: NDArray[np.bool_], actions: NDArray[np.integer]) -> None:
        shifted = np.concatenate((self.previous_actions[:, 1:], actions[:, None]), axis=1)
        self.previous_actions = np.where(running[:, None], shifted, self.previous_actions)

    def _observe(self, cars: CarStates) -> None:
        self.builder.build(
            cars,
            self.zones.points(self.zone_idx),
            np.maximum(self.zones.finish_m - self.progress_m, 0.0),
            self.previous_actions,
            self.shift.update(cars.time_ms, cars.gearbox_state),
            out=self.floats,
        )
        if not np.isfinite(self.floats).all():
            broken = np.flatnonzero(~np.isfinite(self.floats).all(axis=1))
            raise EnvError(
                f"car {broken[0]} has a state that is not finite at race time {int(cars.time_ms[broken[0]])} ms: "
                f"the physics broke down (tick {TICK_MS} ms). Report the track and the seed."
            )
        if self.driver is not None:
            self.driver.observe(cars, self.floats, share_done=self.share_done, zone_idx=self.zone_idx)
