"""Rewards along a demonstrated drive."""

import numpy as np
import pytest

from trackmaster.env import EnvError
from trackmaster.env.demo.reward import CheckpointReward, DemoReward, DemoRewardConfig, resampled, trajectory_reward

STRAIGHT = resampled([[0, 0, 0], [300, 0, 0]])


def at(metres: float) -> list[float]:
    return [metres, 0.0, 0.0]


@pytest.mark.parametrize("mode", ["signed", "tmrl"])
def test_three_hundred_metres_to_the_finish_are_worth_130(mode: str) -> None:
    reward = DemoReward(STRAIGHT, mode=mode)
    reward.reset()
    total = 0.0
    for metres in np.linspace(0, 300, 151):
        paid, terminated = reward.step(at(metres), is_finished=metres == 300)
        total += paid
    assert terminated
    assert total == pytest.approx(130.0, abs=0.01)


def to_and_fro(reward: DemoReward, times: int) -> tuple[float, bool]:
    reward.reset()
    total = 0.0
    way = np.concatenate([np.arange(0.0, 8.2, 0.9), np.arange(8.1, 0.0, -0.9)])
    for metres in np.tile(way, times):
        paid, terminated = reward.step(at(metres), is_finished=False)
        total += paid
        if terminated:
            return total, True
    return total, False


def test_driving_to_and_fro_earns_nothing_but_in_the_mode_of_tmrl() -> None:
    earned, _ = to_and_fro(DemoReward(STRAIGHT), 50)
    assert earned == pytest.approx(0.0, abs=0.1)
    farmed, terminated = to_and_fro(DemoReward(STRAIGHT, mode="tmrl"), 50)
    assert farmed > 35
    assert not terminated


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_sum_is_where_the_car_stands_whatever_it_did_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reward = DemoReward(STRAIGHT, DemoRewardConfig(failure_countdown=10_000))
    reward.reset()
    metres, total = 0.0, 0.0
    for _ in range(300):
        metres = float(np.clip(metres + rng.uniform(-4, 5), 0, 299))
        total += reward.step(at(metres), is_finished=False)[0]
    assert total == pytest.approx(0.1 * metres, abs=0.011)


def test_standing_still_ends_the_episode_after_the_countdown() -> None:
    reward = DemoReward(STRAIGHT)
    reward.reset()
    over = [reward.step(at(0), is_finished=False)[1] for _ in range(90)]
    assert over.index(True) == 80


def test_far_away_nothing_counts() -> None:
    reward = DemoReward(STRAIGHT)
    reward.reset()
    assert reward.step([200.0, 0, 120.0], is_finished=False)[0] == 0
    assert reward.step([30.0, 0, 99.0], is_finished=False)[0] == pytest.approx(3.0)


def test_a_cut_of_fifty_metres_is_paid_and_a_longer_one_is_not() -> None:
    """A hairpin: 100 m out, 4 m across, 100 m back."""
    hairpin = resampled([[0, 0, 0], [100, 0, 0], [100, 0, 4], [0, 0, 4]])
    reward = DemoReward(hairpin)
    reward.reset()
    for metres in range(0, 86, 2):
        reward.step(at(metres), is_finished=False)
    assert reward.step([84.0, 0, 4.0], is_finished=False)[0] == pytest.approx(3.6, abs=0.05)
    reward.reset()
    for metres in range(0, 42, 2):
        reward.step(at(metres), is_finished=False)
    assert reward.step([40.0, 0, 4.0], is_finished=False)[0] == 0


def test_checkpoints_are_counted_once() -> None:
    reward = CheckpointReward(STRAIGHT, spacing_m=10)
    reward.reset()
    earned = [reward.step(at(metres), is_finished=False)[0] for metres in (0, 9.9, 10, 25, 5, 10, 29, 31)]
    assert earned == [0, 0, 1, 1, 0, 0, 0, 1]
    assert reward.step(at(40), is_finished=True) == (101, True)


def test_rewards_are_chosen_by_name() -> None:
    assert isinstance(trajectory_reward(STRAIGHT, kind="checkpoints"), CheckpointReward)
    for mode in ("signed", "tmrl"):
        reward = trajectory_reward(STRAIGHT, kind=mode)
        assert isinstance(reward, DemoReward)
        assert reward.mode == mode
    with pytest.raises(EnvError, match="'checkpoint' does not exist"):
        trajectory_reward(STRAIGHT, kind="checkpoint")


def test_a_path_becomes_points_a_tenth_of_a_metre_apart() -> None:
    path = resampled([[0, 0, 0], [0, 0, 0], [3, 0, 0], [3, 0, 4]])
    assert len(path) == 71
    assert np.linalg.norm(np.diff(path, axis=0), axis=1) == pytest.approx(0.1, abs=0.03)
    assert path[-1].tolist() == [3, 0, 4]
    for wrong in ([[0, 0, 0]], [[0, 0], [1, 1]], [[0, 0, 0], [np.nan, 0, 0]], [[1, 1, 1], [1, 1, 1.01]]):
        with pytest.raises(EnvError, match="demonstration"):
            resampled(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"check_forward": 0}, {"check_backward": 0.5}, {"min_steps": -1}, {"failure_countdown": -1},
        {"check_forward": np.inf}, {"check_forward": "500"}, {"max_stray": 0}, {"max_stray": np.nan},
        {"end_of_track": np.inf}, {"constant_penalty": np.nan},
    ],
)  # fmt: skip
def test_constants_that_make_no_rule_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(EnvError, match=r"expected (whole numbers of at least|more than 0)|are numbers"):
        DemoRewardConfig(**wrong)


def test_counts_may_be_written_as_floats() -> None:
    """A JSON file may say 500.0, and a model of floats makes it so."""
    reward = DemoReward(STRAIGHT, DemoRewardConfig(check_forward=500.0, check_backward=10.0))
    assert reward.step(at(20), is_finished=False)[0] == pytest.approx(2.0)
    assert reward.step(at(19.5), is_finished=False)[0] == pytest.approx(-0.05)
