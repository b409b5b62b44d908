"""The simulator as a game: its clock, its snapshots, its pictures, its refusals."""

import dataclasses

import cv2
import numpy as np
import pytest

from trackmaster.game import UNDISTURBED, GameError, Inputs, SimulatorFleet, SimulatorGame, Start
from trackmaster.game.state import STATE_FIELDS, CarState
from trackmaster.track import Track

FULL_GAS = Inputs(gas=1.0)


@pytest.fixture
def game(straight: Track) -> SimulatorGame:
    game = SimulatorGame()
    game.load(straight)
    return game


def assert_equal(a: CarState, b: CarState) -> None:
    for name in STATE_FIELDS:
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_reset_shows_race_time_zero_after_one_free_tick(game: SimulatorGame, straight: Track) -> None:
    state = game.reset()
    assert state.time_ms == 0
    # One tick of free fall has passed: the car has speed, and it has not been driven.
    assert state.velocity_mps[1] < 0
    assert state.rpm == 0
    assert np.abs(state.position_m - straight.start.position_m).max() < 0.01


def test_inputs_given_at_t_act_from_the_next_tick_on(game: SimulatorGame) -> None:
    game.reset()
    driven = game.step(FULL_GAS, 20)
    game.reset()
    coasted = game.step(Inputs(), 20)
    assert driven.time_ms == coasted.time_ms == 200
    assert driven.rpm > 500 > coasted.rpm
    # Given at 0, the inputs act on the tick that starts at 10: one more free tick gives the same run one tick later.
    game.reset()
    game.step(Inputs(), 1)
    later = game.step(FULL_GAS, 20)
    assert later.time_ms == 210
    assert later.rpm < game.step(FULL_GAS, 1).rpm


def test_ticks_in_one_call_or_one_by_one_are_the_same(game: SimulatorGame) -> None:
    game.reset()
    together = game.step(Inputs(0.3, 1.0, 0.0), 50)
    game.reset()
    for _ in range(50):
        apart = game.step(Inputs(0.3, 1.0, 0.0), 1)
    assert_equal(together, apart)


def test_a_snapshot_repeats_the_run_and_its_pictures_bit_for_bit(game: SimulatorGame) -> None:
    game.reset()
    game.step(FULL_GAS, 100)
    kept = game.snapshot()
    first = game.step(Inputs(1.0, 1.0, 0.0), 30)
    first_frame = game.frame(48, 32)
    game.step(Inputs(-1.0, 0.0, 1.0), 50)
    assert game.restore(kept).time_ms == 1_000
    second = game.step(Inputs(1.0, 1.0, 0.0), 30)
    assert_equal(first, second)
    assert np.array_equal(first_frame, game.frame(48, 32))
    assert game.reset(kept).time_ms == 1_000


def test_a_finish_stands_in_the_state_with_its_time(game: SimulatorGame) -> None:
    state = game.reset()
    while not state.finished:
        state = game.step(FULL_GAS, 1)
        assert state.time_ms < 10_000
    # The race time is the callback in which the crossing is seen: the last ghost time before it.
    assert state.race_time_ms == state.time_ms
    assert state.cp_count == 2
    assert state.cp_times_ms[1] == state.race_time_ms


def test_respawn_puts_the_car_back_and_the_clock_runs_on(game: SimulatorGame, straight: Track) -> None:
    game.reset()
    game.step(FULL_GAS, 200)
    state = game.step(Inputs(respawn=True), 1)
    assert state.time_ms == 2_010
    assert np.linalg.norm(state.position_m - straight.start.position_m) < 0.1


def test_frames_are_bgra_from_top_to_bottom(game: SimulatorGame) -> None:
    game.reset()
    frame = game.frame(64, 48)
    assert frame.shape == (48, 64, 4)
    assert frame.dtype == np.uint8
    sky, road = frame[2].astype(int), frame[-2].astype(int)
    assert (sky[:, 0] > sky[:, 2]).all(), "the sky is above, and blue comes first"
    assert road.mean() < sky.mean()


def test_grey_pictures_are_the_colour_pictures_in_grey(straight: Track) -> None:
    fleet = SimulatorFleet((straight,), 3)
    for ticks in (40, 60):
        fleet.step(np.array([0, 1, -1], np.float32), np.ones(3, np.float32), np.zeros(3, np.float32), ticks)
        grey = fleet.pictures((40, 30))
        colour = fleet.pictures((40, 30), mode="bgra")
        assert np.array_equal(grey, np.stack([cv2.cvtColor(frame, cv2.COLOR_BGRA2GRAY) for frame in colour]))
        assert np.array_equal(fleet.pictures((40, 30), cars=np.array([2])), grey[2:])


def test_a_car_drives_the_same_alone_and_among_others(straight: Track, game: SimulatorGame) -> None:
    fleet = SimulatorFleet((straight,), 4)
    game.reset()
    for k in range(30):
        steer = np.array([1.0, -0.2, 0.0, np.sin(k)], np.float32)
        fleet.step(steer, np.ones(4, np.float32), np.zeros(4, np.float32), 5)
        alone = game.step(Inputs(float(steer[3]), 1.0, 0.0), 5)
    assert_equal(alone, fleet.states.car(3))
    assert np.array_equal(game.frame(32, 32), fleet.pictures((32, 32), mode="bgra")[3])


def test_one_car_can_start_anew_while_the_others_drive_on(straight: Track) -> None:
    def drive(resets: bool) -> SimulatorFleet:
        fleet = SimulatorFleet((straight,), 3)
        for k in range(20):
            if resets and k == 10:
                fleet.reset(np.array([False, True, False]), [UNDISTURBED, Start(3, 0.4, 0.01), UNDISTURBED])
            fleet.step(np.zeros(3, np.float32), np.ones(3, np.float32), np.zeros(3, np.float32), 5)
            fleet.pictures((16, 16))
        return fleet

    calm, busy = drive(False), drive(True)
    for car in (0, 2):
        assert_equal(calm.states.car(car), busy.states.car(car))
        assert np.array_equal(calm.pictures((32, 32))[car], busy.pictures((32, 32))[car])
    assert busy.states.time_ms.tolist() == [1_000, 530, 1_000]


def test_a_disturbed_start_moves_turns_and_delays(game: SimulatorGame, straight: Track) -> None:
    plain = game.reset()
    state = game.reset_at(Start(wait_ticks=4, lateral_m=0.5, yaw_rad=0.01))
    assert state.time_ms == 40
    left = straight.start.rotation[:, 0]
    assert np.dot(state.position_m - plain.position_m, left) == pytest.approx(0.5, abs=0.01)
    # Turned to the left: the forward axis leans towards the left axis.
    assert np.dot(state.rotation[:, 2], left) == pytest.approx(np.sin(0.01), abs=1e-4)


@pytest.mark.parametrize(("steer", "gas", "brake"), [(1.5, 0, 0), (0, -0.1, 0), (0, 0, 2), (float("nan"), 0, 0)])
def test_impossible_inputs_are_refused(steer: float, gas: float, brake: float) -> None:
    with pytest.raises(GameError, match="steer goes from -1"):
        Inputs(steer, gas, brake)


def test_calls_in_the_wrong_order_are_sentences(straight: Track) -> None:
    game = SimulatorGame()
    with pytest.raises(GameError, match="load"):
        game.reset()
    game.load(straight)
    with pytest.raises(GameError, match="reset"):
        game.step(FULL_GAS, 1)
    game.reset()
    for ticks in (0, -3, 1.5):
        with pytest.raises(GameError, match="whole number of at least 1"):
            game.step(FULL_GAS, ticks)
    with pytest.raises(GameError, match="cannot be restored"):
        game.restore("yesterday")
    elsewhere = SimulatorGame()
    elsewhere.load(dataclasses.replace(straight, uid="elsewhere"))
    with pytest.raises(GameError, match="the map 'straight', the car drives on 'elsewhere'"):
        elsewhere.restore(game.snapshot())
    blind = SimulatorGame(watched=False)
    blind.load(straight)
    blind.reset()
    with pytest.raises(GameError, match="watched=True"):
        blind.frame(8, 8)


def test_cameras_begin_anew_after_a_respawn_whether_or_not_somebody_looks(straight: Track) -> None:
    full = [np.full(1, value, np.float32) for value in (0.0, 1.0, 0.0)]
    seen = []
    for looks in ((), ("before",), ("between",), ("snapshot",)):
        fleet = SimulatorFleet((straight,), 1)
        fleet.reset(np.ones(1, bool))
        fleet.step(*full, 100)
        if "before" in looks:
            fleet.pictures((24, 16))
        fleet.respawn(np.ones(1, bool))
        if "between" in looks:
            fleet.pictures((24, 16))
        if "snapshot" in looks:
            kept = fleet.snapshot(0)
            fleet.step(*full, 50)
            fleet.restore(0, kept)
        fleet.step(*full, 1)
        first = fleet.pictures((24, 16)).copy()
        fleet.step(*full, 1)
        seen.append((first.tobytes(), fleet.pictures((24, 16)).tobytes()))
        fleet.close()
    assert len(set(seen)) == 1
