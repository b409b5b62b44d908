"""Checkpoints, finish, laps, respawn and the clock."""

from types import SimpleNamespace

import numpy as np
import pytest

from trackmaster.sim import World


def drive_to_the_end(world, limit=2000):
    for _ in range(limit):
        world.step(0.0, 1.0, 0.0)
        if world.view.finished.all():
            return
    pytest.fail("the car never finished")


def test_passages_are_stamped_with_the_last_tick_before_the_gate(race_track):
    world = World(race_track(), 1)
    times, positions = [], []
    while not world.view.finished[0]:
        world.step(0.0, 1.0, 0.0)
        times.append(int(world.view.time_ms[0]))
        positions.append(float(world.view.position_m[0, 2]))
    first = [times[np.searchsorted(positions, z)] for z in (30.0, 60.0, 90.0)]
    assert world.view.cp_count[0] == 3
    assert world.view.cp_times_ms[0, :3].tolist() == [t - 10 for t in first]
    assert world.view.race_time_ms[0] == first[2] - 10
    assert world.view.lap[0] == 1


def test_after_the_finish_the_game_brakes(race_track):
    world = World(race_track(), 1)
    drive_to_the_end(world)
    before = float(np.linalg.norm(world.view.velocity_mps[0]))
    world.step(0.0, 1.0, 0.0, ticks=60)
    assert float(np.linalg.norm(world.view.velocity_mps[0])) < 0.5 * before


def test_finish_without_all_checkpoints_does_not_count(race_track):
    world = World(race_track(), 1)
    world.place(None, [0.0, 0.02, 40.0], np.eye(3), velocity_mps=[0.0, 0.0, 30.0])
    world.step(0.0, 1.0, 0.0, ticks=300)
    assert world.view.position_m[0, 2] > 100.0
    assert world.view.cp_count[0] == 1
    assert not world.view.finished[0]


def test_checkpoints_count_in_any_order_and_once(race_track):
    world = World(race_track(), 1)
    forward, half_turn = np.eye(3), np.diag([-1.0, 1.0, -1.0])
    for z, rotation in ((55.0, forward), (40.0, half_turn), (55.0, forward), (80.0, forward)):
        world.place(None, [0.0, 0.02, z], rotation, velocity_mps=20.0 * rotation[:, 2])
        world.step(0.0, 1.0, 0.0, ticks=80)
    assert world.view.cp_count[0] == 3
    assert world.view.finished[0]


def test_a_gate_the_car_starts_in_counts_only_after_it_was_left(race_track):
    world = World(race_track(), 1)
    world.place(None, [0.0, 0.02, 31.0], np.eye(3))
    world.step(0.0, 0.0, 0.0, ticks=20)
    assert world.view.cp_count[0] == 0


def test_laps_need_all_checkpoints_again(race_track):
    world = World(race_track(laps=2), 1)
    for lap in (1, 2):
        for z in (25.0, 55.0, 85.0):
            world.place(None, [0.0, 0.02, z], np.eye(3), velocity_mps=[0.0, 0.0, 20.0])
            world.step(0.0, 1.0, 0.0, ticks=60)
        assert world.view.lap[0] == lap
        assert world.view.finished[0] == (lap == 2)
    assert world.view.cp_count[0] == 6
    assert world.view.race_time_ms[0] == world.view.cp_times_ms[0, 5]


def test_respawn_goes_to_the_last_checkpoint_and_keeps_the_clock(race_track):
    world = World(race_track(), 2)
    world.step(0.0, 1.0, 0.0, ticks=150)
    world.respawn([True, False])
    assert world.view.position_m[0, 2] == 0.0
    assert world.view.time_ms.tolist() == [1500, 1500]
    world.step(0.0, 1.0, 0.0, ticks=205)
    assert world.view.cp_count.tolist() == [1, 2]
    world.respawn()
    assert world.view.position_m[:, 2].tolist() == [30.0, 60.0]
    assert not world.view.velocity_mps.any()
    world.step(0.0, 1.0, 0.0, ticks=20)
    assert world.view.cp_count.tolist() == [1, 2]


def test_turbo_adds_five_times_the_thrust(plane_track):
    road, turbo = World(plane_track(), 1), World(plane_track(material=7), 1)
    for world in (road, turbo):
        world.place(None, [0.0, 0.02, 0.0], np.eye(3), velocity_mps=[0.0, 0.0, 29.0])
        world.step(0.0, 0.0, 0.0, ticks=30)
    gained = turbo.view.velocity_mps[0, 2] - road.view.velocity_mps[0, 2]
    assert gained == pytest.approx(5 * 11 * 0.27, abs=1.0)  # 11 m/s^2 above 101 km/h
    assert turbo.view.turbo[0] == pytest.approx(5.0, abs=1e-3)
    assert road.view.turbo[0] == 0.0


def test_turbo_pushes_along_its_block_and_brakes_against_it(plane_track):
    class Block:
        name = "StadiumRoadMainTurbo"

    class Placed:
        block = Block()
        rotation = np.diag([-1.0, 1.0, -1.0])

        def columns(self):
            return [(0, 0)]

    track = plane_track(half=16, material=7)
    mesh = track.mesh
    moved = type(mesh)(mesh.vertices + np.float32([16, 0, 16]), *list(vars(mesh).values())[1:])
    with_block = SimpleNamespace(**{**vars(track), "mesh": moved, "blocks": (Placed(),)})
    world = World(with_block, 1)
    world.place(None, [16.0, 0.02, 8.0], np.eye(3), velocity_mps=[0.0, 0.0, 29.0])
    world.step(0.0, 0.0, 0.0, ticks=20)
    assert world.view.turbo[0] == pytest.approx(-5.0, abs=0.01)
    assert world.view.velocity_mps[0, 2] < 25.0
