"""One tree over many runs: what no longer counts goes away, what may count now is tried again, nothing is lost."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureSummary, capture
from trackmaster.capture import source as source_module
from trackmaster.capture.discover import ReplayFile
from trackmaster.data import DataError, find_replays
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.gbx import Challenge, Ghost, InputTimeline, Replay
from trackmaster.track import ReferenceLine, Track

from .conftest import KEYS


@pytest.fixture
def world(tmp_path: Path, replay_bytes: bytes) -> Path:
    put(tmp_path, "1/a", replay_bytes)
    return tmp_path


def put(world: Path, name: str, content: bytes) -> Path:
    path = world / "replays" / f"{name}.replay.gbx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def run(world: Path, **changes: object) -> CaptureSummary:
    values: dict[str, object] = {
        "replays_dir": world / "replays", "output_dir": world / "img", "tracks_dir": world / "tracks",
        "vcp_dir": world / "vcp", "width": 24, "height": 16, "fps": 2, "use_tqdm": False,
    }  # fmt: skip
    return capture(CaptureConfig(**(values | changes)))


def reasons(summary: CaptureSummary) -> list[str]:
    return [outcome.reason for outcome in summary.rejected]


def captured_in(world: Path) -> list[str]:
    try:
        return [f"{replay.track_id}/{replay.name}" for replay in find_replays(world / "img")]
    except DataError:
        return []


def test_a_replay_that_no_longer_counts_leaves_the_data_set(world: Path, replay_bytes: bytes) -> None:
    put(world, "1/b", replay_bytes)
    run(world)
    assert captured_in(world) == ["1/a.replay", "1/b.replay"]
    put(world, "1/a", replay_bytes[:500])
    assert reasons(run(world)) == ["unreadable"]
    assert captured_in(world) == ["1/b.replay"]
    put(world, "1/b", replay_bytes[:500])
    run(world)
    assert not (world / "img" / "1").exists(), "a track without replays has no folder"


def test_a_fault_of_the_moment_removes_nothing(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(run(world).captured) == 1

    def locked(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    def exhausted(*_args: object) -> None:
        raise MemoryError

    with monkeypatch.context() as fault:
        fault.setattr(Path, "read_bytes", locked)
        assert reasons(run(world, overwrite=True)) == ["error:PermissionError"]
    with monkeypatch.context() as fault:
        fault.setattr("trackmaster.capture.replay.ReplayCapture.run", exhausted)
        assert reasons(run(world, overwrite=True)) == ["error:MemoryError"]
    assert captured_in(world) == ["1/a.replay"]
    assert run(world).skipped == 1, "the book still knows it"


def test_one_tree_holds_one_kind_of_frames_even_where_the_second_kind_is_rejected(
    world: Path, ghost: Ghost, challenge: Challenge
) -> None:
    late = dataclasses.replace(ghost, cp_times_ms=(*ghost.cp_times_ms[:-1], ghost.race_time_ms + 30))
    late = dataclasses.replace(late, race_time_ms=ghost.race_time_ms + 30)
    put(world, "1/late", gbx.write_replay(gbx.write_challenge(challenge), late))
    assert len(run(world).captured) == 2
    driven = run(world, mode="drive", overwrite=True)
    assert reasons(driven) == ["finish_diff:-30"]
    modes = [json.loads(path.read_text())["mode"] for path in (world / "img").glob("*/*/metadata.json")]
    assert modes == ["drive"]


def test_a_tree_of_an_earlier_version_loses_what_was_rejected(world: Path, replay_bytes: bytes) -> None:
    run(world)
    folder = world / "img" / "1" / "a.replay"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    put(world, "1/a", replay_bytes[:500])
    run(world)
    folder.mkdir(parents=True)
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    assert run(world).known_rejects == 1
    assert captured_in(world) == []


@pytest.mark.parametrize("name", ["..", "../replays", "/etc", ""])
def test_an_index_that_names_other_places_removes_nothing_there(world: Path, name: str, replay_bytes: bytes) -> None:
    run(world)
    index = world / "img" / "index.json"
    content = json.loads(index.read_text())
    content["replays"]["1/a.replay.gbx"] |= {"track_id": name, "replay": "1"}
    index.write_text(json.dumps(content))
    (world / "replays" / "1" / "metadata.json").write_text("{}")
    (world / "1").mkdir()
    (world / "1" / "metadata.json").write_text("{}")
    put(world, "1/a", replay_bytes[:500])
    run(world)
    assert (world / "replays" / "1" / "a.replay.gbx").is_file()
    assert (world / "1" / "metadata.json").is_file()


def test_deleted_frames_are_noticed(world: Path) -> None:
    run(world)
    frame = world / "img" / "1" / "a.replay" / "frame_00002_1000ms.jpeg"
    frame.unlink()
    assert len(run(world).captured) == 1
    assert frame.is_file()
    assert run(world).skipped == 1


def without_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays hold no map from here on."""
    usual = source_module._read_replay

    def read(content: bytes, file: ReplayFile) -> Replay:
        return dataclasses.replace(usual(content, file), challenge=None, challenge_bytes=None)

    monkeypatch.setattr(source_module, "_read_replay", read)


def test_the_documented_cure_of_a_missing_map_cures(
    world: Path, challenge: Challenge, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_map(monkeypatch)
    local = world / "tracks" / "1.Challenge.Gbx"
    local.parent.mkdir()
    assert reasons(run(world)) == ["no_map"]
    assert run(world).known_rejects == 1, "nothing changed"
    local.write_bytes(gbx.write_challenge(dataclasses.replace(challenge, uid="another")))
    assert reasons(run(world)) == ["map_mismatch"]
    assert run(world).known_rejects == 1
    local.write_bytes(gbx.write_challenge(challenge))
    assert len(run(world).captured) == 1


def test_a_reference_line_that_came_later_makes_frames_valid(world: Path) -> None:
    flags = {"vcp_auto_generate": False, "skip_bad_float_samples": True}
    assert reasons(run(world, **flags)) == ["no_valid_frames"]
    assert run(world, **flags).known_rejects == 1
    run(world, output_dir=world / "other")  # builds the line
    assert len(run(world, **flags).captured) == 1


def test_another_version_of_the_program_tries_again(
    world: Path, challenge: Challenge, ghost: Ghost, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = dataclasses.replace(challenge, blocks=(*challenge.blocks, gbx.Block("StadiumMadeUpRoad", 0, 20, 1, 20)))
    put(world, "1/a", gbx.write_replay(gbx.write_challenge(foreign), ghost))
    assert reasons(run(world)) == ["unsupported_map"]
    assert run(world).known_rejects == 1
    monkeypatch.setattr("trackmaster.capture.settled.__version__", "999")
    assert reasons(run(world)) == ["unsupported_map"], "tried again"
    assert run(world).known_rejects == 1


def test_two_replays_never_share_a_folder(world: Path, replay_bytes: bytes, ghost: Ghost, challenge: Challenge) -> None:
    other = gbx.write_replay(gbx.write_challenge(challenge), dataclasses.replace(ghost, nickname="other"))
    (world / "replays" / "1").rename(world / "replays" / "straight")
    first = run(world)
    assert [outcome.replay for outcome in first.captured] == ["a.replay"]
    put(world, "a", other)
    summary = run(world)
    assert reasons(summary) == ["same_name"]
    assert "Rename one of them" in summary.rejected[0].detail
    assert captured_in(world) == ["straight/a.replay"]
    hashes = [json.loads(path.read_text())["replay_sha256"] for path in (world / "img").glob("*/*/metadata.json")]
    index = json.loads((world / "img" / "index.json").read_text())["replays"]
    assert hashes == [row["sha256"] for row in index.values() if row["status"] == "ok"], "the index tells the truth"
    again = run(world)
    assert (again.skipped, again.known_rejects, again.outcomes) == (1, 1, [])
    (world / "replays" / "straight" / "a.replay.gbx").rename(world / "replays" / "straight" / "b.replay.gbx")
    run(world)
    assert captured_in(world) == ["straight/a.replay", "straight/b.replay"]


def test_a_damaged_file_takes_no_frames_of_another_along(world: Path, replay_bytes: bytes) -> None:
    flat = put(world, "a", replay_bytes)
    (world / "replays" / "1").rename(world / "replays" / "straight")
    assert len(run(world).captured) == 1
    flat.write_bytes(b"GBX")  # it was the first of the name; now it does not even tell its track
    for _ in range(2):
        run(world)
        assert captured_in(world) == ["straight/a.replay"]
    assert run(world).skipped == 1


def put_back(ghost: Ghost, from_s: float, to_s: float, *, up_m: float = 0.0) -> Ghost:
    """The same run, put back by a press of Respawn and never returning: its end repeats what came earlier."""
    samples, events = ghost.samples, ghost.events
    first = int(from_s * 10) + 1
    index = np.arange(len(samples))
    index[first:] -= round((from_s - to_s) * 10) + 1
    press_ms = int(from_s * 1000) + 40
    at = int(np.searchsorted(events.time_ms, press_ms))
    changed = gbx.ControlEvents(
        np.insert(events.time_ms, at, press_ms),
        np.insert(events.control, at, len(events.names)),
        np.insert(events.value, at, 1),
        (*events.names, "Respawn"),
    )
    lift = np.where(np.arange(len(samples)) >= first, up_m, 0.0)[:, None] * [0.0, 1.0, 0.0]
    moved = gbx.make_samples(
        samples.position_m[index] + lift.astype(np.float32),
        samples.quaternion_wxyz[index], samples.velocity_mps[index], rpm=samples.rpm[index],
        wheel_contact=samples.wheel_contact[index],
    )  # fmt: skip
    return dataclasses.replace(ghost, samples=moved, events=changed, respawns=1)


def test_lines_run_forward_and_come_from_a_replay_that_has_one(
    world: Path, ghost: Ghost, challenge: Challenge, replay_bytes: bytes
) -> None:
    content = gbx.write_challenge(challenge)
    put(world, "1/a", gbx.write_replay(content, put_back(ghost, 3.0, 0.5)))
    run(world)
    line = ReferenceLine.load(world / "vcp" / "1_0.5m_cl.npy")
    assert line.info.replay_id == "a.replay.gbx"
    along = np.diff(line.points_m @ (line.points_m[-1] - line.points_m[0]))
    assert (along > 0).all(), "what the respawn gave up is no part of it"
    put(world, "2/a", gbx.write_replay(content, put_back(ghost, 3.0, 0.5, up_m=60.0)))  # to a place nobody drove at
    put(world, "2/b", replay_bytes)
    run(world)  # whatever becomes of the first one's frames, the line comes from the second
    assert ReferenceLine.load(world / "vcp" / "2_0.5m_cl.npy").info.replay_id == "b.replay.gbx"


@pytest.fixture(scope="module")
def slow_bytes(track: Track, challenge: Challenge) -> bytes:
    """The same way, begun half a second later."""
    keys = np.concatenate([np.zeros(50, np.uint8), KEYS, np.full(200, 1, np.uint8)])
    slow = record_ghost(SimulatorGame(watched=False), track, InputTimeline.from_keys(keys), nickname="slow")
    return gbx.write_replay(gbx.write_challenge(challenge), slow)


def test_flags_about_tracks_reach_a_flat_folder(tmp_path: Path, replay_bytes: bytes, slow_bytes: bytes) -> None:
    put(tmp_path, "a_slow", slow_bytes)
    put(tmp_path, "b_fast", replay_bytes)
    limited = run(tmp_path, max_replays_per_track=1)
    assert [outcome.replay for outcome in limited.captured] == ["a_slow.replay"]
    (tmp_path / "vcp" / "straight_0.5m_cl.npy").unlink()
    assert len(run(tmp_path, vcp_source="best", output_dir=tmp_path / "best").captured) == 2
    line = json.loads((tmp_path / "vcp" / "straight_0.5m_cl.json").read_text())
    assert line["replay_id"] == "b_fast.replay.gbx"
    (tmp_path / "ids.txt").write_text("straight\n")
    assert run(tmp_path, exclude_enter_maps=tmp_path / "ids.txt", output_dir=tmp_path / "none").outcomes == []
    listed = run(tmp_path, track_ids=str(tmp_path / "ids.txt"), output_dir=tmp_path / "listed")
    assert len(listed.captured) == 2
    assert len(run(tmp_path, track_id="straight", output_dir=tmp_path / "one").captured) == 2


def test_the_usual_list_names_the_tracks_of_the_usual_folder(
    tmp_path: Path, replay_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for track in ("1", "2"):
        put(tmp_path / "maps", f"{track}/a", replay_bytes)
    (tmp_path / "maps" / "track_ids.txt").write_text("2\n")

    def tracks(**changes: object) -> list[str]:
        found = capture(
            CaptureConfig(width=24, height=16, fps=1, use_tqdm=False, vcp_dir=tmp_path / "vcp", **changes)
        ).captured
        return [outcome.track_id for outcome in found]

    assert tracks(output_dir=tmp_path / "usual") == ["2"]
    assert tracks(output_dir=tmp_path / "one", track_id="1") == ["1"]
    (tmp_path / "maps" / "replays").rename(tmp_path / "elsewhere")
    assert tracks(output_dir=tmp_path / "all", replays_dir=tmp_path / "elsewhere") == ["1", "2"]
