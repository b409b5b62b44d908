"""RolloutWorker, TorchTrainingOffline and Trainer of the seed, taking turns in one process."""

import functools
import importlib
import json
import math
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.distributed.collected import sample_columns
from trackmaster.distributed.rollout_worker import RolloutWorker
from trackmaster.distributed.trainer import Trainer
from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.errors import ConfigError
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.files.checkpoint import CheckpointError
from trackmaster.rl.memory.tm_memories import GenericTorchMemory, MemoryTMFull, get_local_buffer_sample_tm20_imgs

Say = Callable[[str], None]
Quiet: Say = lambda _: None  # noqa: E731


@pytest.fixture
def toy() -> Iterator[ModuleType]:
    """The toy of continuous control."""
    for folder in ("distributed", "rl"):
        sys.path.insert(0, str(Path(__file__).parents[1] / folder))
    yield importlib.import_module("toy_control")
    del sys.path[:2]


@pytest.fixture
def world(toy: ModuleType) -> ModuleType:
    return importlib.import_module("delayed_world")


class Noise(ActorModule):
    """Draws actions and remembers what it was asked; the weight is the test action."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        super().__init__(observation_space, action_space)
        self.rng, self.asked, self.value = np.random.default_rng(5), [], 0.0

    def act(self, obs: Any, test: bool = False) -> Any:
        self.asked.append(test)
        n = self.action_space.shape[0]
        return np.full(n, self.value, np.float32) if test else self.rng.uniform(-1, 1, n).astype(np.float32)

    def load_tensors(self, tensors: Any) -> None:
        self.value = float(tensors["v"])


def weights(version: int, value: float = 0.5) -> Weights:
    return Weights.pack(version, {"v": torch.tensor(value)})


def training(toy: ModuleType, **options: Any) -> TorchTrainingOffline:
    settings: dict[str, Any] = {
        "env_cls": toy.Follow,
        "memory_cls": functools.partial(GenericTorchMemory, memory_size=5_000, batch_size=32, seed=4),
        "training_agent_cls": toy.ToySAC, "epochs": 2, "rounds": 3, "steps": 20, "update_buffer_interval": 5,
        "update_model_interval": 10, "start_training": 40, "device": "cpu", "say": Quiet,
        "sleep_between_buffer_retrieval_attempts": 0.01,
    }  # fmt: skip
    return TorchTrainingOffline(**(settings | options))


def joined(toy: ModuleType, *, seed: int = 0, **options: Any) -> tuple[InProcessTransport, RolloutWorker]:
    """Return a link whose worker drives an episode whenever the trainer waits."""
    link = InProcessTransport(100_000)
    worker = RolloutWorker(
        functools.partial(toy.Follow, seed), toy.Actor, end=link, say=Quiet, worker_id=seed, **options
    )
    link.pump = functools.partial(worker.run, test_episode_interval=1, nb_episodes=1, verbose=False)
    return link, worker


def test_a_worker_tests_collects_sends_and_fetches(world: ModuleType) -> None:
    link, said = InProcessTransport(), []
    link.publish(weights(7))
    worker = RolloutWorker(
        world.DelayedWorld, Noise, get_local_buffer_sample_tm20_imgs, end=link, say=said.append, chunk_rows=5,
    )  # fmt: skip
    worker.run(test_episode_interval=2, nb_episodes=4)
    chunks = link.recv_chunks(0.0)
    tests = [c for c in chunks if not c.fill_buffer]
    train = [c for c in chunks if c.fill_buffer and c.end_of_episode]
    assert [c.stats["test"] for c in tests] == [1.0, 1.0]
    assert len(train) == 4
    assert {c.weights_version for c in chunks if c.episode_id < 1} == {-1}
    assert {c.weights_version for c in chunks if c.episode_id > 2} == {7}
    assert sum(c.n_steps for c in chunks if c.fill_buffer) == worker.env_steps == sum(c.stats["steps"] for c in train)
    assert [c.seq for c in chunks] == list(range(len(chunks)))
    assert all(c.columns["obs.3"].shape[1:] == (6, 6) and "obs.4" not in c.columns for c in chunks)
    assert {c.act_history.shape for c in chunks if c.first_step == 0 and c.fill_buffer} == {(4, 3)}
    assert worker.models_received == 1
    assert "Weights version 7 received." in said
    assert sum(line.startswith("test episode") for line in said) == 2
    assert len(worker.buffer) == 0


@pytest.mark.parametrize("chunk_rows", [3, 200])
def test_what_a_worker_sends_is_rebuilt_exactly(world: ModuleType, chunk_rows: int) -> None:
    link = InProcessTransport()
    worker = RolloutWorker(
        functools.partial(world.DelayedWorld, (7, 1, 30)), Noise, get_local_buffer_sample_tm20_imgs,
        crc_debug=True, end=link, say=Quiet, chunk_rows=chunk_rows,
    )  # fmt: skip
    worker.run(nb_episodes=9, test_episode_interval=3)
    said: list[str] = []
    memory = MemoryTMFull("cpu", 30, memory_size=500, batch_size=64, crc_debug=True, say=said.append)
    columns = sample_columns(
        worker.observation_space, worker.action_space, compress=get_local_buffer_sample_tm20_imgs, crc_debug=True
    )
    for chunk in link.recv_chunks(0.0):
        chunk.check(columns)
        memory.append(chunk)
    assert len(memory) == worker.env_steps
    list(memory)
    assert len(said) == 30
    kept = worker.buffer
    worker.collect_train_episode()
    assert len(kept.memory[-1][5]["crc_sample"]) == 6


def test_episodes_are_limited_in_one_place(world: ModuleType, toy: ModuleType) -> None:
    link = InProcessTransport()
    worker = RolloutWorker(
        functools.partial(world.DelayedWorld, (40,)), Noise, end=link, say=Quiet, max_samples_per_episode=6
    )
    assert worker.env.ep_max_length == 6
    worker.run(nb_episodes=1)
    assert link.recv_chunks(0.0)[-1].columns["truncated"][-1]
    worker = RolloutWorker(toy.Follow, Noise, end=link, say=Quiet, max_samples_per_episode=6)
    worker.run(nb_episodes=1)
    chunk = link.recv_chunks(0.0)[-1]
    assert len(chunk) == 7
    assert chunk.columns["truncated"].tolist() == [False] * 6 + [True]
    assert worker.buffer.stat_train_steps == 6


def test_who_interrupts_a_worker_without_a_server_waits_no_more(toy: ModuleType) -> None:
    class Nobody(InProcessTransport):
        asked = 0

        def send_chunk(self, chunk: Any) -> None:
            self.asked += 1
            raise KeyboardInterrupt

    link = Nobody()
    worker = RolloutWorker(toy.Follow, Noise, end=link, say=Quiet)
    with pytest.raises(KeyboardInterrupt), worker:
        worker.run(nb_episodes=1)
    assert link.asked == 1
    assert link.should_stop(), "it has said goodbye"


def test_a_preprocessor_comes_before_actor_and_compressor(toy: ModuleType) -> None:
    seen = []

    class Looking(Noise):
        def act(self, obs: Any, test: bool = False) -> Any:
            seen.append(obs)
            return super().act(obs, test)

    link = InProcessTransport()
    worker = RolloutWorker(
        toy.Follow, Looking, obs_preprocessor=lambda obs: (obs[:1] * 10, obs[1:]), end=link, say=Quiet
    )
    worker.run(nb_episodes=1)
    chunk = link.recv_chunks(0.0)[0]
    assert set(chunk.columns) >= {"obs.0", "obs.1"}
    np.testing.assert_array_equal(chunk.columns["obs.0"][:-1], [obs[0] for obs in seen])


def test_episodes_that_were_not_sent_one_by_one_are_all_sent(toy: ModuleType) -> None:
    link = InProcessTransport(100)
    worker = RolloutWorker(toy.Follow, toy.Actor, end=link, say=Quiet)
    for _ in range(3):
        worker.collect_train_episode()
    worker.send_and_clear_buffer()
    chunks = link.recv_chunks(0.0)
    assert [(c.episode_id, c.end_of_episode, c.n_steps) for c in chunks] == [(i, True, toy.STEPS) for i in range(3)]


def test_a_worker_alone_keeps_long_episodes_in_its_buffer(toy: ModuleType) -> None:
    worker = RolloutWorker(toy.Follow, toy.Actor, standalone=True, chunk_rows=3, say=Quiet)
    worker.collect_train_episode()
    assert len(worker.buffer) == toy.STEPS + 1 > 3


def test_an_expert_keeps_its_policy_and_never_tests(toy: ModuleType) -> None:
    link = InProcessTransport()
    link.publish(weights(1, 0.9))
    worker = RolloutWorker(toy.Follow, Noise, end=link, say=Quiet)
    worker.run(test_episode_interval=1, nb_episodes=2, expert=True)
    assert worker.actor.value == 0.0
    assert not any(worker.actor.asked)


def test_a_worker_alone_drives_with_the_policy_it_finds(toy: ModuleType, tmp_path: Path) -> None:
    policy = toy.Actor(toy.Follow().observation_space, toy.Follow().action_space)
    policy.save(tmp_path / "run.tmod")
    said: list[str] = []
    worker = RolloutWorker(toy.Follow, toy.Actor, standalone=True, model_path=tmp_path / "run.tmod", say=said.append)
    episodes = worker.run_episodes(10, nb_episodes=2)
    assert [steps for _, steps in episodes] == [10, 10]
    assert worker.buffer.stat_test_return == episodes[-1][0]
    assert torch.equal(worker.actor.mean.weight, policy.mean.weight)
    assert said[0].startswith("The policy in")
    with pytest.raises(ConfigError, match="measures no durations"):
        worker.run_env_benchmark(3)
    with pytest.raises(ConfigError, match="asks for a password"):
        RolloutWorker(toy.Follow, toy.Actor)


def test_the_benchmark_of_a_real_time_environment_is_shown(toy: ModuleType) -> None:
    class Timed(toy.Follow):
        def benchmarks(self) -> dict[str, float]:
            return {"time_step_duration": 0.05}

    said: list[str] = []
    worker = RolloutWorker(Timed, Noise, standalone=True, say=said.append)
    assert worker.run_env_benchmark(20) == {"time_step_duration": 0.05}
    assert said == ["Benchmark over 20 steps: {'time_step_duration': 0.05}"]


def test_policies_are_kept_beside_the_newest_one(toy: ModuleType, tmp_path: Path) -> None:
    link = InProcessTransport()
    worker = RolloutWorker(
        toy.Follow, toy.Actor, end=link, say=Quiet, model_path=tmp_path / "run.tmod", model_history=2
    )
    for version in (1, 2, 3):
        link.publish(Weights.pack(version, worker.actor.tensors()))
        assert worker.update_actor_weights() == 1
    assert worker.update_actor_weights() == 0
    history = [p.name for p in tmp_path.iterdir() if p.name != "run.tmod"]
    assert len(history) == 1
    assert len(history[0]) == len("run_dd_mm_YYYY_HH_MM_SS.tmod")


@pytest.mark.parametrize("end_episodes", [True, False])
def test_a_synchronous_worker_waits_for_weights(toy: ModuleType, end_episodes: bool, monkeypatch) -> None:
    link, waits = InProcessTransport(), []
    monkeypatch.setattr("trackmaster.distributed.rollout_worker.WAIT_S", 0.0)
    worker = RolloutWorker(toy.Follow, Noise, end=link, say=Quiet)
    polled = link.poll_weights

    def trainer_publishes(have: int) -> Weights | None:
        """New weights come at the second look."""
        waits.append(worker.env_steps)
        if waits.count(worker.env_steps) > 1:
            link.publish(weights(len(waits)))
        return polled(have)

    link.poll_weights = trainer_publishes  # type: ignore[method-assign]
    worker.run_synchronous(nb_steps=60, initial_steps=15, max_steps_per_update=8, end_episodes=end_episodes)
    assert worker.env_steps == 60
    between = {12, 24, 36, 48}
    if end_episodes:
        assert set(waits) <= {0, *between}
    else:
        assert set(waits) - {0, *between}
    assert worker.models_received >= 48 // 8 - 1
    versions: dict[int, set[int]] = {}
    for chunk in link.recv_chunks(0.0):
        versions.setdefault(chunk.episode_id, set()).add(chunk.weights_version)
    assert all(len(v) == 1 for v in versions.values()) == end_episodes


def test_rounds_report_what_the_seed_lists(toy: ModuleType) -> None:
    link, worker = joined(toy)
    run = training(toy)
    stats = run.run_epoch(link)
    assert len(stats) == 3
    assert list(stats[0])[:9] == [
        "memory_len", "round_time", "idle_time", "return_test", "return_train", "episode_length_test",
        "episode_length_train", "sampling_duration", "training_step_duration",
    ]  # fmt: skip
    assert {"loss_critic", "loss_actor"} <= stats[0].keys()
    assert stats[0]["episode_length_train"] == toy.STEPS
    assert stats[0]["return_test"] < 0
    assert run.total_updates == 60
    assert run.total_samples == worker.env_steps
    assert run.total_updates <= run.total_samples + 1, "max_training_steps_per_env_step"
    assert run.weights_version == 6
    assert worker.models_received > 0


def test_training_waits_for_enough_samples_and_says_so(toy: ModuleType) -> None:
    said: list[str] = []
    link, _ = joined(toy)
    run = training(toy, start_training=100, rounds=1, say=said.append)
    lengths: list[int] = []
    train = run.agent.train
    run.agent.train = lambda batch: (lengths.append(len(run.memory)), train(batch))[1]
    run.run_epoch(link)
    assert lengths[0] >= 100
    assert said[0].startswith("Waiting for samples:")


def test_a_memory_smaller_than_start_training_does_not_wait_for_ever(toy: ModuleType) -> None:
    link, worker = joined(toy)
    memory_cls = functools.partial(GenericTorchMemory, memory_size=50, batch_size=8)
    run = training(toy, start_training=200, rounds=2, steps=1, memory_cls=memory_cls)
    run.run_epoch(link)
    assert 200 <= worker.env_steps < 300, "the second round did not wait for as many again"


def test_the_ratio_of_training_to_driving_is_kept(toy: ModuleType) -> None:
    link, worker = joined(toy)
    run = training(toy, max_training_steps_per_env_step=0.25, start_training=1, rounds=1, steps=40)
    run.run_epoch(link)
    assert worker.env_steps >= 4 * 39


def test_chunks_count_once_and_bad_ones_are_left_out(toy: ModuleType) -> None:
    link, worker = joined(toy)
    said: list[str] = []
    run = training(toy, say=said.append)
    worker.run(nb_episodes=3)
    chunks = link.recv_chunks(0.0)
    for chunk in [*chunks, *chunks[:2]]:
        link.send_chunk(chunk)
    run.receive(link)
    assert run.total_samples == len(run.memory) == 3 * toy.STEPS
    assert run.duplicate_chunks == 2
    worker.run(nb_episodes=2)
    for chunk in link.recv_chunks(0.0):
        chunk.columns["reward"][:] = np.nan
        link.send_chunk(chunk)
    run.receive(link)
    assert run.refused_chunks == 2
    assert len(said) == 1, "one line per worker"
    assert len(run.memory) == 3 * toy.STEPS


def test_a_scheduler_and_a_profile_may_be_asked_for(toy: ModuleType) -> None:
    link, _ = joined(toy)
    said: list[str] = []
    epochs: list[tuple[Any, int]] = []
    run = training(
        toy, rounds=1, steps=3, profiling=True, say=said.append,
        agent_scheduler=lambda agent, epoch: epochs.append((agent, epoch)),
    )  # fmt: skip
    run.run_epoch(link)
    run.run_epoch(link)
    assert epochs == [(run.agent, 0), (run.agent, 1)]
    assert any("cumulative" in line for line in said)


def test_spaces_are_enough_on_a_machine_without_the_game(toy: ModuleType) -> None:
    env = toy.Follow()
    run = training(toy, env_cls=(env.observation_space, env.action_space))
    assert run.agent.observation_space == env.observation_space
    with pytest.raises(TypeError, match="needs env_cls"):
        TorchTrainingOffline()


@pytest.mark.learns
def test_two_workers_and_a_trainer_learn_the_toy(toy: ModuleType, tmp_path: Path) -> None:
    link, first = joined(toy, seed=1)
    second = RolloutWorker(functools.partial(toy.Follow, 2), toy.Actor, end=link, say=Quiet, worker_id=2)

    def both() -> None:
        first.run(test_episode_interval=1, nb_episodes=1, verbose=False)
        second.run(nb_episodes=1, verbose=False)

    link.pump = both
    run = functools.partial(training, toy, epochs=2, rounds=6, steps=100, start_training=100)
    trainer = Trainer(run, model_path=tmp_path / "w" / "toy_t.tmod", end=link, logs_path=tmp_path / "logs", say=Quiet)
    trainer.run()
    rounds = [json.loads(line) for line in (tmp_path / "logs" / "metrics.jsonl").read_text().splitlines()]
    assert len(rounds) == 12
    assert rounds[0]["return_test"] < -6
    assert rounds[-1]["return_test"] > -3
    assert trainer.training.total_samples == first.env_steps + second.env_steps == len(trainer.training.memory)
    worker = RolloutWorker(toy.Follow, toy.Actor, standalone=True, model_path=tmp_path / "w" / "toy_t.tmod", say=Quiet)
    assert np.mean([result for result, _ in worker.run_episodes(nb_episodes=10)]) > -3


def recorded(toy: ModuleType, n: int = 12) -> list[list[Any]]:
    """Return what a worker with a policy of its own sends, one episode after the other."""
    link = InProcessTransport()
    worker = RolloutWorker(toy.Follow, Noise, end=link, say=Quiet)
    episodes = []
    for _ in range(n):
        worker.run(nb_episodes=1, verbose=False)
        episodes.append(link.recv_chunks(0.0))
    return episodes


class Recorded(InProcessTransport):
    """Gives the trainer one recorded episode at a time, so that every run hears the same at the same moment."""

    def __init__(self, episodes: list[list[Any]]) -> None:
        super().__init__()
        self.episodes, self.asked = episodes, 0

    def recv_chunks(self, timeout_s: float) -> list[Any]:
        self.asked += 1
        if timeout_s == 0 and self.asked % 3:
            return []
        return self.episodes.pop(0) if self.episodes else []


def test_a_continued_run_is_the_run_that_was_never_stopped(toy: ModuleType, tmp_path: Path) -> None:
    def tensors(run: TorchTrainingOffline) -> list[torch.Tensor]:
        return [p.detach().clone() for p in run.agent.model.parameters()]

    make = functools.partial(training, toy, epochs=4, rounds=2, steps=15, start_training=20, update_buffer_interval=4)
    torch.manual_seed(1)
    whole = Trainer(make, end=Recorded(recorded(toy, 40)), say=Quiet)
    torch.manual_seed(9)
    whole.run()

    link = Recorded(recorded(toy, 40))
    path = tmp_path / "checkpoints" / "toy_t.tcpt"
    torch.manual_seed(1)
    first = Trainer(make, checkpoint_path=path, end=link, say=Quiet)
    torch.manual_seed(9)
    first.training.epochs = 2
    first.run()
    assert first.training.is_over
    torch.manual_seed(1234)
    said: list[str] = []
    again = Trainer(make, checkpoint_path=path, end=link, say=said.append)
    assert said[0].startswith(f"Continuing from {path}: epoch 3, 60 training steps")
    again.run()
    assert again.training.total_updates == whole.training.total_updates == 120
    assert again.training.total_samples == whole.training.total_samples
    for a, b in zip(tensors(again.training), tensors(whole.training), strict=True):
        assert torch.equal(a, b)
    assert {p.name for p in path.parent.iterdir()} == {"toy_t.tcpt", "toy_t.memory"}, "no test episode, no best one"


def test_ctrl_c_saves_where_the_run_is(toy: ModuleType, tmp_path: Path) -> None:
    link, _ = joined(toy)
    path = tmp_path / "toy_t.tcpt"
    trainer = Trainer(functools.partial(training, toy), checkpoint_path=path, end=link, say=Quiet)
    train, n = trainer.training.agent.train, []

    def interrupted(batch: Any) -> Any:
        n.append(1)
        if len(n) == 27:
            raise KeyboardInterrupt
        return train(batch)

    trainer.training.agent.train = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    again = Trainer(functools.partial(training, toy), checkpoint_path=path, end=link, say=Quiet)
    assert (again.training.epoch, again.training.round, again.training.step) == (0, 1, 6)
    assert len(again.training.memory) == len(trainer.training.memory) > 0
    again.run()
    assert again.training.total_updates == 120


def test_ctrl_c_while_samples_are_stored_loses_none_of_them(toy: ModuleType, tmp_path: Path) -> None:
    link, worker = joined(toy)
    worker.run(nb_episodes=5, verbose=False)
    path, told = tmp_path / "toy_t.tcpt", []

    class Telling(Recorded):
        def confirm(self) -> None:
            told.append(len(trainer.training.memory))

    trainer = Trainer(
        functools.partial(training, toy), checkpoint_path=path, end=Telling([link.recv_chunks(0.0)]), say=Quiet
    )
    append, n = trainer.training.memory.append, []

    def interrupted(chunk: Any) -> int:
        n.append(1)
        if len(n) == 2:
            raise KeyboardInterrupt
        return append(chunk)

    trainer.training.memory.append = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert told == [worker.env_steps]
    again = Trainer(functools.partial(training, toy), checkpoint_path=path, end=link, say=Quiet)
    assert len(again.training.memory) == again.training.total_samples == worker.env_steps


def test_hyper_parameters_may_change_when_a_run_continues(toy: ModuleType, tmp_path: Path) -> None:
    link, _ = joined(toy)
    path = tmp_path / "toy_t.tcpt"
    Trainer(functools.partial(training, toy, epochs=1), checkpoint_path=path, end=link, say=Quiet).run()
    assert 1 <= len(list((tmp_path / "toy_t.best" / "best_k").iterdir())) <= 3
    faster = functools.partial(training, toy, training_agent_cls=functools.partial(toy.ToySAC, lr=0.5))
    calls: list[Any] = []

    def update(run: TorchTrainingOffline, training_cls: Any) -> None:
        calls.append(training_cls)
        run.rounds = 1

    again = Trainer(faster, checkpoint_path=path, updater_fn=update, end=link, say=Quiet)
    assert calls == [faster]
    assert again.training.rounds == 1
    assert again.training.agent.pi.param_groups[0]["lr"] == 0.5
    assert len(again.training.agent.pi.state) > 0, "moments are kept"
    fresh = Trainer(faster, checkpoint_path=path, reset_training=True, end=link, say=Quiet)
    assert fresh.training.total_updates == fresh.training.epoch == 0
    assert len(fresh.training.memory) == len(again.training.memory) > 0
    assert len(fresh.training.agent.pi.state) == 0


@pytest.mark.parametrize("is_reset", [True, False])
def test_a_new_agent_is_not_led_back_to_the_best_state_of_the_old_one(
    toy: ModuleType, tmp_path: Path, is_reset: bool
) -> None:
    """RESET_TRAINING, and a checkpoint that was deleted to start over."""
    link, _ = joined(toy)
    path, best = tmp_path / "toy_t.tcpt", tmp_path / "toy_t.best"
    make = functools.partial(training, toy, epochs=1)
    Trainer(make, checkpoint_path=path, end=link, say=Quiet).run()
    kept = sorted(file.name for file in (best / "best_k").iterdir())
    memory = {"first": -50.0, "best": -1.0, "bad_in_a_row": 0}
    (best / "guard.json").write_text(json.dumps(memory))
    Trainer(make, checkpoint_path=path, end=link, say=Quiet)
    assert json.loads((best / "guard.json").read_text()) == memory, "a continued agent keeps what it remembers"
    if not is_reset:
        path.unlink()
    new = Trainer(make, checkpoint_path=path, reset_training=is_reset, end=link, say=Quiet)
    assert new._guard is not None
    assert not any(new._guard.note({"return_test": -60.0}, new.training) for _ in range(30))
    aside = tmp_path / "toy_t.best-1"
    assert sorted(file.name for file in (aside / "best_k").iterdir()) == kept
    assert json.loads((aside / "guard.json").read_text()) == memory


def test_own_functions_may_write_and_read_checkpoints(toy: ModuleType, tmp_path: Path) -> None:
    link, _ = joined(toy)
    path = tmp_path / "own.json"

    def dump(run: Any, where: Any) -> None:
        Path(where).write_text(json.dumps(run.state()))

    def load(where: Any) -> Any:
        run = training(toy)
        run.restore(json.loads(Path(where).read_text()))
        return run

    own = {"checkpoint_path": path, "dump_run_instance_fn": dump, "load_run_instance_fn": load}
    Trainer(functools.partial(training, toy, epochs=1), **own, end=link, say=Quiet).run()
    again = Trainer(functools.partial(training, toy), **own, end=link, say=Quiet)
    assert again.training.total_updates == 60


def test_a_damaged_checkpoint_is_refused(toy: ModuleType, tmp_path: Path) -> None:
    link, _ = joined(toy)
    path = tmp_path / "toy_t.tcpt"
    make = functools.partial(training, toy, epochs=1, rounds=1)
    Trainer(make, checkpoint_path=path, end=link, say=Quiet).run()
    whole = path.read_bytes()
    for content in (b"", b"junk", whole[:-40], whole[:200] + b"\0" * 50 + whole[250:]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no whole checkpoint"):
            Trainer(make, checkpoint_path=path, end=link, say=Quiet)
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("agent/../../evil", b"x")
    with pytest.raises(CheckpointError, match="which no checkpoint of ours does"):
        Trainer(make, checkpoint_path=path, end=link, say=Quiet)
    path.write_bytes(whole)
    assert not (tmp_path.parent / "evil").exists()
    index = next((tmp_path / "toy_t.memory").glob("index-*.json"))
    index.unlink()
    with pytest.raises(CheckpointError, match="memory"):
        Trainer(make, checkpoint_path=path, end=link, say=Quiet)


def test_a_full_disk_keeps_the_checkpoint_before(toy: ModuleType, tmp_path: Path, monkeypatch) -> None:
    link, _ = joined(toy)
    path = tmp_path / "toy_t.tcpt"
    Trainer(functools.partial(training, toy, epochs=1), checkpoint_path=path, end=link, say=Quiet).run()
    before = path.read_bytes()
    trainer = Trainer(functools.partial(training, toy), checkpoint_path=path, end=link, say=Quiet)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trackmaster.rl.memory.shards.np.save", full)
    with pytest.raises(CheckpointError, match="end of the training could not be saved"):
        trainer.run()
    assert trainer.training.is_over, "it goes on while nothing can be saved"
    assert path.read_bytes() == before
    monkeypatch.undo()
    again = Trainer(functools.partial(training, toy), checkpoint_path=path, end=link, say=Quiet)
    assert len(again.training.memory) > 0


class FakeWandb(types.ModuleType):
    """Notes what is sent; ``trouble`` makes it raise."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.calls: list[Any] = []
        self.trouble = False

    def login(self, key: str) -> None:
        self.calls.append(("login", key))

    def init(self, **options: Any) -> "FakeWandb":
        self.calls.append(("init", options))
        return self

    def log(self, values: dict[str, float]) -> None:
        if self.trouble:
            raise ConnectionError("nobody there")
        assert all(map(math.isfinite, values.values()))
        self.calls.append(("log", values))

    def finish(self) -> None:
        self.calls.append(("finish",))

    def Artifact(self, name: str, type: str) -> "FakeWandb":  # noqa: A002
        self.calls.append(("artifact", name, type))
        return self

    def add_file(self, path: str) -> None:
        assert Path(path).exists()

    def log_artifact(self, artifact: Any) -> None:
        assert artifact is self


def test_numbers_go_to_wandb_as_long_as_it_answers(toy: ModuleType, tmp_path: Path, monkeypatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    link, _ = joined(toy)
    said: list[str] = []
    policy = tmp_path / "toy_t.tmod"
    trainer = Trainer(functools.partial(training, toy, epochs=1), model_path=policy, end=link, say=said.append)
    trainer.run_with_wandb(entity="e", project="p", run_id="r", key="k")
    assert [call[0] for call in fake.calls] == ["login", "init", "log", "log", "log", "artifact", "finish"]
    assert fake.calls[-2] == ("artifact", "r-policy", "model")
    assert fake.calls[1][1]["id"] == "r"
    assert fake.calls[1][1]["config"]["rounds"] == 3
    fake.trouble = True
    trainer = Trainer(functools.partial(training, toy, epochs=1), end=link, say=said.append)
    trainer.run_with_wandb("e", "p", "r")
    assert trainer.training.is_over, "training goes on"
    assert sum("is left out from here on" in line for line in said) == 1


def test_missing_wandb_is_a_sentence(toy: ModuleType, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    link, _ = joined(toy)
    trainer = Trainer(functools.partial(training, toy), end=link, say=Quiet)
    with pytest.raises(ConfigError, match=r"pip install 'trackmaster\[wandb\]'"):
        trainer.run_with_wandb("e", "p", "r")


@pytest.mark.parametrize("reset_act_buf", [True, False])
def test_the_real_time_environment_is_rebuilt_exactly(reset_act_buf: bool) -> None:
    """On the simulator's virtual clock: delayed actions, an action that is never sent, the buffer over a reset."""
    from trackmaster.distributed.config_json.roles import layout_of
    from trackmaster.env.ids import make_realtime

    name, link = "SIMULATOREXACTLIDAR", InProcessTransport()
    worker = RolloutWorker(
        functools.partial(make_realtime, name, reset_act_buf=reset_act_buf), Noise, layout_of(name).compressor,
        crc_debug=True, max_samples_per_episode=12, chunk_rows=5, end=link, say=Quiet,
    )  # fmt: skip
    assert worker.env.unwrapped.ep_max_length == 12
    worker.run(nb_episodes=3, test_episode_interval=2)
    said: list[str] = []
    memory = layout_of(name).memory("cpu", 10, memory_size=200, batch_size=32, crc_debug=True, say=said.append)
    for chunk in link.recv_chunks(0.0):
        memory.append(chunk)
    list(memory)
    assert len(memory) == worker.env_steps == 36
    assert len(said) == 10
    worker.close()
