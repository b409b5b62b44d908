"""What a server does once a client has been let in: pass chunks on once and in order, keep the newest weights.

It holds nothing that cannot be lost but the queue: a restarted server learns everything again from its clients, and in
durable mode from its journal. All methods run in one event loop.
"""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed

from trackmaster.distributed.relay.chunk_queue import Entry
from trackmaster.distributed.relay.chunk_store import ChunkStore, Session
from trackmaster.distributed.relay.clients import Client, ClientError, answers, name_of
from trackmaster.distributed.relay.delivery import Delivery
from trackmaster.distributed.relay.evictions import NOBODY, Evictions
from trackmaster.distributed.relay.journal import Journal
from trackmaster.distributed.relay.signs_of_life import heartbeat, serve_observer
from trackmaster.distributed.wire import link_spec
from trackmaster.distributed.wire.framing import fit_text
from trackmaster.distributed.wire.marks import MAX_SESSIONS
from trackmaster.distributed.wire.messages import (
    FINISHED,
    MAX_ROWS,
    Ack,
    Bye,
    Evict,
    Message,
    Publish,
    Stat,
    WantWeights,
    WeightsFrame,
    Welcome,
)
from trackmaster.rl.samples.chunk import Chunk, SampleError, SampleSpec


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
        self._options, self._say = options, say
        self.store = ChunkStore(options.max_queue_bytes, journal, say)
        self.workers: dict[bytes, Client] = {}
        self.trainer: Client | None = None
        self.observers: set[Client] = set()
        self._evictions = Evictions()
        self.counts: dict[str, float] = dict.fromkeys(
            ("chunks", "rows", "bytes", "duplicates", "delivered", "acknowledged", "dropped", "refused_frames",
             "workers_lost", "trainers", "steps", "evicted", "evicted_chunks"), 0.0,
        )  # fmt: skip
        self._weights = WeightsFrame(-1, b"", hashlib.sha256(b"").digest())
        self._columns = link_spec.columns_of(self.store.spec) if self.store.spec else SampleSpec()
        self._finished = False

    def numbers(self) -> dict[str, float]:
        """Return what an observer is told."""
        return {
            **self.counts, "workers": float(len(self.workers)), "trainer": float(self.trainer is not None),
            "queue_chunks": float(len(self.store.queue)), "queue_bytes": float(self.store.queue.bytes),
            "weights_version": float(self._weights.version),
        }  # fmt: skip

    def clients(self) -> list[Client]:
        """Return everybody who is connected."""
        return [*self.workers.values(), *self.observers, *([self.trainer] if self.trainer is not None else [])]

    async def converse(self, client: Client) -> None:
        """Greet a client and serve it until it leaves."""
        try:
            reason, retry = await self._refusal(client)
        except sqlite3.Error as error:
            self._cut_off(client, error)
            return
        if reason:
            limits = {"retry": int(retry)}
            await client.send(Welcome(False, fit_text(reason), self._weights.version, limits, -1, self.store.spec))
            return
        self._enter(client)
        beating = asyncio.create_task(
            heartbeat(client, self._options.heartbeat_s, lambda: float(self.store.queue.bytes), self._say)
        )
        try:
            limits = {"max_rows": MAX_ROWS, "durable": int(self.store.is_durable)}
            await client.send(Welcome(True, "", self._weights.version, limits, client.worker_id, self.store.spec))
            if client.identity.role == "worker":
                await self._serve_worker(client)
            elif client.identity.role == "trainer":
                await self._serve_trainer(client)
            else:
                await serve_observer(client, self._options.observe_s, self.numbers)
        except ClientError as error:
            self.counts["refused_frames"] += 1
            self._say(f"{name_of(client)} was let go: {error.sentence}")
            if client.identity.role == "worker":
                await self._evict(client.worker_id, client.hello.session, error.sentence)
            await client.dismiss(error.code, error.sentence)
        except sqlite3.Error as error:
            self._cut_off(client, error)
        except (ConnectionClosed, ConnectionError):
            pass
        finally:
            beating.cancel()
            self._leave(client)

    def _cut_off(self, client: Client, error: sqlite3.Error) -> None:
        self._say(f"The journal does not answer ({error}); {name_of(client)} is cut off and may come again.")
        client.connection.transport.abort()

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
        if reason := self._evictions.reason(hello.session):
            return reason, False
        others = {c.worker_id for s, c in self.workers.items() if s != hello.session}
        if self._options.max_workers is not None and len(others) >= self._options.max_workers:
            return f"There are {len(others)} workers, no more are allowed.", True
        if hello.spec and self.store.spec and not link_spec.agree(hello.spec, self.store.spec):
            return f"Worker and trainer differ: {link_spec.differences(hello.spec, self.store.spec)}.", False
        client.is_asking = not hello.spec and not self.store.spec
        number = self._evictions.free_number(hello.worker_id, client.identity.id, others)
        if number is None:
            return "Every number of a worker is taken.", True
        client.worker_id = number
        return "", False

    async def _trainer_refusal(self, client: Client, columns: SampleSpec) -> tuple[str, bool]:
        other = self.trainer
        if other is not None and other.hello.session != client.hello.session and await answers(other):
            return (
                f"There is a trainer already ({name_of(other)}), and a server has one: end that one first, or start "
                "another server on another --port.",
                True,
            )
        # What came before any trainer was not compared with one; the trainer itself leaves out what does not fit.
        if self.store.spec and len(self.store.queue) and not link_spec.agree(client.spec, self.store.spec):
            if self.store.is_durable:
                return (
                    f"The journal holds {len(self.store.queue)} chunks of another run: "
                    f"{link_spec.differences(client.spec, self.store.spec)}. Start the server with another --durable "
                    "folder.",
                    False,
                )
            dropped = self.store.queue.clear()
            self.counts["dropped"] += dropped
            self._say(f"The trainer's samples look different from before: {dropped} waiting chunks were dropped.")
        self._columns, self._finished = columns, False
        await self.store.set_spec(client.spec)
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
            self.store.queue.keep_near(None)  # until it says how near
            self.counts["trainers"] += 1
            if older is not None:
                older.connection.transport.abort()
        else:
            self.observers.add(client)
        if not client.is_asking:
            self._say(f"{name_of(client)} has come.")

    def _leave(self, client: Client) -> None:
        session = client.hello.session
        if self.workers.get(session) is client:
            del self.workers[session]
        if client is self.trainer:
            self.trainer = None
            self.store.queue.keep_near(None)  # workers drive on while there is room
        self.observers.discard(client)
        if client.is_asking:
            return
        if client.identity.role == "worker" and not client.said_bye:
            self.counts["workers_lost"] += 1
            self._say(f"{name_of(client)} is gone without a goodbye; what it had not sent is unknown.")
        elif not client.said_bye:
            self._say(f"{name_of(client)} is gone.")

    # Workers ------------------------------------------------------------------------------------------------------

    async def _serve_worker(self, client: Client) -> None:
        known = self.store.known(client.hello.session)
        if known is not None and known.acked >= 0:
            await client.answer(Ack(client.hello.session, known.acked))
        if self._finished:
            await client.answer(Bye(FINISHED))
        async for frame, message in client.messages():
            if isinstance(message, Chunk):
                await self._take_chunk(client, frame, message)
            elif isinstance(message, WantWeights):
                newer = self._weights if self._weights.version > message.have else _no_weights(self._weights.version)
                await client.answer(newer)
            elif isinstance(message, Stat):
                client.numbers = dict(message.numbers)
            elif isinstance(message, Bye):
                client.said_bye = True
                if not client.is_asking:
                    self._say(f"{name_of(client)} says goodbye{': ' + message.reason if message.reason else ''}.")
            else:
                raise ClientError("role", f"A worker may not send {type(message).__name__}.")

    async def _take_chunk(self, client: Client, frame: bytes, chunk: Chunk) -> None:
        if chunk.worker_id != client.worker_id:
            raise ClientError("worker", f"Worker {client.worker_id} sent a chunk in the name of {chunk.worker_id}.")
        client.is_asking = False
        session = bytes.fromhex(chunk.session)
        client.sessions.add(session)
        if len(client.sessions) > MAX_SESSIONS:
            raise ClientError("session", f"One worker sent chunks of more than {MAX_SESSIONS} lives.")
        if self._columns:
            self._check_columns(client, session, chunk)
        if self._evictions.is_gone(session, client.worker_id):  # out of a spool, and of no use to anybody
            self.counts["evicted_chunks"] += 1
            await client.answer(Ack(session, chunk.seq))
            return
        self._evictions.note(client.worker_id, client.identity.id, client.hello.session)
        known = self.store.session(session)
        client.is_held_back = True
        entry = Entry(session, chunk.seq, client.worker_id, len(frame), frame)
        is_free = self.store.queue.has_room(entry.worker, entry.size) and not known.arriving.locked()
        keeping = self._keep(known, entry, chunk)
        await (keeping if is_free and not self.store.is_durable else client.while_here(keeping))
        client.is_held_back = False
        if not self.store.is_durable:
            known.acked = known.received
        if self._evictions.is_gone(session, client.worker_id):
            await client.answer(Ack(session, chunk.seq))
        elif known.acked >= 0:
            await client.answer(Ack(session, known.acked))

    def _check_columns(self, client: Client, session: bytes, chunk: Chunk) -> None:
        try:
            chunk.check(self._columns)
        except SampleError as error:
            if session == client.hello.session:
                raise ClientError("spec", str(error)) from None
            if not self._evictions.reason(session):
                self._say(f"What {name_of(client)} brings from an earlier life is left out: {error}")
            self._evictions.refuse(session, str(error))

    async def _keep(self, known: Session, entry: Entry, chunk: Chunk) -> None:
        async with known.arriving:  # what a lost connection still has in hand comes before what the next one brings
            if entry.seq <= known.received:
                self.counts["duplicates"] += 1
                return
            await self.store.queue.wait_for_room(entry.worker, entry.size)
            if not self._evictions.is_gone(entry.session, entry.worker):
                await self._enqueue(entry, chunk)
            if self._evictions.is_gone(entry.session, entry.worker):  # sent away while this one was held
                await self.store.drop(lambda kept: (kept.session, kept.seq) == (entry.session, entry.seq))
                self.counts["evicted_chunks"] += 1
            known.received = max(known.received, entry.seq)

    async def _enqueue(self, entry: Entry, chunk: Chunk) -> None:
        await self.store.put(entry)
        self.counts["chunks"] += 1
        self.counts["rows"] += len(chunk) - chunk.context
        self.counts["steps"] += chunk.n_steps
        self.counts["bytes"] += entry.size

    # The trainer --------------------------------------------------------------------------------------------------

    async def _serve_trainer(self, client: Client) -> None:
        for evicted in self._evictions.told_to_every_trainer():
            await client.send(evicted)
        delivery = Delivery(self.store, client, self._note_delivered, self._note_lost)
        for worker in list(self.workers.values()):
            if worker.spec and not link_spec.agree(worker.spec, self.store.spec):
                await worker.dismiss(
                    "spec", f"Worker and trainer differ: {link_spec.differences(worker.spec, self.store.spec)}."
                )
        sender = asyncio.create_task(delivery.run())
        sender.add_done_callback(client.cut_off_after)
        try:
            async for _, message in client.messages():
                await self._hear_trainer(client, delivery, message)
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await sender

    def _note_delivered(self) -> None:
        self.counts["delivered"] += 1

    def _note_lost(self) -> None:
        self.counts["dropped"] += 1
        self._say("A chunk that waited for the trainer is not in the journal any more; it is lost.")

    async def _hear_trainer(self, client: Client, delivery: Delivery, message: Message) -> None:
        if isinstance(message, Ack):
            await self._acknowledge(message)
        elif isinstance(message, Publish):
            if hashlib.sha256(message.blob).digest() != message.sha256:
                raise ClientError("weights", "The published weights do not have their hash.")
            if message.version > self._weights.version:
                self._weights = WeightsFrame(message.version, message.blob, message.sha256)
        elif isinstance(message, Evict):
            await self._evict_for_trainer(message)
        elif isinstance(message, Stat):
            delivery.note_taken(int(message.numbers.get("taken", 0)))
            if (ahead := int(message.numbers.get("ahead", 0))) > 0:
                self.store.queue.keep_near(ahead)
        elif isinstance(message, Bye):
            client.said_bye = True
            self._say(f"{name_of(client)} says goodbye{': ' + message.reason if message.reason else ''}.")
            if message.reason == FINISHED:
                self._finished = True
                await asyncio.gather(*(worker.try_send(Bye(FINISHED)) for worker in self.workers.values()))
        else:
            raise ClientError("role", f"A trainer may not send {type(message).__name__}.")

    async def _acknowledge(self, ack: Ack) -> None:
        self.counts["acknowledged"] += self.store.queue.ack(ack.session, ack.seq)
        safe = await self.store.forget(ack.session, ack.seq)
        if safe is None:
            return
        for worker in list(self.workers.values()):
            if ack.session in worker.sessions:
                await worker.try_send(Ack(ack.session, safe))

    # Evictions -----------------------------------------------------------------------------------------------------

    async def evict_token(self, identity: str, reason: str) -> None:
        """Drop what waits of everybody who came with a token, and let the trainer forget the rest."""
        for number in self._evictions.numbers_of(identity):
            lives = [client.hello.session for client in self.workers.values() if client.worker_id == number]
            await self._evict(number, lives[0] if lives else NOBODY, reason)

    async def _evict_for_trainer(self, asked: Evict) -> None:
        worker = self.workers.get(asked.session)
        await self._evict(asked.worker_id, asked.session, asked.sentence, by_trainer=True)
        if worker is not None:
            self._say(f"{name_of(worker)} was let go, because the trainer refuses it: {asked.sentence}")
            await worker.send_away(asked)

    async def _evict(self, number: int, session: bytes, reason: str, *, by_trainer: bool = False) -> None:
        """Take nothing more of a life of a worker, and drop what waits of it."""
        self._evictions.refuse(session, reason)
        lives = [client.hello.session for client in self.workers.values() if client.worker_id == number]
        is_its_own = session in lives if lives else self._evictions.is_last_life(session, number)  # else another's
        try:
            self.counts["evicted_chunks"] += await self.store.drop(
                lambda entry: entry.session == session or (is_its_own and entry.worker == number)
            )
        except sqlite3.Error as error:
            self._say(f"The journal does not answer ({error}); what was sent away may come again with a later server.")
        told = Evict.told(number, session, reason)
        if not is_its_own or not self._evictions.forget(told):
            return
        self.counts["evicted"] += 1
        if self.trainer is not None and not by_trainer:  # which has done so already
            await self.trainer.try_send(told)


def _no_weights(version: int) -> WeightsFrame:
    return WeightsFrame(version, b"", hashlib.sha256(b"").digest())
