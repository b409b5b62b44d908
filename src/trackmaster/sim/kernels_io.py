# mypy: ignore-errors
"""Between the state tables and a kernel's local car: the rows of ``layout`` are read and written here.

Only what is seldom needed, which gates were taken and when, stays in the tables (``kernels_race``).
"""

import warp as wp

from trackmaster.sim import layout
from trackmaster.sim.kernels_math import rotation_of
from trackmaster.sim.kernels_types import Car, Wheel

FLOATS, INTS, BYTES = layout.FLOAT_ROWS, layout.INT_ROWS, layout.BYTE_ROWS
POSITION = FLOATS["position"].start
QUATERNION = FLOATS["quaternion"].start
VELOCITY = FLOATS["velocity"].start
SPIN = FLOATS["spin"].start
ROTATION = FLOATS["rotation"].start
ABSORB = FLOATS["absorb"].start
ABSORB_RATE = FLOATS["absorb_rate"].start
PUSH = FLOATS["push"].start
NORMAL = FLOATS["normal"].start
POINT = FLOATS["point"].start
AXIS = FLOATS["axis"].start
STEER = FLOATS["steer"].start
RPM = FLOATS["rpm"].start
RPM_TARGET = FLOATS["rpm_target"].start
CLUTCH = FLOATS["clutch"].start
SHIFT_TIMER = FLOATS["shift_timer"].start
FORCE = FLOATS["force"].start
LOCAL_VELOCITY = FLOATS["local_velocity"].start
AIR_SPIN = FLOATS["air_spin"].start
TURBO_FACTOR = FLOATS["turbo_factor"].start
GRAVITY = FLOATS["gravity"].start
DRAG = FLOATS["drag"].start
DONUT_CENTRE = FLOATS["donut_centre"].start
DONUT_AXIS = FLOATS["donut_axis"].start
DONUT_RADIUS = FLOATS["donut_radius"].start
DONUT_SIGN = FLOATS["donut_sign"].start
TIME = INTS["time"].start
GEAR = INTS["gear"].start
ENGINE_MODE = INTS["engine_mode"].start
BURN_MODE = INTS["burn_mode"].start
BURN_START = INTS["burn_start"].start
BURN_EXIT = INTS["burn_exit"].start
LAST_SLIP = INTS["last_slip"].start
SIDE_TICK = INTS["side_tick"].start
AIR_TICK = INTS["air_tick"].start
TURBO_TYPE = INTS["turbo_type"].start
TURBO_START = INTS["turbo_start"].start
TURBO_END = INTS["turbo_end"].start
LAP = INTS["lap"].start
CP_COUNT = INTS["cp_count"].start
RACE_TIME = INTS["race_time"].start
RESPAWN_TRIGGER = INTS["respawn_trigger"].start
CONTACT = BYTES["contact"].start
SLIDING = BYTES["sliding"].start
MATERIAL = BYTES["material"].start
REVERSE = BYTES["reverse"].start
SLIP_MEMORY = BYTES["slip_memory"].start
SIDE_HIT = BYTES["side_hit"].start
BODY_HIT = BYTES["body_hit"].start
ANY_CONTACT = BYTES["any_contact"].start
FREE_WHEEL = BYTES["free_wheel"].start
FINISHED = BYTES["finished"].start


@wp.func
def vec3_at(table: wp.array2d(dtype=float), row: int, slot: int):
    """Three rows of a state table as a vector."""
    return wp.vec3(table[row, slot], table[row + 1, slot], table[row + 2, slot])


@wp.func
def put_vec3(table: wp.array2d(dtype=float), row: int, slot: int, v: wp.vec3):
    """A vector into three rows of a state table."""
    table[row, slot] = v[0]
    table[row + 1, slot] = v[1]
    table[row + 2, slot] = v[2]


@wp.func
def load_car(
    f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8), slot: int,
    cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel),
):  # fmt: skip
    """One car's columns of the state tables into its structs."""
    cars[0].position = vec3_at(f, POSITION, slot)
    cars[0].quaternion = wp.vec4(
        f[QUATERNION, slot], f[QUATERNION + 1, slot], f[QUATERNION + 2, slot], f[QUATERNION + 3, slot]
    )
    cars[0].rotation = rotation_of(cars[0].quaternion)
    cars[0].velocity = vec3_at(f, VELOCITY, slot)
    cars[0].spin = vec3_at(f, SPIN, slot)
    cars[0].steer = f[STEER, slot]
    cars[0].rpm = f[RPM, slot]
    cars[0].rpm_target = f[RPM_TARGET, slot]
    cars[0].clutch = f[CLUTCH, slot]
    cars[0].shift_timer = f[SHIFT_TIMER, slot]
    cars[0].force = vec3_at(f, FORCE, slot)
    cars[0].local_velocity = vec3_at(f, LOCAL_VELOCITY, slot)
    cars[0].air_spin_x = f[AIR_SPIN, slot]
    cars[0].air_spin_y = f[AIR_SPIN + 1, slot]
    cars[0].turbo_factor = f[TURBO_FACTOR, slot]
    cars[0].gravity = f[GRAVITY, slot]
    cars[0].drag = f[DRAG, slot]
    cars[0].donut_centre = vec3_at(f, DONUT_CENTRE, slot)
    cars[0].donut_axis = vec3_at(f, DONUT_AXIS, slot)
    cars[0].donut_radius = f[DONUT_RADIUS, slot]
    cars[0].donut_sign = f[DONUT_SIGN, slot]
    cars[0].time = i[TIME, slot]
    cars[0].gear = i[GEAR, slot]
    cars[0].engine_mode = i[ENGINE_MODE, slot]
    cars[0].burn_mode = i[BURN_MODE, slot]
    cars[0].burn_start = i[BURN_START, slot]
    cars[0].burn_exit = i[BURN_EXIT, slot]
    cars[0].last_slip = i[LAST_SLIP, slot]
    cars[0].side_tick = i[SIDE_TICK, slot]
    cars[0].air_tick = i[AIR_TICK, slot]
    cars[0].turbo_type = i[TURBO_TYPE, slot]
    cars[0].turbo_start = i[TURBO_START, slot]
    cars[0].turbo_end = i[TURBO_END, slot]
    cars[0].lap = i[LAP, slot]
    cars[0].cp_count = i[CP_COUNT, slot]
    cars[0].race_time = i[RACE_TIME, slot]
    cars[0].respawn_trigger = i[RESPAWN_TRIGGER, slot]
    cars[0].reverse = int(b[REVERSE, slot])
    cars[0].slip_memory = int(b[SLIP_MEMORY, slot])
    cars[0].side_hit = int(b[SIDE_HIT, slot])
    cars[0].body_hit = int(b[BODY_HIT, slot])
    cars[0].any_contact = int(b[ANY_CONTACT, slot])
    cars[0].free_wheel = int(b[FREE_WHEEL, slot])
    cars[0].finished = int(b[FINISHED, slot])
    for k in range(4):
        wheels[k].absorb = f[ABSORB + k, slot]
        wheels[k].absorb_rate = f[ABSORB_RATE + k, slot]
        wheels[k].push = f[PUSH + k, slot]
        wheels[k].normal = vec3_at(f, NORMAL + 3 * k, slot)
        wheels[k].point = vec3_at(f, POINT + 3 * k, slot)
        wheels[k].axis = vec3_at(f, AXIS + 3 * k, slot)
        wheels[k].contact = int(b[CONTACT + k, slot])
        wheels[k].sliding = int(b[SLIDING + k, slot])
        wheels[k].material = int(b[MATERIAL + k, slot])


@wp.func
def store_car(
    f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8), slot: int,
    cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel),
):  # fmt: skip
    """The structs back into the car's columns."""
    put_vec3(f, POSITION, slot, cars[0].position)
    for k in range(4):
        f[QUATERNION + k, slot] = cars[0].quaternion[k]
    for k in range(9):
        f[ROTATION + k, slot] = cars[0].rotation[k / 3, k % 3]
    put_vec3(f, VELOCITY, slot, cars[0].velocity)
    put_vec3(f, SPIN, slot, cars[0].spin)
    f[STEER, slot] = cars[0].steer
    f[RPM, slot] = cars[0].rpm
    f[RPM_TARGET, slot] = cars[0].rpm_target
    f[CLUTCH, slot] = cars[0].clutch
    f[SHIFT_TIMER, slot] = cars[0].shift_timer
    put_vec3(f, FORCE, slot, cars[0].force)
    put_vec3(f, LOCAL_VELOCITY, slot, cars[0].local_velocity)
    f[AIR_SPIN, slot] = cars[0].air_spin_x
    f[AIR_SPIN + 1, slot] = cars[0].air_spin_y
    f[TURBO_FACTOR, slot] = cars[0].turbo_factor
    f[GRAVITY, slot] = cars[0].gravity
    f[DRAG, slot] = cars[0].drag
    put_vec3(f, DONUT_CENTRE, slot, cars[0].donut_centre)
    put_vec3(f, DONUT_AXIS, slot, cars[0].donut_axis)
    f[DONUT_RADIUS, slot] = cars[0].donut_radius
    f[DONUT_SIGN, slot] = cars[0].donut_sign
    i[TIME, slot] = cars[0].time
    i[GEAR, slot] = cars[0].gear
    i[ENGINE_MODE, slot] = cars[0].engine_mode
    i[BURN_MODE, slot] = cars[0].burn_mode
    i[BURN_START, slot] = cars[0].burn_start
    i[BURN_EXIT, slot] = cars[0].burn_exit
    i[LAST_SLIP, slot] = cars[0].last_slip
    i[SIDE_TICK, slot] = cars[0].side_tick
    i[AIR_TICK, slot] = cars[0].air_tick
    i[TURBO_TYPE, slot] = cars[0].turbo_type
    i[TURBO_START, slot] = cars[0].turbo_start
    i[TURBO_END, slot] = cars[0].turbo_end
    i[LAP, slot] = cars[0].lap
    i[CP_COUNT, slot] = cars[0].cp_count
    i[RACE_TIME, slot] = cars[0].race_time
    i[RESPAWN_TRIGGER, slot] = cars[0].respawn_trigger
    b[REVERSE, slot] = wp.uint8(cars[0].reverse)
    b[SLIP_MEMORY, slot] = wp.uint8(cars[0].slip_memory)
    b[SIDE_HIT, slot] = wp.uint8(cars[0].side_hit)
    b[BODY_HIT, slot] = wp.uint8(cars[0].body_hit)
    b[ANY_CONTACT, slot] = wp.uint8(cars[0].any_contact)
    b[FREE_WHEEL, slot] = wp.uint8(cars[0].free_wheel)
    b[FINISHED, slot] = wp.uint8(cars[0].finished)
    for k in range(4):
        f[ABSORB + k, slot] = wheels[k].absorb
        f[ABSORB_RATE + k, slot] = wheels[k].absorb_rate
        f[PUSH + k, slot] = wheels[k].push
        put_vec3(f, NORMAL + 3 * k, slot, wheels[k].normal)
        put_vec3(f, POINT + 3 * k, slot, wheels[k].point)
        put_vec3(f, AXIS + 3 * k, slot, wheels[k].axis)
        b[CONTACT + k, slot] = wp.uint8(wheels[k].contact)
        b[SLIDING + k, slot] = wp.uint8(wheels[k].sliding)
        b[MATERIAL + k, slot] = wp.uint8(wheels[k].material)
