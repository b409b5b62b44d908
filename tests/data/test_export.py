"""An export holds what was captured, appears whole, continues where it stopped, and says whose drives it is made of."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from trackmaster import cli
from trackmaster.data import DataError, export, find_replays, split_by_map
from trackmaster.data.export import ExportSpec, export_dataset
from trackmaster.track.bundled import bundled_folder

pq = pytest.importorskip("pyarrow.parquet", reason="the optional package pyarrow is not installed")

Tree = dict[str, bytes]
WHEELS = [float(number) for number in range(32)]


def label(folder: Path) -> None:
    """Give a replay labels: keys that alternate, and a snapshot for every frame but the last."""
    entries, snapshots = [], []
    files = sorted(path.name for path in folder.glob("frame_*"))
    for step, file in enumerate(files):
        keys = {"accelerate": True, "brake": False, "left": step % 2 == 0, "right": False}
        entries.append({"file": file, "step": step, "time_ms": 10 * step, "inputs": keys, "action_idx": step % 2})
        snapshots.append(
            {"time_ms": 10 * step, "velocity": [0, 0.5, step], "gear_and_wheels": WHEELS, "margin": [7.5],
             "current_zone_idx": 3 + step, "position": [1, 2]}
        )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"entries": entries, "actions": [], "meta": snapshots[:-1]}))


@pytest.fixture
def captured(tree: Path) -> Path:
    for replay in find_replays(tree):
        label(replay.path)
    return tree


def run(captured: Path, output: Path, **spec: Any) -> dict[str, Any]:
    split = split_by_map(find_replays(captured), 0.25, 42)
    return export_dataset(split, output, ExportSpec("our frames", **{"shard_frames": 10, **spec}), show_progress=False)


def files_in(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    return [row for path in sorted((folder / "data").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


def test_what_was_captured_reads_back(captured: Path, tmp_path: Path) -> None:
    plan = run(captured, tmp_path / "out")
    split = split_by_map(find_replays(captured), 0.25, 42)
    for name, half in (("train", split.train), ("validation", split.val)):
        rows = rows_of(tmp_path / "out", name)
        expected = [(replay, row) for replay in half for row in range(len(replay))]
        assert len(rows) == len(expected) == plan["splits"][name]["frames"]
        for found, (replay, row) in zip(rows, expected, strict=True):
            assert found["image"] == {"bytes": replay.frame_path(row).read_bytes(), "path": replay.files[row]}
            assert (found["track_id"], found["map_uid"]) == (replay.track_id, replay.map_uid)
            assert (found["step"], found["time_ms"], found["action_idx"]) == (row, 10 * row, row % 2)
            assert (found["left"], found["right"]) == (row % 2 == 0, False)
            is_last = row == len(replay) - 1
            assert found["velocity_mps"] == (None if is_last else [0, 0.5, row])
            assert found["gear_and_wheels"] == (None if is_last else WHEELS)
            assert (found["margin_m"], found["zone_idx"]) == ((None, None) if is_last else (7.5, 3 + row))
            assert found["position_m"] is None, "two numbers are no position"
    assert not {row["map_uid"] for row in rows_of(tmp_path / "out", "train")} & {
        row["map_uid"] for row in rows_of(tmp_path / "out", "validation")
    }


def test_shards_have_the_names_and_the_schema_that_the_hub_reads(captured: Path, tmp_path: Path) -> None:
    run(captured, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    n_train = sum(name.startswith("train") for name in names)
    assert n_train > 1
    assert [name for name in names if name.startswith("train")] == [
        f"train-{number:05d}-of-{n_train:05d}.parquet" for number in range(n_train)
    ]
    schema = pq.read_schema(tmp_path / "out" / "data" / names[0])
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == schema.names
    card = (tmp_path / "out" / "README.md").read_text()
    assert all(f"`{name}`" in card for name in schema.names), "every column is explained"


def test_memory_is_bounded_by_a_row_group(captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROW_GROUP", 4)
    run(captured, tmp_path / "out", shard_frames=1000)
    file = pq.ParquetFile(next((tmp_path / "out" / "data").glob("train-*")))
    groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    assert max(groups) <= 4
    assert sum(groups) == len(rows_of(tmp_path / "out", "train"))


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_stopped_export_continues_to_the_same_files(
    captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    run(captured, tmp_path / "whole")
    write: Callable[..., None] = export._write_shard
    written: list[str] = []

    def stop_after(target: Path, *rest: Any) -> None:
        if len(written) == after:
            target.parent.mkdir(exist_ok=True)
            target.with_name(f".{target.stem}.x.part.parquet").write_bytes(b"half a shard")
            raise KeyboardInterrupt
        written.append(target.name)
        write(target, *rest)

    monkeypatch.setattr(export, "_write_shard", stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(captured, tmp_path / "cut")
    assert not (tmp_path / "cut").exists(), "nothing half is under the final name"
    again: list[str] = []
    monkeypatch.setattr(export, "_write_shard", lambda target, *rest: (again.append(target.name), write(target, *rest)))
    run(captured, tmp_path / "cut")
    assert not set(again) & set(written), "complete shards are not written twice"
    assert files_in(tmp_path / "cut") == files_in(tmp_path / "whole")


def test_a_damaged_shard_of_a_stopped_export_is_written_again(
    captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(captured, tmp_path / "whole")
    monkeypatch.setattr(export, "dataset_card", lambda plan: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(captured, tmp_path / "cut")
    monkeypatch.undo()
    shard = next((tmp_path / ".cut.partial" / "data").glob("train-00000*"))
    shard.write_bytes(shard.read_bytes()[:-20])
    run(captured, tmp_path / "cut")
    assert files_in(tmp_path / "cut") == files_in(tmp_path / "whole")


def test_a_whole_export_is_left_alone_and_a_stale_one_replaced(captured: Path, tmp_path: Path) -> None:
    run(captured, tmp_path / "out")
    shard = next((tmp_path / "out" / "data").iterdir())
    before = shard.stat().st_mtime_ns
    run(captured, tmp_path / "out")
    assert shard.stat().st_mtime_ns == before
    replay = find_replays(captured)[0]
    picture = np.full((64, 64), 9, np.uint8)
    cv2.imwrite(str(replay.frame_path(0)), picture)
    run(captured, tmp_path / "out")
    images = [row["image"]["bytes"] for split in ("train", "validation") for row in rows_of(tmp_path / "out", split)]
    assert replay.frame_path(0).read_bytes() in images
    assert not list(tmp_path.glob(".out*")), "nothing is left beside it"


def test_names_of_drivers_stay_out_unless_asked_for(captured: Path, tmp_path: Path) -> None:
    run(captured, tmp_path / "out")
    assert b"driver" not in b"".join(content for name, content in files_in(tmp_path / "out").items() if "data" in name)
    assert {row["replay"] for row in rows_of(tmp_path / "out", "train")} <= {"replay_00001", "replay_00002"}
    run(captured, tmp_path / "named", keep_names=True)
    assert any("driver" in row["replay"] for row in rows_of(tmp_path / "named", "train"))
    assert "login of the driver" in (tmp_path / "named" / "README.md").read_text()


def test_the_card_tells_whose_drives_these_are(captured: Path, tmp_path: Path) -> None:
    plan = run(captured, tmp_path / "theirs")
    card = (tmp_path / "theirs" / "README.md").read_text()
    assert "license: other" in card
    assert "Recordings belong to their drivers" in card
    for name, one in plan["splits"].items():
        assert f"| {name} | {one['frames']} | {one['replays']} | {one['maps']} |" in card
    ours = hashlib.sha256(next((bundled_folder() / "replays").rglob("*.gbx")).read_bytes()).hexdigest()
    replays = find_replays(captured)
    for position, replay in enumerate(replays):
        path = replay.path / "metadata.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"replay_sha256": ours if position else "0" * 64}))
    assert not run(captured, tmp_path / "mixed")["is_all_ours"], "one foreign drive is enough"
    path = replays[0].path / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"replay_sha256": ours}))
    assert run(captured, tmp_path / "ours")["is_all_ours"]
    assert "license: mit" in (tmp_path / "ours" / "README.md").read_text()


def test_arrays_become_pictures_and_bare_folders_are_exported(tmp_path: Path, make_replay: Any) -> None:
    folder = make_replay(n=2)
    (folder / "manifest.json").unlink()
    array = np.arange(64, dtype=np.uint8).reshape(8, 8)
    np.save(folder / "frame_00002_20ms.npy", array)
    split = split_by_map(find_replays(tmp_path / "img"), 0, 0)
    export_dataset(split, tmp_path / "out", ExportSpec("x"), show_progress=False)
    rows = rows_of(tmp_path / "out", "train")
    assert rows[2]["image"]["path"] == "frame_00002_20ms.png"
    decoded = cv2.imdecode(np.frombuffer(rows[2]["image"]["bytes"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(decoded, array)
    assert rows[0]["action_idx"] is None
    assert not list((tmp_path / "out" / "data").glob("validation-*"))


def test_a_damaged_picture_stops_the_export_with_its_name(captured: Path, tmp_path: Path) -> None:
    broken = find_replays(captured)[1].frame_path(2)
    broken.write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match=broken.name):
        run(captured, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_peoples_folders_are_not_replaced(captured: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="holds files but no export"):
        run(captured, tmp_path / "out")
    with pytest.raises(DataError, match="is a file"):
        run(captured, tmp_path / "out" / "thesis.txt")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"


def test_the_verb_exports_and_warns(captured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["data", "export", "--data-dir", str(captured), "--output-dir", str(tmp_path / "out"), "--no-use-tqdm"]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert "do not publish" in out
    assert "train: " in out


def test_without_pyarrow_there_is_a_sentence(
    captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert cli.main(["data", "export", "--data-dir", str(captured), "--output-dir", str(tmp_path / "out")]) == 1
    assert "pip install 'trackmaster[export]'" in capsys.readouterr().err
