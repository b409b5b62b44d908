"""What one decision is worth: pure functions of observations, progress and time.

With the default coefficients a decision costs 0.06 and a metre brings 0.01, so a lap's sum is negative at any speed a
car reaches; what is maximised is speed. Check that standing still is not optimal whenever a number changes.

Source: the reward of Linesight, its optional terms included.
"""

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.config import RewardConfig
from trackmaster.units import MPS_TO_KMPH

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]

_SLIDE_LIMIT_KMPH = np.arange(0.0, 600.0, 100.0)
_SLIDE_LIMIT = np.array([80.0, 80.0, 75.0, 67.0, 60.0, 55.0])
_LAST_FULL_GAS_ACTION = 2
_NEOSLIDE_MPS = 2.0


def speedslide_quality(lateral_mps: NDArray[np.floating], forward_mps: NDArray[np.floating]) -> Reals:
    """Return how far the car slides beyond grip, 1 being the ideal angle and 0 no slide."""
    limit = np.interp(MPS_TO_KMPH * forward_mps, _SLIDE_LIMIT_KMPH, _SLIDE_LIMIT)
    side = 20.0 * np.abs(lateral_mps)
    quality: Reals = np.where(side > limit, (side - limit) / limit, 0.0)
    return quality


def step_reward(
    config: RewardConfig,
    *,
    floats: Floats,
    previous_floats: Floats,
    actions: NDArray[np.integer],
    progress_change_m: NDArray[np.floating],
    elapsed_ms: NDArray[np.integer],
    is_final: NDArray[np.bool_],
) -> Floats:
    """Return the reward credited to the transitions that arrive in these observations.

    Args:
        config: coefficients.
        floats: (N, >= 184) observations after the decision.
        previous_floats: (N, >= 184) observations before it.
        actions: (N,) the decision.
        progress_change_m: (N,) metres gained along the line.
        elapsed_ms: (N,) race time the decision took; in the last one of a finished race the true remainder.
        is_final: (N,) last decision of its episode: optional terms are not paid on it.

    Returns:
        (N,) float32.
    """
    reward = config.per_ms * elapsed_ms.astype(np.float64) + config.per_m * progress_change_m.astype(np.float64)
    optional = _optional_terms(config, floats, previous_floats, actions)
    if optional is not None:
        reward = reward + np.where(is_final, 0.0, optional)
    return reward.astype(np.float32)


def _optional_terms(
    config: RewardConfig, floats: Floats, previous_floats: Floats, actions: NDArray[np.integer]
) -> Reals | None:
    """Return the sum of all terms that are switched on, None when none is."""
    terms: list[Reals] = []
    velocity = floats[:, layout.VELOCITY].astype(np.float64)
    contacts = floats[:, layout.WHEEL_CONTACT].sum(axis=1)
    if config.final_speed_s:
        before = previous_floats[:, layout.VELOCITY].astype(np.float64)
        gained = np.linalg.norm(velocity, axis=1) - np.linalg.norm(before, axis=1)
        terms.append(np.where(velocity[:, 2] > 0, config.per_m * config.final_speed_s * gained, 0.0))
    if config.speedslide:
        quality = speedslide_quality(velocity[:, 0], velocity[:, 2])
        closeness = np.maximum(0.0, 1.0 - np.abs(quality - 1.0))
        terms.append(np.where(contacts == 4, config.speedslide * closeness, 0.0))
    if config.neoslide:
        terms.append(np.where(np.abs(velocity[:, 0]) >= _NEOSLIDE_MPS, config.neoslide, 0.0))
    if config.kamikaze:
        terms.append(np.where((actions <= _LAST_FULL_GAS_ACTION) | (contacts <= 1), config.kamikaze, 0.0))
    if config.close_to_line:
        terms.append(config.close_to_line * np.clip(_distance_to_line(floats), 5.0, 25.0))
    return np.sum(terms, axis=0) if terms else None


def _distance_to_line(floats: Floats) -> Reals:
    distance: Reals = np.linalg.norm(floats[:, layout.CURRENT_POINT].astype(np.float64), axis=1)
    return distance


def potential(config: RewardConfig, floats: Floats) -> Floats:
    """Return the (N,) potentials of observations.

    Shaping adds gamma times the next potential minus the present one, when a batch is drawn.

    Args:
        config: coefficients.
        floats: (N, >= 184) observations.
    """
    value = config.potential_per_m * np.clip(_distance_to_line(floats), 2.0, 25.0)
    if config.potential_ahead:
        ahead = (floats[:, layout.NEXT_POINT] - floats[:, layout.CURRENT_POINT]).astype(np.float64)
        length = np.linalg.norm(ahead, axis=1)
        cosine = np.where(length > 0, ahead[:, 2] / np.where(length > 0, length, 1.0), 1.0)
        value = value + config.potential_ahead * (cosine - 1.0)
    return value.astype(np.float32)
