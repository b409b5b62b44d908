"""Attack a server over TLS in every way that the design names, and look whether the honest notice anything.

    python -m benchmarks.network_under_attack [--frames 20000] [--connections 100] [--seed 0]

The server is a process of its own (``trackmaster server``); an honest worker and an honest trainer pass chunks through
it before, between and during the attacks, which come from other addresses of this machine (Linux). One row per attack:
how often it was tried, how often anything got in, what the server did instead, and its memory afterwards. The program
fails if anybody got in, a chunk of the honest was lost or doubled, or memory grew by more than ``MOST_GROWTH_MB``.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from tests.distributed.net_kit import DESCRIBED, chunk, receive, trainer_end, worker_end
from tests.distributed.wire_samples import SAMPLES, mutate
from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.uri import parse_uri

from trackmaster.distributed.security.join_string import parse_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.wire import link_spec
from trackmaster.distributed.wire.framing import WireError
from trackmaster.distributed.wire.messages import Ack, ErrorFrame, Hello, Message, Publish, Welcome, decode, encode

MOST_GROWTH_MB = 96.0
FOREIGN = [f"127.0.0.{n}" for n in range(2, 6)]
"""Where attacks come from: addresses wait after wrong tokens, and the honest shall not."""
IDLE, IDLE_ROUNDS = 200, 3
PATIENCE_S = 60.0
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


class Raw:
    """A client of our own making, in one thread: it says what it likes."""

    def __init__(self, port: int, token: str, source: str) -> None:
        self.sock = CONTEXT.wrap_socket(plain_socket(port, source))
        self._protocol = ClientProtocol(parse_uri(f"wss://127.0.0.1:{port}/"), max_size=None)
        self._events: deque[Event] = deque()
        self._is_over = False
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        self._flush()
        while not self._events and not self._is_over:
            self._read()
        answer = self._events.popleft() if self._events else None
        self.status = answer.status_code if isinstance(answer, Response) else 0
        """Of the HTTP answer; 101 is open."""

    def send(self, frame: bytes) -> None:
        """Send a message; once the connection has been closed nobody hears it."""
        with contextlib.suppress(OSError, WebSocketException):
            self._protocol.send_binary(frame)
            self._flush()

    def recv(self) -> bytes | None:
        """Return the next message, None once the connection has ended."""
        while self._events or not self._is_over:
            if not self._events:
                self._read()
                continue
            event = self._events.popleft()
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                return bytes(event.data)
        return None

    def hello(self, role: str = "worker") -> Message | None:
        """Greet and return the answer."""
        self.send(encode(Hello(role, -1, os.urandom(16), "run", 1, DESCRIBED, link_spec.digest(DESCRIBED))))
        frame = self.recv()
        return None if frame is None else decode(frame)

    def ending(self) -> str:
        """Wait for the end; return the code of the last error message before it."""
        code = ""
        while (frame := self.recv()) is not None:
            message = decode(frame)
            code = message.code if isinstance(message, ErrorFrame) else code
        return code or "closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def _read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._is_over = True
            self._protocol.receive_eof()
        self._events.extend(self._protocol.events_received())
        with contextlib.suppress(OSError):
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.sock.sendall(data)


def plain_socket(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0))


class Target:
    """The server under attack, and the honest who use it."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.options = options
        keys = ServerKeys(folder / "keys")
        keys.create("127.0.0.1", 6666)
        words = ("server", "--keys", str(folder / "keys"), "--host", "127.0.0.1", "--port", "0")
        self._log = folder / "server.log"
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "trackmaster", *words], stdout=output, stderr=subprocess.STDOUT
            )
        until(lambda: "port" in self._log.read_text(), "the server listens")
        self.port = int(re.findall(r"port (\d+)", self._log.read_text())[0])
        joins = keys.joins(host="127.0.0.1", port=self.port)
        self._joins = {name.partition("-")[0]: parse_join(join) for name, join in joins.items()}
        self._trainer = trainer_end(self._joins["trainer"])
        self._worker = worker_end(self._joins["worker"])
        self._worker.wait_connected(PATIENCE_S)
        self.session = self._worker.session.hex()
        self.strangers = 0
        """Chunks of others that reached the trainer."""
        self.honest = 0
        """Chunks of the honest that did, each once."""

    def token(self, role: str) -> str:
        """Return the token of a role."""
        return str(self._joins[role].token)

    def raw(self, role: str = "worker", source: str = FOREIGN[0]) -> Raw:
        """Return a client with a right token."""
        return Raw(self.port, self.token(role), source)

    def work(self) -> None:
        """Let the honest pass a chunk, and look at all that arrives meanwhile."""
        self._worker.send_chunk(chunk(self.honest))
        wanted = self.honest + 1
        while self.honest < wanted:
            for found in receive(self._trainer, 1):
                if found.session != self.session:
                    self.strangers += 1
                    continue
                if found.seq != self.honest or not (found.columns["floats"] == found.seq).all():
                    raise SystemExit(f"chunk {found.seq} came where {self.honest} was due, or is not what was sent")
                self.honest += 1

    def memory_mb(self, which: str = "VmRSS") -> float:
        """Return how much memory the server has, or had at most ("VmHWM")."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(rf"{which}:\s+(\d+) kB", text)[0]) / 1024

    def close(self) -> None:
        """End everybody."""
        self._worker.close()
        self._trainer.close()
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        log = self._log.read_text()
        if status or "Traceback" in log:
            raise SystemExit(f"the server ended with status {status}:\n{log[-3000:]}")


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"it never came about: {what}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Found:
    """What came of an attack."""

    tried: int
    got_in: int
    outcomes: Counter[str]


def tampered_frames_decoded(target: Target) -> Found:
    """Frames with bytes flipped, cut, doubled or foreign, straight into the decoder."""
    rng, outcomes = random.Random(target.options.seed), Counter[str]()
    frames = [encode(message) for message in SAMPLES.values()]
    for case in range(target.options.frames):
        try:
            decode(mutate(frames[case % len(frames)], rng, frames))
        except WireError:
            outcomes["refused"] += 1
        else:
            outcomes["still a message"] += 1
    return Found(target.options.frames, 0, outcomes)


def tampered_frames_sent(target: Target) -> Found:
    """The same over connections with a worker's token, until each is closed."""
    rng, outcomes, tried = random.Random(target.options.seed + 1), Counter[str](), 0
    for number in range(target.options.connections):
        with target.raw() as client:
            welcome = client.hello()
            assert isinstance(welcome, Welcome)
            good = encode(replace(chunk(5), worker_id=welcome.worker_id, session=os.urandom(16).hex()))
            for _ in range(10):
                client.send(mutate(good, rng, [good]))
            client.send(b"")
            tried += 11
            outcomes[client.ending()] += 1
        if number % 50 == 0:
            target.work()
    return Found(tried, 0, outcomes)


def replayed_frames(target: Target) -> Found:
    """One right chunk a thousand times."""
    target.work()
    before = target.strangers
    with target.raw() as client:
        welcome = client.hello()
        assert isinstance(welcome, Welcome)
        frame = encode(replace(chunk(5), worker_id=welcome.worker_id, session="ab" * 16))
        acks = 0
        for _ in range(1000):
            client.send(frame)
            while (answer := client.recv()) is not None and not isinstance(decode(answer), Ack):
                pass  # a sign of life
            acks += answer is not None
    until(lambda: target.work() is None and target.strangers > before, "the first of them arrives")
    target.work()
    taken = target.strangers - before
    return Found(1000, taken - 1, Counter({"acknowledged": acks, "taken": taken}))


def wrong_tokens(target: Target) -> Found:
    """Tokens that nobody gave out."""
    outcomes = Counter[str]()
    for _ in range(target.options.connections):
        with Raw(target.port, os.urandom(24).hex(), FOREIGN[1]) as client:
            outcomes[f"HTTP {client.status}"] += 1
    return Found(target.options.connections, outcomes["HTTP 101"], outcomes)


def wrong_roles(target: Target) -> Found:
    """A worker's token that says trainer, and a worker that publishes weights."""
    outcomes, got_in = Counter[str](), 0
    for _ in range(50):
        with target.raw() as client:
            answer = client.hello("trainer")
            got_in += isinstance(answer, Welcome)
            outcomes[f"as trainer: {answer.code if isinstance(answer, ErrorFrame) else answer}"] += 1
        with target.raw() as client:
            client.hello()
            client.send(encode(Publish(2**40, b"weights", bytes(32))))
            outcomes[f"publishes: {client.ending()}"] += 1
    return Found(100, got_in, outcomes)


def without_tls(target: Target) -> Found:
    """Plain HTTP, and a TLS of 2008."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    outcomes, got_in = Counter[str](), 0
    plain = f"GET / HTTP/1.1\r\nAuthorization: Bearer {target.token('worker')}\r\n\r\n".encode()
    for _ in range(50):
        with plain_socket(target.port, FOREIGN[2]) as connection, contextlib.suppress(OSError):
            connection.sendall(plain)
            got_in += b"HTTP" in connection.recv(4096)
        outcomes["plain text: closed"] += 1
        with plain_socket(target.port, FOREIGN[2]) as connection:
            try:
                old.wrap_socket(connection)
                got_in += 1
            except OSError:
                outcomes["TLS 1.2: refused"] += 1
    return Found(100, got_in, outcomes)


def huge_sizes(target: Target) -> Found:
    """A frame of exabytes by its header, and columns of gigabytes inside of a small one."""
    outcomes = Counter[str]()
    for _ in range(20):
        with target.raw() as client:
            client.hello()
            with contextlib.suppress(OSError):  # it may be thrown out while it still speaks
                client.sock.sendall(b"\x82\xff" + (2**62).to_bytes(8, "big") + b"mask" + bytes(100_000))
            outcomes[f"header: {client.ending()}"] += 1
        with target.raw() as client:
            welcome = client.hello()
            assert isinstance(welcome, Welcome)
            good = encode(replace(chunk(5), worker_id=welcome.worker_id, session=os.urandom(16).hex()))
            client.send(good.replace(b"\xa1s\x92\x03", b"\xa1s\x92\xce\xff\xff\xff\xff", 1))
            outcomes[f"columns: {client.ending()}"] += 1
    return Found(40, 0, outcomes)


def slow_loris(target: Target) -> Found:
    """Sixty connections that say a byte of their greeting every half second, some before and some within TLS."""
    connections = [plain_socket(target.port, FOREIGN[3]) for _ in range(30)]
    connections += [CONTEXT.wrap_socket(plain_socket(target.port, FOREIGN[3])) for _ in range(30)]
    started, alive, longest = time.monotonic(), list(connections), 0.0
    while alive and time.monotonic() - started < PATIENCE_S:
        for connection in list(alive):
            try:
                connection.setblocking(False)
                connection.send(b"G" if isinstance(connection, ssl.SSLSocket) else b"\x16")
                if connection.recv(4096) == b"":
                    raise ConnectionError
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except OSError:
                alive.remove(connection)
                longest = time.monotonic() - started
        target.work()
        time.sleep(0.5)
    for connection in connections:
        connection.close()
    return Found(60, len(alive), Counter({f"closed within {longest:.0f} s": 60 - len(alive)}))


def idle_connections(target: Target) -> Found:
    """Two hundred connections from four addresses that say nothing, all open at once; three times, for the memory."""
    longest = 0.0
    for _ in range(IDLE_ROUNDS):
        started = time.monotonic()
        idle = [plain_socket(target.port, FOREIGN[n % len(FOREIGN)]) for n in range(IDLE)]
        for _ in range(10):
            target.work()
        for connection in idle:
            with contextlib.suppress(OSError):
                connection.recv(1)
            connection.close()
        longest = max(longest, time.monotonic() - started)
    return Found(IDLE_ROUNDS * IDLE, 0, Counter({f"closed within {longest:.0f} s": IDLE_ROUNDS * IDLE}))


ATTACKS: tuple[Callable[[Target], Found], ...] = (
    tampered_frames_decoded, tampered_frames_sent, replayed_frames, wrong_roles, without_tls, huge_sizes, slow_loris,
    idle_connections, wrong_tokens,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000, help="tampered ones for the decoder")
    parser.add_argument("--connections", type=int, default=100, help="with tampered frames, and with wrong tokens")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would ours
    got_in = 0
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder), options)
        try:
            target.work()
            before = target.memory_mb()
            print(f"server before: {before:.0f} MB")
            print("| attack | tried | got in | what came of it | honest chunks | server |")
            print("|---|---|---|---|---|---|", flush=True)
            for attack in ATTACKS:
                found = attack(target)
                target.work()
                what = ", ".join(f"{outcome} {count}" for outcome, count in found.outcomes.most_common())
                cells = [attack.__name__.replace("_", " "), found.tried, found.got_in, what, target.honest]
                print(f"| {' | '.join(map(str, cells))} | {target.memory_mb():.0f} MB |", flush=True)
                got_in += found.got_in
            most = target.memory_mb("VmHWM")
        finally:
            target.close()
    print(f"{target.honest} honest chunks, each once and in order; the server had at most {most:.0f} MB")
    return int(got_in > 0 or most - before > MOST_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
