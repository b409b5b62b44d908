"""Maps become tracks, or a sentence that says why not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.gbx import Block, Challenge
from trackmaster.track import Look, Material, Track, TrackError, TriggerKind
from trackmaster.track.coverage import coverage, total
from trackmaster.track.layout import RoadLayout
from trackmaster.track.route import RouteSearch, Source
from trackmaster.track.ways import Mark, Way
from trackmaster.track.whereabouts import NO_BLOCK, block_names

GROUND = 0x1000
START = Block("StadiumRoadMainStartLine", 0, 10, 1, 10, GROUND)
ROAD = Block("StadiumRoadMain", 0, 10, 1, 11, GROUND | 3)
GATE = Block("StadiumRoadMainCheckpoint", 0, 10, 1, 12, GROUND)
GOAL = Block("StadiumRoadMainFinishLine", 0, 10, 1, 13, GROUND)


def challenge(*blocks: Block, **fields: object) -> Challenge:
    return Challenge(uid="test", name="a test", environment="Stadium", blocks=blocks, **fields)


@pytest.mark.parametrize(("direction", "forward"), [(0, (0, 0, 1)), (1, (-1, 0, 0)), (2, (0, 0, -1)), (3, (1, 0, 0))])
def test_start_pose_stands_behind_the_centre_and_looks_ahead(direction: int, forward: tuple[int, int, int]) -> None:
    blocks = RoadLayout(10, 1, 10, direction).straights(1).add("StadiumRoadMainFinishLine").blocks
    start = Track.from_challenge(challenge(*blocks)).start
    middle = np.array([10.5 * 32, 8 + 2.21, 10.5 * 32])
    assert start.rotation[:, 2] == pytest.approx(forward)
    assert start.position_m == pytest.approx(middle - 4.80 * np.array(forward))
    assert np.linalg.det(start.rotation) == pytest.approx(1.0)


@pytest.mark.parametrize("direction", range(4))
def test_triggers_count_at_the_measured_planes_from_both_sides(direction: int) -> None:
    blocks = RoadLayout(12, 1, 12, direction).straights(1).add("StadiumRoadMainCheckpoint")
    track = Track.from_challenge(challenge(*blocks.add("StadiumRoadMainFinishLine").blocks))
    gate, goal = track.triggers
    assert (gate.kind, goal.kind) == (TriggerKind.CHECKPOINT, TriggerKind.FINISH)
    forward = track.start.rotation[:, 2]
    for trigger, plane in ((gate, 2.43), (goal, 6.41)):
        middle = trigger.center_m * [1, 0, 1] + [0, 9.37, 0]
        for side in (-1, 1):
            assert trigger.contains(middle + side * forward * (plane - 0.01)).all()
            assert not trigger.contains(middle + side * forward * (plane + 0.01)).any()
    assert gate.respawn.position_m[1] == pytest.approx(8 + 1.57)


def test_equal_blocks_in_the_same_place_count_once() -> None:
    once, thrice = (Track.from_challenge(challenge(START, GOAL, *[ROAD, GATE] * n)) for n in (1, 3))
    assert thrice.mesh.n_triangles == once.mesh.n_triangles
    assert thrice.n_checkpoints == once.n_checkpoints == 1
    turned = Block("StadiumRoadMain", 2, 10, 1, 11, GROUND | 3)
    assert Track.from_challenge(challenge(START, GOAL, ROAD, GATE, turned)).mesh.n_triangles > once.mesh.n_triangles


@pytest.mark.parametrize("direction", range(4))
def test_a_road_that_ends_before_a_filler_has_a_lip_of_metal(direction: int) -> None:
    layout = RoadLayout(10, 4, 10, direction).straights(1)
    blocks = (*layout.blocks, Block("StadiumRoadMainFinishLine", 0, 20, 4, 20, 0))
    dx, dz = ((0, 1), (-1, 0), (0, -1), (1, 0))[direction]
    filler = Block("StadiumGrassClip", 0, 10 + 2 * dx, 4, 10 + 2 * dz, 0)
    end = (np.array([10.5, 0, 10.5]) + 1.5 * np.array([dx, 0, dz])) * 32 + [0, 40, 0]
    beyond = end + np.array([[dx, 0, dz]]) * [[1.84], [1.86]]
    for map_blocks, expected in ((blocks, [False, False]), ((*blocks, filler), [True, False])):
        mesh = Track.from_challenge(challenge(*map_blocks)).mesh
        height, hit = mesh.ground_below(beyond)
        assert (np.abs(height - 33.3448) < 1e-3).tolist() == expected
    assert mesh.material[hit[0]] == Material.METAL


@pytest.mark.parametrize(("dirt_level", "has_lip"), [(1, True), (3, False), (4, False)])
def test_a_road_over_dirt_has_a_lip_only_high_above_it(dirt_level: int, has_lip: bool) -> None:
    blocks = (*RoadLayout(10, 4, 10, 0).straights(1).blocks, Block("StadiumRoadMainFinishLine", 0, 20, 4, 20, 0))
    behind = (Block("StadiumDirtClip", 0, 10, 4, 12, 0), Block("StadiumDirt", 0, 10, dirt_level, 12, GROUND))
    mesh = Track.from_challenge(challenge(*blocks, *behind)).mesh
    height, _ = mesh.ground_below(np.array([[336.0, 60.0, 12 * 32 + 1.0]]))
    assert (abs(height[0] - 33.3448) < 1e-3) == has_lip


def test_the_lip_of_a_slope_goes_on_with_it() -> None:
    blocks = (START, Block("StadiumRoadMainSlopeStraight", 0, 10, 1, 11, 0), Block("StadiumGrassClip", 0, 10, 2, 12, 0))
    mesh = Track.from_challenge(challenge(*blocks, Block("StadiumRoadMainFinishLine", 0, 20, 4, 20, 0))).mesh
    height, _ = mesh.ground_below(np.array([[336.0, 40.0, 12 * 32 + 1.0]]))
    assert height[0] == pytest.approx(8 + 8 + 1.3448 + 0.25, abs=1e-3)


def test_a_place_is_named_after_the_block_under_it() -> None:
    track = Track.from_challenge(challenge(START, ROAD, GATE, GOAL))
    places = np.array([[336.0, 9.4, 370.0], [336.0, 9.4, 400.0], [10.0, 9.4, 10.0]])
    assert block_names(track, places).tolist() == ["StadiumRoadMain", "StadiumRoadMainCheckpoint", NO_BLOCK]


def test_a_map_with_too_many_triangles_is_refused() -> None:
    heavy = "StadiumRoadDirtHillTiltToRoadRight"
    cells = [(x, y, z) for x in range(28) for y in range(5, 25) for z in range(28)]
    blocks = [Block(heavy, 0, *cell) for cell in cells]
    with pytest.raises(TrackError, match=r"15682 known blocks .* triangles, at most 3000000 are possible"):
        Track.from_challenge(challenge(*blocks, START, GOAL))


def test_grass_covers_the_whole_map_under_everything() -> None:
    track = Track.from_challenge(challenge(START, ROAD, GOAL))
    grass = track.mesh.look == Look.GRASS
    corners = track.mesh.vertices[track.mesh.triangles[grass]].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert areas.sum() == pytest.approx(1024.0**2)
    assert np.unique(corners[..., 1]) == pytest.approx([9.0])


def test_water_takes_the_place_of_the_grass_and_has_banks_only_around_it() -> None:
    pond = [Block("StadiumWater", 0, x, 0, 20, GROUND) for x in (5, 6, 7)]
    mesh = Track.from_challenge(challenge(START, ROAD, GOAL, *pond)).mesh
    heights, _ = mesh.ground_below(np.array([[x, 30.0, 20.5 * 32] for x in (4.9 * 32, 5.1 * 32, 6.0 * 32, 8.1 * 32)]))
    assert heights == pytest.approx([9.0, 2.0, 2.0, 9.0])
    banks = (mesh.look == Look.WALL) & (mesh.vertices[mesh.triangles][:, :, 1].min(axis=1) == 2.0)
    assert banks.sum() == 2 * 8
    assert not mesh.collidable[mesh.look == Look.WATER].any()


def test_dirt_roads_take_the_place_of_the_dirt_under_them_and_hills_meet_their_neighbours() -> None:
    dirt = [Block("StadiumDirt", 0, x, 0, z, GROUND) for x in (3, 4) for z in (3, 4)]
    lane = Block("StadiumRoadDirt", 0, 3, 1, 3, GROUND | 3)
    hill = [Block("StadiumDirtHill", 2, x, 2, 5, GROUND | 5) for x in (3, 4)]  # looks down towards -z
    top = [Block("StadiumDirt", 0, x, 2, 6, GROUND) for x in (3, 4)]
    mesh = Track.from_challenge(challenge(START, ROAD, GOAL, *dirt, lane, *hill, *top)).mesh
    spots = np.array(
        [[112, 80, 112], [144, 80, 112], [112, 80, 159.99], [112, 80, 176], [112, 80, 191.99], [112, 80, 200]]
    )
    heights, hits = mesh.ground_below(spots)
    assert heights == pytest.approx([7.395, 9.0, 9.0, 17.0, 25.0, 25.0], abs=0.01)
    assert set(mesh.material[hits]) == {6}


def test_walls_that_continue_each_other_have_no_faces_between_them() -> None:
    column = [Block("StadiumPlatformWall4", 0, 20, y, 20) for y in (3, 7)]
    alone = Track.from_challenge(challenge(START, ROAD, GOAL, column[0])).mesh.n_triangles
    both = Track.from_challenge(challenge(START, ROAD, GOAL, *column)).mesh.n_triangles
    none = Track.from_challenge(challenge(START, ROAD, GOAL)).mesh.n_triangles
    assert both - none == 2 * (alone - none) - 2 * 2


def test_unknown_drivable_blocks_are_named_and_refused_unless_allowed() -> None:
    strange = [Block("StadiumMoonLoop", 0, x, 1, 3) for x in (3, 6)] + [Block("StadiumMoonBase", 0, 1, 1, 1)]
    map_ = challenge(START, ROAD, GOAL, Block("StadiumTubePillar", 0, 2, 1, 2), *strange)
    with pytest.raises(TrackError, match=r"StadiumMoonLoop \(2x\), StadiumMoonBase \(1x\)"):
        Track.from_challenge(map_)
    track = Track.from_challenge(map_, allow_unknown=True)
    assert (track.coverage.supported, track.coverage.scenery, track.coverage.drivable) == (3, 1, 6)
    assert track.coverage.share == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ((ROAD, GOAL), "no start block"),
        ((START, START._replace(x=20), GOAL), "2 start blocks"),
        ((START, ROAD), "no finish block"),
        ((START, ROAD, GOAL, ROAD._replace(x=32)), "outside of the 32 x 32 x 32 grid"),
        ((START, GOAL, Block("StadiumRoadMainGTCurve5", 0, 29, 1, 3, GROUND)), "outside of the 32 x 32 x 32 grid"),
    ],
)
def test_maps_that_cannot_be_raced_end_in_a_sentence(blocks: tuple[Block, ...], expected: str) -> None:
    with pytest.raises(TrackError, match=expected):
        Track.from_challenge(challenge(*blocks))


def test_other_environments_are_refused() -> None:
    with pytest.raises(TrackError, match="'Island'"):
        Track.from_challenge(Challenge(uid="x", name="bay", environment="Island", blocks=(START, ROAD, GOAL)))


def test_laps_count_only_on_multilap_maps() -> None:
    assert Track.from_challenge(challenge(START, ROAD, GOAL, laps=5)).laps == 1
    assert Track.from_challenge(challenge(START, ROAD, GOAL, laps=5, is_multilap=True)).laps == 5


NAMES = st.sampled_from(
    ["StadiumRoadMain", "StadiumRoadMainStartLine", "StadiumRoadMainFinishLine", "StadiumRoadMainCheckpoint",
     "StadiumRoadMainGTCurve2", "StadiumCircuitBase", "StadiumPlatformCheckpoint", "StadiumTube", "StadiumNobody",
     "StadiumRoadMainStartFinishLine", "StadiumRoadMainBiSlopeStart"]
)  # fmt: skip
CELL = st.integers(0, 12)
HOSTILE = st.builds(Block, name=NAMES, direction=st.integers(0, 3), x=CELL | st.integers(-5, 300), y=st.integers(0, 33),
                    z=CELL, flags=st.sampled_from([0, 1, 2, 3, 4, 5, 0x1003, 63]))  # fmt: skip


def test_laps_beyond_all_reason_are_a_sentence() -> None:
    assert Track.from_challenge(challenge(START, ROAD, GOAL, laps=1_000, is_multilap=True)).laps == 1_000
    assert Track.from_challenge(challenge(START, ROAD, GOAL, laps=2**31 - 1)).laps == 1
    for laps in (1_001, 2**31 - 1):
        with pytest.raises(TrackError, match=rf"asks for {laps} laps, at most 1000 are possible\."):
            Track.from_challenge(challenge(START, ROAD, GOAL, laps=laps, is_multilap=True))


@settings(max_examples=60, deadline=None)
@given(blocks=st.lists(HOSTILE, max_size=60), laps=st.integers(-1, 3), allow=st.booleans())
def test_any_list_of_blocks_becomes_a_track_or_a_sentence(blocks: list[Block], laps: int, allow: bool) -> None:
    try:
        track = Track.from_challenge(challenge(*blocks, laps=laps, is_multilap=True), allow_unknown=allow)
        line = track.centre_line()
    except TrackError:
        return
    assert np.isfinite(line).all()
    assert np.isfinite(track.mesh.vertices).all()


def test_ten_thousand_blocks_with_an_unreachable_checkpoint_do_not_hang() -> None:
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 32, (10_000, 2))
    field = [Block("StadiumCircuitBase", int(rng.integers(4)), int(x), 3, int(z)) for x, z in cells]
    gates = [Block("StadiumPlatformCheckpoint", 0, int(x), 3, int(z)) for x, z in rng.integers(0, 32, (40, 2))]
    island = Block("StadiumPlatformCheckpoint", 0, 5, 20, 5)
    blocks = [START._replace(y=4, flags=0), *field, *gates, island, GOAL._replace(y=4, x=20, flags=0)]
    with pytest.raises(TrackError, match="No connected road"):
        Track.from_challenge(challenge(*blocks)).centre_line()


def test_line_drops_from_a_road_to_the_platform_it_stands_on() -> None:
    field = [Block("StadiumCircuitBase", 0, 10, 2, z) for z in range(10, 16)]
    goal = Block("StadiumRoadMainFinishLine", 0, 10, 3, 15)
    line = Track.from_challenge(challenge(START._replace(y=3, flags=0), *field, goal)).centre_line()
    on_platform = (line[:, 2] > 11.1 * 32) & (line[:, 2] < 14.9 * 32)
    assert line[on_platform, 1] == pytest.approx(24.0)
    assert line[0, 1] == line[-1, 1] == pytest.approx(25.3448)


def test_line_flies_over_a_gap_and_out_of_a_pipe() -> None:
    road = RoadLayout(5, 3, 5, 0).straights(2).blocks
    far = RoadLayout(5, 2, 12, 0, name="StadiumRoadMainCheckpoint").straights(1).add("StadiumRoadMainFinishLine").blocks
    line = Track.from_challenge(challenge(*road, *far)).centre_line()
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 1.6
    assert line[0, 1] == pytest.approx(25.3448)
    assert line[-1] == pytest.approx([176.0, 17.3448, 14 * 32 + 16 - 6.41])
    pipe = [Block("StadiumPlatformToRoad", 2, 5, 3, 8), Block("StadiumPlatformLoopStart", 2, 5, 3, 9)]
    beside = [Block("StadiumPlatformToRoad", 2, 6, 3, 8), Block("StadiumPlatformLoopStart", 2, 6, 3, 9)]
    back = RoadLayout(6, 3, 7, 2, name="StadiumRoadMainCheckpoint").add("StadiumRoadMainFinishLine").blocks
    line = Track.from_challenge(challenge(*road, *pipe, *beside, *back)).centre_line()
    assert line[-1, 0] == pytest.approx(6.5 * 32)


def test_line_crosses_open_grass_to_a_gate_on_it() -> None:
    road = RoadLayout(5, 1, 5, 0).straights(2).blocks
    gate = Block("StadiumGrassCheckpoint", 3, 9, 1, 12)  # passed along x
    goal = Block("StadiumRoadMainFinishLine", 3, 14, 1, 12)
    line = Track.from_challenge(challenge(*road, gate, goal)).centre_line()
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 1.6
    assert np.linalg.norm(line[:, [0, 2]] - [9.5 * 32, 12.5 * 32], axis=1).min() < 4.0
    assert line[-1] == pytest.approx([14 * 32 + 16 - 6.41, 9.3448, 12.5 * 32])


def test_line_flies_down_rather_than_up_to_where_no_car_can_fly() -> None:
    road = RoadLayout(5, 3, 5, 0).straights(2).blocks
    up = Block("StadiumRoadMainFinishLine", 0, 5, 5, 9)
    down = Block("StadiumRoadMainFinishLine", 0, 5, 1, 13, 0)
    line = Track.from_challenge(challenge(*road, up, down)).centre_line()
    assert line[-1, 1] == pytest.approx(9.3448)
    only_up = Track.from_challenge(challenge(*road, up)).centre_line()
    assert only_up[-1, 1] == pytest.approx(41.3448), "the last resort"


def test_a_discouraged_place_is_driven_around_and_a_lap_can_be_ended_from_anywhere() -> None:
    field = [Block("StadiumCircuitBase", 0, x, 2, z) for x in (9, 10, 11) for z in range(10, 16)]
    goal = Block("StadiumRoadMainFinishLine", 0, 10, 3, 15)
    search = RouteSearch(Track.from_challenge(challenge(START._replace(y=3, flags=0), *field, goal)).blocks)
    start = Source(search.graph.first())
    straight = search.course([start], 1).points_m
    assert np.ptp(straight[:, 0]) < 0.1
    middle = straight[len(straight) // 2]
    for _ in range(2):
        search.graph.discourage(Mark(middle, np.array([0.0, 0.0, 1.0])))
    around = search.course([start], 1).points_m
    assert np.linalg.norm(around - middle, axis=1).min() > 10.0
    on_field = Source(search.graph.from_place(np.array([11.5 * 32, 24.0, 13.5 * 32]), np.array([0.0, 0.0, 1.0])))
    course = search.course([start, on_field], 1)
    assert course.source == 1
    assert course.points_m[0] == pytest.approx([11.5 * 32, 24.0, 13.5 * 32])
    nowhere = search.graph.from_place(np.array([11.5 * 32, 90.0, 13.5 * 32]), np.array([0.0, 0.0, 1.0]))
    assert not nowhere, "no block is under a car in the air"


def test_what_a_way_costs_does_not_depend_on_ways_that_are_gone() -> None:
    graph = RouteSearch(Track.from_challenge(challenge(START, ROAD, GATE, GOAL)).blocks).graph
    ahead = np.array([[0.0, 9.0, 0.0], [0.0, 9.0, 10.0]])
    graph.discourage(Mark(ahead[0], np.array([0.0, 0.0, 1.0])))
    costs = [graph.cost_m(Way(None, ahead + np.array([500.0 * (k % 2), 0.0, 0.0]), 10.0, None)) for k in range(20)]
    assert costs == [210.0, 10.0] * 10


def test_laps_repeat_the_line_without_going_back() -> None:
    ring = RoadLayout(10, 1, 10, 0, name="StadiumRoadMainStartFinishLine").straights(1).add("StadiumRoadMainCheckpoint")
    blocks = ring.left(2).straights(1).left(2).straights(3).left(2).straights(1).left(2).blocks
    one = Track.from_challenge(challenge(*blocks)).centre_line()
    three = Track.from_challenge(challenge(*blocks, laps=3, is_multilap=True)).centre_line()
    steps = np.diff(three, axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 1.6
    turns = np.sum(steps[1:] * steps[:-1], axis=1)
    assert (turns > 0).all(), "never backwards"
    lengths = [np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in (one, three)]
    assert lengths[1] > 2.9 * lengths[0]


def test_coverage_table_has_a_row_per_map_and_a_total() -> None:
    rows = coverage([challenge(START, ROAD, GOAL), challenge(START, Block("StadiumMoonLoop", 0, 1, 1, 1))])
    assert rows[0].cells() == ("a test", "3", "3", "100.0 %", "")
    assert rows[1].cells()[3:] == ("50.0 %", "StadiumMoonLoop (1x)")
    assert total(rows).share == pytest.approx(0.8)
