"""The seed's arguments over TLS: by password, which pins the certificate it meets first, and by join string."""

import functools
import importlib
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trackmaster.distributed.collected import sample_columns
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.security.join_string import parse_join
from trackmaster.distributed.security.server_keys import ServerKeys
from trackmaster.distributed.server import Server
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire.link_spec import agree, describe
from trackmaster.errors import ConfigError
from trackmaster.rl.memory.tm_memories import GenericTorchMemory
from trackmaster.rl.samples.chunk import ColumnSpec

PHRASE = "a pass phrase for the toys"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("toy_control")


def quiet(line: str) -> None:
    """Where lines for people go."""


def exchange(toy: ModuleType, where: dict[str, Any], trainer_where: dict[str, Any] | None = None) -> Trainer:
    """Drive in a thread, train here, and return the trainer when both have ended."""
    worker = RolloutWorker(toy.Follow, toy.Actor, **where, say=quiet)
    thread = threading.Thread(target=worker.run, kwargs={"nb_episodes": 20, "verbose": False})
    thread.start()
    training = functools.partial(
        TorchTrainingOffline, toy.Follow, functools.partial(GenericTorchMemory, memory_size=500, batch_size=16),
        toy.ToySAC, epochs=1, rounds=1, steps=30, update_model_interval=5, update_buffer_interval=5, device="cpu",
        say=quiet,
    )  # fmt: skip
    trainer = Trainer(training, **(trainer_where or where), say=quiet)
    trainer.run()
    thread.join()
    worker.close()
    trainer.close()
    assert trainer.training.total_updates == 30
    return trainer


def test_tls_by_password(toy: ModuleType, tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    with Server("TLS", PHRASE, 0, keys_dir=tmp_path / "keys", host="127.0.0.1", say=quiet) as server:
        where = {"server_ip": "127.0.0.1", "server_port": server.port, "password": PHRASE, "security": "TLS"}
        assert exchange(toy, where).training.total_samples > 0
        assert server.numbers()["chunks"] > 0


def test_tls_by_join_string(toy: ModuleType, tmp_path: Path) -> None:
    keys = ServerKeys(tmp_path / "keys")
    keys.create("127.0.0.1", 6666)
    with Server("TLS", None, 0, keys_dir=tmp_path / "keys", host="127.0.0.1", say=quiet) as server:
        named = keys.joins(host="127.0.0.1", port=server.port)
        joins = {name.split("-")[0]: join for name, join in named.items()}
        assert parse_join(joins["worker"]).port == server.port
        exchange(toy, {"server_ip": joins["worker"]}, {"server_ip": joins["trainer"]})


def doubled(action: Any, obs: Any, *more: Any) -> Any:
    """A compressor that widens instead."""
    return action, obs.astype("f8"), *more


def test_a_worker_of_another_layout_is_told_and_decides_nothing(toy: ModuleType) -> None:
    with Server(password=PHRASE, port=0, say=quiet) as server:
        where: dict[str, Any] = {"server_ip": "127.0.0.1", "server_port": server.port, "password": PHRASE, "say": quiet}
        wrong = {"declared": {"columns": functools.partial(sample_columns, compress=doubled)}, "silent": {}}
        workers = {
            name: RolloutWorker(toy.Follow, toy.Actor, sample_compressor=doubled, **where, **more)
            for name, more in wrong.items()
        }
        training = functools.partial(
            TorchTrainingOffline, toy.Follow, functools.partial(GenericTorchMemory, memory_size=500, batch_size=16),
            toy.ToySAC, epochs=1, rounds=1, steps=10, device="cpu", say=quiet,
        )  # fmt: skip
        trainer = Trainer(training, columns=sample_columns, **where)
        trainer.end.wait_connected(60)  # type: ignore[attr-defined]
        for name, said in {"declared": r"columns\.obs is \[.<f8", "silent": r"obs is float64.*expected <f4"}.items():
            with pytest.raises(TransportError, match=said), workers[name] as worker:  # closing it says so again
                worker.run(verbose=False)
        with RolloutWorker(toy.Follow, toy.Actor, columns=sample_columns, **where) as honest:
            honest.run(nb_episodes=3, verbose=False)
            trainer.run()
        trainer.close()
        assert trainer.training.refused_chunks == 0
        assert trainer.training.total_samples == honest.env_steps


def test_columns_count_where_both_sides_name_some() -> None:
    def spec(*names: str, space: int = 1) -> bytes:
        return describe({name: ColumnSpec((2,), "<f4") for name in names}, space=space)

    assert agree(spec("obs"), spec("obs"))
    assert agree(spec("obs"), spec())
    assert not agree(spec("obs"), spec("action"))
    assert not agree(spec("obs"), spec(space=2))


def test_security_has_two_values() -> None:
    with pytest.raises(ConfigError, match="expected None"):
        Server("ssl", PHRASE, 0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected None"):
        RolloutWorker(lambda: None, lambda *_: None, password=PHRASE, security="ssl")  # type: ignore[arg-type,return-value]
