"""A driven run becomes a ghost that reads back and drives again."""

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.game import GameError, SimulatorGame, drive_timeline, record_ghost
from trackmaster.game.recording import inputs_in_force
from trackmaster.gbx import InputTimeline, Replay
from trackmaster.track import Track

WIGGLE = np.full(760, 1, np.uint8)
WIGGLE[100:120] |= 4
WIGGLE[120:142] |= 8
WIGGLE[300:330] ^= 1


def test_what_acts_is_what_was_set_one_callback_before() -> None:
    timeline = InputTimeline.from_keys(np.array([1, 1, 9, 2], np.uint8))
    steer, gas, brake = inputs_in_force(timeline, 6)
    assert gas.tolist() == [0, 1, 1, 1, 0, 0]
    assert steer.tolist() == [0, 0, 0, 1, 0, 0]
    assert brake.tolist() == [0, 0, 0, 0, 1, 1]


def test_a_recorded_run_survives_a_file_and_drives_again(straight: Track) -> None:
    game = SimulatorGame(watched=False)
    ghost = record_ghost(game, straight, InputTimeline.from_keys(WIGGLE), nickname="tester")
    content = gbx.write_replay(gbx.write_challenge(straight.challenge), ghost)
    replay = gbx.read(content)
    assert isinstance(replay, Replay)
    assert replay.race_time_ms == ghost.race_time_ms
    read = replay.ghosts[0]
    assert read.cp_times_ms == ghost.cp_times_ms
    timeline = InputTimeline.from_events(read.events, read.race_time_ms)
    run = drive_timeline(game, timeline, linger_ms=200)
    assert run.finish_ms == ghost.race_time_ms
    samples = read.samples
    assert np.array_equal(samples.position_m[0], straight.start.position_m.astype(np.float32))
    # Sample s is the state of callback s - 10, bit for bit.
    rows = (samples.time_ms[1:] - 10) // 10
    assert np.array_equal(samples.position_m[1:], run.states.position_m[rows])
    assert samples.time_ms[-1] > ghost.race_time_ms


def test_samples_show_the_inputs_set_ten_milliseconds_before(straight: Track) -> None:
    ghost = record_ghost(SimulatorGame(watched=False), straight, InputTimeline.from_keys(WIGGLE))
    # Left is set in the callback of 1000, an event at 1010: the sample at 1000 does not show it, that at 1100 does.
    assert ghost.samples.steer[10] == pytest.approx(0, abs=0.01)
    assert ghost.samples.steer[11] == pytest.approx(-1, abs=0.01)
    assert ghost.samples.gas[0] == 0
    assert ghost.samples.gas[1] == 1


def test_a_run_that_ends_nowhere_is_refused(straight: Track) -> None:
    with pytest.raises(GameError, match="do not reach the finish"):
        record_ghost(SimulatorGame(watched=False), straight, InputTimeline.from_keys(np.zeros(20, np.uint8)))
