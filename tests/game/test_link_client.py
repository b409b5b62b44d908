"""The client: its strict order, its sentences, and what it leaves behind however it ends."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.game import GameError
from trackmaster.game.link import protocol
from trackmaster.game.link.client import LinkClient, Timeouts
from trackmaster.game.link.errors import CannotConnectError, LinkError, LostConnectionError, SilentGameError
from trackmaster.game.link.protocol import Message, ProtocolError, encode
from trackmaster.game.standin.game import Screen
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Command, Control

STRAIGHT = "straight.Challenge.Gbx"


class Scripted:
    """A server that sends given bytes to whoever connects and keeps what it hears."""

    def __init__(self, content: bytes, *, then_close: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        self.sent = threading.Event()
        self._content, self._then_close = content, then_close
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the client may leave whenever it likes
            connection, _ = self.listener.accept()
            with connection:
                connection.sendall(self._content)
                if self._then_close:
                    connection.shutdown(socket.SHUT_WR)
                self.sent.set()
                while part := connection.recv(65_536):
                    self.heard += part

    def end(self) -> None:
        self.listener.close()
        self._thread.join(10)


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def begin(content: bytes, *, then_close: bool = False) -> Scripted:
        servers.append(Scripted(content, then_close=then_close))
        return servers[-1]

    yield begin
    for server in servers:
        server.end()


@pytest.fixture
def talk_to(
    scripted: Callable[..., Scripted], jumping_clock: Callable[..., "object"]
) -> Iterator[Callable[..., LinkClient]]:
    """Make a client of a server that sends given bytes; once they are sent, no time is spent on waiting for more."""
    clients: list[LinkClient] = []

    def begin(content: bytes, *, then_close: bool = False) -> LinkClient:
        server = scripted(content, then_close=then_close)
        clock = jumping_clock(lambda _: server.sent.is_set())
        clients.append(LinkClient(server.port, timeouts=Timeouts(5, 6, 7), clock=clock))  # type: ignore[arg-type]
        return clients[-1]

    yield begin
    for client in clients:
        client.abort()


GREETING = struct.pack("<ii", 5, 1)
"""Connect message, and "in menus" in answer to the first question."""


def test_a_wrong_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CannotConnectError, match=rf"nothing listens on port {port} .* BASE_TMI_PORT"):
        LinkClient(port).connect()


def test_a_silent_game_is_a_minimised_one(talk_to: Callable[..., LinkClient]) -> None:
    with pytest.raises(CannotConnectError, match=r"says nothing for 5 s.*open its window if it is minimised"):
        talk_to(b"").connect()


def test_another_program_on_the_port_is_named(talk_to: Callable[..., LinkClient]) -> None:
    with pytest.raises(CannotConnectError, match="began with 1347703880, expected 5"):
        talk_to(b"HTTP/1.1").connect()


def test_a_place_that_is_lost_at_once_is_named(talk_to: Callable[..., LinkClient]) -> None:
    with pytest.raises(CannotConnectError, match=r"closed the connection at once\. Another program"):
        talk_to(b"", then_close=True).connect()


def test_a_plugin_of_another_version_is_named(talk_to: Callable[..., LinkClient]) -> None:
    answer = struct.pack("<iIHHI", 5, protocol.MAGIC, 9, 4, 0) + struct.pack("<i", 3) + b"9.4" + struct.pack("<i", 1)
    with pytest.raises(
        CannotConnectError, match=r"speaks version 9\.4 of our protocol.*Copy plugin/TrackmasterLink.as"
    ):
        talk_to(answer).connect()
    with pytest.raises(CannotConnectError, match="answered 77 to a yes-or-no question"):
        talk_to(struct.pack("<ii", 5, 77)).connect()


def test_a_game_that_stops_while_it_greets_is_a_sentence(talk_to: Callable[..., LinkClient]) -> None:
    with pytest.raises(CannotConnectError, match="began to answer and stopped"):
        talk_to(struct.pack("<i", 5)).connect()


def test_hello_costs_the_public_plugin_nothing(scripted: Callable[..., Scripted]) -> None:
    server = scripted(GREETING)
    client = LinkClient(server.port)
    assert not client.connect().is_ours
    assert client.was_in_menus
    with pytest.raises(ProtocolError, match="does not offer C_FOCUS"):
        client.focus()
    client.close()
    server.end()
    assert server.heard.startswith(struct.pack("<ii", 100, 22)), (
        "no payload that a plain plugin would take for messages"
    )


def test_only_what_the_state_allows_can_be_said(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    client = connect(start(start_map=STRAIGHT), speak_plain=True)
    with pytest.raises(LostConnectionError, match="call connect"):
        client.wait()
    client.connect()
    with pytest.raises(ProtocolError, match="acknowledge it before waiting"):
        client.wait()
    client.acknowledge()
    for forbidden in (client.acknowledge, client.give_up, client.get_state, lambda: client.set_speed(2.0)):
        with pytest.raises(ProtocolError, match="call wait"):
            forbidden()
    assert client.wait().is_run_step
    client.request_frame(8, 8)
    client.acknowledge()
    while client.wait().picture is None:
        client.acknowledge()
    with pytest.raises(ProtocolError, match="inside of a picture's message is lost"):
        client.request_frame(8, 8)
    client.set_keys(left=True, right=False, accelerate=True, brake=False)
    client.acknowledge()
    assert client.wait().is_run_step


def test_the_last_request_for_a_picture_counts(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    client = connect(start(start_map=STRAIGHT), speak_plain=True)
    client.connect()
    client.request_frame(32, 8)
    client.request_frame(16, 24)
    client.acknowledge()
    while (event := client.wait()).picture is None:
        client.acknowledge()
    assert event.picture.shape == (24, 16, 4)


def test_a_picture_that_nobody_asked_for_is_refused(talk_to: Callable[..., LinkClient]) -> None:
    client = talk_to(GREETING + struct.pack("<i", 4) + bytes(64))
    client.connect()
    client.acknowledge()
    with pytest.raises(ProtocolError, match="a picture that nobody asked for"):
        client.wait()
    assert not client.is_connected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<i", 99), "sent 99 where a message was expected"),
        (struct.pack("<i", -1), "sent -1 where"),
        (struct.pack("<i", 103), "sent 103 where"),
    ],
)
def test_garbage_ends_the_session(talk_to: Callable[..., LinkClient], content: bytes, message: str) -> None:
    client = talk_to(GREETING + content)
    client.connect()
    client.acknowledge()
    with pytest.raises(ProtocolError, match=message):
        client.wait()
    assert not client.is_connected


def test_half_a_message_ends_the_session_and_no_message_does_not(talk_to: Callable[..., LinkClient]) -> None:
    client = talk_to(GREETING + struct.pack("<ih", 2, 0))
    client.connect()
    client.acknowledge()
    with pytest.raises(SilentGameError, match="2 of 8 bytes"):
        client.wait()
    assert not client.is_connected
    patient = talk_to(GREETING)
    patient.connect()
    patient.acknowledge()
    with pytest.raises(SilentGameError, match="says nothing for 7 s"):
        patient.wait()
    assert patient.is_connected
    torn = talk_to(GREETING + b"\1\0")
    torn.connect()
    torn.acknowledge()
    with pytest.raises(SilentGameError, match="2 of 4 bytes"):
        torn.wait()
    assert not torn.is_connected, "half a number cannot be put back"


def test_a_length_that_cannot_be_one_is_refused_before_it_is_read(talk_to: Callable[..., LinkClient]) -> None:
    client = talk_to(GREETING + struct.pack("<i", 1 << 30))
    client.connect()
    with pytest.raises(ProtocolError, match="announced 1073741824 bytes"):
        client.get_state()


@settings(max_examples=40, deadline=None)
@given(junk=st.binary(max_size=40))
def test_whatever_a_server_sends_ends_in_our_own_errors(junk: bytes) -> None:
    server = Scripted(GREETING + junk, then_close=True)
    client = LinkClient(server.port, timeouts=Timeouts(5, 5, 5))
    try:
        client.connect()
        client.acknowledge()
        for _ in range(12):
            if client.wait().is_sync:
                client.acknowledge()
    except GameError:
        pass
    finally:
        client.abort()
        server.end()


def test_our_dialect_brings_state_and_picture_of_one_tick(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    client = connect(start(start_map=STRAIGHT))
    assert client.connect().is_ours
    client.acknowledge()
    client.wait()
    client.request_sample(7, 24, 16, protocol.Wants.PICTURE | protocol.Wants.STATE)
    now = client.race_time_ms
    client.acknowledge()
    sample = client.wait()
    assert (sample.message, sample.request, sample.tick_time_ms) == (Message.SC_SAMPLE, 7, now)
    assert sample.state is not None
    assert sample.state.race_time_ms == now
    assert sample.picture is not None
    assert sample.picture.shape == (16, 24, 4)
    client.set_inputs(keys=1, steer=-30_000, mask=protocol.MASK_KEYS | protocol.MASK_STEER)
    client.acknowledge()
    client.wait()
    assert client.get_inputs() == "0 press up\n0 steer -30000\n"


def test_a_list_of_inputs_is_played_as_a_script_would_be(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    client = connect(start(start_map=STRAIGHT))
    client.connect()
    commands = [
        Command(0, Control.ACCELERATE, 1), Command(30, Control.STEER, -5), Command(50, Control.GAS, 65_536),
        Command(60, Control.LEFT, 1), Command(90, Control.LEFT, 0),
    ]  # fmt: skip
    client.play_inputs(commands)
    client.acknowledge()
    while client.wait().time_ms < 100:
        client.acknowledge()
    assert client.get_inputs() == "0 press up\n30 steer -5\n50 gas -65536\n60-90 press left\n"


def test_the_client_before_us_is_told_in_our_dialect(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start()
    first, second = connect(standin), connect(standin)
    first.connect()
    first.acknowledge()
    second.connect()
    with pytest.raises(LinkError, match="another program connected to this game and took the only place"):
        first.wait()


def test_a_heartbeat_begins_the_wait_anew(
    start: Callable[..., Standin], connect: Callable[..., LinkClient], jumping_clock: Callable[[], "object"]
) -> None:
    clock = jumping_clock()
    standin = start(start_map=STRAIGHT, clock=clock)
    client = connect(standin)
    client.connect()
    client.set_timeout(5_000)
    for _ in range(4):
        client.heartbeat()
        assert client.is_in_menus() is False
        clock.jump(4.0)  # type: ignore[attr-defined]
        assert standin.plugin.has_client
    client.heartbeat()
    assert client.is_in_menus() is False


def leave_politely(client: LinkClient) -> None:
    client.close()


def leave_paused_and_waiting(client: LinkClient) -> None:
    client.set_speed(0.0)
    client.request_frame(16, 16)
    client.acknowledge()
    client.close()


def leave_inside_a_picture(client: LinkClient) -> None:
    client.set_speed(0.0)
    client.request_frame(16, 16)
    client.acknowledge()
    client.wait()
    client.close()


@pytest.mark.parametrize("leave", [leave_politely, leave_paused_and_waiting, leave_inside_a_picture])
@pytest.mark.parametrize("speak_plain", [True, False])
def test_whoever_leaves_leaves_the_game_at_speed_1(
    start: Callable[..., Standin],
    connect: Callable[..., LinkClient],
    leave: Callable[[LinkClient], None],
    speak_plain: bool,
) -> None:
    standin = start(start_map=STRAIGHT)
    client = connect(standin, speak_plain=speak_plain)
    client.connect()
    client.set_speed(3.0)
    client.show_interface(is_shown=False)
    client.set_period(50)
    client.acknowledge()
    client.wait()
    leave(client)
    while standin.plugin.has_client:
        assert standin.error is None
    assert standin.game.speed == 1.0
    assert standin.game.is_hud_shown
    assert standin.plugin.session.period_ms == 10
    assert standin.plugin.session.request is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("when", ["connect", "paused", "picture", "running"])
def test_a_client_that_is_killed_leaves_no_paused_game(
    start: Callable[..., Standin], when: str, jumping_clock: Callable[[], "object"]
) -> None:
    clock = jumping_clock()
    standin = start(start_map=STRAIGHT, clock=clock)
    code = f"""
import os, signal
from trackmaster.game.link.client import LinkClient
client = LinkClient({standin.port})
client.connect()
client.set_watchdog(4_000)
client.set_speed(0.0)
if "{when}" != "connect":
    client.set_speed(1.0)
    client.acknowledge()
    client.wait()
    if "{when}" in ("paused", "picture"):
        client.set_speed(0.0)
    if "{when}" == "picture":
        client.request_frame(16, 16)
        client.acknowledge()
        client.wait()
    elif "{when}" == "paused":
        client.acknowledge()
client.is_connected
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    while standin.plugin.has_client:
        clock.jump(1.0)  # type: ignore[attr-defined]
    assert standin.game.speed == 1.0
    assert standin.game.screen is Screen.RACE


def test_a_program_that_ends_without_closing_says_goodbye(start: Callable[..., Standin]) -> None:
    standin = start(start_map=STRAIGHT, speaks_ours=False)
    code = f"""
from trackmaster.game.link.client import LinkClient
client = LinkClient({standin.port})
client.connect()
client.set_speed(0.0)
raise SystemExit("forgot to close")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 1
    while standin.plugin.has_client:
        assert standin.error is None
    assert standin.game.speed == 1.0


def test_encoded_pictures_arrive_whole_when_the_wire_trickles(
    start: Callable[..., Standin], connect: Callable[..., LinkClient]
) -> None:
    standin = start("slow@frame:1", start_map=STRAIGHT)
    client = connect(standin, speak_plain=True)
    client.connect()
    client.set_speed(0.0)
    client.request_frame(64, 64)
    client.acknowledge()
    picture = client.wait().picture
    assert picture is not None
    assert np.array_equal(picture, standin.game.picture(64, 64))
    assert encode(Message.SC_RUN_STEP_SYNC, 5) == bytes.fromhex("0100000005000000")
