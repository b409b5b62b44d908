"""Engine and gearbox of the slow reference car (``car_physics.md`` section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from trackmaster.sim import constants as C
from trackmaster.sim.reference_state import ReferenceCar


@dataclass
class Inputs:
    """What the driver does in a tick."""

    steer: float
    gas: float
    brake: float


def run_engine(car: ReferenceCar, inputs: Inputs, h: float) -> None:
    """Section 3."""
    on = (inputs.brake if car.reverse else inputs.gas) > 0.1
    u = float(car.local_velocity[2])
    if car.shift_timer > 0:
        car.shift_timer -= h
    if not car.grounded or car.shift_timer > 0:
        car.rpm += 6000 * h if on else -3000 * h
    else:
        _run_engaged(car, on, u, h)
    car.rpm = min(max(car.rpm, 0.0), C.MAX_RPM)


def _run_engaged(car: ReferenceCar, on: bool, u: float, h: float) -> None:
    burning = car.burn_mode in (C.BURN_OUT, C.BURN_DONUT)
    if burning:
        if car.gear != 0:
            car.engine_mode = C.ENGINE_BURN
    elif car.engine_mode == C.ENGINE_BURN:
        car.engine_mode = C.ENGINE_STEADY

    if car.engine_mode in (C.ENGINE_LAUNCH, C.ENGINE_LAUNCH_BACK):
        forward = car.engine_mode == C.ENGINE_LAUNCH
        low, high = (-2, 3) if forward else (-3, 2)
        car.clutch, car.rpm_target = 1.0, abs(u) * C.GEAR_RATIO[1 if forward else 0]
        if low < u < high and on:
            car.rpm += 10000 * h
        else:
            car.rpm -= 4000 * h
            if car.rpm <= car.rpm_target:
                car.rpm, car.engine_mode = car.rpm_target, C.ENGINE_STEADY
    elif car.engine_mode == C.ENGINE_BURN:
        car.rpm_target, car.clutch = C.MAX_RPM, C.CLUTCH_MAX
        car.rpm += (6000 if car.rpm < C.MAX_RPM else 3000) * h
    else:
        _run_coupled(car, on, u, burning, h)

    if car.engine_mode == C.ENGINE_STEADY and on:
        if not car.reverse and -2 < u < 3:
            car.engine_mode = C.ENGINE_LAUNCH
            if car.gear == 0:
                _shift(car, 1)
        elif car.reverse and -3 < u < 2:
            car.engine_mode = C.ENGINE_LAUNCH_BACK
            if car.gear != 0:
                _shift(car, 0)
    if car.engine_mode in (C.ENGINE_STEADY, C.ENGINE_SHIFT):
        _choose_gear(car)


def _run_coupled(car: ReferenceCar, on: bool, u: float, burning: bool, h: float) -> None:
    if car.slip_memory and on:
        car.clutch = min(car.clutch + (C.CLUTCH_MAX - car.clutch) * C.CLUTCH_RATE * h, C.CLUTCH_MAX)
    else:
        car.clutch = 1.0
    wrong_gear = (car.gear == 0) != car.reverse
    car.rpm_target = 0.0 if wrong_gear else abs(u * car.clutch) * C.GEAR_RATIO[car.gear]
    if car.rpm >= car.rpm_target:
        fall = (17000 if not car.slip_memory or burning else 3000) if on else 4000
        car.rpm -= h * fall
        if car.rpm < car.rpm_target:
            car.engine_mode = C.ENGINE_STEADY
    else:
        car.rpm += 11500 * h
        if car.rpm > car.rpm_target:
            car.engine_mode = C.ENGINE_STEADY


def _choose_gear(car: ReferenceCar) -> None:
    if car.reverse:
        if car.gear != 0:
            car.engine_mode = C.ENGINE_SHIFT
            if car.rpm < C.SHIFT_READY_RPM:
                _shift(car, 0)
        return
    if car.gear == 0:
        car.engine_mode = C.ENGINE_SHIFT
        if car.rpm < C.SHIFT_READY_RPM:
            _shift(car, 1)
    if car.gear > 0:
        if car.rpm_target > C.SHIFT_UP_RPM[car.gear] and car.gear < C.MAX_GEAR:
            car.engine_mode = C.ENGINE_SHIFT
            _shift(car, car.gear + 1)
        elif car.rpm_target < C.SHIFT_DOWN_RPM[car.gear] and car.gear > 1:
            car.engine_mode = C.ENGINE_SHIFT
            _shift(car, car.gear - 1)


def _shift(car: ReferenceCar, gear: int) -> None:
    car.gear, car.shift_timer = gear, C.SHIFT_S
