"""The simulator in virtual real time, with the observations of the seed and of tmrl."""

import numpy as np
import pytest
from tests.env.realtime_dummies import ThinkingClock

from trackmaster.env import EnvError, Start
from trackmaster.env.demo.reward import CheckpointReward, resampled
from trackmaster.env.realtime.clock import RealClock
from trackmaster.env.realtime.config import realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv
from trackmaster.env.realtime.game import (
    GameExactLidarInterface,
    GameInterface,
    GameLidarInterface,
    GameLidarProgressInterface,
    demo_of,
)
from trackmaster.env.realtime.screen_lidar import ScreenLidar
from trackmaster.game import GameError, SimulatorGame
from trackmaster.game.state import CarState, Inputs
from trackmaster.track import Track, TrackError
from trackmaster.units import MPS_TO_KMPH

GO = np.array([1.0, -1.0, 0.0], dtype=np.float32)


def make(interface: type[GameInterface], track: Track, **changes: object) -> RealTimeEnv:
    kwargs = {"track": track, **changes.pop("interface_kwargs", {})}
    return RealTimeEnv(realtime_config(interface, interface_kwargs=kwargs, **changes))


SHAPES = [
    (GameInterface, [(1,), (1,), (1,), (4, 64, 64)]),
    (GameLidarInterface, [(1,), (4, 19)]),
    (GameLidarProgressInterface, [(1,), (1,), (4, 19)]),
    (GameExactLidarInterface, [(1,), (4, 19)]),
]


@pytest.mark.parametrize(("interface", "shapes"), SHAPES)
def test_observations_have_the_form_of_the_seed(straight: Track, interface, shapes) -> None:
    env = make(interface, straight)
    observation, _ = env.reset()
    for _ in range(3):
        assert observation in env.observation_space
        assert [part.shape for part in observation] == [*shapes, *[(3,)] * 4]
        observation, *_ = env.step(GO)
    assert env.action_space.shape == (3,)
    assert observation[-1].tolist() == GO.tolist()


def test_the_race_is_that_of_the_game_driven_tick_by_tick(straight: Track) -> None:
    env = make(GameInterface, straight)
    env.reset()
    game = SimulatorGame()
    game.load(straight)
    game.reset()
    state = game.step(Inputs(), 5)
    for count in range(40):
        observation, _, _, _, info = env.step(GO)
        assert info["time_ms"] == state.time_ms == 50 * (count + 1)
        assert observation[0][0] == pytest.approx(np.linalg.norm(state.velocity_mps) * MPS_TO_KMPH, rel=1e-6)
        assert observation[2][0] == np.float32(state.rpm)
        state = game.step(Inputs(gas=1.0), 5)


def test_an_early_capture_sees_the_action_for_a_shorter_time(straight: Track) -> None:
    env = make(GameInterface, straight, start_obs_capture=0.04)
    env.reset()
    infos = [env.step(GO)[4]["time_ms"] for _ in range(3)]
    assert infos == [40, 90, 140]


def test_two_runs_are_the_same(straight: Track) -> None:
    runs = []
    for _ in range(2):
        env = make(GameInterface, straight)
        env.reset()
        rng = np.random.default_rng(1)
        rows = [env.step(rng.uniform(-1, 1, 3).astype(np.float32)) for _ in range(30)]
        runs.append(rows)
    for (first, reward, *_), (second, again, *_) in zip(*runs, strict=True):
        assert reward == again
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_pictures_move_on_one_by_one(straight: Track) -> None:
    env = make(GameInterface, straight)
    before, _ = env.reset()
    assert (before[3] == before[3][:1]).all()
    for _ in range(25):
        after, *_ = env.step(GO)
        assert np.array_equal(after[3][:3], before[3][1:])
        before = after
    assert not np.array_equal(after[3][2], after[3][3])


def test_a_finished_race_pays_its_length_and_the_finish(straight: Track) -> None:
    env = make(GameInterface, straight)
    env.reset()
    total, terminated = 0.0, False
    while not terminated:
        *_, reward, terminated, truncated, info = env.step(GO)
        assert not truncated
        total += reward
    assert info["finished"]
    assert info["race_time_ms"] > 0
    line = straight.reference_line
    assert line is not None
    assert total == pytest.approx(100 + 0.1 * line.info.length_m, rel=0.01)


def test_rewards_and_starts_can_be_chosen(straight: Track) -> None:
    reward = CheckpointReward(resampled(demo_of(straight)))
    env = make(GameInterface, straight, interface_kwargs={"reward": reward})
    env.reset(options={"start": Start(wait_ticks=3)})
    paid = [env.step(GO)[1] for _ in range(60)]
    assert set(paid) == {0.0, 1.0}
    assert sum(paid) == int(reward.progress * len(resampled(demo_of(straight))) / 100)
    with pytest.raises(EnvError, match="'start'"):
        env.reset(options={"begin": 1})
    with pytest.raises(TrackError, match="no such map file"):
        GameInterface("maps/nowhere.Challenge.Gbx")


class Counting(SimulatorGame):
    """Notes how many ticks were driven, and can lose its session as a game does."""

    ticks = 0
    is_lost = False

    def step(self, inputs: Inputs, ticks: int) -> CarState:
        if self.is_lost:
            raise GameError("the session was lost")
        self.ticks += ticks
        return super().step(inputs, ticks)

    def reset(self, state: object | None = None) -> CarState:
        self.is_lost = False
        return super().reset(state)


@pytest.mark.parametrize("waits", [True, False])
def test_a_pause_between_two_episodes_is_not_driven(straight: Track, waits: bool) -> None:
    game, clock = Counting(), ThinkingClock()
    config = realtime_config(
        GameExactLidarInterface, interface_kwargs={"track": straight, "game": game}, ep_max_length=3,
        wait_on_done=waits, reset_act_buf=True,
    )  # fmt: skip
    env = RealTimeEnv(config, clock=clock)
    for _ in range(2):
        env.reset()
        game.ticks = 0
        for _ in range(3):
            *_, info = env.step(GO)
        assert info["time_ms"] == 150
        clock.think(600.0)
        if waits:
            env.wait()
    env.reset()
    assert game.ticks == 15


def test_a_game_that_lost_its_session_can_be_reset(straight: Track) -> None:
    game = Counting()
    env = make(GameExactLidarInterface, straight, interface_kwargs={"game": game})
    env.reset()
    game.is_lost = True
    with pytest.raises(GameError, match="was lost"):
        for _ in range(2):
            env.step(GO)
    env.reset()
    assert env.step(GO)[4]["time_ms"] == 50


def test_the_simulator_runs_in_real_time_when_asked(straight: Track) -> None:
    clock = RealClock()
    config = realtime_config(
        GameExactLidarInterface, interface_kwargs={"track": straight}, time_step_duration=0.02, start_obs_capture=0.02
    )
    env = RealTimeEnv(config, clock=clock, watchdog_steps=2_000)
    env.reset()
    before = clock.now_s()
    infos = [env.step(GO)[4]["time_ms"] for _ in range(10)]
    assert clock.now_s() - before >= 0.19
    assert np.diff(infos).min() >= 0
    assert infos[-1] >= 190
    env.close()


def test_the_drawn_lidar_sees_the_road_narrow_to_the_sides_and_long_ahead(straight: Track) -> None:
    env = make(GameLidarInterface, straight)
    observation, _ = env.reset()
    for _ in range(40):
        observation, *_ = env.step(GO)
    scan = observation[1][-1]
    assert scan[9] > 1.5 * max(scan[5], scan[13])
    assert scan[:9] == pytest.approx(scan[:9:-1], rel=0.1), "the car drives in the middle"


def lidar_of(width: int, height: int) -> tuple[ScreenLidar, np.ndarray]:
    return ScreenLidar(width, height), np.full((height, width, 4), 200, dtype=np.uint8)


def test_a_screen_lidar_counts_pixels_from_twenty_on() -> None:
    lidar, picture = lidar_of(958, 488)
    assert lidar.scan(picture)[[0, 9, 18]].tolist() == [957 - 479 - 20 - 1, 438 - 20 - 1, 479 - 20 - 1]
    row, column = 44 * 488 // 49, 479
    picture[row, column + 120] = 10
    picture[row - 50, column] = 10
    picture[row, column - 25] = [10, 10, 90, 0]
    scan = lidar.scan(picture)
    assert scan[0] == 100
    assert scan[9] == 30
    assert scan[18] == 458, "a pixel is dark only when all three values are"


def test_a_screen_lidar_refuses_what_it_cannot_scan() -> None:
    lidar, picture = lidar_of(256, 128)
    with pytest.raises(EnvError, match="expected"):
        lidar.scan(picture[:-1])
    with pytest.raises(EnvError, match="does not fit"):
        ScreenLidar(40, 20)
