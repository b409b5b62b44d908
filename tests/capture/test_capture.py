"""The whole run: the tree on disk, its truthfulness, resuming, rejecting."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureError, CaptureSummary, capture, run_capture
from trackmaster.env import EnvConfig, RacingEnv, floats_from_snapshots, previous_actions_at
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.gbx import Challenge, Ghost, InputTimeline
from trackmaster.track import ReferenceLine, Track

NAME = "pos2_tester_7000ms.replay"


def clock() -> datetime:
    return datetime(2026, 2, 18, 10, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, replay_bytes: bytes) -> Path:
    folder = tmp_path / "replays" / "4711"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.gbx").write_bytes(replay_bytes)
    return tmp_path


def config(world: Path, **changes: object) -> CaptureConfig:
    values: dict[str, object] = {
        "replays_dir": world / "replays",
        "output_dir": world / "img",
        "tracks_dir": world / "tracks",
        "vcp_dir": world / "vcp",
        "width": 24,
        "height": 16,
        "fps": 20,
        "use_tqdm": False,
    }
    return CaptureConfig(**(values | changes))


def run(world: Path, **changes: object) -> CaptureSummary:
    return capture(config(world, **changes), clock=clock)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_tree_holds_everything_the_contract_names(world: Path, ghost: Ghost) -> None:
    summary = run(world, per_frame_json=True)
    assert summary.exit_code == 0
    assert summary.frames == summary.captured[0].frames > 140
    folder = world / "img" / "4711" / NAME
    manifest = json.loads((folder / "manifest.json").read_text())
    metadata = json.loads((folder / "metadata.json").read_text())
    verify = json.loads((folder / "verify.json").read_text())
    ticks = np.load(folder / "ticks.npz")
    entries = manifest["entries"]
    assert verify["machine_profile"].keys() == {"system", "machine", "cores"}
    assert manifest["schema_version"] == 2
    assert [entry["step"] for entry in entries] == list(range(len(entries)))
    assert [entry["time_ms"] for entry in entries] == list(range(0, ghost.race_time_ms + 1, 50))
    assert entries[3]["file"] == "frame_00003_150ms.jpeg"
    assert entries[3]["capture_timestamp_utc"] == "2026-02-18T10:00:00+00:00"
    assert json.loads((folder / "frame_00003_150ms.json").read_text()) == entries[3]
    frame = cv2.imread(str(folder / "frame_00003_150ms.jpeg"), cv2.IMREAD_UNCHANGED)
    assert frame.shape == (16, 24), "grey"
    assert len(list(folder.glob("*.jpeg"))) == len(entries) == metadata["total_frames"]
    # One label per tick, and the entry's own label is that of its tick.
    assert len(manifest["actions"]) == ghost.race_time_ms // 10 + 1 == len(ticks["label"])
    assert manifest["actions"] == ticks["label"].tolist()
    assert all(entry["action_idx"] == manifest["actions"][entry["time_ms"] // 10] for entry in entries)
    assert {entry["action_idx"] for entry in entries} == {0, 1, 2, 6}
    timeline = InputTimeline.from_events(ghost.events, ghost.race_time_ms)
    assert np.array_equal(ticks["keys"], timeline.keys_u8)
    assert ticks["t_ms"][-1] == ghost.race_time_ms
    assert metadata | {
        "track_id": "4711", "replay_name": NAME, "fps": 20.0, "width": 24, "height": 16, "step_ms": 10,
        "capture_interval_ms": 50.0, "race_time_ms": ghost.race_time_ms, "device": "keyboard", "verified": True,
        "image_source": "simulator", "state_offset_ms": 10, "map_uid": "straight", "race_finished": True,
    } == metadata  # fmt: skip
    assert verify["ok"]
    assert verify["checks"]["finish"]["ok"] is None, "placing the car on the ghost proves nothing about physics"
    assert verify["checks"]["meta"] == {"ok": True, "value": 1.0}
    line = ReferenceLine.load(world / "vcp" / "4711_0.5m_cl.npy")
    assert line.info.map_uid == "straight"
    assert "tmp" not in str(sorted(p.name for p in (world / "img").rglob("*")))


def test_driving_our_own_replay_verifies_exactly(world: Path, ghost: Ghost) -> None:
    summary = run(world, mode="drive")
    assert summary.captured[0].max_sample_error_m == 0.0
    verify = json.loads((world / "img" / "4711" / NAME / "verify.json").read_text())
    assert verify["finish_ms"] == ghost.race_time_ms
    assert verify["cp_ms"] == list(ghost.cp_times_ms)
    assert verify["max_sample_error_m"] == 0.0
    assert all(verify["checks"][name]["ok"] for name in ("finish", "cp_times", "samples", "ticks", "frames", "meta"))


@pytest.mark.parametrize("mode", ["ghost", "drive"])
def test_two_runs_give_the_same_bytes(world: Path, mode: str) -> None:
    trees = []
    for number in (1, 2):
        out = world / f"out{number}"
        run(world, mode=mode, output_dir=out, vcp_dir=out / "vcp", fps=40)
        trees.append(tree(out))
    assert trees[0] == trees[1]
    assert len(trees[0]) > 290


def test_a_data_set_rebuilds_the_observation_of_the_environment(
    tmp_path: Path, track: Track, challenge: Challenge
) -> None:
    decisions = np.repeat([0, 1, 0, 2, 6, 0], [20, 4, 3, 5, 6, 130])
    timeline = InputTimeline.from_actions(decisions, ticks_per_action=5)
    ghost = record_ghost(SimulatorGame(watched=False), track, timeline)
    folder = tmp_path / "replays" / "1"
    folder.mkdir(parents=True)
    (folder / "a.replay.gbx").write_bytes(gbx.write_replay(gbx.write_challenge(challenge), ghost))
    run(tmp_path, mode="drive")
    manifest = json.loads((tmp_path / "img" / "1" / "a.replay" / "manifest.json").read_text())
    meta = [snapshot for snapshot in manifest["meta"] if snapshot["time_ms"] % 50 == 0]

    def column(name: str) -> np.ndarray:
        return np.array([snapshot[name] for snapshot in meta], np.float32)

    rebuilt = floats_from_snapshots(
        gear_and_wheels=column("gear_and_wheels"),
        orientation_flat=column("orientation_flat"),
        velocity_mps=column("velocity"),
        angular_velocity_radps=column("angular_velocity"),
        zone_centers_in_car_frame=column("zone_centers_in_car_frame"),
        margin_m=column("margin"),
        is_freewheeling=column("is_freewheeling"),
        previous_actions=previous_actions_at(np.array(manifest["actions"]), column("time_ms").astype(int)),
    )
    line = ReferenceLine.load(tmp_path / "vcp" / "1_0.5m_cl.npy")
    env = RacingEnv(dataclasses.replace(track, reference_line=line), EnvConfig(image_width=24, image_height=16))
    seen, _ = env.reset()
    for index, decision in enumerate(decisions[: len(rebuilt)]):
        assert np.array_equal(rebuilt[index], seen["floats"]), index
        frame = cv2.imread(str(tmp_path / "img/1/a.replay" / manifest["entries"][index]["file"]), cv2.IMREAD_GRAYSCALE)
        assert np.abs(frame.astype(int) - seen["image"][0]).mean() < 4, "only JPEG and the camera's finer steps differ"
        seen, _, terminated, _, _ = env.step(decision)
        if terminated:
            break
    assert index > 140


def test_a_flat_folder_uses_the_map_uid_as_track(tmp_path: Path, replay_bytes: bytes) -> None:
    (tmp_path / "replays").mkdir()
    (tmp_path / "replays" / "Tester_Straight.Replay.Gbx").write_bytes(replay_bytes)
    summary = run(tmp_path, fps=2)
    assert summary.captured[0].track_id == "straight"
    assert (tmp_path / "img" / "straight" / "Tester_Straight.Replay" / "manifest.json").is_file()


def test_a_second_run_does_nothing_and_a_broken_folder_is_done_again(world: Path) -> None:
    run(world, fps=2)
    before = tree(world / "img")
    again = run(world, fps=2)
    assert (again.skipped, again.outcomes) == (1, [])
    assert tree(world / "img") == before
    (world / "img" / "4711" / NAME / "verify.json").unlink()
    assert len(run(world, fps=2).captured) == 1
    assert tree(world / "img") == before


def test_other_flags_do_not_mix_into_a_tree(world: Path) -> None:
    run(world, fps=2)
    with pytest.raises(CaptureError, match="--overwrite"):
        run(world, fps=4)
    run(world, fps=4, overwrite=True)
    assert json.loads((world / "img" / "4711" / NAME / "metadata.json").read_text())["fps"] == 4


def test_an_interruption_leaves_no_half_folder(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trackmaster.capture.replay.write_manifest", stop)
    with pytest.raises(KeyboardInterrupt):
        run(world, fps=2)
    left = [path.name for path in (world / "img").rglob("*")]
    assert left == ["index.json"]
    monkeypatch.undo()
    assert len(run(world, fps=2).captured) == 1


def test_damaged_and_unusable_replays_are_reported_and_skipped(
    world: Path, replay_bytes: bytes, ghost: Ghost, challenge: Challenge
) -> None:
    content = gbx.write_challenge(challenge)
    folder = world / "replays" / "4711"

    def put(name: str, ghost: Ghost, map_bytes: bytes = content) -> None:
        (folder / f"{name}.replay.gbx").write_bytes(gbx.write_replay(map_bytes, ghost))

    (folder / "cut.replay.gbx").write_bytes(replay_bytes[: len(replay_bytes) // 2])
    (folder / "text.Replay.Gbx").write_bytes(b"no gbx at all")
    put(
        "unfinished",
        dataclasses.replace(ghost, race_time_ms=None, cp_times_ms=(-1,), events=None, inputs_duration_ms=0),
    )
    put("silent", dataclasses.replace(ghost, events=None, inputs_duration_ms=0))
    put("blind", dataclasses.replace(ghost, samples=None))
    foreign = dataclasses.replace(challenge, blocks=(*challenge.blocks, gbx.Block("StadiumMadeUpRoad", 0, 20, 1, 20)))
    put("foreign", ghost, gbx.write_challenge(foreign))
    summary = run(world, fps=2)
    reasons = {
        outcome.replay.removesuffix(".replay").removesuffix(".Replay"): outcome.reason for outcome in summary.rejected
    }
    assert reasons == {
        "cut": "unreadable", "text": "unreadable", "unfinished": "unfinished", "silent": "no_inputs",
        "blind": "no_samples", "foreign": "unsupported_map",
    }  # fmt: skip
    assert summary.exit_code == 2
    assert len(summary.captured) == 1
    assert sorted(path.name for path in (world / "img" / "4711").iterdir()) == [NAME]
    lines = [json.loads(line) for line in (world / "img" / "rejects.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in lines} == set(reasons.values())
    assert all(set(line) == {"track_id", "replay", "reason", "detail", "wall_s", "utc"} for line in lines)
    assert "StadiumMadeUpRoad" in next(line["detail"] for line in lines if line["reason"] == "unsupported_map")
    index = json.loads((world / "img" / "index.json").read_text())["replays"]
    assert index["4711/cut.replay.gbx"]["status"] == "rejected"
    # What was rejected for a cause that cannot change is not tried again, and not reported twice.
    again = run(world, fps=2)
    assert (again.known_rejects, again.outcomes) == (6, [])
    assert len((world / "img" / "rejects.jsonl").read_text().splitlines()) == 6


def test_a_run_that_strays_is_rejected_with_its_distance(world: Path, ghost: Ghost, challenge: Challenge) -> None:
    samples = ghost.samples
    moved = samples.position_m.copy()
    moved[40:, 0] += 1.5
    strayed = gbx.make_samples(
        moved, samples.quaternion_wxyz, samples.velocity_mps, wheel_contact=samples.wheel_contact
    )
    late = dataclasses.replace(
        ghost, race_time_ms=ghost.race_time_ms + 30, cp_times_ms=(*ghost.cp_times_ms[:-1], ghost.race_time_ms + 30)
    )
    folder = world / "replays" / "4711"
    content = gbx.write_challenge(challenge)
    (folder / "strayed.replay.gbx").write_bytes(gbx.write_replay(content, dataclasses.replace(ghost, samples=strayed)))
    (folder / "late.replay.gbx").write_bytes(gbx.write_replay(content, late))
    summary = run(world, mode="drive", fps=2)
    reasons = {outcome.replay: outcome.reason for outcome in summary.rejected}
    assert reasons == {"strayed.replay": "sample_diff:39:1500", "late.replay": "finish_diff:-30"}
    kept = run(world, mode="drive", fps=2, verify=False, output_dir=world / "kept")
    assert len(kept.captured) == 3
    assert json.loads((world / "kept/4711/strayed.replay/metadata.json").read_text())["verified"] is False


def test_replays_are_taken_in_the_order_of_position_and_time(world: Path, replay_bytes: bytes) -> None:
    folder = world / "replays" / "4711"
    (folder / "pos10_b_1ms.replay.gbx").write_bytes(replay_bytes)
    (folder / "POS.REPLAY.GBX").write_bytes(replay_bytes)
    other = world / "replays" / "123"
    other.mkdir()
    (other / "pos1_c_9ms.replay.gbx").write_bytes(replay_bytes)
    (world / "ids.txt").write_text("# order of this file\n4711\n123\n999\n")
    summary = run(world, fps=1, track_ids=str(world / "ids.txt"), max_replays_per_track=2)
    assert [outcome.replay for outcome in summary.captured] == [NAME, "pos10_b_1ms.replay", "pos1_c_9ms.replay"]
    one = run(world, fps=1, track_id="123", output_dir=world / "one")
    assert [outcome.track_id for outcome in one.captured] == ["123"]
    by_id = run(world, fps=1, track_ids="123", output_dir=world / "by_id")
    assert len(by_id.captured) == 1
    (world / "enter.txt").write_text("4711\n")
    rest = run(world, fps=1, exclude_enter_maps=world / "enter.txt", output_dir=world / "rest")
    assert {outcome.track_id for outcome in rest.captured} == {"123"}


def test_the_map_inside_the_replay_wins(world: Path, challenge: Challenge) -> None:
    local = world / "tracks" / "4711" / "My Map.Challenge.Gbx"
    local.parent.mkdir(parents=True)
    local.write_bytes(gbx.write_challenge(challenge))
    run(world, fps=1)
    metadata = world / "img" / "4711" / NAME / "metadata.json"
    assert json.loads(metadata.read_text())["challenge_name"] == "My Map.Challenge.Gbx"
    local.write_bytes(gbx.write_challenge(dataclasses.replace(challenge, name="Edited")))
    run(world, fps=1, overwrite=True)
    assert json.loads(metadata.read_text())["challenge_name"] == "4711__from_replay.Challenge.Gbx"
    assert (local.parent / "4711__from_replay.Challenge.Gbx").read_bytes() == gbx.write_challenge(challenge)


def test_frames_without_valid_floats_can_be_left_out(world: Path) -> None:
    nothing = {"vcp_auto_generate": False, "skip_bad_float_samples": True}
    summary = run(world, fps=2, **nothing)
    assert summary.rejected[0].reason == "no_valid_frames"
    assert not (world / "img" / "4711").exists()
    plain = run(world, fps=2, vcp_auto_generate=False, output_dir=world / "plain")
    assert len(plain.captured) == 1
    manifest = json.loads((world / "plain" / "4711" / NAME / "manifest.json").read_text())
    assert "margin" not in manifest["meta"][0]
    assert manifest["meta"][0]["frame_of_reference"] == "world"


def test_finish_margin_and_label_grid(world: Path, ghost: Ghost) -> None:
    run(world, fps=10, finish_margin_ms=800, step_ms=50)
    manifest = json.loads((world / "img" / "4711" / NAME / "manifest.json").read_text())
    assert manifest["entries"][-1]["time_ms"] <= ghost.race_time_ms - 800
    assert len(manifest["actions"]) == ghost.race_time_ms // 50 + 1


def test_the_command_prints_what_was_rejected(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (world / "replays" / "4711", world / "replays"):
        (folder / "bad.replay.gbx").write_bytes(b"GBX")
    assert run_capture(config(world, fps=1)) == 2
    printed = capsys.readouterr().out
    assert "rejected 4711/bad.replay: unreadable" in printed
    assert "rejected bad.replay: unreadable" in printed
    assert "1 replay captured (9 frames" in printed


def test_flags_of_the_real_game_are_answered(
    world: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKMANIA_BASE_PATH", str(world / "nowhere"))
    with pytest.raises(CaptureError, match="there is no user folder of the game"):
        run(world, game="tminterface")
    run(world, fps=1, game="simulator", running_speed=16, base_tmi_port=8478, autosave_ghost=True, keep_intros=True)
    said = caplog.text
    for flag in ("--running-speed 16", "--base-tmi-port 8478", "--autosave-ghost", "--keep-intros"):
        assert flag in said


def test_nothing_to_capture_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="is no folder"):
        run(tmp_path)
    (tmp_path / "replays").mkdir()
    with pytest.raises(CaptureError, match="holds no replay"):
        run(tmp_path)
    with pytest.raises(CaptureError, match="cannot be read"):
        run(tmp_path, track_ids="missing.txt")


def test_a_killed_run_loses_no_whole_folder_and_leaves_no_rubbish(world: Path) -> None:
    run(world, fps=2)
    before = tree(world / "img" / "4711")
    (world / "img" / "index.json").unlink()
    rubbish = world / "img" / "4711" / f".{NAME}.abc.part"
    rubbish.mkdir()
    (rubbish / "frame_00000_0ms.jpeg").write_bytes(b"half")
    again = run(world, fps=2)
    assert again.skipped == 1, "the folder says itself that it is whole"
    assert json.loads((world / "img" / "index.json").read_text())["replays"][f"4711/{NAME}.gbx"]["status"] == "ok"
    run(world, fps=2, overwrite=True)
    assert tree(world / "img" / "4711") == before
    assert not rubbish.exists()
