"""Exploring finds a way round, the same one every time, and what it finds is a drive like any other."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.expert import ExpertError, drive_timeline, redrive, timeline_of
from trackmaster.expert.archive import Archive, Arrivals
from trackmaster.expert.explore import PATIENCE_ROUNDS, STUCK_ROUNDS, Discovery, Exploration, Explorer
from trackmaster.expert.guide import Guide
from trackmaster.expert.journal import ROOT, Journal
from trackmaster.expert.stock import line_cells
from trackmaster.gbx import Block, Challenge
from trackmaster.sim import World, WorldState
from trackmaster.track import Track, TriggerKind
from trackmaster.track.bundled import BundledTrack
from trackmaster.track.layout import RoadLayout
from trackmaster.track.route import Course, RouteSearch, Source

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


@pytest.fixture(scope="module")
def polished(track: Track) -> tuple[Discovery, list[int]]:
    """What eight more rounds make of the discovery, and how long nobody had got on in each round of all."""
    stuck: list[int] = []
    choose = Explorer._choose

    def noted(self: Explorer, stuck_rounds: int) -> tuple[np.ndarray, np.ndarray]:
        stuck.append(stuck_rounds)
        return choose(self, stuck_rounds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explorer, "_choose", noted)
        return explore(track, seed=1, polish_rounds=8), stuck


def test_polishing_is_never_slower(polished: tuple[Discovery, list[int]], discovery: Discovery) -> None:
    assert polished[0].race_time_ms <= discovery.race_time_ms


def test_whoever_polishes_is_not_stuck(polished: tuple[Discovery, list[int]]) -> None:
    """Cars set out as far behind the finish as before, however many rounds find nothing faster."""
    assert polished[1][-8:] == [0] * 8
    assert max(polished[1]) > 0, "on the way to the finish it counts"


def test_too_few_rounds_end_in_a_sentence_that_says_how_far(track: Track) -> None:
    far = r"the best one came \d+ m of \d+ m far.* It ended at \(-?\d+, -?\d+, -?\d+\) on Stadium"
    with pytest.raises(ExpertError, match=f"in 2 rounds of 64 tries.* {far}"):
        explore(track, limit=2)


def test_rounds_without_progress_end_the_search_and_rounds_with_progress_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The finish stands on an island that no car can reach; the road before it takes some rounds."""
    road = RoadLayout(10, 1, 4, 0).straights(12).blocks
    island = Block("StadiumRoadMainFinishLine", 0, 10, 12, 19, 0)
    track = Track.from_challenge(Challenge(uid="island", name="Island", blocks=(*road, island)))
    plans: list[np.ndarray] = []
    plan = RouteSearch.course

    def noted(self: RouteSearch, sources: list[Source], laps: int) -> Course:
        course = plan(self, sources, laps)
        plans.append(course.points_m)
        return course

    monkeypatch.setattr(RouteSearch, "course", noted)
    with pytest.raises(ExpertError, match="the last 24 without progress") as failure:
        explore(track, rounds=24)
    assert int(re.findall(r"in (\d+) rounds", str(failure.value))[0]) > 24
    assert len(plans) >= 3, "where nobody gets on, it looks for other lines"


def arrivals(cells: list[int], time_ms: list[int], mark: list[float]) -> Arrivals:
    n = len(cells)
    state = WorldState(np.array([mark], np.float32), np.zeros((1, n), np.int32), np.zeros((1, n), np.uint8))
    return Arrivals(
        cells,
        np.array(cells, np.float64),
        np.zeros(n, np.int64),
        np.array(time_ms),
        np.arange(n, dtype=np.int32),
        state,
    )


def test_the_longer_nobody_gets_on_the_further_back_cars_set_out(track: Track) -> None:
    """On a kilometre of places, one every 10 m."""
    explorer = Explorer(World(track, TRIES), track, Exploration())

    def behind_m(stuck_rounds: int) -> float:
        explorer._line = Archive()
        explorer._line.keep(arrivals(list(range(0, 1_000, 10)), [100] * 100, [0.0] * 100), int)
        return 990.0 - float(np.mean(explorer._line.progress_m[explorer._choose(stuck_rounds)[0]]))

    assert behind_m(0) == pytest.approx(behind_m(PATIENCE_ROUNDS), rel=0.3)
    assert behind_m(PATIENCE_ROUNDS + 60) > 1.5 * behind_m(PATIENCE_ROUNDS)


def test_stuck_cars_set_out_from_early_arrivals_more_often(track: Track) -> None:
    """At each of a hundred places one car comes after 10 s, and nine others come a second later."""
    explorer = Explorer(World(track, TRIES), track, Exploration())

    def share_of_early(stuck_rounds: int) -> float:
        explorer._line = Archive()
        cells = list(range(1_000))
        late = [11_000 if cell % 10 else 10_000 for cell in cells]
        kept = replace(arrivals(cells, late, [0.0] * 1_000), progress_m=np.repeat(np.arange(100) * 10.0, 10))
        explorer._line.keep(kept, int)
        slots = np.concatenate([explorer._choose(stuck_rounds)[0] for _ in range(4)])
        return float(np.mean(explorer._line.times_ms[slots] == 10_000))

    assert share_of_early(0) < 0.25
    assert share_of_early(STUCK_ROUNDS + 1) > 0.35


def test_an_archive_keeps_the_earliest_arrival_and_asks_for_a_drive_only_then() -> None:
    archive, asked = Archive(), list[int]()

    def node_of(row: int) -> int:
        asked.append(row)
        return 100 + row

    archive.keep(arrivals([7, 7, 9], [110, 105, 110], [2.0, 3.0, 4.0]), node_of)
    assert (len(archive), asked) == (2, [1, 2])
    assert archive.states(np.array([0])).floats.ravel().tolist() == [3.0]
    archive.keep(arrivals([9, 7], [200, 50], [5.0, 6.0]), node_of)  # the first one is later: not kept
    assert archive.states(np.array([0, 1])).floats.ravel().tolist() == [6.0, 4.0]
    assert archive.nodes(np.array([0, 1])).tolist() == [101, 102]
    assert archive.times_ms.tolist() == [50, 110]


def test_an_archive_goes_on_by_weight_but_not_always_from_the_same_cell() -> None:
    archive = Archive()
    archive.keep(arrivals(list(range(60)), [100] * 60, list(range(60))), lambda row: row)
    weight = np.exp(np.arange(60) / 8.0)
    chosen = archive.choose(np.random.default_rng(0), 2_000, weight)
    assert np.mean(archive.states(chosen).floats[0] > 40) > 0.6
    front = int(np.bincount(chosen).argmax())
    assert (archive.choose(np.random.default_rng(1), 2_000, weight) == front).mean() < (chosen == front).mean()


def test_cars_that_head_elsewhere_are_kept_beside_the_one_that_came_first() -> None:
    """Straight on, 6, 30 and -30 degrees off the line, against it, at one place and speed; upwards in a loop."""
    angles = np.radians([0.0, 6.0, 30.0, -30.0, 180.0])
    heading = np.stack([np.sin(angles), np.zeros(5), np.cos(angles)], axis=1)
    steep = np.array([[0.1, 0.99, 0.0], [-0.1, 0.99, 0.0]])
    velocity = 33.0 * np.concatenate([heading, steep])
    along = np.concatenate([np.tile([0.0, 0.0, 1.0], (5, 1)), np.tile([0.0, 1.0, 0.0], (2, 1))])
    view = SimpleNamespace(
        velocity_mps=velocity,
        rotation=np.tile(np.eye(3), (7, 1, 1)),
        cp_count=np.zeros(7, int),
        wheel_contact=np.ones((7, 4), np.bool_),
    )
    cells = line_cells(view, np.full(7, 100.0), along)  # type: ignore[arg-type]
    assert cells[0] == cells[1] == cells[5] == cells[6]
    assert len({cells[0], *cells[2:5]}) == 4


def test_a_journal_joins_drives_also_when_others_go_on_from_the_same_one() -> None:
    journal = Journal()
    first = journal.add(ROOT, np.array([1, 2], np.uint8), np.array([[0, 0, 0], [3, 0, 4]], np.float32))
    left = journal.add(first, np.array([7], np.uint8), np.array([[3, 0, 10]], np.float32))
    right = journal.add(first, np.array([9], np.uint8), np.array([[8, 0, 16]], np.float32))
    assert journal.keys_to(left).tolist() == [1, 2, 7]
    assert journal.keys_to(right).tolist() == [1, 2, 9]
    assert journal.path_to(left).tolist() == [[0, 0, 0], [3, 0, 4], [3, 0, 10]]
    assert (journal.length_m(left), journal.length_m(right)) == (11.0, 18.0)


def test_a_guide_finds_cars_on_its_line_and_leaves_out_who_missed_a_gate(track: Track) -> None:
    search = RouteSearch(track.blocks)
    course = search.course([Source(search.graph.first())], 1)
    guide = Guide(track, np.zeros((0, 3)), course)
    line = guide.zones.centers
    gate = next(t for t in track.triggers if t.kind is TriggerKind.CHECKPOINT)
    passed = int(np.flatnonzero(gate.contains(line))[0])
    zones = np.array([passed - 40, passed + 60], np.int32)
    places, above = line[zones] + np.array([0.0, 1.0, 0.0]), line[zones] + np.array([0.0, 60.0, 0.0])
    zone, near = guide.locate(places, np.diff(line, axis=0)[zones], np.array([0, 1]), [0, 1])
    assert np.abs(zone - zones).max() <= 4
    assert near.tolist() == [True, True]
    assert guide.is_near(zones, places, np.array([0, 0])).tolist() == [True, False], "the gate is missing"
    assert guide.is_near(zones, above, np.array([0, 1])).tolist() == [False, False]
    _, near = guide.locate(places, np.diff(line, axis=0)[zones], np.array([0, 1]), [0, 2])
    assert near.tolist() == [True, False], "it passed another gate"
    _, near = guide.locate(places - [0.0, 8.0, 0.0], np.diff(line, axis=0)[zones], np.array([0, 1]), [0, 1])
    assert near.tolist() == [False, False], "they drive on another road, a level lower"


def test_a_guide_leaves_out_who_fell_off_a_loop() -> None:
    """Eight metres under the line one may still fly over a gap, but not be on a pipe, a wall or a loop."""
    blocks = (
        Block("StadiumRoadMainStartLine", 3, 9, 4, 17, 0),
        Block("StadiumLoopLeft", 3, 10, 4, 15, 0),
        Block("StadiumLoopLeft", 1, 8, 4, 13, 0),
        Block("StadiumRoadMainFinishLine", 3, 10, 4, 13, 0),
    )
    looping = Track.from_challenge(Challenge(uid="loop", name="Loop", blocks=blocks))
    search = RouteSearch(looping.blocks)
    guide = Guide(looping, np.zeros((0, 3)), search.course([Source(search.graph.first())], 1))
    line = guide.zones.centers
    zones = np.array([guide.zones.start_idx + 20, guide.zones.start_idx + 260], np.int32)  # road, loop
    nothing = np.zeros(2, np.int64)
    assert guide.is_near(zones, line[zones] + np.array([0.0, -4.0, 0.0]), nothing).tolist() == [True, True]
    assert guide.is_near(zones, line[zones] + np.array([0.0, -8.0, 0.0]), nothing).tolist() == [True, False]


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


def test_a_damaged_map_is_called_damaged(
    short: BundledTrack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.Challenge.Gbx"
    cut.write_bytes(gbx.write_challenge(short.challenge)[:200])
    with pytest.raises(gbx.GbxError) as damage:
        gbx.read(cut)
    assert main(["track", "drive", str(cut)]) == 1
    assert f"No Stadium map in {cut}. 1 could not be read; the first: {damage.value}" in capsys.readouterr().err
