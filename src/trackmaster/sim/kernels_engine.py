# mypy: ignore-errors
"""Engine and gearbox (``car_physics.md`` section 3): rpm, gear and whether thrust is cut."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_tables import gear_ratio, shift_down_rpm, shift_up_rpm
from trackmaster.sim.kernels_types import Car


@wp.func
def start_shift(cars: wp.array(dtype=Car), gear: int):
    """Change to a gear; thrust is cut until the timer ends."""
    cars[0].gear = gear
    cars[0].shift_timer = C.SHIFT_S


@wp.func
def run_launch(cars: wp.array(dtype=Car), u: float, on: bool, h: float):
    """Start from standstill: rpm climbs freely while the car is slow."""
    low = float(-2.0)
    high = float(3.0)
    reference = wp.int32(1)
    if cars[0].engine_mode == C.ENGINE_LAUNCH_BACK:
        low = float(-3.0)
        high = float(2.0)
        reference = 0
    cars[0].clutch = 1.0
    target = wp.abs(u) * gear_ratio(reference)
    cars[0].rpm_target = target
    if u > low and u < high and on:
        cars[0].rpm = cars[0].rpm + 10000.0 * h
    else:
        rpm = cars[0].rpm - 4000.0 * h
        cars[0].rpm = rpm
        if rpm <= target:
            cars[0].rpm = target
            cars[0].engine_mode = C.ENGINE_STEADY


@wp.func
def run_coupled(cars: wp.array(dtype=Car), u: float, on: bool, h: float):
    """rpm follows the speed of the gear; crossing the target ends a shift."""
    slip = cars[0].slip_memory != 0
    if slip and on:
        cars[0].clutch = wp.min(cars[0].clutch + (C.CLUTCH_MAX - cars[0].clutch) * C.CLUTCH_RATE * h, C.CLUTCH_MAX)
    else:
        cars[0].clutch = 1.0
    gear = cars[0].gear
    back = cars[0].reverse != 0
    target = wp.abs(u * cars[0].clutch) * gear_ratio(gear)
    if (gear == 0) != back:
        target = 0.0
    cars[0].rpm_target = target
    rpm = cars[0].rpm
    if rpm >= target:
        fall = float(4000.0)
        if on:
            fall = float(3000.0)
            burning = cars[0].burn_mode == C.BURN_OUT or cars[0].burn_mode == C.BURN_DONUT
            if not slip or burning:
                fall = float(17000.0)
        rpm = rpm - h * fall
        if rpm < target:
            cars[0].engine_mode = C.ENGINE_STEADY
    else:
        rpm = rpm + 11500.0 * h
        if rpm > target:
            cars[0].engine_mode = C.ENGINE_STEADY
    cars[0].rpm = rpm


@wp.func
def choose_gear(cars: wp.array(dtype=Car)):
    """Shift by rpm, and through to reverse and back when the car's direction asks for it."""
    target = cars[0].rpm_target
    if cars[0].reverse == 0:
        if cars[0].gear == 0:
            cars[0].engine_mode = C.ENGINE_SHIFT
            if cars[0].rpm < C.SHIFT_READY_RPM:
                start_shift(cars, 1)
        gear = cars[0].gear
        if gear > 0:
            if target > shift_up_rpm(gear) and gear < C.MAX_GEAR:
                cars[0].engine_mode = C.ENGINE_SHIFT
                start_shift(cars, gear + 1)
            elif target < shift_down_rpm(gear) and gear > 1:
                cars[0].engine_mode = C.ENGINE_SHIFT
                start_shift(cars, gear - 1)
    elif cars[0].gear != 0:
        cars[0].engine_mode = C.ENGINE_SHIFT
        if cars[0].rpm < C.SHIFT_READY_RPM:
            start_shift(cars, 0)


@wp.func
def run_engaged(cars: wp.array(dtype=Car), u: float, on: bool, h: float):
    """Wheels on the ground, no shift pause."""
    burning = cars[0].burn_mode == C.BURN_OUT or cars[0].burn_mode == C.BURN_DONUT
    if burning:
        if cars[0].gear != 0:
            cars[0].engine_mode = C.ENGINE_BURN
    elif cars[0].engine_mode == C.ENGINE_BURN:
        cars[0].engine_mode = C.ENGINE_STEADY

    mode = cars[0].engine_mode
    if mode == C.ENGINE_LAUNCH or mode == C.ENGINE_LAUNCH_BACK:
        run_launch(cars, u, on, h)
    elif mode == C.ENGINE_BURN:
        cars[0].rpm_target = C.MAX_RPM
        cars[0].clutch = C.CLUTCH_MAX
        gain = float(3000.0)
        if cars[0].rpm < C.MAX_RPM:
            gain = float(6000.0)
        cars[0].rpm = cars[0].rpm + gain * h
    else:
        run_coupled(cars, u, on, h)

    if cars[0].engine_mode == C.ENGINE_STEADY and on:
        if cars[0].reverse == 0 and u > -2.0 and u < 3.0:
            cars[0].engine_mode = C.ENGINE_LAUNCH
            if cars[0].gear == 0:
                start_shift(cars, 1)
        elif cars[0].reverse != 0 and u > -3.0 and u < 2.0:
            cars[0].engine_mode = C.ENGINE_LAUNCH_BACK
            if cars[0].gear != 0:
                start_shift(cars, 0)
    if cars[0].engine_mode == C.ENGINE_STEADY or cars[0].engine_mode == C.ENGINE_SHIFT:
        choose_gear(cars)


@wp.func
def run_engine(cars: wp.array(dtype=Car), touching: bool, h: float):
    """One sub-step of engine and gearbox; off the ground and while shifting the rpm follow the pedal only."""
    pedal = cars[0].in_gas
    if cars[0].reverse != 0:
        pedal = cars[0].in_brake
    on = pedal > 0.1
    if cars[0].shift_timer > 0.0:
        cars[0].shift_timer = cars[0].shift_timer - h
    if not touching or cars[0].shift_timer > 0.0:
        if on:
            cars[0].rpm = cars[0].rpm + 6000.0 * h
        else:
            cars[0].rpm = cars[0].rpm - 3000.0 * h
    else:
        run_engaged(cars, cars[0].local_velocity[2], on, h)
    cars[0].rpm = wp.clamp(cars[0].rpm, 0.0, C.MAX_RPM)
