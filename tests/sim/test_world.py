"""Batches: determinism, snapshots, resets, several tracks, refusals."""

import pickle

import numpy as np
import pytest

from trackmaster.sim import SimError, World


def random_inputs(seed, actions, cars):
    generator = np.random.default_rng(seed)
    steer = generator.uniform(-1, 1, (actions, cars)).astype(np.float32)
    return steer, generator.random((actions, cars)) < 0.8, generator.random((actions, cars)) < 0.2


def drive(world, inputs, car=None):
    for steer, gas, brake in zip(*inputs, strict=True):
        chosen = (steer, gas, brake) if car is None else (steer[car], gas[car], brake[car])
        world.step(*chosen, ticks=5)


def scattered(world, seed=3):
    """Put the cars about the arena at various speeds, so that walls, ramp and block are met."""
    generator = np.random.default_rng(seed)
    n = world.n_cars
    yaw = generator.uniform(-np.pi, np.pi, n)
    rotation = np.zeros((n, 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(yaw)
    rotation[:, 0, 2], rotation[:, 2, 0] = np.sin(yaw), -np.sin(yaw)
    rotation[:, 1, 1] = 1.0
    position = np.stack([generator.uniform(-50, 50, n), np.full(n, 3.0), generator.uniform(-50, 50, n)], axis=1)
    world.place(None, position, rotation, rotation[:, :, 2] * generator.uniform(0, 60, (n, 1)))


def test_same_inputs_give_the_same_bits_alone_in_a_batch_and_twice(arena):
    cars = 256
    inputs = random_inputs(0, 60, cars)
    batch = World(arena, cars)
    scattered(batch)
    start = batch.snapshot()
    drive(batch, inputs)
    first = batch.snapshot()
    batch.restore(start)
    drive(batch, inputs)
    assert batch.snapshot().equals(first)
    alone = World(arena, 1)
    for car in (0, 1, 97, 255):
        alone.restore(start.take(np.array([car])))
        drive(alone, inputs, car)
        assert alone.snapshot().equals(first.take(np.array([car])))


def test_threads_do_not_change_a_bit(arena):
    inputs = random_inputs(1, 20, 37)
    worlds = [World(arena, 37), World(arena, 37, threads=3)]
    for world in worlds:
        scattered(world)
        drive(world, inputs)
    assert worlds[0].snapshot().equals(worlds[1].snapshot())
    worlds[1].close()
    for world in worlds:
        drive(world, inputs)
    assert worlds[0].snapshot().equals(worlds[1].snapshot()), "a closed world drives all its cars, too"


def test_ticks_in_one_launch_equal_single_ticks(arena):
    worlds = [World(arena, 8), World(arena, 8)]
    for world in worlds:
        scattered(world)
    worlds[0].step(0.4, 1.0, 0.0, ticks=120)
    for _ in range(120):
        worlds[1].step(0.4, 1.0, 0.0)
    assert worlds[0].snapshot().equals(worlds[1].snapshot())


def test_snapshot_survives_pickling_and_continues_bit_for_bit(arena):
    inputs = random_inputs(2, 30, 5)
    world = World(arena, 5)
    scattered(world)
    drive(world, inputs)
    middle = pickle.loads(pickle.dumps(world.snapshot()))
    drive(world, inputs)
    end = world.snapshot()
    fresh = World(arena, 5)
    fresh.restore(middle)
    drive(fresh, inputs)
    assert fresh.snapshot().equals(end)


def test_restore_of_some_cars_leaves_the_others_alone(plane_track):
    world = World(plane_track(), 4)
    world.step(0.0, [1.0, 0.5, 0.0, 1.0], 0.0, ticks=100)
    saved = world.snapshot([3, 1])
    before = world.snapshot()
    world.step(0.0, 1.0, 0.0, ticks=50)
    moved = world.snapshot()
    world.restore(saved, [3, 1])
    after = world.snapshot()
    for car in (1, 3):
        assert after.take(np.array([car])).equals(before.take(np.array([car])))
    for car in (0, 2):
        assert after.take(np.array([car])).equals(moved.take(np.array([car])))


def test_snapshot_is_a_copy(plane_track):
    world = World(plane_track(), 1)
    saved = world.snapshot()
    world.step(0.0, 1.0, 0.0, ticks=50)
    assert not world.snapshot().equals(saved)
    assert saved.floats[2, 0] == 0.0


def test_reset_puts_only_the_chosen_cars_on_the_start(plane_track):
    world = World(plane_track(), 3)
    fresh = world.snapshot()
    world.step(0.3, 1.0, 0.0, ticks=200)
    world.reset([True, False, True])
    assert world.view.time_ms.tolist() == [0, 2000, 0]
    assert world.snapshot([0, 2]).equals(fresh.take(np.array([0, 2])))
    assert world.view.position_m[1, 2] > 20.0


def test_state_after_a_reset_is_the_start_pose_at_time_zero(plane_track):
    view = World(plane_track(), 2).view
    assert view.time_ms.tolist() == [0, 0]
    assert view.position_m.tolist() == [[0.0, pytest.approx(0.21), 0.0]] * 2
    assert np.array_equal(view.rotation, np.stack([np.eye(3)] * 2))
    assert view.gear.tolist() == [1, 1]
    assert view.race_time_ms.tolist() == [-1, -1]
    assert not view.wheel_contact.any()
    assert not view.finished.any()


def test_view_shares_memory_and_has_the_promised_shapes(plane_track):
    world = World(plane_track(), 3)
    view = world.view
    world.step(0.0, 1.0, 0.0, ticks=10)
    assert view.time_ms.tolist() == [100] * 3
    assert view.rotation.shape == (3, 3, 3)
    assert view.quaternion_wxyz.shape == view.damper_m.shape == view.wheel_material.shape == (3, 4)
    assert view.wheel_contact.dtype == view.wheel_sliding.dtype == view.finished.dtype == np.bool_
    assert view.cp_times_ms.shape == (3, 64)
    assert view.wheel_material[0].tolist() == [16] * 4
    assert np.shares_memory(view.position_m, world.view.position_m)


def test_cars_on_several_tracks_see_their_own_ground(plane_track):
    world = World([plane_track(), plane_track(height=16.0, material=2)], 3, track_of_car=[1, 0, 1])
    world.step(0.0, 1.0, 0.0, ticks=100)
    assert world.view.wheel_material[:, 0].tolist() == [2, 16, 2]
    assert world.view.position_m[:, 1] == pytest.approx([16.02, 0.01, 16.02], abs=0.03)
    alone = World(plane_track(), 1)
    alone.step(0.0, 1.0, 0.0, ticks=100)
    assert alone.snapshot().equals(world.snapshot([1]))


def test_place_sets_pose_and_velocity_and_keeps_the_clock(plane_track):
    world = World(plane_track(), 2)
    world.step(0.0, 1.0, 0.0, ticks=30)
    quarter = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    world.place([1], [5.0, 1.0, 7.0], quarter, velocity_mps=[10.0, 0.0, 0.0])
    view = world.view
    assert view.position_m[1].tolist() == [5.0, 1.0, 7.0]
    assert view.rotation[1] == pytest.approx(quarter, abs=1e-6)
    assert view.velocity_mps[1].tolist() == [10.0, 0.0, 0.0]
    assert view.time_ms.tolist() == [300, 300]
    assert view.position_m[0, 2] > 0.5


def test_tracks_may_be_cut_into_many_triangles(plane_track):
    whole, pieces = World(plane_track(half=500), 1), World(plane_track(half=500, pieces=25), 1)
    for world in (whole, pieces):
        world.step(0.2, 1.0, 0.0, ticks=400)
    assert pieces.view.position_m[0] == pytest.approx(whole.view.position_m[0], abs=2e-3)


def test_worlds_that_share_their_grid_drive_like_worlds_of_their_own(arena, plane_track):
    inputs = random_inputs(4, 30, 24)
    plane = plane_track()
    which = np.arange(24) % 2
    first = World([arena, plane], 24, track_of_car=which)
    worlds = [
        World([arena, plane], 24, track_of_car=1 - which),
        World([arena, plane], 24, track_of_car=1 - which, share=first),
    ]
    for world in worlds:
        scattered(world)
        drive(world, inputs)
    assert worlds[0].snapshot().equals(worlds[1].snapshot())
    scattered(first)
    drive(first, inputs)
    assert not first.snapshot().equals(worlds[0].snapshot()), "each world keeps the tracks of its own cars"
    with pytest.raises(SimError, match="same tracks and device"):
        World(plane_track(), 1, share=first)


def test_unusable_arguments_are_refused_with_a_sentence(plane_track):
    track = plane_track()
    with pytest.raises(SimError, match="at least one track and one car"):
        World(track, 0)
    with pytest.raises(SimError, match="no device 'abacus'"):
        World(track, 1, device="abacus")
    with pytest.raises(SimError, match="track numbers from 0 to 0"):
        World(track, 2, track_of_car=[0, 1])
    world = World(track, 2)
    with pytest.raises(SimError, match=r"mask must have shape \(2,\)"):
        world.reset([True])
    with pytest.raises(SimError, match="Car numbers go from 0 to 1"):
        world.snapshot([2])
    with pytest.raises(SimError, match="2 states cannot go into 1 cars"):
        world.restore(world.snapshot(), [0])


@pytest.mark.parametrize(
    ("values", "ticks", "expected"),
    [
        (np.nan, 1, "not finite"),
        ([0.0, np.inf], 1, "not finite"),
        (np.zeros(3), 1, r"shape \(2,\) are needed as steering and pedals; got shape \(3,\)"),
        ("left", 1, "got 'left'"),
        (0.0, -5, "by -5 ticks"),
        (0.0, 1.5, r"by 1\.5 ticks"),
    ],
)
def test_a_step_that_cannot_be_made_changes_nothing(plane_track, values, ticks, expected):
    world = World(plane_track(), 2)
    before = world.snapshot()
    with pytest.raises(SimError, match=expected):
        world.step(values, 0.0, 0.0, ticks=ticks)
    world.step(0.0, 0.0, 0.0, ticks=0)
    assert world.snapshot().equals(before)


@pytest.mark.parametrize(
    ("position", "rotation", "expected"),
    [
        ((0, 1, 0), np.eye(2), r"shape \(1, 3, 3\) are needed as rotation; got shape \(2, 2\)"),
        ((0, 1), np.eye(3), r"shape \(1, 3\) are needed as position"),
        ((np.nan, 1, 0), np.eye(3), "not finite"),
    ],
)
def test_a_place_that_is_none_is_refused(plane_track, position, rotation, expected):
    with pytest.raises(SimError, match=expected):
        World(plane_track(), 2).place([0], position, rotation)


def test_crowded_places_are_searched_without_memory_and_give_the_same_bits(plane_track):
    track = plane_track(half=15, pieces=120)  # far more triangles near the car than it remembers
    worlds = [World(track, 2) for _ in range(2)]
    for world in worlds:
        world.place(None, [0.0, 0.02, -10.0], np.eye(3), velocity_mps=[[0.0, 0.0, 8.0], [1.0, 0.0, 3.0]])
    worlds[0].step(0.5, 1.0, 0.0, ticks=40)
    for _ in range(40):
        worlds[1].step(0.5, 1.0, 0.0)
    assert worlds[0].snapshot().equals(worlds[1].snapshot())
    whole = World(plane_track(half=15), 1)
    whole.place(None, [0.0, 0.02, -10.0], np.eye(3), velocity_mps=[0.0, 0.0, 8.0])
    whole.step(0.5, 1.0, 0.0, ticks=40)
    assert worlds[0].view.position_m[0] == pytest.approx(whole.view.position_m[0], abs=1e-3)


def random_turns(generator, n):
    turns = np.linalg.qr(generator.normal(size=(n, 3, 3)))[0]
    turns[np.linalg.det(turns) < 0, :, 0] *= -1
    return turns


def test_what_cars_remember_of_their_surroundings_changes_no_bit(arena, plane_track, race_track):
    """One world forgets everything before each step, the other only where it must: cars jump, respawn and race."""
    crowded = plane_track(half=40, pieces=80)
    tracks, cars, generator = [arena, crowded, race_track(laps=3)], 96, np.random.default_rng(5)
    keeps, forgets = (World(tracks, cars, track_of_car=np.arange(cars) % 3) for _ in range(2))
    raced = 0
    for number in range(60):
        jump = np.flatnonzero(generator.random(cars) < (1.0 if number == 0 else 0.1))
        place = generator.uniform((0, 0.1, -5), (1, 4, 95), (len(jump), 3))
        place[:, 0] = generator.normal(0, 10, len(jump))
        turns = np.where(generator.random((len(jump), 1, 1)) < 0.7, np.eye(3), random_turns(generator, len(jump)))
        speed = 10.0 ** generator.uniform(0, 2.4, (len(jump), 1))
        velocity, spin = speed * turns[:, :, 2], generator.normal(0, 3, (len(jump), 3))
        reset, respawn = generator.random((2, cars)) < 0.01
        steer, gas, brake = generator.uniform(-1, 1, cars), generator.random(cars) < 0.9, generator.random(cars) < 0.1
        for world in (keeps, forgets):
            world.reset(reset)
            world.respawn(respawn)
            world.place(jump, place, turns, velocity, spin)
        for _ in range(4):
            forgets.restore(forgets.snapshot())
            for world in (keeps, forgets):
                world.step(steer, gas, brake, ticks=2)
        assert keeps.snapshot().equals(forgets.snapshot()), f"in round {number}"
        raced = max(raced, int(keeps.view.cp_count.max()))
    assert raced >= 2, "no car passed gates"
