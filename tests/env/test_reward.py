"""Reward and potential, worked out by hand."""

import numpy as np
import pytest

from trackmaster.env import N_FLOATS, RewardConfig, layout, potential, step_reward
from trackmaster.env.reward import speedslide_quality


def observation(**values: object) -> np.ndarray:
    floats = np.zeros((1, N_FLOATS), np.float32)
    for name, value in values.items():
        floats[0, getattr(layout, name)] = value
    return floats


def reward(config: RewardConfig, floats: np.ndarray, *, before: np.ndarray | None = None, action: int = 0,
           metres: float = 0.0, elapsed_ms: int = 0, final: bool = False) -> float:  # fmt: skip
    paid = step_reward(
        config,
        floats=floats,
        previous_floats=observation() if before is None else before,
        actions=np.array([action]),
        progress_change_m=np.array([metres]),
        elapsed_ms=np.array([elapsed_ms]),
        is_final=np.array([final]),
    )
    assert paid.dtype == np.float32
    return float(paid[0])


NOTHING = RewardConfig(per_ms=0, per_m=0)


def test_time_costs_and_metres_pay() -> None:
    assert reward(RewardConfig(), observation(), elapsed_ms=50, metres=0) == pytest.approx(-0.06)
    assert reward(RewardConfig(), observation(), elapsed_ms=50, metres=3) == pytest.approx(-0.03)
    # Break-even at 120 m/s, 432 km/h.
    assert reward(RewardConfig(), observation(), elapsed_ms=50, metres=6) == pytest.approx(0)


def test_gained_speed_counts_as_progress_while_driving_forward() -> None:
    config = RewardConfig(per_ms=0, per_m=0.01, final_speed_s=2)
    faster = observation(VELOCITY=(3, 0, 4))
    assert reward(config, faster) == pytest.approx(0.01 * 2 * 5)
    assert reward(config, faster, before=observation(VELOCITY=(0, 0, 7))) == pytest.approx(0.01 * 2 * -2)
    assert reward(config, observation(VELOCITY=(3, 0, -4))) == 0
    assert reward(config, faster, final=True) == 0


def test_speedslide_pays_for_the_ideal_angle_with_all_wheels_down() -> None:
    # At 100 km/h the limit is 80: side 160 is quality 1. 20 * |v_x| = 160 at 8 m/s.
    assert speedslide_quality(np.array([8.0]), np.array([100 / 3.6])) == pytest.approx([1.0])
    assert speedslide_quality(np.array([-3.9]), np.array([0.0])) == [0.0]
    config = NOTHING.model_copy(update={"speedslide": 0.5})
    ideal = observation(VELOCITY=(8, 0, 100 / 3.6), WHEEL_CONTACT=1)
    assert reward(config, ideal) == pytest.approx(0.5, rel=1e-5)
    half = observation(VELOCITY=(6, 0, 100 / 3.6), WHEEL_CONTACT=1)
    assert reward(config, half) == pytest.approx(0.25, rel=1e-4)
    assert reward(config, observation(VELOCITY=(8, 0, 100 / 3.6), WHEEL_CONTACT=(1, 1, 1, 0))) == 0


def test_neoslide_kamikaze_and_distance() -> None:
    neo = NOTHING.model_copy(update={"neoslide": 0.2})
    assert reward(neo, observation(VELOCITY=(-2.0, 0, 9))) == pytest.approx(0.2)
    assert reward(neo, observation(VELOCITY=(1.9, 0, 9))) == 0
    kamikaze = NOTHING.model_copy(update={"kamikaze": 0.3})
    grounded = observation(WHEEL_CONTACT=1)
    assert reward(kamikaze, grounded, action=2) == pytest.approx(0.3)
    assert reward(kamikaze, grounded, action=3) == 0
    assert reward(kamikaze, observation(WHEEL_CONTACT=(1, 0, 0, 0)), action=3) == pytest.approx(0.3)
    near = NOTHING.model_copy(update={"close_to_line": -0.01})
    assert reward(near, observation(CURRENT_POINT=(0, 0, 1))) == pytest.approx(-0.05)
    assert reward(near, observation(CURRENT_POINT=(6, 0, 8))) == pytest.approx(-0.1)
    assert reward(near, observation(CURRENT_POINT=(60, 0, 80))) == pytest.approx(-0.25)
    assert reward(near, observation(CURRENT_POINT=(6, 0, 8)), final=True) == 0


def test_potential_by_hand() -> None:
    def of(config: RewardConfig, **values: object) -> float:
        return float(potential(config, observation(**values))[0])

    plain = RewardConfig()
    assert of(plain, CURRENT_POINT=(0, 0, 0.5)) == pytest.approx(-0.2)
    assert of(plain, CURRENT_POINT=(3, 4, 0)) == pytest.approx(-0.5)
    assert of(plain, CURRENT_POINT=(0, 99, 0)) == pytest.approx(-2.5)
    ahead = RewardConfig(potential_ahead=0.4)
    straight = {"CURRENT_POINT": (0, 0, 0), "NEXT_POINT": (0, 0, 10)}
    assert of(ahead, **straight) == pytest.approx(-0.2)
    assert of(ahead, CURRENT_POINT=(0, 0, 0), NEXT_POINT=(10, 0, 0)) == pytest.approx(-0.2 - 0.4)
    assert of(ahead, CURRENT_POINT=(1, 1, 1), NEXT_POINT=(1, 1, -9)) == pytest.approx(-0.2 - 0.8)
