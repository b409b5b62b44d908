from dataclasses import fields

import numpy as np
import pytest

from trackmaster.expert import ExpertError, Found, drive_timeline, redrive, timeline_of
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.gbx import Ghost, InputTimeline
from trackmaster.gbx.timeline import ACCELERATE, BRAKE, LEFT, RIGHT
from trackmaster.sim import World
from trackmaster.track import Track

STRAIGHT_MS = 1_500
"""Race time of the drives below: the car is still on the first straight."""


@pytest.fixture(scope="module")
def decisions() -> np.ndarray:
    pattern = [ACCELERATE] * 6 + [ACCELERATE | LEFT] * 2 + [ACCELERATE | RIGHT] * 3 + [BRAKE] + [ACCELERATE] * 18
    return np.array(pattern, np.uint8)


@pytest.fixture(scope="module")
def ghost(track: Track, decisions: np.ndarray) -> Ghost:
    return drive_timeline(track, timeline_of(decisions, STRAIGHT_MS), limit_ms=STRAIGHT_MS)


def test_decisions_act_on_the_five_ticks_from_10_on(decisions: np.ndarray) -> None:
    steer, gas, brake = timeline_of(decisions, STRAIGHT_MS).effective()
    for k in (0, 4, 29, 30, 39, 40, 54, 55, 59, 60):
        held = decisions[k // 5]
        assert (gas[k] > 0, brake[k] > 0) == (bool(held & ACCELERATE), bool(held & BRAKE))
        assert steer[k] == (-1 if held & LEFT else 1 if held & RIGHT else 0)


def test_events_carry_the_start_of_the_tick_on_which_they_act(ghost: Ghost) -> None:
    assert ghost.events is not None
    pressed = {
        name: int(ghost.events.time_ms[ghost.events.of(name)][0]) for name in ("Accelerate", "SteerLeft", "Brake")
    }
    assert pressed == {"Accelerate": 10, "SteerLeft": 310, "Brake": 560}
    assert ghost.events.device == "keyboard"


def test_samples_are_the_states_after_the_ticks_that_events_rule(track: Track, ghost: Ghost) -> None:
    """Tick by tick: an event of time t is obeyed from the tick that starts at t; sample k follows tick 100 k - 10."""
    assert ghost.events is not None
    assert ghost.samples is not None
    world, held = World(track, 1), dict.fromkeys(("Accelerate", "Brake", "SteerLeft", "SteerRight"), 0)
    for start_ms in range(0, STRAIGHT_MS, 10):
        now = ghost.events.time_ms == start_ms
        for control, value in zip(ghost.events.control[now], ghost.events.value[now], strict=True):
            held[ghost.events.names[control]] = int(value)
        world.step(float(held["SteerRight"] - held["SteerLeft"]), held["Accelerate"], held["Brake"])
        if (start_ms + 10) % 100 == 0:
            k = (start_ms + 10) // 100
            assert np.array_equal(world.view.position_m[0], ghost.samples.position_m[k])
            assert ghost.samples.gas[k] == held["Accelerate"]
            assert ghost.samples.brake[k] == held["Brake"]
            assert ghost.samples.steer[k] == pytest.approx(held["SteerRight"] - held["SteerLeft"], abs=0.01)
    assert np.array_equal(ghost.samples.position_m[0], track.start.position_m.astype(np.float32))


def test_samples_tell_what_the_car_does(ghost: Ghost) -> None:
    s = ghost.samples
    assert s is not None
    assert s.rpm.max() > 5_000
    assert s.wheel_contact[-1].all()
    assert np.all(s.wheel_material[-1] == 16)
    assert s.wheel_rotation_rad[-1, 0] == pytest.approx(
        np.linalg.norm(np.diff(s.position_m, axis=0), axis=1).sum() / 0.364, rel=0.02
    )
    turning_left, turning_right = (s.steer < -0.5), (s.steer > 0.5)
    assert np.all(s.front_wheel_angle_rad[turning_left] > 0.1)
    assert np.all(s.front_wheel_angle_rad[turning_right] < -0.1)


def test_ghost_equals_the_one_that_the_game_interface_records(track: Track, found: Found) -> None:
    timeline, race_time_ms = timeline_of(found.keys, found.race_time_ms), found.race_time_ms
    ours = drive_timeline(track, timeline, limit_ms=race_time_ms)
    theirs = record_ghost(SimulatorGame(), track, timeline, nickname=ours.nickname, login=ours.login)
    assert (ours.race_time_ms, ours.cp_times_ms) == (theirs.race_time_ms, theirs.cp_times_ms)
    assert ours.events == theirs.events
    assert ours.samples is not None
    assert theirs.samples is not None
    until = race_time_ms // 100 + 1
    skip = {"raw", "front_wheel_angle_rad", "wheel_rotation_rad", "body_material"}
    for field in fields(ours.samples):
        if field.name not in skip:
            mine, other = getattr(ours.samples, field.name)[:until], getattr(theirs.samples, field.name)[:until]
            assert np.array_equal(mine, other), field.name


def test_a_finished_ghost_goes_on_for_a_second_and_brakes(track: Track, found: Found) -> None:
    timeline, race_time_ms = timeline_of(found.keys, found.race_time_ms), found.race_time_ms
    samples = drive_timeline(track, timeline, limit_ms=race_time_ms).samples
    assert samples is not None
    assert samples.time_ms[-1] >= race_time_ms + 900
    behind = samples.time_ms > race_time_ms + 20
    assert np.all(samples.brake[behind] == 1)
    assert np.all(samples.gas[behind] == 0)


def test_driving_again_gives_the_same_ghost_and_a_tick_later_another(track: Track, found: Found) -> None:
    timeline, race_time_ms = timeline_of(found.keys, found.race_time_ms), found.race_time_ms
    ghost = drive_timeline(track, timeline, limit_ms=race_time_ms)
    again = redrive(track, ghost)
    assert again == ghost
    late = InputTimeline.from_keys(np.concatenate([[0], timeline.keys_u8[:-1]]))
    other = drive_timeline(track, late, limit_ms=race_time_ms + 100)
    assert other.samples is not None
    assert other.samples != ghost.samples


def test_an_unfinished_ghost_cannot_be_driven_again(track: Track, ghost: Ghost) -> None:
    with pytest.raises(ExpertError, match="no finish time"):
        redrive(track, ghost)
