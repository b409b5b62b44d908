"""The real game's interface over a socket: the same runs, the same pictures, the same refusals as the simulator."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from trackmaster.game import GameError, Inputs, SimulatorGame
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import LinkError
from trackmaster.game.standin.server import Standin
from trackmaster.game.state import STATE_FIELDS, CarState
from trackmaster.game.tminterface import TmInterfaceGame
from trackmaster.track import Track

STRAIGHT, GATES = "straight.Challenge.Gbx", "gates.Challenge.Gbx"
MAPS = {"straight": STRAIGHT, "gates": GATES}
FULL_GAS = Inputs(gas=1.0)


@pytest.fixture
def on_game(connect: Callable[..., LinkClient]) -> Iterator[Callable[..., TmInterfaceGame]]:
    games: list[TmInterfaceGame] = []

    def begin(standin: Standin, *, speak_plain: bool = False) -> TmInterfaceGame:
        games.append(TmInterfaceGame(connect(standin, speak_plain=speak_plain), MAPS))
        return games[-1]

    yield begin
    for game in games:
        game.close()


def assert_same(a: CarState, b: CarState) -> None:
    for name in STATE_FIELDS:
        left, right = getattr(a, name), getattr(b, name)
        if name == "cp_times_ms":  # beyond the count nothing is meant
            left, right = left[: a.cp_count], right[: b.cp_count]
        assert np.array_equal(left, right), name


@pytest.mark.parametrize("speak_plain", [True, False])
def test_a_run_through_the_socket_is_the_run_on_the_simulator(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track, speak_plain: bool
) -> None:
    real, simulated = on_game(start(), speak_plain=speak_plain), SimulatorGame()
    for game in (real, simulated):
        game.load(straight)
    assert_same(real.reset(), simulated.reset())
    assert np.array_equal(real.frame(48, 32), simulated.frame(48, 32))
    actions = [Inputs(gas=1.0), Inputs(-1.0, 1.0), Inputs(1.0, 1.0, 1.0), Inputs(0.0, 0.0, 1.0), Inputs(1.0, 1.0)]
    for k, ticks in enumerate((5, 5, 1, 3, 5, 7, 5, 5, 2, 5)):
        inputs = actions[k % len(actions)]
        for _ in range(ticks):  # the camera looks at every tick, as it does in the game
            expected = simulated.step(inputs, 1)
        assert_same(real.step(inputs, ticks), expected)
        if k % 2:
            assert np.array_equal(real.frame(48, 32), simulated.frame(48, 32))


def test_the_second_start_needs_no_countdown_and_is_the_first(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    standin = start()
    game = on_game(standin)
    game.load(straight)
    first = game.reset()
    game.step(FULL_GAS, 40)
    race = standin.game.race
    assert race is not None
    assert_same(game.reset(), first)
    assert race.tick_time_ms <= 410, "the clock went back to 0 at once"
    again = game.step(FULL_GAS, 40)
    assert again.time_ms == 400
    assert again.rpm > first.rpm


def test_a_snapshot_repeats_the_run_and_its_pictures(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    game = on_game(start())
    game.load(straight)
    game.reset()
    game.step(FULL_GAS, 100)
    kept = game.snapshot()
    first = game.step(Inputs(1.0, 1.0), 30)
    picture = game.frame(32, 24)
    game.step(Inputs(-1.0, 0.0, 1.0), 20)
    assert game.restore(kept).time_ms == 1_000
    assert_same(game.step(Inputs(1.0, 1.0), 30), first)
    assert np.array_equal(game.frame(32, 24), picture)
    with pytest.raises(GameError, match="cannot be restored"):
        game.restore("yesterday")


def test_two_pictures_of_one_tick_show_the_same_moment(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    game = on_game(start())
    game.load(straight)
    game.reset()
    state = game.step(FULL_GAS, 60)
    small = game.frame(16, 12)
    large = game.frame(64, 48)
    assert np.array_equal(game.frame(16, 12), small)
    assert large.shape == (48, 64, 4)
    assert game.step(FULL_GAS, 1).time_ms == state.time_ms + 10


def test_the_finish_stays_in_the_state_and_brings_no_medals(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], short_road: Track
) -> None:
    standin = start(medal_ticks=3)
    game, simulated = on_game(standin), SimulatorGame(watched=False)
    simulated.load(short_road)
    official = simulated.reset()
    while not official.finished:
        official = simulated.step(FULL_GAS, 1)
    game.load(short_road)
    state = game.reset()
    before = game.snapshot()
    while not state.finished:
        state = game.step(FULL_GAS, 5)
        assert state.time_ms < 10_000
    assert state.race_time_ms == official.race_time_ms
    assert state.cp_count == official.cp_count == 5
    assert state.cp_times_ms[:5].tolist() == official.cp_times_ms[:5].tolist()
    later = game.step(FULL_GAS, 20)
    assert later.finished
    assert later.race_time_ms == official.race_time_ms
    assert later.time_ms == state.time_ms + 200
    assert not game.restore(before).finished
    assert not game.reset().finished


def test_analog_steering_needs_our_plugin(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    standin = start()
    game, simulated = on_game(standin), SimulatorGame()
    simulated.load(straight)
    simulated.reset()
    game.load(straight)
    game.reset()
    for steer in (0.25, -0.5, 1.0, 0.0, 0.125):
        assert_same(game.step(Inputs(steer, 1.0), 20), simulated.step(Inputs(steer, 1.0), 20))
    game.close()
    plain = on_game(standin, speak_plain=True)
    plain.load(straight)
    plain.reset()
    plain.step(Inputs(-1.0, 1.0), 1)
    with pytest.raises(GameError, match="public plugin has no analog steering"):
        plain.step(Inputs(0.25, 1.0), 1)


def test_respawn_puts_the_car_back(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    game = on_game(start())
    game.load(straight)
    origin = game.reset().position_m
    moved = game.step(FULL_GAS, 200)
    game.step(Inputs(respawn=True), 3)
    state = game.step(Inputs(), 1)
    assert state.time_ms == moved.time_ms + 40
    assert np.linalg.norm(state.position_m - origin) < 0.2 < np.linalg.norm(moved.position_m - origin)


def test_a_lost_game_is_a_sentence_and_the_next_reset_connects_anew(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    standin = start("drop@race:12")
    game = on_game(standin)
    game.load(straight)
    game.reset()
    with pytest.raises(LinkError, match="is gone"):
        for _ in range(20):
            game.step(FULL_GAS, 1)
    with pytest.raises(GameError, match="reset"):
        game.step(FULL_GAS, 1)
    assert game.reset().time_ms == 0
    assert game.step(FULL_GAS, 5).time_ms == 50


def test_another_map_is_loaded_over_a_race(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track, short_road: Track
) -> None:
    standin = start()
    game = on_game(standin)
    game.load(straight)
    game.reset()
    game.step(FULL_GAS, 30)
    game.load(short_road)
    assert game.reset().time_ms == 0
    assert standin.game.map_name == GATES
    game.close()
    while standin.plugin.has_client:
        assert standin.error is None
    assert standin.game.speed == 1.0


def test_calls_in_the_wrong_order_are_sentences(
    start: Callable[..., Standin], on_game: Callable[..., TmInterfaceGame], straight: Track
) -> None:
    game = on_game(start())
    with pytest.raises(GameError, match="load"):
        game.reset()
    with pytest.raises(GameError, match="no file of the map 'elsewhere'"):
        game.load(dataclasses.replace(straight, uid="elsewhere"))
    game.load(straight)
    with pytest.raises(GameError, match="reset"):
        game.step(FULL_GAS, 1)
    game.reset()
    for ticks in (0, -3, 1.5):
        with pytest.raises(GameError, match="whole number of at least 1"):
            game.step(FULL_GAS, ticks)
