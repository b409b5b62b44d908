"""The chase cameras against the published rest poses and ramps, and their bookkeeping."""

import tracemalloc

import numpy as np
import pytest

from trackmaster.sim.camera import CAMERA_1, CAMERA_2, ChaseCamera, ChaseSettings, HoodCamera, causes_of
from trackmaster.sim.camera_run import chase_run
from trackmaster.sim.errors import SimError

RNG_SEED = 11
LEVEL = np.eye(3)[None]


def rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random rotation matrices (n, 3, 3)."""
    q, _ = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    return q * np.sign(np.linalg.det(q))[:, None, None]


def settle(camera: ChaseCamera, seconds: float, **inputs: object):
    """Hold a state for a while and return the last view."""
    pose = camera.update(0.0, np.zeros((1, 3)), LEVEL, **inputs)
    for _ in range(round(seconds / 0.05)):
        pose = camera.update(0.05, np.zeros((1, 3)), LEVEL, **inputs)
    return pose


@pytest.mark.parametrize(
    ("settings", "eye", "look"),
    [
        (CAMERA_2, (0, 2.2, -4.5), (0, -0.264, 4.5)),
        (CAMERA_1, (0, 3.3, -5.0), (0, -0.99, 5.0)),
    ],
)
def test_camera_at_rest_stands_and_looks_as_published(settings, eye, look) -> None:
    pose = ChaseCamera(1, settings).update(0.05, np.zeros((1, 3)), LEVEL)
    np.testing.assert_allclose(pose.eye_m[0], eye, atol=1e-9)
    np.testing.assert_allclose(pose.rotation[0, :, 2], np.array(look) / np.linalg.norm(look), atol=1e-9)
    assert pose.fov_deg[0] == 75.0


@pytest.mark.parametrize(
    ("inputs", "metres"),
    [
        ({"gas": 1.0}, 1.0),
        ({"brake": 1.0}, -0.7),
        ({"steer": -1.0}, -0.8),
        ({"steer": 1.0}, -0.8),
        ({"turbo": True}, -0.6),
        ({"contact": False}, 3.0),
    ],
)
def test_camera_2_distance_settles_at_the_published_offsets(inputs, metres) -> None:
    pose = settle(ChaseCamera(1), 8.0, speed_mps=50.0, **inputs)
    assert pose.eye_m[0, 2] == pytest.approx(-4.5 - metres, abs=0.02)


def test_boost_widens_the_view_by_ten_and_a_half_degrees_and_narrows_again() -> None:
    camera = ChaseCamera(1)
    assert settle(camera, 0.5, turbo=True).fov_deg[0] == pytest.approx(75 + 10.5 / 2, abs=0.01)
    assert settle(camera, 1.0, turbo=True).fov_deg[0] == pytest.approx(85.5)
    assert settle(camera, 1.5).fov_deg[0] == pytest.approx(75.0)


def test_gear_change_jerks_once_and_fades() -> None:
    camera = ChaseCamera(1)
    distances = []
    for k in range(160):
        pose = camera.update(0.05, np.zeros((1, 3)), LEVEL, gear=np.array([1 if k < 10 else 2]))
        distances.append(-pose.eye_m[0, 2])
    assert distances[9] == pytest.approx(4.5)
    assert 4.15 < min(distances) < 4.35
    assert distances[-1] == pytest.approx(4.5, abs=0.01)


def test_steering_does_not_lean_the_view() -> None:
    pose = settle(ChaseCamera(1), 2.0, speed_mps=30.0, steer=1.0)
    np.testing.assert_allclose(pose.rotation[0, :, 0], [1, 0, 0], atol=1e-12)


def test_tumbling_in_the_air_tilts_the_view_less_than_the_car() -> None:
    camera = ChaseCamera(1)
    camera.update(0.05, np.zeros((1, 3)), LEVEL)
    tilt = 0.0
    for _ in range(10):
        tilt += 0.1
        rolled = np.array([[[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]]])
        pose = camera.update(0.05, np.zeros((1, 3)), rolled, contact=np.zeros((1, 4), bool))
    up = pose.rotation[0, :, 1]
    assert up[1] > np.cos(0.5 * tilt)


def test_rotation_columns_are_a_right_handed_frame_for_any_car_attitude() -> None:
    rng = np.random.default_rng(RNG_SEED)
    camera = ChaseCamera(64)
    for _ in range(5):
        pose = camera.update(0.05, rng.normal(size=(64, 3)), rotations(rng, 64), contact=rng.random((64, 4)) > 0.5)
        product = np.einsum("nij,nik->njk", pose.rotation, pose.rotation)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(pose.rotation), 1.0, atol=1e-9)


def drive(camera: ChaseCamera, rng: np.random.Generator, n: int, ids: slice, frames: int):
    """Feed random car states of ``n`` cars, of which the camera follows ``ids``."""
    for _ in range(frames):
        position, rotation = rng.normal(size=(n, 3)) * 100, rotations(rng, n)
        speed, gas, brake, steer = rng.random(n) * 80, rng.random(n), rng.random(n), rng.random(n) * 2 - 1
        contact, turbo, gear = rng.random((n, 4)) > 0.5, rng.random(n) > 0.7, rng.integers(1, 6, n)
        pose = camera.update(
            0.05,
            position[ids],
            rotation[ids],
            speed[ids],
            gas[ids],
            brake[ids],
            steer[ids],
            contact[ids],
            turbo=turbo[ids],
            gear=gear[ids],
        )
    return pose


def test_view_of_a_car_does_not_depend_on_the_batch() -> None:
    whole = drive(ChaseCamera(33), np.random.default_rng(RNG_SEED), 33, slice(None), 20)
    alone = drive(ChaseCamera(1), np.random.default_rng(RNG_SEED), 33, slice(17, 18), 20)
    for name in ("eye_m", "rotation", "fov_deg"):
        assert getattr(whole, name)[17:18].tobytes() == getattr(alone, name).tobytes(), name


def test_snapshot_restores_the_following_views_bit_for_bit() -> None:
    camera = ChaseCamera(4)
    drive(camera, np.random.default_rng(1), 4, slice(None), 10)
    saved = camera.snapshot()
    first = drive(camera, np.random.default_rng(2), 4, slice(None), 10)
    drive(camera, np.random.default_rng(3), 4, slice(None), 10)
    camera.restore(saved)
    again = drive(camera, np.random.default_rng(2), 4, slice(None), 10)
    assert first.eye_m.tobytes() == again.eye_m.tobytes()
    assert first.rotation.tobytes() == again.rotation.tobytes()
    one = ChaseCamera(2)
    one.restore(camera.snapshot([3]), [1])
    np.testing.assert_array_equal(one.snapshot([1]).stretch_m, camera.snapshot([3]).stretch_m)


def test_reset_of_one_car_leaves_the_others_alone() -> None:
    camera, twin = ChaseCamera(3), ChaseCamera(3)
    for each in (camera, twin):
        drive(each, np.random.default_rng(5), 3, slice(None), 10)
    camera.reset(np.array([False, True, False]))
    pose = camera.update(0.05, np.zeros((3, 3)), np.repeat(LEVEL, 3, 0), contact=np.ones((3, 4), bool))
    other = twin.update(0.05, np.zeros((3, 3)), np.repeat(LEVEL, 3, 0), contact=np.ones((3, 4), bool))
    np.testing.assert_allclose(pose.eye_m[1], [0, 2.2, -4.5], atol=1e-9)
    assert pose.eye_m[[0, 2]].tobytes() == other.eye_m[[0, 2]].tobytes()
    assert not np.allclose(other.eye_m[1], pose.eye_m[1])


def test_views_hardly_depend_on_how_often_one_looks() -> None:
    often, seldom = ChaseCamera(1), ChaseCamera(1)
    for k in range(100):
        yaw = 0.02 * k
        turned = np.array([[[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]])
        fine = often.update(0.01, np.zeros((1, 3)), turned, 30.0, gas=1.0)
        if k % 5 == 0:
            coarse = seldom.update(0.05, np.zeros((1, 3)), turned, 30.0, gas=1.0)
            if k > 10:
                np.testing.assert_allclose(fine.eye_m, coarse.eye_m, atol=0.05)


def test_hood_camera_moves_rigidly_with_the_car() -> None:
    rng = np.random.default_rng(RNG_SEED)
    position, rotation = rng.normal(size=(8, 3)), rotations(rng, 8)
    pose = HoodCamera(8).update(0.05, position, rotation, 30.0, steer=np.ones(8))
    local = np.einsum("nji,nj->ni", rotation, pose.eye_m - position)
    np.testing.assert_allclose(local, np.broadcast_to(local[0], local.shape), atol=1e-9)
    np.testing.assert_array_equal(pose.rotation, rotation)


def test_wrong_shapes_are_refused_with_a_sentence() -> None:
    with pytest.raises(SimError, match=r"needs \(2, 3, 3\)"):
        ChaseCamera(2).update(0.05, np.zeros((2, 3)), np.eye(3))
    with pytest.raises(SimError, match="at least one"):
        ChaseCamera(0)


@pytest.mark.parametrize("settings", [CAMERA_1, CAMERA_2])
def test_a_whole_run_at_once_equals_the_camera_tick_by_tick(settings: ChaseSettings) -> None:
    rng, ticks = np.random.default_rng(RNG_SEED), 400
    turns = np.cumsum(rng.normal(size=ticks)) * 0.05
    rotation = rotations(rng, 1) @ np.array(
        [[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in turns]
    )
    rotation = rotation.astype(np.float32)
    position = np.cumsum(rng.normal(size=(ticks, 3)), axis=0).astype(np.float32)
    speed = np.abs(np.cumsum(rng.normal(size=ticks)))
    gas, brake, steer = rng.uniform(-1.2, 1.2, (3, ticks)).astype(np.float32)
    contact = rng.uniform(size=(ticks, 4)) < 0.4
    turbo = (rng.uniform(size=ticks) < 0.3).astype(np.int32)
    gear = rng.integers(1, 4, ticks)
    placed = rng.uniform(size=ticks) < 0.02
    placed[:2] = [True, False]
    views = chase_run(
        position, rotation, causes_of(ticks, speed, gas, brake, steer, contact, turbo), gear, placed, settings
    )
    camera = ChaseCamera(1, settings)
    for tick in range(ticks):
        if placed[tick]:
            camera.reset()
        one = slice(tick, tick + 1)
        view = camera.update(
            0.0 if placed[tick] else 0.01, position[one], rotation[one], speed[one], gas[one], brake[one], steer[one],
            contact[one], turbo=turbo[one], gear=gear[one],
        )  # fmt: skip
        assert np.array_equal(view.eye_m[0], views.eye_m[tick])
        assert np.array_equal(view.rotation[0], views.rotation[tick])
        assert view.fov_deg[0] == views.fov_deg[tick]
    assert placed.sum() > 3
    assert np.ptp(views.fov_deg) > 0.5


def test_a_long_run_is_followed_in_blocks_that_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, ticks = np.random.default_rng(RNG_SEED), 60
    rotation, position = rotations(rng, ticks), rng.normal(size=(ticks, 3))
    causes, gear = rng.uniform(size=(ticks, 6)), rng.integers(1, 4, ticks)
    placed = rng.uniform(size=ticks) < 0.05
    at_once = chase_run(position, rotation, causes, gear, placed)
    for block in (1, 20, 59, 60):
        monkeypatch.setattr("trackmaster.sim.camera_run.BLOCK", block)
        views = chase_run(position, rotation, causes, gear, placed)
        assert np.array_equal(views.eye_m, at_once.eye_m)
        assert np.array_equal(views.rotation, at_once.rotation)
        assert np.array_equal(views.fov_deg, at_once.fov_deg)
    assert len(chase_run(position[:0], rotation[:0], causes[:0], gear[:0], placed[:0]).fov_deg) == 0


def test_a_long_run_takes_little_more_memory_than_its_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackmaster.sim.camera_run.BLOCK", 64)
    ticks = 2_000
    views = (np.zeros((ticks, 3)), np.broadcast_to(np.eye(3), (ticks, 3, 3)), np.zeros((ticks, 6)))
    tracemalloc.start()
    try:
        chase_run(*views, np.ones(ticks, np.int64), np.zeros(ticks, np.bool_))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000 * ticks, f"{peak / ticks:.0f} bytes per tick"
