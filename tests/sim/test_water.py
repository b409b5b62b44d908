"""Water slows, carries and throws a car, and only where the track has some."""

import numpy as np
import pytest

from trackmaster.gbx import Block, Challenge
from trackmaster.sim import World
from trackmaster.track import Track

LEVEL_M = 6.0


def dropped(track, position, velocity, ticks, gas=0.0):
    """Return the velocities after every tick of a car that is let go somewhere."""
    world = World(track, 1)
    world.place(None, position, np.eye(3), velocity)
    seen = []
    for _ in range(ticks):
        world.step(0.0, gas, 0.0)
        seen.append(world.view.velocity_mps[0].copy())
    return np.array(seen), world.view.position_m[0].copy()


def test_a_car_sinks_slowly_and_the_faster_it_is_the_more_it_is_slowed(plane_track):
    pool = plane_track(material=10, water_m=LEVEL_M)
    fast, _ = dropped(pool, (0, 3, 0), (0, 0, 20), 20)
    dry, _ = dropped(plane_track(material=10), (0, 3, 0), (0, 0, 20), 20)
    assert fast[0, 1] > -0.05 > dry[0, 1]  # gravity is nearly carried
    assert fast[-1, 2] < 20 * np.exp(-0.9 * 0.2) < dry[-1, 2]  # at 72 km/h the drag is 1 per second


def test_half_the_thrust_is_left_on_the_floor(plane_track):
    # So little weight is left that the car stands on stretched suspensions.
    wet, _ = dropped(plane_track(material=10, water_m=LEVEL_M), (0, 0.2, 0), (0, 0, 5), 150, gas=1.0)
    dry, _ = dropped(plane_track(material=10), (0, 0.2, 0), (0, 0, 5), 150, gas=1.0)
    assert 0 < wet[-1, 2] - 5 < 0.5 * (dry[-1, 2] - 5)


@pytest.mark.parametrize(("speed", "bounces"), [(90.0, True), (30.0, False)])
def test_a_fast_flat_fall_skips_and_a_slow_one_sinks(plane_track, speed, bounces):
    velocity, _ = dropped(plane_track(material=10, water_m=LEVEL_M), (0, 7, 0), (0, -8, speed), 60)
    assert (velocity[:, 1].max() > 1.0) == bounces


def test_water_is_where_the_map_has_it():
    pools = [Block("StadiumWater", 0, 10 + k, 0, 12, 0x1000) for k in range(2)]
    start = Block("StadiumRoadMainStartLine", 0, 4, 1, 4, 0x1000)
    finish = Block("StadiumRoadMainFinishLine", 0, 4, 1, 5, 0x1000)
    track = Track.from_challenge(Challenge(uid="pool", name="Pool", blocks=(start, finish, *pools)))
    inside, where = dropped(track, (10.5 * 32, 5.0, 12.5 * 32), (0, 0, 0), 100)
    assert inside[30, 1] > -1.0
    assert where[1] < 5.0
    beside, _ = dropped(track, (8.5 * 32, 60.0, 12.5 * 32), (0, 0, 0), 100)
    assert beside[-1, 1] < -20.0  # falls freely, but for coasting
    above, _ = dropped(track, (11.5 * 32, 60.0, 12.5 * 32), (0, 0, 0), 100)
    assert above[-1, 1] == pytest.approx(beside[-1, 1])
