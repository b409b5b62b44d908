# mypy: ignore-errors
"""The constant tables of the car inside of kernels: curves, hubs, ellipsoids, material rows.

They are native functions over ``constexpr`` arrays. As Warp constants (vectors, matrices) every use would build the
whole table on the stack before it reads one number of it, which took a third of the time of a tick.
"""

from collections.abc import Sequence

import numpy as np
import warp as wp

from trackmaster.sim import constants as C

N_FACTORS = 6

COM = wp.constant(wp.vec3(*C.CENTRE_OF_MASS))
WATER_BOX_CENTRE = wp.constant(wp.vec3(*C.WATER_BOX_CENTRE))
WATER_BOX_HALF = wp.constant(wp.vec3(*C.WATER_BOX_HALF))
REACHES = (1.92, 1.70, 1.05, 0.92, 0.365, 0.365, 0.365, 0.365)
ELLIPSOID_CENTRES = (*C.BODY_CENTRES, *(C.HUBS[k] for k in C.WHEEL_OF_ELLIPSOID if k >= 0))
ELLIPSOID_RADII = (*C.BODY_RADII, *([C.WHEEL_RADII] * 4))


def _array(name: str, values: Sequence[float]) -> str:
    """Return the C++ line that defines a table of exact float32 numbers."""
    return f"constexpr float {name}[] = {{{', '.join(f'{float(np.float32(x))!r}f' for x in values)}}};"


def _linear(curve: tuple[Sequence[float], Sequence[float]]) -> str:
    """Return the code of a curve that is straight between its points and level outside."""
    xs, ys = curve
    return f"""
    {_array("xs", xs)}
    {_array("ys", ys)}
    if (x <= xs[0]) return ys[0];
    for (int k = 0; k < {len(xs) - 1}; ++k) {{
        if (x <= xs[k + 1] + {C.EPS}f) {{
            const float share = (x - xs[k]) / (xs[k + 1] - xs[k]);
            return ys[k] + (ys[k + 1] - ys[k]) * (share < 1.0f ? share : 1.0f);
        }}
    }}
    return ys[{len(xs) - 1}];
    """


def _steps(curve: tuple[Sequence[float], Sequence[float]]) -> str:
    """Return the code of a curve with the value of the last point that x has passed; the first one's before it."""
    xs, ys = curve
    return f"""
    {_array("xs", xs)}
    {_array("ys", ys)}
    for (int k = 0; k < {len(xs) - 1}; ++k) {{
        if (x <= xs[k + 1] + {C.EPS}f) return ys[k];
    }}
    return ys[{len(xs) - 1}];
    """


def _vectors(rows: Sequence[Sequence[float]]) -> str:
    """Return the code that reads a row of three numbers."""
    table = _array("t", [x for row in rows for x in row])
    return f"{table} return wp::vec3(t[3 * i], t[3 * i + 1], t[3 * i + 2]);"


def _turned(matrices: Sequence[Sequence[float]]) -> str:
    """Return the code that multiplies a vector by one of some matrices."""
    return (
        _array("t", np.ravel(matrices))
        + """
    const float* m = t + 9 * i;
    return wp::vec3(m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
                    m[3] * v[0] + m[4] * v[1] + m[5] * v[2],
                    m[6] * v[0] + m[7] * v[1] + m[8] * v[2]);
    """
    )


@wp.func_native(_steps(C.DRIVE))
def drive_thrust(x: float) -> float:
    """Thrust forwards by km/h."""
    ...


@wp.func_native(_linear(C.REVERSE_DRIVE))
def reverse_thrust(x: float) -> float:
    """Thrust backwards by km/h."""
    ...


@wp.func_native(_linear(C.SIDE_GRIP))
def side_grip(x: float) -> float:
    """Lateral grip by km/h."""
    ...


@wp.func_native(_linear(C.STEER_TORQUE))
def steer_torque(x: float) -> float:
    """Torque of the steering by km/h."""
    ...


@wp.func_native(_steps(C.STEER_SLOW))
def steer_slowdown(x: float) -> float:
    """Slowdown by steering, by km/h."""
    ...


@wp.func_native(_steps(C.SIDE_HIT))
def side_hit_drag(x: float) -> float:
    """Slowdown after a wall by km/h."""
    ...


@wp.func_native(_linear(C.DAMPER_GRIP))
def damper_grip(x: float) -> float:
    """Grip by the compression of the suspension."""
    ...


@wp.func_native(_linear(C.ROLL_TORQUE))
def roll_torque(x: float) -> float:
    """Roll torque by 3.6 v_x^2 / (|v_z| + 1)."""
    ...


@wp.func_native(_linear(C.BURN_PITCH))
def burn_pitch(x: float) -> float:
    """Pitch torque of a burnout by km/h."""
    ...


@wp.func_native(_linear(C.DONUT_ROLL))
def donut_roll(x: float) -> float:
    """Roll torque of a donut by sideways km/h."""
    ...


@wp.func_native(_linear(C.DONUT_RADIUS_ADD))
def donut_radius_add(x: float) -> float:
    """What km/h add to the radius of a donut, m."""
    ...


@wp.func_native(_linear(C.DONUT_SPEED))
def donut_speed(x: float) -> float:
    """Speed along a donut by its radius in m, km/h."""
    ...


@wp.func_native(_linear(C.WATER_DRAG))
def water_drag(x: float) -> float:
    """Drag of water by km/h."""
    ...


@wp.func_native(_linear(C.SPLASH_UP))
def splash_up(x: float) -> float:
    """Share of the vertical speed that a splash turns round, by steepness."""
    ...


@wp.func_native(_linear(C.SPLASH_FLAT))
def splash_flat(x: float) -> float:
    """Share of the horizontal speed that a splash takes, by steepness."""
    ...


@wp.func_native(_array("t", [x for row in C.MATERIALS for x in row]) + f"return t[row * {N_FACTORS} + column];")
def material_factor(row: int, column: int) -> float:
    """A factor of a material: 0 speed limit, 1 drive, 2 brake cap, 3 lateral grip, 4 bump scale, 5 bump limit."""
    ...


@wp.func_native(_vectors(C.HUBS))
def hub_of(i: int) -> wp.vec3:
    """Where a wheel hangs."""
    ...


@wp.func_native(_vectors(ELLIPSOID_RADII))
def radii_of(i: int) -> wp.vec3:
    """The half axes of an ellipsoid: the body's first, then the four wheels."""
    ...


@wp.func_native(_turned([np.transpose(np.reshape(m, (3, 3))) for m in C.BODY_ROTATIONS]))
def into_body_axes(i: int, v: wp.vec3) -> wp.vec3:
    """A car-frame vector along the axes of an ellipsoid of the body."""
    ...


@wp.func_native(_turned(C.BODY_ROTATIONS))
def out_of_body_axes(i: int, v: wp.vec3) -> wp.vec3:
    """The way back to the car frame."""
    ...


@wp.func_native(f"constexpr int t[] = {{{', '.join(map(str, C.WHEEL_OF_ELLIPSOID))}}}; return t[i];")
def wheel_of(i: int) -> int:
    """The wheel an ellipsoid belongs to, -1 for the body."""
    ...


@wp.func_native(
    _array("rest", np.transpose(ELLIPSOID_CENTRES).ravel())
    + """
    float* __restrict__ c = balls.data;
    for (int i = 0; i < 24; ++i) c[i] = rest[i];
    c[12] -= hang[0];
    c[13] -= hang[1];
    c[14] -= hang[3];
    c[15] -= hang[2];
    for (int row = 0; row < 3; ++row) {
        const float r0 = rotation.data[row][0], r1 = rotation.data[row][1], r2 = rotation.data[row][2];
#ifndef __CUDACC__
        #pragma clang loop vectorize(enable)
#endif
        for (int i = 0; i < 8; ++i) {
            c[24 + 8 * row + i] = position[row] + (r0 * c[i] + r1 * c[8 + i] + r2 * c[16 + i]);
        }
    }
    """
)
def place_ellipsoids(balls: wp.array(dtype=float), position: wp.vec3, rotation: wp.mat33, hang: wp.vec4):
    """Centres of the ellipsoids at a pose: in the car frame (x, y, z) and in the world, eight a row.

    Args:
        balls: (48,) is written.
        position: of the car.
        rotation: car to world.
        hang: how far each wheel hangs below its hub (order FL, FR, RR, RL; the ellipsoids' is FL, FR, RL, RR).
    """
    ...


def _shadow_rows() -> np.ndarray:
    """Return (6, 8): xx, yy, zz, xy, xz, yz of the matrix whose form at a unit normal is the squared half extent."""
    turned = [np.reshape(m, (3, 3)) for m in (*C.BODY_ROTATIONS, *([np.eye(3)] * 4))]
    forms = [m @ np.diag(np.square(r)) @ m.T for m, r in zip(turned, ELLIPSOID_RADII, strict=True)]
    return np.array([[q[0, 0], q[1, 1], q[2, 2], 2 * q[0, 1], 2 * q[0, 2], 2 * q[1, 2]] for q in forms]).T


@wp.func_native(
    _array("reach", REACHES)
    + _array("form", _shadow_rows().ravel())
    + """
    const float* __restrict__ c = balls.data;
    const float xx = n[0] * n[0], yy = n[1] * n[1], zz = n[2] * n[2];
    const float xy = n[0] * n[1], xz = n[0] * n[2], yz = n[1] * n[2];
    const float e00 = edges.data[0][0], e01 = edges.data[0][1], e02 = edges.data[0][2];
    const float e10 = edges.data[1][0], e11 = edges.data[1][1], e12 = edges.data[1][2];
    const float e20 = edges.data[2][0], e21 = edges.data[2][1], e22 = edges.data[2][2];
    int found = 0;
#ifndef __CUDACC__
    #pragma clang loop vectorize(enable)
#endif
    for (int i = 0; i < 8; ++i) {
        const float over = height + (c[i] * n[0] + c[8 + i] * n[1] + c[16 + i] * n[2]);
        const float extent = form[i] * xx + form[8 + i] * yy + form[16 + i] * zz
            + form[24 + i] * xy + form[32 + i] * xz + form[40 + i] * yz;
        const float x = c[24 + i], y = c[32 + i], z = c[40 + i], r = reach[i] + slack;
        const float ab = e00 * x + e01 * y + e02 * z - offsets[0];
        const float bc = e10 * x + e11 * y + e12 * z - offsets[1];
        const float ca = e20 * x + e21 * y + e22 * z - offsets[2];
        const float outer = ab > bc ? ab : bc, outermost = outer > ca ? outer : ca;
        // The form is rounded otherwise than the caller's own test, which decides; hence the margin.
        const int meets = (over >= 0.0f) & (over * over <= extent * 1.0001f) & (outermost <= r);
        const int amid = outermost < -r;
        found |= (meets << i) | (amid << (8 + i));
    }
    return found;
    """
)
def near_plane(
    balls: wp.array(dtype=float), n: wp.vec3, height: float, edges: wp.mat33, offsets: wp.vec3, slack: float
) -> int:
    """Bits of the ellipsoids that may touch a triangle, all eight at once.

    Eight bits above these tell which of them stand over its inside and clear of its edges for sure. Both are answers
    of a ball around the ellipsoid; who is neither away nor inside must be looked at closely.

    Args:
        balls: rows of eight: centres in the car frame (x, y, z) and in the world.
        n: the triangle's normal in the car frame.
        height: of the car's origin above its plane.
        edges: rows are unit vectors out of the triangle, world.
        offsets: where the edges lie along them.
        slack: what rounding may be wrong by, m.
    """
    ...


@wp.func_native(_array("t", C.GEAR_RATIO) + "return t[gear];")
def gear_ratio(gear: int) -> float:
    """rpm per m/s in a gear."""
    ...


@wp.func_native(_array("t", C.SHIFT_UP_RPM) + "return t[gear];")
def shift_up_rpm(gear: int) -> float:
    """Above this a gear is left upwards."""
    ...


@wp.func_native(_array("t", C.SHIFT_DOWN_RPM) + "return t[gear];")
def shift_down_rpm(gear: int) -> float:
    """Below this a gear is left downwards."""
    ...
