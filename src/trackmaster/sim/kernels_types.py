# mypy: ignore-errors
"""What a kernel holds of one car while it works on it, and what it reads of the world."""

import warp as wp


@wp.struct
class Car:
    """State of one car except its wheels, plus the sums of the running sub-step. Lower case v, w, f, t: car frame."""

    position: wp.vec3
    quaternion: wp.vec4  # w, x, y, z
    velocity: wp.vec3
    spin: wp.vec3
    rotation: wp.mat33
    steer: float
    rpm: float
    rpm_target: float
    clutch: float
    shift_timer: float
    force: wp.vec3  # total of the previous sub-step
    local_velocity: wp.vec3  # of the previous force evaluation
    air_spin_x: float
    air_spin_y: float
    turbo_factor: float
    gravity: float
    drag: float
    donut_centre: wp.vec3
    donut_axis: wp.vec3
    donut_radius: float
    donut_sign: float
    time: int
    gear: int
    engine_mode: int
    burn_mode: int
    burn_start: int
    burn_exit: int
    last_slip: int
    side_tick: int
    air_tick: int
    turbo_type: int
    turbo_start: int
    turbo_end: int
    lap: int
    cp_count: int
    race_time: int
    respawn_trigger: int
    reverse: int
    slip_memory: int
    side_hit: int
    body_hit: int
    any_contact: int
    free_wheel: int
    finished: int
    # inputs of this tick
    in_steer: float
    in_gas: float
    in_brake: float
    # sums and shared terms of this sub-step
    f: wp.vec3
    t: wp.vec3
    v: wp.vec3
    w: wp.vec3
    base: wp.vec3  # base force in the car frame
    wheel_angle: float
    wheel_cos: float
    wheel_sin: float
    speed_kmh: float  # along z
    grip: float  # side grip curve at that speed
    grounded: int
    slip_seen: int
    slide_any: int
    traction: float
    depth: float  # of the car's lowest point under water; 0 if it is not in it
    box_top: float  # of the car's highest point over the water


@wp.struct
class Wheel:
    """State of one wheel; the vectors are in the car frame."""

    absorb: float
    absorb_rate: float
    push: float
    contact: int
    sliding: int
    material: int
    normal: wp.vec3
    point: wp.vec3
    axis: wp.vec3


@wp.struct
class Contact:
    """One touching of an ellipsoid and a triangle, in the car frame except where noted."""

    world: wp.vec3
    normal: wp.vec3
    point: wp.vec3
    push: wp.vec3
    sphere_face: wp.vec3  # triangle normal in the ellipsoid's unit-sphere frame
    sphere_normal: wp.vec3  # contact normal in that frame
    ellipsoid: int
    triangle: int
    is_face: int


@wp.struct
class Triangle:
    """A static one-sided triangle with its box and the first grid cell that lists it."""

    a: wp.vec3
    b: wp.vec3
    c: wp.vec3
    normal: wp.vec3
    low: wp.vec3
    high: wp.vec3
    edges: wp.mat33  # rows: unit vectors out of the triangle across its edges ab, bc, ca, in its plane
    edge_offsets: wp.vec3  # a point x is beyond edge k by edges[k] . x - edge_offsets[k]
    slack: float  # more than rounding can be wrong by in that, m
    axis: wp.vec3  # z axis of the block it belongs to, world; zero if unknown
    material: int
    cell_x: int
    cell_z: int


@wp.struct
class Near:
    """What a car need not search again while it stays near: triangles of a box, gates around a point."""

    low: wp.vec3
    high: wp.vec3
    count: int  # triangles in the box; -1 if too many to remember
    anchor: wp.vec3
    quiet_squared: float  # no gate within this distance of the anchor


@wp.struct
class Gate:
    """A trigger box, its frame given by the inverse rotation (world to box)."""

    centre: wp.vec3
    to_box: wp.mat33
    half: wp.vec3
    reach_squared: float
    reach: float  # beyond this distance of the centre a car is outside for sure
    is_finish: int
    respawn_position: wp.vec3
    respawn_quaternion: wp.vec4


@wp.struct
class TrackHead:
    """Where the parts of one track begin in the joined arrays."""

    grid_x: float
    grid_z: float
    cells_x: int
    cells_z: int
    first_cell: int
    first_gate: int
    n_gates: int
    n_checkpoints: int
    laps: int
    start_position: wp.vec3
    start_quaternion: wp.vec4
    first_water: int
    water_x: int  # number of the first column of cells with water
    water_z: int
    water_columns: int  # 0 on a track without water
    water_rows: int


@wp.struct
class Scene:
    """Everything static: tracks, triangles by grid cell, gates, the bump tile, heights of water by 32 m cell."""

    tracks: wp.array(dtype=TrackHead)
    track_of_car: wp.array(dtype=int)
    cell_start: wp.array(dtype=int)
    cell_items: wp.array(dtype=int)
    triangles: wp.array(dtype=Triangle)
    gates: wp.array(dtype=Gate)
    bumps: wp.array2d(dtype=wp.uint8)
    water: wp.array(dtype=float)
