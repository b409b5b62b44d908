"""What the worker of one environment has to know about its observations: their form, and which of them are actions."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from trackmaster.rl.samples.chunk import Columns
from trackmaster.rl.samples.columns import is_obs, leaf_of
from trackmaster.rl.samples.nested import leaves

MAX_HISTORY = 64
"""Longest history that is taken for one; what travels repeats no more rows."""


def in_space(obs: Any, space: Any) -> Any:
    """Return an observation with every array in the dtype of its space."""
    if isinstance(space, spaces.Tuple):
        return tuple(in_space(part, inner) for part, inner in zip(obs, space.spaces, strict=True))
    if isinstance(space, spaces.Dict):
        return {key: in_space(obs[key], inner) for key, inner in space.spaces.items()}
    return np.asarray(obs, dtype=space.dtype) if isinstance(space, spaces.Box) else obs


def buffered_actions(observation_space: Any, action_space: Any) -> int:
    """Return how many of the last elements of an observation are the actions before it."""
    if not isinstance(observation_space, spaces.Tuple) or not isinstance(action_space, spaces.Box):
        return 0
    n = 0
    for space in reversed(observation_space.spaces):
        if not isinstance(space, spaces.Box) or space.shape != action_space.shape:
            break
        if not (np.array_equal(space.low, action_space.low) and np.array_equal(space.high, action_space.high)):
            break
        n += 1
    return n


def act_history(obs: Any, n_actions: int) -> NDArray[np.float32]:
    """Return the (n, A) action buffer of an observation, (0, 0) where there is none."""
    if not n_actions:
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([np.asarray(action, dtype=np.float32).reshape(-1) for action in obs[-n_actions:]])


def default_action(env: Any) -> Any:
    """Return what an environment takes as no action: its own, else zeros within its space."""
    space, own = env.action_space, getattr(env.unwrapped, "default_action", None)
    if own is not None:
        return np.asarray(own, dtype=space.dtype)
    zeros = np.zeros(space.shape or (), dtype=space.dtype)
    return np.clip(zeros, space.low, space.high) if isinstance(space, spaces.Box) else zeros


def left_out_history(obs: Any, row: Columns) -> int:
    """Return how many samples the longest history had that the compressor has cut down to its newest entry, else 0."""
    whole = {name: np.shape(leaf) for name, leaf in leaves(obs)}
    longest = 0
    for column, kept in row.items():
        shape = whole.get(leaf_of(column)) if is_obs(column) else None
        if not shape or shape[0] > MAX_HISTORY:
            continue
        is_picture = f"bytes.{leaf_of(column)}" in row
        if shape[1:] == kept.shape or (is_picture and len(shape) == 3):
            longest = max(longest, shape[0])
    return longest
