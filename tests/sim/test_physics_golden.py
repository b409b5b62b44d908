"""The published regression numbers of the car on flat asphalt (car_physics.md 9.3)."""

import numpy as np
import pytest

from trackmaster.sim import World

FULL_GAS = (
    # seconds, km/h, metres
    (1.0, 56.30, 7.66),
    (1.5, 84.73, 17.41),
    (2.0, 102.29, 30.84),
    (2.5, 118.01, 45.91),
    (3.0, 137.67, 63.65),
    (4.0, 169.73, 106.76),
    (6.0, 231.14, 219.97),
    (8.0, 275.56, 359.57),
    (10.0, 325.57, 526.53),
    (15.0, 436.53, 1057.89),
)
FIRST_TICKS_KMH = (
    1.080, 1.998, 3.132, 4.225, 5.250, 6.194, 7.050, 7.811, 8.477, 9.047, 9.525,
    9.917, 10.231, 9.791, 9.179, 9.144, 9.398, 9.800, 10.282, 10.806, 11.356,
)  # fmt: skip


def speed_kmh(world):
    return 3.6 * float(np.linalg.norm(world.view.velocity_mps[0].astype(np.float64)))


def test_full_gas_reaches_the_known_speeds_and_places(plane_track):
    world = World(plane_track(), 1)
    done = 0
    for seconds, kmh, metres in FULL_GAS:
        ticks = round(seconds * 100)
        world.step(0.0, 1.0, 0.0, ticks - done)
        done = ticks
        assert speed_kmh(world) == pytest.approx(kmh, abs=0.02)
        assert float(world.view.position_m[0, 2]) == pytest.approx(metres, abs=0.02)


def test_full_gas_for_half_a_minute_stays_within_what_float32_costs(plane_track):
    world = World(plane_track(), 1)
    world.step(0.0, 1.0, 0.0, 3000)
    assert speed_kmh(world) == pytest.approx(731.22, abs=0.05)
    assert float(world.view.position_m[0, 2]) == pytest.approx(3490.62, abs=0.15)


def test_second_gear_at_two_seconds(plane_track):
    world = World(plane_track(), 1)
    world.step(0.0, 1.0, 0.0, 200)
    assert world.view.gear[0] == 2
    assert world.view.rpm[0] == pytest.approx(8078, abs=1)


def test_first_ticks_follow_the_recorded_telemetry(plane_track):
    world = World(plane_track(), 1)
    for kmh in FIRST_TICKS_KMH:
        world.step(0.0, 1.0, 0.0)
        assert speed_kmh(world) == pytest.approx(kmh, abs=0.0016)


def test_height_of_the_floor_does_not_matter(plane_track):
    low, high = World(plane_track(), 1), World(plane_track(height=64.0), 1)
    for world in (low, high):
        world.step(0.3, 1.0, 0.0, 300)
    assert high.view.position_m[0, 2] == pytest.approx(low.view.position_m[0, 2], abs=2e-3)
    assert high.view.position_m[0, 1] - 64.0 == pytest.approx(low.view.position_m[0, 1], abs=1e-3)


def test_steering_right_turns_right(plane_track):
    world = World(plane_track(), 1)
    world.step(1.0, 1.0, 0.0, 200)
    assert world.view.position_m[0, 0] < -5.0  # +x is the car's left at the start
    assert world.view.angular_velocity_radps[0, 1] < 0.0
