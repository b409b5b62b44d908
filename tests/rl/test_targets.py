"""Schedules, mini-race clock, n-step windows and shaping against numbers worked out by hand."""

from collections import Counter

import numpy as np
import pytest

from trackmaster.errors import ConfigError
from trackmaster.rl.memory.targets import MiniRace, n_step_return, window_steps
from trackmaster.rl.schedules import Schedule


def test_exponential_schedules_hit_the_published_check_values() -> None:
    epsilon = Schedule([(0, 1.0), (50_000, 1.0), (300_000, 0.1), (3_000_000, 0.03)], "exponential")
    assert epsilon(175_000) == pytest.approx(0.31623, abs=1e-5)
    lr = Schedule([(0, 1e-3), (3_000_000, 5e-5), (12_000_000, 5e-5), (15_000_000, 1e-5)], "exponential")
    assert lr(1_500_000) == pytest.approx(2.2361e-4, rel=1e-4)
    assert [epsilon(f) for f in (0, 50_000, 300_000, 99_000_000)] == pytest.approx([1.0, 1.0, 0.1, 0.03])


def test_linear_and_staircase_schedules() -> None:
    gamma = Schedule([(1_500_000, 0.999), (2_500_000, 1.0)], "linear")
    assert [gamma(f) for f in (0, 2_000_000, 3_000_000)] == pytest.approx([0.999, 0.9995, 1.0])
    size = Schedule([(0, 50), (100, 70)], "staircase")
    assert [size(f) for f in (0, 99.9, 100, 1e9)] == [50, 50, 70, 70]


def test_schedule_speed_divides_every_frame() -> None:
    assert Schedule([(0, 1.0), (800, 0.0)], "linear", speed=8)(50) == pytest.approx(0.5)


@pytest.mark.parametrize("points", [[], [(0, 1.0), (0, 0.5)], [(0, 1.0), (10, 0.0)]])
def test_impossible_schedules_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        Schedule(points, "exponential", name="epsilon")


def test_clock_distribution_is_the_documented_one() -> None:
    n = 720_000
    counts = Counter(MiniRace().draw_clock(n, np.random.default_rng(0)).tolist())
    assert set(counts) == set(range(140))
    for clock, count in counts.items():
        expected = n * (11 if clock == 0 else 2 if clock <= 30 else 1) / 180
        assert abs(count - expected) < 5 * np.sqrt(expected), clock


@pytest.mark.parametrize(("horizon", "long_term", "maximum_term"), [(20, 40, 5), (30, 40, 5), (1, 3, 0), (5, -1, 0)])
def test_a_window_that_its_clock_could_pass_is_refused(horizon: int, long_term: int, maximum_term: int) -> None:
    with pytest.raises(ConfigError, match="oversample_long_term_steps"):
        MiniRace(horizon, long_term, maximum_term)


@pytest.mark.parametrize(("horizon", "long_term", "maximum_term"), [(31, 40, 5), (20, 10, 5), (1, 0, 0), (3, 0, 9)])
def test_the_largest_clock_is_drawn_and_never_passed(horizon: int, long_term: int, maximum_term: int) -> None:
    race = MiniRace(horizon, long_term, maximum_term)
    assert race.draw_clock(20_000, np.random.default_rng(0)).max() == race.largest_clock < horizon


def steps_of(
    terminated: list[int], greedy: list[int], available: int, clock: int, *, cut: bool = True, horizon: int = 140
) -> tuple[int, bool]:
    steps, terminal = window_steps(
        np.array([terminated], dtype=bool), np.array([greedy], dtype=bool), np.array([available]), np.array([clock]),
        horizon_actions=horizon, cut_non_greedy=cut,
    )  # fmt: skip
    return int(steps[0]), bool(terminal[0])


def test_windows_by_hand() -> None:
    assert steps_of([0, 0, 0], [1, 1, 1], 100, 0) == (3, False)
    assert steps_of([0, 0, 0], [0, 1, 1], 100, 0) == (3, False), "the first action may be exploratory"
    assert steps_of([0, 0, 0], [1, 1, 0], 100, 0) == (2, False), "cut before the exploratory action"
    assert steps_of([0, 0, 0], [1, 0, 1], 100, 0) == (1, False)
    assert steps_of([0, 0, 0], [1, 0, 1], 100, 0, cut=False) == (3, False)
    assert steps_of([0, 0, 0], [1, 1, 1], 2, 0) == (2, False), "a run that was cut off is not terminal"
    assert steps_of([0, 1, 0], [1, 1, 1], 2, 0) == (2, True), "the finish is terminal"
    assert steps_of([0, 1, 0], [1, 0, 1], 2, 0) == (1, False), "cut before the finish is reached"
    assert steps_of([0, 0, 0], [1, 1, 1], 100, 136) == (3, False)
    assert steps_of([0, 0, 0], [1, 1, 1], 100, 137) == (3, True), "the end of the mini-race is terminal"
    assert steps_of([0, 0, 0], [1, 1, 1], 100, 139) == (1, True), "shortened by the excess"


def test_windows_without_a_decision_are_never_returned() -> None:
    with pytest.raises(ValueError, match="a window of -10 decisions"):
        steps_of([0, 0, 0], [1, 1, 1], 100, 30, horizon=20)
    with pytest.raises(ValueError, match="a window of 0 decisions"):
        steps_of([0, 0, 0], [1, 1, 1], 0, 0)


def test_n_step_returns_by_hand() -> None:
    window = n_step_return(
        np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], dtype=np.float32),
        np.array([3, 2, 2]),
        np.array([False, False, True]),
        np.array([-0.5, -0.5, -0.5], dtype=np.float32),
        np.array([-0.2, -0.2, -0.2], dtype=np.float32),
        gamma=0.5,
    )
    # 1 + 1 + 1 - 0.2/8 + 0.5;  1 + 1 - 0.2/4 + 0.5;  terminal: 1 + 1 + 0.5
    np.testing.assert_allclose(window.reward, [3.475, 2.45, 2.5], rtol=1e-6)
    np.testing.assert_allclose(window.gamma, [0.125, 0.25, 0.0])


def test_shaping_telescopes_over_an_episode() -> None:
    potential = np.array([-2.0, -1.5, -0.7, -0.4], dtype=np.float32)
    rewards = np.array([[0.1], [0.2], [0.3]], dtype=np.float32)
    window = n_step_return(
        rewards, np.array([1, 1, 1]), np.array([False, False, True]), potential[:3], potential[1:], gamma=1.0
    )
    assert window.reward.sum() == pytest.approx(rewards.sum() - potential[0], abs=1e-6)
