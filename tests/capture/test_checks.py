"""Every check can fail: each reason of the contract is produced once."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureSummary, capture
from trackmaster.capture import frames as frames_module
from trackmaster.capture import replay as replay_module
from trackmaster.capture import source as source_module
from trackmaster.capture.ghost import ghost_trajectory
from trackmaster.capture.snapshots import BLOCK, manifest_entries, meta_snapshots
from trackmaster.capture.writer import FrameWriter, write_manifest, write_ticks
from trackmaster.game.recording import gate_times
from trackmaster.gbx import Challenge, Ghost, InputTimeline


@pytest.fixture
def world(tmp_path: Path, replay_bytes: bytes) -> Path:
    folder = tmp_path / "replays" / "1"
    folder.mkdir(parents=True)
    (folder / "a.replay.gbx").write_bytes(replay_bytes)
    return tmp_path


def run(world: Path, **changes: object) -> CaptureSummary:
    values: dict[str, object] = {
        "replays_dir": world / "replays", "output_dir": world / "img", "tracks_dir": world / "tracks",
        "vcp_dir": world / "vcp", "width": 24, "height": 16, "fps": 2, "use_tqdm": False,
    }  # fmt: skip
    return capture(CaptureConfig(**(values | changes)))


def only_reject(world: Path, **changes: object) -> tuple[str, str]:
    summary = run(world, **changes)
    (outcome,) = summary.outcomes
    assert outcome.status == "rejected"
    assert list((world / "img").rglob("*.jpeg")) == []
    return outcome.reason, outcome.detail


def test_a_frame_of_another_tick_is_found(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = frames_module.frame_name
    monkeypatch.setattr(frames_module, "frame_name", lambda step, time_ms: usual(step, time_ms + 10 * (step == 3)))
    reason, detail = only_reject(world)
    assert reason == "frame_tick"
    assert detail.startswith("frame_00003_1510ms.jpeg belongs to no tick")


def test_a_missing_frame_is_found(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = FrameWriter.write

    def forgetful(self: FrameWriter, path: Path, grey: Any) -> None:
        if path.name != "frame_00004_2000ms.jpeg":
            usual(self, path, grey)

    monkeypatch.setattr(FrameWriter, "write", forgetful)
    reason, detail = only_reject(world)
    assert reason == "count"
    assert "1 of 17 frames are missing, frame_00004_2000ms.jpeg first." in detail


def test_pictures_that_show_nothing_are_found(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(self: object, trajectory: object, rows: Any) -> Iterator[tuple[int, Any]]:
        yield from ((row, np.full((16, 24), 7, np.uint8)) for row in rows.tolist())

    monkeypatch.setattr("trackmaster.capture.pictures.Painter.draw", blank)
    assert only_reject(world)[0] == "image"


@pytest.mark.parametrize("field", ["keys_u8", "steer_i32", "gas_i32", None])
def test_inputs_that_differ_from_the_replay_are_found(
    world: Path, monkeypatch: pytest.MonkeyPatch, field: str | None
) -> None:
    def wrong(path: Path, timeline: InputTimeline) -> None:
        if field is None:
            write_ticks(path, InputTimeline.from_keys(timeline.keys_u8[:-5]))
            return
        values = getattr(timeline, field).copy()
        values[7] += 1
        write_ticks(path, dataclasses.replace(timeline, **{field: values}))

    monkeypatch.setattr(replay_module, "write_ticks", wrong)
    reason, detail = only_reject(world)
    assert reason == "ticks"
    assert "ms." in detail


def test_a_replay_of_another_map_than_the_one_inside_is_found(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = source_module._read_replay
    monkeypatch.setattr(
        source_module, "_read_replay", lambda *args: dataclasses.replace(usual(*args), map_uid="another")
    )
    assert only_reject(world)[0] == "map_mismatch"


@pytest.mark.parametrize(("change", "reason"), [(10, "cp_diff:0:-10"), (None, "cp_diff:0:")])
def test_a_gate_passed_at_another_time_is_found(
    world: Path, ghost: Ghost, challenge: Challenge, change: int | None, reason: str
) -> None:
    first, finish = ghost.cp_times_ms
    gates = (finish,) if change is None else (first + change, finish)
    other = gbx.write_replay(gbx.write_challenge(challenge), dataclasses.replace(ghost, cp_times_ms=gates))
    (world / "replays" / "1" / "a.replay.gbx").write_bytes(other)
    assert only_reject(world, mode="drive")[0].startswith(reason)


def test_a_run_that_jumps_about_has_too_few_valid_floats(world: Path, ghost: Ghost, challenge: Challenge) -> None:
    samples = ghost.samples
    moved = samples.position_m.copy()
    moved[20:70:2, 0] += 30.0
    jumping = gbx.make_samples(
        moved, samples.quaternion_wxyz, samples.velocity_mps, rpm=samples.rpm, wheel_contact=samples.wheel_contact
    )
    other = gbx.write_replay(gbx.write_challenge(challenge), dataclasses.replace(ghost, samples=jumping))
    (world / "replays" / "1" / "a.replay.gbx").write_bytes(other)
    assert only_reject(world, allow_unknown_blocks=True, fps=100)[0] == "meta"


def test_every_frame_has_a_snapshot_of_its_own_callback(world: Path) -> None:
    run(world, fps=20, fps_meta=1, skip_bad_float_samples=True)
    manifest = json.loads((world / "img" / "1" / "a.replay" / "manifest.json").read_text())
    frames = {entry["time_ms"] for entry in manifest["entries"]}
    assert len(frames) > 150
    assert frames <= {snapshot["time_ms"] for snapshot in manifest["meta"]}


def test_a_manifest_that_no_reader_accepts_is_not_written(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackmaster.capture.writer.MAX_MANIFEST_BYTES", 10_000)
    reason, detail = only_reject(world)
    assert reason == "too_long"
    assert "Give a lower --fps" in detail


def test_a_manifest_in_blocks_is_the_manifest(tmp_path: Path) -> None:
    def blocks(*sizes: int) -> Iterator[list[dict[str, Any]]]:
        first = 0
        for size in sizes:
            yield [{"file": f"frame_{k}.jpeg", "step": k, "name": "\xe9 \ud800"} for k in range(first, first + size)]
            first += size

    for sizes in ((), (1,), (2, 3), (4, 1)):
        write_manifest(tmp_path, blocks(*sizes), np.array([0, 2]), blocks(*sizes), per_frame=True)
        rows = [row for block in blocks(*sizes) for row in block]
        content = (tmp_path / "manifest.json").read_bytes()
        assert json.loads(content) == {"schema_version": 2, "entries": rows, "actions": [0, 2], "meta": rows}
        assert content.endswith(b"}\n")
        for row in rows:
            assert json.loads((tmp_path / row["file"]).with_suffix(".json").read_bytes()) == row


def test_gates_beyond_the_sixty_fourth_keep_their_times(ghost: Ghost) -> None:
    assert ghost.race_time_ms is not None
    gates = (*range(1_000, 1_000 + 90 * 50, 50), ghost.race_time_ms)
    timeline = InputTimeline.from_events(ghost.events, ghost.race_time_ms)
    run = ghost_trajectory(dataclasses.replace(ghost, cp_times_ms=gates), timeline, ghost.race_time_ms)
    ticks = np.arange(0, len(run), 10)
    stamps = [""] * len(ticks)
    entries = [entry for block in manifest_entries(run, ticks, timeline.action_index(), stamps) for entry in block]
    assert entries[-1]["state"]["current_checkpoint"] == 91 - (gates[-1] > entries[-1]["time_ms"])
    for entry in entries:
        state = entry["state"]
        assert state["cp_times_ms"] == [gate for gate in gates if gate <= entry["time_ms"]]
        assert len(state["cp_times_ms"]) == state["current_checkpoint"]
    assert gate_times(run.states.time_ms, run.states.cp_count) == gates
    snapshots = [row for block in meta_snapshots(run, ticks, None, ghost.race_time_ms) for row in block]
    assert [row["cur_cp_count"] for row in snapshots] == [e["state"]["current_checkpoint"] for e in entries]


def test_blocks_join_without_a_seam(ghost: Ghost) -> None:
    assert ghost.race_time_ms is not None
    timeline = InputTimeline.from_events(ghost.events, ghost.race_time_ms)
    run = ghost_trajectory(ghost, timeline, ghost.race_time_ms)
    ticks = np.arange(len(run))
    blocks = list(manifest_entries(run, ticks, timeline.action_index(), [str(tick) for tick in ticks]))
    assert len(ticks) > BLOCK
    assert [len(block) for block in blocks] == [BLOCK, len(ticks) - BLOCK]
    for number, entry in enumerate(entry for block in blocks for entry in block):
        assert (entry["step"], entry["time_ms"], entry["capture_timestamp_utc"]) == (number, 10 * number, str(number))
