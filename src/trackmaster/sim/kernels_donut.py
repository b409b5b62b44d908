# mypy: ignore-errors
"""Gas and brake together: the forced orbit around a point beside the car (``car_physics.md`` 4.7)."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import acos_any, exp_any, sign_of, unrotate
from trackmaster.sim.kernels_tables import COM, burn_pitch, donut_radius_add, donut_roll, donut_speed
from trackmaster.sim.kernels_types import Car, Wheel
from trackmaster.sim.kernels_wheels import add_spring

PI = 3.141592653589793
COS_TILT = 0.9393727128473789
"""cos of the tilt (0.35 rad) at which the orbit ends."""


@wp.func
def heading_angle(b: wp.vec3):
    """Signed angle from the car's z axis to a unit vector, positive to the left."""
    angle = acos_any(wp.clamp(0.99999 * b[2], -1.0, 1.0))
    if b[0] < 0.0:
        return -angle
    return angle


@wp.func
def ground_normal(wheels: wp.array(dtype=Wheel)):
    """Sum of the normals of the touching wheels, normalised; zero without contact."""
    total = wp.vec3(0.0, 0.0, 0.0)
    for i in range(4):
        if wheels[i].contact != 0:
            total = total + wheels[i].normal
    n2 = wp.dot(total, total)
    if n2 > C.EPS_SQUARED:
        return total / wp.sqrt(n2)
    return wp.vec3(0.0, 0.0, 0.0)


@wp.func
def enter_donut(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Begin to circle where the car stands upright and its side looks at the centre (4.7)."""
    turn = sign_of(cars[0].wheel_angle)
    normal = ground_normal(wheels)
    inward = wp.cross(normal, cars[0].v)
    n2 = wp.dot(inward, inward)
    cars[0].burn_mode = C.BURN_NONE
    if n2 > C.EPS_SQUARED:
        inward = inward * (turn / wp.sqrt(n2))
        axis = cars[0].rotation * normal
        side = turn * heading_angle(inward)
        if axis[1] >= C.BURN_UPRIGHT and side <= C.DONUT_ANGLE_MAX and side >= C.DONUT_ANGLE_MIN:
            radius = donut_radius_add(cars[0].speed_kmh) + C.DONUT_RADIUS
            cars[0].burn_mode = C.BURN_DONUT
            cars[0].donut_sign = turn
            cars[0].donut_axis = axis
            cars[0].donut_radius = radius
            cars[0].donut_centre = cars[0].position + cars[0].rotation * (COM + inward * radius)


@wp.func
def donut_goes_on(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Whether both pedals, the wheels' angle and the ground still ask for a donut."""
    if cars[0].in_gas < 0.1 or cars[0].in_brake < 0.1 or wp.abs(cars[0].wheel_angle) < C.EPS:
        return False
    if sign_of(cars[0].wheel_angle) != cars[0].donut_sign:
        return False
    if cars[0].side_hit != 0 or cars[0].body_hit != 0 or cars[0].grounded == 0 or cars[0].free_wheel != 0:
        return False
    if cars[0].depth > 0.0:
        return False
    normal = cars[0].rotation * ground_normal(wheels)
    return wp.dot(normal, cars[0].donut_axis) >= COS_TILT


@wp.func
def donut_yaw(alpha: float, yaw: float, forward: float, distance: float):
    """Yaw torque that turns the car's flank to the centre; alpha is the angle to the centre over pi."""
    torque = C.DONUT_YAW_GAIN * alpha
    if alpha <= 0.0 and yaw <= 0.0:
        torque = torque - yaw * (alpha + 1.0) * (alpha + 1.0)
    elif alpha > 0.0 and yaw >= 0.0:
        torque = torque - yaw * (alpha - 1.0) * (alpha - 1.0)
    else:
        torque = torque - C.DONUT_YAW_DAMPING * yaw
    if (alpha <= 0.0 and forward > 0.0) or (alpha > 0.0 and forward < 0.0):
        torque = torque - C.DONUT_COUNTER * forward / distance
    return torque


@wp.func
def run_donut(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Forces of the orbit; they replace wheel grip, yaw, drive and brakes."""
    if not donut_goes_on(cars, wheels):
        cars[0].burn_mode = C.BURN_OUT
        cars[0].burn_start = cars[0].time
        return
    v = cars[0].v
    to_centre = unrotate(cars[0].rotation, cars[0].donut_centre - cars[0].position) - COM
    distance = wp.max(wp.length(to_centre), C.EPS)
    inward = to_centre / distance
    forward = wp.cross(ground_normal(wheels), inward)
    speed = wp.dot(forward, v)
    stiff = exp_any((distance - cars[0].donut_radius) - C.DONUT_RADIAL_DAMPING * wp.dot(inward, v))
    cars[0].f = cars[0].f + inward * (speed * speed / distance * stiff)
    for i in range(4):
        if wheels[i].contact != 0:
            add_spring(cars, wheels, i)
        wheels[i].sliding = 0
    wanted = -cars[0].donut_sign * donut_speed(distance) / 3.6
    cars[0].f = cars[0].f + forward * (C.DONUT_TANGENT_GAIN * (wanted - speed))
    angle = heading_angle(inward)
    side = cars[0].donut_sign * angle
    ends = side > C.DONUT_ANGLE_MAX or side < C.DONUT_ANGLE_MIN
    yaw = float(0.0)
    if not ends:
        yaw = donut_yaw(angle / PI, cars[0].w[1], speed, distance)
    pitch = burn_pitch(cars[0].speed_kmh)
    roll = -sign_of(v[0]) * donut_roll(3.6 * wp.abs(v[0]))
    cars[0].t = cars[0].t + wp.vec3(pitch, yaw, roll)
    if ends or wp.abs(speed) > C.BURN_SPEED_HIGH:
        cars[0].burn_mode = C.BURN_OUT
        cars[0].burn_start = cars[0].time
