"""Tracks by name and by file."""

from pathlib import Path

import pytest

from trackmaster.track import TrackError
from trackmaster.track.bundled import bundled_map, bundled_replays
from trackmaster.track.named import track_named


def test_a_bundled_track_and_its_file_are_the_same() -> None:
    by_name, by_suffix = track_named("first_steps"), track_named("first_steps.Challenge.Gbx")
    by_file = track_named(str(bundled_map("first_steps")))
    assert by_name.uid == by_suffix.uid == by_file.uid
    assert by_file.reference_line is not None
    assert by_file.reference_line.info.map_uid == by_file.uid


def test_what_is_no_track_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="no such map file"):
        track_named(str(tmp_path / "gone.Challenge.Gbx"))
    with pytest.raises(TrackError):
        track_named("no_such_track")
    with pytest.raises(TrackError, match="holds no map"):
        track_named(str(bundled_replays("first_steps")[0]))
