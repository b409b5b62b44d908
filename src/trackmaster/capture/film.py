"""What comes out of one race of the game, tick by tick: a trajectory, and pictures on their way to disk."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.drive import sample_errors
from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.link.events import Event
from trackmaster.game.link.sim_state import SimStateData, car_states
from trackmaster.game.recording import inputs_in_force
from trackmaster.game.state import STATE_FIELDS, CarStates
from trackmaster.units import TICK_MS

BLOCK: Final = 512
"""States that are kept as the game sent them; more are turned into arrays, which take a twentieth of the memory."""


RUN_OUT_TICKS: Final = 100
"""More ticks than a run is followed beyond its inputs."""


class Film:
    """Takes the samples of a run in order."""

    def __init__(self, source: ReplaySource, rows: NDArray[np.integer], frames: FrameTaker) -> None:
        """Begin without samples.

        Args:
            source: the replay that is run.
            rows: ticks whose pictures come.
            frames: takes them.
        """
        self._source = source
        self._shown = set(rows.tolist())
        self._frames = frames
        self._states: list[SimStateData] = []
        self._blocks: list[CarStates] = []
        self._finish: SimStateData | None = None
        self._placed = _placed(source)
        self._last_shown = 0
        self._count = 0

    def take(self, event: Event) -> None:
        """Take the sample of the next tick, with its picture if there is one."""
        assert event.state is not None, "samples come with their state"
        row = self._count
        self._count += 1
        self._states.append(event.state)
        if len(self._states) >= BLOCK:
            self._develop()
        if event.picture is not None and row in self._shown:
            grey: NDArray[np.uint8] = np.asarray(cv2.cvtColor(event.picture, cv2.COLOR_BGRA2GRAY), dtype=np.uint8)
            placed = bool(self._placed[self._last_shown + 1 : row + 1].any())
            self._frames.take(row, grey, event.state["current"]["position"].copy(), placed=placed)
            self._last_shown = row

    def finish(self, event: Event) -> None:
        """Take the state that holds the official times."""
        self._finish = event.state

    def trajectory(self) -> Trajectory:
        """Return the run up to the race time of the replay.

        The game tells a finish one tick late and is then made to forget it; here it stands where it happened.
        """
        self._develop()
        names = STATE_FIELDS
        states = CarStates(**{name: np.concatenate([getattr(block, name) for block in self._blocks]) for name in names})
        states.time_ms[:] = np.arange(len(states), dtype=np.int32) * TICK_MS
        cp_ms = self._put_finish(states)
        ticks = min(len(states), self._source.race_time_ms // TICK_MS + 1)
        steer, gas, brake = inputs_in_force(self._source.timeline, ticks)
        finish_ms = int(states.race_time_ms[-1]) if states.finished[-1] else None
        kept = states[:ticks]
        return Trajectory(
            kept,
            steer,
            gas,
            brake,
            self._placed[:ticks],
            finish_ms=finish_ms,
            cp_ms=cp_ms,
            errors_m=sample_errors(kept.position_m, self._source.ghost.samples, self._source.race_time_ms),
        )

    def _put_finish(self, states: CarStates) -> tuple[int, ...]:
        """Write the finish into the ticks behind it and return the times of all gates."""
        if self._finish is None:
            return tuple(states.cp_times_ms[-1, : states.cp_count[-1]].tolist())
        told = car_states([self._finish])
        behind = states.time_ms >= told.race_time_ms[0]
        for name in ("finished", "race_time_ms", "cp_count", "cp_times_ms"):
            getattr(states, name)[behind] = getattr(told, name)[0]
        return self._finish.cp_times_ms

    def _develop(self) -> None:
        if self._states:
            self._blocks.append(car_states(self._states))
            self._states = []


def _placed(source: ReplaySource) -> NDArray[np.bool_]:
    """Return where the car is put instead of driving there: at the start, and after a respawn."""
    presses = np.flatnonzero(source.timeline.respawn_presses) + 1
    placed = np.zeros(len(source.timeline) + RUN_OUT_TICKS, dtype=np.bool_)
    placed[0] = True
    placed[presses] = True
    return placed
