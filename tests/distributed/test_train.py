"""The whole run on the simulator, small: files, resuming, prepared weights, evaluation, refusals."""

import csv
import json
from pathlib import Path

import pytest
import torch

from trackmaster.distributed.command import EvaluateConfig, run_evaluate, run_train
from trackmaster.distributed.racing import plan_fleet
from trackmaster.distributed.train import train
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.nn.weights import WeightsError
from trackmaster.rl.config import TrainConfig

SMALL = [
    "--run-name", "small", "--training.max-frames", "900", "--training.batch-size", "32",
    "--neural-network.w-downsized", "36", "--neural-network.h-downsized", "36",
    "--neural-network.dense-hidden-dimension", "32", "--neural-network.iqn-k", "4",
    "--neural-network.number-memories-trained-on-between-target-network-updates", "32",
    "--memory.memory-size-schedule", "[[0,2000,200]]",
    "--memory.number-times-single-memory-is-used-before-discard", "1",
    "--environment.n-envs", "4", "--evaluation.attempts", "2", "--evaluation.every-frames", "0",
    "--environment.cutoff-rollout-if-race-not-finished-within-duration-ms", "3000",
    "--performance.transport", "in_process",
]  # fmt: skip
TRACK = [
    "--map-cycle.entries", '[{"short_name": "first", "map_path": "bundled:first_steps", "repeat": 2}, '
    '{"short_name": "first", "map_path": "bundled:first_steps", "is_exploration": false}]',
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(*flags: str) -> TrainConfig:
    return TrainConfig.load([*SMALL, *([] if "--map-cycle.entries" in flags else TRACK), *flags])


def test_run_leaves_its_files_and_continues(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_train(small())
    folder = here / "save" / "small"
    names = {p.name for p in folder.iterdir()}
    assert {
        "weights1.torch", "weights2.torch", "optimizer1.torch", "accumulated_stats.json", "state.json",
        "config_snapshot.yaml", "metrics.csv", "evaluations.jsonl", "best_eval", "recovery",
    } <= names  # fmt: skip
    stats = json.loads((folder / "accumulated_stats.json").read_text())
    assert stats["cumul_number_frames_played"] >= 900
    assert stats["cumul_number_batches_done"] > 0
    assert list((here / "tensorboard" / "small").glob("events.out.tfevents.*"))
    tags = {row["tag"] for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines())}
    assert {"Eval/progress_m_first", "Eval/finish_rate_first", "RL/epsilon", "Training/learning_rate"} <= tags
    weights = torch.load(folder / "weights1.torch", weights_only=True)
    assert weights["img_head.0.weight"].shape == (16, 1, 4, 4)

    result = train(TrainConfig.load(["--resume", str(folder), "--training.max-frames", "1200"]))
    assert result.run_dir == folder
    assert result.stats.cumul_number_frames_played >= 1200
    assert result.stats.cumul_number_batches_done > stats["cumul_number_batches_done"]
    assert "Continuing" in capsys.readouterr().out

    run_evaluate(EvaluateConfig(run_dir=folder, episodes=3, output=here / "outcome.json"))
    assert "of 3 finished" in capsys.readouterr().out
    outcome = json.loads((here / "outcome.json").read_text())
    assert len(outcome["first"]["progress_m"]) == 3


def test_fresh_run_begins_with_a_prepared_pair_and_moves_an_old_one_aside(here: Path) -> None:
    said: list[str] = []
    train(small(), say=said.append)
    pair = here / "save"
    for name in ("weights1.torch", "weights2.torch"):
        (pair / name).write_bytes((pair / "small" / name).read_bytes())
    train(small("--fresh", "--training.max-frames", "40"), say=said.append)
    assert any("moved to" in line for line in said)
    assert any("begins with the weights found in save" in line for line in said)
    assert (pair / "small.before_1" / "weights1.torch").is_file()
    with pytest.raises(WeightsError, match="do not fit the network"):
        train(small("--fresh", "--neural-network.dense-hidden-dimension", "64"), say=said.append)


def test_ctrl_c_saves_and_says_how_to_go_on(here: Path) -> None:
    def interrupt(line: str) -> None:
        if "frames" in line:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="trackmaster train --resume"):
        train(small("--performance.metrics-interval-s", "0.2"), say=interrupt)
    assert (here / "save" / "small" / "weights1.torch").is_file()


@pytest.mark.parametrize(("flags", "message"), [
    (["--map-cycle.entries", "[]"], "is empty"),
    (["--map-cycle.entries", '[{"short_name": "a", "map_path": "missing.Challenge.Gbx"}]'], "no such file"),
    (["--resume", "nowhere"], "config_snapshot"),
])  # fmt: skip
def test_impossible_runs_are_refused(here: Path, flags: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(small(*flags), say=lambda line: None)


def test_cars_are_dealt_out_by_how_often_the_cycle_names_a_track() -> None:
    entries = (
        '[{"short_name": "a", "map_path": "x", "repeat": 3}, {"short_name": "b", "map_path": "y"}, '
        '{"short_name": "a", "map_path": "x", "is_exploration": false}]'
    )
    fleet = plan_fleet(TrainConfig.load(["--map-cycle.entries", entries]), 10)
    assert sorted(set(fleet.track_of_car)) == [0, 1]
    assert 7 <= fleet.track_of_car.count(0) <= 8
    for track, cycle in zip(fleet.track_of_car, fleet.cycles, strict=True):
        assert {kind.track for kind in cycle} == {"ab"[track]}
    first_kinds = [c[0].is_exploration for t, c in zip(fleet.track_of_car, fleet.cycles, strict=True) if t == 0]
    assert 1 <= first_kinds.count(False) <= 2, "cars begin at different places of the cycle"
    with pytest.raises(ConfigError, match="cannot drive"):
        plan_fleet(TrainConfig.load(["--map-cycle.entries", entries]), 1)
