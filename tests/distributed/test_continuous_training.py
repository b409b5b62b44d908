"""SAC, REDQ and PPO from the command line's function to the driven lap, small; and what guards a run."""

import json
import shutil
from pathlib import Path

import pytest

from trackmaster.distributed.command import EvaluateConfig, run_evaluate
from trackmaster.distributed.train import train
from trackmaster.errors import ConfigError
from trackmaster.experiments.drive import DriveConfig, run_drive
from trackmaster.rl.best_snapshots import BestSnapshots
from trackmaster.rl.config import TrainConfig
from trackmaster.rl.evaluation import Evaluation

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
    from trackmaster.distributed.collapse import CollapseGuard

    guard = CollapseGuard(0.5, 2)
    course = [(0.0, 100.0), (0.9, 500.0), (0.4, 490.0), (0.8, 500.0), (0.9, 200.0), (0.2, 100.0), (0.9, 500.0)]
    assert [guard.note(outcome(*values)) for values in course] == [False, False, False, False, False, True, False]
    assert guard.n_collapses == 1
    never = CollapseGuard(0.5, 0)
    assert not any(never.note(outcome(*values)) for values in course)
