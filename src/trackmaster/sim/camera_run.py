"""One chase camera over a whole run whose car states are known in advance.

The law is :class:`~trackmaster.sim.camera.ChaseCamera`'s, number by number and in the same order, so that every view
equals its own bit for bit; but springs and ramps go on as plain numbers instead of arrays of one element, and
everything that needs no earlier tick is done for all ticks at once. That is ten times faster.
"""

from collections.abc import Iterator
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim.camera import (
    AIR,
    CAMERA_2,
    F64,
    GEAR,
    SUBSTEP_S,
    BoolArray,
    CameraPose,
    ChaseSettings,
    camera_pose,
)

BLOCK: Final = 1024
"""Ticks that are plain numbers at the same time: these take fifty times the memory of arrays."""


def chase_run(
    position_m: NDArray[np.floating],
    rotation: NDArray[np.floating],
    causes: F64,
    gear: NDArray[np.integer],
    placed: BoolArray,
    settings: ChaseSettings = CAMERA_2,
) -> CameraPose:
    """Return the view of every tick of a run, one camera step of 10 ms apart.

    Args:
        position_m: (T, 3) car origins.
        rotation: (T, 3, 3), columns are the car's left, up and forward.
        causes: (T, 6) of :func:`~trackmaster.sim.camera.causes_of`.
        gear: (T,) gear numbers.
        placed: (T,) True where the car was put elsewhere, so that the camera begins anew; it does at the first tick.
        settings: which camera.
    """
    ticks = len(position_m)
    matrix = np.asarray(rotation, np.float64)
    car_axes = np.stack([matrix[:, :, 2], matrix[:, :, 1]], axis=1)
    fresh = np.array(placed, np.bool_)
    fresh[:1] = True
    aims = car_axes.copy()
    aims[1:] = car_axes[:-1] + (car_axes[1:] - car_axes[:-1])
    shifts = np.zeros(ticks, np.bool_)
    shifts[1:] = gear[1:] != gear[:-1]
    axes, ramps, stretch_m = _springs(settings, causes, aims, car_axes, shifts, fresh)
    return camera_pose(settings, np.asarray(position_m, np.float64), axes, ramps, stretch_m)


def _springs(
    settings: ChaseSettings, causes: F64, aims: F64, car_axes: F64, shifts: BoolArray, fresh: BoolArray
) -> tuple[F64, F64, F64]:
    """Return axes (T, 2, 3), ramps (T, 6) and the stretch in metres (T,) of every tick."""
    ticks, dt_s = len(causes), SUBSTEP_S
    sizes, up_s, down_s = settings.ramps()
    rises, falls = (dt_s / up_s).tolist(), (dt_s / down_s).tolist()
    size = sizes.tolist()
    on_ground = (dt_s / (dt_s + settings.turn_s), dt_s / (dt_s + settings.tilt_s))
    in_air = (dt_s / (dt_s + settings.air_turn_s), dt_s / (dt_s + settings.air_tilt_s))
    axes, ramps, stretches = np.empty((ticks, 2, 3)), np.empty((ticks, 6)), np.empty(ticks)
    kept: list[tuple[tuple[list[float], list[float]], list[float], float]] = []
    level, stretch_m, rate_mps, gear_time_s = [0.0] * 6, 0.0, 0.0, 0.0
    forward: list[float] = []
    up: list[float] = []
    rows = _plain_rows(causes, aims, car_axes, shifts, fresh)
    for tick, (cause, aim, here, has_shifted, is_fresh) in enumerate(rows, 1):
        if is_fresh:
            level, stretch_m, rate_mps, gear_time_s = [0.0] * 6, 0.0, 0.0, 0.0
            forward, up = here
        else:
            if has_shifted:
                gear_time_s = settings.gear.up_s
            cause[GEAR] = 1.0 if gear_time_s > 0 else 0.0
            gear_time_s = max(gear_time_s - dt_s, 0.0)
            level = [
                max(now - fall, min(wanted, now + rise))
                for now, wanted, rise, fall in zip(level, cause, rises, falls, strict=True)
            ]
            pull = [now * full for now, full in zip(level, size, strict=True)]
            target = pull[0] + pull[1] + pull[2] + pull[3] + pull[4] + pull[5]
            rate_mps += dt_s * (settings.spring * (target - stretch_m) - settings.damping * rate_mps)
            stretch_m += dt_s * rate_mps
            turn, tilt = in_air if cause[AIR] > 0 else on_ground
            forward, up = _turned(forward, aim[0], turn), _turned(up, aim[1], tilt)
        kept.append(((forward, up), level, stretch_m))
        if tick == ticks or len(kept) == BLOCK:
            block = slice(tick - len(kept), tick)
            axes[block], ramps[block], stretches[block] = (list(column) for column in zip(*kept, strict=True))
            kept.clear()
    return axes, ramps, stretches


def _plain_rows(*columns: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some arrays, all of the same length, as plain numbers and nested lists of them."""
    for first in range(0, len(columns[0]), BLOCK):
        yield from zip(*(column[first : first + BLOCK].tolist() for column in columns), strict=True)


def _turned(axis: list[float], aim: list[float], share: float) -> list[float]:
    """Return a unit vector that was turned by a share of the way towards another."""
    x, y, z = (old + share * (new - old) for old, new in zip(axis, aim, strict=True))
    length = max(sqrt(x * x + y * y + z * z), 1e-9)
    return [x / length, y / length, z / length]
