"""A toy tree is a captured tree: smaller, with the labels of its frames, and usable by everything that reads one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster import cli
from trackmaster.data import ReplayFrameDataset, find_replays, read_manifest, read_metadata, split_by_map
from trackmaster.data.toy import choose_replays, middle_frames


def label(folder: Path, n: int) -> None:
    entries = [
        {"file": f"frame_{step:05d}_{10 * step}ms.jpeg", "step": step, "time_ms": 10 * step} for step in range(n)
    ]
    meta = [{"time_ms": time_ms} for time_ms in range(0, 10 * n, 5)]
    (folder / "manifest.json").write_text(json.dumps({"entries": entries, "actions": [0] * n, "meta": meta}))


@pytest.fixture
def large(tmp_path: Path, make_replay: Any) -> Path:
    for track in range(5):
        for position in range(3):
            folder = make_replay(
                str(1001 + track), f"pos{position + 1}_d_9000{position}ms", map_uid=f"uid{track}", n=12
            )
            label(folder, 12)
    return tmp_path / "img"


def test_a_toy_keeps_frames_and_labels_together(large: Path, tmp_path: Path, capsys: Any) -> None:
    argv = ["data", "toy", "--data-dir", str(large), "--output-dir", str(tmp_path / "toy"), "--no-use-tqdm"]
    assert cli.main([*argv, "--maps", "2", "--replays-per-map", "2", "--frames-per-replay", "5"]) == 0
    assert "20 frames of 4 replays" in capsys.readouterr().out
    replays = find_replays(tmp_path / "toy")
    assert [(one.track_id, one.name) for one in replays] == [
        ("1001", "pos1_d_90000ms"), ("1001", "pos2_d_90001ms"), ("1003", "pos1_d_90000ms"), ("1003", "pos2_d_90001ms"),
    ]  # fmt: skip
    for replay in replays:
        original = large / replay.track_id / replay.name
        manifest = read_manifest(replay.path)
        assert [entry.file for entry in manifest.entries] == list(replay.files)
        assert replay.steps.tolist() == [3, 4, 5, 6, 7], "from the middle"
        assert [one["time_ms"] for one in manifest.meta] == list(range(30, 75, 5))
        assert manifest.actions is not None
        assert len(manifest.actions) == 12, "the timeline is one of the whole race"
        assert read_metadata(replay.path).values["total_frames"] == 5
        assert read_metadata(replay.path).map_uid == read_metadata(original).map_uid
        assert replay.frame_path(0).read_bytes() == (original / replay.files[0]).read_bytes()
    assert split_by_map(replays, 0.5, 0).val
    assert len(ReplayFrameDataset(replays, width=16, height=16, n_stack=3)) == 4 * 3


def test_a_toy_takes_no_folder_that_is_in_use(large: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "notes.txt").write_text("mine")
    assert cli.main(["data", "toy", "--data-dir", str(large), "--output-dir", str(tmp_path / "toy")]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "toy").iterdir()] == ["notes.txt"]


def test_a_toy_that_fails_leaves_nothing(large: Path, tmp_path: Path, capsys: Any) -> None:
    (large / "1001" / "pos1_d_90000ms" / "manifest.json").write_text("{")
    assert cli.main(["data", "toy", "--data-dir", str(large), "--output-dir", str(tmp_path / "toy")]) == 1
    assert "is no JSON" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if "toy" in path.name]


def test_maps_are_spread_and_wishes_beyond_the_data_get_all(large: Path) -> None:
    replays = find_replays(large)
    assert len(choose_replays(replays, 99, 99)) == len(replays)
    assert {one.track_id for one in choose_replays(replays, 3, 1)} == {"1001", "1002", "1004"}
    assert np.array(middle_frames(3, 10)).tolist() == [0, 1, 2]
    assert np.array(middle_frames(10, 1)).tolist() == [4]
