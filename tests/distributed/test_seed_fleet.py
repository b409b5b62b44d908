"""The seed's Server and Trainer with four RolloutWorkers in processes of their own, over TLS, train the toy."""

import functools
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.distributed import seed_fleet, toy_control
from tests.distributed.net_kit import silent, until

from trackmaster.tmrl.memory import GenericTorchMemory
from trackmaster.tmrl.networking import RolloutWorker, Server, Trainer
from trackmaster.tmrl.training_offline import TorchTrainingOffline
from trackmaster.tmrl.util import partial

WORKERS = 4
PATIENCE_S = 120.0


def mean_return(model: Path) -> float:
    """Drive the toy with the policy in a file, or with a fresh one where there is none."""
    worker = RolloutWorker(
        functools.partial(toy_control.Follow, 99), toy_control.Actor, standalone=True, model_path=model, say=silent
    )
    return float(np.mean([result for result, _ in worker.run_episodes(nb_episodes=20)]))


@pytest.mark.learns
@pytest.mark.skipif(sys.platform == "win32", reason="there is no server of forks")
def test_four_worker_processes_and_a_trainer_learn_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "trainer"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.distributed.seed_fleet"])
    stop, model = context.Event(), tmp_path / "toy_t.tmod"
    before = mean_return(model)
    training = partial(
        TorchTrainingOffline, env_cls=toy_control.Follow, training_agent_cls=toy_control.ToySAC, epochs=1, rounds=10,
        steps=100, memory_cls=partial(GenericTorchMemory, memory_size=50_000, batch_size=32, seed=0),
        update_buffer_interval=10, update_model_interval=20, max_training_steps_per_env_step=4.0, start_training=200,
        device="cpu", sleep_between_buffer_retrieval_attempts=0.1, say=silent,
    )  # fmt: skip
    with Server(security="TLS", password=seed_fleet.PASSWORD, port=0, keys_dir=tmp_path / "keys", say=silent) as server:
        workers = [seed_fleet.start(context, tmp_path, server.port, number, stop) for number in range(WORKERS)]
        try:
            trainer = Trainer(
                training, "127.0.0.1", server.port, seed_fleet.PASSWORD, "TLS", model_path=model, say=silent
            )
            until(lambda: server.numbers()["workers"] == WORKERS, "four workers")
            trainer.run()
            stop.set()
            for worker in workers:
                worker.join(PATIENCE_S)
            assert [worker.exitcode for worker in workers] == [0] * WORKERS
            driven = sum(int((tmp_path / f"{number}.steps").read_text()) for number in range(WORKERS))
            found = trainer.training
            until(lambda: found.receive(trainer.end) >= 0 and found.total_samples >= driven, "the last samples")
        finally:
            for worker in workers:
                worker.kill()
        trainer.close()
    assert found.total_samples == driven == len(found.memory), "nothing is lost or doubled"
    assert len(found.marks()) == WORKERS
    assert found.refused_chunks == 0
    assert mean_return(model) > max(-4.0, before / 2), f"{before} before"
