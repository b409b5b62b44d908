"""Somebody on the network who means ill: nothing executes, nobody gets in, memory stays bounded, the honest go on."""

import ast
import contextlib
import gc
import random
import socket
import ssl
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.distributed.net_kit import DESCRIBED, chunk, receive, relay, trainer_end, until, worker_end
from tests.distributed.wire_samples import SESSION, mutate
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import trackmaster
from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.relay.server import RelayServer
from trackmaster.distributed.wire import link_spec
from trackmaster.distributed.wire.messages import Ack, ErrorFrame, Hello, Publish, Stat, Welcome, decode, encode

OTHER_ADDRESS = "127.0.0.2"
needs_other_address = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second loopback address")


def raw(server: RelayServer, token: str | None, **more: Any) -> ClientConnection:
    """A client of our own making; without TLS the library's synchronous one does."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return connect(
        f"ws://127.0.0.1:{server.port}/",
        additional_headers=headers,
        compression=None,
        proxy=None,
        max_queue=None,
        **more,
    )


def hello(role: str = "worker", *, spec: bytes = DESCRIBED, session: bytes = SESSION) -> bytes:
    return encode(Hello(role, -1, session, "run", 1, spec, link_spec.digest(spec)))


def token_of(server: RelayServer, role: str) -> str:
    token = server.address(role).token
    assert token is not None
    return token


class Honest:
    """A worker and a trainer who want nothing but to work."""

    def __init__(self, server: RelayServer, trainer: WebSocketTrainerEnd, worker: WebSocketWorkerEnd) -> None:
        self.server, self.trainer, self._worker, self._sent = server, trainer, worker, 0

    def work(self) -> None:
        self._worker.send_chunk(chunk(self._sent))
        mine = [c for c in receive(self.trainer, 1) if c.worker_id == 0]
        while not mine:
            mine = [c for c in receive(self.trainer, 1) if c.worker_id == 0]
        assert [c.columns["floats"][0, 0] for c in mine] == [self._sent]
        self._sent += 1


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def honest(tmp_path: Path, said: list[str]) -> Iterator[Honest]:
    with (
        relay(tmp_path, handshake_s=2.0, max_per_address=20, say=said.append) as server,
        trainer_end(server) as trainer,
        worker_end(server) as worker,
    ):
        worker.wait_connected(60)
        trainer.wait_connected(60)
        yield Honest(server, trainer, worker)


@pytest.mark.parametrize("header", [
    {}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": "Basic dTpw"},
    {"Authorization": "Bearer " + "x" * 4000},
], ids=["none", "wrong", "empty", "basic", "long"])  # fmt: skip
def test_without_a_right_token_nobody_gets_in(honest: Honest, said: list[str], header: dict[str, str]) -> None:
    url = f"ws://127.0.0.1:{honest.server.port}/"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=header, proxy=None)
    assert refused.value.response.status_code == 401
    assert honest.server.numbers()["refused_tokens"] == 1
    honest.work()
    assert not any(value and value in line for line in said for value in header.values()), "tokens are never logged"


def test_two_tokens_at_once_are_no_token(honest: Honest) -> None:
    right = token_of(honest.server, "worker")
    headers = [("Authorization", f"Bearer {right}"), ("Authorization", "Bearer other")]
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{honest.server.port}/", additional_headers=headers, proxy=None)


@needs_other_address
def test_who_guesses_tokens_waits_and_others_do_not(honest: Honest) -> None:
    codes = []
    for _ in range(6):
        with pytest.raises(InvalidStatus) as refused:
            raw(honest.server, "guess", source_address=(OTHER_ADDRESS, 0))
        codes.append(refused.value.response.status_code)
    assert codes[:4] == [401] * 4
    assert codes[-1] == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    with pytest.raises(InvalidStatus):  # while waiting, not even the right one is looked at
        raw(honest.server, token_of(honest.server, "worker"), source_address=(OTHER_ADDRESS, 0))
    with raw(honest.server, token_of(honest.server, "worker")):
        honest.work()


def test_a_worker_token_is_no_trainer(honest: Honest) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello("trainer"))
        answer = decode(client.recv())
        assert isinstance(answer, ErrorFrame)
        assert answer.code == "role"
        with pytest.raises(ConnectionClosed):
            client.recv()
    honest.work()


@pytest.mark.parametrize("message", [
    Publish(10**18, b"", SESSION * 2), Ack(SESSION, 1), Hello("worker", 0, SESSION, "", 1, b"", SESSION * 2),
    Welcome(True, "", 0, {}, 0, b""), ErrorFrame("a", "b"),
], ids=lambda m: type(m).__name__)  # fmt: skip
def test_a_worker_cannot_speak_as_anybody_else(honest: Honest, message: Any) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello())
        assert isinstance(decode(client.recv()), Welcome)
        client.send(encode(message))
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=60)
    honest.work()
    assert honest.server.numbers()["weights_version"] == -1


@pytest.mark.parametrize("lie", ["id", "columns", "nan", "text"])
def test_a_worker_that_lies_is_let_go(honest: Honest, lie: str) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello(session=bytes(16)))
        welcome = decode(client.recv())
        assert isinstance(welcome, Welcome)
        found = replace(chunk(0), worker_id=welcome.worker_id, session="00" * 16)
        floats = found.columns["floats"]
        if lie == "id":
            found = replace(found, worker_id=welcome.worker_id + 1)
        elif lie == "columns":
            found = replace(found, columns={**found.columns, "floats": floats[:, :2]})
        elif lie == "nan":
            found = replace(found, columns={**found.columns, "floats": np.full_like(floats, np.nan)})
        client.send("chunk" if lie == "text" else encode(found))
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=60)
    honest.work()
    assert honest.server.numbers()["refused_frames"] == 1
    assert honest.server.numbers()["chunks"] == 1


def test_replayed_frames_count_once(honest: Honest) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello(session=bytes(16)))
        welcome = decode(client.recv())
        assert isinstance(welcome, Welcome)
        frame = encode(replace(chunk(5), worker_id=welcome.worker_id, session="00" * 16))
        for _ in range(50):
            client.send(frame)
        until(lambda: honest.server.numbers()["duplicates"] == 49, "49 duplicates")
    assert len(receive(honest.trainer, 1)) == 1
    assert honest.trainer.recv_chunks(0.05) == []
    honest.work()


def test_tampered_frames_end_the_connection_and_nothing_else(honest: Honest) -> None:
    rng = random.Random(3)
    token = token_of(honest.server, "worker")
    good = encode(replace(chunk(5), worker_id=1, session="00" * 16))
    for _ in range(40):
        with raw(honest.server, token) as client, contextlib.suppress(ConnectionClosed):
            client.send(hello(session=bytes(16)))
            client.recv()
            client.send(mutate(good, rng, [good]))
    honest.work()


def test_frames_that_announce_gigabytes_are_refused_before_they_are_read(honest: Honest) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello())
        client.recv()
        honest.work()
        tracemalloc.start()
        try:
            client.socket.sendall(b"\x82\xff" + (2**62).to_bytes(8, "big") + b"mask" + bytes(100_000))
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.recv(timeout=60)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert peak < 4 * 2**20
    honest.work()


def plain_socket(server: RelayServer, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=(source, 0))


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed; waits for it."""
    try:
        while connection.recv(4096):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return True


@needs_other_address
def test_two_hundred_idle_connections_and_slow_writers_leave_room_for_the_honest(honest: Honest) -> None:
    idle = [plain_socket(honest.server, OTHER_ADDRESS) for _ in range(200)]
    try:
        for number, connection in enumerate(idle):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: b"[: number % 30])
        until(lambda: honest.server.numbers()["refused_connections"] >= 180, "the excess was closed at once")
        assert honest.server.numbers()["connections"] <= 22
        with raw(honest.server, token_of(honest.server, "worker")):
            honest.work()
        assert all(is_closed(connection) for connection in idle), "those within the cap end with the time for greeting"
    finally:
        for connection in idle:
            connection.close()
    until(lambda: honest.server.numbers()["connections"] <= 2, "only the honest are left")
    honest.work()


def test_who_never_says_hello_is_let_go(honest: Honest) -> None:
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        answer = decode(client.recv(timeout=60))
        assert isinstance(answer, ErrorFrame)
        assert answer.code == "hello"
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=60)
    honest.work()


def test_plain_text_and_old_tls_get_nothing_from_a_tls_server(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True, handshake_s=0.5) as server:
        with plain_socket(server) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            answer = connection.recv(4096)
            assert b"HTTP" not in answer
        with plain_socket(server) as silent_one:
            assert is_closed(silent_one)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with plain_socket(server) as connection, pytest.raises(ssl.SSLError):
            old.wrap_socket(connection)
        with trainer_end(server) as trainer, worker_end(server) as worker:
            Honest(server, trainer, worker).work()


def test_one_worker_cannot_fill_the_queue_of_all(tmp_path: Path) -> None:
    from trackmaster.distributed.relay.core import CoreOptions

    size = len(encode(chunk(0)))
    with relay(tmp_path, core=CoreOptions(max_queue_bytes=40 * size)) as server:
        greedy = worker_end(server, outbox_bytes=10**9)
        with worker_end(server) as modest:
            for number in range(100):
                greedy.send_chunk(chunk(number))
            until(lambda: server.numbers()["chunks"] >= 9, "the greedy worker's share is full")
            modest.send_chunk(chunk(0))
            until(lambda: modest.waiting_chunks == 0, "the modest worker's chunk was taken")
            assert server.numbers()["queue_bytes"] <= 40 * size
            with trainer_end(server) as trainer:
                assert len(receive(trainer, 101)) == 101
        greedy.close()


FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
PACKAGE = Path(trackmaster.__file__).parent


def unsafe_calls(source: str) -> list[str]:
    """Everything in a module that could make code out of data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {a.name}" for a in node.names if a.name.split(".")[0] in FORBIDDEN - {"pickle"}]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN:
            found.append(f"import {node.module}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            found += [f"pickle.{node.attr}"] if node.attr != "UnpicklingError" else []  # an error may be named
        elif isinstance(node, ast.Call):
            found += _unsafe(ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords})
    return found


def _unsafe(name: str, keywords: dict[str | None, str]) -> list[str]:
    needed = {
        "torch.load": ("weights_only", "True"), "np.load": ("allow_pickle", "False"),
        "numpy.load": ("allow_pickle", "False"), "yaml.load": ("Loader", keywords.get("Loader", "one")),
    }  # fmt: skip
    if name in ("eval", "exec", "compile"):
        return [name]
    if name in needed and keywords.get(needed[name][0]) != needed[name][1]:
        return [name]
    return []


def test_the_search_for_unsafe_calls_finds_them() -> None:
    bad = "import pickle\npickle.loads(b)\nfrom dill import loads\neval('1')\ntorch.load(f)\nnp.load(f)\nyaml.load(f)\n"
    every_one = {"pickle.loads", "import dill", "eval", "torch.load", "np.load", "yaml.load"}
    assert set(unsafe_calls(bad)) == every_one
    assert unsafe_calls("torch.load(f, weights_only=True)\nnp.load(f, allow_pickle=False)\nimport json") == []


@pytest.mark.parametrize("room", ["distributed", "rl", "tmrl", "files.py", "nn", "pretrain", "env"])
def test_nothing_that_reads_foreign_data_can_unpickle(room: str) -> None:
    place = PACKAGE / room
    modules = [place] if place.is_file() else sorted(place.rglob("*.py"))
    unsafe = {str(m.relative_to(PACKAGE)): unsafe_calls(m.read_text("utf-8")) for m in modules}
    assert {name: calls for name, calls in unsafe.items() if calls} == {}


def test_an_observer_reads_numbers_and_may_do_nothing_else(honest: Honest) -> None:
    honest.work()
    with raw(honest.server, token_of(honest.server, "observer")) as client:
        client.send(hello("observer", spec=b""))
        assert isinstance(decode(client.recv(timeout=60)), Welcome)
        numbers = dict[str, float]()
        while numbers.get("chunks") != 1:
            message = decode(client.recv(timeout=60))
            assert isinstance(message, Stat)
            numbers |= message.numbers
        assert (numbers["workers"], numbers["trainer"]) == (1, 1)
        client.send(encode(replace(chunk(0), session="00" * 16)))
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=60)
    honest.work()
    assert honest.server.numbers()["chunks"] == 2


def test_an_upgrade_that_breaks_leaves_nothing_behind(honest: Honest) -> None:
    request = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of(honest.server, 'worker')}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", honest.server.port), timeout=60) as client:
            client.sendall(request.encode())
            assert b" 4" in client.recv(4096)[:16]

    def nobody() -> bool:
        gc.collect()
        return not len(honest.server._identities)

    until(nobody, "the identities of connections that are gone")
    honest.work()


@pytest.mark.parametrize("depth", [40, 300, 2_700])
def test_a_description_with_more_levels_than_any_of_ours_is_refused(honest: Honest, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    with raw(honest.server, token_of(honest.server, "worker")) as client:
        client.send(hello(spec=deep))
        answer = decode(client.recv())
    assert isinstance(answer, Welcome)
    assert not answer.accepted
    assert "levels" in answer.reason or "not JSON" in answer.reason
    honest.work()
