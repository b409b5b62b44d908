# mypy: ignore-errors
"""Rays of many cars against the borders of their roads, seen from above."""

import warp as wp

RAYS = wp.constant(19)
STEP_RAD = wp.constant(0.17453292519943295)
HALF_RAD = wp.constant(1.5707963267948966)
PI = wp.constant(3.141592653589793)
LEVEL_M = wp.constant(8.0)
SLOPE = wp.constant(0.5)
EDGE = wp.constant(1.0e-4)


@wp.func
def on_my_level(rise_m: float, away_m: float):
    """Whether a border belongs to the car's own road and not to one above or below it."""
    return wp.abs(rise_m) < LEVEL_M + SLOPE * away_m


@wp.kernel
def cast_rays(
    position_m: wp.array2d(dtype=wp.float32),
    rotation: wp.array3d(dtype=wp.float32),
    borders_m: wp.array3d(dtype=wp.float32),
    first: wp.array(dtype=wp.int32),
    last: wp.array(dtype=wp.int32),
    reach_m: float,
    out: wp.array2d(dtype=wp.float32),
):
    """Fill ``out`` (N, 19) with the distances at which each car's rays meet one of the borders (2, P, 3)."""
    i = wp.tid()
    for ray in range(RAYS):
        out[i, ray] = reach_m
    heading = wp.vec2(rotation[i, 0, 2], rotation[i, 2, 2])
    if wp.length(heading) < 1.0e-3:
        return
    heading = wp.normalize(heading)
    x = position_m[i, 0]
    y = position_m[i, 1]
    z = position_m[i, 2]
    for side in range(2):
        # A point in the car's frame: first its forward part, then its part to the left.
        dx = borders_m[side, first[i], 0] - x
        dz = borders_m[side, first[i], 2] - z
        a = wp.vec2(heading[0] * dx + heading[1] * dz, heading[1] * dx - heading[0] * dz)
        a_rad = wp.atan2(a[1], a[0])
        for k in range(first[i] + 1, last[i] + 1):
            dx = borders_m[side, k, 0] - x
            dz = borders_m[side, k, 2] - z
            b = wp.vec2(heading[0] * dx + heading[1] * dz, heading[1] * dx - heading[0] * dz)
            b_rad = wp.atan2(b[1], b[0])
            if on_my_level(borders_m[side, k, 1] - y, wp.length(b)):
                low = int(wp.ceil((wp.min(a_rad, b_rad) + HALF_RAD) / STEP_RAD - 1.0e-3))
                high = int(wp.floor((wp.max(a_rad, b_rad) + HALF_RAD) / STEP_RAD + 1.0e-3))
                if wp.abs(a_rad - b_rad) > PI:  # it passes behind the car
                    low = 0
                    high = RAYS - 1
                e = b - a
                for ray in range(wp.max(low, 0), wp.min(high, RAYS - 1) + 1):
                    angle = float(ray) * STEP_RAD - HALF_RAD
                    d = wp.vec2(wp.cos(angle), wp.sin(angle))
                    across = d[0] * e[1] - d[1] * e[0]
                    if wp.abs(across) > 1.0e-9:
                        t = (d[1] * a[0] - d[0] * a[1]) / across
                        away = d[0] * (a[0] + t * e[0]) + d[1] * (a[1] + t * e[1])
                        if t > -EDGE and t < 1.0 + EDGE and away >= 0.0 and away < out[i, ray]:
                            out[i, ray] = away
            a = b
            a_rad = b_rad
