"""The spaces that single and vector environment share."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trackmaster.env.actions import N_ACTIONS, N_ANALOG
from trackmaster.env.config import EnvConfig
from trackmaster.env.errors import EnvError

LARGEST_FLOAT = 1e6
"""Bound of every float in the space: metres, rpm and rad/s of a car that is still on its map stay far below it."""


def observation_space(config: EnvConfig, n_floats: int) -> gym.spaces.Dict:
    """Return ``{"image": uint8 (n_frames, H, W), "floats": float32 (n_floats,)}``; no image if so configured."""
    floats = gym.spaces.Box(-LARGEST_FLOAT, LARGEST_FLOAT, (n_floats,), np.float32)
    if not config.images:
        return gym.spaces.Dict({"floats": floats})
    shape = (config.n_frames, config.image_height, config.image_width)
    return gym.spaces.Dict({"image": gym.spaces.Box(0, 255, shape, np.uint8), "floats": floats})


def action_space(config: EnvConfig) -> gym.spaces.Discrete | gym.spaces.Box:
    """Return the index into the table of keys, or float32 (3,) gas, brake, steer from -1 to 1."""
    if config.actions == "keys":
        return gym.spaces.Discrete(N_ACTIONS)
    return gym.spaces.Box(-1.0, 1.0, (N_ANALOG,), np.float32)


def checked_analog(actions: NDArray[Any], n: int) -> NDArray[np.float32]:
    """Return analog actions as float32 (N, 3).

    Raises:
        EnvError: another shape, or values that are not from -1 to 1 (NaN included).
    """
    try:
        analog = actions.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise EnvError(f"an analog action is three numbers from -1 to 1; got {actions!r:.80}.") from error
    if analog.shape != (n, N_ANALOG) or not (np.abs(analog) <= 1.0).all():
        raise EnvError(
            f"analog actions have shape {analog.shape} and values {analog.min(initial=0.0)} to "
            f"{analog.max(initial=0.0)}; expected ({n}, {N_ANALOG}): gas, brake, steer, each from -1 to 1."
        )
    return analog
