"""Frame times, names, and a car between two samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster.capture import CaptureError, planned_ticks
from trackmaster.capture.interpolate import bracket, hermite, jumps, rotation_of, slerp
from trackmaster.capture.plan import frame_name
from trackmaster.capture.replay import meta_ticks


def test_frames_are_taken_on_the_first_tick_not_before_their_time() -> None:
    assert planned_ticks(64, 100).tolist() == [0, 20, 40, 50, 70, 80, 100]
    assert planned_ticks(10, 250).tolist() == [0, 100, 200]
    assert planned_ticks(100, 30).tolist() == [0, 10, 20, 30]
    assert planned_ticks(30, 100).tolist() == [0, 40, 70, 100]
    assert planned_ticks(1, 0).tolist() == [0]
    assert planned_ticks(1, -10).tolist() == []


@settings(deadline=None)
@given(fps=st.floats(0.5, 100), end=st.integers(0, 20_000))
def test_every_planned_frame_is_on_time_and_on_its_own_tick(fps: float, end: int) -> None:
    ticks = planned_ticks(fps, end)
    due = np.arange(len(ticks)) * 1_000 / fps
    assert (ticks % 10 == 0).all()
    assert (np.diff(ticks) > 0).all()
    assert (ticks >= due - 1e-3).all()
    assert (ticks < due + 10 + 1e-3).all()
    assert ticks[-1] <= end < len(ticks) * 1_000 / fps + 10


@pytest.mark.parametrize("fps", [0, -1, 100.5, float("nan")])
def test_impossible_frame_rates_are_refused(fps: float) -> None:
    with pytest.raises(CaptureError, match="at most 100"):
        planned_ticks(fps, 100)


def test_names_carry_step_and_race_time() -> None:
    assert frame_name(7, 1_230) == "frame_00007_1230ms.jpeg"
    assert frame_name(123_456, 0) == "frame_123456_0ms.jpeg"


def test_snapshots_are_taken_with_the_frames_and_at_ghost_samples() -> None:
    frames_ms = np.array([0, 40, 100])
    assert meta_ticks(20, 200, frames_ms).tolist() == [0, 40, 50, 90, 100, 150, 190, 200]
    assert meta_ticks(1, 200, frames_ms).tolist() == [0, 40, 90, 100, 190], "every frame has its own"


def test_a_bracket_holds_outside_of_the_samples() -> None:
    place = bracket(np.array([0, 100, 200]), np.array([-50, 0, 30, 100, 199, 200, 999]))
    assert place.left.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert place.right.tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert place.share.tolist() == pytest.approx([0, 0, 0.3, 0, 0.99, 0, 0])


def test_the_cubic_meets_positions_and_velocities_and_follows_a_parabola() -> None:
    share = np.array([0.0, 0.25, 0.5, 1.0])
    time = 0.1 * share
    p0, v0, a = np.array([5.0, 1.0, -2.0]), np.array([40.0, 3.0, 0.0]), np.array([10.0, -25.0, 4.0])
    p1, v1 = p0 + 0.1 * v0 + 0.005 * a, v0 + 0.1 * a

    def rows(v: np.ndarray) -> np.ndarray:
        return np.tile(v, (4, 1))

    position, velocity = hermite(rows(p0), rows(v0), rows(p1), rows(v1), share, np.full(4, 0.1))
    assert np.allclose(position, p0 + np.outer(time, v0) + np.outer(time**2 / 2, a), atol=1e-9)
    assert np.allclose(velocity, v0 + np.outer(time, a), atol=1e-8)
    assert np.array_equal(position[0], p0)
    assert np.array_equal(velocity[0], v0)


def test_attitudes_turn_at_constant_rate_on_the_shorter_arc() -> None:
    def about_y(angle: float) -> np.ndarray:
        return np.array([np.cos(angle / 2), 0, np.sin(angle / 2), 0])

    q0, q1 = np.tile(about_y(0.2), (5, 1)), np.tile(-about_y(1.0), (5, 1))
    share = np.array([0.0, 0.25, 0.5, 0.75, 0.999])
    turned = rotation_of(slerp(q0, q1, share))
    assert np.allclose(turned, rotation_of(np.stack([about_y(0.2 + 0.8 * u) for u in share])), atol=1e-12)
    assert np.allclose(np.linalg.det(turned), 1)
    same = slerp(q0, q0, share)
    assert np.allclose(same, q0)


def test_jumps_are_found_by_distance_and_by_respawn_presses() -> None:
    times = np.arange(5) * 100
    position = np.array([[0, 0, 0], [5, 0, 0], [10, 0, 0], [80, 0, 0], [80, 0, 0]], float)
    velocity = np.array([[50, 0, 0]] * 4 + [[0, 0, 0]], float)
    assert jumps(times, position, velocity, np.array([], int)).tolist() == [False, False, True, False]
    assert jumps(times, position, velocity, np.array([320, 90_000])).tolist() == [False, False, True, True]
