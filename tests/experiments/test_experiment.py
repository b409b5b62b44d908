"""An experiment is every arm with every seed, run once, and a table that says how sure it is."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from trackmaster.cli import main
from trackmaster.data import frame_name
from trackmaster.errors import ConfigError
from trackmaster.experiments import core_pool, matrix_results
from trackmaster.experiments.core_pool import CorePool
from trackmaster.experiments.matrix import Matrix, lay_out
from trackmaster.experiments.matrix_report import markdown
from trackmaster.experiments.matrix_results import EncoderResult, Outcome, Results, expert_s
from trackmaster.experiments.plan import ExperimentPlan, merged
from trackmaster.experiments.program import UNKNOWN, program
from trackmaster.rl.config.training import TrainConfig

SMALL: dict[str, Any] = {
    "training": {"max_frames": 300, "batch_size": 32},
    "neural_network": {"w_downsized": 48, "h_downsized": 48, "dense_hidden_dimension": 32, "iqn_k": 4},
    "memory": {
        "memory_size_schedule": [[0, 2000, 200]], "number_times_single_memory_is_used_before_discard": 1,
        "min_times_single_memory_is_used": 0,
    },
    "environment": {"n_envs": 4, "cutoff_rollout_if_race_not_finished_within_duration_ms": 1000},
    "evaluation": {"attempts": 2, "every_frames": 0},
    "performance": {"transport": "in_process"},
}  # fmt: skip
ENCODER = {"framework": "native", "epochs": 1, "batch_size": 8, "workers": 0, "lightning": {"tensorboard": False}}


@pytest.fixture(scope="module")
def frames_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two maps of eight frames each."""
    root = tmp_path_factory.mktemp("img")
    for number in range(2):
        folder = root / str(2001 + number) / "pos1_driver_90000ms.replay"
        folder.mkdir(parents=True)
        for step in range(8):
            picture = np.full((64, 64), 40 * number + 5 * step, dtype=np.uint8)
            cv2.imwrite(str(folder / frame_name(step, 50 * step)), picture)
        metadata = {"map_uid": f"uid{number}", "capture_interval_ms": 50.0}
        (folder / "metadata.json").write_text(json.dumps(metadata))
    return root


@pytest.fixture
def make_plan(repository_root: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the plan of a tiny experiment."""

    def make(**more: Any) -> Path:
        values = {
            "name": "tiny", "title": "Tiny", "question": "Does it run?", "minutes": 1, "seeds": [1], "episodes": 2,
            "base": str(repository_root / "config_files" / "rl" / "config_quick.yaml"), "train": SMALL,
            "pretrain": ENCODER, "arms": {"A_scratch": {}, "B1_ae": {"pretrain": {"task": "ae"}}},
        }  # fmt: skip
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({**values, **more}, sort_keys=False))
        return path

    return make


@pytest.fixture
def make_matrix(make_plan: Callable[..., Path], frames_dir: Path, tmp_path: Path) -> Callable[..., Matrix]:
    def make(folder: str = "tiny", **more: Any) -> Matrix:
        return lay_out(ExperimentPlan.read(make_plan(**more)), tmp_path / folder, frames_dir)

    return make


@pytest.mark.parametrize("name", ["experiment_1", "learning_table"])
def test_the_plans_of_the_project_are_whole(
    repository_root: Path, frames_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(repository_root)
    plan = ExperimentPlan.read(Path(f"config_files/experiments/{name}.yaml"))
    matrix = lay_out(plan, tmp_path, frames_dir)
    assert len(matrix.runs) == 9
    assert [run.seed for run in matrix.runs] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {run.config.training.max_minutes for run in matrix.runs} == {plan.minutes}
    if name == "experiment_1":
        assert (len(matrix.encoders), len(matrix.caches)) == (2, 1), "all seeds share the encoders"
        encoders = [run.config.training.pretrain_encoder_path for run in matrix.runs[:3]]
        assert encoders == [None, *(tmp_path / "encoders" / f"{arm}_s42" for arm in ("B1_ae", "B2_simclr"))]
        assert len({run.config.map_cycle for run in matrix.runs}) == 1, "the arms drive the same track"
        apart = lay_out(plan.model_copy(update={"encoder_per_seed": True}), tmp_path / "apart", frames_dir)
        assert (len(apart.encoders), len(apart.caches)) == (6, 3), "every seed has encoders of its own"
    else:
        tracks = {run.arm: run.config.map_cycle.entries[0].map_path for run in matrix.runs}
        assert tracks == {slug: f"bundled:{slug}" for slug in ("first_steps", "table_top", "switchback")}
        assert expert_s(matrix.runs[0], "first_steps") == pytest.approx(10.19)


def test_arms_differ_in_what_they_say_and_in_nothing_else(make_matrix: Callable[..., Matrix]) -> None:
    arms = {"A": {}, "B": {"train": {"training": {"n_steps": 7}}}}
    a, b = (run.config for run in make_matrix(arms=arms).runs)
    same = b.training.model_copy(update={"n_steps": a.training.n_steps})
    assert a.model_copy(update={"run_name": "B_s1"}) == b.model_copy(update={"training": same})
    assert b.training.n_steps == 7
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}


def test_a_fingerprint_follows_the_settings_and_not_the_place(make_matrix: Callable[..., Matrix]) -> None:
    def prints(matrix: Matrix) -> list[str]:
        return [job.fingerprint for stage in matrix.stages for job in stage]

    before = prints(make_matrix())
    assert len(set(before)) == len(before) == 4
    assert prints(make_matrix("elsewhere")) == before
    other = prints(make_matrix(pretrain={**ENCODER, "lr": 0.01}))
    assert [a == b for a, b in zip(before, other, strict=True)] == [True, False, True, False], "the encoder and its run"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"minuets": 3}, r"minuets: Extra inputs"),
        ({"seeds": [1, 1]}, r"seeds: expected different seeds"),
        ({"arms": {}}, r"arms: "),
        ({"arms": {"../a": {}}}, r"names of arms are made of letters"),
        ({"train": {"training": {"seed": 4}}}, r"train\.training\.seed: the experiment decides this itself"),
        ({"arms": {"A": {"pretrain": {"data_dir": "x"}}}}, r"arms\.A\.pretrain\.data_dir: the experiment decides"),
        ({"arms": {"A": {"pretrain": {}, "encoder": "x"}}}, r"two ways to get one encoder"),
        ({"arms": {"A": {"track": "frist_steps"}}}, r"arms\.A\.track: .*no bundled track 'frist_steps'; choose one of"),
        ({"arms": {"A": {"encoder": "nowhere"}}}, r"nowhere holds no pretrain_meta\.json"),
        ({"arms": {"A": {"train": {"training": {"batchsize": 4}}}}}, r"The settings of A_s1.*batchsize"),
        ({"arms": {"A": {"pretrain": {"task": "bert"}}}}, r"The settings of encoder_A_s1.*task"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_runs(
    make_matrix: Callable[..., Matrix], more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make_matrix(**more)


@pytest.mark.parametrize("setting", ["resume: save/other", "training: {pretrain_encoder_path: some/encoder}"])
def test_a_base_that_begins_with_other_weights_is_refused(
    make_matrix: Callable[..., Matrix], tmp_path: Path, setting: str
) -> None:
    (tmp_path / "base.yaml").write_text(setting)
    with pytest.raises(ConfigError, match=r"base\.yaml: .* every arm would begin there"):
        make_matrix(base=str(tmp_path / "base.yaml"))


def test_runs_with_other_settings_stop_the_command_before_it_begins_anything(
    make_plan: Callable[..., Path], frames_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(arms={"A_scratch": {}})
    folder = tmp_path / "runs" / "tiny"
    (run,) = lay_out(ExperimentPlan.read(plan), folder, frames_dir).runs
    run.job.mark.parent.mkdir()
    run.job.mark.write_text(json.dumps({"fingerprint": run.job.fingerprint}))
    make_plan(train={**SMALL, "training": {"batch_size": 16}})  # and another arm, whose encoder would come first
    words = ["experiment", "run", str(plan), "--output-dir", str(folder.parent), "--frames-dir", str(frames_dir)]
    assert main([*words, "--parallel", "1"]) == 1
    assert "A_scratch_s1 was finished there with other settings" in capsys.readouterr().err
    assert not (folder / "logs").exists()
    assert not (folder / "report.md").exists()


def test_a_rate_of_the_encoder_needs_an_encoder(make_matrix: Callable[..., Matrix]) -> None:
    slow = {"train": {"training": {"pretrain_lr_scale": 0.3}}}
    run = make_matrix(arms={"A": {}, "B": {**slow, "pretrain": {"task": "ae"}}}).of_arm("B")[0]
    assert run.config.training.part_rules()["encoder"].lr_scale == 0.3
    with pytest.raises(ConfigError, match=r"The settings of A_s1.*pretrain_lr_scale has no effect"):
        make_matrix(arms={"A": slow})


def test_a_finished_encoder_is_taken_as_it_is(make_matrix: Callable[..., Matrix], tmp_path: Path) -> None:
    folder = tmp_path / "ae"
    folder.mkdir()
    (folder / "pretrain_meta.json").write_text("{}")
    frozen = {"training": {"pretrain_encoder_freeze": True, "pretrain_encoder_freeze_steps": 500}}
    arms = {"A": {}, "B": {"encoder": str(folder), "train": frozen}}
    matrix = make_matrix(arms=arms, seeds=[1, 2])
    assert not matrix.encoders
    assert not matrix.caches
    given = [run.config.training for run in matrix.of_arm("B")]
    assert {training.pretrain_encoder_path for training in given} == {folder}
    assert all(training.part_rules()["encoder"].is_frozen(499) for training in given)
    before = [run.job.fingerprint for run in matrix.runs]
    (folder / "pretrain_meta.json").write_text('{"seed": 2}')
    after = [run.job.fingerprint for run in make_matrix(arms=arms, seeds=[1, 2]).runs]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, False], "another encoder"


def test_frames_that_are_missing_are_named(make_plan: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such folder.*--frames-dir"):
        lay_out(ExperimentPlan.read(make_plan()), tmp_path / "tiny", tmp_path / "nothing")


def test_one_command_runs_the_matrix_once(
    make_plan: Callable[..., Path], frames_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = make_plan(), tmp_path / "runs"
    words = ["experiment", "run", str(plan), "--output-dir", str(out), "--frames-dir", str(frames_dir), "--no-use-tqdm"]
    assert main([*words, "--parallel", "1"]) == 0, capsys.readouterr().out
    report = (out / "tiny" / "report.md").read_text(encoding="utf-8")
    for line in ("| A_scratch | 1 |", "| B1_ae_s1 | first_steps |", "| B1_ae_s1 | 0.", "10.19", "Does it run?"):
        assert line in report, line
    record = json.loads((out / "tiny" / "save" / "B1_ae_s1" / "init.json").read_text())
    encoder = torch.load(out / "tiny" / "encoders" / "B1_ae_s1" / "encoder.pt", weights_only=True)
    assert record["encoder"].endswith("encoder.pt")
    assert encoder["0.weight"].shape == (16, 1, 4, 4)
    assert program() in report
    assert "Made by different programs" not in report
    marks = {path: path.stat().st_mtime_ns for path in (out / "tiny" / "done").iterdir()}
    assert {path.stem for path in marks} >= {"A_scratch_s1", "B1_ae_s1", "encoder_B1_ae_s1"}
    capsys.readouterr()
    assert main([*words, "--parallel", "1"]) == 0
    assert "trainings: 2 of 2 are there from an earlier call." in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "tiny" / "done").iterdir()} == marks


def outcomes(matrix: Matrix, numbers: dict[str, list[tuple[float, float | None]]]) -> tuple[Outcome, ...]:
    runs = {(run.arm, run.seed): run for run in matrix.runs}
    return tuple(
        Outcome(
            runs[arm, seed], "first_steps", 10.0, 5000, 900, 1.0, 2.0, rate, time_s, time_s, 0.98, round(20 * rate), 20
        )
        for arm, rows in numbers.items()
        for seed, (rate, time_s) in enumerate(rows, 1)
    )


def test_the_table_has_intervals_pairs_and_what_is_missing(make_matrix: Callable[..., Matrix]) -> None:
    arms = {"A": {}, "B": {}, "C": {}}
    matrix = make_matrix(arms=arms, seeds=[1, 2, 3])
    numbers = {
        "A": [(0.5, 20.0), (0.6, 21.0), (0.7, 22.0)],
        "B": [(0.6, 18.0), (0.75, 19.5), (0.95, 19.9)],
        "C": [(0.0, None), (0.1, 25.0), (0.0, None)],
    }
    results = Results(matrix, outcomes(matrix, numbers), (), (), None, ("C_s9",))
    text = markdown(results, "trackmaster experiment run tiny.yaml")
    assert "Not finished, so the tables lack them: C_s9." in text
    assert "| A | 3 | 1.0 (3 equal) | 2.0 (3 equal) | 0.60 [0.35, 0.85] |" in text
    assert "| 36/60 [0.47, 0.71] |" in text, "the Wilson interval of the share of all episodes"
    assert "Made by different programs" not in text
    assert "| 25.00 (1/3) |" in text, "no interval where only one seed has a time"
    assert "(3). '-' where" in text, "C's times are no test"
    # Differences of the rates of B: 0.10, 0.15, 0.25; t = 3.780 at 2 degrees, p = 0.063.
    assert "| B | first_steps | finish rate | 3 | 0.17 [-0.02, 0.36] | 0.063 |" in text
    alone = replace(results, outcomes=results.outcomes[:1], missing=())
    assert "## Differences" not in markdown(alone, "x")


def test_rates_of_one_get_no_interval_of_no_width(make_matrix: Callable[..., Matrix]) -> None:
    matrix = make_matrix(arms={"A": {}, "B": {}}, seeds=[1, 2, 3])
    whole = {"A": [(1.0, 20.0)] * 3, "B": [(1.0, 18.0)] * 3}
    text = markdown(Results(matrix, outcomes(matrix, whole), (), (), None, ()), "x")
    assert "| 1.00 (3 equal) | 20.00 (3 equal) | 20.00 (3 equal) | 60/60 [0.94, 1.00] |" in text
    assert "| B | first_steps | undisturbed start [s] | 3 | -2.00 (3 equal) | - | - |" in text
    assert "[1.00, 1.00]" not in text


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_table_says_where_all_seeds_of_an_arm_share_an_encoder(
    make_matrix: Callable[..., Matrix], is_shared: bool
) -> None:
    arms = {"A": {}, "B": {"pretrain": {"task": "ae"}}}
    matrix = make_matrix(arms=arms, seeds=[1, 2], encoder_per_seed=not is_shared)
    encoder = EncoderResult("B_s42", 1.0, 2, 0.1, None, {})
    text = markdown(Results(matrix, (), (encoder,), (), None, ()), "x")
    assert ("All seeds of B begin with one encoder: the intervals" in text) == is_shared


def test_a_table_of_two_programs_says_so(
    make_matrix: Callable[..., Matrix], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    matrix = make_matrix(arms={"A": {}, "B": {}})
    pool = CorePool([None], tmp_path / "running.json", say=lambda _: None, use_tqdm=False)
    for run, made_by in zip(matrix.runs, ("trackmaster 0.1.0 (aaa)", "trackmaster 0.1.0 (bbb)"), strict=True):
        monkeypatch.setattr(core_pool, "program", lambda made_by=made_by: made_by)
        assert not pool.run([replace(run.job, commands=((sys.executable, "-c", ""),))], desc="x")
    jobs = [run.job for run in matrix.runs]
    both = matrix_results._programs(jobs)
    assert both == {"trackmaster 0.1.0 (aaa)": ("A_s1",), "trackmaster 0.1.0 (bbb)": ("B_s1",)}
    results = Results(matrix, outcomes(matrix, {"A": [(1.0, 9.0)], "B": [(1.0, 8.0)]}), (), (), None, (), both)
    text = markdown(results, "x")
    assert "**Made by different programs**" in text
    assert "* trackmaster 0.1.0 (bbb): B_s1" in text
    mark = json.loads(jobs[0].mark.read_text())
    del mark["program"]
    jobs[0].mark.write_text(json.dumps(mark))
    assert UNKNOWN in matrix_results._programs(jobs), "finished before programs were noted"


def test_the_digest_of_the_program_follows_what_decides(tmp_path: Path) -> None:
    (tmp_path / "rl").mkdir()
    (tmp_path / "view").mkdir()
    code = tmp_path / "rl" / "iqn.py"
    code.write_text("a = 1")
    before = program(tmp_path)
    (tmp_path / "view" / "page.py").write_text("b = 1")
    assert program(tmp_path) == before
    code.write_text("a = 2")
    assert program(tmp_path) != before
    code.rename(tmp_path / "rl" / "sac.py")
    assert program(tmp_path) != before
    for deciding in ("config.py", "capture/frames.py", "expert/search.py"):
        before = program(tmp_path)
        (tmp_path / deciding).parent.mkdir(exist_ok=True)
        (tmp_path / deciding).write_text("c = 1")
        assert program(tmp_path) != before, deciding
    assert program().startswith("trackmaster 0.")


def test_configurations_are_those_that_the_commands_read(make_matrix: Callable[..., Matrix], tmp_path: Path) -> None:
    matrix = make_matrix()
    for run in matrix.runs:
        read = TrainConfig.load(config=tmp_path / "tiny" / "configs" / f"{run.name}.yaml", environment={})
        assert read == run.config
        assert read.run_dir == matrix.save_dir / run.name
