"""The comparison of runs on small logs whose answers are known: ours, Linesight's, damaged ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackmaster.cli import main
from trackmaster.errors import TrackmasterError
from trackmaster.experiments.compare_config import CompareConfig
from trackmaster.experiments.race_stats import RACE_TAG
from trackmaster.experiments.run_logs import read_run
from trackmaster.experiments.seed_interval import cell, over_seeds, t_975
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.evaluation.log import append_evaluations
from trackmaster.rl.metrics import MetricsLogger

EXPLO = "Race/explo_race_{}_trained_lane"


class Hand:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def log_run(folder: Path, *, finish_min: float, minutes: int = 20, steps_per_min: int = 10_000) -> None:
    """One race a minute from minute 0, without a finish before ``finish_min``; then 30 s, a tenth less each minute."""
    clock = Hand()
    with MetricsLogger(None, folder / "metrics.csv", clock=clock) as logger:
        for minute in range(minutes + 1):
            clock.now = 7.0 + 60.0 * minute
            finished = minute >= finish_min
            values = {EXPLO.format("finished"): float(finished), "Training/loss": 1.0 / (minute + 1)}
            if finished:
                values[EXPLO.format("time_finished")] = 30.0 - 0.1 * minute
            if minute % 5 == 0:
                times = (30_000 - 100 * minute, None) if finished else (None, None)
                values |= Evaluation(times, (10.0, 20.0), (0.0, 0.0)).metrics("lane")
            logger.log(values, env_steps=minute * steps_per_min, train_steps=minute)


def write_events(folder: Path, rows: list[tuple[str, float, int, float]], *, suffix: str = "") -> Path:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for tag, wall_s, step, value in rows:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=wall_s, step=step, summary=summary))
    writer.close()
    return Path(max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns))


def compared(logdir: Path, *words: str) -> dict[str, Any]:
    """What ``trackmaster compare`` writes as JSON."""
    flags = ["--logdir", str(logdir), "--output-dir", str(logdir / "out"), "--json-file", "numbers.json"]
    assert main(["compare", *words, *flags]) == 0
    found: dict[str, Any] = json.loads((logdir / "out" / "numbers.json").read_text())
    return found


def row_of(found: dict[str, Any], axis: str, title: str, mark: float, label: str) -> dict[str, Any]:
    tables = [table for table in found["by"][axis]["tables"] if table["title"] == title]
    assert len(tables) == 1, [table["title"] for table in found["by"][axis]["tables"]]
    rows: list[dict[str, Any]] = [r for r in tables[0]["rows"] if r["mark"] == mark and r["label"] == label]
    assert len(rows) == 1
    return rows[0]


def test_races_are_counted_up_to_each_mark(tmp_path: Path) -> None:
    log_run(tmp_path / "A_scratch", finish_min=8)
    log_run(tmp_path / "B1_ae", finish_min=3, minutes=17)
    found = compared(tmp_path, "A_scratch", "B1_ae")
    assert found["by"]["minutes"]["marks"] == [5, 10, 15], "up to the end of the shortest run"
    assert found["by"]["steps"]["marks"] == [50_000, 100_000, 150_000]
    row = row_of(found, "minutes", "explo_race_trained_lane", 10, "A_scratch")
    assert row["races"]["mean"] == 11
    assert row["finish_rate"]["mean"] == pytest.approx(3 / 11)
    assert row["best_finished_s"]["mean"] == pytest.approx(29.0)
    assert row["mean_s"]["mean"] == pytest.approx(29.1)
    assert row["std_s"]["mean"] == pytest.approx(np.std([29.2, 29.1, 29.0]))
    assert row["first_finish"]["mean"] == pytest.approx(8), "minutes since the first race, not since the start"
    early = row_of(found, "minutes", "explo_race_trained_lane", 5, "A_scratch")
    assert early["best_finished_s"]["mean"] is None
    assert early["first_finish"]["mean"] is None
    steps = row_of(found, "steps", "explo_race_trained_lane", 50_000, "B1_ae")
    assert steps["first_finish"]["mean"] == 30_000


def test_the_evaluation_shown_is_the_one_whose_weights_are_kept(tmp_path: Path) -> None:
    clock = Hand()
    with MetricsLogger(None, tmp_path / "run" / "metrics.csv", clock=clock) as logger:
        for minute, times in ((0, (None, None)), (2, (31_000, 30_000)), (4, (29_000, None)), (6, (33_000, 32_000))):
            clock.now = minute * 60.0
            metrics = Evaluation(times, (1.0, 1.0), (0.0, 0.0)).metrics("lane")
            logger.log(metrics, env_steps=minute * 1000, train_steps=0)
    found = compared(tmp_path, "run", "--interval", "2")
    row = row_of(found, "minutes", "deterministic evaluation on lane", 6, "run")
    assert row["finish_rate"]["mean"] == 1.0
    assert row["official_s"]["mean"] == pytest.approx(31.0)
    assert row["median_s"]["mean"] == pytest.approx(30.5)
    assert row["evaluations"]["mean"] == 4
    assert row["episodes"]["mean"] == 2
    assert row["first_finish"]["mean"] == pytest.approx(2)
    half = row_of(found, "minutes", "deterministic evaluation on lane", 4, "run")
    assert half["last_finish_rate"]["mean"] == 0.5
    assert half["finish_rate"]["mean"] == 1.0


def test_seeds_get_a_mean_and_an_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, finish in enumerate((4, 6, 8)):
        log_run(tmp_path / f"a{seed}", finish_min=finish)
    found = compared(tmp_path, "A=a0,a1,a2", "alone=a0", "--interval", "10")
    first = row_of(found, "minutes", "explo_race_trained_lane", 10, "A")["first_finish"]
    half = 4.3027 * 2 / np.sqrt(3)
    assert first["values"] == [4, 6, 8]
    assert first["interval"] == pytest.approx([6 - half, 6 + half], abs=1e-3)
    assert row_of(found, "minutes", "explo_race_trained_lane", 10, "alone")["first_finish"]["interval"] is None
    assert "Student t" in found["interval"]
    assert f"6.0 [{6 - half:.1f}, {6 + half:.1f}]" in capsys.readouterr().out


def test_a_seed_that_never_finished_is_counted_and_takes_the_interval_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_run(tmp_path / "a0", finish_min=2)
    log_run(tmp_path / "a1", finish_min=99)
    found = compared(tmp_path, "A=a0,a1")
    first = row_of(found, "minutes", "explo_race_trained_lane", 20, "A")["first_finish"]
    assert first == {"mean": 2, "interval": None, "values": [2, None]}
    assert "2.0 (1/2)" in capsys.readouterr().out


def test_linesights_names_and_its_300_seconds_are_understood(tmp_path: Path) -> None:
    rows = []
    for k, (time_s, finished) in enumerate(((300.0, 0.0), (26.0, 1.0), (300.0, 0.0), (24.5, 1.0))):
        wall_s = 1_700_000_000.0 + 60.0 * k
        rows += [("explo_race_time_trained_A01", wall_s, 1000 * k, time_s)]
        rows += [("explo_race_finished_trained_A01", wall_s, 1000 * k, finished)]
        rows += [("loss", wall_s, 1000 * k, 5.0 - k), ("alltime_min_ms_A01", wall_s, 1000 * k, 24_500.0 + 10 * k)]
    write_events(tmp_path / "run", rows)
    found = compared(tmp_path, "run", "--interval", "3", "--step_interval", "1000")
    row = row_of(found, "minutes", "explo_race_trained_A01", 3, "run")
    assert row["races"]["mean"] == 4
    assert row["finish_rate"]["mean"] == 0.5
    assert row["best_finished_s"]["mean"] == 24.5
    assert row["mean_s"]["mean"] == pytest.approx((300 + 26 + 300 + 24.5) / 4)
    assert row["first_finish"]["mean"] == pytest.approx(1)
    assert row_of(found, "minutes", "loss", 3, "run")["value"]["mean"] == 2.0, "the last value"
    assert row_of(found, "minutes", "alltime_min_ms_A01", 3, "run")["value"]["mean"] == 24_500, "the best so far"
    assert row_of(found, "steps", "explo_race_trained_A01", 1000, "run")["best_finished_s"]["mean"] == 26.0


def test_event_files_and_our_table_give_the_same_tables(tmp_path: Path) -> None:
    with MetricsLogger(tmp_path / "tb" / "run", tmp_path / "save" / "run" / "metrics.csv") as logger:
        for k in range(1, 9):
            values = {EXPLO.format("finished"): float(k > 3), "Training/loss": 0.5**k, "Eval/finish_rate_lane": k / 8}
            logger.log(values, env_steps=1000 * k, train_steps=k)
    ours, theirs = (compared(tmp_path / kind, "run", "--step_interval", "2000") for kind in ("save", "tb"))
    assert ours["by"]["steps"] == theirs["by"]["steps"]
    assert len(ours["by"]["steps"]["tables"]) == 3


def test_scalars_of_newer_writers_are_tensors_and_pictures_are_none(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path / "run"))
    for value in (
        Summary.Value(tag="loss", tensor=make_tensor_proto(0.25)),
        Summary.Value(tag="text", tensor=make_tensor_proto(["words"])),
        Summary.Value(tag="histogram", tensor=make_tensor_proto(np.zeros((3, 3)))),
        Summary.Value(tag="image", image=Summary.Image(height=1, width=1)),
    ):
        writer.add_event(Event(wall_time=1.0, step=1, summary=Summary(value=[value])))
    writer.close()
    assert {tag: series.value.tolist() for tag, series in read_run(tmp_path, "run").series.items()} == {"loss": [0.25]}


def test_parts_of_a_run_are_merged_and_another_run_is_not(tmp_path: Path) -> None:
    write_events(tmp_path / "run", [("loss", 100.0, 0, 9.0), ("loss", 160.0, 1000, 8.0)])
    write_events(tmp_path / "run_2", [("loss", 220.0, 1100, 7.0)])
    write_events(tmp_path / "run_3", [("loss", 400.0, 0, 99.0), ("loss", 500.0, 5000, 98.0)])
    log = read_run(tmp_path, "run")
    assert log.series["loss"].value.tolist() == [9.0, 8.0, 7.0]
    assert any("run_3" in note and "run of its own" in note for note in log.notes)


def test_what_a_crashed_life_wrote_behind_its_snapshot_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for start, values in ((0.0, (1.0, 2.0, 3.0)), (60.0, (20.0, 30.0))):
        clock = Hand()
        with MetricsLogger(None, folder / "metrics.csv", clock=clock, wall_offset_s=start) as logger:
            for k, value in enumerate(values):
                clock.now = 60.0 * k + 0.5
                logger.log({"Training/loss": value}, env_steps=int(start + clock.now), train_steps=0)
    assert read_run(tmp_path, "run").series["Training/loss"].value.tolist() == [1.0, 2.0, 20.0, 30.0]
    write_events(tmp_path / "events", [("loss", 100.0, 0, 1.0), ("loss", 200.0, 900, 2.0)], suffix=".a")
    later = write_events(tmp_path / "events", [("loss", 300.0, 500, 20.0)], suffix=".b")
    later.rename(later.with_name("events.out.tfevents.99999999999.x"))
    assert read_run(tmp_path, "events").series["loss"].value.tolist() == [1.0, 20.0]


def test_evaluations_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = {"lane": Evaluation((25_000, None), (100.0, 50.0), (0.0, 0.0))}
    append_evaluations(tmp_path / "run" / "evaluations.jsonl", result, wall_s=60, env_steps=500, train_steps=1)
    found = compared(tmp_path, "run")
    assert found["by"]["minutes"]["marks"] == [0.0]
    row = row_of(found, "minutes", "deterministic evaluation on lane", 0.0, "run")
    assert row["finish_rate"]["mean"] == 0.5
    assert row["official_s"]["mean"] == 25.0


def test_scalars_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_run(tmp_path / "run", finish_min=1)
    titles = {t["title"] for t in compared(tmp_path, "run", "--metrics", "loss")["by"]["minutes"]["tables"]}
    assert "Training/loss" in titles
    assert main(["compare", "run", "--logdir", str(tmp_path), "--metrics", "Training/los"]) == 1
    assert "Did you mean Training/loss" in capsys.readouterr().err
    titles = {t["title"] for t in compared(tmp_path, "run", "--all-scalars")["by"]["minutes"]["tables"]}
    assert "Eval/return_lane" in titles


def test_flags_are_taken_as_the_roadmap_writes_them() -> None:
    line = "A B C --logdir tb --interval 5 --step_interval 50000 --metrics x y --prefix p_ --all-scalars --plot"
    config = CompareConfig.load(line.split(), environment={})
    assert (config.runs, config.metrics, config.step_interval) == (["A", "B", "C"], ["x", "y"], 50_000)


def test_the_page_draws_the_numbers_and_opens(
    tmp_path: Path, open_in_browser: Callable[[Path], tuple[list[str], str]]
) -> None:
    log_run(tmp_path / "A", finish_min=5)
    log_run(tmp_path / "B", finish_min=2)
    flags = ["--logdir", str(tmp_path), "--output-dir", str(tmp_path), "--plot", "--prefix", "x_"]
    assert main(["compare", "both=A,B", *flags]) == 0
    errors, page = open_in_browser(tmp_path / "x_comparison.html")
    assert errors == []
    assert "explo_race_trained_lane: best_finished_s, by minutes" in page


def test_missing_empty_and_damaged_logs_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_run(tmp_path / "good", finish_min=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "events.out.tfevents.1.host").write_bytes(b"\x00\xff" * 400)
    (tmp_path / "header").mkdir()
    (tmp_path / "header" / "metrics.csv").write_text("wall_s,env_steps,train_steps,tag,value\n")
    for run, expected in (
        ("none", "has: empty, good, header, junk"),
        ("empty", "holds no number"),
        ("junk", "holds no number"),
        ("header", "holds no number"),
    ):
        assert main(["compare", "good", run, "--logdir", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert expected in error
        assert "Traceback" not in error
    for words in (
        ["good", "good"],
        ["A=good,good"],
        ["A="],
        ["good", "--interval", "0.0001"],
        ["good", "--prefix", "a/"],
    ):
        assert main(["compare", *words, "--logdir", str(tmp_path)]) == 1
        assert "Traceback" not in capsys.readouterr().err


def test_damaged_lines_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_run(tmp_path / "run", finish_min=1)
    with (tmp_path / "run" / "metrics.csv").open("ab") as file:
        file.write(b'5,6\n\x00\xfe,"\n1300.0,200000,20,Training/loss,nan\n1301.0,200')
    assert main(["compare", "run", "--logdir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "lines are damaged" in out


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_or_changed_byte_of_a_log_ends_in_numbers_or_a_sentence(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if not folder.exists():
        write_events(folder, [("loss", 100.0 + k, k, float(k)) for k in range(5)])
        (tmp_path / "whole").write_bytes(next(folder.iterdir()).read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    next(folder.iterdir()).write_bytes(bytes(content))
    try:
        values = read_run(tmp_path, "run").series["loss"].value.tolist()
    except TrackmasterError:
        return
    assert values == [float(k) for k in range(len(values))], "what is read is what was written, up to the damage"


def test_an_event_that_is_no_event_ends_the_file_with_a_note(tmp_path: Path) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    path = write_events(tmp_path / "run", [("loss", 100.0, 0, 1.0)])
    with path.open("ab") as file:
        RecordWriter(file).write(b"\xff\xff\xff\xff")  # its checksum is right
    log = read_run(tmp_path, "run")
    assert log.series["loss"].value.tolist() == [1.0]
    assert any("damaged after 1 numbers" in note for note in log.notes)


def test_tags_are_taken_apart() -> None:
    match = RACE_TAG.fullmatch("Race/kept_explo_race_time_finished_blind_my_map_trained_x")
    assert match is not None
    assert (match["what"], match["status"], match["map"]) == ("time_finished", "blind", "my_map_trained_x")
    assert RACE_TAG.fullmatch("Race/race_time_ratio_A01") is None


@pytest.mark.parametrize(("degrees", "expected"), [(1, 12.706), (2, 4.303), (10, 2.2281), (30, 2.0423), (1000, 1.9623)])
def test_quantiles_of_student_are_those_of_the_tables(degrees: int, expected: float) -> None:
    assert t_975(degrees) == pytest.approx(expected, abs=1e-3)


def test_equal_seeds_have_no_interval_and_are_told_to_be_equal() -> None:
    same = over_seeds([1.0, 1.0, 1.0], within=(0.0, 1.0))
    assert same.interval is None
    assert cell(same, ".2f") == "1.00 (3 equal)"
    assert over_seeds([0.1 + 0.2, 0.3]).are_equal, "rounding is no spread"
    assert cell(over_seeds([0.0, 0.0]), ".1f") == "0.0 (2 equal)"
    assert cell(over_seeds([1.0, 1.0, None]), ".1f") == "1.0 (2/3)"
    assert cell(over_seeds([1.0]), ".1f") == "1.0"
    assert cell(over_seeds([None, None]), ".1f") == "- (0/2)"
    assert cell(over_seeds([1.0, 2.0]), ".1f") == "1.5 [-4.9, 7.9]"
    assert over_seeds([2.0]).interval is None
    assert over_seeds([]).mean is None


def test_an_interval_ends_where_the_number_does() -> None:
    assert over_seeds([0.9, 1.0, 1.0], within=(0.0, 1.0)).interval == (pytest.approx(0.8232, abs=1e-4), 1.0)


def evaluated_run(folder: Path, official_ms: int, *, seed: int | None = None) -> None:
    """One evaluation at the start and one at minute 10, all attempts finished."""
    clock = Hand()
    with MetricsLogger(None, folder / "metrics.csv", clock=clock) as logger:
        for minute, times in ((0, (None,)), (10, (official_ms,))):
            clock.now = minute * 60.0
            logger.log(Evaluation(times, (1.0,), (0.0,)).metrics("lane"), env_steps=minute * 10_000, train_steps=0)
    if seed is not None:
        (folder / "config_snapshot.yaml").write_text(f"training: {{seed: {seed}}}\n")


def test_labels_are_compared_seed_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed, ms in (("a1", 1, 20_000), ("a2", 2, 21_000), ("a3", 3, 22_000)):
        evaluated_run(tmp_path / name, ms, seed=seed)
    for name, seed, ms in (("b1", 3, 19_900), ("b2", 1, 18_000), ("b3", 2, 19_500)):
        evaluated_run(tmp_path / name, ms, seed=seed)
    found = compared(tmp_path, "A=a1,a2,a3", "B=b1,b2,b3", "--interval", "10")
    tests = {(t["axis"], t["column"]): t for t in found["paired"]}
    official = tests["minutes", "official_s"]
    assert official["difference"]["values"] == pytest.approx([-2.1, -2.0, -1.5]), "b1 belongs to a3"
    # t = 1.8667 / (0.3215 / sqrt(3)) = 10.057 at 2 degrees
    assert official["p"] == pytest.approx(0.00974, abs=2e-5)
    assert official["p_adjusted"] == pytest.approx(4 * official["p"]), "two columns, two axes; rates do not vary"
    assert tests["minutes", "finish_rate"]["p"] is None
    assert "=== Differences to A, seed by seed" in capsys.readouterr().out
    (tmp_path / "b1" / "config_snapshot.yaml").write_text("training: [")
    in_order = compared(tmp_path, "A=a1,a2,a3", "B=b1,b2,b3", "--interval", "10")["paired"]
    values = next(t for t in in_order if t["column"] == "official_s")["difference"]["values"]
    assert values == pytest.approx([-0.1, -3.0, -2.5]), "a run that does not say its seed is paired by its place"
    assert compared(tmp_path, "a1", "b1")["paired"] == [], "one run a label is no sample"
