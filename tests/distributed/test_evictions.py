"""Workers that are sent away: by the server, by the trainer, by whoever runs both; told why, refused, and forgotten."""

import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.distributed.net_kit import chunk, receive, relay, silent, trainer_end, until, worker_end
from tests.distributed.test_hostile_network import hello, raw, token_of
from tests.distributed.test_network_faults import kill
from tests.distributed.wire_samples import SESSION

from trackmaster.cli import main
from trackmaster.distributed.link.spool import Spool
from trackmaster.distributed.link.trainer_end import WebSocketTrainerEnd
from trackmaster.distributed.link.worker_end import WebSocketWorkerEnd
from trackmaster.distributed.relay.evictions import MAX_NUMBERS, Evictions
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.security.join_string import ServerAddress, parse_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.server import Server
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire.marks import MAX_SESSIONS
from trackmaster.distributed.wire.messages import Evict, Welcome, decode, encode
from trackmaster.rl.memory.tm_memories import GenericTorchMemory

PHRASE = "a pass phrase for the toys"


def ended(worker: WebSocketWorkerEnd, said: str) -> None:
    """Wait until a worker's end has been told why it ends."""
    with pytest.raises(TransportError, match=said):
        until(lambda: worker.poll_weights(-1) is not None, "the end of a worker that was sent away")


def forgotten(trainer: WebSocketTrainerEnd) -> list[int]:
    """The numbers that the trainer has to forget, once there are some."""
    numbers: list[int] = []
    until(lambda: bool(numbers.extend(trainer.evicted()) or numbers), "a number to forget")
    return numbers


@pytest.mark.parametrize("lie", ["columns", "not finite"])
def test_who_sends_what_no_run_has_is_refused_and_forgotten(tmp_path: Path, lie: str) -> None:
    with relay(tmp_path) as server, trainer_end(server) as trainer, worker_end(server) as honest:
        trainer.wait_connected(60)
        honest.wait_connected(60)
        with raw(server, token_of(server, "worker")) as liar:
            liar.send(hello())
            welcome = decode(liar.recv())
            assert isinstance(welcome, Welcome)
            good = replace(chunk(0), worker_id=welcome.worker_id, session=SESSION.hex())
            liar.send(encode(good))
            receive(trainer, 1)
            floats = good.columns["floats"]
            wrong = floats[:, :2] if lie == "columns" else np.full_like(floats, np.nan)
            liar.send(encode(replace(good, seq=1, columns={**good.columns, "floats": wrong})))
            assert forgotten(trainer) == [welcome.worker_id]
        with raw(server, token_of(server, "worker")) as again:  # the same life
            again.send(hello())
            refusal = decode(again.recv())
            assert isinstance(refusal, Welcome)
            assert not refusal.accepted
            assert "floats" in refusal.reason
            assert not refusal.limits["retry"]
        with raw(server, token_of(server, "worker")) as another:
            another.send(hello(session=bytes(15) + b"\1"))
            fresh = decode(another.recv())
            assert isinstance(fresh, Welcome)
            assert fresh.accepted
            assert fresh.worker_id not in (welcome.worker_id, honest.worker_id), "or its rows would be forgotten, too"
        honest.send_chunk(chunk(5))
        assert [c.columns["floats"][0, 0] for c in receive(trainer, 1)] == [5]
        numbers = server.numbers()
        assert (numbers["evicted"], numbers["workers"]) == (1, 1)


def test_a_worker_that_the_trainer_refuses_is_told_at_length_and_nobody_else(tmp_path: Path) -> None:
    reason = "obs.0 is float32 [3] from the worker and float32 [4] at the trainer; " * 20
    said: list[str] = []
    with relay(tmp_path) as server, trainer_end(server, say=said.append) as trainer, worker_end(server) as honest:
        with worker_end(server) as other:
            for number in range(3):
                other.send_chunk(chunk(number))
            first = receive(trainer, 3)[0]
            trainer.evict(first, reason)
            trainer.evict(first, "again")
            ended(other, f"sent this worker away.*{re.escape(reason)}")
        assert trainer.evicted() == [first.worker_id]
        assert trainer.evicted() == []
        assert sum("is sent away" in line for line in said) == 1
        honest.send_chunk(chunk(7))
        assert [c.columns["floats"][0, 0] for c in receive(trainer, 1)] == [7]


def test_an_operator_evicts_a_token_and_admits_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    keys.add("worker", "bob")
    folder = ["--keys", str(keys.folder)]
    with relay(tmp_path, tls=True) as server:
        address = parse_join(keys.joins(host="127.0.0.1", port=server.port)["bob"])
        with worker_end(server) as honest:
            with worker_end(address) as bob:
                bob.send_chunk(chunk(0))
                until(lambda: server.numbers()["queue_chunks"] == 1, "the chunk of bob")
                number = bob.worker_id
                honest.send_chunk(chunk(1))
                until(lambda: server.numbers()["queue_chunks"] == 2, "the chunk of the honest")
                assert main(["server", "--evict", "bob", *folder]) == 0
                ended(bob, r"revoked|does not accept")
            until(lambda: server.numbers()["evicted"] == 1, "the eviction")
            with trainer_end(server) as trainer:  # who comes later is told all the same
                assert [c.columns["floats"][0, 0] for c in receive(trainer, 1)] == [1], "bob's chunk waits no more"
                assert forgotten(trainer) == [number]
                with worker_end(address) as refused:
                    ended(refused, "does not accept")
                assert main(["server", "--admit", "bob", *folder]) == 0
                assert "opens the server again" in capsys.readouterr().out

                def comes_in() -> bool:
                    with worker_end(address) as back:
                        try:
                            return back.wait_connected(60).worker_id not in (number, honest.worker_id)
                        except TransportError:
                            return False

                until(comes_in, "bob's return under another number")
    assert main(["server", "--evict", "trainer-1", *folder]) == 1
    assert "sends no samples" in capsys.readouterr().err


def test_what_a_spool_brings_from_a_life_of_another_form_is_left_out_and_its_worker_stays(tmp_path: Path) -> None:
    away = ServerAddress("127.0.0.1", 1, tls=False, token="t")
    earlier = worker_end(away, spool=Spool(tmp_path / "spool"))
    for number in range(3):
        wide = chunk(number)
        earlier.send_chunk(replace(wide, columns={**wide.columns, "floats": np.zeros((3, 9), np.float32)}))
    kill(earlier)
    said: list[str] = []
    with relay(tmp_path, say=said.append) as server, trainer_end(server) as trainer:
        trainer.wait_connected(60)
        with worker_end(server, spool=Spool(tmp_path / "spool")) as worker:
            worker.send_chunk(chunk(8))
            assert [c.columns["floats"][0, 0] for c in receive(trainer, 1)] == [8]
            until(lambda: not worker.waiting_chunks, "the acknowledgements")
        assert trainer.evicted() == []
        assert server.numbers()["evicted_chunks"] == 3
    assert sum("earlier life is left out" in line for line in said) == 1


def test_a_trainer_that_comes_back_asks_a_new_server_again(tmp_path: Path) -> None:
    with relay(tmp_path) as first:
        port = first.port
        address, trainers = first.address("worker"), first.address("trainer")
        worker = worker_end(address)
        trainer = trainer_end(trainers)
        worker.send_chunk(chunk(0))
        sent = receive(trainer, 1)[0]
    trainer.evict(sent, "It lies.")  # while no server is there
    assert trainer.evicted() == [sent.worker_id]
    again = relay(tmp_path, port=port)
    again._tokens, again._plain_tokens = first._tokens, first._plain_tokens
    with worker, trainer, again:
        ended(worker, "It lies")


def test_numbers_belong_to_their_token_and_are_not_given_out_again() -> None:
    evictions = Evictions()
    assert evictions.free_number(-1, "ann", {0}) == 1
    evictions.note(0, "ann")
    assert evictions.free_number(-1, "ann", set()) == 1, "another life, another number"
    assert evictions.free_number(0, "ann", set()) == 0, "unless it asks for that one"
    assert evictions.free_number(0, "bob", set()) == 1
    told = Evict.told(0, SESSION, "why")
    assert evictions.forget(told)
    assert not evictions.forget(told)
    assert evictions.free_number(0, "ann", set()) == 1
    assert evictions.told_to_every_trainer() == [told]


def test_what_is_remembered_of_those_sent_away_is_bounded() -> None:
    evictions = Evictions()
    for number in range(MAX_NUMBERS):
        evictions.note(number, "ann")
        evictions.forget(Evict.told(number, SESSION, ""))
        evictions.refuse(number.to_bytes(16, "big"), "x")
    assert len(evictions.told_to_every_trainer()) == MAX_SESSIONS
    assert evictions.free_number(-1, "bob", {0}) == 1, "when every number is used up, the oldest that may is given"
    assert evictions.free_number(-1, "bob", range(MAX_NUMBERS)) is None


# A trainer of the user's own classes ------------------------------------------------------------------------------


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("toy_control")


class OwnMemory(GenericTorchMemory):
    """Stores samples in a list of its own, as the seed's classes do, and looks at nothing."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.samples: list[Any] = []

    def append_buffer(self, buffer: Any) -> None:
        self.samples += buffer.memory

    def __len__(self) -> int:
        return max(0, len(self.samples) - 1)

    def get_transition(self, item: int) -> Any:
        (_, last, *_), (action, new, *rest) = self.samples[item], self.samples[item + 1]
        return last, action, rest[0], new, rest[1], rest[2], {}

    def evict(self, worker_id: int) -> int:
        before = len(self)
        self.samples = [sample for sample in self.samples if sample[5]["worker_id"] != worker_id]
        return before - len(self)


def widened(action: Any, obs: Any, *more: Any) -> Any:
    return action, np.concatenate((obs, obs)), *more


def own_trainer(toy: ModuleType, where: dict[str, Any], said: list[str], memory: type) -> Trainer:
    """A trainer that does not know the columns beforehand."""
    training = functools.partial(
        TorchTrainingOffline, toy.Follow, functools.partial(memory, memory_size=500, batch_size=16), toy.ToySAC,
        epochs=1, rounds=1, steps=10, update_buffer_interval=1, device="cpu", say=said.append,
    )  # fmt: skip
    return Trainer(training, **where)


def drive(toy: ModuleType, where: dict[str, Any], episodes: int, compress: Callable[..., Any] | None = None) -> None:
    with RolloutWorker(toy.Follow, toy.Actor, sample_compressor=compress, **where) as worker:
        worker._end.wait_connected(60)  # type: ignore[union-attr] - one that ends before drives for nobody
        worker.run(nb_episodes=episodes, verbose=False)


@pytest.mark.parametrize("memory", [GenericTorchMemory, OwnMemory])
def test_without_columns_a_worker_of_another_form_is_told_both_and_the_trainer_goes_on(
    toy: ModuleType, memory: type
) -> None:
    said: list[str] = []
    with Server(password=PHRASE, port=0, say=silent) as server:
        where = {"server_ip": "127.0.0.1", "server_port": server.port, "password": PHRASE, "say": silent}
        trainer = own_trainer(toy, where, said, memory)
        drive(toy, where, 2)
        run = trainer.training
        until(lambda: run.receive(trainer.end) + run.total_samples >= 24, "the samples")
        before = run.total_samples
        with RolloutWorker(toy.Follow, toy.Actor, sample_compressor=widened, **where) as wide:
            wide.collect_train_episode()
            wide.send_and_clear_buffer()
            until(lambda: run.receive(trainer.end) + run.refused_chunks > 0, "the misfit")
            with pytest.raises(
                TransportError, match=r"obs is float32 \(4,\) from the worker and float32 \(2,\) at the trainer"
            ):
                wide.update_actor_weights(blocking=True)
        assert run.total_samples == before
        assert len(run.memory) >= 24
        trainer.run()
        trainer.close()
        assert run.total_updates == 10
        assert any("0 transitions of worker" in line for line in said)


def test_once_the_first_one_is_evicted_the_next_samples_decide_and_training_waits(toy: ModuleType) -> None:
    said: list[str] = []
    with Server(password=PHRASE, port=0, say=silent) as server:
        where = {"server_ip": "127.0.0.1", "server_port": server.port, "password": PHRASE, "say": silent}
        trainer = own_trainer(toy, where, said, GenericTorchMemory)
        run, end = trainer.training, trainer.end
        assert isinstance(end, WebSocketTrainerEnd)
        drive(toy, where, 1, widened)
        until(lambda: bool(run.receive(end) or run.total_samples), "the samples of the liar")
        end.evict(chunk(0), "Its operator says that it lies.")
        run.receive(end)
        assert (len(run.memory), run.evicted_transitions) == (0, toy.STEPS)
        drive(toy, where, 2)
        trainer.run()
        trainer.close()
        assert run.total_samples == 3 * toy.STEPS
        assert run.refused_chunks == 0
