"""The whole chain on the smallest budget: it ends, continues, and refuses to mix settings."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trackmaster.cli import main
from trackmaster.experiments.collect import collect_replays
from trackmaster.experiments.demo import BUNDLED_DIR
from trackmaster.rl.evaluation_log import read_evaluations


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundled replays of the shortest track, a damaged copy and a map beside them."""
    folder = tmp_path_factory.mktemp("replays")
    found = collect_replays(BUNDLED_DIR, tmp_path_factory.mktemp("maps"), use_tqdm=False)
    shortest = min(found, key=lambda row: row.race_time_ms or 0)
    same = [row.source for row in found if row.track_id == shortest.track_id][:2]
    for path in same:
        shutil.copy(path, folder)
    (folder / "cut.Replay.Gbx").write_bytes(same[0].read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def demo_dir(replays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "demo"
    assert main(["demo", *flags(replays, output)]) == 0
    return output


def flags(replays: Path, output: Path) -> list[str]:
    small = ["--fps", "5", "--encoder-epochs", "3", "--train-minutes", "0.05", "--episodes", "2", "--no-use-tqdm"]
    return ["--replays", str(replays), "--output", str(output), *small]


def test_the_demo_leaves_report_and_video(demo_dir: Path) -> None:
    page = (demo_dir / "report.html").read_text(encoding="utf-8")
    assert "cut.Replay.Gbx" in page, "a damaged file is named in the report"
    assert (demo_dir / "lap.mp4").stat().st_size > 10_000
    assert set(json.loads((demo_dir / "stages.json").read_text())) == {
        "replays", "frames", "encoder", "agent", "lap", "report",
    }  # fmt: skip


def test_the_first_evaluation_is_the_untrained_agent(demo_dir: Path) -> None:
    rows = read_evaluations(demo_dir / "save" / "demo" / "evaluations.jsonl")
    assert rows[0].train_steps == 0
    assert len(rows) >= 2
    assert all(len(row.progress_m) == 2 for row in rows)


def test_the_numbers_of_the_page_are_those_of_the_run(demo_dir: Path) -> None:
    with (demo_dir / "encoder" / "demo" / "metrics.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0], "the encoder learned"
    page = (demo_dir / "report.html").read_text(encoding="utf-8")
    last = read_evaluations(demo_dir / "save" / "demo" / "evaluations.jsonl")[-1]
    assert f"to {sum(last.progress_m) / 2:.0f} m over 2 deterministic" in page
    assert "trackmaster demo --replays" in page, "the command that makes it again"


def test_the_page_opens_in_chromium_without_a_console_error(
    demo_dir: Path, open_in_browser: Callable[[Path], tuple[list[str], str]]
) -> None:
    assert open_in_browser(demo_dir / "report.html")[0] == []


def test_the_encoder_is_inside_the_agent(demo_dir: Path) -> None:
    record = json.loads((demo_dir / "save" / "init.json").read_text())
    assert "encoder" in json.dumps(record)


def test_a_second_call_keeps_what_is_finished(
    demo_dir: Path, replays: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (demo_dir / "encoder" / "demo" / "encoder.pt").stat().st_mtime_ns
    assert main(["demo", *flags(replays, demo_dir)]) == 0
    assert "kept from an earlier call" in capsys.readouterr().out
    assert (demo_dir / "encoder" / "demo" / "encoder.pt").stat().st_mtime_ns == before


def test_a_demo_with_other_settings_is_moved_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "demo"
    output.mkdir()
    (output / "demo_config.yaml").write_text("seed: 99\n")
    (output / "report.html").write_text("old")
    assert main(["demo", *flags(tmp_path / "nowhere", output)]) == 1, "the replays are missing, the folder is ready"
    assert "was moved to" in capsys.readouterr().out
    assert (tmp_path / "demo-1" / "report.html").read_text() == "old"
    assert not (output / "report.html").exists()


def test_a_foreign_folder_is_left_alone(tmp_path: Path, replays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    assert main(["demo", *flags(replays, tmp_path)]) == 1
    assert "no demo" in capsys.readouterr().err
    assert (tmp_path / "holiday.jpg").is_file()


@pytest.mark.parametrize(("make", "expected"), [(False, "no such folder"), (True, "No .Gbx file")])
def test_a_folder_without_replays_is_a_sentence(
    tmp_path: Path, make: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    assert main(["demo", *flags(folder, tmp_path / "out")]) == 1
    assert expected in capsys.readouterr().err
