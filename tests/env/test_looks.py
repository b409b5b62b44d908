"""Pictures vary where that is asked for: by the seed, the car and its time, and by nothing else."""

import numpy as np
import pytest

from trackmaster.env import EnvConfig, EnvError, RacingEnv, RacingVectorEnv
from trackmaster.env.config import LooksConfig
from trackmaster.game.looks import Looks, shaken, varied_appearance
from trackmaster.sim.camera import CameraPose
from trackmaster.track import Track


def pictures(track: Track, looks: LooksConfig, *, seed: int = 0, cars: int = 3, steps: int = 3) -> np.ndarray:
    env = RacingVectorEnv(track, cars, EnvConfig(image_width=24, image_height=16, looks=looks), seed=seed)
    seen = [env.reset()[0]["image"]]
    seen += [env.step(np.zeros(cars, dtype=np.int64))[0]["image"] for _ in range(steps)]
    env.close()
    return np.array(seen)


COLORS = LooksConfig(colors=0.5, light=0.5, textures=True)
JITTER = LooksConfig(camera_jitter_m=0.3, camera_jitter_deg=3.0)


def test_looks_follow_the_seed(straight: Track) -> None:
    usual = pictures(straight, LooksConfig())
    for looks in (COLORS, JITTER):
        first, again, other = (pictures(straight, looks, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        assert not np.array_equal(first, usual)


def test_shaking_depends_on_car_and_time_alone(straight: Track) -> None:
    three, five = pictures(straight, JITTER, cars=3), pictures(straight, JITTER, cars=5)
    assert np.array_equal(three, five[:, :3])
    assert not np.array_equal(three[:, 0], three[:, 1]), "cars on one spot shake differently"


def test_cars_in_one_world_share_its_colours(straight: Track) -> None:
    seen = pictures(straight, COLORS)
    assert np.array_equal(seen[:, 0], seen[:, 1])


def test_shaken_cameras_stay_near_and_stay_rotations() -> None:
    n = 500
    pose = CameraPose(np.zeros((n, 3)), np.tile(np.eye(3), (n, 1, 1)), np.full(n, 75.0))
    moved = shaken(pose, Looks(None, 0.5, 4.0, 7), np.arange(n), np.full(n, 1_230))
    assert np.abs(moved.eye_m).max() <= 0.5
    assert np.abs(moved.eye_m).mean() == pytest.approx(0.25, abs=0.03)
    assert np.abs(moved.eye_m.mean(axis=0)).max() < 0.06
    assert np.allclose(moved.rotation @ moved.rotation.transpose(0, 2, 1), np.eye(3))
    angles = np.degrees(np.arccos(np.clip((np.trace(moved.rotation, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert 0 < angles.max() <= 7.0


def test_a_varied_world_stays_a_world() -> None:
    for seed in range(50):
        look = varied_appearance(seed, colors=1.0, light=1.0, textures=True)
        assert all(
            0 <= channel <= 255 for color in (*look.colors, look.fog_color, look.zenith_color) for channel in color
        )
        assert look.sun_direction()[1] > 0.3, "the sun stands above the horizon"
        assert 0.25 <= look.ambient <= 0.85


def test_looks_are_for_the_vector_environment(straight: Track) -> None:
    with pytest.raises(EnvError, match="use that, or leave"):
        RacingEnv(straight, EnvConfig(looks=JITTER))


def test_threads_change_nothing(straight: Track) -> None:
    runs = []
    for threads in (1, 2):
        env = RacingVectorEnv(straight, 6, EnvConfig(images=False), threads=threads)
        env.reset()
        for action in (0, 1, 2, 0):
            observation = env.step(np.full(6, action))[0]
        runs.append(observation["floats"].copy())
        env.close()
    assert np.array_equal(runs[0], runs[1])
