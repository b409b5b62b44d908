# mypy: ignore-errors
"""One triangle: whether it can be seen, how it is clipped, and which pixels it fills."""

import warp as wp

from trackmaster.sim.kernels_draw_types import Camera, Tile


@wp.func
def project(cam: Camera, p: wp.vec3):
    """Camera-space point to (column, row) in pixels."""
    inv = 1.0 / p[2]
    return wp.vec2(cam.half_w - cam.focal * p[0] * inv, cam.half_h - cam.focal * p[1] * inv)


@wp.func_native("""
    float* __restrict__ nearest = depth.data + at;
    int* __restrict__ owner = ids.data + at;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety) interleave_count(1)
#endif
    for (int column = first; column < last; ++column) {
        const float w = w_row + w_dx * ((float)column + 0.5f);
        const bool closer = w > nearest[column];
        nearest[column] = closer ? w : nearest[column];
        owner[column] = closer ? number : owner[column];
    }
""")
def fill_span(
    depth: wp.array(dtype=wp.float32), ids: wp.array(dtype=wp.int32), at: int, first: int, last: int, w_row: float,
    w_dx: float, number: int,
):  # fmt: skip
    """Give the pixels of a row's span to a triangle where it is nearest."""
    ...


@wp.func_native("""
    const float* __restrict__ row = rows.data + first;
    const float x_min = half_w - x1, x_max = half_w - x0, y_min = half_h - y1, y_max = half_h - y0;
    const float slack = 1.0e-3f * focal;
    int found = 0;
#ifndef __CUDACC__
    #pragma clang loop vectorize(assume_safety)
#endif
    for (int k = 0; k < 8; ++k) {
        const float* r = row + k;
        float c_low = 1.0e30f, c_high = -1.0e30f, l_low = 1.0e30f, l_high = -1.0e30f;
        float z_low = 1.0e30f, z_high = -1.0e30f;
        int beyond_left = 1, beyond_right = 1, beyond_top = 1, beyond_bottom = 1;
        for (int corner = 0; corner < 3; ++corner) {
            const float dx = r[0] - eye[0], dy = r[length] - eye[1], dz = r[2 * length] - eye[2];
            r += 3 * length;
            const float x = (dx * left[0] + dy * left[1] + dz * left[2]) * focal;
            const float y = (dx * up[0] + dy * up[1] + dz * up[2]) * focal;
            const float z = dx * forward[0] + dy * forward[1] + dz * forward[2];
            beyond_left &= x > x_max * z + slack;
            beyond_right &= x < x_min * z - slack;
            beyond_top &= y > y_max * z + slack;
            beyond_bottom &= y < y_min * z - slack;
            const float inverse = 1.0f / z;
            const float column = half_w - x * inverse, line = half_h - y * inverse;
            c_low = column < c_low ? column : c_low;
            c_high = column > c_high ? column : c_high;
            l_low = line < l_low ? line : l_low;
            l_high = line > l_high ? line : l_high;
            z_low = z < z_low ? z : z_low;
            z_high = z > z_high ? z : z_high;
        }
        const float height = r[0] * eye[0] + r[length] * eye[1] + r[2 * length] * eye[2] + r[3 * length];
        // Without the centre of a pixel between its outermost rows or columns a triangle fills nothing.
        const int slips = (floorf(c_low - 0.52f) == floorf(c_high - 0.48f))
            | (floorf(l_low - 0.52f) == floorf(l_high - 0.48f));
        const int hidden = (height < -1.0e-3f) | (z_high < 0.999f * near)
            | beyond_left | beyond_right | beyond_top | beyond_bottom | ((z_low > near) & slips);
        found |= (hidden ^ 1) << k;
    }
    return found & ((1 << (last - first < 8 ? last - first : 8)) - 1);
""")
def visible_triangles(
    rows: wp.array(dtype=wp.float32), length: int, first: int, last: int, eye: wp.vec3, left: wp.vec3, up: wp.vec3,
    forward: wp.vec3, focal: float, half_w: float, half_h: float, near: float, x0: float, y0: float, x1: float,
    y1: float,
) -> int:  # fmt: skip
    """Bits of those of the next eight triangles that may fill a pixel of a tile.

    A bit that is set in vain costs time only: who draws the triangle decides exactly.

    Args:
        rows: 13 rows: x, y, z of three corners and of the unit normal, and the offset of the plane.
        length: of a row; eight numbers beyond the last triangle can be read.
        first: number of the first triangle.
        last: the first number that does not belong to the list any more.
        eye: of the camera, in the frame of the triangles, as its axes are.
        left: axis of the camera.
        up: axis of the camera.
        forward: axis of the camera.
        focal: focal length, px.
        half_w: half the width of the view, px.
        half_h: half its height.
        near: nearest drawn depth.
        x0: the tile's borders, px.
        y0: upper one.
        x1: right one.
        y1: lower one.
    """
    ...


@wp.func
def fill(
    depth: wp.array(dtype=wp.float32),
    ids: wp.array(dtype=wp.int32),
    tile: Tile,
    a: wp.vec2,
    b: wp.vec2,
    c: wp.vec2,
    w_corner: float,
    w_dx: float,
    w_dy: float,
    number: int,
):
    """Fill one screen triangle; (a, b, c) in any order, inverse depth is linear over the screen.

    Borders are walked from their upper end whatever side they are seen from, so two triangles that share an edge share
    its pixels without gap and without overlap.
    """
    if b[1] < a[1]:
        t = a
        a = b
        b = t
    if c[1] < b[1]:
        t = b
        b = c
        c = t
    if b[1] < a[1]:
        t = a
        a = b
        b = t
    row_first = wp.max(int(wp.ceil(a[1] - 0.5)), tile.y0)
    row_last = wp.min(int(wp.ceil(c[1] - 0.5)), tile.y1)
    if row_first >= row_last:
        return
    slope_long = (c[0] - a[0]) / (c[1] - a[1])
    slope_top = float(0.0)
    if b[1] > a[1]:
        slope_top = (b[0] - a[0]) / (b[1] - a[1])
    slope_bottom = float(0.0)
    if c[1] > b[1]:
        slope_bottom = (c[0] - b[0]) / (c[1] - b[1])
    for row in range(row_first, row_last):
        y = float(row) + 0.5
        x_long = a[0] + (y - a[1]) * slope_long
        x_short = a[0] + (y - a[1]) * slope_top
        if y >= b[1]:
            x_short = b[0] + (y - b[1]) * slope_bottom
        left = wp.max(int(wp.ceil(wp.min(x_long, x_short) - 0.5)), tile.x0)
        right = wp.min(int(wp.ceil(wp.max(x_long, x_short) - 0.5)), tile.x1)
        w_row = w_corner + w_dy * y
        offset = tile.base + (row - tile.y0) * tile.stride - tile.x0
        if left < right:
            fill_span(depth, ids, offset, left, right, w_row, w_dx, number)


@wp.func
def draw_triangle(
    depth: wp.array(dtype=wp.float32),
    ids: wp.array(dtype=wp.int32),
    tile: Tile,
    cam: Camera,
    near: float,
    a: wp.vec3,
    b: wp.vec3,
    c: wp.vec3,
    normal: wp.vec3,
    eye_height: float,
    number: int,
):
    """Clip a world triangle at the near plane and fill what is left.

    ``eye_height`` is the distance of the eye from the triangle's plane; the inverse depth of the plane in a pixel with
    ray r is -(normal . r) / eye_height, which needs no corner and stays exact after clipping.
    """
    ra = a - cam.eye
    rb = b - cam.eye
    rc = c - cam.eye
    pa = wp.vec3(wp.dot(ra, cam.left), wp.dot(ra, cam.up), wp.dot(ra, cam.forward))
    pb = wp.vec3(wp.dot(rb, cam.left), wp.dot(rb, cam.up), wp.dot(rb, cam.forward))
    pc = wp.vec3(wp.dot(rc, cam.left), wp.dot(rc, cam.up), wp.dot(rc, cam.forward))
    inside = int(0)
    if pa[2] > near:
        inside += 1
    if pb[2] > near:
        inside += 1
    if pc[2] > near:
        inside += 1
    if inside == 0:
        return
    inv_h = -1.0 / eye_height
    inv_f = 1.0 / cam.focal
    w_left = wp.dot(normal, cam.left) * inv_h * inv_f
    w_up = wp.dot(normal, cam.up) * inv_h * inv_f
    w_corner = wp.dot(normal, cam.forward) * inv_h + cam.half_w * w_left + cam.half_h * w_up
    if inside == 3:
        fill(depth, ids, tile, project(cam, pa), project(cam, pb), project(cam, pc), w_corner, -w_left, -w_up, number)
        return
    # Turn the corners so that the odd one out comes first; the order around the triangle stays.
    if inside == 1:
        if pb[2] > near:
            t = pa
            pa = pb
            pb = pc
            pc = t
        elif pc[2] > near:
            t = pa
            pa = pc
            pc = pb
            pb = t
        qb = pa + (pb - pa) * ((pa[2] - near) / (pa[2] - pb[2]))
        qc = pa + (pc - pa) * ((pa[2] - near) / (pa[2] - pc[2]))
        fill(depth, ids, tile, project(cam, pa), project(cam, qb), project(cam, qc), w_corner, -w_left, -w_up, number)
        return
    if pb[2] <= near:
        t = pa
        pa = pb
        pb = pc
        pc = t
    elif pc[2] <= near:
        t = pa
        pa = pc
        pc = pb
        pb = t
    sb = project(cam, pb)
    sc = project(cam, pc)
    tb = project(cam, pb + (pa - pb) * ((pb[2] - near) / (pb[2] - pa[2])))
    tc = project(cam, pc + (pa - pc) * ((pc[2] - near) / (pc[2] - pa[2])))
    fill(depth, ids, tile, sb, sc, tb, w_corner, -w_left, -w_up, number)
    fill(depth, ids, tile, sc, tc, tb, w_corner, -w_left, -w_up, number)
