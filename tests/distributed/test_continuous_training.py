"""SAC, REDQ and PPO from the command line's function to the driven lap, small; and what guards a run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.rl.toy_point import ACTION, OBSERVATION, ToyPoint, drive

from trackmaster.distributed.racing.algorithms import algorithm_of
from trackmaster.distributed.racing.collapse import CollapseGuard
from trackmaster.distributed.racing.command import EvaluateConfig, run_evaluate
from trackmaster.distributed.racing.environments import load_tracks
from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.racing.trainer import RacingTrainer
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.errors import ConfigError
from trackmaster.experiments.drive import DriveConfig, run_drive
from trackmaster.experiments.lap import drive_lap, lap_timeline
from trackmaster.game import Start
from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.continuous.columns import continuous_sample_spec
from trackmaster.rl.continuous.sac import SACTrainingAgent
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.evaluation.best_snapshots import BestSnapshots
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.files.checkpoint import CheckpointStore
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.schedules import Schedule

CONFIGS = Path("config_files/rl")
SMALL = [
    "--run-name", "small", "--training.batch-size", "16", "--policy.hidden-sizes", "[16]",
    "--memory.memory-size-schedule", "[[0,2000,50]]", "--environment.n-envs", "4", "--evaluation.attempts", "2",
    "--evaluation.every-frames", "0", "--ppo.n-steps", "64", "--ppo.batch-size", "16",
    "--environment.cutoff-rollout-if-race-not-finished-within-duration-ms", "2000",
    "--training.max-frames", "200", "--performance.chunk-rows", "12",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, repository_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(repository_root / CONFIGS, tmp_path / CONFIGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("algorithm", ["sac", "redq", "ppo"])
def test_run_trains_resumes_and_drives(algorithm: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = TrainConfig.load(SMALL, config=CONFIGS / f"config_{algorithm}.yaml")
    folder = train(config).run_dir
    names = {path.name for path in folder.iterdir()}
    assert {"weights1.torch", "weights2.torch", "optimizer1.torch", "state.json", "best_eval", "best_k"} <= names
    stats = json.loads((folder / "accumulated_stats.json").read_text())
    assert stats["cumul_number_batches_done"] > 0
    tags = {line.split(",")[3] for line in (folder / "metrics.csv").read_text().splitlines()}
    assert {"loss_actor", "loss_critic", "Buffer/action_variety", "Guard/rollback"} <= tags
    result = train(TrainConfig.load(["--resume", str(folder), "--training.max-frames", "400"]))
    assert result.stats.cumul_number_batches_done > stats["cumul_number_batches_done"]
    assert "Continuing" in capsys.readouterr().out
    run_evaluate(EvaluateConfig(run_dir=folder, episodes=2))
    assert "of 2 finished" in capsys.readouterr().out
    run_drive(DriveConfig(run_dir=folder, episodes=1, video=False, page=False, use_tqdm=False))
    assert "episode 0: no finish" in capsys.readouterr().out


def test_sac_from_pictures_has_stacks_and_an_asymmetric_critic(here: Path) -> None:
    config = TrainConfig.load(
        [*SMALL, "--memory.number-times-single-memory-is-used-before-discard", "1",
         "--memory.min-times-single-memory-is-used", "0"],
        config=CONFIGS / "config_sac_images.yaml",
    )  # fmt: skip
    stats = train(config).stats
    assert stats.cumul_number_frames_played >= 200
    assert stats.cumul_number_batches_done > 0


def test_ppo_refuses_episodes_that_it_could_not_learn_from(here: Path) -> None:
    entry = '[{"short_name": "a", "map_path": "bundled:first_steps", "is_exploration": false}]'
    with pytest.raises(ConfigError, match="PPO learns from every episode"):
        TrainConfig.load(["--map-cycle.entries", entry], config=CONFIGS / "config_ppo.yaml")


def test_networks_for_pictures_need_pictures() -> None:
    with pytest.raises(ConfigError, match=r"policy\.images"):
        TrainConfig.load(["--policy.network", "cnn"])
    blind = ["--policy.images", "--policy.actor-sees", '["floats"]']
    for network, critics in (("cnn_lstm", "[]"), ("vit", '["floats"]'), ("cnn", '["floats"]')):
        words = [*blind, "--policy.network", network, "--policy.critic-sees", critics]
        with pytest.raises(ConfigError, match=f"network: {network} looks at pictures"):
            TrainConfig.load(words)
    TrainConfig.load([*blind, "--policy.network", "cnn", "--policy.critic-sees", '["image"]'])


def test_the_best_few_evaluations_are_kept(tmp_path: Path) -> None:
    best = BestSnapshots(tmp_path, 2)

    def write(folder: Path) -> dict[str, int]:
        (folder / "weights1.torch").write_bytes(b"w")
        return {"updates": 3}

    assert [best.offer(rank, frames, write) for frames, rank in enumerate(([0.1], [0.5], [0.3], [0.2]))] == [
        True, True, True, False,
    ]  # fmt: skip
    assert [(rank, folder.name) for rank, folder in best.ranked()] == [
        ([0.5], "000000000001"), ([0.3], "000000000002"),
    ]  # fmt: skip
    assert (best.ranked()[0][1] / "weights1.torch").is_file()
    assert not BestSnapshots(tmp_path / "none", 0).offer([1.0], 0, write)


def outcome(finish_rate: float, metres: float) -> dict[str, Evaluation]:
    n = 10
    times = tuple(10_000 if k < round(n * finish_rate) else None for k in range(n))
    return {"lane": Evaluation(times, (metres,) * n, (0.0,) * n)}


def test_a_collapse_is_several_bad_evaluations_in_a_row() -> None:
    guard = CollapseGuard(0.5, 2)
    course = [(0.0, 100.0), (0.9, 500.0), (0.4, 490.0), (0.8, 500.0), (0.9, 200.0), (0.2, 100.0), (0.9, 500.0)]
    assert [guard.note(outcome(*values)) for values in course] == [False, False, False, False, False, True, False]
    assert guard.n_collapses == 1
    lucky = [(0.05, 100.0), (0.0, 90.0), (0.0, 90.0), (0.0, 90.0)]  # one finish of twenty says little
    patient = CollapseGuard(0.5, 3)
    assert [patient.note(outcome(*values)) for values in lucky] == [False] * 4
    never = CollapseGuard(0.5, 0)
    assert not any(never.note(outcome(*values)) for values in course)


@pytest.mark.parametrize(("begins_prepared", "goes_back"), [(False, False), (True, True)])
def test_random_weights_that_roll_far_are_nothing_to_go_back_to(
    tmp_path: Path, begins_prepared: bool, goes_back: bool
) -> None:
    agent = SACTrainingAgent(OBSERVATION, ACTION, networks=PolicyNetworks(hidden_sizes=(8,)), seed=0)
    memory = TransitionMemory(continuous_sample_spec(OBSERVATION, 2), 500, batch_size=8, rng=np.random.default_rng(0))
    for chunk in drive(agent.get_actor(), ToyPoint(16, 0), version=0)[0]:
        memory.append(chunk)
    course = iter([outcome(0.0, m) for m in (266.0, 100.0, 12.0, 12.0)])
    constant, said = Schedule([(0, 500)], "staircase"), list[str]()
    with MetricsLogger(None, tmp_path / "metrics.csv") as logger:
        trainer = RacingTrainer(
            agent, memory, InProcessTransport(), lambda actor: next(course), memory_size=constant,
            learning_start=constant, options=TrainerOptions(batch_size=8, collapse_evaluations=2),
            store=CheckpointStore(tmp_path / "save"), logger=logger, say=said.append,
            stats=RunStats(begins_prepared=begins_prepared),
        )  # fmt: skip
        trainer._evaluate()
        for _ in range(3):
            trainer._train()
            trainer.stats.cumul_number_frames_played += 100
            trainer._evaluate()
    assert any("going on from its weights" in line for line in said) == goes_back


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_collapsed_agent_goes_on_from_the_best_snapshot(tmp_path: Path, is_resumed: bool) -> None:
    agent = SACTrainingAgent(OBSERVATION, ACTION, networks=PolicyNetworks(hidden_sizes=(8,)), seed=0)
    spec = continuous_sample_spec(OBSERVATION, 2)
    memory = TransitionMemory(spec, 500, batch_size=8, rng=np.random.default_rng(0))
    for chunk in drive(agent.get_actor(), ToyPoint(16, 0), version=0)[0]:
        memory.append(chunk)
    course = iter([outcome(0.9, 500.0), outcome(0.1, 80.0), outcome(0.0, 70.0)])
    said: list[str] = []
    constant = Schedule([(0, 500)], "staircase")
    link = InProcessTransport()
    store = CheckpointStore(tmp_path / "save")
    with MetricsLogger(None, tmp_path / "metrics.csv") as logger:

        def make_trainer(stats: RunStats) -> RacingTrainer:
            return RacingTrainer(
                agent, memory, link, lambda actor: next(course), memory_size=constant, learning_start=constant,
                options=TrainerOptions(batch_size=8, collapse_evaluations=2, keep_best=2), store=store, logger=logger,
                stats=stats, say=said.append,
            )  # fmt: skip

        trainer = make_trainer(RunStats(begins_prepared=True))
        trainer._evaluate()
        if is_resumed:  # from the snapshot that the best evaluation has left
            trainer = make_trainer(RunStats.from_json(store.load()[2]))
        best = agent.actor_tensors()
        for _ in range(5):
            agent.train(memory.sample())
        trainer._evaluate()
        if is_resumed:
            trainer._save()
            trainer = make_trainer(RunStats.from_json(store.load()[2]))
        assert any(not torch.equal(value, agent.actor_tensors()[name]) for name, value in best.items())
        trainer._evaluate()
    assert all(torch.equal(value, agent.actor_tensors()[name]) for name, value in best.items())
    assert "going on from its weights" in said[-1]
    published = link.poll_weights(0)
    assert published is not None
    assert all(torch.equal(value, best[name]) for name, value in published.unpack().items())


def test_analog_laps_are_exported_with_the_angles_they_were_driven_with(here: Path) -> None:
    config = TrainConfig.load(SMALL, config=CONFIGS / "config_sac.yaml")
    (track,) = load_tracks(config)
    actor = algorithm_of(config).actor(0)
    lap = drive_lap(actor, track, config.to_env_config(evaluation=True), Start())
    timeline = lap_timeline(lap)
    steer, gas, brake = timeline.effective()
    assert len(np.unique(lap.steer)) > 3
    np.testing.assert_array_equal(steer, lap.steer[1:])
    np.testing.assert_array_equal(gas, lap.gas[1:])
    np.testing.assert_array_equal(brake, lap.brake[1:])


def test_a_recurrent_agent_learns_from_pictures(here: Path) -> None:
    config = TrainConfig.load(
        [*SMALL, "--policy.network", "cnn_lstm", "--neural-network.n-frames", "1", "--training.max-frames", "100",
         "--performance.chunk-rows", "6", "--memory.number-times-single-memory-is-used-before-discard", "1",
         "--memory.min-times-single-memory-is-used", "0", "--training.batch-size", "8",
         "--environment.cutoff-rollout-if-race-not-finished-within-duration-ms", "1000"],
        config=CONFIGS / "config_sac_images.yaml",
    )  # fmt: skip
    assert train(config).stats.cumul_number_batches_done > 0


def sums(folder: Path) -> dict[str, float]:
    """Return a sum per tensor of both weights files."""
    files = [torch.load(folder / f"weights{k}.torch", weights_only=True) for k in (1, 2)]
    return {f"{k}.{name}": float(v.double().sum()) for k, file in enumerate(files) for name, v in file.items()}


@pytest.mark.parametrize("algorithm", ["sac", "ppo"])
def test_a_run_with_its_memory_saved_goes_on_as_if_never_stopped(algorithm: str, here: Path) -> None:
    flags = [*SMALL, "--memory.save-with-checkpoint"]

    def run(name: str, frames: int) -> Path:
        chosen = [*flags, "--run-name", name, "--training.max-frames", str(frames)]
        return train(TrainConfig.load(chosen, config=CONFIGS / f"config_{algorithm}.yaml"), say=lambda _: None).run_dir

    straight, stopped = run("straight", 400), run("stopped", 200)
    train(TrainConfig.load(["--resume", str(stopped), "--training.max-frames", "400"]), say=lambda _: None)
    assert sums(stopped) == sums(straight)
