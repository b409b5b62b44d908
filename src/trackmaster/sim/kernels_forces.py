# mypy: ignore-errors
"""Forces on the whole car (``car_physics.md`` 4.1-4.6, 4.10, 4.11), in the game's order of operations."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_donut import enter_donut, run_donut
from trackmaster.sim.kernels_math import (
    asin_small,
    cos_poly,
    sign_of,
    sin_poly,
    slope_ramp,
    steer_ramp,
)
from trackmaster.sim.kernels_tables import (
    drive_thrust,
    material_factor,
    reverse_thrust,
    roll_torque,
    side_hit_drag,
    steer_slowdown,
    steer_torque,
)
from trackmaster.sim.kernels_types import Car, Wheel
from trackmaster.sim.kernels_wheels import add_wheel_forces

PI = 3.141592653589793


@wp.func
def add_drag(cars: wp.array(dtype=Car)):
    """Coasting, the slowdown after a wall, the speed cap (4.1)."""
    v = cars[0].v
    speed = wp.length(v)
    pedal = cars[0].in_gas
    if cars[0].reverse != 0:
        pedal = cars[0].in_brake
    free = cars[0].free_wheel != 0
    f = cars[0].f
    floats = cars[0].depth > 0.0 and cars[0].grounded == 0
    if (pedal < C.EPS or free) and not floats:
        if speed > C.EPS:
            f = f - v * (C.COAST_CONSTANT / speed)
        if not free:
            f = f - v * C.COAST_LINEAR
    if cars[0].side_hit != 0:
        cars[0].side_tick = cars[0].time
    if cars[0].side_tick <= cars[0].time and cars[0].time - cars[0].side_tick < C.SIDE_HIT_MS and speed > C.EPS:
        f = f - v * (side_hit_drag(3.6 * speed) / speed)
    cars[0].f = f
    if speed > C.MAX_SPEED:
        cars[0].v = v * (C.MAX_SPEED / speed)
        cars[0].velocity = cars[0].velocity * (C.MAX_SPEED / speed)


@wp.func
def run_burn_clock(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """How long burnout and its end last (4.3)."""
    mode = cars[0].burn_mode
    now = cars[0].time
    if mode == C.BURN_OUT:
        if now < cars[0].burn_start or now - cars[0].burn_start >= C.BURN_MS:
            cars[0].burn_mode = C.BURN_EXIT
            cars[0].burn_exit = now
        else:
            cars[0].slip_seen = 1
    elif mode == C.BURN_EXIT:
        if now - cars[0].burn_exit >= C.BURN_EXIT_MS:
            cars[0].burn_mode = C.BURN_NONE
        else:
            for i in range(4):
                wheels[i].sliding = 1


@wp.func
def change_modes(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Enter or leave burnout and donut, choose forwards or backwards (4.5.1, 4.5.2)."""
    gas = cars[0].in_gas > 0.1
    brake = cars[0].in_brake > 0.1
    vx = cars[0].v[0]
    vz = cars[0].v[2]
    if cars[0].free_wheel == 0:
        if brake and not gas and cars[0].burn_mode == C.BURN_OUT:
            cars[0].burn_mode = C.BURN_EXIT
            cars[0].burn_exit = cars[0].time
        if gas and brake and vz < C.BURN_SPEED_LOW and cars[0].rotation[1, 1] > C.BURN_UPRIGHT:
            cars[0].burn_mode = C.BURN_OUT
            cars[0].burn_start = cars[0].time
        if gas and brake and vz > C.BURN_SPEED_LOW and vz < C.BURN_SPEED_HIGH and wp.abs(cars[0].wheel_angle) >= C.EPS:
            enter_donut(cars, wheels)
    if cars[0].burn_mode != C.BURN_NONE:
        cars[0].reverse = 0
    else:
        if brake and vz < C.REVERSE_SELECT_SPEED and wp.abs(vx) < 2.0:
            cars[0].reverse = 1
        if gas and (vz > 0.0 or wp.abs(vx) > 2.0):
            cars[0].reverse = 0
        if not gas and not brake:
            if vz > 0.0 or wp.abs(vz) < 2.0:
                cars[0].reverse = 0
            else:
                cars[0].reverse = 1
        if vz > 0.0 and cars[0].turbo_type != 0:
            cars[0].reverse = 0


@wp.func
def add_yaw(cars: wp.array(dtype=Car), lateral_factor: float):
    """Roll torque, yaw damping at the axles and steering torque (4.5.3-4.5.5); leaves the traction."""
    v = cars[0].v
    roll = roll_torque(3.6 * v[0] * v[0] / (wp.abs(v[2]) + 1.0))
    direction = float(1.0)
    if cars[0].reverse != 0:
        direction = float(-1.0)
    steering = direction * steer_ramp(wp.length(v)) * cars[0].steer * steer_torque(cars[0].speed_kmh)
    limit = cars[0].grip * lateral_factor
    limits = float(0.0)
    requests = float(0.0)
    yaw = float(0.0)
    for i in range(4):
        lever = C.HALF_WHEELBASE
        if i >= 2:
            lever = -C.HALF_WHEELBASE
        request = -C.LATERAL_GRIP * (cars[0].w[1] * lever + v[0])
        if wp.abs(request) > limit:
            limits += limit
            requests += wp.abs(request)
            cars[0].slip_seen = 1
        push = C.YAW_TORQUE * request
        if i < 2:
            push = push - steering
        yaw += push * lever
    cars[0].t = cars[0].t + wp.vec3(0.0, yaw, -sign_of(v[0]) * roll)
    if cars[0].slip_seen != 0:
        cars[0].last_slip = cars[0].time
    traction = float(1.0)
    if cars[0].last_slip == cars[0].time and limits > C.EPS:
        traction = 1.0 - wp.clamp((requests - limits) / limits, 0.0, 1.0)
    cars[0].traction = traction


@wp.func
def drive_force(cars: wp.array(dtype=Car), drive_factor: float):
    """Thrust along z (4.6), with the boost of a turbo."""
    k = cars[0].speed_kmh
    thrust = drive_thrust(k)
    direction = float(1.0)
    reverse_brake = float(0.0)
    if cars[0].reverse != 0:
        thrust = reverse_thrust(k)
        direction = float(-1.0)
        reverse_brake = cars[0].in_brake
    boost = float(0.0)
    if cars[0].turbo_type != 0:
        boost = cars[0].turbo_factor
    if cars[0].free_wheel != 0:
        return thrust * boost
    available = float(0.0)
    if cars[0].engine_mode != C.ENGINE_SHIFT:
        available = (1.0 - cars[0].traction) * C.SLIP_ACCELERATION + cars[0].traction * thrust
    wave = float(1.0)
    if cars[0].burn_mode == C.BURN_OUT:
        phase = PI * float(cars[0].time - cars[0].burn_start) / float(C.BURN_MS)
        wave = 1.0 - C.BURN_DRIVE_WAVE * sin_poly(wp.min(phase, PI - phase))
    pull = wave * (thrust * boost + (cars[0].in_gas * drive_factor - reverse_brake * drive_factor) * available)
    slow = direction * C.STEER_SLOWDOWN * wp.abs(cars[0].steer) * steer_slowdown(k)
    if cars[0].depth > 0.0:
        return C.WATER_DRIVE * (pull - slow)
    return pull - slow


@wp.func
def cap_brake(
    cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), force: float, cap: float, slide_cap: float, factor: float
):
    """Halve per sliding wheel; beyond the cap all wheels start to slide."""
    brake = force
    for i in range(4):
        if wheels[i].sliding != 0:
            brake = brake * 0.5
    limit = factor * cap
    if cars[0].slide_any != 0:
        limit = factor * slide_cap
    if brake > limit:
        brake = limit
        cars[0].slip_seen = 1
        for i in range(4):
            wheels[i].sliding = 1
    return brake


@wp.func
def add_longitudinal(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), row: int, adherence: float):
    """Drive, brake and speed limits along z (4.6)."""
    vz = cars[0].v[2]
    accel = drive_force(cars, material_factor(row, 1))
    net = accel
    if vz > 0.0:
        force = (C.BRAKE_BASE + C.BRAKE_PER_SPEED * vz) * cars[0].in_brake
        net = accel - cap_brake(
            cars, wheels, force, C.BRAKE_CAP_FORWARD, C.BRAKE_CAP_FORWARD_SLIDE, material_factor(row, 2)
        )
    elif vz < 0.0 and cars[0].in_gas > 0.1:
        if (
            cars[0].free_wheel == 0
            and -C.BURN_REVERSE_FACTOR * accel * vz > C.BURN_REVERSE_LIMIT
            and cars[0].rotation[1, 1] > C.BURN_UPRIGHT
        ):
            cars[0].burn_mode = C.BURN_OUT
            cars[0].burn_start = cars[0].time
        force = (C.BRAKE_BASE - C.BRAKE_PER_SPEED * vz) * cars[0].in_gas
        net = accel + cap_brake(
            cars, wheels, force, C.BRAKE_CAP_BACKWARD, C.BRAKE_CAP_BACKWARD_SLIDE, material_factor(row, 2)
        )
    if vz > C.FORWARD_LIMIT * material_factor(row, 0):
        if net >= 0.0:
            net = -C.LIMIT_FORCE
        else:
            net = net - C.LIMIT_FORCE
    if vz < -C.REVERSE_LIMIT * material_factor(row, 0):
        if net <= 0.0:
            net = C.LIMIT_FORCE
        else:
            net = net + C.LIMIT_FORCE
    cars[0].f = cars[0].f + wp.vec3(0.0, 0.0, net * adherence)


@wp.func
def run_handling(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Wheels, steering, drive (4.2-4.7)."""
    angle = asin_small(wp.min(1.0 / (C.STEER_ANGLE_SPEED * wp.abs(cars[0].v[2]) + C.STEER_ANGLE_BASE), 1.0))
    cars[0].wheel_angle = -cars[0].steer * angle
    cars[0].wheel_cos = cos_poly(cars[0].wheel_angle)
    cars[0].wheel_sin = sin_poly(cars[0].wheel_angle)
    cars[0].slip_seen = 0
    cars[0].slide_any = 0
    if cars[0].burn_mode == C.BURN_DONUT:
        run_donut(cars, wheels)
        return
    run_burn_clock(cars, wheels)
    base = cars[0].base
    upright = wp.abs(base[1]) / wp.max(wp.length(base), C.EPS)
    add_wheel_forces(cars, wheels, slope_ramp(upright, 0.3, 0.7))
    if cars[0].grounded == 0:
        if cars[0].burn_mode == C.BURN_OUT:
            cars[0].burn_mode = C.BURN_EXIT
            cars[0].burn_exit = cars[0].time
    else:
        change_modes(cars, wheels)
        row = wp.int32(0)
        if wheels[0].contact != 0:
            row = wheels[0].material  # the game reads only this wheel
        add_yaw(cars, material_factor(row, 3))
        add_longitudinal(cars, wheels, row, slope_ramp(upright, 0.4, 0.7))
    cars[0].slip_memory = cars[0].slip_seen


@wp.func
def run_air_control(cars: wp.array(dtype=Car)):
    """Damped spin in the air; steering and braking hold or stop it (4.10). There is none in water."""
    w = cars[0].w
    if cars[0].grounded != 0:
        cars[0].air_spin_x = w[0]
        cars[0].air_spin_y = w[1]
        cars[0].air_tick = cars[0].time
        return
    if cars[0].depth > 0.0:
        return
    drag = -w
    if cars[0].any_contact != 0:
        cars[0].air_spin_x = w[0]
        cars[0].air_spin_y = w[1]
    elif cars[0].time - cars[0].air_tick < C.AIR_MEMORY_MS:
        steer = cars[0].in_steer
        memory = cars[0].air_spin_y
        strong = False
        if (steer > C.EPS and memory < 0.0) or (steer < -C.EPS and memory > 0.0):
            if wp.abs(w[1]) > C.AIR_STRONG_SPIN:
                strong = True
                cars[0].air_spin_y = w[1]
        else:
            strong = (steer > C.EPS and memory > 0.0) or (steer < -C.EPS and memory < 0.0)
            cars[0].air_spin_y = w[1]
        if cars[0].in_brake > C.EPS and cars[0].air_spin_x > 0.0:
            cars[0].air_spin_x = 0.0
        else:
            cars[0].air_spin_x = w[0]
        if strong:
            drag = drag * C.AIR_STRONG_FACTOR
        cars[0].spin = cars[0].rotation * wp.vec3(cars[0].air_spin_x, cars[0].air_spin_y, w[2])
    size = wp.length(drag)
    if size >= C.EPS:
        cars[0].t = cars[0].t + drag * (C.AIR_DAMPING + C.AIR_DAMPING_SQUARE * size)


@wp.func
def start_turbo(cars: wp.array(dtype=Car), kind: int, factor: float, length_ms: int):
    """Begin a boost, or prolong one of the same kind without a new start."""
    if cars[0].turbo_type != kind:
        cars[0].turbo_start = cars[0].time
    cars[0].turbo_type = kind
    cars[0].turbo_factor = factor
    cars[0].turbo_end = cars[0].time + length_ms


@wp.func
def run_turbo(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel)):
    """Boosters and free wheeling under the wheels (4.11); they act from the next sub-step on."""
    now = cars[0].time
    for i in range(4):
        if wheels[i].contact != 0:
            material = wheels[i].material
            along = wheels[i].axis[2]
            if material == C.MATERIAL_TURBO:
                start_turbo(cars, 1, C.TURBO_FACTOR * along, C.TURBO_MS)
            elif material == C.MATERIAL_RED_TURBO:
                start_turbo(cars, 1, C.RED_TURBO_FACTOR * along, C.RED_TURBO_MS)
            elif material == C.MATERIAL_ROULETTE:
                factor = cars[0].turbo_factor
                if cars[0].turbo_type != 2:
                    phase = 7 * (now % C.ROULETTE_PERIOD_MS)
                    factor = C.TURBO_FACTOR * along
                    if phase >= 6 * C.ROULETTE_PERIOD_MS:
                        factor = factor * 2.0
                    elif phase >= 4 * C.ROULETTE_PERIOD_MS:
                        factor = factor * 1.5
                start_turbo(cars, 2, factor, C.TURBO_MS)
            elif material == C.MATERIAL_FREE_WHEEL:
                cars[0].free_wheel = 1
    if cars[0].turbo_type != 0 and cars[0].turbo_end < now:
        cars[0].turbo_type = 0
        cars[0].turbo_factor = 0.0
