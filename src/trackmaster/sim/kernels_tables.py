# mypy: ignore-errors
"""The constant tables of the car as Warp constants: curves, hubs, ellipsoids, material rows."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_types import mat43, vec9

mat326 = wp.types.matrix(shape=(C.N_MATERIALS, 6), dtype=wp.float32)
mat49 = wp.types.matrix(shape=(4, 9), dtype=wp.float32)
vec8i = wp.types.vector(length=8, dtype=wp.int32)


def _keys(curve):
    """Return the keys and the values of a curve, padded to nine entries, and how many are real."""
    xs, ys = curve
    pad = 9 - len(xs)
    return wp.constant(vec9(*xs, *([xs[-1]] * pad))), wp.constant(vec9(*ys, *([ys[-1]] * pad))), len(xs)


DRIVE_X, DRIVE_Y, DRIVE_N = _keys(C.DRIVE)
REVERSE_X, REVERSE_Y, REVERSE_N = _keys(C.REVERSE_DRIVE)
GRIP_X, GRIP_Y, GRIP_N = _keys(C.SIDE_GRIP)
TORQUE_X, TORQUE_Y, TORQUE_N = _keys(C.STEER_TORQUE)
SLOW_X, SLOW_Y, SLOW_N = _keys(C.STEER_SLOW)
SIDE_HIT_X, SIDE_HIT_Y, SIDE_HIT_N = _keys(C.SIDE_HIT)
DAMPER_X, DAMPER_Y, DAMPER_N = _keys(C.DAMPER_GRIP)
ROLL_X, ROLL_Y, ROLL_N = _keys(C.ROLL_TORQUE)
PITCH_X, PITCH_Y, PITCH_N = _keys(C.BURN_PITCH)
DONUT_ROLL_X, DONUT_ROLL_Y, DONUT_ROLL_N = _keys(C.DONUT_ROLL)
DONUT_ADD_X, DONUT_ADD_Y, DONUT_ADD_N = _keys(C.DONUT_RADIUS_ADD)
DONUT_SPEED_X, DONUT_SPEED_Y, DONUT_SPEED_N = _keys(C.DONUT_SPEED)
WATER_DRAG_X, WATER_DRAG_Y, WATER_DRAG_N = _keys(C.WATER_DRAG)
SPLASH_UP_X, SPLASH_UP_Y, SPLASH_UP_N = _keys(C.SPLASH_UP)
SPLASH_FLAT_X, SPLASH_FLAT_Y, SPLASH_FLAT_N = _keys(C.SPLASH_FLAT)

HUB = wp.constant(mat43(*[x for hub in C.HUBS for x in hub]))
WATER_BOX_CENTRE = wp.constant(wp.vec3(*C.WATER_BOX_CENTRE))
WATER_BOX_HALF = wp.constant(wp.vec3(*C.WATER_BOX_HALF))
COM = wp.constant(wp.vec3(*C.CENTRE_OF_MASS))
WHEEL_RADII = wp.constant(wp.vec3(*C.WHEEL_RADII))
BODY_CENTRE = wp.constant(mat43(*[x for row in C.BODY_CENTRES for x in row]))
BODY_RADII = wp.constant(mat43(*[x for row in C.BODY_RADII for x in row]))
BODY_ROTATION = wp.constant(mat49(*[x for row in C.BODY_ROTATIONS for x in row]))
WHEEL_OF = wp.constant(vec8i(*C.WHEEL_OF_ELLIPSOID))
MATERIAL = wp.constant(mat326(*[x for row in C.MATERIALS for x in row]))
