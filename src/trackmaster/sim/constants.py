"""Numbers of the TMNF Stadium car, in SI units with mass 1.

Source: ``car_physics.md`` section 1 (rigid body, wheels, hull, scalars, curves, gears, materials). Plain numbers,
so that the kernels and the slow reference read the same table and importing them costs nothing.
"""

from __future__ import annotations

EPS = 1e-5
EPS_SQUARED = 1e-10
TICK_S = 0.01
NEVER = 1 << 30
"""Tick of something that has not happened; later than any race."""

# Rigid body (1.2).
INERTIA_INV = (0.48, 0.48, 1.2)
CENTRE_OF_MASS = (1.013279e-6, 0.43850198, 0.28829348)
GRAVITY = 10.0
GRAVITY_SCALE_GROUND = 3.0
GRAVITY_SCALE_AIR = 2.5
AIR_DRAG = 0.03
MAX_SPIN = 100.0
MAX_SPEED = 277.77777
SUBSTEP_LENGTH_M = 0.3
MAX_SUBSTEPS = 1000

# Wheels (1.3), order front left, front right, rear right, rear left.
HUBS = (
    (0.863012, 0.3525, 1.782089),
    (-0.86299, 0.3525, 1.782089),
    (-0.885, 0.352504, -1.205502),
    (0.885002, 0.352504, -1.205502),
)
WHEEL_RADII = (0.182, 0.364, 0.364)
HALF_WHEELBASE = 0.5 * 2.987591

# Body ellipsoids A, B, C, D (1.4): centre, radii, rotation to the car frame by rows.
BODY_CENTRES = (
    (0.0, 0.471253, 0.219106),
    (0.0, 0.448782, -0.20792),
    (0.0, 0.652812, -0.89763),
    (-0.015532, 0.363252, 1.75357),
)
BODY_RADII = (
    (0.439118, 0.362, 1.901528),
    (0.968297, 0.362741, 1.682276),
    (1.020922, 0.515218, 1.038007),
    (0.384841, 0.905323, 0.283418),
)
BODY_ROTATIONS = (
    (1.0, 0.0, 0.0, 0.0, 0.998223, -0.059586, 0.0, 0.059586, 0.998223),
    (1.0, 0.0, 0.0, 0.0, 0.998954, -0.045716, 0.0, 0.045716, 0.998954),
    (1.0, 0.0, 0.0, 0.0, 0.9989, -0.046888, 0.0, 0.046888, 0.9989),
    (0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0),
)
N_ELLIPSOIDS = 8
FIRST_WHEEL = 4
"""Ellipsoids 0-3 are the body, 4-7 the wheels in the game's order: front left, front right, rear left, rear right."""
WHEEL_OF_ELLIPSOID = (-1, -1, -1, -1, 0, 1, 3, 2)
BOX_CENTRE = (0.0, 0.48, 0.1)
BOX_HALF = (1.09, 0.72, 2.07)
"""Car-frame box around all ellipsoids, with 1 cm to spare; what lies outside of it cannot be touched."""
MAX_CONTACTS = 32
MAX_NEAR = 64
"""Triangles that a car remembers as near; where there are more, it searches the grid anew in every sub-step."""
NEAR_SLACK_M = 0.1
NEAR_TIME_S = 0.1
"""The remembered box covers what the car reaches in this time."""

# Steering, grip, drive and brakes (1.5).
STEER_SLEW = 20.0
STEER_ANGLE_SPEED = 0.85
STEER_ANGLE_BASE = 2.0
LATERAL_GRIP = 20.0
LATERAL_OVERFLOW = 0.018
SLIDE_LIMIT = 0.35
SLIDE_BRAKE_LIMIT = 0.2
YAW_TORQUE = 0.08
SLIP_ACCELERATION = 10.0
STEER_SLOWDOWN = 0.5
LIMIT_FORCE = 10.0
FORWARD_LIMIT = 277.7778
REVERSE_LIMIT = 138.61111
BRAKE_BASE = 1.0
BRAKE_PER_SPEED = 1.75
BRAKE_CAP_FORWARD = 30.0
BRAKE_CAP_FORWARD_SLIDE = 60.0
BRAKE_CAP_BACKWARD = 50.0
BRAKE_CAP_BACKWARD_SLIDE = 100.0
REVERSE_SELECT_SPEED = 10.0
COAST_CONSTANT = 1.0
COAST_LINEAR = 0.3
WEIGHT_TORQUE = 0.05
WEIGHT_FORCE_MIN = 0.01
SIDE_HIT_MS = 500

# Suspension (1.5, 5.1).
SPRING = 40.0
DAMPING = 1.0
SPRING_REST = 0.2
FOLLOW_RATE = 5.0

# Impacts (1.5, 5.2-5.4).
GROUND_NORMAL_X = 0.70710677
GROUND_RESTITUTION = -0.8
SIDE_RESTITUTION = -0.5
BODY_RESTITUTION = -0.5
BODY_TANGENT = 0.3
BODY_TANGENT_METAL = 0.2
ROOF_NORMAL_Y = -0.75
IMPULSE_SPIN = 0.55
IMPULSE_GROWTH = 10000.0
FREE_OVERLAP_M = 0.01

# Air (4.10), turbo (4.11).
AIR_DAMPING = 0.4
AIR_DAMPING_SQUARE = 0.2
AIR_MEMORY_MS = 30000
AIR_STRONG_SPIN = 3.14
AIR_STRONG_FACTOR = 3.0
TURBO_FACTOR = 5.0
TURBO_MS = 250
RED_TURBO_FACTOR = 20.0
RED_TURBO_MS = 100
ROULETTE_PERIOD_MS = 1000

# Burnout and donut (1.5, 4.3, 4.7).
BURN_NONE, BURN_OUT, BURN_DONUT, BURN_EXIT = 0, 1, 2, 3
BURN_MS = 500
BURN_EXIT_MS = 150
BURN_LATERAL_WAVE = 0.01
BURN_DRIVE_WAVE = 0.5
BURN_SPEED_LOW = 3.0
BURN_SPEED_HIGH = 20.833334
BURN_UPRIGHT = 0.75
BURN_REVERSE_FACTOR = 5.0
BURN_REVERSE_LIMIT = 200.0
DONUT_RADIUS = 2.266
DONUT_TILT = 0.35
DONUT_ANGLE_MIN = -0.785
DONUT_ANGLE_MAX = 1.7453
DONUT_RADIAL_DAMPING = 0.2
DONUT_TANGENT_GAIN = 2.0
DONUT_YAW_GAIN = 6.0
DONUT_YAW_DAMPING = 2.0
DONUT_COUNTER = 0.5

# Dirt extra (4.8).
DIRT_MIN_SPEED = 6.0
DIRT_BRAKE_DRAG = 0.1
DIRT_SIDE = 0.05
DIRT_THRUST = 90.0
DIRT_FRONT = 1.5

# Engine and gearbox (1.7, 3).
MAX_RPM = 11000.0
MAX_GEAR = 5
GEAR_RATIO = (400.0, 370.0, 220.0, 160.0, 110.0, 85.0)
"""rpm per m/s of reverse and gears 1 to 5."""
SHIFT_UP_RPM = (1e9, 0.95 * 11000.0, 0.90 * 11000.0, 0.95 * 11000.0, 0.95 * 11000.0, 11000.0)
SHIFT_DOWN_RPM = (-1e9, -1e9, 0.50 * 11000.0, 0.57 * 11000.0, 0.55 * 11000.0, 0.60 * 11000.0)
SHIFT_S = 0.025
SHIFT_READY_RPM = 1000.0
CLUTCH_MAX = 1.15
CLUTCH_RATE = 0.3
ENGINE_STEADY, ENGINE_SHIFT, ENGINE_LAUNCH, ENGINE_LAUNCH_BACK, ENGINE_BURN = 0, 1, 2, 3, 4

# Curves (1.6): (x keys in km/h unless noted, y keys). Step curves keep the lower key's value.
DRIVE = (
    (-1000.0, -102.0, -80.0, -35.0, 0.0, 101.0, 201.0, 401.0, 801.0),
    (1.0, 2.0, 6.0, 12.0, 16.0, 11.0, 7.0, 5.5, 1.0),
)
REVERSE_DRIVE = ((-150.0, -100.0, -50.0, 0.0), (0.1, 1.5, 8.0, 30.0))
SIDE_GRIP = ((0.0, 100.0, 200.0, 300.0, 400.0, 500.0), (80.0, 80.0, 75.0, 67.0, 60.0, 55.0))
STEER_TORQUE = (
    (-100.0, 0.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0),
    (7.0, 16.0, 10.4, 8.5, 6.8, 5.5, 4.25, 4.0, 3.75),
)
STEER_SLOW = ((-50.0, 0.0), (1.0, 0.0))
SIDE_HIT = ((0.0, 50.0, 100.0, 200.0, 400.0), (0.0, 12.0, 24.0, 48.0, 70.0))
DAMPER_GRIP = ((0.0, 0.6, 0.975, 1.0), (0.1, 0.3, 1.0, 1.0))
"""Over (a - 0.7) / (0 - 0.7), a = suspension extension in m."""
ROLL_TORQUE = ((0.0, 1.0, 10.0), (0.0, 0.8, 1.0))
"""Over 3.6 v_x^2 / (|v_z| + 1)."""
BURN_PITCH = ((0.0, 10.0, 50.0), (1.5, 1.2, 0.2))
DONUT_ROLL = ((0.0, 10.0, 20.0), (0.0, 5.0, 6.0))
DONUT_RADIUS_ADD = ((0.0, 5.0, 10.0), (1.0, 2.0, 3.0))
DONUT_SPEED = ((0.0, 1.0, 10.0), (0.0, 30.0, 30.0))
"""Over the orbit radius in m; the value is km/h."""

# Water (1.5, 1.6, 4.9). The box, the gate and the splash are from published sources, drag and buoyancy from ghosts.
WATER_BOX_CENTRE = (0.0, 0.505, 0.095)
WATER_BOX_HALF = (1.07, 0.715, 2.055)
WATER_CELL_M = 32.0
NO_WATER_M = -1e9
WATER_DEPTH_M = 0.5
WATER_FALL = 1.0
WATER_SPIN_DAMPING = 0.1
WATER_SPIN_DAMPING_SQUARE = 0.2
WATER_DRIVE = 0.5
WATER_DRAG = ((0.0, 2.0, 50.0), (0.0, 0.2, 1.0))
SPLASH_DEPTH_M = 0.9
SPLASH_LEVEL_SPEED = 55.555557
SPLASH_SPEED = 50.0
SPLASH_UP = ((0.0, 0.4, 0.5, 1.0), (0.9, 0.9, 1.5, 1.5))
SPLASH_FLAT = ((0.0, 0.4, 0.5, 1.0), (0.7, 0.7, 0.6, 0.6))
"""Share of the velocity that a splash takes, over horizontal / falling speed; above 1 the car bounces."""

# Materials (1.8).
MATERIAL_METAL = 4
MATERIAL_DIRT = 6
MATERIAL_TURBO = 7
MATERIAL_WATER = 13
MATERIAL_GOLF_BALL = 23
MATERIAL_RED_TURBO = 26
MATERIAL_NOT_COLLIDABLE = 28
MATERIAL_FREE_WHEEL = 29
MATERIAL_ROULETTE = 30
N_MATERIALS = 32
_MATERIAL_ROW = {0: 0, 1: 0, 2: 1, 3: 9, 4: 11, 5: 3, 6: 10}
_ROWS = (
    # speed limit, drive, brake cap, lateral grip, bump scale (0 = no bumps), bump limit
    (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    (0.5, 0.4, 0.05, 0.15, 0.05, 0.2),
    (0.7, 1.0, 1.0, 0.5, 0.05, 0.2),
    (0.2, 0.4, 1.0, 0.5, 0.05, 0.2),
    (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    (0.1, 0.5, 1.0, 0.5, 0.05, 0.2),
    (0.9, 1.0, 1.0, 1.0, 0.0, 0.0),
    (1.0, 1.0, 0.85, 0.85, 0.0, 0.0),
    (0.2, 0.6, 0.1, 0.1, 0.0, 0.0),
    (1.0, 0.1, 0.0, 0.0, 0.0, 0.0),
    (0.9, 0.9, 0.4, 0.25, 0.05, 0.3),
    (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
)
MATERIALS = tuple(_ROWS[_MATERIAL_ROW.get(i, 0)] for i in range(N_MATERIALS))
"""Factors by game material id; an id nobody documented drives like asphalt."""

# Bumps of grass, sand and dirt (5.5).
BUMP_PERIOD_M = 32.0
BUMP_SIZE = 128
