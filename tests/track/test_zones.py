"""Progress along a line: the vectorised walk against a plain one, ties, and the fixed offsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.gbx import Block
from trackmaster.track import TrackError, ZoneMap, gate_points, line_from_path

LOOP = np.array([[100 * np.cos(a), 9.4, 100 * np.sin(a)] for a in np.linspace(0, 5.5, 400)])
LINE = line_from_path(LOOP).points_m


def plain_advance(zones: ZoneMap, i: int, p: np.ndarray, gates: dict[int, np.ndarray]) -> int:
    """The walk of the reference, one car at a time."""
    z, last = zones.centers, len(zones.centers) - 1 - 1000
    dist = lambda k: float(np.linalg.norm(z[k] - p))  # noqa: E731
    reach = (0.25**2 + 45.0**2) ** 0.5
    while i < last and dist(i + 1) <= dist(i) and dist(i + 1) <= reach:
        if i in gates and np.linalg.norm(gates[i] - p) > 12:
            break
        i += 1
    while i >= 2 and dist(i - 1) < dist(i) and dist(i - 1) <= reach:
        i -= 1
    return i


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 12), steps=st.integers(1, 25), with_gates=st.booleans())
def test_batched_walk_equals_the_plain_one(seed: int, n: int, steps: int, with_gates: bool) -> None:
    rng = np.random.default_rng(seed)
    gates = LINE[[150, 600]] + [0, -1.0, 2.0] if with_gates else None
    zones = ZoneMap(LINE, gates)
    tied = {i: zones._tie[i] for i in np.flatnonzero(~np.isnan(zones._tie[:, 0]))}
    assert len(tied) == (2 if with_gates else 0)
    batch, single = zones.start(n), [20] * n
    places, walked = [], []
    position = np.repeat(LINE[:1], n, axis=0)
    for _ in range(steps):
        position = position + rng.normal(0, [8.0, 0.2, 8.0], (n, 3))
        if rng.random() < 0.2:
            position = LINE[rng.integers(len(LINE), size=n)] + rng.normal(0, 5.0, (n, 3))
        batch = zones.advance(batch, position)
        single = [plain_advance(zones, i, p, tied) for i, p in zip(single, position, strict=True)]
        assert batch.tolist() == single
        places.append(position[0])
        walked.append(single[0])
        metres = zones.progress_m(batch, position)
        assert ((metres >= 0) & (metres <= zones.finish_m + 1)).all()
    assert zones.follow(np.array(places)).tolist() == walked


def test_directions_lie_along_the_line() -> None:
    zones = ZoneMap(LINE)
    zone = np.array([200, 700, 1500], np.int32)
    chord = zones.centers[zone + 1] - zones.centers[zone - 1]
    along = zones.directions(zone)
    assert np.linalg.norm(along, axis=1) == pytest.approx(1.0)
    assert np.sum(along * chord / np.linalg.norm(chord, axis=1, keepdims=True), axis=1).min() > 0.999


def test_loaded_line_is_1020_points_longer_and_starts_in_zone_20() -> None:
    zones = ZoneMap(LINE)
    assert len(zones.centers) == len(LINE) + 1020
    assert zones.start_idx == 20
    assert zones.finish_idx == len(zones.centers) - 1000


def test_metres_at_the_start_are_nineteen_and_a_half_steps() -> None:
    straight = line_from_path(np.array([[0.0, 0, 0], [0, 0, 200.25]])).points_m
    zones = ZoneMap(straight)
    metres = zones.progress_m(zones.start(1), straight[:1])
    assert metres[0] == pytest.approx(9.75, abs=0.01)
    assert zones.start_m == pytest.approx(metres[0], abs=0.01)


def test_finish_constant_lies_two_zones_behind_the_finish() -> None:
    straight = line_from_path(np.array([[0.0, 0, 0], [0, 0, 200.25]])).points_m
    zones = ZoneMap(straight)
    assert zones.true_finish_m - zones.start_m == pytest.approx(200.25, abs=0.02)
    assert zones.finish_m - zones.true_finish_m == pytest.approx(1.0, abs=0.01)


def test_tied_zone_is_left_only_near_its_gate() -> None:
    straight = line_from_path(np.array([[0.0, 0, 0], [0, 0, 400.0]])).points_m
    gate = np.array([[11.0, 0.0, 100.0]])
    zones = ZoneMap(straight, gate)
    tied = int(np.flatnonzero(~np.isnan(zones._tie[:, 0]))[0])
    far_side = np.array([[-10.0, 0.0, 140.0]])
    assert zones.advance(zones.start(1), np.array([[0.0, 0.0, 40.0]]))[0] < tied
    held = zones.start(1)
    for z in range(0, 141, 4):
        held = zones.advance(held, np.array([[-10.0, 0.0, float(z)]]))
    assert held[0] == tied
    assert ZoneMap(straight).advance(held, far_side)[0] > tied + 70
    passed = zones.advance(held, np.array([[3.0, 0.0, 102.0]]))
    assert zones.advance(passed, far_side)[0] > tied + 70


def test_cars_below_the_deck_keep_their_zone() -> None:
    zones = ZoneMap(LINE)
    ahead = LINE[40:41]
    assert zones.advance(zones.start(1), ahead, deck_height_m=20.0)[0] == 20
    assert zones.advance(zones.start(1), ahead)[0] == 60


def test_parallel_road_beyond_45_metres_does_not_count() -> None:
    straight = line_from_path(np.array([[0.0, 0, 0], [0, 0, 400.0]])).points_m
    zones = ZoneMap(straight)
    assert zones.advance(zones.start(1), np.array([[46.0, 0.0, 200.0]]))[0] == 20


def test_points_ahead_are_every_tenth_metre_and_never_run_out() -> None:
    straight = line_from_path(np.array([[0.0, 0, 0], [0, 0, 200.25]])).points_m
    zones = ZoneMap(straight)
    points = zones.ahead(np.array([20, zones.finish_idx - 1], np.int32))
    assert points.shape == (2, 40, 3)
    assert np.diff(points[..., 2], axis=1) == pytest.approx(10.0, abs=0.02)


def test_gates_come_from_exact_block_families() -> None:
    blocks = [
        Block("StadiumRoadMainStartLine", 0, 1, 1, 2),
        Block("StadiumRoadDirtHighCheckpoint", 0, 3, 2, 4),
        Block("StadiumRoadMainCheckpointLeft", 0, 5, 6, 7),
        Block("StadiumHolePillar2Line", 0, 8, 8, 8),
        Block("StadiumRoadMain", 0, 9, 9, 9),
    ]
    assert gate_points(blocks) == pytest.approx(np.array([[48, 8, 80], [112, 23, 144], [176, 53, 240]]))


def test_short_lines_are_refused() -> None:
    with pytest.raises(TrackError, match="N >= 4"):
        ZoneMap(np.zeros((3, 3)))
