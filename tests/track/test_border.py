"""The distance to the border is that of the road that a car stands on."""

import numpy as np
import pytest

from trackmaster.gbx import Challenge
from trackmaster.track import Track
from trackmaster.track.border import REACH_M, STEP_M, border_distance_m
from trackmaster.track.bundled import bundled_challenge
from trackmaster.track.layout import RoadLayout


@pytest.fixture(scope="module")
def straight() -> Track:
    road = RoadLayout(10, 1, 5, 0).straights(6).add("StadiumRoadMainFinishLine")
    return Track.from_challenge(Challenge(uid="straight", name="Straight", blocks=tuple(road.blocks)))


def moved(track: Track, *, aside_m: float = 0.0, ahead_m: float = 50.0, up_m: float = 0.0) -> np.ndarray:
    rotation = track.start.rotation
    offset = rotation @ np.array([aside_m, up_m, ahead_m])
    return np.asarray(track.start.position_m + offset)


def distances(track: Track, positions: list[np.ndarray], rotation: np.ndarray | None = None) -> np.ndarray:
    turned = track.start.rotation if rotation is None else rotation
    return border_distance_m(track.mesh, np.array(positions), np.tile(turned, (len(positions), 1, 1)))


def test_a_metre_aside_is_a_metre_nearer(straight: Track) -> None:
    middle, left, right, far = distances(straight, [moved(straight, aside_m=x) for x in (0.0, 3.0, -3.0, 6.0)])
    assert 4.0 < middle < REACH_M
    assert left == pytest.approx(middle - 3.0, abs=STEP_M)
    assert right == pytest.approx(middle - 3.0, abs=STEP_M)
    assert far == pytest.approx(middle - 6.0, abs=STEP_M)


def test_a_turned_car_looks_along_its_own_axle(straight: Track) -> None:
    angle = np.radians(60.0)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    straight_on = distances(straight, [moved(straight)])[0]
    across = distances(straight, [moved(straight)], straight.start.rotation @ turn)[0]
    assert across == pytest.approx(min(straight_on / np.cos(angle), REACH_M), abs=2 * STEP_M)


def test_nothing_is_said_of_a_car_that_flies_or_lies(straight: Track) -> None:
    assert np.isnan(distances(straight, [moved(straight, up_m=8.0)])[0])
    on_its_side = straight.start.rotation @ np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert np.isnan(distances(straight, [moved(straight)], on_its_side)[0])
    assert border_distance_m(straight.mesh, np.zeros((0, 3)), np.zeros((0, 3, 3))).shape == (0,)


def test_open_ground_reaches_further_than_a_road(straight: Track) -> None:
    wide = Track.from_challenge(bundled_challenge("table_top").challenge)
    middle = np.array([(9 + 0.5) * 32.0, 0.0, (13 + 0.5) * 32.0])  # in the middle of three cells of platform
    middle[1] = wide.mesh.ground_below(middle[None] + np.array([0, 300.0, 0]))[0][0] + 0.5
    assert distances(wide, [middle])[0] == REACH_M
