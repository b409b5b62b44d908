"""What a relay passes on keeps its order and reaches the trainer that is there, whatever becomes of connections."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest
from tests.distributed.net_kit import chunk, relay, silent, trainer_end, weights
from tests.distributed.test_network_faults import kill, refuse_journal

from trackmaster.distributed.relay import chunk_store
from trackmaster.distributed.relay.chunk_queue import Entry
from trackmaster.distributed.relay.chunk_store import ChunkStore
from trackmaster.distributed.relay.clients import Client
from trackmaster.distributed.relay.core import CoreOptions, RelayCore
from trackmaster.distributed.relay.delivery import Delivery
from trackmaster.distributed.relay.journal import JOURNAL, Journal, Kept
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.security.tokens import Identity
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire.messages import Hello, Welcome, encode

SESSION = b"s" * 16


class Wire:
    """A connection of websockets as far as the relay sends over it."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.is_closed = False
        self.gone = asyncio.Event()

    async def wait_closed(self) -> None:
        await self.gone.wait()

    async def send(self, frame: bytes) -> None:
        if self.is_closed:
            raise ConnectionError("closed")
        self.frames.append(frame)


def client(role: str = "trainer") -> Client:
    hello = Hello(role, 0, SESSION, "", 1, b"", b"")
    return Client(cast(Any, Wire()), Identity(role, role), hello, worker_id=0)


async def others_turn() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_trainer_that_is_gone_takes_no_chunk_from_the_next_one() -> None:
    async def play() -> tuple[list[bytes], list[bytes], bool]:
        store = ChunkStore(10**6, None, silent)
        gone, here = client(), client()
        first = asyncio.create_task(Delivery(store, gone, lambda: None).run())
        for seq in range(3):
            await store.put(Entry(SESSION, seq, 0, 1, bytes([seq])))
        await others_turn()
        wires = cast(Any, gone.connection), cast(Any, here.connection)
        wires[0].is_closed = True  # and its task, which waits for the next chunk, does not know yet
        second = asyncio.create_task(Delivery(store, here, lambda: None).run())
        await others_turn()
        was_let_go = first.done()
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        return wires[0].frames, wires[1].frames, was_let_go

    before, after, was_let_go = asyncio.run(play())
    assert before == after == [b"\0", b"\1", b"\2"]
    assert was_let_go


def test_a_chunk_that_the_disk_refuses_is_kept_before_the_next_one_of_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [True]
    refuse_journal(monkeypatch, lambda job: job == "put" and bool(refusals) and refusals.pop(), "disk is full")
    monkeypatch.setattr("trackmaster.distributed.relay.chunk_store.JOURNAL_RETRY_S", 0.05)

    async def play() -> list[int]:
        journal = Journal(tmp_path)
        core = RelayCore(CoreOptions(), silent, journal)
        lost, again = client("worker"), client("worker")  # the same life over two connections
        sent = [chunk(0), chunk(1)]
        first = asyncio.create_task(core._take_chunk(lost, encode(sent[0]), sent[0]))
        await others_turn()
        for one in sent:
            await core._take_chunk(again, encode(one), one)
        await first
        kept, _, _ = journal.load()
        journal.close()
        return [entry.seq for entry in kept]

    assert asyncio.run(play()) == [0, 1]


def test_a_worker_that_is_gone_holds_nothing_while_the_queue_is_full() -> None:
    async def play() -> tuple[int, list[int]]:
        core = RelayCore(CoreOptions(max_queue_bytes=1), silent)
        lost, again = client("worker"), client("worker")
        sent = [chunk(0), chunk(1)]
        await core._take_chunk(lost, encode(sent[0]), sent[0])
        waiting = asyncio.create_task(core._take_chunk(lost, encode(sent[1]), sent[1]))
        await others_turn()
        cast(Any, lost.connection).gone.set()
        with pytest.raises(ConnectionError, match="gone"):
            await waiting
        held = len(core.store.queue)
        retried = asyncio.create_task(core._take_chunk(again, encode(sent[1]), sent[1]))
        turn = core.store.queue.give_back()
        first = await core.store.queue.take(turn)
        assert first is not None
        core.store.queue.ack(first.session, first.seq)
        await retried
        second = await core.store.queue.take(turn)
        assert second is not None
        return held, [first.seq, second.seq]

    assert asyncio.run(play()) == (1, [0, 1])


def test_a_trainer_that_comes_while_the_journal_refuses_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    refusals = [True]
    refuse_journal(monkeypatch, lambda job: job == "set_spec" and bool(refusals) and refusals.pop(), "disk is full")
    with relay(tmp_path, durable=tmp_path / "journal", say=said.append) as server, trainer_end(server) as trainer:
        trainer.wait_connected(60)
    assert any("The journal does not answer (disk is full); Trainer" in line for line in said), said
    assert not [record for record in caplog.records if record.exc_info], "a sentence, and no traceback"


def test_a_journal_that_cannot_be_read_stops_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with sqlite3.connect(tmp_path / "journal" / JOURNAL) as db:
        db.execute("CREATE TABLE chunks (something INTEGER)")
    db.close()
    with pytest.raises(TransportError, match=r"journal cannot be read \(no such column"):
        relay(tmp_path, durable=tmp_path / "journal").start()


def test_weights_published_before_the_first_welcome_are_newer_than_those_of_an_earlier_trainer() -> None:
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    trainer = trainer_end(away)
    trainer.publish(weights(4))
    ahead = trainer._base + 10**9  # of a trainer whose clock was ahead
    trainer._begin(Welcome(True, "", ahead, {}, -1, b""))
    assert trainer._publish is not None
    assert trainer._publish.version == ahead + 1
    assert not trainer._is_published
    assert trainer._own_version(ahead + 1) == 4
    assert trainer._own_version(ahead) == -1
    trainer._is_published = True
    trainer._begin(Welcome(True, "", ahead + 1, {}, -1, b""))
    assert trainer._publish.version == ahead + 1, "ours came back to us"
    assert trainer._is_published
    kill(trainer)


def test_a_chunk_that_the_journal_has_lost_makes_room_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_store, "IN_MEMORY_BYTES", 0)
    said: list[str] = []

    async def play(journal: Journal) -> tuple[int, int, list[bytes], float]:
        core = RelayCore(CoreOptions(), said.append, journal)
        for seq in range(3):
            await core.store.put(Entry(SESSION, seq, 0, 4, b"%04d" % seq))
        await asyncio.wrap_future(journal.drop([Kept(SESSION, 1, 0, 4)]))
        trainer = client()
        delivery = asyncio.create_task(Delivery(core.store, trainer, lambda: None, core._note_lost).run())
        wire = cast(Any, trainer.connection)
        while len(wire.frames) < 2:
            await asyncio.sleep(0.001)
        core.store.queue.ack(SESSION, 0)
        core.store.queue.ack(SESSION, 2)
        delivery.cancel()
        return len(core.store.queue), core.store.queue.bytes, wire.frames, core.counts["dropped"]

    journal = Journal(tmp_path)
    try:
        assert asyncio.run(play(journal)) == (0, 0, [b"0000", b"0002"], 1.0)
    finally:
        journal.close()
    assert any("not in the journal any more" in line for line in said)
