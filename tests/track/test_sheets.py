"""Ways over pipes, walls and big loops lie on their surfaces, meet where the blocks meet, and make up whole loops."""

import itertools

import numpy as np
import pytest

from trackmaster.gbx import Block, Challenge
from trackmaster.track import Track
from trackmaster.track.catalogue import Site, lookup
from trackmaster.track.mesh import F64, TriangleMesh
from trackmaster.track.placement import PlacedBlock
from trackmaster.track.route import RouteSearch, Source
from trackmaster.track.sheets import FLOOR, join_of, opposite, sheet_of, spot_of

NAMES = [
    "StadiumPlatformLoopStart",
    "StadiumCircuitLoopStart",
    "StadiumPlatformLoopEnd",
    "StadiumPlatformWallBorder",
    "StadiumPlatformWallPub2",
    "StadiumPlatformWall4",
    "StadiumPlatformGTCurve2Wall2",
    "StadiumPlatformGTCurve3Wall4",
    "StadiumLoopLeft",
    "StadiumLoopRight",
]


def placed(name: str, direction: int = 0, place: tuple[int, int, int] = (10, 5, 10)) -> PlacedBlock:
    spec = lookup(name, 0)
    assert spec is not None
    return PlacedBlock(0, Block(name, direction, *place, 0), spec)


def off_surface_m(points: F64, corners: F64) -> F64:
    """Return how far each point (k, 3) is from the nearest of the triangles (n, 3, 3) that it lies above or below."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1)
    normal = normal[area > 1e-9] / area[area > 1e-9, None]
    a, b, c = a[area > 1e-9], b[area > 1e-9], c[area > 1e-9]
    apart = np.einsum("knj,nj->kn", points[:, None] - a, normal)
    foot = points[:, None] - apart[..., None] * normal
    inside = np.ones(apart.shape, np.bool_)
    for first, second in ((a, b), (b, c), (c, a)):
        side = np.cross(second - first, foot - first)
        inside &= np.einsum("knj,nj->kn", side, normal) > -0.1 * np.linalg.norm(second - first, axis=1)
    nearest: F64 = np.where(inside, np.abs(apart), np.inf).min(axis=1)
    return nearest


@pytest.mark.parametrize("name", NAMES)
def test_ways_lie_on_the_surface_between_the_middles_of_two_edges(name: str) -> None:
    sheet, spec = sheet_of(name), lookup(name, 0)
    assert sheet is not None
    assert spec is not None
    mesh = TriangleMesh.from_patches(spec.surfaces(Site(False, frozenset())))
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    assert set(spec.exits) <= set(sheet.ports), "what the catalogue calls an exit is one here, too"
    for entry, way_out in itertools.permutations(sheet.ports, 2):
        points = sheet.way(entry, way_out)
        assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() < 2.0
        assert points[0] == pytest.approx(sheet.spot(entry))
        assert points[-1] == pytest.approx(sheet.spot(way_out))
        assert off_surface_m(points, corners).max() < 0.2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (placed("StadiumPlatformLoopStart", 1), placed("StadiumPlatformWall4", 1, (10, 9, 10))),
        (placed("StadiumPlatformWall4", 1), placed("StadiumPlatformLoopEnd", 1, (10, 9, 10))),
        (placed("StadiumPlatformLoopEnd", 1), placed("StadiumPlatformLoopEnd", 3, (9, 5, 10))),
        (placed("StadiumPlatformLoopStart", 2), placed("StadiumPlatformLoopStart", 2, (11, 5, 10))),
        (placed("StadiumPlatformWall2"), placed("StadiumPlatformGTCurve2Wall4", 0, (11, 5, 10))),
        (placed("StadiumPlatformGTCurve2Wall4", 0, (11, 5, 10)), placed("StadiumPlatformWall1", 1, (12, 5, 12))),
        (placed("StadiumLoopLeft", 3, (10, 4, 15)), placed("StadiumLoopLeft", 1, (8, 4, 13))),
    ],
)
def test_blocks_that_continue_each_other_have_an_edge_in_one_place(first: PlacedBlock, second: PlacedBlock) -> None:
    met = []
    sheets = sheet_of(first.block.name), sheet_of(second.block.name)
    assert sheets[0] is not None
    assert sheets[1] is not None
    for way, other in itertools.product(sheets[0].ports, sheets[1].ports):
        touch = first.joint(way.side, way.unit) == second.joint(other.side, other.unit)
        face = first.world_side(way.side) == opposite(second.world_side(other.side))
        if touch and face and join_of(first, way) == join_of(second, other) != FLOOR:
            met.append((spot_of(first, way), spot_of(second, other)))
    assert len(met) == 1
    assert met[0][0] == pytest.approx(met[0][1], abs=0.01)


def test_walls_that_look_away_from_each_other_do_not_join() -> None:
    first, second = placed("StadiumPlatformWall4", 0), placed("StadiumPlatformWall4", 2, (11, 5, 10))
    joins = {join_of(item, way) for item in (first, second) for way in sheet_of(item.block.name).ports}  # type: ignore[union-attr]
    assert joins == {"upwards 0", "wall 0", "upwards 2", "wall 2"}


def line_of(*blocks: Block) -> F64:
    return Track.from_challenge(Challenge(uid="loops", name="Loops", blocks=blocks)).centre_line()


def test_a_line_goes_through_two_halves_of_a_big_loop() -> None:
    line = line_of(
        Block("StadiumRoadMainStartLine", 3, 9, 4, 17, 0),
        Block("StadiumLoopLeft", 3, 10, 4, 15, 0),
        Block("StadiumLoopLeft", 1, 8, 4, 13, 0),
        Block("StadiumRoadMainFinishLine", 3, 10, 4, 13, 0),
    )
    top = line[np.argmax(line[:, 1])]
    assert top == pytest.approx([320.0, 32.0 + 86.65, 496.0], abs=0.1)
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 2.0
    assert line[-1][[1, 2]] == pytest.approx([33.34, 432.0], abs=0.1)


def test_a_line_goes_up_a_wall_and_sideways_over_the_ceiling_of_a_loop() -> None:
    columns = [
        block
        for z in (19, 20)
        for block in (
            Block("StadiumPlatformLoopEnd", 3, 15, 9, z, 0),
            Block("StadiumPlatformLoopEnd", 1, 16, 9, z, 0),
        )
    ]
    line = line_of(
        Block("StadiumRoadMainStartLine", 3, 14, 1, 19, 0x1000),
        Block("StadiumPlatformToRoad", 1, 15, 1, 19, 0x1000),
        Block("StadiumPlatformLoopStart", 1, 16, 1, 19, 0x1000),
        Block("StadiumPlatformWall4", 1, 16, 5, 19, 0),
        *columns,
        Block("StadiumPlatformLoopStart", 3, 15, 5, 20, 0),
        Block("StadiumPlatformToRoad", 3, 16, 5, 20, 0),
        Block("StadiumRoadMainFinishLine", 3, 17, 5, 20, 0),
    )
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 2.0
    assert line[:, 1].max() == pytest.approx(72.0 + 30.655, abs=0.2)
    crossing = line[np.argmax(line[:, 1])]
    assert crossing[0] == pytest.approx(512.0, abs=0.1), "upside down between the two ceilings"
    assert line[:, 0].min() < 490.0 < 540.0 < line[:, 0].max()


def test_to_fall_off_a_level_edge_backwards_is_the_last_resort() -> None:
    """The finish stands beside and above the road, which ends in the air, or leads into a pipe there."""

    def cost_m(end: str) -> float:
        blocks = (
            Block("StadiumRoadMainStartLine", 2, 10, 4, 12, 0),
            Block("StadiumPlatformToRoad", 0, 10, 4, 11, 0),
            *([Block("StadiumPlatformLoopStart", 0, 10, 4, 10, 0)] if end == "pipe" else []),
            Block("StadiumRoadMainFinishLine", 0, 14, 5, 14, 0),
        )
        track = Track.from_challenge(Challenge(uid=end, name=end, blocks=blocks))
        search = RouteSearch(track.blocks)
        return sum(way.cost_m for way in search.course([Source(search.graph.first())], 1).ways)

    assert cost_m("edge") > 1_000.0 + cost_m("pipe")


def test_a_line_rides_along_pipes_where_the_road_beside_them_is_missing() -> None:
    line = line_of(
        Block("StadiumRoadMainStartLine", 2, 14, 4, 23, 0),
        Block("StadiumPlatformToRoad2Mirror", 2, 14, 4, 21, 0),
        *(Block("StadiumPlatformLoopStart", 1, 15, 4, z, 0) for z in range(16, 23)),
        Block("StadiumPlatformToRoad2", 0, 14, 4, 16, 0),
        Block("StadiumRoadMainFinishLine", 2, 14, 4, 15, 0),
    )
    over_gap = line[(line[:, 2] > 580.0) & (line[:, 2] < 660.0)]
    assert over_gap[:, 0] == pytest.approx(np.full(len(over_gap), 498.0), abs=1.0)
    assert over_gap[:, 1] == pytest.approx(np.full(len(over_gap), 39.2), abs=0.5)
