"""What a server does once a client has been let in: pass chunks on once and in order, keep the newest weights.

It holds nothing that cannot be lost but the queue: a restarted server learns everything again from its clients, and in
durable mode from its journal. All methods run in one event loop.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed

from trackmaster.distributed import link_spec
from trackmaster.distributed.relay_clients import Client, ClientError, answers, name_of
from trackmaster.distributed.relay_journal import Journal, Kept
from trackmaster.distributed.relay_queue import ChunkQueue, Entry
from trackmaster.distributed.wire import fit_text
from trackmaster.distributed.wire_messages import (
    FINISHED,
    MAX_ROWS,
    Ack,
    Bye,
    Message,
    Publish,
    Stat,
    WantWeights,
    WeightsFrame,
    Welcome,
)
from trackmaster.rl.samples import Chunk, SampleError, SampleSpec

MAX_SESSIONS = 4096
"""Lives of workers whose last numbers are remembered."""
TRAINER_WINDOW_BYTES = 64 * 2**20
"""Sent to the trainer before it has taken earlier chunks."""
JOURNAL_RETRY_S = 2.0
IN_MEMORY_BYTES = 64 * 2**20
"""Of journalled chunks that need not be read again; what waits behind them lies on disk only."""


@dataclass
class _Session:
    """How far the chunks of one life of a worker have come."""

    received: int = -1
    acked: int = -1


@dataclass(frozen=True)
class CoreOptions:
    """Limits of a relay."""

    max_workers: int | None = None
    max_queue_bytes: int = 512 * 2**20
    heartbeat_s: float = 20.0
    """A client that has not answered two of these in a row is gone."""
    observe_s: float = 1.0


class RelayCore:
    """The state of a relay and the conversation with each client."""

    def __init__(self, options: CoreOptions, say: Callable[[str], None], journal: Journal | None = None) -> None:
        self._options, self._say, self._journal = options, say, journal
        self.queue = ChunkQueue(options.max_queue_bytes)
        self.workers: dict[bytes, Client] = {}
        self.trainer: Client | None = None
        self.observers: set[Client] = set()
        self.counts: dict[str, float] = dict.fromkeys(
            ("chunks", "rows", "bytes", "duplicates", "delivered", "acknowledged", "dropped", "refused_frames",
             "workers_lost", "trainers", "steps"), 0.0,
        )  # fmt: skip
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._weights = WeightsFrame(-1, b"", hashlib.sha256(b"").digest())
        self._spec, self._columns = b"", SampleSpec()
        self._finished = False
        self._window: deque[int] = deque()
        self._taken = asyncio.Event()
        if journal is not None:
            self._restore(journal)

    def numbers(self) -> dict[str, float]:
        """Return what an observer is told."""
        return {
            **self.counts, "workers": float(len(self.workers)), "trainer": float(self.trainer is not None),
            "queue_chunks": float(len(self.queue)), "queue_bytes": float(self.queue.bytes),
            "weights_version": float(self._weights.version),
        }  # fmt: skip

    def clients(self) -> list[Client]:
        """Return everybody who is connected."""
        return [*self.workers.values(), *self.observers, *([self.trainer] if self.trainer is not None else [])]

    async def converse(self, client: Client) -> None:
        """Greet a client and serve it until it leaves."""
        reason, retry = await self._refusal(client)
        if reason:
            limits = {"retry": int(retry)}
            await client.send(Welcome(False, fit_text(reason), self._weights.version, limits, -1, self._spec))
            return
        self._enter(client)
        heartbeat = asyncio.create_task(self._heartbeat(client))
        try:
            limits = {"max_rows": MAX_ROWS, "durable": int(self._journal is not None)}
            await client.send(Welcome(True, "", self._weights.version, limits, client.worker_id, self._spec))
            await {"worker": self._serve_worker, "trainer": self._serve_trainer}.get(
                client.identity.role, self._serve_observer
            )(client)
        except ClientError as error:
            self.counts["refused_frames"] += 1
            self._say(f"{name_of(client)} was let go: {error.sentence}")
            await client.dismiss(error.code, error.sentence)
        except sqlite3.Error as error:
            self._say(f"The journal does not answer ({error}); {name_of(client)} is cut off and may come again.")
            client.connection.transport.abort()
        except ConnectionClosed:
            pass
        finally:
            heartbeat.cancel()
            self._leave(client)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _restore(self, journal: Journal) -> None:
        kept, marks, self._spec = journal.load()
        self._columns = link_spec.columns_of(self._spec) if self._spec else {}
        for session, (received, acked) in marks.items():
            self._sessions[session] = _Session(received, acked)
        for chunk in kept:
            self.queue.put(Entry(chunk.session, chunk.seq, chunk.worker, chunk.size, None))
        if kept:
            self._say(f"{len(kept)} chunks of an earlier life wait in the journal for the trainer.")

    async def _refusal(self, client: Client) -> tuple[str, bool]:
        """Return why a client may not come in, empty if it may, and whether it is worth trying again."""
        hello = client.hello
        if hello.spec_hash != link_spec.digest(hello.spec):
            return "The description of the samples and its hash differ.", False
        try:
            columns = link_spec.columns_of(hello.spec) if hello.spec else {}
        except link_spec.SpecError as error:
            return str(error), False
        client.spec = hello.spec
        if hello.role == "worker":
            return self._worker_refusal(client)
        if hello.role == "trainer":
            return await self._trainer_refusal(client, columns)
        return "", False

    def _worker_refusal(self, client: Client) -> tuple[str, bool]:
        hello = client.hello
        others = {c.worker_id for s, c in self.workers.items() if s != hello.session}
        if self._options.max_workers is not None and len(others) >= self._options.max_workers:
            return f"There are {len(others)} workers, no more are allowed.", True
        if hello.spec and self._spec and hello.spec != self._spec:
            return f"Worker and trainer differ: {link_spec.differences(hello.spec, self._spec)}.", False
        client.worker_id = hello.worker_id
        if client.worker_id < 0 or client.worker_id in others:
            client.worker_id = next(n for n in range(len(others) + 1) if n not in others)
        return "", False

    async def _trainer_refusal(self, client: Client, columns: SampleSpec) -> tuple[str, bool]:
        other = self.trainer
        if other is not None and other.hello.session != client.hello.session and await answers(other):
            return "There is a trainer already; end it first.", True
        # What came before any trainer was not compared with one; the trainer itself leaves out what does not fit.
        if self._spec and client.spec != self._spec and len(self.queue):
            if self._journal is not None:
                return (
                    f"The journal holds {len(self.queue)} chunks of another run: "
                    f"{link_spec.differences(client.spec, self._spec)}. Start the server with another --durable "
                    "folder.",
                    False,
                )
            dropped = self.queue.clear()
            self.counts["dropped"] += dropped
            self._say(f"The trainer's samples look different from before: {dropped} waiting chunks were dropped.")
        self._spec, self._columns, self._finished = client.spec, columns, False
        if self._journal is not None:
            await asyncio.wrap_future(self._journal.set_spec(self._spec))
        return "", False

    def _enter(self, client: Client) -> None:
        role, session = client.identity.role, client.hello.session
        if role == "worker":
            older = self.workers.get(session)
            self.workers[session] = client
            if older is not None:
                older.said_bye = True
                older.connection.transport.abort()
        elif role == "trainer":
            older, self.trainer = self.trainer, client
            self.counts["trainers"] += 1
            if older is not None:
                older.connection.transport.abort()
        else:
            self.observers.add(client)
        self._say(f"{name_of(client)} has come.")

    def _leave(self, client: Client) -> None:
        session = client.hello.session
        if self.workers.get(session) is client:
            del self.workers[session]
        if client is self.trainer:
            self.trainer = None
        self.observers.discard(client)
        if client.identity.role == "worker" and not client.said_bye:
            self.counts["workers_lost"] += 1
            self._say(f"{name_of(client)} is gone without a goodbye; what it had not sent is unknown.")
        elif not client.said_bye:
            self._say(f"{name_of(client)} is gone.")

    # Workers ------------------------------------------------------------------------------------------------------

    async def _serve_worker(self, client: Client) -> None:
        known = self._sessions.get(client.hello.session)
        if known is not None and known.acked >= 0:
            await client.send(Ack(client.hello.session, known.acked))
        if self._finished:
            await client.send(Bye(FINISHED))
        async for frame, message in client.messages():
            if isinstance(message, Chunk):
                await self._take_chunk(client, frame, message)
            elif isinstance(message, WantWeights):
                newer = self._weights if self._weights.version > message.have else _no_weights(self._weights.version)
                await client.send(newer)
            elif isinstance(message, Stat):
                client.numbers = dict(message.numbers)
            elif isinstance(message, Bye):
                client.said_bye = True
                self._say(f"{name_of(client)} says goodbye{': ' + message.reason if message.reason else ''}.")
            else:
                raise ClientError("role", f"A worker may not send {type(message).__name__}.")

    async def _take_chunk(self, client: Client, frame: bytes, chunk: Chunk) -> None:
        if chunk.worker_id != client.worker_id:
            raise ClientError("worker", f"Worker {client.worker_id} sent a chunk in the name of {chunk.worker_id}.")
        if self._columns:
            try:
                chunk.check(self._columns)
            except SampleError as error:
                raise ClientError("spec", str(error)) from None
        session = bytes.fromhex(chunk.session)
        client.sessions.add(session)
        if len(client.sessions) > MAX_SESSIONS:
            raise ClientError("session", f"One worker sent chunks of more than {MAX_SESSIONS} lives.")
        known = self._session(session)
        client.is_held_back = True
        if chunk.seq > known.received:
            await self.queue.wait_for_room(client.worker_id, len(frame))
        if chunk.seq <= known.received:  # looked at again: it may have come over another connection meanwhile
            self.counts["duplicates"] += 1
        else:
            known.received = chunk.seq
            await self._enqueue(Entry(session, chunk.seq, client.worker_id, len(frame), frame), chunk)
        client.is_held_back = False
        if self._journal is None:
            known.acked = known.received
        if known.acked >= 0:
            await client.send(Ack(session, known.acked))

    async def _enqueue(self, entry: Entry, chunk: Chunk) -> None:
        self.queue.put(await self._note(entry) if self._journal is not None else entry)
        self.counts["chunks"] += 1
        self.counts["rows"] += len(chunk) - chunk.context
        self.counts["steps"] += chunk.n_steps
        self.counts["bytes"] += entry.size

    async def _note(self, entry: Entry) -> Entry:
        """Write a chunk into the journal, trying again for as long as the disk refuses."""
        assert self._journal is not None
        kept = Kept(entry.session, entry.seq, entry.worker, entry.size)
        has_said = False
        while True:
            try:
                await asyncio.shield(asyncio.wrap_future(self._journal.put(kept, entry.frame or b"")))
            except sqlite3.Error as error:
                if not has_said:
                    self._say(f"The journal cannot be written ({error}); workers wait until there is room on the disk.")
                    has_said = True
                await asyncio.sleep(JOURNAL_RETRY_S)
                continue
            return entry if self.queue.bytes < IN_MEMORY_BYTES else dataclasses.replace(entry, frame=None)

    def _session(self, session: bytes) -> _Session:
        known = self._sessions.pop(session, None) or _Session()
        self._sessions[session] = known
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return known

    # The trainer --------------------------------------------------------------------------------------------------

    async def _serve_trainer(self, client: Client) -> None:
        self.queue.give_back()
        self._window.clear()
        for worker in list(self.workers.values()):
            if worker.spec and worker.spec != self._spec:
                await worker.dismiss(
                    "spec", f"Worker and trainer differ: {link_spec.differences(worker.spec, self._spec)}."
                )
        sender = asyncio.create_task(self._send_chunks(client))
        sender.add_done_callback(client.cut_off_after)
        try:
            async for _, message in client.messages():
                await self._hear_trainer(client, message)
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await sender

    async def _send_chunks(self, client: Client) -> None:
        while True:
            while sum(self._window) > TRAINER_WINDOW_BYTES:
                self._taken.clear()
                await self._taken.wait()
            entry = await self.queue.take()
            frame = entry.frame
            if frame is None and self._journal is not None:
                frame = await asyncio.wrap_future(
                    self._journal.frame(Kept(entry.session, entry.seq, entry.worker, entry.size))
                )
            if frame is None:
                continue
            self._window.append(len(frame))
            await client.connection.send(frame)
            self.counts["delivered"] += 1
            await asyncio.sleep(0)  # sending alone would not let anything in while the network is fast

    async def _hear_trainer(self, client: Client, message: Message) -> None:
        if isinstance(message, Ack):
            await self._acknowledge(message)
        elif isinstance(message, Publish):
            if hashlib.sha256(message.blob).digest() != message.sha256:
                raise ClientError("weights", "The published weights do not have their hash.")
            if message.version > self._weights.version:
                self._weights = WeightsFrame(message.version, message.blob, message.sha256)
        elif isinstance(message, Stat):
            for _ in range(min(int(message.numbers.get("taken", 0)), len(self._window))):
                self._window.popleft()
            self._taken.set()
        elif isinstance(message, Bye):
            client.said_bye = True
            self._say(f"{name_of(client)} says goodbye{': ' + message.reason if message.reason else ''}.")
            if message.reason == FINISHED:
                self._finished = True
                await asyncio.gather(*(worker.try_send(Bye(FINISHED)) for worker in self.workers.values()))
        else:
            raise ClientError("role", f"A trainer may not send {type(message).__name__}.")

    async def _acknowledge(self, ack: Ack) -> None:
        before = len(self.queue)
        self.queue.ack(ack.session, ack.seq)
        self.counts["acknowledged"] += before - len(self.queue)
        if self._journal is None:
            return
        await asyncio.wrap_future(self._journal.acked(ack.session, ack.seq))
        known = self._session(ack.session)
        known.acked = max(known.acked, ack.seq)
        known.received = max(known.received, ack.seq)
        for worker in list(self.workers.values()):
            if ack.session in worker.sessions:
                await worker.try_send(Ack(ack.session, known.acked))

    # Observers, signs of life --------------------------------------------------------------------------------------

    async def _serve_observer(self, client: Client) -> None:
        async def tell() -> None:
            while True:
                await client.send(Stat(self.numbers()))
                await asyncio.sleep(self._options.observe_s)

        teller = asyncio.create_task(tell())
        try:
            async for _, message in client.messages():
                if not isinstance(message, Bye):
                    raise ClientError("role", f"An observer may not send {type(message).__name__}.")
                client.said_bye = True
        finally:
            teller.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await teller

    async def _heartbeat(self, client: Client) -> None:
        """Tell the client that we live, and cut it off when it does not answer; one that is held back cannot."""
        missed = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                answer = asyncio.ensure_future(await client.connection.ping())
                await client.send(Stat({"queue_bytes": float(self.queue.bytes)}))
                await asyncio.wait([answer], timeout=self._options.heartbeat_s)
                if answer.done():
                    missed = 0
                    await asyncio.sleep(self._options.heartbeat_s)
                elif not client.is_held_back:
                    missed += 1
                if missed >= 2:
                    self._say(f"{name_of(client)} does not answer any more.")
                    client.connection.transport.abort()
                    return


def _no_weights(version: int) -> WeightsFrame:
    return WeightsFrame(version, b"", hashlib.sha256(b"").digest())
