"""Forces of the slow reference car (``car_physics.md`` section 4), on a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trackmaster.sim import constants as C
from trackmaster.sim.reference_engine import Inputs
from trackmaster.sim.reference_state import (
    CENTRE,
    HUBS,
    ReferenceCar,
    ReferenceWheel,
    Vec,
    linear,
    ramp,
    sign,
    step,
    zero,
)


@dataclass
class Sums:
    """Force and torque collected in one sub-step, with what its parts share; all in the car frame."""

    v: Vec
    w: Vec
    base: Vec
    f: Vec
    t: Vec
    delta: float = 0.0
    slip_seen: bool = False
    slide_any: bool = False
    traction: float = 1.0
    depth: float = 0.0
    """Of the lowest point under water, 0 if the car is not in it."""
    box_top: float = 0.0
    """Of the highest point over the water."""

    @property
    def kmh(self) -> float:
        """Forward speed."""
        return 3.6 * float(self.v[2])


def add_drag(car: ReferenceCar, s: Sums, inputs: Inputs) -> None:
    """4.1: coasting, slowdown after a wall, speed cap."""
    speed = float(np.linalg.norm(s.v))
    pedal = inputs.brake if car.reverse else inputs.gas
    if (pedal < C.EPS or car.free_wheel) and not (s.depth > 0 and not car.grounded):
        if speed > C.EPS:
            s.f -= s.v / speed * C.COAST_CONSTANT
        if not car.free_wheel:
            s.f -= C.COAST_LINEAR * s.v
    if car.side_hit:
        car.side_tick = car.time
    if car.side_tick <= car.time and car.time - car.side_tick < C.SIDE_HIT_MS and speed > C.EPS:
        s.f -= s.v / speed * step(C.SIDE_HIT, 3.6 * speed)
    if speed > C.MAX_SPEED:
        s.v = s.v * (C.MAX_SPEED / speed)
        car.velocity = car.velocity * (C.MAX_SPEED / speed)


def run_handling(car: ReferenceCar, s: Sums, inputs: Inputs) -> None:
    """4.2 to 4.7."""
    s.delta = -car.steer * math.asin(min(1.0, 1 / (C.STEER_ANGLE_SPEED * abs(s.v[2]) + C.STEER_ANGLE_BASE)))
    if car.burn_mode == C.BURN_DONUT:
        _run_donut(car, s, inputs)
        return
    if car.burn_mode == C.BURN_OUT:
        if car.time < car.burn_start or car.time - car.burn_start >= C.BURN_MS:
            car.burn_mode, car.burn_exit = C.BURN_EXIT, car.time
        else:
            s.slip_seen = True
    elif car.burn_mode == C.BURN_EXIT:
        if car.time - car.burn_exit >= C.BURN_EXIT_MS:
            car.burn_mode = C.BURN_NONE
        else:
            _slide_all(car)
    upright = abs(s.base[1]) / float(np.linalg.norm(s.base))
    for i, wheel in enumerate(car.wheels):
        if wheel.contact:
            _add_wheel(car, s, inputs, i, ramp(upright, 0.3, 0.7))
    if car.grounded:
        row = C.MATERIALS[car.wheels[0].material if car.wheels[0].contact else 0]
        _change_modes(car, s, inputs)
        _add_yaw(car, s, row[3])
        _add_longitudinal(car, s, inputs, row, ramp(upright, 0.4, 0.7))
    elif car.burn_mode == C.BURN_OUT:
        car.burn_mode, car.burn_exit = C.BURN_EXIT, car.time
    car.slip_memory = s.slip_seen


def _slide_all(car: ReferenceCar) -> None:
    for wheel in car.wheels:
        wheel.sliding = True


def _add_spring(s: Sums, wheel: ReferenceWheel, i: int) -> None:
    lift = C.SPRING * (C.SPRING_REST - wheel.absorb) - C.DAMPING * wheel.absorb_rate
    s.f += np.array([0, lift, 0])
    s.t += np.array([-(HUBS[i, 2] - CENTRE[2]) * lift, 0, (HUBS[i, 0] - CENTRE[0]) * lift])


def _add_wheel(car: ReferenceCar, s: Sums, inputs: Inputs, i: int, adherence: float) -> None:
    """4.4."""
    wheel = car.wheels[i]
    _add_spring(s, wheel, i)
    axis = np.array([wheel.normal[1], -wheel.normal[0], 0.0])
    length = float(np.linalg.norm(axis))
    axis = axis / length if length > C.EPS else np.array([1.0, 0.0, 0.0])
    if i < 2:
        axis = np.array([*(axis[:2] * math.cos(s.delta)), -math.sin(s.delta)])
    if np.linalg.norm(car.force) >= C.WEIGHT_FORCE_MIN:
        s.t += C.WEIGHT_TORQUE * np.cross(wheel.point - CENTRE, car.force) * np.array([1, 0, 1])
    wave = 1.0
    if car.burn_mode == C.BURN_OUT:
        s.t += np.array([linear(C.BURN_PITCH, s.kmh), 0, 0])
        wave = 1 - (1 - C.BURN_LATERAL_WAVE) * math.cos(math.pi * (car.time - car.burn_start) / (2 * C.BURN_MS))
    limit = C.MATERIALS[wheel.material][3] * adherence * linear(C.SIDE_GRIP, s.kmh)
    if wheel.sliding:
        limit *= C.SLIDE_LIMIT * (C.SLIDE_BRAKE_LIMIT if inputs.brake > 0.1 else 1)
    limit *= linear(C.DAMPER_GRIP, (wheel.absorb - 0.7) / (0 - 0.7))
    request = -C.LATERAL_GRIP * float(s.v @ axis) * wave
    wheel.sliding = abs(request) > limit
    if wheel.sliding:
        s.slide_any = True
        request = (1 - C.LATERAL_OVERFLOW) * sign(request) * limit + C.LATERAL_OVERFLOW * request
    s.f += request * axis


def _change_modes(car: ReferenceCar, s: Sums, inputs: Inputs) -> None:
    """4.5.1 and 4.5.2."""
    gas, brake = inputs.gas > 0.1, inputs.brake > 0.1
    vx, vz = s.v[0], s.v[2]
    if not car.free_wheel:
        if brake and not gas and car.burn_mode == C.BURN_OUT:
            car.burn_mode, car.burn_exit = C.BURN_EXIT, car.time
        if gas and brake and vz < C.BURN_SPEED_LOW and car.rotation[1, 1] > C.BURN_UPRIGHT:
            car.burn_mode, car.burn_start = C.BURN_OUT, car.time
        if gas and brake and C.BURN_SPEED_LOW < vz < C.BURN_SPEED_HIGH and abs(s.delta) >= C.EPS:
            _enter_donut(car, s)
    if car.burn_mode != C.BURN_NONE:
        car.reverse = False
        return
    if brake and vz < C.REVERSE_SELECT_SPEED and abs(vx) < 2:
        car.reverse = True
    if gas and (vz > 0 or abs(vx) > 2):
        car.reverse = False
    if not gas and not brake:
        car.reverse = not (vz > 0 or abs(vz) < 2)
    if vz > 0 and car.turbo_type != 0:
        car.reverse = False


def _add_yaw(car: ReferenceCar, s: Sums, lateral_factor: float) -> None:
    """4.5.3 to 4.5.5."""
    vx, vz = s.v[0], s.v[2]
    s.t[2] -= sign(vx) * linear(C.ROLL_TORQUE, 3.6 * vx * vx / (abs(vz) + 1))
    limit = linear(C.SIDE_GRIP, s.kmh) * lateral_factor
    speed = float(np.linalg.norm(s.v))
    quickness = 0.0 if speed < 0.7 else math.sin(math.pi / 2 * min(speed, 30.0) / 30)
    limits = requests = 0.0
    for i in range(4):
        lever = C.HALF_WHEELBASE if i < 2 else -C.HALF_WHEELBASE
        q = -C.LATERAL_GRIP * (s.w[1] * lever + vx)
        if abs(q) > limit:
            limits, requests, s.slip_seen = limits + limit, requests + abs(q), True
        y = C.YAW_TORQUE * q
        if i < 2:
            y -= (-1 if car.reverse else 1) * quickness * car.steer * linear(C.STEER_TORQUE, s.kmh)
        s.t[1] += y * lever
    if s.slip_seen:
        car.last_slip = car.time
    if car.last_slip == car.time and limits > C.EPS:
        s.traction = 1 - min(max((requests - limits) / limits, 0.0), 1.0)


def _add_longitudinal(car: ReferenceCar, s: Sums, inputs: Inputs, row: tuple[float, ...], adherence: float) -> None:
    """4.6."""
    vz = float(s.v[2])
    acc = _drive(car, s, inputs, row[1])
    net = acc
    if vz > 0:
        force = (C.BRAKE_BASE + C.BRAKE_PER_SPEED * vz) * inputs.brake
        net = acc - _capped(car, s, force, row[2], C.BRAKE_CAP_FORWARD, C.BRAKE_CAP_FORWARD_SLIDE)
    elif vz < 0 and inputs.gas > 0.1:
        strong = -C.BURN_REVERSE_FACTOR * acc * vz > C.BURN_REVERSE_LIMIT
        if not car.free_wheel and strong and car.rotation[1, 1] > C.BURN_UPRIGHT:
            car.burn_mode, car.burn_start = C.BURN_OUT, car.time
        force = (C.BRAKE_BASE - C.BRAKE_PER_SPEED * vz) * inputs.gas
        net = acc + _capped(car, s, force, row[2], C.BRAKE_CAP_BACKWARD, C.BRAKE_CAP_BACKWARD_SLIDE)
    if vz > C.FORWARD_LIMIT * row[0]:
        net = -C.LIMIT_FORCE if net >= 0 else net - C.LIMIT_FORCE
    if vz < -C.REVERSE_LIMIT * row[0]:
        net = C.LIMIT_FORCE if net <= 0 else net + C.LIMIT_FORCE
    s.f[2] += net * adherence


def _drive(car: ReferenceCar, s: Sums, inputs: Inputs, factor: float) -> float:
    thrust = linear(C.REVERSE_DRIVE, s.kmh) if car.reverse else step(C.DRIVE, s.kmh)
    boost = thrust * car.turbo_factor if car.turbo_type != 0 else 0.0
    if car.free_wheel:
        return boost
    wave = 1.0
    if car.burn_mode == C.BURN_OUT:
        wave = 1 - C.BURN_DRIVE_WAVE * math.sin(math.pi * (car.time - car.burn_start) / C.BURN_MS)
    available = 0.0
    if car.engine_mode != C.ENGINE_SHIFT:
        available = (1 - s.traction) * C.SLIP_ACCELERATION + s.traction * thrust
    pedals = inputs.gas * factor - (inputs.brake * factor if car.reverse else 0.0)
    slow = (-1 if car.reverse else 1) * C.STEER_SLOWDOWN * abs(car.steer) * step(C.STEER_SLOW, s.kmh)
    return (C.WATER_DRIVE if s.depth > 0 else 1.0) * (wave * (boost + pedals * available) - slow)


def _capped(car: ReferenceCar, s: Sums, force: float, factor: float, cap: float, slide_cap: float) -> float:
    force *= 0.5 ** sum(wheel.sliding for wheel in car.wheels)
    limit = factor * (slide_cap if s.slide_any else cap)
    if force > limit:
        s.slip_seen = True
        _slide_all(car)
    return min(force, limit)


def _heading(b: Vec) -> float:
    angle = math.acos(0.99999 * b[2])
    return -angle if b[0] < 0 else angle


def _ground_normal(car: ReferenceCar) -> Vec:
    total = sum((wheel.normal for wheel in car.wheels if wheel.contact), zero())
    length = float(np.linalg.norm(total))
    return total / length if length > C.EPS else total


def _enter_donut(car: ReferenceCar, s: Sums) -> None:
    """4.7, entry."""
    turn = sign(s.delta)
    normal = _ground_normal(car)
    inward = np.cross(normal, s.v)
    car.burn_mode = C.BURN_NONE
    if np.linalg.norm(inward) <= C.EPS:
        return
    inward = turn * inward / np.linalg.norm(inward)
    axis = car.rotation @ normal
    if axis[1] >= C.BURN_UPRIGHT and C.DONUT_ANGLE_MIN <= turn * _heading(inward) <= C.DONUT_ANGLE_MAX:
        car.burn_mode, car.donut_sign, car.donut_axis = C.BURN_DONUT, turn, axis
        car.donut_radius = linear(C.DONUT_RADIUS_ADD, s.kmh) + C.DONUT_RADIUS
        car.donut_centre = car.position + car.rotation @ (CENTRE + car.donut_radius * inward)


def _run_donut(car: ReferenceCar, s: Sums, inputs: Inputs) -> None:
    """4.7, every evaluation."""
    normal = _ground_normal(car)
    tilted = float(car.rotation @ normal @ car.donut_axis) < math.cos(C.DONUT_TILT)
    steered = abs(s.delta) >= C.EPS and sign(s.delta) == car.donut_sign
    hit = car.side_hit or car.body_hit or s.depth > 0
    if not (inputs.gas >= 0.1 and inputs.brake >= 0.1 and steered and car.grounded) or hit or car.free_wheel or tilted:
        car.burn_mode, car.burn_start = C.BURN_OUT, car.time
        return
    arm = car.rotation.T @ (car.donut_centre - car.position) - CENTRE
    d = float(np.linalg.norm(arm))
    u = arm / d
    g = np.cross(normal, u)
    vt, vr = float(g @ s.v), float(u @ s.v)
    s.f += u * (vt * vt / d) * math.exp((d - car.donut_radius) - C.DONUT_RADIAL_DAMPING * vr)
    for i, wheel in enumerate(car.wheels):
        if wheel.contact:
            _add_spring(s, wheel, i)
        wheel.sliding = False
    s.f += C.DONUT_TANGENT_GAIN * (-car.donut_sign * linear(C.DONUT_SPEED, d) / 3.6 - vt) * g
    angle = _heading(u)
    ends = not C.DONUT_ANGLE_MIN <= car.donut_sign * angle <= C.DONUT_ANGLE_MAX
    if not ends:
        s.t[1] += _donut_yaw(angle / math.pi, float(s.w[1]), vt, d)
    s.t[2] -= sign(s.v[0]) * linear(C.DONUT_ROLL, 3.6 * abs(s.v[0]))
    s.t[0] += linear(C.BURN_PITCH, s.kmh)
    if ends or abs(vt) > C.BURN_SPEED_HIGH:
        car.burn_mode, car.burn_start = C.BURN_OUT, car.time


def _donut_yaw(alpha: float, yaw: float, vt: float, d: float) -> float:
    if alpha <= 0 and yaw <= 0:
        damping = -yaw * (alpha + 1) ** 2
    elif alpha > 0 and yaw >= 0:
        damping = -yaw * (alpha - 1) ** 2
    else:
        damping = -C.DONUT_YAW_DAMPING * yaw
    outward = (alpha <= 0 and vt > 0) or (alpha > 0 and vt < 0)
    return C.DONUT_YAW_GAIN * alpha + damping + (-C.DONUT_COUNTER * vt / d if outward else 0.0)


def run_air_control(car: ReferenceCar, s: Sums, inputs: Inputs) -> None:
    """4.10."""
    if car.grounded:
        car.air_spin_x, car.air_spin_y, car.air_tick = float(s.w[0]), float(s.w[1]), car.time
        return
    if s.depth > 0:
        return
    drag = -s.w
    if car.any_contact:
        car.air_spin_x, car.air_spin_y = float(s.w[0]), float(s.w[1])
    elif car.time - car.air_tick < C.AIR_MEMORY_MS:
        turned = inputs.steer if abs(inputs.steer) > C.EPS else 0.0
        against, along = turned * car.air_spin_y > 0, turned * car.air_spin_y < 0
        strong = against or (along and abs(s.w[1]) > C.AIR_STRONG_SPIN)
        if not along or strong:
            car.air_spin_y = float(s.w[1])
        car.air_spin_x = 0.0 if inputs.brake > C.EPS and car.air_spin_x > 0 else float(s.w[0])
        drag = drag * (C.AIR_STRONG_FACTOR if strong else 1.0)
        car.spin = car.rotation @ np.array([car.air_spin_x, car.air_spin_y, s.w[2]])
    size = float(np.linalg.norm(drag))
    if size >= C.EPS:
        s.t += (C.AIR_DAMPING + C.AIR_DAMPING_SQUARE * size) * drag


def run_turbo(car: ReferenceCar) -> None:
    """4.11: yellow and red boosters and free wheeling; the roulette needs the block it stands on."""
    for wheel in car.wheels:
        if wheel.contact and wheel.material in (C.MATERIAL_TURBO, C.MATERIAL_RED_TURBO):
            red = wheel.material == C.MATERIAL_RED_TURBO
            car.turbo_type = 1
            car.turbo_factor = (C.RED_TURBO_FACTOR if red else C.TURBO_FACTOR) * float(wheel.axis[2])
            car.turbo_end = car.time + (C.RED_TURBO_MS if red else C.TURBO_MS)
        elif wheel.contact and wheel.material == C.MATERIAL_FREE_WHEEL:
            car.free_wheel = True
    if car.turbo_type != 0 and car.turbo_end < car.time:
        car.turbo_type, car.turbo_factor = 0, 0.0
