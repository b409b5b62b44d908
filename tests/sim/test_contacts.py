"""Walls, flights, soft ground and random driving."""

import numpy as np
import pytest

from trackmaster.sim import World


def speed(world):
    return np.linalg.norm(world.view.velocity_mps.astype(np.float64), axis=1)


@pytest.mark.parametrize("mps", [10.0, 30.0, 60.0, 100.0, 180.0, 270.0])
def test_a_wall_stops_the_car_and_lets_nothing_through(mps, arena):
    world = World(arena, 1)
    world.place(None, [0.0, 0.04, -20.0], np.eye(3), velocity_mps=[0.0, 0.0, mps])
    furthest = -np.inf
    for _ in range(400):
        world.step(0.0, 1.0, 0.0)
        furthest = max(furthest, float(world.view.position_m[0, 2]))
    assert furthest < 60.0 - 0.2  # a car that ends up on its nose has its origin close to the wall
    assert furthest > 57.0
    assert speed(world)[0] < 0.3 * mps


def test_a_glancing_wall_slows_the_car_and_turns_it_along(arena):
    world = World(arena, 1)
    heading = np.radians(15.0)
    rotation = np.array([[np.cos(heading), 0, np.sin(heading)], [0, 1, 0], [-np.sin(heading), 0, np.cos(heading)]])
    world.place(None, [50.0, 0.02, -55.0], rotation, velocity_mps=rotation[:, 2] * 40.0)
    touched = False
    for _ in range(150):
        world.step(0.0, 0.0, 0.0)
        touched |= bool(world.view.lateral_contact[0] or world.view.body_contact[0])
    assert touched
    assert world.view.position_m[0, 0] < 60.0
    assert speed(world)[0] < 30.0
    assert abs(world.view.rotation[0, 0, 2]) < np.sin(heading)


def test_falling_car_lands_and_comes_to_rest_on_its_wheels(plane_track):
    world = World(plane_track(half=50), 1)
    world.place(None, [0.0, 6.0, 0.0], np.eye(3))
    world.step(0.0, 1.0, 0.0, ticks=50)  # without gas the car coasts, in the air too
    assert not world.view.wheel_contact.any()
    fallen = 6.0 - float(world.view.position_m[0, 1])
    assert fallen == pytest.approx(0.5 * 25.0 * 0.5**2, rel=0.03)
    world.step(0.0, 0.0, 0.0, ticks=300)
    assert world.view.wheel_contact.all()
    assert float(world.view.position_m[0, 1]) == pytest.approx(0.015, abs=0.012)
    assert speed(world)[0] < 0.3


def test_off_the_edge_the_car_falls_for_ever(plane_track):
    world = World(plane_track(half=20), 1)
    world.step(0.0, 1.0, 0.0, ticks=600)
    assert world.view.position_m[0, 1] < -50.0
    assert np.isfinite(world.view.position_m).all()


def test_surfaces_are_one_sided(plane_track):
    world = World(plane_track(half=50), 1)
    world.place(None, [0.0, -3.0, 0.0], np.eye(3), velocity_mps=[0.0, 20.0, 0.0])
    world.step(0.0, 0.0, 0.0, ticks=40)
    assert world.view.position_m[0, 1] > 1.0


def test_grass_is_slow_and_shakes(plane_track):
    road, grass = World(plane_track(), 1), World(plane_track(material=2), 1)
    heights = []
    for _ in range(60):
        for world in (road, grass):
            world.step(0.0, 1.0, 0.0, ticks=5)
        heights.append(float(grass.view.position_m[0, 1]))
    assert speed(grass)[0] < 0.6 * speed(road)[0]
    assert np.std(heights[30:]) > 0.003


def test_random_driving_never_produces_nan_and_never_leaves_the_arena(arena):
    cars = 256
    generator = np.random.default_rng(7)
    world = World(arena, cars)
    yaw = generator.uniform(-np.pi, np.pi, cars)
    rotation = np.zeros((cars, 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(yaw)
    rotation[:, 0, 2], rotation[:, 2, 0] = np.sin(yaw), -np.sin(yaw)
    rotation[:, 1, 1] = 1.0
    position = np.stack([generator.uniform(-50, 50, cars), np.full(cars, 3.0), generator.uniform(-50, 50, cars)], 1)
    spin = generator.normal(0, 3, (cars, 3))
    world.place(None, position, rotation, rotation[:, :, 2] * generator.uniform(0, 90, (cars, 1)), spin)
    for _ in range(200):
        steer = generator.integers(-1, 2, cars)
        world.step(steer, generator.random(cars) < 0.7, generator.random(cars) < 0.4, ticks=5)
        view = world.view
        assert np.isfinite(world.snapshot().floats).all()
        assert np.abs(view.position_m[:, [0, 2]]).max() < 60.0
        assert view.position_m[:, 1].min() > -0.3


def test_triangles_sorted_out_early_change_no_bit(arena, plane_track):
    """A ball around an ellipsoid tells most pairs apart; looking at every pair closely gives the same."""
    for track in (arena, plane_track(half=3000.0, pieces=7, material=2)):
        worlds = [World(track, 64) for _ in range(2)]
        worlds[1]._scene.triangles.numpy()["slack"] = 1e9  # no ball is away from the edges, none is clear of them
        generator = np.random.default_rng(3)
        turns, _ = np.linalg.qr(generator.normal(size=(64, 3, 3)))
        turns *= np.sign(np.linalg.det(turns))[:, None, None]
        position = generator.uniform((-45, 1, -45), (45, 4, 45), (64, 3))
        velocity = generator.normal(0, 25, (64, 3))
        for world in worlds:
            world.place(None, position, turns, velocity)
        for _ in range(60):
            steer, gas = generator.integers(-1, 2, 64), generator.random(64) < 0.8
            for world in worlds:
                world.step(steer, gas, 0.0, ticks=5)
            assert np.array_equal(*(world.snapshot().floats for world in worlds))
        assert worlds[0].view.wheel_contact.any()


def test_extreme_states_stay_finite(plane_track):
    world = World(plane_track(half=200), 64)
    generator = np.random.default_rng(11)
    turns, _ = np.linalg.qr(generator.normal(size=(64, 3, 3)))
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    velocity, spin = generator.normal(0, 200, (64, 3)), generator.normal(0, 60, (64, 3))
    world.place(None, generator.uniform(-1, 1, (64, 3)), turns, velocity, spin)
    for _ in range(60):
        world.step(generator.uniform(-1, 1, 64), 1.0, generator.random(64), ticks=5)
    assert np.isfinite(world.snapshot().floats).all()
    assert speed(world).max() < 278.0 + 30.0
