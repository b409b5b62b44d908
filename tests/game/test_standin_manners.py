"""The awkward manners of the real game, one test each: whoever copes with the stand-in copes with the game."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trackmaster.errors import TrackmasterError
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import LostConnectionError
from trackmaster.game.link.protocol import Message
from trackmaster.game.standin.game import GameOptions, Screen, StandinGame
from trackmaster.game.standin.race import COUNTDOWN_MS, GatePassed, Race
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Command, Control, write_challenge
from trackmaster.track import Track

STRAIGHT, GATES, INTRO = "straight.Challenge.Gbx", "gates.Challenge.Gbx", "intro.Challenge.Gbx"
GO = [Command(0, Control.ACCELERATE, 1)]


def frames(game: StandinGame, count: int) -> None:
    for _ in range(count):
        game.frame()


def loaded(options: GameOptions, name: str = STRAIGHT) -> StandinGame:
    game = StandinGame(options)
    game.command("set skip_map_load_screens true")
    game.frame()
    game.command(f"map {name}")
    frames(game, options.load_frames + 3)
    return game


def drive(race: Race, until_ms: int) -> list[tuple[int, GatePassed]]:
    reports = []
    while race.tick_time_ms < until_ms:
        reports += [(race.tick_time_ms, report) for report in race.tick()]
    return reports


def test_commands_of_one_frame_run_last_in_first_out(options: GameOptions) -> None:
    game = StandinGame(options)
    game.command("set countdown_speed 1")
    game.command("set countdown_speed 2")
    game.frame()
    assert game.variables["countdown_speed"] == "1", "the first command ran last"
    game.command("set countdown_speed 3")
    game.frame()
    assert game.variables["countdown_speed"] == "3"


def test_map_is_only_queued_and_several_load_one_after_the_other(options: GameOptions) -> None:
    game = loaded(options)
    assert (game.screen, game.map_name) == (Screen.RACE, STRAIGHT)
    game.command(f"map {GATES}")
    game.frame()
    assert game.map_name == STRAIGHT, "the old race goes on meanwhile"
    game.tick()
    game.command(f"map {STRAIGHT}")
    frames(game, options.load_frames + 1)
    assert game.map_name == GATES
    frames(game, 3)
    assert game.map_name == STRAIGHT


def test_maps_added_after_the_start_do_not_exist(options: GameOptions, straight: Track, tmp_path: Path) -> None:
    folder = tmp_path / "Tracks" / "Challenges" / "sub"
    folder.mkdir(parents=True)
    (folder / "early.Challenge.Gbx").write_bytes(write_challenge(straight.challenge))
    game = StandinGame(dataclasses.replace(options, base_path=tmp_path))
    (folder / "late.Challenge.Gbx").write_bytes(write_challenge(straight.challenge))
    assert game.maps.has("sub\\early.Challenge.Gbx")
    assert not game.maps.has("sub/late.Challenge.Gbx")
    with pytest.raises(TrackmasterError, match="when the game started"):
        game.maps.track("sub/late.Challenge.Gbx")
    assert game.maps.track("sub/early.Challenge.Gbx").uid == straight.uid


def test_an_intro_waits_for_a_key_with_the_focus(options: GameOptions) -> None:
    game = loaded(options, INTRO)
    frames(game, 50)
    assert game.screen is Screen.INTRO
    game.is_focused = False
    game.press("enter")
    assert game.screen is Screen.INTRO
    game.focus()
    game.press("enter")
    assert game.screen is Screen.RACE


def test_the_load_screen_waits_for_a_key_unless_it_is_switched_off_before(options: GameOptions) -> None:
    game = StandinGame(options)
    game.command(f"map {STRAIGHT}")
    frames(game, options.load_frames + 3)
    assert game.screen is Screen.PRESS_A_KEY
    game.press("delete")
    assert game.screen is Screen.RACE


def test_the_medal_screen_blocks_the_next_map_until_a_key(options: GameOptions) -> None:
    game = loaded(options)
    game.play(GO)
    while game.screen is Screen.RACE:
        game.tick()
    assert game.screen is Screen.MEDALS
    game.command(f"map {GATES}")
    frames(game, 100)
    assert game.map_name == STRAIGHT
    game.give_up()
    assert game.screen is Screen.MEDALS, "it does not listen to that"
    game.press("enter")
    frames(game, 3)
    assert game.map_name == GATES


def test_a_finish_taken_back_brings_no_medals(options: GameOptions) -> None:
    game = loaded(options)
    game.play(GO)
    while not game.race or not game.race.is_finished:
        game.tick()
    game.race.rewind(game.race.state.without_finish())
    for _ in range(options.medal_ticks + 5):
        game.tick()
    assert game.screen is Screen.RACE
    assert not game.race.is_finished


def test_without_the_focus_no_input_counts_and_no_map_loads_from_the_menus(options: GameOptions) -> None:
    game = loaded(dataclasses.replace(options, is_focused=False))
    assert game.screen is Screen.MENUS
    game.focus()
    frames(game, 3)
    assert game.race is not None
    game.race.takes_inputs = False
    game.play(GO)
    game.race.set_keys(left=True, right=False, accelerate=True, brake=False)
    drive(game.race, 500)
    assert game.race.state["actual_rpm"] < 500
    assert game.race.inputs_text() == ""


def test_inputs_set_in_a_callback_act_in_the_tick_after_it(straight: Track) -> None:
    race = Race(straight)
    drive(race, 100)
    race.set_keys(left=False, right=False, accelerate=True, brake=False)
    assert race.state["input_gas"] == 0, "the tick that has just passed knew nothing of it"
    race.tick()
    assert race.state["input_gas"] == 1
    scripted = Race(straight)
    scripted.play([Command(100, Control.ACCELERATE, 1)])
    drive(scripted, 110)
    assert scripted.state.to_bytes() == race.state.to_bytes(), "a script line at T is what a client sets in T"


def test_the_finish_is_told_one_tick_late_with_the_official_time(straight: Track) -> None:
    race = Race(straight)
    race.play(GO)
    reports = drive(race, 7_500)
    (first_ms, first), (last_ms, last) = reports
    assert (first, last) == (GatePassed(1, 2), GatePassed(2, 2))
    assert last.is_finish
    official = race.state.cp_times_ms
    assert official[0] == first_ms, "a checkpoint is told in its own tick"
    assert official[1] == last_ms - 10, "the finish one tick later"
    assert race.race_time_ms == official[1]
    assert race.tick_time_ms == 7_500
    assert race.state.race_time_ms == official[1]


def test_the_tick_of_the_finish_does_not_know_of_it(straight: Track) -> None:
    race = Race(straight)
    race.play(GO)
    while len(race.state.cp_times_ms) < 2:
        before = race.state.copy()
        race.tick()
    assert before.race_time_ms == race.race_time_ms
    assert not before["race_finished"]
    assert before.cp_times_ms == race.state.cp_times_ms[:1]
    race.rewind(before)
    assert [report.is_finish for report in race.tick()] == [True], "going back to it tells the finish again"


def test_laps_are_counted_besides_gates(short_road: Track) -> None:
    race = Race(dataclasses.replace(short_road, laps=2))
    race.play(GO)
    reports = [report for _, report in drive(race, 9_000)]
    assert GatePassed(5, 10) in reports
    assert reports[reports.index(GatePassed(5, 10)) + 1] == GatePassed(1, 2, is_lap=True)
    assert not any(report.is_finish for report in reports)


def test_a_state_can_be_edited_and_handed_back(straight: Track) -> None:
    race = Race(straight)
    race.play(GO)
    drive(race, 1_000)
    state = race.state.copy()
    state["current"]["position"] += np.float32([0, 3, 0])
    state["current"]["linear_speed"] = (1, 2, 3)
    race.rewind(state)
    assert race.state["current"]["position"].tolist() == state["current"]["position"].tolist()
    assert race.state["current"]["linear_speed"].tolist() == [1, 2, 3]
    race.tick()
    assert not race.state["wheels"]["real_time"]["has_ground_contact"].any(), "it flies"


def test_a_state_of_another_map_or_a_real_game_is_told_and_ignored(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], short_road: Track
) -> None:
    standin = start(start_map=STRAIGHT)
    client = connect(standin)
    client.connect()
    elsewhere = Race(short_road).state
    client.rewind(elsewhere)
    foreign = client.get_state().copy()
    foreign.memory[232:236] = b"\0\0\0\0"
    client.rewind(foreign)
    client.is_in_menus()  # an answer: what was sent before is done
    assert [line for line in standin.game.lines if "another map" in line]
    assert [line for line in standin.game.lines if "not taken from this simulator" in line]


def test_the_race_begins_with_a_countdown_and_hands_out_equal_starts(straight: Track) -> None:
    race = Race(straight)
    race.tick()
    assert race.race_time_ms == -COUNTDOWN_MS
    drive(race, 0)
    first = race.state.to_bytes()
    race.set_keys(left=True, right=False, accelerate=True, brake=False)
    drive(race, 600)
    race.restart()
    drive(race, 0)
    assert race.state.to_bytes() == first


def test_the_hud_comes_back_with_every_map(options: GameOptions) -> None:
    game = loaded(options)
    with_hud = game.picture(64, 48)
    game.is_hud_shown = False
    without = game.picture(64, 48)
    assert (with_hud[-2, 3, :3] == 255).all()
    assert not np.array_equal(with_hud, without)
    game.command(f"map {GATES}")
    frames(game, options.load_frames + 3)
    assert game.is_hud_shown


def test_a_game_that_nobody_listens_to_runs_freely(start: Callable[..., Standin]) -> None:
    standin = start(start_map=STRAIGHT)
    race = standin.game.race
    assert race is not None
    while race.tick_time_ms < -COUNTDOWN_MS + 50:
        assert standin.error is None
    assert not standin.plugin.has_client


def test_a_minimised_window_accepts_nobody_until_it_is_opened(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(is_minimised=True)
    client = connect(standin)
    standin.game.is_minimised = False
    client.connect()
    assert client.inside is Message.SC_ON_CONNECT_SYNC


def test_a_game_that_starts_up_greets_only_in_its_menus(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(startup_frames=20)
    client = connect(standin)
    client.connect()
    assert client.was_in_menus


def test_a_second_plain_client_replaces_the_first_without_a_word(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(speaks_ours=False, start_map=STRAIGHT)
    first, second = connect(standin), connect(standin)
    first.connect()
    first.request_frame(16, 8)
    first.set_speed(0.0)
    first.acknowledge()
    second.connect()
    second.set_speed(1.0)
    with pytest.raises(LostConnectionError, match="another program took its only place"):
        for _ in range(5):  # a run step or the picture may have been on its way
            first.wait()
            first.acknowledge()


def test_the_plugin_drops_a_client_that_holds_it_too_long_and_keeps_the_speed(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], jumping_clock: Callable[[], "object"]
) -> None:
    clock = jumping_clock()
    standin = start(speaks_ours=False, start_map=STRAIGHT, clock=clock)
    client = connect(standin)
    client.connect()
    client.set_timeout(5_000)
    client.set_speed(0.0)
    client.is_in_menus()
    clock.jump(4.9)  # type: ignore[attr-defined]
    assert client.is_in_menus() is False
    clock.jump(0.2)  # type: ignore[attr-defined]
    while standin.plugin.has_client:
        assert standin.error is None
    with pytest.raises(LostConnectionError):
        client.is_in_menus()
    assert standin.game.speed == 0.0, "the public plugin leaves a paused game paused"
    client.connect()
    client.set_speed(1.0)
    client.acknowledge()
    assert client.wait().is_run_step


def test_a_picture_asked_for_inside_of_a_picture_is_lost(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(speaks_ours=False, start_map=STRAIGHT)
    client = connect(standin)
    client.connect()
    client.request_frame(16, 16)
    client.acknowledge()
    while not (event := client.wait()).picture is not None:
        client.acknowledge()
    wire = client._inside()
    wire.channel.write(bytes.fromhex("11000000 10000000 10000000"))  # our client refuses to say this
    client.acknowledge()
    assert event.picture.shape == (16, 16, 4)
    for _ in range(5):
        assert client.wait().is_run_step
        client.acknowledge()


def test_at_high_speed_the_race_moves_on_before_the_picture_is_drawn(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(speaks_ours=False, start_map=STRAIGHT)
    client = connect(standin)
    client.connect()
    client.set_speed(16.0)
    client.acknowledge()
    client.wait()
    client.request_frame(8, 8)
    steps = 0
    while True:
        client.acknowledge()
        if not client.wait().is_run_step:
            break
        steps += 1
    assert 0 < steps <= 16


def test_unknown_numbers_are_logged_and_cost_four_bytes(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(speaks_ours=False)
    client = connect(standin)
    client.connect()  # says hello, which the public plugin does not know
    assert list(standin.game.lines) == ["unknown message 100"]
    assert not client.plugin.is_ours
