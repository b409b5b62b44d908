"""Analog actions and the float sets of agents that drive with them."""

import dataclasses

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pydantic import ValidationError

from trackmaster.env import EnvConfig, EnvError, RacingEnv, RacingVectorEnv, driver_floats, evaluation_starts
from trackmaster.env.actions import ANALOG_TABLE, N_ACTIONS, analog_controls, controls, nearest_keys
from trackmaster.gbx import Challenge
from trackmaster.sim.lidar import N_RAYS, REACH_M, Lidar
from trackmaster.track import Track, line_from_path
from trackmaster.track.corridor import Corridor
from trackmaster.track.layout import RoadLayout

SIDE = np.array([5.0, 0.0, 0.0])
UP = np.array([0.0, 1.0, 0.0])
GO = np.array([1.0, -1.0, 0.0], dtype=np.float32)


def analog(floats: str, **more: object) -> EnvConfig:
    return EnvConfig(images=False, actions="analog", floats=floats, **more)


@pytest.fixture(scope="module")
def bent() -> Track:
    """A straight, then a bend to the right."""
    road = RoadLayout(10, 1, 5, 0).straights(4).right(2)
    road.straights(4).add("StadiumRoadMainFinishLine").straights(4)
    track = Track.from_challenge(Challenge(uid="bent", name="Bent", blocks=tuple(road.blocks)))
    return dataclasses.replace(track, reference_line=line_from_path(track.centre_line(), map_uid=track.uid))


def test_pedals_are_pressed_above_zero_and_steering_passes() -> None:
    actions = np.array([[0, 0, -0.4], [0.01, -1, 1], [-1, 1, 0.2]], dtype=np.float32)
    steer, gas, brake = analog_controls(actions)
    assert steer.tolist() == actions[:, 2].tolist()
    assert gas.tolist() == [0, 1, 0]
    assert brake.tolist() == [0, 0, 1]
    assert nearest_keys(actions).tolist() == [4, 2, 6]


def test_the_twelve_actions_are_analog_actions_too() -> None:
    keys = np.arange(N_ACTIONS)
    assert nearest_keys(ANALOG_TABLE).tolist() == keys.tolist()
    for by_key, by_stick in zip(controls(keys), analog_controls(ANALOG_TABLE), strict=True):
        assert np.array_equal(by_key, by_stick)


@pytest.mark.parametrize("floats", ["telemetry", "lidar", "state"])
def test_gymnasium_accepts_every_set(straight: Track, floats: str) -> None:
    env = RacingEnv(straight, analog(floats))
    check_env(env, skip_render_check=True)
    observation, _ = env.reset()
    assert observation["floats"].shape == (driver_floats.WIDTHS[floats],)
    vector = RacingVectorEnv(straight, 3, analog(floats))
    observation, _ = vector.reset()
    assert observation in vector.observation_space
    assert vector.action_space.shape == (3, 3)


@pytest.mark.parametrize("floats", ["telemetry", "lidar", "state"])
def test_single_and_vector_environment_see_the_same(bent: Track, floats: str) -> None:
    rng = np.random.default_rng(3)
    config = EnvConfig(image_width=16, image_height=12, n_frames=4, actions="analog", floats=floats)
    single, vector = RacingEnv(bent, config), RacingVectorEnv(bent, 3, config)
    start = evaluation_starts(1, 3)[2]
    seen, _ = single.reset(options={"start": start})
    batch, _ = vector.reset(options={"start": start})
    for _ in range(60):
        actions = np.column_stack([np.full(3, 1), np.full(3, -1), rng.uniform(-0.5, 0.5, 3)]).astype(np.float32)
        assert np.array_equal(seen["floats"], batch["floats"][1])
        assert np.array_equal(seen["image"], batch["image"][1])
        seen, reward, *_ = single.step(actions[1])
        batch, rewards, *_ = vector.step(actions)
        assert reward == rewards[1]
    assert np.abs(seen["floats"]).max() < 3, "scaled to the order of one"


def test_keys_and_the_same_analog_actions_drive_alike(straight: Track) -> None:
    rng = np.random.default_rng(0)
    by_key, by_stick = (
        RacingVectorEnv(straight, 2, EnvConfig(images=False)),
        RacingVectorEnv(straight, 2, analog("iqn")),
    )
    by_key.reset()
    by_stick.reset()
    for _ in range(40):
        keys = rng.choice([0, 0, 1, 2, 9], 2)
        expected, reward, *_ = by_key.step(keys)
        seen, same_reward, *_ = by_stick.step(ANALOG_TABLE[keys])
        assert np.array_equal(expected["floats"], seen["floats"])
        assert np.array_equal(reward, same_reward)


def test_the_last_actions_are_seen_oldest_first(straight: Track) -> None:
    env = RacingEnv(straight, analog("telemetry"))
    env.reset()
    for steer in (0.1, 0.2):
        seen, *_ = env.step(np.array([1, -1, steer], dtype=np.float32))
    history = seen["floats"][3:15].reshape(4, 3)
    assert history.tolist() == [[0, 0, 0], [0, 0, 0], [1, -1, np.float32(0.1)], [1, -1, np.float32(0.2)]]
    seen, _ = env.reset()
    assert seen["floats"][3:15].tolist() == [0] * 12


def test_scans_keep_their_history_and_begin_with_the_first(straight: Track) -> None:
    env = RacingEnv(straight, analog("lidar"))
    seen, _ = env.reset()
    scans = seen["floats"][driver_floats.SCANS].reshape(4, N_RAYS)
    assert (scans == scans[0]).all()
    newest = [scans[-1]]
    for _ in range(30):
        seen, *_ = env.step(GO)
        scans = seen["floats"][driver_floats.SCANS].reshape(4, N_RAYS)
        newest.append(scans[-1])
        assert np.array_equal(scans[:3], [newest[max(0, len(newest) - 1 - back)] for back in (3, 2, 1)])
    assert not np.array_equal(newest[0], newest[-1])


def test_rays_end_at_the_borders_of_a_straight_road(straight: Track) -> None:
    env = RacingEnv(straight, analog("state"))
    seen, _ = env.reset()
    scan = REACH_M * seen["floats"][driver_floats.SCAN]
    angles = np.deg2rad(np.arange(0, 181, 10))
    width = scan[0]
    assert 7 < width < 16
    assert scan[18] == pytest.approx(width, abs=0.3), "the car starts in the middle"
    sideways = np.sin(np.abs(angles - np.pi / 2))
    side = np.where(angles < np.pi / 2, scan[0], scan[18])
    expected = np.minimum(REACH_M, np.divide(side, sideways, out=np.full(19, REACH_M), where=sideways > 1e-6))
    assert scan == pytest.approx(expected, rel=0.03)


def test_rays_show_on_which_side_a_bend_opens(bent: Track) -> None:
    env = RacingEnv(bent, analog("state"))
    seen, _ = env.reset()
    while seen["floats"][driver_floats.PROGRESS][0] < 0.30:
        seen, _, terminated, truncated, _ = env.step(GO)
        assert not terminated
        assert not truncated
    scan = REACH_M * seen["floats"][driver_floats.SCAN]
    assert scan[9] < REACH_M, "the outer border stands straight ahead"
    assert scan[8] > scan[10], "the road goes on to the right"


def test_the_scan_equals_a_march_over_the_surface(bent: Track) -> None:
    env = RacingEnv(bent, analog("state"))
    seen, _ = env.reset()
    for _ in range(75):
        seen, *_ = env.step(GO)
    scan = REACH_M * seen["floats"][driver_floats.SCAN]
    car = env._game._state()
    heading = car.rotation[:, 2] * np.array([1, 0, 1])
    heading /= np.linalg.norm(heading)
    left = np.cross([0, 1, 0], heading)
    for ray in range(0, N_RAYS, 3):
        angle = np.deg2rad(10 * ray - 90)
        away = np.arange(0.5, 60, 0.5)
        points = car.position_m + away[:, None] * (np.cos(angle) * heading + np.sin(angle) * left)
        height, _ = bent.mesh.ground_below(points + UP)
        over = np.abs(np.diff(height, prepend=height[0])) > 0.12
        marched = away[np.argmax(over)] if over.any() else 60.0
        assert min(scan[ray], 60.0) == pytest.approx(marched, abs=1.5), f"ray {ray}"


def test_a_border_on_another_level_is_not_seen() -> None:
    line = np.column_stack([np.zeros(20), np.zeros(20), 2.0 * np.arange(20)])
    corridor = Corridor(line + SIDE, line - SIDE)
    bridge = Corridor(line + 30 * UP + SIDE, line + 30 * UP - SIDE)
    pose = np.array([[0, 0, 10]], dtype=np.float32), np.eye(3, dtype=np.float32)[None]
    near = Lidar([corridor], np.zeros(1, int), behind=10, ahead=20).scan(*pose, np.array([5]))[0].copy()
    far = Lidar([bridge], np.zeros(1, int), behind=10, ahead=20).scan(*pose, np.array([5]))[0]
    assert near[0] == near[18] == pytest.approx(5)
    assert near[9] == REACH_M
    assert far.tolist() == [REACH_M] * N_RAYS


def test_kept_starts_bring_their_history_back(straight: Track) -> None:
    config = analog("lidar", snapshot_start_fraction=1.0, time_limit_ms=5_000)
    env = RacingVectorEnv(straight, 4, config, seed=3)
    env.reset()
    for _ in range(100):
        *_, truncated, _ = env.step(np.tile(GO, (4, 1)))
    assert truncated.all()
    _, info = env.reset()
    ours, *_ = env.step(np.tile(GO, (4, 1)))
    plain = RacingVectorEnv(straight, 1, analog("lidar"))
    plain.reset()
    for _ in range(int(info["time_ms"][0]) // 50 + 1):
        theirs, *_ = plain.step(GO[None])
    assert np.array_equal(ours["floats"][0], theirs["floats"][0])


def test_actions_that_are_none_are_answered_with_a_sentence(straight: Track) -> None:
    env = RacingVectorEnv(straight, 2, analog("telemetry"))
    env.reset()
    for wrong in (np.zeros(2), np.full((2, 3), 1.5), np.full((2, 3), np.nan), np.zeros((2, 2))):
        with pytest.raises(EnvError, match="gas, brake, steer"):
            env.step(wrong)
    single = RacingEnv(straight, analog("telemetry"))
    single.reset()
    with pytest.raises(EnvError, match="three numbers"):
        single.step("left")
    with pytest.raises(ValidationError, match="extra_floats"):
        EnvConfig(floats="lidar", extra_floats=("turbo",))
