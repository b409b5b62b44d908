"""Exact ticks through either dialect, and the screens of the game from a player's point of view."""

from collections.abc import Callable

import numpy as np
import pytest

from trackmaster.game import Inputs, SimulatorGame
from trackmaster.game.link.barrier import SamplePlan, WrongTickError, samples
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import CannotConnectError
from trackmaster.game.link.events import Event
from trackmaster.game.link.play import Player, PlayOptions, StallError
from trackmaster.game.link.protocol import Message, ProtocolError, Wants
from trackmaster.game.recording import drive_timeline
from trackmaster.game.standin.game import Screen
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Command, Control, InputTimeline, to_script
from trackmaster.track import Track

STRAIGHT, GATES, INTRO = "straight.Challenge.Gbx", "gates.Challenge.Gbx", "intro.Challenge.Gbx"
BOTH = Wants.STATE | Wants.PICTURE
WEAVE = [
    Command(0, Control.ACCELERATE, 1), Command(300, Control.LEFT, 1), Command(420, Control.LEFT, 0),
    Command(420, Control.RIGHT, 1), Command(560, Control.RIGHT, 0),
]  # fmt: skip


def armed(
    client: LinkClient, name: str, commands: list[Command], *, speed: float = 1.0, script: str | None = None
) -> Player:
    player = Player(client, PlayOptions(running_speed=speed))
    player.load_map(name)
    player.arm(commands if script is None else script)
    client.acknowledge()
    client.wait()
    player.restart()
    return player


@pytest.mark.parametrize("speed", [1.0, 16.0])
@pytest.mark.parametrize("speak_plain", [True, False])
def test_samples_are_the_ticks_of_the_simulator_byte_for_byte(
    start: Callable[..., Standin],
    connect: Callable[..., LinkClient],
    short_road: Track,
    speak_plain: bool,
    speed: float,
) -> None:
    standin = start(scripts={"weave.txt": to_script(WEAVE)})
    client = connect(standin, speak_plain=speak_plain)
    armed(client, GATES, WEAVE, speed=speed, script="weave.txt" if speak_plain else None)
    times = [0, 20, 40, 50, 70, 80, 100, 310, 430, 440, 1_000]  # 64 pictures a second, and edges of keys
    plan = SamplePlan([(time_ms, BOTH if time_ms % 100 else Wants.STATE) for time_ms in times], 48, 32)
    taken = list(samples(client, plan, speed=speed))
    assert [sample.tick_time_ms for sample in taken] == times
    assert client.inside in {Message.SC_SAMPLE, Message.SC_RUN_STEP_SYNC}

    game = SimulatorGame()
    game.load(short_road)
    timeline = InputTimeline.from_commands(WEAVE, 2_000)
    run = drive_timeline(game, timeline)
    game.reset()
    steer, gas, brake = timeline.effective()
    for sample in taken:
        row = sample.tick_time_ms // 10
        assert sample.state is not None
        car = sample.state.car_states()
        assert np.array_equal(car.position_m[0], run.states.position_m[row])
        assert np.array_equal(car.velocity_mps[0], run.states.velocity_mps[row])
        assert np.array_equal(car.rpm[0], run.states.rpm[row])
    state = game.reset()
    by_time = {sample.tick_time_ms: sample.picture for sample in taken}
    while state.time_ms <= 440:
        picture = by_time.get(state.time_ms)
        if picture is not None:
            assert np.array_equal(picture, game.frame(48, 32)), state.time_ms
        k = state.time_ms // 10
        state = game.step(Inputs(float(steer[k]), float(gas[k]), float(brake[k])), 1)


@pytest.mark.parametrize("speak_plain", [True, False])
def test_a_plan_runs_through_gates_and_the_finish_and_beyond(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], speak_plain: bool
) -> None:
    standin = start(medal_ticks=2)
    client = connect(standin, speak_plain=speak_plain)
    armed(client, GATES, WEAVE[:1], script="go.txt")
    plan = SamplePlan([(time_ms, Wants.STATE) for time_ms in range(0, 9_000, 100)], 8, 8)
    gates: list[Event] = []
    times: list[int] = []
    for event in samples(client, plan, speed=1.0):
        if event.message is Message.SC_SAMPLE:
            times.append(event.tick_time_ms)
        else:
            gates.append(event)
    assert times == list(range(0, 9_000, 100)), "no medal screen came although the finish was crossed"
    assert [(gate.current, gate.target) for gate in gates] == [(k, 5) for k in range(1, 6)]
    finish = gates[-1]
    assert finish.is_finish
    assert finish.state is not None
    assert finish.state.cp_times_ms[-1] == finish.state.race_time_ms
    assert len(finish.state.cp_times_ms) == 5


def test_a_tick_of_the_past_is_noticed(start: Callable[..., Standin], connect: Callable[..., LinkClient]) -> None:
    for speak_plain in (True, False):
        client = connect(start(start_map=STRAIGHT), speak_plain=speak_plain)
        client.connect()
        client.acknowledge()
        while client.wait().time_ms < 50:
            client.acknowledge()
        plan = SamplePlan([(30, BOTH), (60, BOTH)], 8, 8)
        with pytest.raises(WrongTickError, match="not used"):
            list(samples(client, plan, speed=1.0))


@pytest.mark.parametrize("entries", [[], [(20, BOTH), (10, BOTH)], [(10, BOTH), (10, BOTH)], [(15, BOTH)]])
def test_a_plan_that_no_race_can_follow_is_refused(entries: list[tuple[int, Wants]]) -> None:
    with pytest.raises(ProtocolError, match="ascending multiples of 10"):
        SamplePlan(entries, 8, 8)


def test_a_pushed_car_does_not_repeat_the_run(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    states = []
    for faults in ((), ("diverge@race:3",)):
        client = connect(start(*faults))
        player = armed(client, STRAIGHT, WEAVE)
        player.run_to_start()
        while client.race_time_ms != 200:
            client.acknowledge()
            client.wait()
        states.append(client.get_state())
    apart = states[0]["current"]["position"] - states[1]["current"]["position"]
    assert np.linalg.norm(apart) == pytest.approx(0.5, abs=0.05)


# Screens


def test_a_new_map_is_told_from_later_ticks_of_the_old_race(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(load_frames=40, start_map=STRAIGHT)
    client = connect(standin)
    player = Player(client)
    player.connect()
    client.acknowledge()
    client.wait()
    assert client.race_time_ms is not None
    assert client.race_time_ms < 0, "the old race is in its own countdown"
    event = player.load_map(GATES)
    assert standin.game.map_name == GATES
    assert event.time_ms == -2_500
    assert player.map_name == GATES


def test_an_intro_is_skipped_by_a_key_in_a_new_session(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], patient_clock: Callable[..., "object"]
) -> None:
    standin = start()
    clock = patient_clock(standin)
    client = connect(standin, clock=clock)
    player = Player(client, clock=clock)  # type: ignore[arg-type]
    event = player.load_map(INTRO)
    assert event.time_ms < 0
    assert standin.game.screen is Screen.RACE


@pytest.mark.parametrize("speak_plain", [True, False])
def test_a_map_that_never_begins_is_no_start(
    start: Callable[..., Standin],
    connect: Callable[..., LinkClient],
    patient_clock: Callable[..., "object"],
    speak_plain: bool,
) -> None:
    standin = start()
    clock = patient_clock(standin)
    client = connect(standin, speak_plain=speak_plain, clock=clock)
    began = clock.now_s()  # type: ignore[attr-defined]
    with pytest.raises(StallError, match="did not begin within 25 s") as stall:
        Player(client, clock=clock).load_map("unknown.Challenge.Gbx")  # type: ignore[arg-type]
    assert stall.value.reason == "no_start"
    assert 24 < clock.now_s() - began < 32  # type: ignore[attr-defined]
    assert not client.is_connected


def test_a_dialog_that_no_key_closes_is_a_stuck_menu(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], patient_clock: Callable[..., "object"]
) -> None:
    standin = start(start_map=STRAIGHT)
    standin.game.press = lambda key: None  # type: ignore[method-assign]
    standin.game.give_up = lambda: None  # type: ignore[method-assign]
    standin.game.screen = Screen.MEDALS
    clock = patient_clock(standin)
    client = connect(standin, clock=clock)
    with pytest.raises(StallError, match="a medal screen or a dialog waits") as stall:
        Player(client, clock=clock).load_map(GATES)  # type: ignore[arg-type]
    assert stall.value.reason == "stuck_menu"


def test_a_race_that_stands_still_is_stalled(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], patient_clock: Callable[..., "object"]
) -> None:
    standin = start("hang@race:5")
    clock = patient_clock(standin)
    client = connect(standin, clock=clock)
    player = Player(client, clock=clock)  # type: ignore[arg-type]
    player.load_map(STRAIGHT)
    player.run_to_start()
    with pytest.raises(StallError, match="the race stands still") as stall:
        for _ in range(10):
            client.acknowledge()
            player.wait_for_tick()
    assert stall.value.reason == "stalled"
    with pytest.raises(CannotConnectError):
        client.connect()


def test_a_race_that_does_not_let_itself_be_given_up_is_stalled(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], jumping_clock: Callable[..., "object"]
) -> None:
    standin = start()
    clock = jumping_clock(lambda _: bool(clock.jump(0.5)))  # type: ignore[attr-defined]
    client = connect(standin, clock=clock)
    player = Player(client, clock=clock)  # type: ignore[arg-type]
    player.load_map(STRAIGHT)
    player.run_to_start()
    standin.game.give_up = lambda: None  # type: ignore[method-assign]
    began = clock.now_s()  # type: ignore[attr-defined]
    with pytest.raises(StallError, match="no countdown came") as stall:
        player.restart()
    assert stall.value.reason == "stalled"
    assert 25 <= clock.now_s() - began < 60  # type: ignore[attr-defined]


def test_our_plugin_brings_the_window_to_the_front(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start(is_focused=False)
    client = connect(standin)
    armed(client, STRAIGHT, WEAVE)
    assert standin.game.is_focused
    plain = start(is_focused=False, start_map=STRAIGHT)
    deaf = connect(plain, speak_plain=True)
    player = armed(deaf, GATES, [], script="go.txt")
    player.run_to_start()
    while deaf.race_time_ms != 300:
        deaf.acknowledge()
        deaf.wait()
    assert deaf.get_state()["actual_rpm"] < 500, "an unfocused instance ignores the script"


def test_leaving_takes_the_script_away(start: Callable[..., Standin], connect: Callable[..., LinkClient]) -> None:
    standin = start()
    client = connect(standin)
    player = armed(client, STRAIGHT, WEAVE)
    player.leave()
    while standin.plugin.has_client:
        assert standin.error is None
    assert standin.game.race is not None
    assert standin.game.race.script == []
    assert standin.game.speed == 1.0


def test_a_list_of_inputs_needs_our_plugin(start: Callable[..., Standin], connect: Callable[..., LinkClient]) -> None:
    client = connect(start(start_map=STRAIGHT), speak_plain=True)
    player = Player(client)
    player.connect()
    with pytest.raises(ProtocolError, match="does not offer C_PLAY_INPUTS"):
        player.arm(WEAVE)
