"""The whole run on the simulator, small: files, resuming, prepared weights, evaluation, refusals."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trackmaster import gbx
from trackmaster.distributed.racing.beginning import resolve
from trackmaster.distributed.racing.command import EvaluateConfig, run_evaluate, run_train
from trackmaster.distributed.racing.environments import (
    load_track,
    load_tracks,
    make_racing_env,
    plan_fleet,
    track_names,
)
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.racing.trained import load_weights
from trackmaster.distributed.racing.workers import make_worker
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.nn.weights import WeightsError
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.evaluation.log import read_evaluations
from trackmaster.rl.files.checkpoint import CheckpointError, CheckpointStore
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.rl.iqn.actor import IQNActor
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.track import ReferenceLine

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

    log = folder / "evaluations.jsonl"
    rows = read_evaluations(log)
    with log.open("a") as file:  # an evaluation that no snapshot knows, and one that a crash cut off
        file.write(json.dumps({**json.loads(log.read_text().splitlines()[0]), "env_steps": 10**6}) + '\n{"track": ')
    result = train(TrainConfig.load(["--resume", str(folder), "--training.max-frames", "1200"]))
    assert result.run_dir == folder
    assert result.stats.cumul_number_frames_played >= 1200
    assert result.stats.cumul_number_batches_done > stats["cumul_number_batches_done"]
    assert "Continuing" in capsys.readouterr().out

    assert read_evaluations(log)[: len(rows)] == rows
    assert all(row.env_steps < 10**6 for row in read_evaluations(log))
    assert len(read_evaluations(log)) == len(rows) + 1

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
    assert list((here / "tensorboard" / "small.before_1").glob("events.out.tfevents.*"))
    assert len(list((here / "tensorboard" / "small").glob("events.out.tfevents.*"))) == 1
    with pytest.raises(WeightsError, match="do not fit the network"):
        train(small("--fresh", "--neural-network.dense-hidden-dimension", "64"), say=said.append)


@pytest.mark.parametrize(("flags", "error"), [
    (["--map-cycle.entries", '[{"short_name": "a", "map_path": "missing.Challenge.Gbx"}]'], ConfigError),
    (["--environment.n-envs", "1", "--map-cycle.entries", '[{"short_name": "a", "map_path": "bundled:first_steps"}, '
      '{"short_name": "b", "map_path": "bundled:table_top"}]'], ConfigError),
    (["--state-normalization.float-inputs-mean", "[1]"], ConfigError), ([], WeightsError),
])  # fmt: skip
def test_a_fresh_run_that_cannot_begin_leaves_the_earlier_one(
    started: Path, here: Path, flags: list[str], error: type[Exception]
) -> None:
    curves = here / "tensorboard" / "small"
    curves.mkdir(parents=True)
    for name in ("weights1.torch", "weights2.torch"):
        (here / "save" / name).write_bytes(b"damaged")
    with pytest.raises(error):
        train(small("--fresh", *flags), say=lambda line: None)
    assert (started / "config_snapshot.yaml").is_file()
    assert curves.is_dir()


def test_many_cars_with_the_shortest_chunks_fit_the_queue_of_one_process(here: Path) -> None:
    flags = ["--performance.chunk-rows", "2", "--environment.n-envs", "140", "--training.max-frames", "1100"]
    result = train(small(*flags, "--evaluation.attempts", "1"), say=lambda line: None)
    assert result.stats.cumul_number_frames_played == 8 * 140


def test_ctrl_c_saves_and_says_how_to_go_on(here: Path) -> None:
    def interrupt(line: str) -> None:
        if "frames" in line:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="trackmaster train --resume"):
        train(small("--performance.metrics-interval-s", "0.2"), say=interrupt)
    assert (here / "save" / "small" / "weights1.torch").is_file()


def save_agent(folder: Path, config: TrainConfig) -> IQNAgent:
    agent = IQNAgent(replace(config.to_iqn_config(), autocast="off"), seed=0)
    CheckpointStore(folder).save(agent.save, {}, {})
    return agent


def test_evaluation_converts_weights_of_another_normalisation(started: Path) -> None:
    agent = save_agent(started, small())
    mean = agent.online.float_mean.numpy() + 0.5
    other = replace(agent.config, float_mean=mean, float_std=agent.online.float_std.numpy() * 2)
    actor = IQNActor(other, seed=0)
    load_weights(actor, started / ONLINE_FILE)
    rng = np.random.default_rng(0)
    observation = {
        "image": rng.integers(0, 255, (3, 1, 36, 36)).astype(np.uint8),
        "floats": rng.normal(size=(3, len(mean))).astype(np.float32),
    }
    np.testing.assert_allclose(
        actor.q_values(observation), agent.get_actor().q_values(observation), rtol=1e-3, atol=1e-4
    )


def test_evaluation_refuses_weights_of_another_meaning_of_the_floats(started: Path) -> None:
    save_agent(started, small())
    file = started / "state.json"
    state = json.loads(file.read_text())
    state["agent"]["float_layout_version"] = -1
    file.unlink()
    file.write_text(json.dumps(state))
    with pytest.raises(WeightsError, match="version -1 of the float inputs"):
        run_evaluate(EvaluateConfig(run_dir=started))
    file.write_text("{}")
    with pytest.raises(CheckpointError, match="does not say how"):
        run_evaluate(EvaluateConfig(run_dir=started))


def test_a_line_of_another_map_is_refused(here: Path) -> None:
    entry = small().map_cycle.entries[0]
    own = load_track(entry).reference_line
    assert own is not None
    for name, uid in (("own", own.info.map_uid), ("unknown", ""), ("other", "SomeOtherMap")):
        ReferenceLine(own.points_m, replace(own.info, map_uid=uid)).save(here / f"{name}.npy")
    for name in ("own", "unknown"):
        given = load_track(entry.model_copy(update={"reference_line_path": str(here / f"{name}.npy")}))
        assert given.reference_line is not None
    with pytest.raises(ConfigError, match="belongs to the map with identifier SomeOtherMap"):
        load_track(entry.model_copy(update={"reference_line_path": str(here / "other.npy")}))


def test_a_replay_of_another_map_is_refused_and_the_line_of_its_own_names_the_map(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = small().map_cycle.entries[0]
    track = load_track(entry)
    assert track.reference_line is not None
    points = track.reference_line.points_m[::10]
    samples = SimpleNamespace(time_ms=100 * np.arange(len(points)), position_m=points)
    ghost = SimpleNamespace(race_time_ms=100 * (len(points) - 1), samples=samples, events=None, cp_times_ms=())
    (here / "drive.Replay.Gbx").touch()
    replay = object.__new__(gbx.Replay)
    for name, value in {"ghosts": (ghost,), "challenge": None, "map_uid": track.uid}.items():
        object.__setattr__(replay, name, value)
    monkeypatch.setattr(gbx, "read", lambda source: replay)
    entry = entry.model_copy(update={"reference_line_path": str(here / "drive.Replay.Gbx")})
    line = load_track(entry).reference_line
    assert line is not None
    assert line.info.map_uid == track.uid
    object.__setattr__(replay, "challenge", SimpleNamespace(uid="SomeOtherMap"))
    with pytest.raises(ConfigError, match="SomeOtherMap"):
        load_track(entry)


@pytest.fixture
def started(here: Path) -> Path:
    """The folder of a run that has been started, with its configuration only."""
    folder = here / "save" / "small"
    folder.mkdir(parents=True)
    (folder / "config_snapshot.yaml").write_text(small().to_yaml())
    return folder


def test_variables_change_nothing_of_a_run_that_is_continued(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed = TrainConfig.load(["--resume", str(started)])
    monkeypatch.setenv("TRAIN_TRAINING__BATCH_SIZE", "64")
    assert resolve(resumed).training.batch_size == 32
    with pytest.raises(ConfigError, match=r"training\.batch_size cannot be set"):
        resolve(TrainConfig.load(["--resume", str(started)]))


def test_variables_change_nothing_of_a_run_that_is_evaluated(
    started: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = IQNAgent(small().to_iqn_config(), seed=0)
    agent.save(started)
    monkeypatch.setenv("TRAIN_NEURAL_NETWORK__DENSE_HIDDEN_DIMENSION", "64")
    run_evaluate(EvaluateConfig(run_dir=started, episodes=1))
    assert "of 1 finished" in capsys.readouterr().out


def test_resume_lets_device_bar_and_limits_through(started: Path) -> None:
    flags = ["--device", "cpu", "--no-use-tqdm", "--training.max-frames", "1200", "--training.max-minutes", "3"]
    config = resolve(TrainConfig.load(["--resume", str(started), *flags]))
    assert (config.device, config.use_tqdm) == ("cpu", False)
    assert (config.training.max_frames, config.training.max_minutes, config.training.batch_size) == (1200, 3.0, 32)
    assert config.run_dir == started
    kept = resolve(TrainConfig.load(["--resume", str(started)]))
    assert kept.training.max_frames == 900


def test_resume_hears_a_value_that_is_the_default(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = resolve(TrainConfig.load(["--resume", str(started), "--training.max-frames", "0"]))
    assert limited.training.max_frames == TrainConfig().training.max_frames == 0
    (started / "config_snapshot.yaml").write_text(limited.to_yaml())
    again = resolve(TrainConfig.load(["--resume", str(started)]))
    assert (again.training.max_frames, again.training.batch_size) == (0, 32), "a run may be continued more than once"
    with pytest.raises(ConfigError, match=r"so training\.batch_size cannot be set beside it"):
        resolve(TrainConfig.load(["--resume", str(started), "--training.batch-size", "512"]))
    monkeypatch.setenv("TRAIN_MEMORY__BUFFER_TEST_RATIO", "0.05")  # the default, and the run's own value
    assert resolve(TrainConfig.load(["--resume", str(started)])).memory.buffer_test_ratio == 0.05


def test_the_default_file_says_nothing_beside_resume(started: Path, here: Path) -> None:
    file = here / TrainConfig.default_yaml[0]
    file.parent.mkdir(parents=True)
    file.write_text("training: {batch_size: 512, max_frames: 0}")
    assert resolve(TrainConfig.load(["--resume", str(started)])).training.max_frames == 900
    with pytest.raises(ConfigError, match=r"so training\.batch_size cannot be set beside it"):
        resolve(TrainConfig.load(["--resume", str(started)], config=file))


@pytest.mark.parametrize(("flags", "named"), [
    (["--training.batch-size", "64"], "training.batch_size"), (["--fresh"], "fresh"), (["--run-name", "b"], "run_name"),
    (["--memory.buffer-test-ratio", "0.2", "--rewards.constant-reward-per-ms", "-0.001"],
     "memory.buffer_test_ratio, rewards.constant_reward_per_ms"),
])  # fmt: skip
def test_resume_refuses_what_it_would_ignore(started: Path, flags: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"so {named} cannot be set beside it")):
        resolve(TrainConfig.load(["--resume", str(started), *flags]))
    same = ["--training.batch-size", "32", "--run-name", "small"]
    assert resolve(TrainConfig.load(["--resume", str(started), *same])).training.batch_size == 32


@pytest.mark.parametrize(("flags", "message"), [
    (["--map-cycle.entries", "[]"], "is empty"),
    (["--map-cycle.entries", '[{"short_name": "a", "map_path": "missing.Challenge.Gbx"}]'], "no such file"),
    (["--resume", "nowhere"], "config_snapshot"),
])  # fmt: skip
def test_impossible_runs_are_refused(here: Path, flags: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(small(*flags), say=lambda line: None)


def test_every_life_of_a_run_draws_anew(here: Path) -> None:
    def first_draw(played: int) -> float:
        actor = make_worker(small(), InProcessTransport(), 0, played=played)._make_actor()
        assert isinstance(actor, IQNActor)
        return float(actor._rng.random())

    assert first_draw(0) == first_draw(0)
    assert first_draw(0) != first_draw(900)


def test_a_track_of_the_cycle_may_have_a_stall_limit_of_its_own(here: Path) -> None:
    limit = '"cutoff_rollout_if_no_vcp_passed_within_duration_ms": 100'
    config = small(
        "--map-cycle.entries", '[{"short_name": "a", "map_path": "bundled:first_steps"}, '
        f'{{"short_name": "b", "map_path": "bundled:table_top", {limit}}}]',
    )  # fmt: skip
    tracks = dict(zip(track_names(config), load_tracks(config), strict=True))
    for evaluation in (False, True):
        env = make_racing_env(config, tracks, (0, 1), seed=0, evaluation=evaluation)
        env.reset()
        coast = np.array([3, 3])
        assert env.step(coast)[3].tolist() == [False, False]
        assert env.step(coast)[3].tolist() == [False, True]
        env.close()


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
