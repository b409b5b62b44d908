"""One replay, every check in a table, and the folder in the form that validated runs have."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureError
from trackmaster.capture.validate import run_validate
from trackmaster.capture.validate_config import ValidateConfig
from trackmaster.data import read_manifest, read_metadata
from trackmaster.gbx import Challenge, Ghost


def clock() -> datetime:
    return datetime(2026, 2, 18, 10, tzinfo=UTC)


@pytest.fixture
def replay(tmp_path: Path, replay_bytes: bytes) -> Path:
    path = tmp_path / "replays" / "924307" / "pos1_x_8050ms.replay.gbx"
    path.parent.mkdir(parents=True)
    path.write_bytes(replay_bytes)
    return path


def validate(replay: Path, **changes: object) -> int:
    values: dict[str, object] = {
        "replay_path": replay, "output_dir": replay.parents[2] / "out", "tracks_dir": replay.parents[2] / "tracks",
        "width": 24, "height": 16, "game": "simulator", "use_tqdm": False,
    }  # fmt: skip
    return run_validate(ValidateConfig(**(values | changes)), clock=clock)


def test_a_good_replay_passes_and_is_written(replay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(replay, mode="drive") == 0
    printed = capsys.readouterr().out
    assert "finish        passed  8050" in printed
    assert "samples       passed  0.0" in printed
    assert "every one of them passed." in printed
    folder = replay.parents[2] / "out" / "924307" / "pos1_x_8050ms.replay"
    entries = json.loads((folder / "manifest.json").read_text())
    assert entries[3] == {
        "file": "frame_000003_300ms.jpeg", "index": 3, "time_ms": 300, "captured_at_utc": "2026-02-18T10:00:00+00:00",
    }  # fmt: skip
    assert sorted(path.name for path in folder.glob("*.jpeg")) == [entry["file"] for entry in entries]
    metadata = json.loads((folder / "metadata.json").read_text())
    expected = {
        "mode": "validate_replay", "width": 24, "height": 16, "fps": 10.0, "step_ms": 10, "running_speed": 1.0,
        "replay_speed": 1.0, "sent_replay_command": False, "used_startup_validatepath": False,
        "total_frames": len(entries), "race_finished": True, "final_time_ms": 8050,
    }  # fmt: skip
    assert metadata | expected == metadata
    assert "map_name" in metadata
    assert len(read_manifest(folder).entries) == len(entries), "our own readers take this form"
    assert read_metadata(folder).step_ms == 10


def test_a_failed_check_is_told_and_the_frames_are_kept(
    replay: Path, ghost: Ghost, challenge: Challenge, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = (*ghost.cp_times_ms[:-1], ghost.race_time_ms + 30)
    late = dataclasses.replace(ghost, race_time_ms=ghost.race_time_ms + 30, cp_times_ms=gates)
    replay.write_bytes(gbx.write_replay(gbx.write_challenge(challenge), late))
    assert validate(replay, mode="drive") == 2
    printed = capsys.readouterr().out
    assert "finish        FAILED  8050" in printed
    assert "this replay does not count." in printed
    assert list((replay.parents[2] / "out").rglob("*.jpeg"))


def test_a_replay_that_cannot_run_is_a_sentence(replay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay.write_bytes(replay.read_bytes()[:500])
    assert validate(replay) == 2
    assert "rejected: unreadable:" in capsys.readouterr().out
    with pytest.raises(CaptureError, match="is no replay"):
        validate(replay.with_name("nothing.replay.gbx"))


def test_preparing_writes_script_and_map_and_runs_nothing(replay: Path) -> None:
    assert validate(replay, prepare_only=True, track_id="7") == 0
    folder = replay.parents[2] / "out" / "7" / "pos1_x_8050ms.replay"
    names = sorted(path.suffix for path in folder.iterdir())
    assert names == [".Gbx", ".txt"]
    script = next(folder.glob("*.txt")).read_text()
    assert script.splitlines()[0].endswith("press up")
    assert gbx.read_challenge(next(folder.glob("m*.Challenge.Gbx"))).uid == "straight"


def test_the_seeds_command_line_is_taken() -> None:
    flags = "--replay-path maps/replays/924307/pos1_ben3847_89250ms.replay.gbx --output-dir maps/img_validate --fps 10"
    config = ValidateConfig.load([*flags.split(), "--step-ms", "10", "--no-replay-command"])
    assert (config.output_dir, config.fps, config.step_ms) == (Path("maps/img_validate"), 10.0, 10)
    assert not config.replay_command
