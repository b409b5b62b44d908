"""A driven run becomes a ghost: states every 100 ms, gate times and inputs, as the game would have recorded them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.base import Game
from trackmaster.game.state import CarState, CarStates, GameError, Inputs, stack_states
from trackmaster.gbx import Ghost, GhostSamples, InputTimeline, make_samples
from trackmaster.track import Track
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

SAMPLE_MS = 100
WHEEL_RADIUS_M = 0.364
RUN_OUT_MS = 600
"""How long a run is followed beyond its last input, waiting for a finish."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """A driven run on the callback clock."""

    states: CarStates
    """(n,) one row per tick, T = 0, 10, ..."""
    respawned: NDArray[np.bool_]
    """(n,) the car was put back before this tick."""

    @property
    def finish_ms(self) -> int | None:
        """Race time, None if the finish was not reached."""
        return int(self.states.race_time_ms[-1]) if self.states.finished[-1] else None


def inputs_in_force(timeline: InputTimeline, ticks: int) -> tuple[Floats, Floats, Floats]:
    """Return steer, gas and brake that acted on the ticks T = 0, 10, ...: set one callback earlier, neutral at 0."""
    in_force = []
    for values in timeline.effective():
        acted = np.zeros(ticks, dtype=np.float32)
        known = min(ticks - 1, len(values))
        acted[1 : known + 1] = values[:known]
        acted[known + 1 :] = values[-1] if len(values) else 0.0
        in_force.append(acted)
    return in_force[0], in_force[1], in_force[2]


def drive_timeline(game: Game, timeline: InputTimeline, *, stop_ms: int = 0, linger_ms: int = 0) -> Run:
    """Drive a loaded track from the start line with given inputs, until the finish or the end of the inputs.

    Args:
        game: with the track loaded.
        timeline: element k is set in the callback of 10 k ms and acts on the tick after it; the last one is held.
        stop_ms: a finish before this callback time does not end the run.
        linger_ms: how long to go on behind the finish.
    """
    steer, gas, brake = timeline.effective()
    last = len(timeline) - 1
    states = [game.reset()]
    respawned = [False]
    for k in range(len(timeline) + RUN_OUT_MS // TICK_MS):
        here = states[-1]
        if here.finished and here.time_ms >= max(stop_ms, here.race_time_ms + linger_ms):
            break
        now = min(k, last)
        back = k <= last and bool(timeline.respawn_presses[k])
        states.append(game.step(Inputs(float(steer[now]), float(gas[now]), float(brake[now]), back), 1))
        respawned.append(back)
    return Run(stack_states(states), np.array(respawned))


def record_ghost(game: Game, track: Track, timeline: InputTimeline, *, nickname: str = "", login: str = "") -> Ghost:
    """Drive a run and return it as a ghost that can be written into a replay.

    Args:
        game: any; the track is loaded into it.
        track: where to drive.
        timeline: the inputs; what lies beyond the finish is left out.
        nickname: of the driver.
        login: of the driver.

    Raises:
        GameError: the inputs do not lead to the finish.
    """
    game.load(track)
    run = drive_timeline(game, timeline, linger_ms=2 * SAMPLE_MS)
    finish_ms = run.finish_ms
    if finish_ms is None:
        raise GameError(
            f"the inputs of {len(timeline) * TICK_MS} ms do not reach the finish of {track.name!r}: after "
            f"{int(run.states.time_ms[-1])} ms the car has passed {int(run.states.cp_count[-1])} gates."
        )
    driven = _cut(timeline, finish_ms // TICK_MS + 1)
    return Ghost(
        race_time_ms=finish_ms,
        respawns=int(driven.respawn_presses.sum()),
        cp_times_ms=gate_times(run.states.time_ms, run.states.cp_count),
        nickname=nickname,
        login=login,
        samples=ghost_samples(run, track, timeline),
        events=driven.to_events(race_time_ms=finish_ms),
        inputs_duration_ms=finish_ms,
    )


def gate_times(time_ms: NDArray[np.integer], cp_count: NDArray[np.integer]) -> tuple[int, ...]:
    """Return when each gate was passed: the first callback that counts it, however many gates there are.

    Args:
        time_ms: (n,) callback times.
        cp_count: (n,) gates passed so far.
    """
    rows = np.searchsorted(cp_count, np.arange(1, int(cp_count[-1]) + 1))
    return tuple(time_ms[rows].tolist())


def ghost_samples(run: Run, track: Track, timeline: InputTimeline) -> GhostSamples:
    """Return the states of a run at 0, 100, 200, ... ms of ghost time; sample s is the state of callback s - 10."""
    states = run.states
    first = _before_the_start(states.car(0), track)
    rows = np.arange((SAMPLE_MS - STATE_OFFSET_MS) // TICK_MS, len(states), SAMPLE_MS // TICK_MS)
    steer, gas, brake = inputs_in_force(timeline, len(states))
    forward = np.sum(states.velocity_mps * states.rotation[:, :, 2], axis=1)
    turned = np.cumsum(forward * TICK_MS / 1_000 / WHEEL_RADIUS_M)

    def sampled(values: NDArray[np.generic], at_start: object) -> NDArray[np.generic]:
        return np.concatenate((np.asarray(at_start, dtype=values.dtype)[None], values[rows]))

    return make_samples(
        sampled(states.position_m, first.position_m),
        sampled(states.rotation, first.rotation),
        sampled(states.velocity_mps, np.zeros(3)),
        sampled(states.angular_velocity_radps, np.zeros(3)),
        rpm=sampled(states.rpm, 0.0),
        wheel_rotation_rad=np.maximum(sampled(turned, 0.0).astype(np.float64), 0.0)[:, None],
        steer=sampled(steer, 0.0),
        gas=sampled(gas, 0.0),
        brake=sampled(brake, 0.0),
        turbo=sampled((states.turbo > 0).astype(np.float32), 0.0),
        damper_m=sampled(states.damper_m, first.damper_m),
        wheel_material=sampled(states.wheel_material, np.zeros(4)),
        wheel_contact=sampled(states.wheel_contact, np.zeros(4)),
        wheel_sliding=sampled(states.wheel_sliding, np.zeros(4)),
        period_ms=SAMPLE_MS,
    )


@dataclass(frozen=True)
class _Spawn:
    position_m: NDArray[np.float32]
    rotation: NDArray[np.float32]
    damper_m: NDArray[np.float32]


def _before_the_start(state: CarState, track: Track) -> _Spawn:
    """Return the car as it hangs above the start line before its first tick: no callback shows it."""
    return _Spawn(track.start.position_m.astype(np.float32), track.start.rotation.astype(np.float32), state.damper_m)


def _cut(timeline: InputTimeline, ticks: int) -> InputTimeline:
    """Return the first ``ticks`` callbacks; the last one is held where there are fewer."""
    index = np.minimum(np.arange(ticks), len(timeline) - 1)
    presses = np.where(np.arange(ticks) < len(timeline), timeline.respawn_presses[index], 0).astype(np.uint8)
    return InputTimeline(
        timeline.keys_u8[index],
        timeline.steer_i32[index],
        timeline.gas_i32[index],
        timeline.steer_is_axis[index],
        timeline.gas_is_axis[index],
        presses,
    )
