"""Exploring finds a way round, the same one every time, and what it finds is a drive like any other."""

from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.expert import ExpertError, drive_timeline, redrive, timeline_of
from trackmaster.expert.archive import Archive, Arrivals
from trackmaster.expert.explore import Discovery, Exploration, Explorer
from trackmaster.gbx import Block, Challenge
from trackmaster.sim import World, WorldState
from trackmaster.track import Track
from trackmaster.track.bundled import BundledTrack

TRIES = 64


def explore(track: Track, **options: int) -> Discovery:
    return Explorer(World(track, TRIES), track, Exploration(**{"rounds": 60, **options})).run()


@pytest.fixture(scope="module")
def discovery(track: Track) -> Discovery:
    return explore(track, seed=1)


def test_the_finish_is_reached_by_keys_that_reach_it_alone(track: Track, discovery: Discovery) -> None:
    timeline = timeline_of(discovery.keys, discovery.race_time_ms)
    ghost = drive_timeline(track, timeline, limit_ms=discovery.race_time_ms)
    assert ghost.race_time_ms == discovery.race_time_ms
    assert len(ghost.cp_times_ms) == 2  # the checkpoint and the finish


def test_equal_seeds_give_equal_drives_and_other_seeds_others(track: Track, discovery: Discovery) -> None:
    again = explore(track, seed=1)
    assert np.array_equal(again.keys, discovery.keys)
    assert not np.array_equal(explore(track, seed=2).keys, discovery.keys)


def test_polishing_is_never_slower(track: Track, discovery: Discovery) -> None:
    assert explore(track, seed=1, polish_rounds=8).race_time_ms <= discovery.race_time_ms


def test_too_few_rounds_end_in_a_sentence_that_says_how_far(track: Track) -> None:
    with pytest.raises(ExpertError, match=r"2 rounds of 64 tries: the best one came \d+ m of \d+ m far"):
        explore(track, rounds=2)


def arrivals(progress_m: list[float], time_ms: list[int], mark: list[float]) -> Arrivals:
    n = len(progress_m)
    state = WorldState(np.array([mark], np.float32), np.zeros((1, n), np.int32), np.zeros((1, n), np.uint8))
    return Arrivals(
        np.array(progress_m), np.full(n, 10.0), np.zeros(n, np.int64), np.zeros(n, np.bool_),
        np.array(time_ms), np.arange(n, dtype=np.int32), state,
    )  # fmt: skip


def test_an_archive_keeps_the_earliest_arrival_and_how_it_came_there() -> None:
    archive = Archive()
    archive.keep(arrivals([0.0], [10], [1.0]), np.array([-1]), np.zeros((1, 0), np.uint8))
    keys = np.array([[1, 1], [5, 5], [9, 9]], np.uint8)
    archive.keep(arrivals([20.0, 21.0, 40.0], [110, 105, 110], [2.0, 3.0, 4.0]), np.zeros(3, np.int64), keys)
    assert len(archive) == 3  # 20 m and 21 m are one place
    assert archive.furthest_m == 40.0
    assert archive.states(np.array([1])).floats.ravel().tolist() == [3.0]
    archive.keep(arrivals([40.5], [200], [5.0]), np.array([1]), np.array([[7]], np.uint8))  # later: not kept
    archive.keep(arrivals([60.0], [210], [6.0]), np.array([1]), np.array([[7]], np.uint8))
    assert archive.states(np.array([2])).floats.ravel().tolist() == [4.0]
    assert archive.keys_to(int(archive.nodes(np.array([3]))[0])).tolist() == [5, 5, 7]


def test_a_drive_belongs_to_the_arrival_it_set_out_from_even_if_an_earlier_one_comes_meanwhile() -> None:
    archive = Archive()
    archive.keep(arrivals([0.0], [10], [1.0]), np.array([-1]), np.zeros((1, 0), np.uint8))
    start = archive.nodes(np.array([0]))
    archive.keep(arrivals([20.0], [200], [2.0]), start, np.array([[1]], np.uint8))
    origin = archive.nodes(np.array([1]))
    archive.keep(arrivals([20.0], [100], [3.0]), start, np.array([[9]], np.uint8))
    archive.keep(arrivals([50.0], [300], [4.0]), origin, np.array([[5]], np.uint8))
    assert archive.keys_to(int(archive.nodes(np.array([2]))[0])).tolist() == [1, 5]


def test_an_archive_goes_on_mostly_from_the_front_but_not_always_from_the_same_place() -> None:
    archive = Archive()
    progress = [10.0 * k for k in range(60)]
    archive.keep(arrivals(progress, [100] * 60, progress), np.full(60, -1), np.zeros((60, 0), np.uint8))
    chosen = archive.choose(np.random.default_rng(0), 2_000)
    assert np.mean(archive.states(chosen).floats[0] > 400) > 0.6
    front = int(np.bincount(chosen).argmax())
    assert (archive.choose(np.random.default_rng(1), 2_000) == front).mean() < (chosen == front).mean()


def test_the_command_writes_a_replay_that_can_be_driven_again(
    short: BundledTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = (*short.challenge.blocks, Block("StadiumBump1", 0, 20, 1, 20, 0x1000))
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.Challenge.Gbx").write_bytes(gbx.write_challenge(short.challenge))
    (tmp_path / "maps" / "b.Challenge.Gbx").write_bytes(
        gbx.write_challenge(Challenge(uid="b", name="Bumpy", blocks=unknown))
    )
    words = [
        "track",
        "drive",
        str(tmp_path / "maps"),
        "--output",
        str(tmp_path / "out"),
        "--tries",
        "64",
        "--polish",
        "0",
    ]
    assert main(words) == 2
    said = capsys.readouterr().out
    assert "Bumpy: not driven. The map 'Bumpy' has 1 drivable blocks without known geometry" in said
    assert "1 of 2 maps driven to the finish." in said
    (path,) = (tmp_path / "out").rglob("*.replay.gbx")
    replay = gbx.read_replay(path)
    assert replay.challenge_bytes == (tmp_path / "maps" / "a.Challenge.Gbx").read_bytes()
    again = redrive(Track.from_challenge(short.challenge), replay.ghosts[0])
    assert again.race_time_ms == replay.race_time_ms
    assert np.array_equal(again.samples.raw, replay.ghosts[0].samples.raw)
    main(words)
    assert f"Short: kept from an earlier call, {path}" in capsys.readouterr().out
