# mypy: ignore-errors
"""What contacts do to the car (``car_physics.md`` section 5, 6.5): impulses, suspension travel, push-out, bumps."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import clamp_length, inverse_inertia, unrotate
from trackmaster.sim.kernels_tables import COM, hub_of, material_factor, wheel_of
from trackmaster.sim.kernels_types import Car, Contact, Scene, Wheel


@wp.func
def apply_impulse(cars: wp.array(dtype=Car), d: wp.vec3, approach: wp.vec3, restitution: float, point: wp.vec3):
    """Stop (1 + restitution) of the approach velocity along d, acting at a car-frame point."""
    arm = point - COM
    give = wp.dot(wp.cross(inverse_inertia(wp.cross(arm, d)), arm), d)
    size = -(1.0 + restitution) * wp.dot(approach, d) / (1.0 + give)
    kick = d * size
    before = wp.dot(cars[0].velocity, cars[0].velocity)
    velocity = cars[0].velocity + cars[0].rotation * kick
    if wp.dot(velocity, velocity) - before > C.IMPULSE_GROWTH:
        velocity = wp.vec3(0.0, 0.0, 0.0)
    cars[0].velocity = velocity
    turn = inverse_inertia(wp.cross(arm, kick)) * C.IMPULSE_SPIN
    cars[0].spin = clamp_length(cars[0].spin + cars[0].rotation * turn, C.MAX_SPIN)


@wp.func
def velocity_at(cars: wp.array(dtype=Car), point: wp.vec3):
    """Car-frame velocity of a car-frame point, with the live velocities."""
    v = unrotate(cars[0].rotation, cars[0].velocity)
    w = unrotate(cars[0].rotation, cars[0].spin)
    return v + wp.cross(w, point - COM)


@wp.func
def touch_wheel(
    cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), i: int, n: wp.vec3, x: wp.vec3, r: wp.vec3,
    u: wp.vec3, material: int,
):  # fmt: skip
    """Contact of one wheel (5.3); returns what is left of the push-out after the suspension took its part."""
    ground = wp.abs(n[0]) < C.GROUND_NORMAL_X
    wheels[i].point = x
    if ground:
        wheels[i].contact = 1
        wheels[i].normal = wheels[i].normal + n
        wheels[i].material = material
    else:
        wheels[i].contact = 0
        cars[0].side_hit = 1
    hard = True
    rest = r
    if r[1] > 0.0:
        absorb = wheels[i].absorb
        taken = r[1]
        hard = False
        if taken >= absorb:
            taken = absorb
            hard = True
        wheels[i].push = wp.max(wheels[i].push, taken)
        rest = wp.vec3(r[0], r[1] - taken, r[2])
    vn = wp.dot(n, u)
    if vn < 0.0:
        if not ground:
            apply_impulse(cars, n, u, C.SIDE_RESTITUTION, wp.vec3(x[0], COM[1], x[2]))
        elif hard or n[1] * vn >= 0.0:
            apply_impulse(cars, n, u, C.GROUND_RESTITUTION, x)
        else:
            level = u - wp.vec3(0.0, n[1] * vn, 0.0)
            if wp.dot(n, level) < 0.0:
                centre = hub_of(i) - wp.vec3(0.0, wheels[i].absorb, 0.0)
                apply_impulse(cars, n, level, C.GROUND_RESTITUTION, centre)
    return rest


@wp.func
def touch_body(cars: wp.array(dtype=Car), n: wp.vec3, x: wp.vec3, r: wp.vec3, u: wp.vec3, material: int):
    """Contact of the hull (5.4); returns the push-out."""
    rest = r
    if n[1] < C.ROOF_NORMAL_Y:
        rest = n * wp.dot(n, r)
    cars[0].body_hit = 1
    vn = wp.dot(n, u)
    if vn < 0.0:
        ratio = float(C.BODY_TANGENT)
        if material == C.MATERIAL_METAL:
            ratio = float(C.BODY_TANGENT_METAL)
        along = clamp_length(u - n * vn, ratio * wp.abs(vn))
        d = -(along + n * vn)
        size = wp.length(d)
        if size > C.EPS:
            apply_impulse(cars, d / size, u, C.BODY_RESTITUTION, x)
    return rest


@wp.func
def respond(
    scene: Scene, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), hits: wp.array(dtype=Contact), count: int,
    order: wp.array(dtype=int),
):  # fmt: skip
    """Process the sorted contacts one by one, each with the velocities its predecessors left; then push out (6.5)."""
    total = wp.vec3(0.0, 0.0, 0.0)
    for position in range(count):
        k = order[position]
        triangle = hits[k].triangle
        material = scene.triangles[triangle].material
        if material != C.MATERIAL_WATER and material != C.MATERIAL_GOLF_BALL:
            cars[0].any_contact = 1
            n = hits[k].normal
            x = hits[k].point
            r = hits[k].push
            u = velocity_at(cars, x)
            wheel = wheel_of(hits[k].ellipsoid)
            if wheel >= 0:
                r = touch_wheel(cars, wheels, wheel, n, x, r, u, material)
                axis = scene.triangles[triangle].axis
                wheels[wheel].axis = wp.vec3(0.0, 0.0, 1.0)  # a block without a known direction boosts forwards
                if wp.dot(axis, axis) > 0.0:
                    wheels[wheel].axis = unrotate(cars[0].rotation, axis)
            else:
                r = touch_body(cars, n, x, r, u, material)
            out = cars[0].rotation * r
            overlap = wp.dot(total, out)
            size = wp.dot(total, total)
            if overlap > 0.0 and size > C.EPS_SQUARED:
                total = total - total * (wp.min(overlap, size) / size)
            total = total + out
    length = wp.length(total)
    if length > C.FREE_OVERLAP_M:
        cars[0].position = cars[0].position + total * (1.0 - C.FREE_OVERLAP_M / length)


@wp.func
def bump_pixel(x: float):
    """Row or column of the bump tile under a world coordinate."""
    t = wp.abs(x) / C.BUMP_PERIOD_M
    return int(wp.floor((t - wp.floor(t)) * float(C.BUMP_SIZE)))


@wp.func
def shake(scene: Scene, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Small kicks of grass, sand and dirt under touching wheels (5.5)."""
    smooth = wp.int32(0)
    for i in range(4):
        if wheels[i].contact != 0 and smooth == 0:
            row = wheels[i].material
            if material_factor(row, 4) == 0.0:
                smooth = 1  # the game stops at the first wheel on a material without bumps
            else:
                hub = cars[0].position + cars[0].rotation * hub_of(i)
                value = int(scene.bumps[bump_pixel(hub[2]), bump_pixel(hub[0])])
                if value > 0:
                    forward = unrotate(cars[0].rotation, cars[0].velocity)[2]
                    size = wp.min(material_factor(row, 5), float(value) / 255.0 * forward * material_factor(row, 4))
                    cars[0].any_contact = 1
                    none = wp.vec3(0.0, 0.0, 0.0)
                    up = wp.vec3(0.0, 1.0, 0.0)
                    touch_wheel(cars, wheels, i, up, hub_of(i), none, up * (-size), row)
