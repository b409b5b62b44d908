"""Real replays of the game: every file ends in frames or in a reason, and the clock is the game's."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, capture
from trackmaster.capture.drive import drive_trajectory
from trackmaster.capture.surface import match_surface
from trackmaster.game import SimulatorGame
from trackmaster.gbx import Ghost, InputTimeline, Replay
from trackmaster.track import Track, TrackError

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


REASONS = {
    "unreadable", "unsupported_map", "unfinished", "no_inputs", "no_samples", "no_map", "map_mismatch", "race_time",
    "surface_mismatch", "meta",
}  # fmt: skip
"""What may be wrong with a real replay when the car is put on its ghost; never an error of ours."""

SHORT_MS, FEW = 30_000, 8


def small_replays(corpus: Path) -> list[Path]:
    """Some small replays of different maps: short runs, and others that must be refused."""
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["file_class"] == "Replay"]
    first_of_map: dict[str, Path] = {}
    for row in sorted(rows, key=lambda row: (int(row["bytes"]), row["path"])):
        try:
            header = gbx.read_header(corpus / row["path"])
            race_time_ms = getattr(header, "race_time_ms", None) or 0
        except gbx.GbxError:
            race_time_ms = 0
        if race_time_ms < SHORT_MS:
            first_of_map.setdefault(row["map_uid"], corpus / row["path"])
    return list(first_of_map.values())[:FEW]


@pytest.mark.corpus
def test_a_folder_of_real_replays_gives_frames_or_reasons(corpus_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "replays"
    folder.mkdir()
    paths = sorted({*replays_of(corpus_dir, FLAT_MAP), *small_replays(corpus_dir)})
    for number, path in enumerate(paths):
        (folder / f"{number}.Replay.Gbx").write_bytes(path.read_bytes())
    config = CaptureConfig(
        replays_dir=folder, output_dir=tmp_path / "img", vcp_dir=tmp_path / "vcp", width=32, height=24, fps=1,
        use_tqdm=False,
    )  # fmt: skip
    summary = capture(config)
    assert len(summary.outcomes) == len(paths)
    assert {outcome.reason for outcome in summary.rejected} <= REASONS
    assert all(outcome.detail.endswith(".") for outcome in summary.rejected)
    assert [outcome.track_id for outcome in summary.captured].count(FLAT_MAP) == 2
    for outcome in summary.captured:
        tree = tmp_path / "img" / outcome.track_id / outcome.replay
        verdict = json.loads((tree / "verify.json").read_text(encoding="utf-8"))
        assert verdict["ok"]
        assert verdict["checks"]["surface"]["value"] >= 0.95
        frames = [path.read_bytes() for path in tree.glob("*.jpeg")]
        assert outcome.race_time_ms is not None
        assert len(frames) == outcome.frames == outcome.race_time_ms // 1_000 + 1
        assert len(set(frames)) == len(frames), "the car moves from frame to frame"


@pytest.mark.corpus
def test_wheels_of_real_runs_fit_their_maps_and_no_other_map(corpus_dir: Path) -> None:
    fits: dict[str, list[float]] = {}
    tracks: dict[str, Track] = {}
    ghosts: dict[str, Ghost] = {}
    for path in corpus_dir.rglob("*.[rR]eplay.[gG]bx"):
        try:
            replay = gbx.read_replay(path)
            ghost, challenge = replay.ghost, replay.challenge
            if ghost is None or challenge is None or challenge.is_unlimiter or not ghost.race_time_ms:
                continue
            track = tracks.get(challenge.uid) or Track.from_challenge(challenge)
        except (gbx.GbxError, TrackError):
            continue
        tracks[challenge.uid], ghosts[challenge.uid] = track, ghost
        fits.setdefault(challenge.uid, []).append(match_surface(ghost, track.mesh).share)
    assert len(fits) >= 5
    assert min(share for shares in fits.values() for share in shares) > 0.97
    foreign = [match_surface(ghosts[uid], tracks[other].mesh).share for uid in fits for other in fits if other != uid]
    assert np.median(foreign) < 0.5
    assert np.mean(np.array(foreign) < 0.95) > 0.9
