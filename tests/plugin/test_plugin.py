"""The AngelScript plugin: compiled by the real compiler, compared with the Python side, and run message by message.

The harness declares the part of the TMInterface API that public plugins use and plays game and client; every look at
the clock costs a millisecond there, so that time-outs come without waiting.
"""

import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trackmaster.game.link import protocol
from trackmaster.game.link.protocol import (
    INPUT_EVENT,
    LAYOUTS,
    PLAN_ENTRY,
    PLUGIN_VERSION,
    Message,
    Wants,
    encode,
    encode_text,
)
from trackmaster.gbx import Control

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGIN = ROOT / "plugin" / "TrackmasterLink.as"
HARNESS = Path(__file__).with_name("harness.cpp")
LEFT, RIGHT, UP, DOWN, STEER = 1, 2, 3, 4, 5
"""Numbers of InputType in the harness."""
STARTUP, MENUS, RACE = 0, 1, 2
STATE = b"S" * 16
"""What the harness has as a state."""


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler here: install g++")
    if (
        not Path("/usr/include/angelscript/angelscript.h").is_file()
        and not Path("/usr/include/angelscript.h").is_file()
    ):
        pytest.skip("no AngelScript compiler here: install angelscript-dev")
    target = tmp_path_factory.mktemp("plugin") / "harness"
    words = ["g++", "-std=c++17", "-O0", "-o", str(target), str(HARNESS), "-langelscript-addon", "-langelscript",
             "-lpthread"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


class Vm:
    """The plugin, running."""

    def __init__(self, harness: Path) -> None:
        self._process = subprocess.Popen(
            [harness, PLUGIN, "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.sent = b""
        self.calls: list[str] = []
        self.logs: list[str] = []
        self.unread = 0
        assert self._line() == "compiled"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def do(self, line: str) -> "Vm":
        """Let one thing happen; what the plugin did meanwhile is in ``sent``, ``calls`` and ``logs``."""
        assert self._process.stdin is not None
        self.sent, self.calls, self.logs = b"", [], []
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        while True:
            kind, _, rest = self._line().partition(" ")
            if kind == "done":
                self.unread = int(rest)
                return self
            assert kind in {"sent", "call", "log"}, f"{kind} {rest}"
            if kind == "sent":
                self.sent = bytes.fromhex(rest)
            elif kind == "call":
                self.calls.append(rest)
            else:
                self.logs.append(rest)

    def hear(self, *messages: bytes) -> "Vm":
        """Have the client's bytes wait in the socket."""
        return self.do(f"recv {b''.join(messages).hex()}")

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait(30)


def ack(message: Message) -> bytes:
    return struct.pack("<i", message)


CONNECTED = ack(Message.SC_ON_CONNECT_SYNC)
HELLO = encode(Message.C_HELLO) + encode(Message.C_HELLO_CLIENT, 1, 0, 127)


@pytest.fixture
def vm(harness: Path) -> Iterator[Vm]:
    machine = Vm(harness)
    machine.do("set custom_port 8478")
    machine.do("main")
    machine.do("set game_state 2")
    yield machine
    machine.end()


@pytest.fixture
def session(vm: Vm) -> Callable[..., Vm]:
    """Connect a client of the dialect asked for."""

    def begin(*, ours: bool, commands: bytes = b"") -> Vm:
        vm.hear((HELLO if ours else b"") + commands + CONNECTED)
        vm.do("knock").do("render")
        assert vm.unread == 0
        return vm

    return begin


def constants() -> dict[str, int]:
    text = PLUGIN.read_text(encoding="ascii")
    return {name: int(value, 0) for name, value in re.findall(r"^const u?int (\w+) = (-?\w+);", text, re.M)}


def test_the_plugin_compiles_without_a_warning(harness: Path) -> None:
    done = subprocess.run([harness, PLUGIN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_compiler_can_say_no(harness: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.as"
    broken.write_text(PLUGIN.read_text(encoding="ascii").replace("sim.GiveUp()", "sim.GiveDown()"), encoding="ascii")
    done = subprocess.run([harness, broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "GiveDown" in done.stderr


def test_message_ids_are_those_of_the_python_side() -> None:
    names = {name: value for name, value in constants().items() if name.startswith(("SC_", "C_"))}
    assert names == {message.name: int(message) for message in Message}


def test_sizes_are_those_of_the_python_side() -> None:
    sizes = {name.removeprefix("SIZE_"): value for name, value in constants().items() if name.startswith("SIZE_")}
    expected = {m.name: LAYOUTS[m].size for m in Message if m.is_ours and m is not Message.C_HELLO}
    assert sizes == expected | {"INPUT_EVENT": INPUT_EVENT.size, "PLAN_ENTRY": PLAN_ENTRY.size}


def test_other_numbers_are_those_of_the_python_side() -> None:
    found = constants()
    assert found["MAGIC"] == protocol.MAGIC
    assert (found["VERSION_MAJOR"], found["VERSION_MINOR"]) == protocol.VERSION
    assert found["ALL_FEATURES"] == protocol.ALL_FEATURES
    assert found["FIRST_OF_OURS"] == protocol.FIRST_OF_OURS
    assert (found["WANTS_STATE"], found["WANTS_PICTURE"]) == (Wants.STATE, Wants.PICTURE)
    assert found["FLAG_SYNC"] == protocol.SampleFlag.SYNC
    assert found["DEFAULT_TIMEOUT_MS"] == protocol.DEFAULT_TIMEOUT_MS
    assert found["DEFAULT_PERIOD_MS"] == protocol.DEFAULT_PERIOD_MS
    assert [found[f"MASK_{name}"] for name in ("KEYS", "STEER", "GAS")] == [1, 2, 4]
    assert {Control[name]: found[f"KEY_{name}"] for name in ("ACCELERATE", "BRAKE", "LEFT", "RIGHT")} == (
        protocol.KEY_BITS
    )
    assert {control.name: found[f"CONTROL_{control.name}"] for control in Control} == {
        control.name: int(control) for control in Control
    }
    assert f'PLUGIN_VERSION = "{PLUGIN_VERSION}"' in PLUGIN.read_text(encoding="ascii")


def test_the_port_comes_from_the_variable(harness: Path) -> None:
    machine = Vm(harness)
    assert machine.do("main").logs[0].startswith("Trackmaster Link: custom_port is 0. Start the game with")
    assert machine.do("render").calls == [], "nothing listens, and nothing breaks"
    machine.end()
    machine = Vm(harness)
    machine.do("set custom_port 8480")
    assert machine.do("main").calls == ["Listen 127.0.0.1 8480"]
    assert machine.logs == ["Port set to 8480"]
    machine.end()


def test_the_worked_example_runs_byte_for_byte(vm: Vm) -> None:
    vm.do("set game_state 1")
    vm.hear(
        bytes.fromhex("060000000000803f 1300000032000000 0e00000016000000"),
        b"set countdown_speed 80",
        bytes.fromhex("16000000 05000000"),
    )
    vm.do("knock").do("render")
    assert vm.sent == bytes.fromhex("05000000 01000000")
    assert vm.calls == ["SetSpeed 1", "ExecuteCommand set countdown_speed 80"]
    vm.hear(bytes.fromhex("0f00000074270000 01000000")).do("step -2500 -2500")
    assert vm.sent == bytes.fromhex("01000000 3cf6ffff")
    assert vm.do("step 40 40").sent == b"", "not a multiple of the period"
    vm.hear(
        bytes.fromhex("09000000 08000000 0600000000000000 110000004000000040000000 01000000"),
        bytes.fromhex("0a00000001000100 060000000000a042 04000000"),
    )
    vm.do("step 50 50")
    assert vm.sent == bytes.fromhex("01000000 32000000 10000000") + STATE
    assert vm.calls == ["RewindToState " + STATE.decode(), "SetSpeed 0"]
    vm.do("render")
    assert vm.sent == bytes.fromhex("04000000") + b"P" * 16_384
    assert vm.calls == [
        "CaptureScreenshot 64 64",
        f"SetInputState {LEFT} 1",
        f"SetInputState {RIGHT} 0",
        f"SetInputState {UP} 1",
        f"SetInputState {DOWN} 0",
        "SetSpeed 80",
    ]
    assert vm.hear(ack(Message.SC_CHECKPOINT_COUNT_CHANGED_SYNC)).do("gate 5 5").sent == bytes.fromhex(
        "02000000 05000000 05000000"
    )
    assert vm.unread == 0


ARGUMENTS = {
    Message.C_REWIND_TO_STATE: encode(Message.C_REWIND_TO_STATE, blob=b"abc"),
    Message.C_EXECUTE_COMMAND: encode_text(Message.C_EXECUTE_COMMAND, "map Café"),
    Message.C_PLAY_INPUTS: encode(
        Message.C_PLAY_INPUTS, 2, blob=INPUT_EVENT.pack(0, 0, 1) + INPUT_EVENT.pack(9, 5, -3)
    ),
    Message.C_CAPTURE_PLAN: encode(Message.C_CAPTURE_PLAN, 8, 4, 0, 1, blob=PLAN_ENTRY.pack(990, 3)),
}


@pytest.mark.parametrize("message", [m for m in Message if m.name.startswith("C_") and m is not Message.C_SHUTDOWN])
def test_every_command_reads_exactly_its_bytes_and_answers_as_announced(
    session: Callable[..., Vm], message: Message
) -> None:
    vm = session(ours=True)
    layout = LAYOUTS[message]
    fields = struct.unpack(f"<{layout.fields}", bytes(layout.size))
    content = ARGUMENTS.get(message) or encode(message, *fields)
    vm.hear(encode(Message.C_SET_ON_STEP_PERIOD, 100), content, ack(Message.SC_RUN_STEP_SYNC))
    if message is Message.C_REQUEST_SAMPLE:  # answered by a message of its own
        vm.hear(ack(Message.SC_SAMPLE))
    vm.do("step 300 300")
    assert vm.unread == 0
    assert vm.logs == []
    run_step = struct.pack("<ii", Message.SC_RUN_STEP_SYNC, 300)
    assert vm.sent.startswith(run_step)
    answer = vm.sent[len(run_step) :] if message is not Message.C_REQUEST_SAMPLE else b""
    if layout.answer_blob:
        assert len(answer) == 4 + struct.unpack_from("<i", answer)[0]
    elif message is Message.C_HELLO:
        assert struct.unpack_from("<IHHI", answer) == (protocol.MAGIC, *protocol.VERSION, protocol.ALL_FEATURES)
        assert answer[layout.answer_size :] == struct.pack("<i", 5) + PLUGIN_VERSION.encode()
    else:
        assert len(answer) == layout.answer_size


def test_unknown_messages_are_skipped_and_logged(session: Callable[..., Vm]) -> None:
    vm = session(ours=True)
    vm.hear(struct.pack("<i", 77), struct.pack("<ii", 190, 5) + b"12345", ack(Message.SC_RUN_STEP_SYNC)).do("step 0 0")
    assert vm.logs == ["Trackmaster Link: unknown message 77", "Trackmaster Link: unknown message 190"]
    assert vm.unread == 0


def test_laps_are_told_and_acknowledged(session: Callable[..., Vm]) -> None:
    vm = session(ours=False).hear(ack(Message.SC_LAP_COUNT_CHANGED_SYNC))
    assert vm.do("lap 1 3").sent == struct.pack("<iii", 3, 1, 3)
    assert (vm.unread, vm.logs) == (0, [])


def test_after_the_finish_every_tick_is_told(session: Callable[..., Vm]) -> None:
    vm = session(ours=False, commands=encode(Message.C_SET_ON_STEP_PERIOD, 50))
    assert vm.do("step 40 40").sent == b""
    assert vm.hear(ack(Message.SC_RUN_STEP_SYNC)).do("step 40 50").sent == struct.pack("<ii", 1, 40)


def test_a_client_of_the_start_up_is_greeted_in_the_menus(vm: Vm) -> None:
    vm.do("set game_state 0").do("knock")
    assert vm.do("render").sent == b""
    assert vm.hear(CONNECTED).do("state 1").sent == CONNECTED
    assert vm.unread == 0


def test_inputs_of_a_list_are_set_in_their_callbacks(session: Callable[..., Vm]) -> None:
    events = [(0, Control.ACCELERATE, 1), (20, Control.STEER, -5_000), (20, Control.LEFT, 1), (30, Control.LEFT, 0),
              (30, Control.RESPAWN, 1), (40, Control.GAS, 30_000)]  # fmt: skip
    content = encode(Message.C_PLAY_INPUTS, len(events), blob=b"".join(INPUT_EVENT.pack(*event) for event in events))
    vm = session(ours=True, commands=content + encode(Message.C_SET_ON_STEP_PERIOD, 100_000))

    def keys(left: int, right: int, up: int, down: int) -> list[str]:
        values = ((LEFT, left), (RIGHT, right), (UP, up), (DOWN, down))
        return [f"SetInputState {kind} {value}" for kind, value in values]

    for _ in range(2):  # again after a restart
        assert vm.do("step -10 -10").calls == []
        assert vm.hear(ack(Message.SC_RUN_STEP_SYNC)).do("step 0 0").calls == keys(0, 0, 1, 0)
        assert vm.do("step 10 10").calls == []
        assert vm.do("step 20 20").calls == [f"Add 20 {STEER} -5000", *keys(1, 0, 1, 0)]
        assert vm.do("step 30 30").calls == ["ExecuteCommand press enter", *keys(0, 0, 1, 0)]
        assert vm.do("step 40 40").calls == keys(0, 0, 0, 1)
    # a rewind to 20 plays on from there
    assert vm.do("step 30 30").calls == ["ExecuteCommand press enter", *keys(0, 0, 0, 1)]


def sample_of(sent: bytes) -> tuple[dict[str, int], bytes, bytes]:
    layout = LAYOUTS[Message.SC_SAMPLE]
    message, length = struct.unpack_from("<ii", sent)
    assert message == Message.SC_SAMPLE
    assert len(sent) == 8 + length
    head = dict(zip(protocol.SAMPLE_FIELDS, struct.unpack_from(f"<{layout.fields}", sent, 8), strict=True))
    body = sent[8 + layout.size :]
    return head, body[: head["state_bytes"]], body[head["state_bytes"] :]


def test_a_plan_holds_exact_ticks_and_sends_their_pictures(session: Callable[..., Vm]) -> None:
    entries = [(20, Wants.STATE | Wants.PICTURE), (30, Wants.STATE), (50, Wants.PICTURE)]
    plan = encode(Message.C_CAPTURE_PLAN, 4, 2, 0, 3, blob=b"".join(PLAN_ENTRY.pack(*entry) for entry in entries))
    gas = encode(Message.C_PLAY_INPUTS, 1, blob=INPUT_EVENT.pack(0, Control.ACCELERATE, 1))
    vm = session(ours=True, commands=gas + plan + encode(Message.C_SET_SPEED, 5.0))
    vm.do("step 0 0")
    assert vm.do("step 10 10").sent == b"", "no run steps while samples are due"
    vm.do("step 20 20")
    assert vm.sent == b""
    assert vm.calls[0] == "RewindToState " + STATE.decode(), "a tick under way is dropped"
    assert f"SetInputState {UP} 1" in vm.calls, "and what it would have lost is set again"
    assert vm.calls[-1] == "SetSpeed 0"
    vm.do("render")
    assert vm.calls == ["CaptureScreenshot 4 2", "SetSpeed 5"]
    head, state, picture = sample_of(vm.sent)
    assert head == {
        "request": 0, "width": 4, "height": 2, "format": 1, "race_time_ms": 20, "tick_time_ms": 20, "flags": 0,
        "state_bytes": 16, "picture_bytes": 32,
    }  # fmt: skip
    assert (state, picture) == (STATE, b"P" * 32)
    head, state, picture = sample_of(vm.do("step 30 30").sent)
    assert (head["tick_time_ms"], head["width"], state, picture) == (30, 0, STATE, b"")
    vm.do("step 40 40")
    vm.do("step 45 50")  # the shown time stands still after a finish, ticks go on
    vm.hear(ack(Message.SC_SAMPLE)).do("render")
    head, state, picture = sample_of(vm.sent)
    assert (head["race_time_ms"], head["tick_time_ms"], head["flags"], state) == (45, 50, 1, b"")
    assert vm.hear(ack(Message.SC_RUN_STEP_SYNC)).do("step 60 60").sent == struct.pack("<ii", 1, 60)


def test_one_sample_of_the_current_tick(session: Callable[..., Vm]) -> None:
    vm = session(ours=True)
    vm.hear(encode(Message.C_REQUEST_SAMPLE, 9, 2, 2, 3), ack(Message.SC_RUN_STEP_SYNC)).do("step 70 70")
    head, _, picture = sample_of(vm.hear(ack(Message.SC_SAMPLE)).do("render").sent)
    assert (head["request"], head["tick_time_ms"], head["flags"], len(picture)) == (9, 70, 1, 16)


def test_lines_of_our_clients_run_in_order_one_per_picture(session: Callable[..., Vm]) -> None:
    lines = b"".join(encode_text(Message.C_EXECUTE_COMMAND, f"set x {k}") for k in range(3))
    vm = session(ours=True, commands=lines)
    assert vm.calls == ["ExecuteCommand set x 0"], "the picture in which it was connected is over"
    assert [vm.do("render").calls for _ in range(3)] == [["ExecuteCommand set x 1"], ["ExecuteCommand set x 2"], []]


def test_a_silent_plain_client_is_dropped_and_the_speed_stays(session: Callable[..., Vm]) -> None:
    vm = session(ours=False, commands=encode(Message.C_SET_SPEED, 0.0) + encode(Message.C_SET_TIMEOUT, 500))
    vm.do("step 0 0")
    assert vm.logs == ["Trackmaster Link: no answer to message 1"]
    assert vm.calls == []
    assert vm.do("step 10 10").sent == b"", "nobody is there any more"


def test_a_silent_client_of_ours_is_dropped_and_the_game_runs_on(session: Callable[..., Vm]) -> None:
    vm = session(ours=True, commands=encode(Message.C_SET_SPEED, 0.0) + encode(Message.C_WATCHDOG, 300, 1.0))
    vm.do("step 0 0")
    assert vm.calls == ["SetSpeed 1", "ToggleRaceInterface 1"]
    assert vm.do("step 10 10").sent == b""


def test_a_paused_game_that_asks_nobody_is_freed_by_the_watchdog(session: Callable[..., Vm]) -> None:
    vm = session(ours=True, commands=encode(Message.C_SET_SPEED, 0.0) + encode(Message.C_WATCHDOG, 300, 2.0))
    assert vm.do("render").calls == []
    assert vm.do("set now 100000").do("render").calls == ["SetSpeed 2", "ToggleRaceInterface 1"]


def test_a_heartbeat_begins_the_wait_anew(session: Callable[..., Vm]) -> None:
    vm = session(ours=True, commands=encode(Message.C_SET_TIMEOUT, 50))
    beats = encode(Message.C_HEARTBEAT) * 200  # each costs a look at the clock
    vm.hear(beats, ack(Message.SC_RUN_STEP_SYNC)).do("step 0 0")
    assert (vm.logs, vm.unread) == ([], 0)


def test_goodbye_leaves_the_game_as_a_player_wants_it(session: Callable[..., Vm]) -> None:
    vm = session(ours=True, commands=encode(Message.C_SET_SPEED, 7.0) + encode(Message.C_SET_ON_STEP_PERIOD, 50))
    vm.hear(encode(Message.C_SHUTDOWN)).do("step 0 0")
    assert vm.calls == ["SetSpeed 1", "ToggleRaceInterface 1"]
    vm.hear(CONNECTED).do("knock").do("render")
    assert vm.hear(ack(Message.SC_RUN_STEP_SYNC)).do("step 10 10").sent == struct.pack("<ii", 1, 10)


def test_the_client_before_is_told_who_took_its_place(session: Callable[..., Vm]) -> None:
    vm = session(ours=True)
    vm.hear(CONNECTED).do("knock").do("render")
    code, length = struct.unpack_from("<ii", vm.sent, 8)
    assert struct.unpack_from("<i", vm.sent) == (Message.SC_ERROR,)
    assert (code, vm.sent[16 : 16 + length].decode()) == (
        1, "another program connected to this game and took the only place for a client",
    )  # fmt: skip
    assert vm.sent[16 + length :] == CONNECTED


def test_the_window_is_brought_to_the_front(session: Callable[..., Vm]) -> None:
    assert session(ours=True, commands=encode(Message.C_FOCUS)).calls[-1] == "FocusGameWindow"
