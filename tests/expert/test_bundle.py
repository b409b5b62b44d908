import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.expert import Expert, ExpertError, drive_timeline, redrive, timeline_of
from trackmaster.expert.bundle import (
    BundleConfig,
    BundledFiles,
    check_drives,
    describe_difference,
    make_files,
    run_bundle,
    write_files,
)
from trackmaster.gbx.timeline import ACCELERATE
from trackmaster.track import Track
from trackmaster.track.bundled import (
    BundledTrack,
    bundled_challenge,
    bundled_challenges,
    bundled_folder,
    bundled_map,
    bundled_replays,
)

CANDIDATES = 48
SLUGS = [bundled.slug for bundled in bundled_challenges()]
NAME = re.compile(r"pos(\d+)_trackmaster_(\d+)ms\.replay\.gbx")


@pytest.fixture(scope="module")
def files(short: BundledTrack, team: Sequence[Expert]) -> BundledFiles:
    return make_files(short, team, candidates=CANDIDATES)


@pytest.mark.parametrize("slug", SLUGS)
def test_bundled_replays_driven_again_give_every_time_and_every_sample(slug: str) -> None:
    track = Track.from_challenge(bundled_challenge(slug).challenge)
    replays = [gbx.read_replay(path) for path in bundled_replays(slug)]
    assert len(replays) >= 3
    for replay in replays:
        ghost = replay.ghosts[0]
        again = redrive(track, ghost)
        assert again.race_time_ms == ghost.race_time_ms == replay.race_time_ms
        assert again.cp_times_ms == ghost.cp_times_ms
        assert ghost.samples is not None
        assert again.samples is not None
        assert np.array_equal(again.samples.position_m, ghost.samples.position_m)
        assert describe_difference(ghost, again) == ""


@pytest.mark.parametrize("slug", SLUGS)
def test_bundled_files_are_what_the_package_writes(slug: str) -> None:
    files = check_drives(bundled_folder(), bundled_challenge(slug))
    assert len(files.files) == 1 + len(bundled_replays(slug))


@pytest.mark.parametrize("slug", SLUGS)
def test_bundled_replays_are_complete_and_named_by_rank_and_time(slug: str) -> None:
    map_bytes = bundled_map(slug).read_bytes()
    challenge = gbx.read_challenge(map_bytes)
    previous_ms = 0
    for position, path in enumerate(bundled_replays(slug), start=1):
        replay = gbx.read_replay(path)
        ghost = replay.ghosts[0]
        match = NAME.fullmatch(path.name)
        assert match is not None
        assert (int(match[1]), int(match[2])) == (position, replay.race_time_ms)
        assert replay.challenge_bytes == map_bytes
        assert replay.map_uid == challenge.uid
        assert (replay.nickname, replay.login, ghost.respawns) == ("trackmaster", "trackmaster", 0)
        assert len(ghost.cp_times_ms) == 1 + sum("Checkpoint" in block.name for block in challenge.blocks)
        assert ghost.events is not None
        assert ghost.events.device == "keyboard"
        assert (replay.race_time_ms or 0) >= previous_ms
        previous_ms = replay.race_time_ms or 0
    author_ms = challenge.medals.author_ms
    assert author_ms == gbx.read_header(bundled_replays(slug)[0]).race_time_ms
    assert author_ms < challenge.medals.gold_ms < challenge.medals.silver_ms < challenge.medals.bronze_ms


@pytest.mark.parametrize("slug", SLUGS)
def test_full_gas_along_the_barriers_is_much_slower_than_every_expert(slug: str) -> None:
    track = Track.from_challenge(bundled_challenge(slug).challenge)
    slowest_ms = max(gbx.read_header(path).race_time_ms for path in bundled_replays(slug))
    limit_ms = int(1.3 * slowest_ms)
    keys = np.full(limit_ms // 50, ACCELERATE, np.uint8)
    assert drive_timeline(track, timeline_of(keys, limit_ms), limit_ms=limit_ms).race_time_ms is None


def test_making_files_twice_gives_the_same_bytes(
    short: BundledTrack, team: Sequence[Expert], files: BundledFiles
) -> None:
    assert make_files(short, team, candidates=CANDIDATES) == files
    assert len(files.files) == 3


def test_check_accepts_what_was_written_and_refuses_any_change(
    tmp_path: Path, short: BundledTrack, files: BundledFiles
) -> None:
    write_files(tmp_path, files)
    assert check_drives(tmp_path, short) == files

    path, content = files.files[1]
    replay = gbx.read_replay(content)
    ghost = replay.ghosts[0]
    assert ghost.events is not None
    time_ms = ghost.events.time_ms.copy()
    time_ms[len(time_ms) // 2] += 10
    order = np.argsort(time_ms, kind="stable")
    events = replace(
        ghost.events, time_ms=time_ms[order], control=ghost.events.control[order], value=ghost.events.value[order]
    )
    assert replay.challenge_bytes is not None
    (tmp_path / path).write_bytes(gbx.write_replay(replay.challenge_bytes, replace(ghost, events=events)))
    with pytest.raises(ExpertError, match=r"differ|takes|passes"):
        check_drives(tmp_path, short)

    (tmp_path / path).unlink()
    with pytest.raises(ExpertError):
        check_drives(tmp_path, short)


def test_writing_again_removes_replays_of_earlier_runs(tmp_path: Path, files: BundledFiles) -> None:
    write_files(tmp_path, files)
    old = (tmp_path / files.files[1][0]).with_name("pos9_trackmaster_99999ms.replay.gbx")
    old.write_bytes(b"")
    write_files(tmp_path, files)
    assert not old.exists()
    assert (tmp_path / files.files[1][0]).read_bytes() == files.files[1][1]


def test_a_full_check_must_be_asked_for_as_a_check(tmp_path: Path) -> None:
    with pytest.raises(ExpertError, match="--check"):
        run_bundle(BundleConfig(output=tmp_path, full=True))


def test_an_empty_folder_is_refused_with_the_command_that_fills_it(tmp_path: Path) -> None:
    with pytest.raises(ExpertError, match="trackmaster track bundle"):
        run_bundle(BundleConfig(output=tmp_path, tracks=(SLUGS[0],), check=True))
