"""Water for the slow reference car (``car_physics.md`` 4.9)."""

from __future__ import annotations

import numpy as np

from trackmaster.sim import constants as C
from trackmaster.sim.reference_forces import Sums
from trackmaster.sim.reference_state import ReferenceCar, linear


def find_water(car: ReferenceCar, s: Sums, level_m: float | None) -> None:
    """Set how deep the car's box reaches into the water."""
    if level_m is None:
        return
    height = float((car.position + car.rotation @ np.array(C.WATER_BOX_CENTRE))[1])
    half = float(np.abs(car.rotation[1]) @ np.array(C.WATER_BOX_HALF))
    if level_m - (height - half) > C.WATER_DEPTH_M:
        s.depth, s.box_top = level_m - (height - half), height + half - level_m


def add_water(car: ReferenceCar, s: Sums) -> None:
    """Drag and buoyancy, or a splash instead."""
    if s.depth == 0 or _splash(car, s):
        return
    sinking = car.rotation.T @ np.array([0.0, -C.WATER_FALL, 0.0])
    s.f += sinking - linear(C.WATER_DRAG, 3.6 * float(np.linalg.norm(s.v))) * s.v - s.base
    s.t -= (C.WATER_SPIN_DAMPING + C.WATER_SPIN_DAMPING_SQUARE * float(np.linalg.norm(s.w))) * s.w


def _splash(car: ReferenceCar, s: Sums) -> bool:
    x, y, z = car.velocity
    if car.any_contact or y >= -C.EPS or s.depth >= C.SPLASH_DEPTH_M or s.box_top <= 0:
        return False
    level = float(np.hypot(x, z))
    if level > C.SPLASH_LEVEL_SPEED:
        ratio = level / -y
    elif np.linalg.norm(car.velocity) > C.SPLASH_SPEED:
        ratio = 0.0
    else:
        return False
    flat, up = linear(C.SPLASH_FLAT, ratio), linear(C.SPLASH_UP, ratio)
    car.velocity = car.velocity * (1 - np.array([flat, up, flat]))
    return True
