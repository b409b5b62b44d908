"""Evictions that come at the worst moment: while a chunk is held, and between two updates of a trainer."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.distributed.net_kit import chunk, receive, relay, trainer_end, until, worker_end
from tests.distributed.test_hostile_network import hello, raw, token_of
from tests.distributed.test_network_faults import kill
from tests.distributed.test_training import Build, build
from tests.distributed.wire_samples import SESSION

from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.relay.evictions import Evictions
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import EvictingTrainerEnd
from trackmaster.distributed.wire.framing import MAX_TEXT_BYTES
from trackmaster.distributed.wire.messages import Bye, Welcome, decode, encode
from trackmaster.rl.memory.chunk_ring import UNKNOWN_WORKER

__all__ = ["build"]


class Evicting:
    """A link whose only worker is sent away at once, and which brings nothing more."""

    def __init__(self, link: Any) -> None:
        self.publish, self.check_workers, self.close = link.publish, link.check_workers, link.close
        self.numbers = [0]

    def recv_chunks(self, timeout_s: float) -> list[Any]:
        return []

    def evict(self, chunk: Any, reason: str) -> None:
        pass

    def evicted(self) -> list[int]:
        numbers, self.numbers = self.numbers, []
        return numbers


def test_a_memory_that_an_eviction_empties_between_two_updates_waits_for_others(build: Build) -> None:
    trainer, _ = build(learning_start=100)
    trainer._publish()
    link = trainer._end
    while not (trainer.stats.cumul_number_batches_done and trainer._may_train()):
        trainer.turn()
    done = trainer.stats.cumul_number_batches_done
    trainer._end = evicting = Evicting(link)
    assert isinstance(evicting, EvictingTrainerEnd)
    trainer.turn()
    assert len(trainer._memory) == 0
    assert trainer.stats.cumul_number_batches_done == done
    trainer._end = link
    while trainer.stats.cumul_number_batches_done == done:
        trainer.turn()


def test_a_chunk_that_was_held_while_its_token_was_evicted_reaches_nobody(tmp_path: Path) -> None:
    with relay(tmp_path) as server, trainer_end(server, max_ahead=1) as trainer:
        core, loop = server._core, server._loop
        assert core is not None
        assert loop is not None
        until(lambda: core.store.queue._max_ahead == 1, "the trainer's wish")
        worker = worker_end(server)
        for number in range(3):
            worker.send_chunk(chunk(number))
        until(lambda: any(client.is_held_back for client in core.clients()), "a chunk that is held")
        identity = next(iter(core.workers.values())).identity.id
        asyncio.run_coroutine_threadsafe(core.evict_token(identity, "It lies."), loop).result()
        until(lambda: worker.waiting_chunks == 0, "its chunks are of no use to anybody")
        until(lambda: bool(trainer.evicted()), "the eviction")
        with worker_end(server) as honest:
            honest.send_chunk(chunk(9))
            arrived = receive(trainer, 1)
            while arrived[-1].columns["floats"][0, 0] != 9:
                arrived += receive(trainer, 1)
        worker.close()
        assert [c.columns["floats"][0, 0] for c in arrived if c.seq > 0] == [], "only what was sent before"


def test_nobody_gets_the_number_of_rows_that_are_nobodys() -> None:
    evictions = Evictions()
    assert evictions.free_number(UNKNOWN_WORKER, "ann", set()) == 0, "or its eviction would take old memories along"
    assert evictions.free_number(UNKNOWN_WORKER - 1, "ann", set()) == UNKNOWN_WORKER - 1


def test_a_long_reason_takes_no_more_room_than_what_is_told_of_it() -> None:
    evictions = Evictions()
    evictions.refuse(b"s" * 16, "x" * 100_000)
    assert len(evictions.reason(b"s" * 16)) == MAX_TEXT_BYTES


def test_what_is_refused_of_an_earlier_life_takes_nothing_of_the_present_one_along(tmp_path: Path) -> None:
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    earlier = worker_end(away, spool=Spool(tmp_path / "spool"))
    earlier.send_chunk(chunk(0))
    kill(earlier)
    with relay(tmp_path, durable=tmp_path / "journal") as server:
        first = trainer_end(server, acknowledge="saved")
        present = worker_end(server, spool=Spool(tmp_path / "spool"))
        present.send_chunk(chunk(5))
        old, new = receive(first, 2)
        assert old.session != new.session
        kill(present)  # for a moment, as far as anybody knows
        until(lambda: server.numbers()["workers"] == 0, "its end")
        first.evict(old, "Of a track that nobody drives.")
        until(lambda: server.numbers()["evicted_chunks"] == 1, "the eviction")
        kill(first)
        with trainer_end(server, acknowledge="saved") as second:
            assert [c.session for c in receive(second, 1)] == [new.session]
            assert second.evicted() == []


def test_what_others_say_steers_no_terminal_and_forges_no_line(tmp_path: Path) -> None:
    said: list[str] = []
    with relay(tmp_path, say=said.append) as server, trainer_end(server, say=said.append) as trainer:
        trainer.wait_connected(60)
        with raw(server, token_of(server, "worker")) as worker:
            worker.send(hello())
            welcome = decode(worker.recv())
            assert isinstance(welcome, Welcome)
            worker.send(encode(Bye("\x1b]0;mine\x07\nWorker 9 has come")))
            sent = replace(chunk(0), worker_id=welcome.worker_id, session=SESSION.hex())
            worker.send(encode(replace(sent, columns={**sent.columns, "\x1b[2J": sent.columns["floats"]})))
            until(lambda: bool(trainer.evicted()), "the eviction")
    assert any("?[2J is unknown" in line for line in said)
    assert any("goodbye: ?]0;mine??Worker 9" in line for line in said)
    assert all(line.isprintable() for line in said)


def test_a_trainer_that_was_cut_off_forgets_nobody_twice(tmp_path: Path) -> None:
    with relay(tmp_path) as server, trainer_end(server) as trainer:
        core, loop = server._core, server._loop
        assert core is not None
        assert loop is not None
        trainer.wait_connected(60)
        with raw(server, token_of(server, "worker")) as liar:
            liar.send(hello())
            liar.recv()
            liar.send(b"no message")
            numbers: list[int] = []
            until(lambda: bool(numbers.extend(trainer.evicted()) or numbers), "a number to forget")
        assert core.trainer is not None
        loop.call_soon_threadsafe(core.trainer.connection.transport.abort)
        until(lambda: server.numbers()["trainers"] == 2, "the trainer's return")
        with worker_end(server) as honest:
            honest.send_chunk(chunk(3))
            receive(trainer, 1)
        assert trainer.evicted() == []
