"""Files that lie, break the program or carry odd names cost one rejection each, never the run."""

import dataclasses
import errno
import json
import os
import re
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureError, CaptureSummary, capture
from trackmaster.capture.simulated import SimulatedRecorder
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.surface import has_surface
from trackmaster.capture.trajectory import Trajectory
from trackmaster.files import safe_name
from trackmaster.gbx import Challenge, Ghost
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.writer import pack_body
from trackmaster.track import TriangleMesh

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "replays"
    path.mkdir()
    return path


def run(folder: Path, **changes: object) -> CaptureSummary:
    base = folder.parent
    config = CaptureConfig(
        replays_dir=folder, output_dir=base / "img", tracks_dir=base / "tracks", vcp_dir=base / "vcp", width=24,
        height=16, fps=2, use_tqdm=False, **changes,
    )  # fmt: skip
    return capture(config)


def reasons(summary: CaptureSummary) -> dict[str, str]:
    return {outcome.replay.removesuffix(".replay"): outcome.reason for outcome in summary.rejected}


def test_a_race_time_that_nobody_drove_is_refused_before_it_costs_memory(
    folder: Path, ghost: Ghost, challenge: Challenge
) -> None:
    content = gbx.write_challenge(challenge)
    assert ghost.samples is not None
    end_ms = int(ghost.samples.time_ms[-1])
    lies = {
        "weeks": dataclasses.replace(ghost, race_time_ms=2_000_000_000),
        "beyond": dataclasses.replace(ghost, race_time_ms=end_ms + 101),
        "blind": dataclasses.replace(ghost, race_time_ms=2_000_000_000, samples=None),
    }
    for name, lie in lies.items():
        (folder / f"{name}.replay.gbx").write_bytes(gbx.write_replay(content, lie))
    tracemalloc.start()
    summary = run(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(summary) == dict.fromkeys(lies, "race_time")
    assert all(outcome.detail.endswith(".") for outcome in summary.rejected)
    assert peak < 64 * MIB


def test_an_unforeseen_error_costs_one_replay_and_is_tried_again(
    folder: Path, replay_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a_good", "b_bad", "c_good"):
        (folder / f"{name}.replay.gbx").write_bytes(replay_bytes)
    usual = SimulatedRecorder.trajectory

    def moody(self: SimulatedRecorder, source: ReplaySource, game: Any) -> Trajectory:
        if source.file.name.startswith("b_bad"):
            raise IndexError("index 7 is out of bounds\nfor axis 0")
        return usual(self, source, game)

    monkeypatch.setattr(SimulatedRecorder, "trajectory", moody)
    summary = run(folder)
    assert [outcome.replay for outcome in summary.captured] == ["a_good.replay", "c_good.replay"]
    assert reasons(summary) == {"b_bad": "error:IndexError"}
    assert "index 7 is out of bounds for axis 0. Please report" in summary.rejected[0].detail
    assert summary.exit_code == 2
    monkeypatch.undo()
    again = run(folder)
    assert (len(again.captured), again.skipped, again.known_rejects) == (1, 2, 0), "the program may have been mended"


def test_a_full_disk_ends_the_run_with_a_sentence(
    folder: Path, replay_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.replay.gbx").write_bytes(replay_bytes)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trackmaster.capture.replay.write_manifest", full)
    with pytest.raises(CaptureError, match=r"nothing can be written there any more \(No space left on device\)\. Make"):
        run(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_file_name_that_is_no_text_is_recorded_and_recognised(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.replay.gbx")).write_bytes(b"no gbx")
    first = run(folder)
    assert [outcome.reason for outcome in first.rejected] == ["unreadable"]
    for name in ("index.json", "rejects.jsonl"):
        assert json.loads((folder.parent / "img" / name).read_text(encoding="utf-8"))
    assert run(folder).known_rejects == 1


def test_records_that_are_not_ours_count_as_missing(tmp_path: Path, replay_bytes: bytes) -> None:
    folder = tmp_path / "replays"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "a.replay.gbx").write_bytes(replay_bytes)
    run(folder)
    for name in ("verify.json", "metadata.json"):
        (tmp_path / "img" / "1" / "a.replay" / name).write_text("[1]")
    (tmp_path / "img" / "index.json").unlink()
    assert len(run(folder).captured) == 1


@pytest.mark.parametrize("uid", ["u" * 400, "../../up", "NUL", "..", "caf\xe9 \x1b[2J"])
def test_a_map_uid_never_leaves_the_folder_nor_breaks_it(
    folder: Path, ghost: Ghost, challenge: Challenge, uid: str
) -> None:
    content = gbx.write_challenge(dataclasses.replace(challenge, uid=uid))
    (folder / "a.replay.gbx").write_bytes(gbx.write_replay(content, ghost))
    summary = run(folder)
    assert summary.rejected == []
    (track,) = (path for path in (folder.parent / "img").iterdir() if path.is_dir())
    assert track.name == safe_name(uid) != uid
    assert (track / "a.replay" / "manifest.json").is_file()
    assert {path.name for path in folder.parent.iterdir()} == {"img", "replays", "vcp"}


def with_unlimiter(map_bytes: bytes) -> bytes:
    """Put the mark of TMUnlimiter into a map."""
    shell = read_shell(map_bytes, "map")
    body = read_body(map_bytes, shell, "map")
    mark = struct.pack("<I4sI", 0x3F001000, b"PIKS", 3) + b"\1\2\3"
    head = map_bytes[:7] + b"U" + map_bytes[8 : shell.header_end]
    return head + pack_body(body.node_count, mark + body.data, compress=False)


def lifted(ghost: Ghost, share: float, height_m: float) -> Ghost:
    """The same run, whose first part went higher."""
    samples = ghost.samples
    assert samples is not None
    moved = samples.position_m.copy()
    moved[: int(share * len(moved)), 1] += height_m
    found = gbx.make_samples(
        moved, samples.quaternion_wxyz, samples.velocity_mps, rpm=samples.rpm, wheel_contact=samples.wheel_contact,
        damper_m=samples.damper_m,
    )  # fmt: skip
    return dataclasses.replace(ghost, samples=found)


def test_wheels_in_the_air_do_not_fit_the_map(folder: Path, ghost: Ghost, challenge: Challenge) -> None:
    plain = gbx.write_challenge(challenge)
    for name, run_of in (
        ("a_fits", ghost), ("b_nearly", lifted(ghost, 0.03, 0.5)), ("c_not", lifted(ghost, 0.1, 0.5)),
        ("d_low", lifted(ghost, 0.1, -3.0)), ("e_close", lifted(ghost, 0.1, 0.2)),
    ):  # fmt: skip
        (folder / f"{name}.replay.gbx").write_bytes(gbx.write_replay(plain, run_of))
    summary = run(folder)
    assert reasons(summary) == {"c_not": "surface_mismatch", "d_low": "surface_mismatch"}
    assert re.search(
        r"\d+ of \d+ recorded wheels on the ground \(\d+\.\d%\) have no surface", summary.rejected[0].detail
    )
    assert summary.rejected[0].detail.endswith(".")
    verdict = json.loads((folder.parent / "img" / "straight" / "b_nearly.replay" / "verify.json").read_text())
    assert verdict["checks"]["surface"]["ok"] is True
    assert 0.95 <= verdict["checks"]["surface"]["value"] < 1


def test_a_map_of_unlimiter_counts_when_the_wheels_fit(folder: Path, ghost: Ghost, challenge: Challenge) -> None:
    odd = with_unlimiter(gbx.write_challenge(challenge))
    (folder / "fits.replay.gbx").write_bytes(gbx.write_replay(odd, ghost))
    (folder / "not.replay.gbx").write_bytes(gbx.write_replay(odd, lifted(ghost, 0.5, 8.0)))
    summary = run(folder)
    assert [outcome.replay for outcome in summary.captured] == ["fits.replay"]
    assert reasons(summary) == {"not": "surface_mismatch"}
    (folder.parent / "img").rename(folder.parent / "before")
    driven = run(folder, mode="drive")
    assert reasons(driven) == {"fits": "unsupported_map", "not": "unsupported_map"}
    assert "--mode ghost finds out." in driven.rejected[0].detail


def test_the_surface_decides_nothing_where_blocks_are_left_out_on_purpose(
    folder: Path, ghost: Ghost, challenge: Challenge
) -> None:
    content = gbx.write_challenge(challenge)
    (folder / "a.replay.gbx").write_bytes(gbx.write_replay(content, lifted(ghost, 0.5, 8.0)))
    assert len(run(folder, allow_unknown_blocks=True).captured) == 1
    verdict = json.loads((folder.parent / "img" / "straight" / "a.replay" / "verify.json").read_text())
    assert verdict["checks"]["surface"]["ok"] is None
    assert verdict["checks"]["surface"]["value"] < 0.6


def test_surfaces_count_along_the_axis_of_the_car_and_from_their_outside() -> None:
    corners = np.array([[0, 0, 0], [0, 0, 10], [0, 10, 10], [0, 10, 0]], np.float32)  # a wall; its outside is -x
    mesh = TriangleMesh(
        corners,
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.zeros(2, np.uint8),
        np.zeros(2, np.uint8),
        np.ones(2, bool),
    )
    outside = mesh.normals()[0]
    assert abs(outside[0]) == 1
    points = np.array([[0.2, 5, 5], [-0.2, 5, 5], [0.4, 5, 5], [0.0, 5, 11], [-33.0, 5, 5]])
    up = np.tile(outside.astype(np.float64), (5, 1))
    assert has_surface(points, up, mesh, reach_m=0.3).tolist() == [True, True, False, False, False]
    assert not has_surface(points, -up, mesh, reach_m=0.3).any()
    assert not has_surface(points, np.tile([0.0, 1.0, 0.0], (5, 1)), mesh, reach_m=0.3).any()
