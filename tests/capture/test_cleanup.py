"""Frames that cannot be learnt from are found by each clause of the rule, and taken out without harm to the rest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trackmaster.capture import CaptureConfig, CaptureError, capture
from trackmaster.capture.clean_command import CleanConfig, run_clean
from trackmaster.capture.cleanup import judge_replay
from trackmaster.capture.folders import is_whole
from trackmaster.data import find_replays, read_manifest

FPS = 10


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, replay_bytes: bytes) -> dict[str, bytes]:
    """Files of one captured replay."""
    world = tmp_path_factory.mktemp("world")
    (world / "replays" / "1").mkdir(parents=True)
    (world / "replays" / "1" / "a.replay.gbx").write_bytes(replay_bytes)
    capture(
        CaptureConfig(
            replays_dir=world / "replays", output_dir=world / "img", vcp_dir=world / "vcp", tracks_dir=world / "tracks",
            width=24, height=16, fps=FPS, use_tqdm=False, per_frame_json=True,
        )
    )  # fmt: skip
    folder = world / "img" / "1" / "a.replay"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path, pristine: dict[str, bytes]) -> Path:
    """A copy of it to break."""
    folder = tmp_path / "img" / "1" / "a.replay"
    folder.mkdir(parents=True)
    for name, content in pristine.items():
        (folder / name).write_bytes(content)
    return folder


def clean(folder: Path, **changes: Any) -> int:
    values: dict[str, Any] = {"data_dir": folder.parent.parent, "apply": True, "yes": True, "use_tqdm": False}
    return run_clean(CleanConfig(**(values | changes)))


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def snapshot(manifest: dict[str, Any], time_ms: int) -> dict[str, Any]:
    return next(one for one in manifest["meta"] if one["time_ms"] == time_ms)


def bad_times(folder: Path) -> dict[int, str]:
    entries = json.loads((folder / "manifest.json").read_text())["entries"]
    return {entries[position]["time_ms"]: reason for position, reason in judge_replay(folder).bad.items()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_fresh_capture_is_clean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    assert clean(folder) == 0
    assert "0 of 81 frames in 0 of 1 replays" in capsys.readouterr().out
    assert files(folder) == before


def _turn(one: dict[str, Any]) -> None:
    one["orientation_flat"] = [2.0 * value for value in one["orientation_flat"]]


CLAUSES: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (lambda one: one.pop("gear_and_wheels"), "no gear_and_wheels"),
    (lambda one: one["gear_and_wheels"].pop(), "gear_and_wheels is not 32 finite numbers"),
    (lambda one: one.pop("margin"), "no margin"),
    (lambda one: one.update(margin=-1.0), "margin below 0"),
    (lambda one: one.update(margin=None), "margin is not 1 finite number"),
    (lambda one: one["zone_centers_in_car_frame"].clear(), "zone_centers_in_car_frame is not 120 finite numbers"),
    (lambda one: one.update(velocity=[0.0, 400.0, 0.0]), "faster than 300 m/s"),
    (_turn, "the attitude is no rotation"),
]


@pytest.mark.parametrize(("change", "reason"), CLAUSES, ids=[reason for _, reason in CLAUSES])
def test_every_clause_about_a_snapshot_can_fail(
    folder: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    edit(folder, lambda manifest: change(snapshot(manifest, 500)))
    assert bad_times(folder) == {500: reason}


def test_frames_without_snapshot_label_or_picture_are_found(folder: Path) -> None:
    def cut(manifest: dict[str, Any]) -> None:
        manifest["meta"] = [one for one in manifest["meta"] if not 280 < one["time_ms"] < 320]
        manifest["actions"] = manifest["actions"][:790]

    edit(folder, cut)
    (folder / "frame_00020_2000ms.jpeg").unlink()
    (folder / "frame_00021_2100ms.jpeg").write_bytes(b"no picture")
    (folder / "frame_00022_2200ms.jpeg").write_bytes(b"")
    found = bad_times(folder)
    assert found == {
        300: "no snapshot near it", 2000: "no picture", 2100: "the picture cannot be decoded",
        2200: "the picture cannot be decoded", 7900: "no label", 8000: "no label",
    }  # fmt: skip


def test_a_jump_of_the_car_is_found_before_it_happens(folder: Path) -> None:
    def jump(manifest: dict[str, Any]) -> None:
        for one in manifest["meta"]:
            if one["time_ms"] > 3000:
                one["position"][0] += 50.0

    edit(folder, jump)
    assert bad_times(folder) == {3000: "the car is put elsewhere after it"}


def test_cleaning_renumbers_frames_and_keeps_the_timeline(folder: Path, pristine: dict[str, bytes]) -> None:
    before = json.loads(pristine["manifest.json"])
    edit(folder, lambda manifest: snapshot(manifest, 500).pop("margin"))
    (folder / "frame_00003_300ms.jpeg").unlink()
    assert clean(folder) == 0
    after = json.loads((folder / "manifest.json").read_text())
    assert len(after["entries"]) == len(before["entries"]) - 2
    assert [entry["step"] for entry in after["entries"]] == list(range(len(after["entries"])))
    assert after["actions"] == before["actions"]
    assert len(after["meta"]) == len(before["meta"])
    names = sorted(path.name for path in folder.glob("*.jpeg"))
    assert names == [entry["file"] for entry in after["entries"]]
    assert (folder / "frame_00003_400ms.jpeg").read_bytes() == pristine["frame_00004_400ms.jpeg"]
    assert json.loads((folder / "frame_00004_600ms.json").read_text()) == after["entries"][4]
    assert len(list(folder.glob("frame_*.json"))) == len(names)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["total_frames"] == len(names)
    assert json.loads((folder / "cleanup.json").read_text()) == {
        "removed": 2, "reasons": {"no margin": 1, "no picture": 1},
    }  # fmt: skip
    assert is_whole(folder, metadata["replay_sha256"], verify=True), "capture does not do it again"
    (replay,) = find_replays(folder.parent.parent)
    assert replay.steps.tolist() == [entry.step for entry in read_manifest(folder).entries]
    (folder / "frame_00000_0ms.jpeg").unlink()
    clean(folder)
    assert json.loads((folder / "cleanup.json").read_text())["removed"] == 3, "both clean-ups are told"


def test_without_apply_nothing_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "frame_00003_300ms.jpeg").unlink()
    before = files(folder)
    assert clean(folder, apply=False) == 0
    assert files(folder) == before
    printed = capsys.readouterr().out
    assert "1  no picture" in printed
    assert "Nothing was changed; --apply" in printed


def test_a_replay_of_which_nothing_remains_goes_away(folder: Path) -> None:
    edit(folder, lambda manifest: manifest.update(meta=[]))
    clean(folder)
    assert not folder.parent.exists()
    assert folder.parent.parent.exists()


def test_records_that_cannot_be_read_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"{", b"7", b'{"entries": [{"step": 1}]}', b'{"entries": 3}'):
        (folder / "manifest.json").write_bytes(content)
        before = files(folder)
        assert clean(folder) == 2
        assert files(folder) == before
        assert "its records cannot be read" in capsys.readouterr().out


def test_older_shapes_keep_their_shape(folder: Path) -> None:
    """A bare list has no snapshots, so no frame of it can serve floats."""
    edit(folder, lambda manifest: manifest.update(schema_version=1))
    entries = json.loads((folder / "manifest.json").read_text())["entries"]
    (folder / "manifest.json").write_text(json.dumps(entries))
    verdict = judge_replay(folder)
    assert set(verdict.reasons) == {"no snapshot near it"}
    assert len(verdict.bad) == len(entries)


def test_foreign_snapshots_may_lie_one_interval_apart(folder: Path) -> None:
    def thin(manifest: dict[str, Any]) -> None:
        manifest["meta"] = [one for one in manifest["meta"] if one["time_ms"] % 200 == 0]
        for one in manifest["meta"]:
            del one["meta_version"]

    edit(folder, thin)
    metadata = json.loads((folder / "metadata.json").read_text()) | {"meta_interval_ms": 200.0}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    assert bad_times(folder) == {}


def test_nobody_is_there_to_ask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "frame_00003_300ms.jpeg").unlink()
    with pytest.raises(CaptureError, match="Add --yes"):
        clean(folder, yes=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: "n")
    assert clean(folder, yes=False) == 0
    assert (folder / "frame_00004_400ms.jpeg").exists(), "a no is a no"


def test_the_seeds_command_line_is_taken() -> None:
    config = CleanConfig.load(["--data-dir", "maps/img", "--apply", "--yes"])
    assert (config.data_dir, config.apply, config.yes) == (Path("maps/img"), True, True)
    assert CleanConfig.load(["-y"]).yes
    with pytest.raises(CaptureError, match="is no folder"):
        run_clean(CleanConfig(data_dir=Path("nowhere/at/all")))
