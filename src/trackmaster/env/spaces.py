"""The observation space that single and vector environment share."""

import gymnasium as gym
import numpy as np

from trackmaster.env.config import EnvConfig
from trackmaster.env.observation import ObservationBuilder

LARGEST_FLOAT = 1e6
"""Bound of every float in the space: metres, rpm and rad/s of a car that is still on its map stay far below it."""


def observation_space(config: EnvConfig, builder: ObservationBuilder) -> gym.spaces.Dict:
    """Return ``{"image": uint8 (n_frames, H, W), "floats": float32 (184 + extras,)}``; no image if so configured."""
    floats = gym.spaces.Box(-LARGEST_FLOAT, LARGEST_FLOAT, (builder.n_floats,), np.float32)
    if not config.images:
        return gym.spaces.Dict({"floats": floats})
    shape = (config.n_frames, config.image_height, config.image_width)
    return gym.spaces.Dict({"image": gym.spaces.Box(0, 255, shape, np.uint8), "floats": floats})
