"""Placing the car on a ghost: exact at samples, faithful between them, honest about what is missing."""

import dataclasses

import numpy as np
import pytest

from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.ghost import ghost_trajectory, rebuild_gears
from trackmaster.capture.snapshots import follow_line, valid_ticks
from trackmaster.game import SimulatorGame, drive_timeline
from trackmaster.game.recording import Run
from trackmaster.gbx import ControlEvents, Ghost, InputTimeline, make_samples
from trackmaster.track import Track, ZoneMap, build_reference_line


@pytest.fixture(scope="module")
def timeline(ghost: Ghost) -> InputTimeline:
    assert ghost.events is not None
    assert ghost.race_time_ms is not None
    return InputTimeline.from_events(ghost.events, ghost.race_time_ms)


@pytest.fixture(scope="module")
def driven(track: Track, timeline: InputTimeline) -> Run:
    game = SimulatorGame(watched=False)
    game.load(track)
    return drive_timeline(game, timeline, linger_ms=100)


def test_the_state_of_t_is_the_sample_at_t_plus_ten(ghost: Ghost, timeline: InputTimeline) -> None:
    run = ghost_trajectory(ghost, timeline, ghost.race_time_ms)
    samples = ghost.samples
    assert run.states.time_ms[0] == 0
    assert run.end_ms == ghost.race_time_ms
    rows = np.arange(9, len(run), 10)  # T = 90, 190, ...: samples at 100, 200, ...
    index = (rows * 10 + 10) // 100
    assert np.array_equal(run.states.position_m[rows], samples.position_m[index])
    assert np.array_equal(run.states.rotation[rows], samples.rotation[index])
    assert np.array_equal(run.states.velocity_mps[rows], samples.velocity_mps[index])
    assert np.array_equal(run.states.wheel_contact[rows], samples.wheel_contact[index])


def test_between_samples_the_car_is_where_it_really_was(ghost: Ghost, timeline: InputTimeline, driven: Run) -> None:
    run = ghost_trajectory(ghost, timeline, ghost.race_time_ms)
    n = len(run)
    off = np.linalg.norm(run.states.position_m - driven.states.position_m[:n], axis=1)
    assert off.max() < 0.06, "100 ms of hard driving, bridged by a cubic with coarsely stored velocities"
    assert np.median(off) < 0.01
    turned = np.abs(run.states.rotation - driven.states.rotation[:n]).max()
    assert turned < 0.02
    assert np.array_equal(run.states.cp_count, driven.states.cp_count[:n])
    assert np.array_equal(run.states.finished, driven.states.finished[:n])
    assert (run.states.gear == driven.states.gear[:n]).mean() > 0.9
    assert "gearbox_state" in run.missing
    assert "gear" in run.rebuilt


def test_inputs_in_force_begin_one_tick_late(ghost: Ghost, timeline: InputTimeline) -> None:
    run = ghost_trajectory(ghost, timeline, ghost.race_time_ms)
    steer, _, _ = timeline.effective()
    assert run.steer[0] == 0
    assert np.array_equal(run.steer[1:], steer[: len(run) - 1])


def respawned(ghost: Ghost) -> tuple[Ghost, int]:
    """The same ghost, put back to its place of 1.0 s between the samples at 3.0 and 3.1 s."""
    samples = ghost.samples
    shift = np.where(samples.time_ms >= 3_100, 21, 0)
    index = np.arange(len(samples)) - shift
    events = ghost.events
    press = np.array([(3_040, events.names.index("Accelerate"), 1)], dtype=[("t", "i8"), ("c", "u1"), ("v", "u4")])
    later = events.time_ms > 3_040
    at = int(np.flatnonzero(later)[0])
    names = (*events.names, "Respawn")
    changed = ControlEvents(
        np.insert(events.time_ms, at, press["t"]),
        np.insert(events.control, at, len(names) - 1),
        np.insert(events.value, at, press["v"]),
        names,
    )
    moved = make_samples(
        samples.position_m[index], samples.quaternion_wxyz[index], samples.velocity_mps[index],
        rpm=samples.rpm[index], wheel_contact=samples.wheel_contact[index],
    )  # fmt: skip
    return dataclasses.replace(ghost, samples=moved, events=changed, respawns=1), 3_040


def test_nothing_is_interpolated_across_a_respawn(ghost: Ghost, track: Track) -> None:
    other, press_ms = respawned(ghost)
    timeline = InputTimeline.from_events(other.events, other.race_time_ms)
    run = ghost_trajectory(other, timeline, other.race_time_ms)
    where = run.states.position_m[:, 2]
    far, near = other.samples.position_m[30, 2], other.samples.position_m[31, 2]
    assert far - near > 20
    # Sample time 3040 is callback 3030: until the key acts the car drives on, from then on it stands where it was put.
    around = where[299:310]
    assert ((np.abs(around - far) < 2.0) | (np.abs(around - near) < 2.0)).all()
    put = np.flatnonzero(run.placed)
    assert put.tolist() == [0, (press_ms + 10 - 10) // 10]
    # Floats of the tick before the jump are not used for training.
    line = build_reference_line(ghost.samples, ghost.race_time_ms)
    valid = valid_ticks(run, follow_line(run, ZoneMap(line.points_m)))
    assert not valid[put[1] - 1]
    assert valid.sum() == len(run) - 1


def test_gears_follow_from_engine_and_road_speed() -> None:
    speed = np.array([0.0, 10.0, 10.1, 20.0, 20.1, 35.0, 35.2, 36.0, 36.5, 60.0, 60.5, 90.0, 90.4, -8.0, -8.1])
    ratio = np.array([0, 370, 370, 370, 370, 220, 220, 160, 160, 110, 110, 85, 85, 400, 400])
    gears = rebuild_gears(speed, np.abs(speed) * ratio, np.ones(len(speed), np.bool_))
    assert gears.tolist() == [1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 0]


def test_an_engine_that_revs_in_the_air_changes_no_gear() -> None:
    # Fifth gear, then a flight in which the engine passes the speed of the fourth (110 rpm per m/s), then a landing.
    speed = np.array([97.4, 97.0, 96.7, 95.4, 93.0, 91.8, 86.4, 85.2, 88.0, 89.1, 90.4, 91.9])
    rpm = np.array([8279, 8245, 8263, 8806, 10005, 10606, 10999, 10763, 9658, 7957, 7684, 7811.5])
    on_ground = np.array([1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], np.bool_)
    assert rebuild_gears(speed, rpm, on_ground).tolist() == [5] * 12


def test_a_gear_is_already_changed_while_the_engine_falls_to_it() -> None:
    speed = np.array([60.0, 62.0, 64.0, 65.0, 65.0, 65.1, 65.6, 66.2])
    rpm = np.array([9600, 9920, 10240, 10016, 8316, 7161, 7216, 7282])
    assert rebuild_gears(speed, rpm, np.ones(8, np.bool_)).tolist() == [3, 3, 3, 4, 4, 4, 4, 4]


def test_the_road_speed_changes_gears_while_the_engine_cannot_follow() -> None:
    # Braking hard with the wheels locked: fourth gear ends below 55 m/s, third below 39.2 m/s.
    speed = np.array([70.0, 69.0, 62.0, 56.0, 54.0, 48.0, 42.0, 39.0, 34.0])
    rpm = np.array([7700, 7590, 7300, 6900, 6500, 6100, 5700, 5300, 4900])
    assert rebuild_gears(speed, rpm, np.ones(9, np.bool_)).tolist() == [4, 4, 4, 4, 3, 3, 3, 2, 2]


def test_a_ghost_without_states_is_refused(ghost: Ghost, timeline: InputTimeline) -> None:
    with pytest.raises(ReplayRejectedError, match="no recorded states") as caught:
        ghost_trajectory(dataclasses.replace(ghost, samples=None), timeline, 1_000)
    assert caught.value.reason == "no_samples"
