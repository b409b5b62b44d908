"""The 12 actions as controls, as observation floats, and mirrored left to right."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.gbx import ACTION_KEYS

N_ACTIONS: Final = len(ACTION_KEYS)
ACTION_FORWARD: Final = 0
"""Accelerate alone; also what the history holds before the start."""
ACTION_BACKWARD: Final = 6

KEY_TABLE: Final[NDArray[np.float32]] = np.array(ACTION_KEYS, dtype=np.float32)
"""(12, 4) accelerate, brake, left, right as 0/1."""
STEER_TABLE: Final[NDArray[np.float32]] = KEY_TABLE[:, 3] - KEY_TABLE[:, 2]
"""(12,) -1 left, +1 right."""
GAS_TABLE: Final[NDArray[np.float32]] = KEY_TABLE[:, 0].copy()
BRAKE_TABLE: Final[NDArray[np.float32]] = KEY_TABLE[:, 1].copy()

MIRROR_ACTION: Final[NDArray[np.int64]] = np.array([0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10])
"""(12,) the action a mirrored driver would take."""


def controls(actions: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return steer (+ = right), gas and brake, each float32 shaped like ``actions``."""
    return STEER_TABLE[actions], GAS_TABLE[actions], BRAKE_TABLE[actions]
