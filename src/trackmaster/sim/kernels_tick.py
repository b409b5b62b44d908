# mypy: ignore-errors
"""The tick (``car_physics.md`` section 2): sub-steps in the game's order, and the kernels the world launches."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_collide import find_contacts
from trackmaster.sim.kernels_engine import run_engine
from trackmaster.sim.kernels_forces import add_drag, run_air_control, run_handling, run_turbo
from trackmaster.sim.kernels_io import load_car, store_car
from trackmaster.sim.kernels_math import (
    clamp_length,
    inverse_inertia,
    rotation_of,
    turn_quaternion,
    unrotate,
)
from trackmaster.sim.kernels_race import INSIDE, TAKEN, forget, mark_all, pass_gates, stand_still
from trackmaster.sim.kernels_respond import respond, shake
from trackmaster.sim.kernels_tables import COM, side_grip
from trackmaster.sim.kernels_types import Car, Contact, Near, Scene, Wheel
from trackmaster.sim.kernels_water import add_water, find_water
from trackmaster.sim.kernels_wheels import follow_suspension

wp.set_module_options(
    {
        "enable_backward": False,
        "fast_math": False,
        "fuse_fp": False,
        "max_unroll": 1,
        # One function out of all: the local arrays then have known sizes, and nothing is passed through memory.
        "cpu_compiler_flags": "-march=native -mllvm=-inline-threshold=100000 -mllvm=-slp-recursion-max-depth=4",
    }
)


@wp.func
def run_forces(scene: Scene, track: int, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), h: float):
    """Steps 1 to 12 of a sub-step; returns the force in the world."""
    gravity = wp.vec3(0.0, -C.GRAVITY * cars[0].gravity, 0.0) - cars[0].velocity * cars[0].drag
    shake(scene, cars, wheels)
    touching = wp.int32(0)
    for i in range(4):
        n2 = wp.dot(wheels[i].normal, wheels[i].normal)
        if n2 > C.EPS_SQUARED:
            wheels[i].normal = wheels[i].normal / wp.sqrt(n2)
        touching = touching | wheels[i].contact
    follow_suspension(wheels, h)
    if cars[0].free_wheel != 0:
        cars[0].rpm = 0.0
    else:
        run_engine(cars, touching != 0, h)
    cars[0].steer += wp.clamp(cars[0].in_steer - cars[0].steer, -C.STEER_SLEW * h, C.STEER_SLEW * h)
    cars[0].grounded = touching
    cars[0].gravity = C.GRAVITY_SCALE_AIR
    cars[0].drag = C.AIR_DRAG
    if touching != 0:
        cars[0].gravity = C.GRAVITY_SCALE_GROUND
        cars[0].drag = 0.0

    cars[0].f = wp.vec3(0.0, 0.0, 0.0)
    cars[0].t = wp.vec3(0.0, 0.0, 0.0)
    cars[0].base = unrotate(cars[0].rotation, gravity)
    cars[0].v = unrotate(cars[0].rotation, cars[0].velocity)
    cars[0].w = unrotate(cars[0].rotation, cars[0].spin)
    find_water(scene, track, cars)
    add_drag(cars)
    cars[0].local_velocity = cars[0].v
    cars[0].speed_kmh = 3.6 * cars[0].v[2]
    cars[0].grip = side_grip(cars[0].speed_kmh)
    add_water(cars)
    run_handling(cars, wheels)
    run_air_control(cars)
    run_turbo(cars, wheels)

    cars[0].force = cars[0].f + cars[0].base
    for i in range(4):
        wheels[i].contact = 0
        wheels[i].material = 0
        wheels[i].normal = wp.vec3(0.0, 0.0, 0.0)
        wheels[i].point = wp.vec3(0.0, 0.0, 0.0)
    cars[0].side_hit = 0
    cars[0].body_hit = 0
    cars[0].any_contact = 0
    return gravity + cars[0].rotation * cars[0].f


@wp.func
def integrate(cars: wp.array(dtype=Car), force: wp.vec3, h: float):
    """Explicit Euler about the centre of mass, pose with the old velocities (6.4)."""
    rotation = cars[0].rotation
    spin = cars[0].spin
    cars[0].position = cars[0].position + cars[0].velocity * h
    cars[0].velocity = cars[0].velocity + force * h
    if wp.dot(spin, spin) > C.EPS_SQUARED:
        cars[0].quaternion = turn_quaternion(cars[0].quaternion, spin, h)
        cars[0].rotation = rotation_of(cars[0].quaternion)
        cars[0].position = cars[0].position - (cars[0].rotation * COM - rotation * COM)
    cars[0].spin = clamp_length(spin + rotation * inverse_inertia(cars[0].t) * h, C.MAX_SPIN)


@wp.func
def run_tick(
    scene: Scene, track: int, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), hits: wp.array(dtype=Contact),
    balls: wp.array(dtype=float), near: wp.array(dtype=Near), items: wp.array2d(dtype=int), order: wp.array(dtype=int),
    state_i: wp.array2d(dtype=int), slot: int,
):  # fmt: skip
    """10 ms: as many sub-steps as keep each below 0.3 m."""
    travel = C.TICK_S * (wp.length(cars[0].velocity) + wp.length(cars[0].spin))
    n = wp.min(int(wp.floor(travel / C.SUBSTEP_LENGTH_M)) + 1, C.MAX_SUBSTEPS)
    h = C.TICK_S / float(n)
    left = float(C.TICK_S)
    for k in range(n):
        step = h
        if k == n - 1:
            step = left
        left = left - h
        force = run_forces(scene, track, cars, wheels, step)
        integrate(cars, force, step)
        pass_gates(scene, track, cars, near, state_i, slot)
        count = find_contacts(scene, track, cars, wheels, hits, balls, near, items, slot, order)
        respond(scene, cars, wheels, hits, count, order)
    cars[0].time += 10


@wp.kernel
def advance(
    scene: Scene, f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8),
    near: wp.array(dtype=Near), items: wp.array2d(dtype=int), inputs: wp.array2d(dtype=float), ticks: int,
    first: int, stop: int, in_a_row: int,
):  # fmt: skip
    """Run the cars from ``first`` to ``stop`` for some ticks under constant inputs (rows: steering, gas, brake).

    One thread takes ``in_a_row`` of them, one after the other: room for all contacts is cleared once for these, and on
    a CPU that takes as long as a tenth of a tick.
    """
    begin = wp.tid() * in_a_row + first
    cars = wp.zeros(shape=(1,), dtype=Car)
    wheels = wp.zeros(shape=(4,), dtype=Wheel)
    hits = wp.zeros(shape=(33,), dtype=Contact)  # one more than are kept: room for a candidate
    order = wp.zeros(shape=(32,), dtype=int)
    balls = wp.zeros(shape=(48,), dtype=float)
    for slot in range(begin, wp.min(begin + in_a_row, stop)):
        load_car(f, i, b, slot, cars, wheels)
        track = scene.track_of_car[slot]
        for _ in range(ticks):
            cars[0].in_steer = wp.clamp(inputs[0, slot], -1.0, 1.0)
            cars[0].in_gas = wp.clamp(inputs[1, slot], 0.0, 1.0)
            cars[0].in_brake = wp.clamp(inputs[2, slot], 0.0, 1.0)
            if cars[0].finished != 0:
                cars[0].in_gas = 0.0
                cars[0].in_brake = 1.0
            run_tick(scene, track, cars, wheels, hits, balls, near, items, order, i, slot)
        store_car(f, i, b, slot, cars, wheels)


@wp.kernel
def reset_cars(
    scene: Scene, f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8),
    near: wp.array(dtype=Near), mask: wp.array(dtype=wp.uint8),
):  # fmt: skip
    """Put the chosen cars on their track's start, race time 0."""
    slot = wp.tid()
    if mask[slot] == wp.uint8(0):
        return
    cars = wp.zeros(shape=(1,), dtype=Car)
    wheels = wp.zeros(shape=(4,), dtype=Wheel)
    track = scene.track_of_car[slot]
    forget(near, slot)
    stand_still(cars, wheels, scene.tracks[track].start_position, scene.tracks[track].start_quaternion)
    cars[0].race_time = -1
    cars[0].respawn_trigger = -1
    mark_all(i, TAKEN, slot, 0)
    mark_all(i, INSIDE, slot, -1)  # a gate the car stands in counts only after it was left
    store_car(f, i, b, slot, cars, wheels)


@wp.kernel
def respawn_cars(
    scene: Scene, f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8),
    near: wp.array(dtype=Near), mask: wp.array(dtype=wp.uint8),
):  # fmt: skip
    """Put the chosen cars, at rest, where their last checkpoint says; the clock runs on."""
    slot = wp.tid()
    if mask[slot] == wp.uint8(0):
        return
    cars = wp.zeros(shape=(1,), dtype=Car)
    wheels = wp.zeros(shape=(4,), dtype=Wheel)
    load_car(f, i, b, slot, cars, wheels)
    track = scene.track_of_car[slot]
    position = scene.tracks[track].start_position
    quaternion = scene.tracks[track].start_quaternion
    if cars[0].respawn_trigger >= 0:
        gate = scene.tracks[track].first_gate + cars[0].respawn_trigger
        position = scene.gates[gate].respawn_position
        quaternion = scene.gates[gate].respawn_quaternion
    forget(near, slot)
    stand_still(cars, wheels, position, quaternion)
    mark_all(i, INSIDE, slot, -1)
    store_car(f, i, b, slot, cars, wheels)


@wp.kernel
def place_cars(
    f: wp.array2d(dtype=float), i: wp.array2d(dtype=int), b: wp.array2d(dtype=wp.uint8), near: wp.array(dtype=Near),
    slots: wp.array(dtype=int), position: wp.array(dtype=wp.vec3), quaternion: wp.array(dtype=wp.vec4),
    velocity: wp.array(dtype=wp.vec3), spin: wp.array(dtype=wp.vec3),
):  # fmt: skip
    """Put cars in a fresh state at a pose with given velocities; race progress and clock stay."""
    k = wp.tid()
    slot = slots[k]
    cars = wp.zeros(shape=(1,), dtype=Car)
    wheels = wp.zeros(shape=(4,), dtype=Wheel)
    load_car(f, i, b, slot, cars, wheels)
    forget(near, slot)
    stand_still(cars, wheels, position[k], quaternion[k])
    cars[0].velocity = velocity[k]
    cars[0].spin = spin[k]
    cars[0].local_velocity = unrotate(cars[0].rotation, velocity[k])
    store_car(f, i, b, slot, cars, wheels)


@wp.kernel
def forget_cars(near: wp.array(dtype=Near), slots: wp.array(dtype=int)):
    """Drop what the cars remember of their surroundings, after their state was replaced."""
    forget(near, slots[wp.tid()])
