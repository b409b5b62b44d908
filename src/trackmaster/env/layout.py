"""The index map of the 184 floats and the two tables that normalise them.

The order is that of Linesight's network input, so that weights interchange; extras of ours are appended after index
183 and never inserted. Normalisation itself happens inside the network, observations hold raw values.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

N_POINTS: Final = 40
"""Reference points ahead of the car in one observation."""

POINT_STRIDE: Final = 20
"""Zone centres between two reference points: every 10 m on a line with 0.5 m spacing."""

N_PREVIOUS_ACTIONS: Final = 5
"""Past decisions in one observation, oldest first."""

N_MATERIAL_GROUPS: Final = 4
"""One-hot width per wheel; group 4 (everything else) is all zero."""

CLOCK: Final = 0
"""Mini-race clock in decisions; 0 when acting, overwritten when a batch is drawn."""
PREVIOUS_ACTIONS: Final = slice(1, 21)
"""Last five actions, oldest first, each (accelerate, brake, left, right) as 0/1."""
WHEEL_SLIDING: Final = slice(21, 25)
WHEEL_CONTACT: Final = slice(25, 29)
WHEEL_DAMPER: Final = slice(29, 33)
GEARBOX_STATE: Final = 33
GEAR: Final = 34
RPM: Final = 35
SHIFT_COUNT: Final = 36
"""Whole 50 ms since the gearbox left its steady state, 0 when steady."""
WHEEL_MATERIAL: Final = slice(37, 53)
GEAR_AND_WHEELS: Final = slice(21, 53)
"""The 32 floats that a captured snapshot stores in one piece."""
ANGULAR_VELOCITY: Final = slice(53, 56)
VELOCITY: Final = slice(56, 59)
"""Car frame, m/s: lateral (+ left), up, forward."""
VELOCITY_LATERAL: Final = 56
VELOCITY_FORWARD: Final = 58
UP: Final = slice(59, 62)
POINTS: Final = slice(62, 182)
CURRENT_POINT: Final = slice(62, 65)
NEXT_POINT: Final = slice(65, 68)
MARGIN: Final = 182
FREEWHEELING: Final = 183
N_FLOATS: Final = 184

MARGIN_CAP_M: Final = 700.0
"""Metres to the finish are cut off here, so that the number means the same on every map."""

FLOAT_LAYOUT_VERSION: Final = 1
"""Raised when the meaning of an index changes; stored beside weights and data sets."""

_POINT_Y = (
    "-2.1 -2.2 -2.2 -2.2 -2.2 -2.1 -2 -1.8 -1.5 -1.3 -1 -.7 -.4 0 .3 .7 1.1 1.6 2.1 2.6 "
    "3.1 3.7 4.2 4.8 5.3 5.8 6.4 6.9 7.4 7.8 8.3 8.7 9.1 9.5 9.9 10.2 10.6 10.9 11.2 11.5"
)
_POINT_Z = (
    "-.2 9.5 19.1 28.5 37.7 46.6 55.2 63.5 71.4 78.9 86.2 93.1 99.8 106 112 118 124 129 134 139 "
    "143 148 152 156 160 164 167 171 174 177 180 182 185 187 189 191 193 194 196 197"
)
_POINT_STD_XY = (
    "7.7 7.8 8.3 9.5 11.5 14.3 17.8 21.9 26.3 31.1 36.1 41.3 46.6 52 57.4 63 68.5 74.2 79.9 85.6 "
    "91.4 97.2 103 109 115 121 127 132 138 144 149 155 160 166 171 176 182 187 192 198"
)
_POINT_STD_Z = (
    "2.9 3.3 4.1 5.1 6.4 7.9 9.7 11.7 14.2 17 20.1 23.5 27.2 31.1 35.2 39.4 43.7 48.1 52.5 57 "
    "61.4 65.8 70.2 74.6 79.1 83.5 88 92.6 97.2 102 107 112 117 121 126 131 136 141 146 151"
)


def _numbers(text: str) -> NDArray[np.float32]:
    return np.array(text.split(), dtype=np.float32)


def _mean() -> NDArray[np.float32]:
    mean = np.zeros(N_FLOATS, dtype=np.float32)
    mean[CLOCK] = 70.0
    mean[PREVIOUS_ACTIONS] = np.tile((0.8, 0.2, 0.3, 0.3), N_PREVIOUS_ACTIONS)
    mean[WHEEL_SLIDING] = 0.1
    mean[WHEEL_CONTACT] = 0.9
    mean[WHEEL_DAMPER] = 0.02
    mean[GEARBOX_STATE] = 0.3
    mean[GEAR] = 2.5
    mean[RPM] = 7_000.0
    mean[SHIFT_COUNT] = 0.1
    mean[WHEEL_MATERIAL] = 0.5
    mean[VELOCITY_FORWARD] = 55.0
    mean[UP] = (0.0, 1.0, 0.0)
    points = mean[POINTS].reshape(N_POINTS, 3)
    points[:, 1] = _numbers(_POINT_Y)
    points[:, 2] = _numbers(_POINT_Z)
    mean[MARGIN] = MARGIN_CAP_M
    mean.flags.writeable = False
    return mean


def _std() -> NDArray[np.float32]:
    std = np.full(N_FLOATS, 0.5, dtype=np.float32)
    std[CLOCK] = 70.0
    std[WHEEL_DAMPER] = 0.06
    std[GEARBOX_STATE] = 1.0
    std[GEAR] = 2.0
    std[RPM] = 3_000.0
    std[SHIFT_COUNT] = 10.0
    std[ANGULAR_VELOCITY] = (0.5, 1.0, 0.5)
    std[VELOCITY] = (5.0, 5.0, 20.0)
    points = std[POINTS].reshape(N_POINTS, 3)
    points[:, 0] = points[:, 1] = _numbers(_POINT_STD_XY)
    points[:, 2] = _numbers(_POINT_STD_Z)
    std[MARGIN] = MARGIN_CAP_M / 2
    std[FREEWHEELING] = 1.0
    std.flags.writeable = False
    return std


OBS_MEAN: Final = _mean()
"""(184,) float32, what the network subtracts first."""

OBS_STD: Final = _std()
"""(184,) float32, what it divides by next; damper 0.06 as in Linesight."""
