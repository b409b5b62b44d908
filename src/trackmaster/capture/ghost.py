"""Mode ``ghost``: the car stands where the recorded ghost was, whatever our physics would have done.

The state of callback T is the ghost at sample time T + 10: exact at samples, interpolated between them, never across a
respawn. What a ghost does not store is rebuilt where it follows from other numbers and named missing where it does not.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.interpolate import Bracket, bracket, hermite, jumps, rotation_of, slerp
from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.recording import inputs_in_force
from trackmaster.game.state import MAX_CP_TIMES, CarStates, empty_states
from trackmaster.gbx import Ghost, GhostSamples, InputTimeline
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

RPM_PER_MPS: Final = np.array([400.0, 370.0, 220.0, 160.0, 110.0, 85.0])
"""Engine speed per m/s of forward speed in reverse and gears 1 to 5.

Source: car physics reference, gear table, measured on ghosts.
"""
GEAR_UP_RPM: Final = np.array([np.inf, 10_450.0, 9_900.0, 10_450.0, 10_450.0, np.inf])
GEAR_DOWN_RPM: Final = np.array([0.0, 0.0, 5_500.0, 6_270.0, 6_050.0, 6_600.0])
"""Engine speeds of the road speed in a gear, above and below which the gear changes (same table)."""
GEAR_TOLERANCE: Final = 0.06
GEAR_CHANGE_RPM: Final = 150.0
"""How far the change of the engine speed within a sample may be from that of the road speed: an engine that runs free
makes 300 to 1 700 rpm in a tenth of a second."""
MIN_GEAR_SPEED_MPS: Final = 3.0
"""Below this the engine spins free of the wheels while launching, so its speed says nothing about the gear."""

REBUILT: Final = ("gear", "is_freewheeling", "cp_count")
MISSING: Final = ("gearbox_state", "shift_counter", "lateral_contact")


def ghost_trajectory(ghost: Ghost, timeline: InputTimeline, race_time_ms: int) -> Trajectory:
    """Return the recorded run as a state per tick, up to the race time or the last sample.

    Args:
        ghost: a finished ghost with samples.
        timeline: its inputs.
        race_time_ms: its race time.

    Raises:
        ReplayRejectedError: the ghost has no samples in the race.
    """
    samples = ghost.samples
    if samples is None or len(samples) < 2:
        raise ReplayRejectedError(
            "no_samples", "the ghost holds no recorded states, so the car cannot be placed on it."
        )
    end_ms = min(race_time_ms, int(samples.time_ms[-1]) - STATE_OFFSET_MS) // TICK_MS * TICK_MS
    if end_ms < 0:
        raise ReplayRejectedError(
            "no_samples", f"the ghost's samples end at {int(samples.time_ms[-1])} ms, before the race begins."
        )
    times = np.arange(0, end_ms + TICK_MS, TICK_MS, dtype=np.int32)
    presses = np.zeros(0, np.int64) if ghost.events is None else ghost.events.respawn_presses_ms()
    # In sample time: the tick after the one the key was pressed in.
    states, placed = _states(samples, times, presses + TICK_MS)
    gates = tuple(sorted(time for time in ghost.cp_times_ms if time >= 0))
    _count_gates(states, gates, race_time_ms)
    steer, gas, brake = inputs_in_force(timeline, len(times))
    return Trajectory(
        states, steer, gas, brake, placed, rebuilt=REBUILT, missing=MISSING, finish_ms=race_time_ms, cp_ms=gates
    )


def _states(
    samples: GhostSamples, times: NDArray[np.int32], respawns: NDArray[np.int64]
) -> tuple[CarStates, NDArray[np.bool_]]:
    """Return the states of callbacks ``times`` and where the car was put rather than drove."""
    wanted = times.astype(np.int64) + STATE_OFFSET_MS
    place = bracket(samples.time_ms, wanted)
    position = samples.position_m.astype(np.float64)
    velocity = samples.velocity_mps.astype(np.float64)
    cut = _cuts(samples, position, velocity, respawns)
    cut_ms = cut[place.left]
    jumped = cut_ms >= 0
    after = jumped & (wanted >= cut_ms)
    states = empty_states(len(times))
    states.time_ms[:] = times
    _fill_motion(states, samples, place, position, velocity, jumped, after)
    nearest = np.where(place.share < 0.5, place.left, place.right)
    nearest = np.where(jumped, np.where(after, place.right, place.left), nearest)
    _fill_car(states, samples, place, nearest, jumped)
    previous_after = np.concatenate(([False], after[:-1]))
    starts_interval = np.concatenate(([True], place.left[1:] != place.left[:-1]))
    placed = after & (~previous_after | starts_interval)
    placed[0] = True
    return states, placed


def _cuts(
    samples: GhostSamples, position: NDArray[np.float64], velocity: NDArray[np.float64], respawns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each interval between samples the time at which the car was put elsewhere, -1 where it drove."""
    times = samples.time_ms.astype(np.int64)
    jumped = jumps(times, position, velocity, respawns)
    middle = (times[:-1] + times[1:]) // 2
    cut = np.full(len(times), -1, dtype=np.int64)
    cut[:-1] = np.where(jumped, middle, -1)
    for press in respawns:
        interval = int(np.searchsorted(times, press, side="right")) - 1
        if 0 <= interval < len(jumped):
            cut[interval] = press
    return cut


def _fill_motion(
    states: CarStates,
    samples: GhostSamples,
    place: Bracket,
    position: NDArray[np.float64],
    velocity: NDArray[np.float64],
    jumped: NDArray[np.bool_],
    after: NDArray[np.bool_],
) -> None:
    left, right, share, span_s = place.left, place.right, place.share, place.span_s
    smooth_p, smooth_v = hermite(position[left], velocity[left], position[right], velocity[right], share, span_s)
    held = np.where(after, right, left)
    from_sample_s = np.where(after, (share - 1.0) * span_s, share * span_s)
    held_p = position[held] + velocity[held] * from_sample_s[:, None]
    states.position_m[:] = np.where(jumped[:, None], held_p, smooth_p)
    states.velocity_mps[:] = np.where(jumped[:, None], velocity[held], smooth_v)
    quaternion = samples.quaternion_wxyz.astype(np.float64)
    turned = slerp(quaternion[left], quaternion[right], share)
    states.rotation[:] = rotation_of(np.where(jumped[:, None], quaternion[held], turned))
    exact = share == 0
    states.rotation[exact] = samples.rotation[left[exact]]
    states.angular_velocity_radps[:] = _blend(samples.angular_velocity_radps, place, jumped, held)


def _blend(
    values: NDArray[np.float32], place: Bracket, jumped: NDArray[np.bool_], held: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return ``values`` on the straight line between samples, or held where the car was put elsewhere."""
    wide = values.astype(np.float64)
    share = place.share.reshape((-1,) + (1,) * (wide.ndim - 1))
    line = wide[place.left] + share * (wide[place.right] - wide[place.left])
    blended: NDArray[np.float64] = np.where(jumped.reshape(share.shape), wide[held], line)
    return blended


def _fill_car(
    states: CarStates, samples: GhostSamples, place: Bracket, nearest: NDArray[np.int64], jumped: NDArray[np.bool_]
) -> None:
    states.rpm[:] = _blend(samples.rpm, place, jumped, nearest)
    states.damper_m[:] = _blend(samples.damper_m, place, jumped, nearest)
    states.turbo[:] = samples.turbo[nearest]
    states.wheel_contact[:] = samples.wheel_contact[nearest]
    states.wheel_sliding[:] = samples.wheel_sliding[nearest]
    states.wheel_material[:] = samples.wheel_material[nearest]
    on_ground = samples.wheel_contact.sum(axis=1) > 0
    states.gear[:] = rebuild_gears(samples.forward_speed_mps, samples.rpm, on_ground)[nearest]
    states.is_freewheeling[:] = ((samples.rpm == 0) & (samples.forward_speed_mps > MIN_GEAR_SPEED_MPS))[nearest]


def rebuild_gears(
    forward_speed_mps: NDArray[np.floating], rpm: NDArray[np.floating], on_ground: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return (n,) gears that explain engine speed and road speed.

    In the air the engine revs freely and no gear changes, and after a landing or a change it runs through the speeds of
    other gears. So a gear counts as seen where two samples in a row, both on the ground, agree with it, and so does the
    change between them. While the engine falls on the ground from the speed of one gear to that of a higher one, it is
    already in that one. Elsewhere on the ground the road speed decides when gears change; in doubt the gear before, 1
    at the start.

    Args:
        forward_speed_mps: (n,) along the car's forward axis.
        rpm: (n,) engine speed.
        on_ground: (n,) whether any wheel touches the ground.
    """
    coupled = np.abs(forward_speed_mps.astype(np.float64))[:, None] * RPM_PER_MPS
    gear, seen = _seen_gears(forward_speed_mps, rpm, on_ground, coupled)
    rows = np.arange(len(gear))
    before = np.maximum.accumulate(np.where(seen, rows, 0))
    after = np.minimum.accumulate(np.where(seen, rows, len(gear) - 1)[::-1])[::-1]
    flown = np.cumsum(~on_ground)
    climbs = seen[before] & seen[after] & (gear[after] > gear[before]) & (flown[after] == flown[before])
    held, gears = 1, np.empty(len(gear), np.int32)
    for row in range(len(gear)):
        if seen[row]:
            held = int(gear[row])
        elif climbs[row]:
            held = int(gear[after[row]])
        elif on_ground[row]:
            held = _changed_gear(held, coupled[row])
        gears[row] = held
    return gears


def _seen_gears(
    forward_speed_mps: NDArray[np.floating],
    rpm: NDArray[np.floating],
    on_ground: NDArray[np.bool_],
    coupled_rpm: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return (n,) the gear that fits best and (n,) whether it is seen; ``coupled_rpm`` (n, 6) is that of every gear."""
    error = np.abs(coupled_rpm - rpm[:, None]) / np.maximum(coupled_rpm, 1.0)
    error[:, 0] = np.where(forward_speed_mps < 0, error[:, 0], np.inf)
    error[:, 1:] = np.where((forward_speed_mps > 0)[:, None], error[:, 1:], np.inf)
    gear = np.argmin(error, axis=1)
    rows = np.arange(len(gear))
    fits = (error[rows, gear] < GEAR_TOLERANCE) & (np.abs(forward_speed_mps) > MIN_GEAR_SPEED_MPS) & on_ground
    follows = np.diff(coupled_rpm, axis=0)[rows[:-1], gear[:-1]]
    agree = fits[1:] & fits[:-1] & (gear[1:] == gear[:-1]) & (np.abs(np.diff(rpm) - follows) < GEAR_CHANGE_RPM)
    seen = np.zeros(len(gear), np.bool_)
    seen[1:] = agree
    seen[:-1] |= agree
    return gear, seen


def _changed_gear(gear: int, coupled_rpm: NDArray[np.float64]) -> int:
    """Return the gear after the changes that the road speed asks for."""
    while gear > 1 and coupled_rpm[gear] < GEAR_DOWN_RPM[gear]:
        gear -= 1
    while 1 <= gear < len(GEAR_UP_RPM) - 1 and coupled_rpm[gear] > GEAR_UP_RPM[gear]:
        gear += 1
    return gear


def _count_gates(states: CarStates, gates_ms: tuple[int, ...], race_time_ms: int) -> None:
    """Fill gates and finish: at callback T the gate stamped T has just been crossed."""
    passed = np.searchsorted(np.array(gates_ms, dtype=np.int64), states.time_ms, side="right")
    states.cp_count[:] = passed
    kept = np.array(gates_ms[:MAX_CP_TIMES], dtype=np.int32)
    known = np.arange(len(kept)) < passed[:, None]
    states.cp_times_ms[:, : len(kept)] = np.where(known, kept, -1)
    states.finished[:] = states.time_ms >= race_time_ms
    states.race_time_ms[:] = np.where(states.finished, race_time_ms, -1)
