"""Where a trainer keeps an average of its actor, workers test the average and explore with the newest."""

import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.distributed.judged import join_actors, part_actors
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.continuous.gaussian_actor import GaussianActor
from trackmaster.rl.continuous.sac import SACTrainingAgent
from trackmaster.rl.memory.tm_memories import GenericTorchMemory

SMALL = PolicyNetworks(hidden_sizes=(16,))


@pytest.fixture
def toy() -> Iterator[ModuleType]:
    """The toy of continuous control."""
    sys.path.insert(0, str(Path(__file__).parent))
    yield importlib.import_module("toy_control")
    del sys.path[0]


def silent(_: str) -> None:
    """Take a line and print nothing."""


def trained(
    toy: ModuleType, link: InProcessTransport, worker: RolloutWorker, folder: Path, *, average: float
) -> SACTrainingAgent:
    """Train for a round, with a worker that drives an episode whenever the trainer waits; return the agent."""
    link.pump = functools.partial(worker.run, test_episode_interval=1, nb_episodes=1, verbose=False)
    training = functools.partial(
        TorchTrainingOffline,
        env_cls=toy.Follow,
        memory_cls=functools.partial(GenericTorchMemory, memory_size=500, batch_size=16, seed=4),
        training_agent_cls=functools.partial(SACTrainingAgent, networks=SMALL, seed=0, actor_average=average),
        epochs=1, rounds=1, steps=24, update_buffer_interval=5, update_model_interval=10, start_training=30,
        device="cpu", say=silent, sleep_between_buffer_retrieval_attempts=0.01,
    )  # fmt: skip
    trainer = Trainer(training, model_path=folder / "trainer.tmod", end=link, say=silent)
    trainer.run()
    worker.update_actor_weights(verbose=False)
    return trainer.training.agent


def worker_of(toy: ModuleType, link: InProcessTransport, folder: Path) -> RolloutWorker:
    actor = functools.partial(GaussianActor, networks=SMALL)
    return RolloutWorker(toy.Follow, actor, end=link, say=silent, model_path=folder / "worker.tmod")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_workers_test_and_keep_the_average_and_explore_with_the_newest(toy: ModuleType, tmp_path: Path) -> None:
    link = InProcessTransport(100_000)
    worker = worker_of(toy, link, tmp_path)
    agent = trained(toy, link, worker, tmp_path, average=0.9)
    average, newest = agent.get_actor(), agent.actor_tensors()
    assert not same(average.tensors(), newest)
    seen = [np.array([x, -x], np.float32) for x in (-0.9, 0.1, 0.7)]
    assert [worker.act(obs, test=True).tolist() for obs in seen] == [average.act_(o, test=True).tolist() for o in seen]
    assert same(worker.actor.tensors(), newest)
    for name in ("worker.tmod", "trainer.tmod"):
        kept = GaussianActor(worker.observation_space, worker.action_space, networks=SMALL)
        assert same(kept.load(tmp_path / name, "cpu").tensors(), average.tensors()), name


def test_without_an_average_the_newest_is_tested_and_nothing_else_travels(toy: ModuleType, tmp_path: Path) -> None:
    link = InProcessTransport(100_000)
    worker = worker_of(toy, link, tmp_path)
    agent = trained(toy, link, worker, tmp_path, average=0.0)
    published = link.poll_weights(-1)
    assert published is not None
    assert same(published.unpack(), agent.actor_tensors())
    obs = np.array([0.3, -0.2], np.float32)
    assert worker.act(obs, test=True).tolist() == agent.get_actor().act_(obs, test=True).tolist()


def test_a_trainer_that_averages_no_more_is_followed(toy: ModuleType, tmp_path: Path) -> None:
    link = InProcessTransport(100_000)
    worker = worker_of(toy, link, tmp_path)
    newest = worker.actor.tensors()
    average = {name: tensor + 1.0 for name, tensor in newest.items()}
    obs = np.array([0.3, -0.2], np.float32)

    def tested(version: int, judged: dict[str, torch.Tensor] | None) -> Any:
        link.publish(Weights.pack(version, join_actors(newest, judged)))
        assert worker.update_actor_weights(verbose=False) == 1
        return worker.act(obs, test=True).tolist()

    assert tested(1, average) != tested(2, None)
    assert tested(3, None) == worker.actor.act_(obs, test=True).tolist()


def test_two_actors_in_one_message_are_taken_apart_again() -> None:
    first, second = {"__file__": torch.ones(2)}, {"__file__": torch.zeros(3), "policy.0.bias": torch.ones(1)}
    parted = part_actors(join_actors(first, second))
    assert same(parted[0], first)
    assert parted[1] is not None
    assert same(parted[1], second)
    assert part_actors(join_actors(first, None)) == (first, None)
