"""One race in the stand-in, tick by tick: countdown, inputs, gates, the finish that is told one tick late."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.fleet import CarSnapshot, SimulatorFleet
from trackmaster.game.link.sim_state import SimStateData
from trackmaster.game.standin.blob import RaceMoment, RacePlan, decode_state, encode_state
from trackmaster.game.state import CarState
from trackmaster.gbx import Command, Control, ControlState, to_script
from trackmaster.track import Track
from trackmaster.units import TICK_MS

COUNTDOWN_MS: Final = 2_500
"""The first callback of a race is at minus this."""

_ALL = np.ones(1, np.bool_)


@dataclass(frozen=True, slots=True)
class GatePassed:
    """A gate was counted; ``is_lap`` for the lap counter."""

    current: int
    target: int
    is_lap: bool = False

    @property
    def is_finish(self) -> bool:
        """Whether it was the last one of the race."""
        return not self.is_lap and self.current == self.target


class Race:
    """A car on a track with the clock of a race; time begins in the countdown."""

    def __init__(self, track: Track, *, device: str = "cpu") -> None:
        """Build the world of a track and begin a countdown."""
        self.track = track
        self.plan = RacePlan(track.uid, track.n_checkpoints, track.laps)
        self.script: list[Command] = []
        self.takes_inputs = True
        """An instance whose window never had the focus ignores every input."""
        self._fleet = SimulatorFleet((track,), 1, device=device)
        self._at_start: CarSnapshot = self._fleet.snapshot(0)
        self._by_time: dict[int, list[Command]] = {}
        self._played: list[Command] = []
        self._controls = ControlState()
        self._moment = RaceMoment(-COUNTDOWN_MS - TICK_MS)
        self._state: SimStateData | None = None
        self._respawn_next = False
        self._car: CarState | None = None
        self.restart()

    @property
    def tick_time_ms(self) -> int:
        """Callback time, running on after the finish."""
        return self._moment.time_ms

    @property
    def race_time_ms(self) -> int:
        """Race time as the game shows it: it stands still once the finish was told."""
        return self._now().race_time_ms if self._moment.is_finish_reported else self._moment.time_ms

    @property
    def is_finished(self) -> bool:
        """Whether the finish was told."""
        return self._moment.is_finish_reported

    @property
    def state(self) -> SimStateData:
        """The state blob of the current tick."""
        if self._state is None:
            moment = replace(self._moment, controls=self._controls.row())
            self._state = encode_state(self._fleet.snapshot(0), self._now(), self.plan, moment)
        return self._state

    def restart(self) -> None:
        """Begin a countdown; held keys stay held by nobody."""
        self._fleet.restore(0, self._at_start)
        self._controls = ControlState()
        self._played = []
        self._respawn_next = False
        self._put(RaceMoment(-COUNTDOWN_MS - TICK_MS))

    def play(self, script: Iterable[Command]) -> None:
        """Replace the script; its commands act from the current time on."""
        self.script = list(script)
        by_time: dict[int, list[Command]] = defaultdict(list)
        for command in self.script:
            by_time[command.time_ms].append(command)
        self._by_time = dict(by_time)

    def tick(self) -> list[GatePassed]:
        """Let 10 ms pass and return what the game reports for it."""
        moment = self._moment
        time_ms = moment.time_ms + TICK_MS
        before = self._now().cp_count - moment.is_finish_hidden
        if time_ms > 0:
            self._drive()
        car = self._now()
        is_told = moment.is_finish_hidden or moment.is_finish_reported
        is_hidden = car.finished and not is_told
        self._moment = replace(self._moment, time_ms=time_ms, is_finish_hidden=is_hidden, is_finish_reported=is_told)
        self._state = None
        if time_ms >= 0 and self.takes_inputs:
            self._apply(self._by_time.get(time_ms, ()))
        return self._passed(before, car.cp_count - is_hidden)

    def set_keys(self, *, left: bool, right: bool, accelerate: bool, brake: bool) -> None:
        """Hold exactly these keys from the next tick on."""
        wanted = {
            Control.LEFT: left,
            Control.RIGHT: right,
            Control.ACCELERATE: accelerate,
            Control.BRAKE: brake,
        }
        held = {control: bool(self._controls.keys >> control & 1) for control in wanted}
        self.command([(control, int(value)) for control, value in wanted.items() if held[control] != value])

    def command(self, changes: Iterable[tuple[Control, int]]) -> None:
        """Change controls from the next tick on (values as in ``gbx.Command``)."""
        if self.takes_inputs:
            self._apply([Command(max(self._moment.time_ms, 0), control, value) for control, value in changes])

    def respawn(self) -> None:
        """Go back to the last gate before the next tick."""
        self.command([(Control.RESPAWN, 1), (Control.RESPAWN, 0)])

    def inputs_text(self) -> str:
        """Return the race's own record of its inputs, as a script."""
        return to_script(self._played)

    def rewind(self, state: SimStateData) -> None:
        """Go back to a state of this race or an earlier one on this map.

        Raises:
            GameError: the blob is none of this map.
        """
        snapshot, moment = decode_state(state, self.plan)
        self._fleet.restore(0, snapshot)
        self._controls = ControlState(moment.controls)
        self._played = [command for command in self._played if command.time_ms <= moment.time_ms]
        self._respawn_next = False
        self._put(moment)

    def prevent_finish(self) -> None:
        """Go on as if the finish had not been crossed; nothing happens before it was told."""
        if self.is_finished:
            self.rewind(self.state.without_finish())

    def nudge(self, sideways_m: float) -> None:
        """Move the car aside: a run that does not repeat itself, on purpose."""
        pushed = self.state.copy()
        body = pushed["current"]
        body["position"] += np.float32(sideways_m) * body["rotation"][:, 0]
        self.rewind(pushed)

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture of the current tick, (height, width, 4) BGRA."""
        drawn: NDArray[np.uint8] = self._fleet.pictures((width, height), mode="bgra")[0]
        return drawn

    def close(self) -> None:
        """Let go of the world."""
        self._fleet.close()

    def _drive(self) -> None:
        if self._respawn_next:
            self._fleet.respawn(_ALL)
            self._respawn_next = False
            self._moment = replace(self._moment, respawns=self._moment.respawns + 1)
        steer, gas, brake = np.array([[value] for value in self._controls.effective()], np.float32)
        self._fleet.step(steer, gas, brake, 1)
        self._car = None

    def _apply(self, group: Iterable[Command]) -> None:
        commands = list(group)
        if not commands:
            return
        self._controls.apply(commands)
        self._played += commands
        self._respawn_next |= any(command.control is Control.RESPAWN and command.value for command in commands)
        self._state = None

    def _passed(self, before: int, after: int) -> list[GatePassed]:
        per_lap = self.plan.n_checkpoints + 1
        reports: list[GatePassed] = []
        for count in range(before + 1, after + 1):
            reports.append(GatePassed(count, self.plan.n_passes))
            if count % per_lap == 0 and self.plan.laps > 1:
                reports.append(GatePassed(count // per_lap, self.plan.laps, is_lap=True))
        return reports

    def _now(self) -> CarState:
        if self._car is None:
            self._car = self._fleet.states.car(0)
        return self._car

    def _put(self, moment: RaceMoment) -> None:
        """Take the clock of a car that was put elsewhere."""
        self._moment = moment
        self._state = None
        self._car = None
