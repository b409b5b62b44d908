"""Real replays of the game: every file ends in frames or in a reason, and the clock is the game's."""

import csv
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, capture
from trackmaster.capture.drive import drive_trajectory
from trackmaster.game import SimulatorGame
from trackmaster.gbx import InputTimeline, Replay
from trackmaster.track import Track

FLAT_MAP = "jbV2XePYbkV1Kt2kNqJ_0z3AlJb"
"""A small map of flat roads with two replays."""


def replays_of(corpus: Path, uid: str) -> list[Path]:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [corpus / row["path"] for row in rows if row["file_class"] == "Replay" and row["map_uid"] == uid]


@pytest.mark.corpus
def test_the_first_ticks_of_real_runs_are_reproduced_on_the_right_tick(corpus_dir: Path) -> None:
    paths = replays_of(corpus_dir, FLAT_MAP)
    assert len(paths) == 2
    for path in paths:
        replay = gbx.read(path)
        assert isinstance(replay, Replay)
        ghost = replay.ghosts[0]
        game = SimulatorGame(watched=False)
        game.load(Track.from_challenge(replay.challenge))
        timeline = InputTimeline.from_events(ghost.events, ghost.race_time_ms)
        run = drive_trajectory(game, timeline, ghost.race_time_ms, ghost.samples)
        # The launch: inputs one tick early or late would put the car centimetres off after half a second.
        assert run.errors_m[:6].max() < 1e-4
        assert run.errors_m[:10].max() < 0.01


@pytest.mark.corpus
def test_a_folder_of_real_replays_gives_frames_or_reasons(corpus_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "replays"
    folder.mkdir()
    for path in replays_of(corpus_dir, FLAT_MAP):
        (folder / f"{path.stem}.Replay.Gbx").write_bytes(path.read_bytes())
    with (corpus_dir / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["file_class"] == "Replay"]
    small = [row for row in rows if int(row["bytes"]) < 120_000 and row["map_uid"] != FLAT_MAP]
    for number, row in enumerate(small):
        (folder / f"{number}.Replay.Gbx").write_bytes((corpus_dir / row["path"]).read_bytes())
    config = CaptureConfig(
        replays_dir=folder, output_dir=tmp_path / "img", vcp_dir=tmp_path / "vcp", width=32, height=24, fps=2,
        use_tqdm=False,
    )  # fmt: skip
    summary = capture(config)
    assert len(summary.outcomes) == len(small) + 2
    captured = [outcome for outcome in summary.captured if outcome.track_id == FLAT_MAP]
    assert [outcome.frames for outcome in captured] == [16, 16]
    known = {"unreadable", "unsupported_map", "unfinished", "no_inputs", "no_samples", "no_map", "map_mismatch"}
    assert {outcome.reason for outcome in summary.rejected} <= known
    assert all(outcome.detail.endswith(".") for outcome in summary.rejected)
    for outcome in captured:
        verify = (tmp_path / "img" / outcome.track_id / outcome.replay / "verify.json").read_text()
        assert '"ok": true' in verify
        frames = list((tmp_path / "img" / outcome.track_id / outcome.replay).glob("*.jpeg"))
        assert len(frames) == outcome.frames
        assert len({np.frombuffer(path.read_bytes(), np.uint8).tobytes() for path in frames}) == len(frames)
