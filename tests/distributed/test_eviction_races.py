"""Evictions that come at the worst moment: while a chunk is held, and between two updates of a trainer."""

import asyncio
from pathlib import Path
from typing import Any

from tests.distributed.net_kit import chunk, receive, relay, trainer_end, until, worker_end
from tests.distributed.test_training import Build, build

from trackmaster.distributed.relay.evictions import Evictions
from trackmaster.distributed.transport.contract import EvictingTrainerEnd
from trackmaster.distributed.wire.framing import MAX_TEXT_BYTES
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
