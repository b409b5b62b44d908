"""Labels of frames come from their own tick; what a manifest does not say stays unknown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster.data import DataError, find_replays
from trackmaster.data.labels import SURFACE_NAMES, UNKNOWN, read_frame_labels


def wheels(contact: list[int], groups: list[int | None]) -> list[float]:
    values = np.zeros(32)
    values[4:8] = contact
    for wheel, group in enumerate(groups):
        if group is not None:
            values[16 + 4 * wheel + group] = 1
    return list(map(float, values))


def write(folder: Path, entries: list[dict[str, Any]], snapshots: list[dict[str, Any]]) -> None:
    (folder / "manifest.json").write_text(json.dumps({"entries": entries, "actions": [], "meta": snapshots}))


def test_labels_are_those_of_the_frames_tick(tmp_path: Path, make_replay: Any) -> None:
    folder = make_replay(n=5)
    names = sorted(path.name for path in folder.glob("frame_*"))
    keys = {"accelerate": True, "brake": False, "left": False, "right": False}
    entries: list[dict[str, Any]] = [
        {"file": names[0], "inputs": keys | {"left": True}},
        {"file": names[1], "inputs": keys},
        {"file": names[2], "action_idx": 2},
        {"file": names[3], "inputs": keys | {"left": True, "right": True}},
    ]
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    snapshots = [
        {"time_ms": 30, "velocity": [0, 0, 9], "gear_and_wheels": wheels([0, 0, 0, 0], [None] * 4)},
        {"time_ms": 0, "velocity": [3, 0, 4], "gear_and_wheels": wheels([1, 1, 1, 0], [1, 1, 0, 0]),
         "position": [1, 2, 3], "orientation_flat": turned.T.reshape(-1).tolist()},
        {"time_ms": 5, "velocity": [99, 0, 0]},
        {"time_ms": 10, "velocity": [0, "x", 0], "gear_and_wheels": wheels([1, 1, 1, 1], [None, None, None, 2])},
        {"time_ms": 20, "velocity": [0, 0, True], "gear_and_wheels": [1.0] * 31},
    ]  # fmt: skip
    write(folder, entries, snapshots)
    labels = read_frame_labels(find_replays(tmp_path / "img")[0])
    assert labels.steer.tolist() == [0, 1, 2, 1, UNKNOWN]
    assert labels.speed_mps[[0, 3]].tolist() == [5.0, 9.0]
    assert np.isnan(labels.speed_mps[[1, 2, 4]]).all(), "a broken velocity is unknown, not zero"
    assert [SURFACE_NAMES[i] for i in labels.surface[[0, 1, 3]]] == ["grass", "other", "air"]
    assert labels.surface[[2, 4]].tolist() == [UNKNOWN, UNKNOWN]
    assert labels.position_m[0].tolist() == [1, 2, 3]
    assert np.array_equal(labels.rotation[0], turned)


def test_a_replay_without_a_manifest_has_no_labels(tmp_path: Path, make_replay: Any) -> None:
    folder = make_replay(n=3)
    (folder / "manifest.json").unlink()
    labels = read_frame_labels(find_replays(tmp_path / "img")[0])
    assert (labels.steer == UNKNOWN).all()
    assert np.isnan(labels.speed_mps).all()


def test_a_cut_manifest_is_named(tmp_path: Path, make_replay: Any) -> None:
    folder = make_replay(n=3)
    (folder / "manifest.json").write_text('{"entries": [')
    with pytest.raises(DataError, match=r"manifest\.json: is no JSON"):
        read_frame_labels(find_replays(tmp_path / "img")[0])
