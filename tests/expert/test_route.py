import numpy as np
import pytest

from trackmaster.expert import Route
from trackmaster.expert.line import KNOT_M, Corridor
from trackmaster.expert.rollout import stations
from trackmaster.track import Track, TriggerKind


def test_route_runs_from_the_spawn_to_the_finish_gate_and_on(track: Track, route: Route) -> None:
    spawn = track.start.position_m[[0, 2]]
    assert np.allclose(route.points_m[0, [0, 2]], spawn, atol=1e-6)
    gate = next(t for t in track.triggers if t.kind is TriggerKind.FINISH)
    places = route.at(np.array([route.finish_m - 0.2, route.finish_m + 0.2]), np.zeros(2))
    inside = gate.contains(np.column_stack([places[:, 0], np.full(2, gate.center_m[1]), places[:, 1]]))
    assert inside.tolist() == [False, True]
    assert route.length_m > route.finish_m + 50


def test_route_knows_where_the_checkpoint_counts(track: Track, route: Route) -> None:
    checkpoint = next(t for t in track.triggers if t.kind is TriggerKind.CHECKPOINT)
    s, _, _ = route.project(checkpoint.center_m[None, [0, 2]], np.array([40]), ahead=40, behind=40)
    assert route.gates_m == pytest.approx(s - checkpoint.half_size_m[2], abs=1.0)


def test_a_place_beside_the_line_is_found_again_also_in_the_bend(route: Route) -> None:
    s = np.linspace(2.0, route.finish_m, 60)
    for offset in (-9.0, 0.0, 6.0):
        offsets = np.full_like(s, offset)
        found_s, found_offset, _ = route.project(route.at(s, offsets), s.astype(np.int64))
        assert np.abs(found_s - s).max() < 1.2
        assert np.abs(found_offset - offset).max() < 0.2


def test_offsets_count_to_the_left(track: Track, route: Route) -> None:
    left = route.at(np.zeros(1), np.full(1, 5.0))[0] - track.start.position_m[[0, 2]]
    assert left @ track.start.rotation[[0, 2], 0] == pytest.approx(5.0, abs=0.01)


def test_corridor_reaches_to_the_barriers_less_half_a_car(route: Route, corridor: Corridor) -> None:
    on_road = (corridor.knots_m > 24) & (corridor.knots_m < route.finish_m)
    assert corridor.left_m[on_road] == pytest.approx(11.5, abs=0.6)
    assert corridor.right_m[on_road] == pytest.approx(-11.5, abs=0.6)


def test_corridor_on_the_start_pad_is_the_pad(corridor: Corridor) -> None:
    assert 0 < corridor.left_m[0] < 2.2
    assert -2.2 < corridor.right_m[0] < 0


def test_smooth_line_cuts_the_bend_and_bends_less_than_the_middle(route: Route, corridor: Corridor) -> None:
    bend = np.argmax(corridor.curvature)
    assert corridor.smooth_m[bend] > 3.0, "the inside of a left bend lies to the left"
    assert 0 < corridor.curvature[bend] < 1 / 48
    assert np.all(corridor.smooth_m <= corridor.left_m)
    assert np.all(corridor.smooth_m >= corridor.right_m)


def test_planned_speed_obeys_the_bend_and_can_be_braked_down_to(corridor: Corridor) -> None:
    speed = corridor.speed_mps(25.0, 10.0)
    assert np.all(speed**2 * np.abs(corridor.curvature) <= 25.0 + 1e-6)
    assert np.all(speed[:-1] ** 2 - speed[1:] ** 2 <= 2 * 10.0 * KNOT_M + 1e-6)


def test_stations_end_at_the_finish(route: Route) -> None:
    marks = stations(route, 8.0)
    assert marks[-1] == route.finish_m
    assert np.all(np.diff(marks) > 0)
