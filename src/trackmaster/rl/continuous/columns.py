"""Columns of the agents with analog actions: the observation's arrays, the action, and what their memory wants."""

from collections.abc import Mapping, Sequence

import gymnasium as gym
import numpy as np

from trackmaster.rl.samples.chunk import ColumnSpec, SampleSpec

NOT_OBSERVED = ("action", "reward", "potential", "terminated", "truncated", "draw", "log_prob")
"""Columns of a row that are no part of the observation."""


def continuous_sample_spec(
    observation_space: gym.spaces.Dict, n_actions: int, *, extras: Mapping[str, Sequence[int]] | None = None
) -> SampleSpec:
    """Return the columns that travel and are stored.

    A stack of pictures travels as its newest one: the memory stacks them again.

    Args:
        observation_space: of one car; floats and at most one stack of pictures.
        n_actions: numbers of an action.
        extras: shapes of float columns beside the usual ones: a recurrent state, what PPO wants to know.
    """
    spec: SampleSpec = {}
    for name, space in observation_space.spaces.items():
        if space.shape is None or space.dtype is None:
            raise TypeError(f"entry {name} of the observation is no array")
        shape = (1, *space.shape[1:]) if len(space.shape) == 3 else space.shape
        spec[name] = ColumnSpec(shape, np.dtype(space.dtype).str)
    return spec | {
        "action": ColumnSpec((n_actions,), "<f4"),
        "reward": ColumnSpec((), "<f4"),
        "potential": ColumnSpec((), "<f4"),
        "terminated": ColumnSpec((), "|b1"),
        "truncated": ColumnSpec((), "|b1"),
    } | {name: ColumnSpec(tuple(shape), "<f4") for name, shape in (extras or {}).items()}  # fmt: skip


def observed(spec: SampleSpec) -> tuple[str, ...]:
    """Return the columns that make up the observation."""
    return tuple(name for name in spec if name not in NOT_OBSERVED)


def frame_history(observation_space: gym.spaces.Dict) -> dict[str, int]:
    """Return for every stack of pictures how many it holds."""
    return {
        name: space.shape[0]
        for name, space in observation_space.spaces.items()
        if space.shape is not None and len(space.shape) == 3
    }
