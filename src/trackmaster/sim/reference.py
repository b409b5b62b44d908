"""One tick of the car on a horizontal plane, in float64 and one car at a time.

Slow and plain: it follows ``car_physics.md`` line by line so that a reader can check it, and the tests compare the
kernels against it. No triangles, grids, gates or bumps; material of the plane and its block axis are given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trackmaster.sim import constants as C
from trackmaster.sim.reference_engine import Inputs, run_engine
from trackmaster.sim.reference_forces import Sums, add_drag, run_air_control, run_handling, run_turbo
from trackmaster.sim.reference_state import (
    CENTRE,
    HUBS,
    INERTIA_INV,
    ReferenceCar,
    Vec,
    quaternion_product,
    shortened,
    zero,
)
from trackmaster.sim.reference_water import add_water, find_water

__all__ = ["Inputs", "Plane", "ReferenceCar", "run_tick"]

UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Plane:
    """A horizontal floor."""

    height_m: float = 0.0
    material: int = 16
    forward: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """World z axis of the block, for boosters."""
    water_m: float | None = None
    """Height of the water over it, if there is any."""


@dataclass(frozen=True)
class _Touch:
    """Contact of ellipsoid ``i`` (0-3 hull, 4-7 wheels) with the plane: point and push-out in the car frame."""

    i: int
    point: Vec
    push: Vec
    world: Vec


def run_tick(car: ReferenceCar, inputs: Inputs, plane: Plane) -> None:
    """Advance the car by 10 ms (2.3, 2.4)."""
    travel = C.TICK_S * float(np.linalg.norm(car.velocity) + np.linalg.norm(car.spin))
    n = math.floor(travel / C.SUBSTEP_LENGTH_M) + 1
    h, left = C.TICK_S / n, C.TICK_S
    for k in range(n):
        duration = left if k == n - 1 else h
        left -= h
        _run_substep(car, inputs, plane, duration)
    car.time += 10


def _run_substep(car: ReferenceCar, inputs: Inputs, plane: Plane, h: float) -> None:
    rotation = car.rotation
    base = -C.GRAVITY * car.gravity * UP - car.drag * car.velocity
    for wheel in car.wheels:
        length = float(np.linalg.norm(wheel.normal))
        if length > C.EPS:
            wheel.normal = wheel.normal / length
        pushed = wheel.absorb - wheel.push
        follow = pushed + (C.SPRING_REST - pushed) * C.FOLLOW_RATE * h
        wheel.absorb_rate, wheel.absorb, wheel.push = (follow - wheel.absorb) / h, follow, 0.0
    if car.free_wheel:
        car.rpm = 0.0
    else:
        run_engine(car, inputs, h)
    car.steer += float(np.clip(inputs.steer - car.steer, -C.STEER_SLEW * h, C.STEER_SLEW * h))
    car.gravity = C.GRAVITY_SCALE_GROUND if car.grounded else C.GRAVITY_SCALE_AIR
    car.drag = 0.0 if car.grounded else C.AIR_DRAG

    s = Sums(v=rotation.T @ car.velocity, w=rotation.T @ car.spin, base=rotation.T @ base, f=zero(), t=zero())
    find_water(car, s, plane.water_m)
    add_drag(car, s, inputs)
    car.local_velocity = s.v
    add_water(car, s)
    run_handling(car, s, inputs)
    run_air_control(car, s, inputs)
    run_turbo(car)
    car.force = s.f + s.base
    for wheel in car.wheels:
        wheel.contact, wheel.material, wheel.normal, wheel.point = False, 0, zero(), zero()
    car.side_hit = car.body_hit = car.any_contact = False

    _integrate(car, base + rotation @ s.f, s.t, h)
    touches = _detect(car, plane)
    _respond(car, touches, plane)


def _integrate(car: ReferenceCar, force: Vec, torque: Vec, h: float) -> None:
    """6.4."""
    rotation, spin = car.rotation, car.spin
    car.position = car.position + h * car.velocity
    car.velocity = car.velocity + h * force
    if spin @ spin > C.EPS_SQUARED:
        q = car.quaternion + 0.5 * h * quaternion_product(np.array([0.0, *spin]), car.quaternion)
        car.quaternion = q / np.linalg.norm(q)
        car.position = car.position - (car.rotation @ CENTRE - rotation @ CENTRE)
    car.spin = shortened(spin + h * rotation @ (INERTIA_INV * torque), C.MAX_SPIN)


def _ellipsoids(car: ReferenceCar) -> list[tuple[Vec, Vec, Vec]]:
    """Return centre, radii and rotation to the car frame of the eight ellipsoids."""
    hull = [
        (np.array(centre), np.array(radii), np.array(turn).reshape(3, 3))
        for centre, radii, turn in zip(C.BODY_CENTRES, C.BODY_RADII, C.BODY_ROTATIONS, strict=True)
    ]
    order = C.WHEEL_OF_ELLIPSOID[C.FIRST_WHEEL :]
    return hull + [(HUBS[i] - car.wheels[i].absorb * UP, np.array(C.WHEEL_RADII), np.eye(3)) for i in order]


def _detect(car: ReferenceCar, plane: Plane) -> list[_Touch]:
    """6.1 for an infinite plane, sorted as 6.3 says: largest world x first, then y, then z."""
    rotation = car.rotation
    normal = rotation.T @ UP
    touches = []
    for i, (centre, radii, turn) in enumerate(_ellipsoids(car)):
        over = float((car.position + rotation @ centre)[1]) - plane.height_m
        support = radii * (turn.T @ normal)
        size = float(np.linalg.norm(support))
        d = over / size
        if 0 < d <= 1:
            m = support / size
            point = centre + turn @ (radii * (-d * m))
            touches.append(_Touch(i, point, turn @ (radii * ((1 - d) * m)), car.position + rotation @ point))
    return sorted(touches, key=lambda t: (-t.world[0], -round(t.world[1], 5), -t.world[2]))


def _respond(car: ReferenceCar, touches: list[_Touch], plane: Plane) -> None:
    """5.2 to 5.4 and 6.5."""
    total = zero()
    for touch in touches:
        car.any_contact = True
        normal = car.rotation.T @ UP
        velocity = car.rotation.T @ car.velocity + np.cross(car.rotation.T @ car.spin, touch.point - CENTRE)
        wheel = C.WHEEL_OF_ELLIPSOID[touch.i]
        if wheel >= 0:
            push = _touch_wheel(car, wheel, normal, touch, velocity, plane)
        else:
            push = _touch_hull(car, normal, touch, velocity, plane)
        out = car.rotation @ push
        overlap, size = float(total @ out), float(total @ total)
        if overlap > 0 and size > C.EPS_SQUARED:
            total = total - total * min(overlap, size) / size
        total = total + out
    length = float(np.linalg.norm(total))
    if length > C.FREE_OVERLAP_M:
        car.position = car.position + total * (1 - C.FREE_OVERLAP_M / length)


def _touch_wheel(car: ReferenceCar, i: int, n: Vec, touch: _Touch, u: Vec, plane: Plane) -> Vec:
    wheel, x, push = car.wheels[i], touch.point, touch.push.copy()
    ground = abs(n[0]) < C.GROUND_NORMAL_X
    wheel.contact, wheel.point = ground, x
    wheel.axis = car.rotation.T @ np.array(plane.forward)
    if ground:
        wheel.normal, wheel.material = wheel.normal + n, plane.material
    else:
        car.side_hit = True
    hard = True
    if push[1] > 0:
        hard = bool(push[1] >= wheel.absorb)
        taken = min(float(push[1]), wheel.absorb)
        wheel.push = max(wheel.push, taken)
        push[1] -= taken
    vn = float(n @ u)
    if vn < 0:
        if not ground:
            _impulse(car, n, u, C.SIDE_RESTITUTION, np.array([x[0], CENTRE[1], x[2]]))
        elif hard or n[1] * vn >= 0:
            _impulse(car, n, u, C.GROUND_RESTITUTION, x)
        else:
            level = u - np.array([0, n[1] * vn, 0])
            if n @ level < 0:
                _impulse(car, n, level, C.GROUND_RESTITUTION, HUBS[i] - wheel.absorb * UP)
    return push


def _touch_hull(car: ReferenceCar, n: Vec, touch: _Touch, u: Vec, plane: Plane) -> Vec:
    push = n * (n @ touch.push) if n[1] < C.ROOF_NORMAL_Y else touch.push
    car.body_hit = True
    vn = float(n @ u)
    if vn < 0:
        ratio = C.BODY_TANGENT_METAL if plane.material == C.MATERIAL_METAL else C.BODY_TANGENT
        d = -(shortened(u - n * vn, ratio * abs(vn)) + n * vn)
        if np.linalg.norm(d) > C.EPS:
            _impulse(car, d / np.linalg.norm(d), u, C.BODY_RESTITUTION, touch.point)
    return push


def _impulse(car: ReferenceCar, d: Vec, u: Vec, restitution: float, x: Vec) -> None:
    """5.4, impulse along the unit vector d for the velocity u at the car-frame point x."""
    arm = x - CENTRE
    give = float(np.cross(INERTIA_INV * np.cross(arm, d), arm) @ d)
    kick = -(1 + restitution) * float(u @ d) / (1 + give) * d
    velocity = car.velocity + car.rotation @ kick
    grew = velocity @ velocity - car.velocity @ car.velocity > C.IMPULSE_GROWTH
    car.velocity = zero() if grew else velocity
    turn = C.IMPULSE_SPIN * INERTIA_INV * np.cross(arm, kick)
    car.spin = shortened(car.spin + car.rotation @ turn, C.MAX_SPIN)
