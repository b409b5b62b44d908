"""Observations of the real-time environments scaled to the order of 1, before policy and compressor see them.

Fresh networks that are fed thousands of revolutions per minute answer with saturated actions, and a saturated tanh has
no gradient to leave them by. Pictures stay bytes: the networks divide them by 255. Telemetry has the scales of tmrl's
preprocessor; scans of a lidar, which tmrl leaves in pixels, are divided by the longest usual ones.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SPEED_KMPH: Final = 1_000.0
GEARS: Final = 10.0
RPM: Final = 10_000.0
SCAN_PX: Final = 500.0
SCAN_M: Final = 150.0
"""How far the lidar that measures on the track looks."""


def scaled_full(obs: Any) -> tuple[Any, ...]:
    """Return (speed, gear, rpm, ...) with speed / 1000 km/h, gear / 10 and rpm / 10 000."""
    speed, gear, rpm, *others = obs
    return _over(speed, SPEED_KMPH), _over(gear, GEARS), _over(rpm, RPM), *others


def scaled_lidar(obs: Any) -> tuple[Any, ...]:
    """Return (speed, scans, ...) with speed / 1000 km/h and scans / 500 pixels."""
    speed, scans, *others = obs
    return _over(speed, SPEED_KMPH), _over(scans, SCAN_PX), *others


def scaled_exact_lidar(obs: Any) -> tuple[Any, ...]:
    """Return (speed, scans, ...) with speed / 1000 km/h and scans / 150 m."""
    speed, scans, *others = obs
    return _over(speed, SPEED_KMPH), _over(scans, SCAN_M), *others


def scaled_lidar_progress(obs: Any) -> tuple[Any, ...]:
    """Return (speed, progress, scans, ...) with speed / 1000 km/h and scans / 500 pixels."""
    speed, progress, scans, *others = obs
    return _over(speed, SPEED_KMPH), progress, _over(scans, SCAN_PX), *others


def _over(values: Any, unit: float) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32) / np.float32(unit)
