# mypy: ignore-errors
"""Water (``car_physics.md`` 4.9): where it is, what it does to a car in it, and how a fast car skips over it."""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import unrotate
from trackmaster.sim.kernels_tables import WATER_BOX_CENTRE, WATER_BOX_HALF, splash_flat, splash_up, water_drag
from trackmaster.sim.kernels_types import Car, Scene


@wp.func
def water_level(scene: Scene, track: int, x: float, z: float):
    """Height of the water's surface at a place, C.NO_WATER_M where there is none."""
    head = scene.tracks[track]
    column = int(wp.floor(x / C.WATER_CELL_M)) - head.water_x
    row = int(wp.floor(z / C.WATER_CELL_M)) - head.water_z
    if column < 0 or row < 0 or column >= head.water_columns or row >= head.water_rows:
        return C.NO_WATER_M
    return scene.water[head.first_water + column * head.water_rows + row]


@wp.func
def find_water(scene: Scene, track: int, cars: wp.array(dtype=Car)):
    """Set how deep the car's box reaches into water, 0 where not deep enough to matter."""
    cars[0].depth = 0.0
    cars[0].box_top = 0.0
    if scene.tracks[track].water_columns > 0:
        centre = cars[0].position + cars[0].rotation * WATER_BOX_CENTRE
        level = water_level(scene, track, centre[0], centre[2])
        half = float(0.0)
        for axis in range(3):
            half += wp.abs(cars[0].rotation[1, axis]) * WATER_BOX_HALF[axis]
        depth = level - (centre[1] - half)
        if depth > C.WATER_DEPTH_M:
            cars[0].depth = depth
            cars[0].box_top = centre[1] + half - level


@wp.func
def splashes(cars: wp.array(dtype=Car)):
    """Skip over the surface if the car falls onto it fast enough; tells whether it did."""
    v = cars[0].velocity
    falls = v[1] < -C.EPS and cars[0].any_contact == 0
    if not falls or cars[0].depth >= C.SPLASH_DEPTH_M or cars[0].box_top <= 0.0:
        return False
    level_speed = wp.sqrt(v[0] * v[0] + v[2] * v[2])
    ratio = float(0.0)
    if level_speed > C.SPLASH_LEVEL_SPEED:
        ratio = level_speed / -v[1]
    elif wp.length(v) <= C.SPLASH_SPEED:
        return False
    flat = splash_flat(ratio)
    up = splash_up(ratio)
    cars[0].velocity = v - wp.vec3(flat * v[0], up * v[1], flat * v[2])
    return True


@wp.func
def add_water(cars: wp.array(dtype=Car)):
    """Drag and buoyancy: what is left of gravity is 1 m/s^2."""
    if cars[0].depth > 0.0 and not splashes(cars):
        v = cars[0].v
        w = cars[0].w
        drag = water_drag(3.6 * wp.length(v))
        sinking = unrotate(cars[0].rotation, wp.vec3(0.0, -C.WATER_FALL, 0.0))
        cars[0].f = cars[0].f + sinking - v * drag - cars[0].base
        cars[0].t = cars[0].t - w * (C.WATER_SPIN_DAMPING + C.WATER_SPIN_DAMPING_SQUARE * wp.length(w))
