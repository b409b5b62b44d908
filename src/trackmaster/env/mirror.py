"""Observations as a driver on the mirrored track would have them, for augmentation."""

import numpy as np
from numpy.typing import NDArray

from trackmaster.env import layout
from trackmaster.env.errors import EnvError

_WHEELS = np.array([1, 0, 3, 2])
"""FL FR RR RL seen in a mirror."""


def _mirror_tables() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    source = np.arange(layout.N_FLOATS)
    sign = np.ones(layout.N_FLOATS, dtype=np.float32)
    actions = source[layout.PREVIOUS_ACTIONS].reshape(-1, 4)
    source[layout.PREVIOUS_ACTIONS] = actions[:, [0, 1, 3, 2]].ravel()
    for block in (layout.WHEEL_SLIDING, layout.WHEEL_CONTACT, layout.WHEEL_DAMPER):
        source[block] = source[block][_WHEELS]
    material = source[layout.WHEEL_MATERIAL].reshape(4, -1)
    source[layout.WHEEL_MATERIAL] = material[_WHEELS].ravel()
    sign[layout.ANGULAR_VELOCITY] = (1.0, -1.0, -1.0)
    sign[layout.VELOCITY] = (-1.0, 1.0, 1.0)
    sign[layout.UP] = (-1.0, 1.0, 1.0)
    sign[layout.POINTS] = np.tile((-1.0, 1.0, 1.0), layout.N_POINTS)
    return source, sign


_SOURCE, _SIGN = _mirror_tables()


def mirror_floats(floats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (..., 184) floats mirrored left to right; pictures flip their columns, actions go by ``MIRROR_ACTION``.

    Angular velocity is an axial vector: its part along the mirrored axis keeps its sign, the two others change theirs.

    Raises:
        EnvError: the last axis is not 184 long (extras have no mirror rule here).
    """
    if floats.shape[-1] != layout.N_FLOATS:
        raise EnvError(f"observations of {floats.shape[-1]} floats cannot be mirrored, expected {layout.N_FLOATS}.")
    mirrored: NDArray[np.float32] = floats[..., _SOURCE] * _SIGN
    return mirrored
