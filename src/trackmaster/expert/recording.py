"""Driving given keys once and keeping what a ghost holds: samples every 100 ms, gate times, control events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.expert.errors import ExpertError
from trackmaster.gbx import Ghost, GhostSamples, InputTimeline, make_samples
from trackmaster.sim import CarView, World
from trackmaster.track import Track
from trackmaster.units import MPS_TO_KMPH, TICK_MS, TICKS_PER_ACTION

F64 = NDArray[np.float64]

SAMPLE_MS = 100
RUN_OUT_MS = 1_000
"""Samples go on this long behind the finish, as in the game's own ghosts."""

DRIVER = "trackmaster"
"""Nickname and login of our drivers."""

_WHEEL_RADIUS_M = 0.364
_DRAWN_ANGLE_DEG = (30.0, 10.0)
_DRAWN_ANGLE_UP_TO_KMPH = 100.0


@dataclass(frozen=True)
class _Sample:
    """One moment of a drive; the fields are the arguments of ``gbx.make_samples``."""

    position_m: NDArray[np.float32]
    rotation: NDArray[np.float32]
    velocity_mps: NDArray[np.float32]
    angular_velocity_radps: NDArray[np.float32]
    rpm: float
    wheel_rotation_rad: F64
    steer: float
    gas: float
    brake: float
    turbo: float
    front_wheel_angle_rad: float
    damper_m: NDArray[np.float32]
    wheel_material: NDArray[np.uint8]
    wheel_contact: NDArray[np.bool_]
    wheel_sliding: NDArray[np.bool_]


def timeline_of(decisions: NDArray[np.uint8], race_time_ms: int) -> InputTimeline:
    """Return the inputs of a drive: decision d is set in the callbacks 50 d to 50 d + 40 and acts one tick later.

    Args:
        decisions: (D,) key bits.
        race_time_ms: of the drive; what would be set later is cut off.
    """
    count = race_time_ms // TICK_MS + 1
    held = np.repeat(decisions, TICKS_PER_ACTION)
    keys = np.zeros(count, np.uint8)
    keys[: min(count, len(held))] = held[:count]
    keys[-1] = 0 if count == 1 else keys[-2]  # set at the finish itself, it acts on nothing: no event there
    return InputTimeline.from_keys(keys)


def drive_timeline(track: Track, timeline: InputTimeline, *, limit_ms: int, name: str = DRIVER, uid: str = "") -> Ghost:
    """Drive the inputs on the simulator and return the ghost.

    The tick that starts at 0 is driven without inputs; element k of the timeline acts on the tick that starts at
    10 k + 10. Behind the finish samples go on for a second.

    Args:
        track: where to drive.
        timeline: the inputs.
        limit_ms: race time after which an unfinished drive ends.
        name: nickname and login.
        uid: of the ghost.
    """
    recorder = _Recorder(World(track, 1), timeline)
    while not recorder.is_over(limit_ms):
        recorder.tick()
    view = recorder.world.view
    count = int(view.cp_count[0])
    race_time_ms = int(view.race_time_ms[0])
    is_finished = race_time_ms >= 0
    return Ghost(
        race_time_ms=race_time_ms if is_finished else None,
        respawns=0,
        cp_times_ms=tuple(view.cp_times_ms[0, :count].tolist()) if is_finished else (-1,),
        nickname=name,
        login=name,
        uid=uid,
        samples=recorder.samples(),
        events=timeline.to_events(race_time_ms=race_time_ms if is_finished else None),
        inputs_duration_ms=race_time_ms if is_finished else 0,
    )


def redrive(track: Track, ghost: Ghost) -> Ghost:
    """Drive the recorded inputs of a finished ghost again.

    Raises:
        ExpertError: the ghost is unfinished or has no inputs.
    """
    if ghost.race_time_ms is None or ghost.events is None:
        raise ExpertError(
            f"The ghost of {ghost.nickname or 'an unnamed driver'} has no finish time or no inputs, and cannot be "
            "driven again. Choose a replay of a finished run."
        )
    timeline = InputTimeline.from_events(ghost.events, ghost.race_time_ms)
    return drive_timeline(track, timeline, limit_ms=ghost.race_time_ms, name=ghost.nickname, uid=ghost.uid)


class _Recorder:
    """One car, its inputs, and the samples so far."""

    def __init__(self, world: World, timeline: InputTimeline) -> None:
        self.world = world
        self._inputs = np.stack(timeline.effective(), axis=1)  # (n, 3) steer, gas, brake
        self._rolled_rad = np.zeros(4)
        self._applied = np.zeros(3, np.float32)
        self._samples: list[_Sample] = []
        self._note()

    def is_over(self, limit_ms: int) -> bool:
        """Tell whether the run-out is complete, or the drive came to its limit."""
        view = self.world.view
        time_ms, race_time_ms = int(view.time_ms[0]), int(view.race_time_ms[0])
        return time_ms >= race_time_ms + RUN_OUT_MS if race_time_ms >= 0 else time_ms > limit_ms

    def tick(self) -> None:
        """Drive one tick and note the sample it may complete."""
        view = self.world.view
        before = int(view.time_ms[0]) // TICK_MS - 1  # the callback that set what acts in this tick
        inputs = self._inputs[before] if 0 <= before < len(self._inputs) else np.zeros(3, np.float32)
        # Behind the finish line the game brakes, whatever the keys say; that is what samples show.
        self._applied = np.array([0.0, 0.0, 1.0], np.float32) if view.finished[0] else inputs
        self.world.step(*self._applied)
        rolling = float(view.local_velocity_mps[0, 2]) * TICK_MS / 1_000 / _WHEEL_RADIUS_M
        self._rolled_rad = self._rolled_rad + rolling
        if int(view.time_ms[0]) % SAMPLE_MS == 0:
            self._note()

    def samples(self) -> GhostSamples:
        """Return all samples as a file holds them."""
        columns = {name: np.stack([vars(sample)[name] for sample in self._samples]) for name in vars(self._samples[0])}
        return make_samples(**columns, period_ms=SAMPLE_MS)

    def _note(self) -> None:
        view = self.world.view
        steer, gas, brake = (float(value) for value in self._applied)
        self._samples.append(
            _Sample(
                position_m=view.position_m[0].copy(),
                rotation=view.rotation[0].copy(),
                velocity_mps=view.velocity_mps[0].copy(),
                angular_velocity_radps=view.angular_velocity_radps[0].copy(),
                rpm=float(view.rpm[0]),
                wheel_rotation_rad=self._rolled_rad.copy(),
                steer=steer,
                gas=gas,
                brake=brake,
                turbo=float(view.turbo[0] > 0),
                front_wheel_angle_rad=_drawn_angle_rad(view),
                damper_m=view.damper_m[0].copy(),
                wheel_material=view.wheel_material[0].copy(),
                wheel_contact=view.wheel_contact[0].copy(),
                wheel_sliding=view.wheel_sliding[0].copy(),
            )
        )


def _drawn_angle_rad(view: CarView) -> float:
    """Return the front wheel angle as drawn, + = left: full lock is 30 degrees at standstill, 10 from 100 km/h on."""
    speed_kmph = abs(float(view.local_velocity_mps[0, 2])) * MPS_TO_KMPH
    lock = np.interp(speed_kmph, (0.0, _DRAWN_ANGLE_UP_TO_KMPH), _DRAWN_ANGLE_DEG)
    return float(-np.radians(lock) * view.steer[0])
