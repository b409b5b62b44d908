"""What goes wrong on a network and on its machines: training goes on or stops with a sentence, and the counts agree."""

import asyncio
import errno
import logging
import random
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.network_under_fire import run_under_fire
from benchmarks.slow_link import SlowLink
from tests.distributed.net_kit import (
    PATIENCE_S,
    SPEC,
    chunk,
    receive,
    relay,
    silent,
    trainer_end,
    until,
    weights,
    worker_end,
)
from tests.distributed.wire_samples import same

from trackmaster.distributed.link.backoff import jittered_waits
from trackmaster.distributed.link.outbox import Outbox, Parcel
from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.relay.chunk_queue import ChunkQueue, Entry
from trackmaster.distributed.relay.core import CoreOptions
from trackmaster.distributed.relay.journal import JOURNAL, Journal, Kept
from trackmaster.distributed.relay.server import RelayServer
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire.link_spec import describe
from trackmaster.distributed.wire.marks import Marks
from trackmaster.distributed.wire.messages import encode
from trackmaster.errors import ConfigError
from trackmaster.rl.samples.chunk import Chunk


def at(server: RelayServer, role: str, port: int) -> ServerAddress:
    """The server as seen through a relay of ours on another port."""
    found = server.address(role)
    return ServerAddress(found.host, port, tls=found.tls, fingerprint=found.fingerprint, token=found.token)


def test_every_role_killed_at_random_moments_doubles_and_loses_nothing(tmp_path: Path) -> None:
    report = run_under_fire(tmp_path, kills_per_role=2, seed=5, cuts=2, full_disks=2)
    assert report.kills == {"server": 2, "trainer": 2, "worker": 2}
    assert (report.cuts, report.full_disks) == (2, 2)
    assert report.refused >= 2
    assert (report.doubled, report.lost) == (0, 0)
    assert report.invented <= 2, "only a worker killed before it could note a chunk leaves one that nobody noted"
    assert report.arrived == report.accepted + report.invented


def test_over_a_slow_link_that_is_cut_again_and_again_everything_arrives_once(tmp_path: Path) -> None:
    rng = random.Random(2)
    with (
        relay(tmp_path, tls=True) as server,
        SlowLink(server.port, delay_s=0.01, held_share=0.05, held_s=0.05, seed=1) as link,
        trainer_end(at(server, "trainer", link.port)) as trainer,
        worker_end(at(server, "worker", link.port)) as worker,
    ):
        found = []
        for number in range(120):
            worker.send_chunk(chunk(number))
            if number % 20 == 10:
                found += receive(trainer, rng.randint(1, 5))
                link.cut()
        found += receive(trainer, 120 - len(found))
        until(lambda: worker.waiting_chunks == 0, "the last acknowledgement")
        assert [c.seq for c in found] == list(range(120))
        assert all((c.columns["floats"] == c.seq).all() for c in found)
        trainer.publish(weights(1))
        newest = worker.wait_weights(-1, 60)
        assert newest is not None
        assert newest.unpack()["a"].tolist() == [1.0, 1.0, 1.0]
        assert link.cuts >= 6


def test_driving_goes_on_while_the_server_is_away_and_everything_comes_later(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, tls=True) as server:
        port, where = server.port, server.address("worker")
        trainer, worker = trainer_end(server, say=said.append), worker_end(where, say=said.append)
        trainer.publish(weights(7))
        first = worker.wait_weights(-1, 60)
        assert first is not None
        worker.send_chunk(chunk(0))
        received = receive(trainer, 1)
    until(lambda: not worker.is_connected, "the server is away")
    for number in range(1, 30):
        worker.send_chunk(chunk(number))
    assert worker.poll_weights(-1) is not None, "the weights at hand stay usable"
    with relay(tmp_path, tls=True, port=port):
        received += receive(trainer, 29)
        assert [c.seq for c in received] == list(range(30))
        trainer.publish(weights(8))
        newer = worker.wait_weights(first.version, 60)
        assert newer is not None
        assert newer.unpack()["a"].tolist() == [8.0, 8.0, 8.0]
        worker.close()
        trainer.close()
    assert sum("is away" in line for line in said) <= 2, "one line per outage and client"


def test_weights_come_back_after_the_server_has_forgotten_them(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True) as server:
        port, where = server.port, server.address("worker")
        trainer = trainer_end(server)
        trainer.publish(weights(3))
        until(lambda: server.numbers()["weights_version"] > 0, "the weights are there")
    with relay(tmp_path, tls=True, port=port), worker_end(where) as worker:
        found = worker.wait_weights(-1, 60)
        assert found is not None
        assert found.unpack()["a"].tolist() == [3.0, 3.0, 3.0]
        trainer.close()


def test_a_new_trainer_gets_what_the_dead_one_had_not_taken_and_versions_grow(tmp_path: Path) -> None:
    with relay(tmp_path) as server:
        first = trainer_end(server)
        first.publish(weights(500))
        with worker_end(server) as worker:
            old = worker.wait_weights(-1, 60)
            assert old is not None
            for number in range(10):
                worker.send_chunk(chunk(number, version=old.version))
            until(lambda: server.numbers()["delivered"] == 10, "everything lies in the first trainer's inbox")
            kill(first)
            with trainer_end(server) as second:
                found = receive(second, 10)
                assert [c.seq for c in found] == list(range(10))
                assert {c.weights_version for c in found} == {-1}, "of an earlier life"
                second.publish(weights(1))
                newer = worker.wait_weights(old.version, 60)
                assert newer is not None, "a trainer that begins at 1 again is heard"
                worker.send_chunk(chunk(10, version=newer.version))
                assert receive(second, 1)[0].weights_version == 1


def kill(end: Any) -> None:
    """End a client as SIGKILL would: its socket is closed by the system, nobody says goodbye."""
    until(lambda: end._loop is not None, "the thread runs")
    end._options = end._options.__class__(shortest_wait_s=3600, longest_wait_s=3600)
    end._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(end._loop)])
    end._thread.join()


def test_a_second_trainer_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path) as server, trainer_end(server) as first:
        first.wait_connected(60)
        with trainer_end(server, say=said.append) as second:
            until(lambda: any("There is a trainer already" in line for line in said), "the refusal")
            with pytest.raises(TransportError, match=r"did not take us .*There is a trainer already \(Trainer "):
                second.wait_connected(0.0)
        with worker_end(server) as worker:
            worker.send_chunk(chunk(0))
            assert len(receive(first, 1)) == 1
    assert not any("is away" in line for line in said), said


def test_a_worker_that_vanishes_is_reported_as_unknown(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, say=said.append) as server:
        worker = worker_end(server)
        worker.wait_connected(60)
        kill(worker)
        until(lambda: server.numbers()["workers_lost"] == 1, "the loss is counted")
    assert any("what it had not sent is unknown" in line for line in said)


def test_a_goodbye_is_heard_although_the_answer_before_it_reaches_nobody(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True) as server:
        for _ in range(20):
            with worker_end(server) as worker:
                worker.wait_connected(60)  # and asks for weights, which are under way when it closes
        until(lambda: server.numbers()["workers"] == 0, "everybody has left")
        assert server.numbers()["workers_lost"] == 0


def test_workers_that_look_for_a_trainer_every_few_seconds_are_worth_no_line(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, say=said.append) as server:
        for _ in range(3):
            with worker_end(server, spec=b"") as asking:
                asking.wait_connected(60)
        until(lambda: server.numbers()["workers"] == 0, "everybody has left")
        assert said == []
        with trainer_end(server) as trainer:
            trainer.wait_connected(60)
            with worker_end(server, spec=b"") as worker:
                worker.wait_connected(60)
                worker.send_chunk(chunk(0))
                assert len(receive(trainer, 1)) == 1
            until(lambda: server.numbers()["workers"] == 0, "it has left")
    assert sum("Worker 0" in line and "has come" in line for line in said) == 1
    assert sum("Worker 0" in line and "goodbye" in line for line in said) == 1


def test_a_learner_that_takes_nothing_holds_workers_near_and_its_end_lets_them_go(tmp_path: Path) -> None:
    with relay(tmp_path) as server:
        trainer = trainer_end(server, max_ahead=4)
        until(lambda: server._core is not None and server._core.store.queue._max_ahead == 4, "the trainer's wish")
        with worker_end(server) as worker:
            worker.wait_connected(60)
            worker.keep_near(3)
            driving = threading.Thread(target=lambda: [worker.send_chunk(chunk(number)) for number in range(40)])
            driving.start()
            until(lambda: (server.numbers()["chunks"], worker.waiting_chunks) == (4, 3), "both places are full")
            found: list[Chunk] = []
            while len(found) < 20:
                found += trainer.recv_chunks(0.5)
                assert server.numbers()["chunks"] <= len(found) + 4
                assert worker.waiting_chunks <= 3
            kill(trainer)
            driving.join()
            until(lambda: server.numbers()["chunks"] == 40, "everything is on the server")
        with trainer_end(server) as later:
            rest = receive(later, 1)
            while rest[-1].seq < 39:
                rest += receive(later, 1)
        assert [c.seq for c in found] == list(range(len(found)))
        assert [c.seq for c in rest] == list(range(rest[0].seq, 40))
        assert rest[0].seq <= len(found), "what the dead trainer had not acknowledged comes again"


def test_chunks_that_go_back_to_the_queue_count_as_ahead_again() -> None:
    queue = ChunkQueue(10**6)
    queue.keep_near(2)
    entries = [Entry(b"s" * 16, seq, 0, 1, b"x") for seq in range(3)]

    async def play() -> None:
        turn = queue.give_back()
        for entry in entries[:2]:
            assert queue.has_room(0, 1)
            queue.put(entry)
        assert not queue.has_room(0, 1)
        assert queue.has_room(1, 1), "another worker is as near as it is"
        for _ in range(2):
            taken = await queue.take(turn)
            assert taken is not None
            queue.note_taken(taken)
        assert queue.has_room(0, 1), "the trainer has them, though not on disk"
        queue.give_back()
        assert not queue.has_room(0, 1)
        queue.ack(b"s" * 16, 0)
        assert queue.has_room(0, 1)
        queue.put(entries[2])
        queue.keep_near(None)
        assert queue.has_room(0, 1)

    asyncio.run(play())


def test_the_number_of_workers_is_limited_and_a_free_place_is_taken(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, core=CoreOptions(max_workers=1)) as server:
        first = worker_end(server)
        first.wait_connected(60)
        with worker_end(server, say=said.append) as second:
            until(lambda: any("no more are allowed" in line for line in said), "the refusal")
            first.close()
            assert second.wait_connected(60).worker_id == 0


@pytest.mark.parametrize("confirms", [True, False])
def test_a_durable_server_acknowledges_what_the_trainer_has_saved(tmp_path: Path, confirms: bool) -> None:
    with relay(tmp_path, tls=True, durable=tmp_path / "journal") as server:
        port, where = server.port, server.address("worker")
        with worker_end(where) as worker:
            trainer = trainer_end(server, acknowledge="saved")
            for number in range(5):
                worker.send_chunk(chunk(number))
            receive(trainer, 5)
            marks = trainer.marks()
            assert worker.waiting_chunks == 5
            if confirms:
                trainer.confirm()
                until(lambda: worker.waiting_chunks == 0, "the acknowledgement")
            kill(trainer)
    with (
        relay(tmp_path, tls=True, port=port, durable=tmp_path / "journal") as server,
        trainer_end(server, acknowledge="saved") as second,
        worker_end(server) as other,
    ):
        other.send_chunk(chunk(9, worker=1))
        found = receive(second, 1 if confirms else 6)
        assert len(found) == (1 if confirms else 6)
        assert second.recv_chunks(0.05) == []
    assert len(marks) == 1


def test_a_trainer_that_saved_before_its_end_is_not_given_the_same_again(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True, durable=tmp_path / "journal") as server, worker_end(server) as worker:
        trainer = trainer_end(server, acknowledge="saved")
        for number in range(5):
            worker.send_chunk(chunk(number))
        receive(trainer, 5)
        marks = trainer.marks()  # lie beside the memory on disk; the confirmation never leaves
        kill(trainer)
        with trainer_end(server, acknowledge="saved", marks=marks) as second:
            until(lambda: worker.waiting_chunks == 0, "the second trainer confirms what the first has saved")
            worker.send_chunk(chunk(5))
            assert [c.seq for c in receive(second, 1)] == [5]
            assert second.recv_chunks(0.05) == []


def test_a_journal_of_another_run_is_kept(tmp_path: Path) -> None:
    with relay(tmp_path, durable=tmp_path / "journal") as server:
        first = trainer_end(server, acknowledge="saved")
        with worker_end(server) as worker:
            worker.send_chunk(chunk(0))
            receive(first, 1)
            kill(first)
        other = {**SPEC, "floats": replace(SPEC["floats"], shape=(9,))}
        with pytest.raises(TransportError, match=r"journal holds 1 chunks of another run.*columns\.floats"):
            trainer_end(server, spec=describe(other)).wait_connected(60)
        with trainer_end(server, acknowledge="saved") as right:
            assert len(receive(right, 1)) == 1


def refuse_journal(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool], reason: str) -> None:
    """Let the journal's jobs fail whose method's name says so."""
    original = Journal._submit

    def submit(journal: Journal, job: Callable[[sqlite3.Connection], Any]) -> Any:
        def work(db: sqlite3.Connection) -> Any:
            if fails(job.__qualname__.split(".")[1]):
                raise sqlite3.OperationalError(reason)
            return job(db)

        return original(journal, work)

    monkeypatch.setattr(Journal, "_submit", submit)


def no_space(path: Path, content: bytes) -> None:
    """Write a file on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_under_the_journal_holds_workers_back_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    is_full = [True]
    refuse_journal(monkeypatch, lambda job: is_full[0] and job == "put", "database or disk is full")
    monkeypatch.setattr("trackmaster.distributed.relay.chunk_store.JOURNAL_RETRY_S", 0.01)
    with (
        relay(tmp_path, durable=tmp_path / "journal", say=said.append) as server,
        trainer_end(server) as trainer,
        worker_end(server) as worker,
    ):
        worker.send_chunk(chunk(0))
        until(lambda: any("disk is full" in line for line in said), "the sentence")
        assert worker.waiting_chunks == 1
        is_full[0] = False
        assert len(receive(trainer, 1)) == 1
    assert sum("disk is full" in line for line in said) == 1


@pytest.mark.parametrize("work", ["frame", "acked"])
def test_a_journal_that_fails_once_does_not_end_the_trainers_supply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    said: list[str] = []
    left = [1]
    refuse_journal(monkeypatch, lambda job: job == work and bool(left) and bool(left.pop()), "disk I/O error")
    monkeypatch.setattr("trackmaster.distributed.relay.chunk_store.IN_MEMORY_BYTES", 0)
    with (
        relay(tmp_path, durable=tmp_path / "journal", say=said.append) as server,
        trainer_end(server) as trainer,
        worker_end(server) as worker,
    ):
        for number in range(3):
            worker.send_chunk(chunk(number))
        assert [c.seq for c in receive(trainer, 3)] == [0, 1, 2]
        until(lambda: worker.waiting_chunks == 0, "everything is acknowledged")
        assert not left
        assert server.numbers()["trainers"] == 2, "it was cut off and came again"
    assert any("The journal does not answer (disk I/O error)" in line for line in said), said


def test_a_journal_that_cannot_be_opened_stops_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / JOURNAL).write_bytes(b"no database at all" * 100)
    with pytest.raises(TransportError, match=r"journal.*cannot be opened"):
        relay(tmp_path, durable=tmp_path / "journal").start()
    with relay(tmp_path / "a", durable=tmp_path / "other"), pytest.raises(TransportError, match="Is another server"):
        relay(tmp_path / "b", durable=tmp_path / "other").start()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="Choose another --port"):
            relay(tmp_path, port=taken.getsockname()[1]).start()


def test_a_server_that_never_was_there_is_told_with_what_to_look_at() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = ServerAddress("127.0.0.1", closed.getsockname()[1], tls=False, token="t")
    with worker_end(address) as worker, pytest.raises(TransportError, match="port forwarded"):
        worker.wait_connected(0.1)


def test_spooled_chunks_of_a_killed_worker_are_sent_by_its_next_life(tmp_path: Path) -> None:
    with relay(tmp_path, tls=True) as server:
        away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
        worker = worker_end(away, spool=Spool(tmp_path / "spool"))
        for number in range(6):
            worker.send_chunk(chunk(number))
        session = worker.session.hex()
        kill(worker)
        assert len(list((tmp_path / "spool").glob("*.chunk"))) == 6
        (tmp_path / "spool" / "notes.chunk").write_bytes(b"not ours")
        with trainer_end(server) as trainer, worker_end(server, spool=Spool(tmp_path / "spool"), worker_id=3) as again:
            again.send_chunk(chunk(6))
            found = receive(trainer, 7)
            assert [c.seq for c in found] == [0, 1, 2, 3, 4, 5, 0]
            assert [c.session for c in found[:6]] == [session] * 6
            assert {c.worker_id for c in found} == {3}
            assert same(replace(found[2], session="0" * 32, worker_id=0, weights_version=1), chunk(2))
            until(lambda: not again.waiting_chunks, "the acknowledgements")
    assert [p.name for p in (tmp_path / "spool").glob("*.chunk")] == ["notes.chunk"]


def test_a_full_disk_under_the_spool_keeps_chunks_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackmaster.distributed.link.spool.atomic_write_bytes", no_space)
    said: list[str] = []
    with (
        relay(tmp_path) as server,
        trainer_end(server) as trainer,
        worker_end(server, spool=Spool(tmp_path / "spool"), say=said.append) as worker,
    ):
        for number in range(5):
            worker.send_chunk(chunk(number))
        assert len(receive(trainer, 5)) == 5
    assert sum("No space left" in line for line in said) == 1


def test_while_the_spool_refuses_memory_keeps_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    size = len(encode(chunk(1)))
    worker = worker_end(away, on_full="drop", outbox_bytes=3 * size, spool=Spool(tmp_path / "spool"))
    with monkeypatch.context() as broken:
        broken.setattr("trackmaster.distributed.link.spool.atomic_write_bytes", no_space)
        for number in range(10):
            worker.send_chunk(chunk(2 * number + 1, episode=number))
    assert (worker.waiting_chunks, worker.dropped_chunks) == (3, 7)
    for number in range(10, 20):  # there is room again
        worker.send_chunk(chunk(2 * number + 1, episode=number))
    assert (worker.waiting_chunks, worker.dropped_chunks) == (12, 8)
    kill(worker)


def test_a_full_outbox_drops_whole_episodes_the_oldest_first_and_counts() -> None:
    said: list[str] = []
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    size = len(encode(chunk(1, episode=1)))
    worker = worker_end(away, on_full="drop", outbox_bytes=9 * size, say=said.append)
    for number in range(20):
        worker.send_chunk(chunk(2 * number + 1, episode=number // 4))  # four chunks per episode
    kept = [p.seq for p in worker._outbox._parcels]
    assert worker.dropped_chunks == 12
    assert kept == list(range(12, 20)), "whole episodes went, the newest are left"
    assert worker._outbox.dropped_steps == 24
    assert any("given up" in line for line in said)
    kill(worker)


def test_dropping_never_waits_for_a_durable_server_whose_trainer_has_not_saved(tmp_path: Path) -> None:
    size = len(encode(chunk(1)))
    with (
        relay(tmp_path, durable=tmp_path / "journal") as server,
        trainer_end(server, acknowledge="saved") as trainer,
        worker_end(server, on_full="drop", outbox_bytes=3 * size) as worker,
    ):
        for number in (1, 3, 5):
            worker.send_chunk(chunk(number, episode=number))
        assert len(receive(trainer, 3)) == 3
        driving = threading.Thread(target=worker.send_chunk, args=(chunk(7, episode=7),), daemon=True)
        driving.start()
        driving.join(PATIENCE_S)
        assert not driving.is_alive()
        assert (worker.waiting_chunks, worker.dropped_chunks) == (3, 1), "what was sent is still kept"
        trainer.confirm()
        until(lambda: worker.waiting_chunks == 0, "the acknowledgement")
        worker.send_chunk(chunk(9, episode=9))
        assert [(c.seq, c.episode_id) for c in receive(trainer, 1)] == [(3, 9)]


def test_what_is_remembered_of_workers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks({"a": 1, "b": 2}, limit=2)
    marks.note("a", 0)
    marks.note("c", 5)
    assert dict(marks.items()) == {"a": 1, "c": 5}, "the one that was silent for longest is forgotten"
    assert marks.of("b") == -1
    monkeypatch.setattr("trackmaster.distributed.relay.journal.MAX_SESSIONS", 2)
    journal = Journal(tmp_path)
    for life in range(5):
        journal.put(Kept(bytes([life]) * 16, 3, 0, 1), b"x").result()
        if life:
            journal.acked(bytes([life]) * 16, 3).result()
    _, kept, _ = journal.load()
    journal.close()
    assert [session[0] for session in kept] == [0, 3, 4], "the first one still waits, the others are old"


def test_a_full_outbox_blocks_until_the_end_is_closed(tmp_path: Path) -> None:
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    worker = worker_end(away, outbox_bytes=1)
    worker.send_chunk(chunk(0))
    blocked = threading.Thread(target=worker.send_chunk, args=(chunk(1),))
    blocked.start()
    worker.close()
    blocked.join()
    assert worker.waiting_chunks == 1


def test_parcels_are_sent_again_over_a_new_connection_and_forgotten_when_acknowledged() -> None:
    box = Outbox(10**6, None, silent)
    for seq in range(4):
        box.put(Parcel(b"a" * 16, seq, 0, seq, 10, 1, bytes([seq])))
    assert [box.next_frame() for _ in range(5)] == [(0, b"\0"), (0, b"\1"), (0, b"\2"), (0, b"\3"), None]
    box.ack(b"a" * 16, 1)
    box.ack(b"b" * 16, 9)
    box.rewind()
    assert [box.next_frame() for _ in range(3)] == [(0, b"\2"), (0, b"\3"), None]
    box.ack(b"a" * 16, 3)
    assert len(box) == 0
    assert box.acknowledged == 4


def test_waiting_times_grow_with_jitter_up_to_their_limit() -> None:
    waits = jittered_waits(1.0, 30.0, random.Random(0))
    found = [next(waits) for _ in range(50)]
    for number, wait in enumerate(found):
        longest = min(30.0, 2.0**number)
        assert longest / 2 <= wait <= longest
    assert len(set(found)) == 50


def test_broken_connections_are_told_by_us_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with relay(tmp_path):
        for sentence in ("SSL connection is closed", "something new"):
            logging.getLogger("asyncio").warning(sentence)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == ["something new"]


def test_fifty_connections_over_tls_one_after_the_other_all_come_through(tmp_path: Path) -> None:
    """A soak: TLS connections that two threads share can hang on CPython 3.11; ours live in one."""
    with relay(tmp_path, tls=True, max_per_address=200) as server, trainer_end(server) as trainer:
        for number in range(50):
            with worker_end(server) as worker:
                worker.send_chunk(chunk(number))
                assert (receive(trainer, 1)[0].columns["floats"] == number).all()
        assert server.numbers()["workers_lost"] == 0


def test_two_workers_do_not_share_a_spool(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    code = (
        "import sys; from pathlib import Path; from trackmaster.distributed.link.spool import Spool; "
        "spool = Spool(Path(sys.argv[1])); print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(ConfigError, match="another worker keeps its chunks there"):
            Spool(folder)
        other.kill()
    Spool(folder).close()
