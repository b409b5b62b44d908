"""Files that lie, break the program or carry odd names cost one rejection each, never the run."""

import dataclasses
import tracemalloc
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureError, CaptureSummary, capture
from trackmaster.capture.replay import ReplayCapture
from trackmaster.gbx import Challenge, Ghost

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
