"""The 12 actions as controls, as observation floats and mirrored left to right; and analog actions as controls.

An analog action is gas, brake, steer, each from -1 to 1. A pedal is released up to 0 and pressed above it: the
pedals of TrackMania Nations Forever know nothing between. Steering is analog, + = right.
"""

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

ANALOG_TABLE: Final[NDArray[np.float32]] = np.stack([2 * GAS_TABLE - 1, 2 * BRAKE_TABLE - 1, STEER_TABLE], axis=1)
"""(12, 3) the same controls as analog actions."""
N_ANALOG: Final = 3
GAS, BRAKE, STEER = range(N_ANALOG)
"""Order of an analog action."""
STEER_KEY_FROM: Final = 1 / 3
"""Steering that counts as a key held, where an analog action must be named by its nearest of the 12."""

MIRROR_ACTION: Final[NDArray[np.int64]] = np.array([0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10])
"""(12,) the action a mirrored driver would take."""


def controls(actions: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return steer (+ = right), gas and brake, each float32 shaped like ``actions``."""
    return STEER_TABLE[actions], GAS_TABLE[actions], BRAKE_TABLE[actions]


def analog_controls(
    actions: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return steer (+ = right), gas and brake, each float32 (N,), of analog actions (N, 3)."""
    pressed = (actions[:, :STEER] > 0.0).astype(np.float32)
    return actions[:, STEER].astype(np.float32), pressed[:, GAS], pressed[:, BRAKE]


def nearest_keys(actions: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return for analog actions (N, 3) the index of the keys that come nearest: steering from a third on is a key."""
    side = np.where(actions[:, STEER] > STEER_KEY_FROM, 2, np.where(actions[:, STEER] < -STEER_KEY_FROM, 1, 0))
    index: NDArray[np.int64] = _KEYS_OF[
        (actions[:, GAS] > 0.0).astype(np.int64), (actions[:, BRAKE] > 0.0).astype(np.int64), side
    ]
    return index


def _keys_of() -> NDArray[np.int64]:
    table = np.zeros((2, 2, 3), dtype=np.int64)
    for index, (gas, brake, left, right) in enumerate(ACTION_KEYS):
        table[int(gas), int(brake), 2 * int(right) + int(left)] = index
    return table


_KEYS_OF: Final = _keys_of()
"""Action index by gas, brake and side (0 straight, 1 left, 2 right)."""
