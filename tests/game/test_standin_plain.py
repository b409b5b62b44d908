"""The stand-in as the public plugin: a client that shares no code with ours drives a whole session, byte by byte."""

import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trackmaster.game.link.sim_state import SimStateData
from trackmaster.game.standin.server import Standin

GATES = "gates.Challenge.Gbx"
PICTURE = 64 * 64 * 4


def _minimal() -> ModuleType:
    spec = importlib.util.spec_from_file_location("linesight_like", Path(__file__).with_name("linesight_like.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MinimalClient = _minimal().MinimalClient


def prepare(client: object, *, map_name: str | None) -> None:
    """What the public projects send inside of the connect message."""
    assert client.read_int32() == 5
    client.set_speed(1.0)
    client.set_on_step_period(50)
    client.execute_command("set countdown_speed 80")
    in_menus = client.is_in_menus()
    if map_name is not None and in_menus:
        for line in ("set autologin tester", "set unfocused_fps_limit false", "set skip_map_load_screens true",
                     "set disable_forced_camera true", "set autorewind false", f"map {map_name}"):  # fmt: skip
            client.execute_command(line)
    client.respond(5)


@pytest.mark.parametrize("speaks_ours", [True, False])
def test_a_foreign_client_drives_200_steps_with_pictures_rewinds_and_finishes(
    start: Callable[..., Standin], speaks_ours: bool
) -> None:
    standin = start(speaks_ours=speaks_ours)
    client = MinimalClient(standin.port)
    prepare(client, map_name=GATES)
    seen, splits, pictures = [], [], []
    start_state, first_run, finished_at = b"", True, None
    rewound: list[bytes] = []
    while finished_at is None:
        message = client.read_int32()
        if message == 1:
            time_ms = client.read_int32()
            if first_run:
                client.set_timeout(10_100)
                client.execute_command("cam 2")
                client.toggle_interface(False)
                first_run = False
            if time_ms == 0:
                start_state = client.get_simulation_state()
            if time_ms < 0:
                client.respond(1)
                continue
            seen.append(time_ms)
            if len(rewound) == 0 and len(seen) == 200:
                client.rewind_to_state(start_state)  # the car stands at the start line again
                rewound.append(client.get_simulation_state())
            client.get_simulation_state()
            client.rewind_to_current_state()
            client.set_speed(0)
            client.request_frame(64, 64)
            client.respond(1)
            assert client.read_int32() == 4
            pictures.append(client.get_frame(64, 64))
            # a standstill for 200 steps, then full gas to the finish
            client.set_input_state(False, False, len(seen) >= 200, False)
            client.set_speed(80)
            client.respond(4)
        elif message == 2:
            current, target = struct.unpack("<ii", client._read(8))
            state = SimStateData(client.get_simulation_state())
            splits.append((current, target, state.race_time_ms))
            if current == target:
                finished_at = state.race_time_ms
                forgotten = state.without_finish()
                client.rewind_to_state(forgotten.to_bytes())
                client.unrequest_frame()
            client.respond(2)
        else:
            pytest.fail(f"message {message}")
    client.close()
    assert seen[:200] == list(range(0, 10_000, 50)), "200 action steps on the grid of 50 ms"
    assert seen[200] == 50, "after the rewind to the start the clock goes on from 0"
    assert rewound == [start_state]
    assert [current for current, _, _ in splits] == [1, 2, 3, 4, 5]
    assert {target for _, target, _ in splits} == {5}
    assert finished_at % 10 == 0
    assert finished_at > splits[3][2]
    first = np.frombuffer(pictures[0], np.uint8)
    assert first.std() > 10, "something is drawn"
    assert pictures[-1] != pictures[0]


def test_one_action_step_is_byte_for_byte_the_worked_example(start: Callable[..., Standin]) -> None:
    standin = start(speaks_ours=False)
    client = MinimalClient(standin.port)
    prepare(client, map_name=None)
    assert client.transcript == [
        ("G>P", bytes.fromhex("05000000")),
        ("P>G", bytes.fromhex("060000000000803f")),
        ("P>G", bytes.fromhex("1300000032000000")),
        ("P>G", bytes.fromhex("0e00000016000000") + b"set countdown_speed 80"),
        ("P>G", bytes.fromhex("16000000")),
        ("G>P", bytes.fromhex("01000000")),
        ("P>G", bytes.fromhex("05000000")),
    ]
    client.close()
    client = MinimalClient(standin.port)
    prepare(client, map_name=GATES)
    client.transcript.clear()
    assert (client.read_int32(), client.read_int32()) == (1, -2_500)
    client.set_timeout(10_100)
    client.respond(1)
    while (client.read_int32(), client.read_int32()) != (1, 0):
        client.respond(1)
    client.respond(1)
    del client.transcript[4:]  # only the first run step belongs to the example
    assert (client.read_int32(), client.read_int32()) == (1, 50)
    client.get_simulation_state()
    client.rewind_to_current_state()
    client.set_speed(0.0)
    client.request_frame(64, 64)
    client.respond(1)
    assert client.read_int32() == 4
    client.get_frame(64, 64)
    client.set_input_state(True, False, True, False)
    client.set_speed(80.0)
    client.respond(4)
    lengths = [len(content) for _, content in client.transcript]
    # state length and content, and the picture, are the stand-in's own: 5 states and 5 times
    assert lengths[8] == 8_356 + 4 * 5 + 8 * 5
    assert client.transcript == [
        ("G>P", bytes.fromhex("01000000")),
        ("G>P", bytes.fromhex("3cf6ffff")),
        ("P>G", bytes.fromhex("0f00000074270000")),
        ("P>G", bytes.fromhex("01000000")),
        ("G>P", bytes.fromhex("01000000")),
        ("G>P", bytes.fromhex("32000000")),
        ("P>G", bytes.fromhex("09000000")),
        ("G>P", lengths[8].to_bytes(4, "little")),
        ("G>P", client.transcript[8][1]),
        ("P>G", bytes.fromhex("08000000")),
        ("P>G", bytes.fromhex("0600000000000000")),
        ("P>G", bytes.fromhex("110000004000000040000000")),
        ("P>G", bytes.fromhex("01000000")),
        ("G>P", bytes.fromhex("04000000")),
        ("G>P", client.transcript[14][1]),
        ("P>G", bytes.fromhex("0a00000001000100")),
        ("P>G", bytes.fromhex("060000000000a042")),
        ("P>G", bytes.fromhex("04000000")),
    ]
    assert len(client.transcript[14][1]) == PICTURE
    client.close()


def test_the_finish_message_is_that_of_the_worked_example(start: Callable[..., Standin]) -> None:
    standin = start(speaks_ours=False)
    client = MinimalClient(standin.port)
    prepare(client, map_name=GATES)
    while True:
        message = client.read_int32()
        if message == 1:
            client.read_int32()
            client.set_input_state(False, False, True, False)
        else:
            client.transcript.clear()
            rest = client._read(8)
            if rest == bytes.fromhex("0500000005000000"):
                break
        client.respond(message)
    assert message == 2
    client.close()
