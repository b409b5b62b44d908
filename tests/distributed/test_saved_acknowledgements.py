"""A durable server lets workers forget only what its trainer has saved; a trainer that waits for them must save."""

import functools
import importlib
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.distributed.net_kit import silent, until

from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.server import Server
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import STARVED_S, TorchTrainingOffline
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.memory.tm_memories import GenericTorchMemory
from trackmaster.rl.samples.chunk import Chunk

PHRASE = "a pass phrase for the toys"
ROOM = 3
"""Chunks that may be without an acknowledgement."""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("toy_control")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Durable:
    """A link whose worker waits once so many chunks have not been saved."""

    waits_for_disk = True

    def __init__(self, clock: Clock, chunks: deque[Chunk]) -> None:
        self.clock, self.chunks = clock, chunks
        self.unsaved = self.confirmed = self.silent_s = 0

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        if self.unsaved < ROOM and self.chunks:
            self.unsaved += 1
            self.silent_s = 0
            return [self.chunks.popleft()]
        self.clock.now_s += timeout_s
        self.silent_s += timeout_s
        assert self.silent_s < 100 * STARVED_S, "trainer and worker wait for each other"
        return []

    def publish(self, weights: Any) -> None:
        pass

    def check_workers(self) -> None:
        pass

    def confirm(self) -> None:
        self.unsaved, self.confirmed = 0, self.confirmed + 1

    def close(self) -> None:
        pass


def driven(toy: ModuleType, episodes: int) -> deque[Chunk]:
    link = InProcessTransport()
    with RolloutWorker(toy.Follow, toy.Actor, end=link, say=silent) as worker:
        for _ in range(episodes):
            worker.collect_train_episode()
            worker.send_and_clear_buffer()
    return deque(link.recv_chunks(0.0))


@pytest.mark.parametrize("start", [0, 6 * 12])
def test_a_trainer_that_waits_in_the_middle_of_an_epoch_saves_so_that_workers_may_go_on(
    toy: ModuleType, tmp_path: Path, start: int
) -> None:
    clock = Clock()
    end = Durable(clock, driven(toy, 8))
    training = functools.partial(
        TorchTrainingOffline, toy.Follow, functools.partial(GenericTorchMemory, memory_size=500, batch_size=4),
        toy.ToySAC, epochs=1, rounds=1, steps=7 * toy.STEPS, update_buffer_interval=10, start_training=start,
        device="cpu", say=silent, clock=clock,
    )  # fmt: skip
    trainer = Trainer(training, checkpoint_path=tmp_path / "toy.tcpt", end=end, say=silent)
    trainer.run()
    assert trainer.training.total_updates == 7 * toy.STEPS
    assert 2 <= end.confirmed <= 6
    assert trainer.is_saved


def test_without_a_checkpoint_what_has_been_received_is_acknowledged(toy: ModuleType, tmp_path: Path) -> None:
    with Server(password=PHRASE, port=0, durable=tmp_path / "journal", say=silent) as server:
        where = {"server_ip": "127.0.0.1", "server_port": server.port, "password": PHRASE, "say": silent}
        training = functools.partial(
            TorchTrainingOffline, toy.Follow, functools.partial(GenericTorchMemory, memory_size=500, batch_size=4),
            toy.ToySAC, device="cpu", say=silent,
        )  # fmt: skip
        trainer = Trainer(training, **where)
        with RolloutWorker(toy.Follow, toy.Actor, **where) as worker:
            worker.collect_train_episode()
            worker.send_and_clear_buffer()
            until(lambda: trainer.training.receive(trainer.end) > 0, "the samples")
            until(lambda: not worker._end.waiting_chunks, "the acknowledgement")  # type: ignore[union-attr]
        trainer.close()


class Failing(GenericTorchMemory):
    """Has a bug that shows after a while."""

    def append(self, chunk: Chunk) -> int:
        if chunk.seq == 2:
            raise ZeroDivisionError("a bug of its author")
        return super().append(chunk)


def test_a_memory_that_fails_ends_the_training_after_the_state_was_saved_and_confirms_nothing(
    toy: ModuleType, tmp_path: Path
) -> None:
    clock = Clock()
    end = Durable(clock, driven(toy, 5))
    training = functools.partial(
        TorchTrainingOffline, toy.Follow, functools.partial(Failing, memory_size=500, batch_size=4), toy.ToySAC,
        epochs=1, rounds=1, steps=100, device="cpu", say=silent, clock=clock,
    )  # fmt: skip
    trainer = Trainer(training, checkpoint_path=tmp_path / "toy.tcpt", end=end, say=silent)
    with pytest.raises(ZeroDivisionError):
        trainer.run()
    assert trainer.is_saved
    assert (tmp_path / "toy.tcpt").is_file()
    assert end.confirmed == 0
