# mypy: ignore-errors
"""Rotations and elementary functions.

The elementary functions are polynomials of our own: the C libraries behind the CPU and the CUDA back-end round
differently, these do not.
"""

import warp as wp

from trackmaster.sim import constants as C

INERTIA_INV = wp.constant(wp.vec3(*C.INERTIA_INV))

HALF_PI = 1.5707963267948966
PI = 3.141592653589793


@wp.func
def sin_poly(x: float):
    """sin for |x| <= pi/2."""
    s = x * x
    p = 1.0 / 6227020800.0
    p = p * s - 1.0 / 39916800.0
    p = p * s + 1.0 / 362880.0
    p = p * s - 1.0 / 5040.0
    p = p * s + 1.0 / 120.0
    p = p * s - 1.0 / 6.0
    return x + x * s * p


@wp.func
def cos_poly(x: float):
    """cos for |x| <= pi/2, zero at pi/2."""
    return sin_poly(HALF_PI - wp.abs(x))


@wp.func
def cos_half_turn(x: float):
    """cos for 0 <= x <= pi."""
    return sin_poly(HALF_PI - x)


@wp.func
def asin_small(x: float):
    """asin for |x| <= 1/2."""
    s = x * x
    p = 0.0093903908
    p = p * s + 0.0115518
    p = p * s + 0.01396484
    p = p * s + 0.01735276
    p = p * s + 0.02237216
    p = p * s + 0.03038194
    p = p * s + 0.04464286
    p = p * s + 0.075
    p = p * s + 0.16666667
    return x + x * s * p


@wp.func
def acos_any(x: float):
    """acos for -1 <= x <= 1."""
    if x > 0.5:
        return 2.0 * asin_small(wp.sqrt(0.5 * (1.0 - x)))
    if x < -0.5:
        return PI - 2.0 * asin_small(wp.sqrt(0.5 * (1.0 + x)))
    return HALF_PI - asin_small(x)


@wp.func
def exp_any(x: float):
    """exp; beyond +-80 it is cut off there."""
    y = wp.clamp(x, -80.0, 80.0)
    n = wp.floor(y * 1.4426950408889634 + 0.5)
    r = (y - n * 0.693359375) + n * 0.00021219444
    p = 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    scale = float(2.0)
    if n < 0.0:
        scale = float(0.5)
    for _ in range(int(wp.abs(n))):
        p = p * scale
    return p


@wp.func
def slope_ramp(r: float, low: float, high: float):
    """0 below low, 1 above high, 1 - cos of a quarter turn between (4.2)."""
    if r <= low:
        return 0.0
    if r >= high:
        return 1.0
    return 1.0 - cos_poly(HALF_PI * (r - low) / (high - low))


@wp.func
def steer_ramp(speed: float):
    """0 below 0.7 m/s, a quarter sine up to 30 m/s, 1 above (1.5)."""
    if speed < 0.7:
        return 0.0
    if speed >= 30.0:
        return 1.0
    return sin_poly(HALF_PI * speed / 30.0)


@wp.func
def rotation_of(q: wp.vec4):
    """Rotation matrix of a unit quaternion (w, x, y, z)."""
    w = q[0]
    x = q[1]
    y = q[2]
    z = q[3]
    return wp.mat33(
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


@wp.func
def turn_quaternion(q: wp.vec4, spin: wp.vec3, h: float):
    """q + h/2 (0, spin) q, normalised (6.4)."""
    k = 0.5 * h
    r = wp.vec4(
        q[0] + k * (-spin[0] * q[1] - spin[1] * q[2] - spin[2] * q[3]),
        q[1] + k * (spin[0] * q[0] + spin[1] * q[3] - spin[2] * q[2]),
        q[2] + k * (-spin[0] * q[3] + spin[1] * q[0] + spin[2] * q[1]),
        q[3] + k * (spin[0] * q[2] - spin[1] * q[1] + spin[2] * q[0]),
    )
    return r / wp.sqrt(wp.dot(r, r))


@wp.func
def unrotate(m: wp.mat33, v: wp.vec3):
    """Transpose of m times v: world to car."""
    return wp.vec3(
        m[0, 0] * v[0] + m[1, 0] * v[1] + m[2, 0] * v[2],
        m[0, 1] * v[0] + m[1, 1] * v[1] + m[2, 1] * v[2],
        m[0, 2] * v[0] + m[1, 2] * v[1] + m[2, 2] * v[2],
    )


@wp.func
def clamp_length(v: wp.vec3, limit: float):
    """The vector, shortened to the limit if it is longer."""
    n = wp.dot(v, v)
    if n > limit * limit:
        return v * (limit / wp.sqrt(n))
    return v


@wp.func
def sign_of(x: float):
    """-1 below 0, else 1."""
    if x < 0.0:
        return -1.0
    return 1.0


@wp.func
def inverse_inertia(t: wp.vec3):
    """Inverse inertia times a car-frame torque."""
    return wp.cw_mul(INERTIA_INV, t)
