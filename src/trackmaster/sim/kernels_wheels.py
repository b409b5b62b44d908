# mypy: ignore-errors
"""Per-wheel forces (``car_physics.md`` 4.4, 4.8): spring, weight torque, lateral grip and sliding, dirt."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import cos_half_turn, sign_of
from trackmaster.sim.kernels_tables import COM, burn_pitch, damper_grip, hub_of, material_factor
from trackmaster.sim.kernels_types import Car, Wheel

PI = 3.141592653589793


@wp.func
def follow_suspension(wheels: wp.array(dtype=Wheel), h: float):
    """What contacts pushed in creeps back towards the rest length (5.1)."""
    for i in range(4):
        absorb = wheels[i].absorb
        pushed = absorb - wheels[i].push
        follow = pushed + (C.SPRING_REST - pushed) * (C.FOLLOW_RATE * h)
        wheels[i].absorb_rate = (follow - absorb) / h
        wheels[i].absorb = follow
        wheels[i].push = 0.0


@wp.func
def add_spring(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), i: int):
    """Lift of a suspension spring and the torque of it."""
    lift = C.SPRING * (C.SPRING_REST - wheels[i].absorb) - C.DAMPING * wheels[i].absorb_rate
    hub = hub_of(i)
    cars[0].f = cars[0].f + wp.vec3(0.0, lift, 0.0)
    cars[0].t = cars[0].t + wp.vec3(-(hub[2] - COM[2]) * lift, 0.0, (hub[0] - COM[0]) * lift)


@wp.func
def add_weight_torque(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), i: int):
    """Torque of the last sub-step's force about the point a wheel stands on."""
    force = cars[0].force
    if wp.dot(force, force) >= C.WEIGHT_FORCE_MIN * C.WEIGHT_FORCE_MIN:
        arm = wheels[i].point - COM
        cars[0].t = cars[0].t + wp.vec3(
            C.WEIGHT_TORQUE * (arm[1] * force[2] - arm[2] * force[1]),
            0.0,
            C.WEIGHT_TORQUE * (arm[0] * force[1] - arm[1] * force[0]),
        )


@wp.func
def lateral_axis(cars: wp.array(dtype=Car), normal: wp.vec3, front: bool):
    """The direction across a wheel, in the plane of its ground."""
    # Numbers, not a vector: a vector that two branches make is put together in memory.
    x = float(1.0)
    y = float(0.0)
    z = float(0.0)
    n2 = normal[0] * normal[0] + normal[1] * normal[1]
    if n2 > C.EPS_SQUARED:
        k = 1.0 / wp.sqrt(n2)
        x = normal[1] * k
        y = -normal[0] * k
    if front:
        x = x * cars[0].wheel_cos
        y = y * cars[0].wheel_cos
        z = -cars[0].wheel_sin
    return wp.vec3(x, y, z)


@wp.func
def lateral_limit(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), i: int, adherence: float):
    """The most side force a wheel can hold, by material, load and whether it slides."""
    limit = material_factor(wheels[i].material, 3) * adherence * cars[0].grip
    if wheels[i].sliding != 0:
        limit = limit * C.SLIDE_LIMIT
        if cars[0].in_brake > 0.1:
            limit = limit * C.SLIDE_BRAKE_LIMIT
    compression = (wheels[i].absorb - 0.7) / (0.0 - 0.7)
    return limit * damper_grip(compression)


@wp.func
def add_lateral(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), i: int, adherence: float):
    """Grip asks for -20 times the sideways speed; more than the limit means sliding."""
    axis = lateral_axis(cars, wheels[i].normal, i < 2)
    wave = float(1.0)
    if cars[0].burn_mode == C.BURN_OUT:
        cars[0].t = cars[0].t + wp.vec3(burn_pitch(cars[0].speed_kmh), 0.0, 0.0)
        phase = PI * float(cars[0].time - cars[0].burn_start) / float(2 * C.BURN_MS)
        wave = 1.0 - (1.0 - C.BURN_LATERAL_WAVE) * cos_half_turn(phase)
    limit = lateral_limit(cars, wheels, i, adherence)
    request = -C.LATERAL_GRIP * wp.dot(cars[0].v, axis) * wave
    if wp.abs(request) <= limit:
        wheels[i].sliding = 0
    else:
        wheels[i].sliding = 1
        cars[0].slide_any = 1
        request = (1.0 - C.LATERAL_OVERFLOW) * sign_of(request) * limit + C.LATERAL_OVERFLOW * request
    cars[0].f = cars[0].f + axis * request


@wp.func
def add_dirt(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Extra forces when all four wheels are on dirt; the game adds them once per wheel."""
    v = cars[0].v
    if cars[0].in_brake > 0.1:
        cars[0].f = cars[0].f - v * C.DIRT_BRAKE_DRAG
    elif cars[0].in_gas > 0.1 and cars[0].free_wheel == 0:
        side = v[0] / wp.length(v)
        pace = wp.abs(v[2]) + 1.0
        across = C.DIRT_SIDE * side / (1.0 + C.DIRT_SIDE * cars[0].in_gas)
        along = cars[0].in_gas * wp.abs(side) * (20.0 * wp.abs(side) + 1.0) * C.DIRT_THRUST / (pace * pace)
        for k in range(4):
            if wheels[k].sliding != 0:
                force = wp.vec3(across, 0.0, along)
                if k < 2:
                    force = wp.vec3(-across, 0.0, C.DIRT_FRONT * along)
                cars[0].f = cars[0].f + force
                cars[0].t = cars[0].t + wp.cross(hub_of(k) - COM, force)


@wp.func
def all_on_dirt(wheels: wp.array(dtype=Wheel)):
    """Whether all four wheels touch dirt."""
    count = wp.int32(0)
    for i in range(4):
        if wheels[i].contact != 0 and wheels[i].material == C.MATERIAL_DIRT:
            count += 1
    return count == 4


@wp.func
def add_wheel_forces(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), adherence: float):
    """All forces of the wheels that touch something."""
    dirt = cars[0].v[2] > C.DIRT_MIN_SPEED and all_on_dirt(wheels)
    for i in range(4):
        if wheels[i].contact != 0:
            add_spring(cars, wheels, i)
            add_weight_torque(cars, wheels, i)
            add_lateral(cars, wheels, i, adherence)
            if dirt:
                add_dirt(cars, wheels)
