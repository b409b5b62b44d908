"""State and elementary functions of the slow reference car: float64, one car, written to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import constants as C

Vec = NDArray[np.float64]
Keys = tuple[tuple[float, ...], tuple[float, ...]]

CENTRE = np.array(C.CENTRE_OF_MASS)
HUBS = np.array(C.HUBS)
INERTIA_INV = np.array(C.INERTIA_INV)


def zero() -> Vec:
    """Return a new zero vector."""
    return np.zeros(3)


@dataclass
class ReferenceWheel:
    """State of one wheel; vectors in the car frame."""

    absorb: float = C.SPRING_REST
    absorb_rate: float = 0.0
    push: float = 0.0
    contact: bool = False
    sliding: bool = False
    material: int = 0
    normal: Vec = field(default_factory=zero)
    point: Vec = field(default_factory=zero)
    axis: Vec = field(default_factory=zero)


@dataclass
class ReferenceCar:
    """State of the car between sub-steps (``car_physics.md`` 1.9), with the names the specification uses."""

    position: Vec = field(default_factory=zero)
    quaternion: Vec = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    velocity: Vec = field(default_factory=zero)
    spin: Vec = field(default_factory=zero)
    wheels: list[ReferenceWheel] = field(default_factory=lambda: [ReferenceWheel() for _ in range(4)])
    steer: float = 0.0
    rpm: float = 0.0
    rpm_target: float = 0.0
    clutch: float = 1.0
    shift_timer: float = 0.0
    gear: int = 1
    engine_mode: int = C.ENGINE_STEADY
    reverse: bool = False
    slip_memory: bool = False
    last_slip: int = C.NEVER
    burn_mode: int = C.BURN_NONE
    burn_start: int = C.NEVER
    burn_exit: int = C.NEVER
    donut_centre: Vec = field(default_factory=zero)
    donut_axis: Vec = field(default_factory=zero)
    donut_radius: float = 0.0
    donut_sign: float = 0.0
    force: Vec = field(default_factory=zero)
    local_velocity: Vec = field(default_factory=zero)
    side_hit: bool = False
    side_tick: int = C.NEVER
    body_hit: bool = False
    any_contact: bool = False
    air_tick: int = 0
    air_spin_x: float = 0.0
    air_spin_y: float = 0.0
    turbo_type: int = 0
    turbo_factor: float = 0.0
    turbo_end: int = 0
    free_wheel: bool = False
    gravity: float = C.GRAVITY_SCALE_GROUND
    drag: float = 0.0
    time: int = 0

    @property
    def rotation(self) -> Vec:
        """Car to world, (3, 3)."""
        return rotation_of(self.quaternion)

    @property
    def grounded(self) -> bool:
        """Whether any wheel touched the ground in the last detection."""
        return any(wheel.contact for wheel in self.wheels)


def rotation_of(q: Vec) -> Vec:
    """Return the rotation matrix of a unit quaternion (w, x, y, z)."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_product(a: Vec, b: Vec) -> Vec:
    """Return the product of two quaternions (w, x, y, z)."""
    scalar = a[0] * b[0] - a[1:] @ b[1:]
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.concatenate([[scalar], vector])


def linear(keys: Keys, x: float) -> float:
    """Return a linear curve's value, clamped outside of its keys."""
    return float(np.interp(x, *keys))


def step(keys: Keys, x: float) -> float:
    """Return a step curve's value; an exact key still belongs to the segment below it."""
    xs, ys = keys
    for k in range(len(xs) - 1):
        if x <= xs[k + 1] + C.EPS:
            return ys[k]
    return ys[-1]


def ramp(r: float, low: float, high: float) -> float:
    """Return 0 below low, 1 above high and a quarter cosine between."""
    if r < low:
        return 0.0
    return 1.0 if r > high else 1 - math.cos(math.pi / 2 * (r - low) / (high - low))


def sign(x: float) -> float:
    """Return -1 for negative numbers, else 1."""
    return -1.0 if x < 0 else 1.0


def shortened(v: Vec, limit: float) -> Vec:
    """Return the vector, scaled down to ``limit`` if it is longer."""
    length = float(np.linalg.norm(v))
    return v * (limit / length) if length > limit else v
