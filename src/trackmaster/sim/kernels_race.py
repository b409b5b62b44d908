# mypy: ignore-errors
"""Checkpoints, finish, laps and respawn poses (``car_physics.md`` 2.6)."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim import layout
from trackmaster.sim.kernels_math import rotation_of
from trackmaster.sim.kernels_types import Car, Gate, Near, Scene, Wheel

CP_TIMES = layout.INT_ROWS["cp_times"].start
TAKEN = layout.INT_ROWS["taken"].start
INSIDE = layout.INT_ROWS["inside"].start


@wp.func
def is_inside(gates: wp.array(dtype=Gate), g: int, position: wp.vec3):
    """Whether the car's origin is inside of a gate's box."""
    offset = position - gates[g].centre
    if wp.dot(offset, offset) > gates[g].reach_squared:
        return False
    local = gates[g].to_box * offset
    half = gates[g].half
    return wp.abs(local[0]) <= half[0] and wp.abs(local[1]) <= half[1] and wp.abs(local[2]) <= half[2]


@wp.func
def taken_count(state_i: wp.array2d(dtype=int), slot: int, n_gates: int):
    """How many of the lap's gates are marked as taken."""
    count = wp.int32(0)
    for g in range(n_gates):
        count += (state_i[TAKEN + (g >> 5), slot] >> (g & 31)) & 1
    return count


@wp.func
def mark_all(state_i: wp.array2d(dtype=int), row: int, slot: int, word: int):
    """Set the marks of all gates, 32 a word."""
    for k in range(layout.TRIGGER_WORDS):
        state_i[row + k, slot] = word


@wp.func
def stamp(cars: wp.array(dtype=Car), state_i: wp.array2d(dtype=int), slot: int):
    """Record the time of a passage: the tick's own time, before the pose moved on by 10 ms."""
    if cars[0].cp_count < layout.MAX_CP_TIMES:
        state_i[CP_TIMES + cars[0].cp_count, slot] = cars[0].time
    cars[0].cp_count += 1


@wp.func
def look_for_gates(scene: Scene, track: int, cars: wp.array(dtype=Car), near: wp.array(dtype=Near), slot: int):
    """Remember how far the car can go from here without meeting a gate."""
    first = scene.tracks[track].first_gate
    quiet = float(1.0e6)
    for g in range(scene.tracks[track].n_gates):
        offset = cars[0].position - scene.gates[first + g].centre
        quiet = wp.min(quiet, wp.length(offset) - scene.gates[first + g].reach)
        if quiet <= 0.0:
            break
    quiet = wp.max(quiet, 0.0)
    near[slot].anchor = cars[0].position
    near[slot].quiet_squared = quiet * quiet


@wp.func
def pass_gates(
    scene: Scene, track: int, cars: wp.array(dtype=Car), near: wp.array(dtype=Near), state_i: wp.array2d(dtype=int),
    slot: int,
):  # fmt: skip
    """Count gates whose box the car origin has just entered."""
    moved = cars[0].position - near[slot].anchor
    if wp.dot(moved, moved) < near[slot].quiet_squared:
        return
    first = scene.tracks[track].first_gate
    n_gates = scene.tracks[track].n_gates
    for g in range(n_gates):
        word = g >> 5
        bit = 1 << (g & 31)
        if is_inside(scene.gates, first + g, cars[0].position):
            if (state_i[INSIDE + word, slot] & bit) == 0 and cars[0].finished == 0:
                if scene.gates[first + g].is_finish != 0:
                    if taken_count(state_i, slot, n_gates) >= scene.tracks[track].n_checkpoints:
                        stamp(cars, state_i, slot)
                        finish_lap(scene, track, cars, state_i, slot)
                elif (state_i[TAKEN + word, slot] & bit) == 0:
                    stamp(cars, state_i, slot)
                    cars[0].free_wheel = 0
                    state_i[TAKEN + word, slot] = state_i[TAKEN + word, slot] | bit
                    cars[0].respawn_trigger = g
            state_i[INSIDE + word, slot] = state_i[INSIDE + word, slot] | bit
        else:
            state_i[INSIDE + word, slot] = state_i[INSIDE + word, slot] & ~bit
    look_for_gates(scene, track, cars, near, slot)


@wp.func
def finish_lap(scene: Scene, track: int, cars: wp.array(dtype=Car), state_i: wp.array2d(dtype=int), slot: int):
    """Begin the next lap, or end the race with this tick's time."""
    cars[0].free_wheel = 0
    mark_all(state_i, TAKEN, slot, 0)
    cars[0].lap += 1
    cars[0].respawn_trigger = -1
    if cars[0].lap >= scene.tracks[track].laps:
        cars[0].finished = 1
        cars[0].race_time = cars[0].time


@wp.func
def stand_still(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), position: wp.vec3, quaternion: wp.vec4):
    """The reset state of 1.9 at a pose; race progress and clock are left alone."""
    zero = wp.vec3(0.0, 0.0, 0.0)
    cars[0].position = position
    cars[0].quaternion = quaternion
    cars[0].rotation = rotation_of(quaternion)
    cars[0].velocity = zero
    cars[0].spin = zero
    cars[0].steer = 0.0
    cars[0].rpm = 0.0
    cars[0].rpm_target = 0.0
    cars[0].clutch = 1.0
    cars[0].shift_timer = 0.0
    cars[0].force = zero
    cars[0].local_velocity = zero
    cars[0].air_spin_x = 0.0
    cars[0].air_spin_y = 0.0
    cars[0].turbo_factor = 0.0
    cars[0].gravity = C.GRAVITY_SCALE_GROUND
    cars[0].drag = 0.0
    cars[0].donut_centre = zero
    cars[0].donut_axis = zero
    cars[0].donut_radius = 0.0
    cars[0].donut_sign = 0.0
    cars[0].gear = 1
    cars[0].engine_mode = C.ENGINE_STEADY
    cars[0].burn_mode = C.BURN_NONE
    cars[0].burn_start = C.NEVER
    cars[0].burn_exit = C.NEVER
    cars[0].last_slip = C.NEVER
    cars[0].side_tick = C.NEVER
    cars[0].air_tick = 0
    cars[0].turbo_type = 0
    cars[0].turbo_start = 0
    cars[0].turbo_end = 0
    cars[0].reverse = 0
    cars[0].slip_memory = 0
    cars[0].side_hit = 0
    cars[0].body_hit = 0
    cars[0].any_contact = 0
    cars[0].free_wheel = 0
    for i in range(4):
        wheels[i].absorb = C.SPRING_REST
        wheels[i].absorb_rate = 0.0
        wheels[i].push = 0.0
        wheels[i].contact = 0
        wheels[i].sliding = 0
        wheels[i].material = 0
        wheels[i].normal = zero
        wheels[i].point = zero
        wheels[i].axis = zero


@wp.func
def forget(near: wp.array(dtype=Near), slot: int):
    """Make the car look at the grid and at all gates again: somebody else moved it."""
    near[slot].low = wp.vec3(1.0, 1.0, 1.0)
    near[slot].high = wp.vec3(0.0, 0.0, 0.0)
    near[slot].count = 0
    near[slot].quiet_squared = 0.0
