"""Faults on demand: each kind in each phase where it can happen ends in one of our own errors, never in a hang."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trackmaster.errors import ConfigError, TrackmasterError
from trackmaster.game import GameError
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import CannotConnectError, SilentGameError
from trackmaster.game.link.play import Player
from trackmaster.game.standin.faults import KINDS, PHASES, Fault, FaultPlan
from trackmaster.game.standin.plugin import CRASH_CODE
from trackmaster.game.standin.server import Standin

GATES, INTRO = "gates.Challenge.Gbx", "intro.Challenge.Gbx"


def run_to_the_medals(client: LinkClient, clock: object, name: str = GATES) -> int:
    """Load, drive, take some pictures, finish, and wait for the medals; return how many gates were passed."""
    player = Player(client, clock=clock)  # type: ignore[arg-type]
    player.load_map(name)
    player.run_to_start()
    pictures = gates = 0
    finished = False
    while not finished:
        if client.inside == 1:
            client.set_keys(left=False, right=False, accelerate=True, brake=False)
            if pictures < 3:
                client.set_speed(0.0)
                client.request_frame(48, 48)
        client.acknowledge()
        event = client.wait()
        if event.picture is not None:
            client.set_speed(1.0)
            pictures += 1
        gates += event.current > 0
        finished = event.is_finish
    client.acknowledge()
    return gates


POSSIBLE = [(kind, phase) for kind in ("hang", "drop", "garbage") for phase in PHASES if phase != "medals"]


@pytest.mark.parametrize(("kind", "phase"), POSSIBLE)
def test_a_fault_ends_in_our_own_error_and_the_next_session_goes_on(
    start: Callable[..., Standin],
    connect: Callable[..., LinkClient],
    jumping_clock: Callable[..., "object"],
    patient_clock: Callable[..., "object"],
    kind: str,
    phase: str,
) -> None:
    times_of_plugin = jumping_clock()
    standin = start(f"{kind}@{phase}", clock=times_of_plugin, load_frames=2)
    clock = patient_clock(standin)
    client = connect(standin, clock=clock, speak_plain=True)
    name = INTRO if phase == "intro" else GATES
    with pytest.raises(GameError):
        run_to_the_medals(client, clock, name)
    if kind == "hang":
        assert standin.hung.is_set()
        with pytest.raises(CannotConnectError):
            client.connect()
        return
    times_of_plugin.jump(20.0)  # type: ignore[attr-defined]  # whoever still waits for us gives up
    assert run_to_the_medals(client, clock) == 5, "the game itself is well"


def test_a_hang_among_the_medals_is_noticed_by_the_next_load(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], patient_clock: Callable[..., "object"]
) -> None:
    standin = start("hang@medals", medal_ticks=2)
    clock = patient_clock(standin)
    client = connect(standin, clock=clock, speak_plain=True)
    assert run_to_the_medals(client, clock) == 5
    with pytest.raises(GameError):
        while True:
            client.wait()
            client.acknowledge()


def test_a_picture_of_another_size_is_noticed(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], jumping_clock: Callable[..., "object"]
) -> None:
    standin = start("frame_size@frame:2")
    clock = jumping_clock(lambda _: not standin.plugin._faults.faults)
    client = connect(standin, clock=clock, speak_plain=True)
    with pytest.raises(SilentGameError, match=r"of 9216 bytes and then nothing"):
        run_to_the_medals(client, clock)
    assert not client.is_connected


def test_a_slow_wire_is_survived(start: Callable[..., Standin], connect: Callable[..., LinkClient]) -> None:
    standin = start("slow@connect", "slow@frame:2", "slow@race:5", "slow@finish")
    assert run_to_the_medals(connect(standin, speak_plain=True), None) == 5


def test_a_crash_ends_the_process(tmp_path: Path) -> None:
    code = """
from trackmaster.game.standin.server import Standin
from trackmaster.game.standin.faults import Fault
from trackmaster.game.link.client import LinkClient
with Standin(faults=[Fault.parse("crash@connect")]) as standin:
    LinkClient(standin.port).connect()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == CRASH_CODE


def test_a_fault_happens_once_and_at_its_count() -> None:
    plan = FaultPlan([Fault.parse("hang@frame:3"), Fault.parse("drop@frame:3")])
    assert [plan.meet("frame") for _ in range(5)] == [None, None, "hang", None, None]
    assert plan.meet("race") is None


@pytest.mark.parametrize(
    "text", ["", "hang", "hang@", "hang@frame:0", "hang@frame:x", "burn@frame", "hang@nowhere", "hang@frame:1:2"]
)
def test_a_misspelt_fault_names_what_there_is(text: str) -> None:
    with pytest.raises(ConfigError, match="expected KIND@PHASE"):
        Fault.parse(text)


@pytest.mark.parametrize("text", ["slow@menus", "slow@load", "frame_size@race"])
def test_a_fault_that_cannot_happen_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot happen"):
        Fault.parse(text)


def test_every_kind_and_phase_can_be_asked_for() -> None:
    assert {Fault.parse(f"{kind}@frame").kind for kind in KINDS} == set(KINDS)
    assert {Fault.parse(f"hang@{phase}").phase for phase in PHASES} == set(PHASES)


def test_a_taken_port_is_a_sentence(start: Callable[..., Standin]) -> None:
    with pytest.raises(TrackmasterError, match="give another --port, or 0"):
        Standin(port=start().port)


def test_whoever_watches_sees_the_game_stand_still_in_each_phase(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    seen: list[tuple[str, int]] = []
    standin = start(watch=lambda phase, count: seen.append((phase, count)), medal_ticks=1, has_intros=False)
    assert run_to_the_medals(connect(standin, speak_plain=True), None) == 5
    phases = [phase for phase, count in seen if count == 1]
    assert phases == ["connect", "menus", "load", "countdown", "race", "frame", "checkpoint", "finish"]
    counts = [count for phase, count in seen if phase == "race"]
    assert counts == list(range(1, len(counts) + 1))


def test_every_map_may_have_an_intro(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], patient_clock: Callable[..., "object"]
) -> None:
    standin = start("drop@intro", has_intros=True)
    client = connect(standin, clock=patient_clock(standin), speak_plain=True)
    with pytest.raises(GameError):
        run_to_the_medals(client, patient_clock(standin), GATES)
    assert standin.faults_to_come == []
