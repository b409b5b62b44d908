"""The catalogue's surfaces: closed where they must be, equal where blocks meet."""

import itertools

import numpy as np
import pytest

from trackmaster.track.catalogue import Clip, Exit, Site, known_blocks
from trackmaster.track.catalogue.dirt_roads import section
from trackmaster.track.catalogue.hillsides import bank
from trackmaster.track.catalogue.kerb_ends import fading_kerb
from trackmaster.track.catalogue.measured import ASPHALT_HALF_WIDTH_M, KERB_M, ROAD_SURFACE_M
from trackmaster.track.catalogue.spec import BlockSpec
from trackmaster.track.mesh import TriangleMesh
from trackmaster.track.placement import local_joint
from trackmaster.track.surface import Material
from trackmaster.track.ways import way_between

BLOCKS = list(known_blocks())
IDS = [f"{name[7:]}-{variant}" for name, variant, _ in BLOCKS]
AHEAD = np.array([[0, 0, 1], [-1, 0, 0], [0, 0, -1], [1, 0, 0]], np.float64)
ACROSS = np.array([-12.4, -11.5, -10.65, -9.0, -4.0, 0.0, 4.0, 9.0, 10.65, 11.5, 12.4])
SECTION = np.array([1.345, 1.345, 1.3718, 1.345, 1.345, 1.345, 1.345, 1.345, 1.3718, 1.345, 1.345])
INSIDE_M = 0.01
SECTIONS = {
    Clip.ROAD: SECTION,
    Clip.TILT_LEFT: SECTION + 3.981 - 0.2512 * ACROSS,
    Clip.TILT_RIGHT: SECTION + 3.981 + 0.2512 * ACROSS,
    Clip.DIRT: section(ACROSS),
    Clip.DIRT_HIGH: section(ACROSS) + 8.0,
    Clip.BANK_LEFT: bank(48.0 + ACROSS),
    Clip.BANK_RIGHT: bank(48.0 - ACROSS),
}
"""Heights over the floor across a road, as somebody who leaves sees them from the right to the left."""
TOLERANCES_M = {Clip.ROAD: 0.01, Clip.TILT_LEFT: 0.015, Clip.TILT_RIGHT: 0.015, Clip.PLATFORM: 0.03}


def mesh_of(spec: BlockSpec, *, on_ground: bool) -> TriangleMesh:
    return TriangleMesh.from_patches(spec.surfaces(Site(on_ground, frozenset())))


def heights_at(mesh: TriangleMesh, way: Exit, across: np.ndarray) -> np.ndarray:
    """Surface heights over the floor of an exit's cell, just inside of the exit."""
    middle, ahead = local_joint(way.side, way.unit), AHEAD[way.side]
    left = np.cross([0.0, 1.0, 0.0], ahead)
    points = middle - INSIDE_M * ahead + across[:, None] * left + [0, 9.0, 0]
    heights, _ = mesh.ground_below(points)
    return heights - middle[1]


@pytest.mark.parametrize(("name", "variant", "spec"), BLOCKS, ids=IDS)
def test_block_is_flush_with_its_neighbours_at_every_exit(name: str, variant: int, spec: BlockSpec) -> None:
    for on_ground in (True, False):
        mesh = mesh_of(spec, on_ground=on_ground)
        for way in spec.exits:
            expected = SECTIONS.get(way.clip, np.full(len(ACROSS), way.clip.surface_m))
            rims = slice(1, -1) if way.clip is Clip.DIRT_HIGH else slice(None)  # a dam falls outside of its rims
            tolerance = TOLERANCES_M.get(way.clip, 0.02)
            found = heights_at(mesh, way, ACROSS)
            assert found[rims] == pytest.approx(expected[rims], abs=tolerance), (name, way)


@pytest.mark.parametrize(("name", "variant", "spec"), BLOCKS, ids=IDS)
def test_block_stays_inside_its_footprint(name: str, variant: int, spec: BlockSpec) -> None:
    mesh = mesh_of(spec, on_ground=False)
    if mesh.n_triangles:
        low, high = mesh.bounds()
        assert low[0] >= -1e-3
        assert low[2] >= -1e-3
        assert high[0] <= 32 * spec.size[0] + 1e-3
        assert high[2] <= 32 * spec.size[1] + 1e-3


@pytest.mark.parametrize(("name", "variant", "spec"), BLOCKS, ids=IDS)
def test_every_free_standing_block_is_driven_on_from_above_only(name: str, variant: int, spec: BlockSpec) -> None:
    """Where a ray from above meets a surface, that surface faces up: a flipped patch would let the car fall through."""
    mesh = mesh_of(spec, on_ground=False)
    if not mesh.n_triangles:
        return
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    normals = mesh.normals()
    flat = np.abs(normals[:, 1]) > 0.3
    centers = corners.mean(axis=1)[flat & mesh.collidable]
    heights, hits = mesh.ground_below(centers + np.array([0, 50.0, 0]))
    assert np.isfinite(heights).all()
    assert (normals[hits, 1] > 0).all()
    assert (heights >= centers[:, 1] - 1e-3).all()


def test_booster_covers_the_whole_length_of_its_block() -> None:
    spec = next(spec for name, _, spec in BLOCKS if name == "StadiumRoadMainTurbo")
    mesh = mesh_of(spec, on_ground=True)
    points = np.array([[16 + x, 5.0, z] for x in (-10, 0, 10) for z in (0.1, 8.0, 31.9)])
    _, hits = mesh.ground_below(points)
    assert set(mesh.material[hits]) == {Material.TURBO}


def test_start_pad_falls_from_two_metres_to_the_road() -> None:
    spec = next(spec for name, _, spec in BLOCKS if name == "StadiumRoadMainStartLine")
    heights, _ = mesh_of(spec, on_ground=True).ground_below(np.array([[16, 5.0, z] for z in (9.0, 15.9, 22.0, 28.5)]))
    assert heights == pytest.approx([2.0, 2.0, 1.6725, 1.345], abs=0.01)


def test_barriers_stand_where_no_ghost_ever_was() -> None:
    spec = next(spec for name, variant, spec in BLOCKS if name == "StadiumRoadMain" and variant == 3)
    points = np.array([[16 + x, 5.0, 16.0] for x in (12.55, 12.65, -12.65)])
    heights, _ = mesh_of(spec, on_ground=True).ground_below(points)
    assert heights == pytest.approx([1.345, 2.145, 2.145], abs=1e-3)


def test_ways_through_blocks_have_no_gaps() -> None:
    """Points about a metre apart, also where a straight goes before a curve."""
    ways = [
        (name, way_between(spec, entry, way_out))
        for name, _, spec in BLOCKS
        for entry, way_out in itertools.permutations(spec.exits, 2)
    ]
    widest = {name: np.linalg.norm(np.diff(way, axis=0), axis=1).max() for name, way in ways if way is not None}
    assert len(widest) > 100
    assert {name: gap for name, gap in widest.items() if gap > 2.0} == {}


def test_kerbs_end_in_a_point_on_their_outer_edge() -> None:
    full, half, end = (fading_kerb(share) for share in (1.0, 0.5, 0.0))
    assert full[1:] == pytest.approx(np.add(KERB_M, (ASPHALT_HALF_WIDTH_M, 0.0)))
    assert half[:, 1].max() == pytest.approx(full[:, 1].max() / 2)
    assert half[1, 0] == pytest.approx((full[1, 0] + full[-1, 0]) / 2)
    assert end[1:] == pytest.approx(np.broadcast_to([full[-1, 0], 0.0], (len(KERB_M), 2)))


def test_the_kerb_on_a_plate_is_level_up_to_a_line_that_leads_to_its_outer_edge() -> None:
    spec = next(spec for name, _, spec in known_blocks() if name == "StadiumPlatformToRoad")
    mesh = mesh_of(spec, on_ground=True)
    across = 16.0 + ASPHALT_HALF_WIDTH_M + np.array([0.12, 0.30])
    heights, _ = mesh.ground_below(np.stack([across, np.full(2, 3.0), np.full(2, 23.4)], axis=1))
    assert heights[0] == pytest.approx(ROAD_SURFACE_M, abs=1e-4)
    assert heights[1] > ROAD_SURFACE_M + 0.005
    before, _ = mesh.ground_below(np.stack([across, np.full(2, 3.0), np.full(2, 15.0)], axis=1))
    assert before == pytest.approx(ROAD_SURFACE_M, abs=1e-4)


@pytest.mark.parametrize(
    ("degrees", "material"), [(2.0, Material.ASPHALT), (11.0, Material.ASPHALT), (11.5, Material.METAL)]
)
def test_half_a_loop_is_road_for_its_first_eleven_degrees(degrees: float, material: Material) -> None:
    spec = next(spec for name, _, spec in known_blocks() if name == "StadiumLoopLeft")
    mesh = mesh_of(spec, on_ground=True)
    angle = np.radians(degrees)
    above = np.array([[16.0 + 64.0 * angle / np.pi, 8.0, 42.6552 * np.sin(angle)]])
    _, hit = mesh.ground_below(above)
    assert mesh.material[hit[0]] == material
