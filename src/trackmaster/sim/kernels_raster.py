# mypy: ignore-errors
"""The z-buffer rasteriser: one kernel source for CPU and CUDA, one thread per image tile of a view.

On the CPU a tile is the whole image and threads run one after the other, so all share one depth buffer that stays in
the cache. On CUDA tiles are small and every thread has its own buffers. Pixels do not depend on the tiling: a triangle
is set up from the whole view, a tile only limits which rows and columns are filled.
"""

import warp as wp

from trackmaster.sim.kernels_shade import (
    ATLAS_PAGE,
    ATLAS_TEXELS_PER_M,
    average_row,
    clear,
    pack,
    shade_sky,
    shade_surface,
    store_bgra,
    store_gray,
)

wp.set_module_options({"enable_backward": False, "fast_math": False, "fuse_fp": False, "optimization_level": 3})

GRASS_PAGE = 2
GROUND_Y_M = 9.0
HORIZON = -1.0e-5


@wp.struct
class Scene:
    """Triangles sorted by cell, the grid of cells of every track, textures and light."""

    corner_a: wp.array(dtype=wp.vec3)
    corner_b: wp.array(dtype=wp.vec3)
    corner_c: wp.array(dtype=wp.vec3)
    plane: wp.array(dtype=wp.vec4)
    surface: wp.array(dtype=wp.int32)
    light: wp.array(dtype=wp.float32)
    cell_first: wp.array(dtype=wp.int32)
    cell_low: wp.array(dtype=wp.vec3)
    cell_high: wp.array(dtype=wp.vec3)
    track_grid: wp.array2d(dtype=wp.int32)
    car_a: wp.array(dtype=wp.vec3)
    car_b: wp.array(dtype=wp.vec3)
    car_c: wp.array(dtype=wp.vec3)
    car_normal: wp.array(dtype=wp.vec3)
    car_color: wp.array(dtype=wp.vec3)
    car_part: wp.array(dtype=wp.int32)
    atlas: wp.array(dtype=wp.uint32)
    sky: wp.array(dtype=wp.uint32)
    cell_size: float
    draw_distance: float
    near: float
    fog_start2: float
    fog_scale: float
    fog_color: wp.vec3
    sun: wp.vec3
    ambient: float
    diffuse: float
    ground_light: float
    steer_pivot: wp.vec3
    n_triangles: int
    n_car_triangles: int


@wp.struct
class Views:
    """One camera and one car per view."""

    track: wp.array(dtype=wp.int32)
    eye: wp.array(dtype=wp.vec3)
    rotation: wp.array(dtype=wp.mat33)
    focal_px: wp.array(dtype=wp.float32)
    car_position: wp.array(dtype=wp.vec3)
    car_rotation: wp.array(dtype=wp.mat33)
    car_steer: wp.array(dtype=wp.vec2)
    car_mode: wp.array(dtype=wp.int32)


@wp.struct
class Tile:
    """A rectangle of one view with its buffers."""

    x0: int
    y0: int
    x1: int
    y1: int
    base: int
    stride: int
    width: int
    height: int


@wp.struct
class Camera:
    """Camera axes; a pixel looks along forward + (half_w - x) / f left + (half_h - y) / f up."""

    eye: wp.vec3
    left: wp.vec3
    up: wp.vec3
    forward: wp.vec3
    focal: float
    half_w: float
    half_h: float


@wp.func
def project(cam: Camera, p: wp.vec3):
    """Camera-space point to (column, row) in pixels."""
    inv = 1.0 / p[2]
    return wp.vec2(cam.half_w - cam.focal * p[0] * inv, cam.half_h - cam.focal * p[1] * inv)


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
        for column in range(left, right):
            w = w_row + w_dx * (float(column) + 0.5)
            if w > depth[offset + column]:
                depth[offset + column] = w
                ids[offset + column] = number


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


@wp.func
def box_outside(center: wp.vec3, half: wp.vec3, normal: wp.vec3):
    """True if the box lies wholly behind the plane through the origin with this normal."""
    reach = wp.abs(normal[0]) * half[0] + wp.abs(normal[1]) * half[1] + wp.abs(normal[2]) * half[2]
    return wp.dot(normal, center) + reach < 0.0


@wp.func
def draw_cell(
    scene: Scene,
    depth: wp.array(dtype=wp.float32),
    ids: wp.array(dtype=wp.int32),
    tile: Tile,
    cam: Camera,
    cell: int,
    side_left: wp.vec3,
    side_right: wp.vec3,
    side_top: wp.vec3,
    side_bottom: wp.vec3,
):
    """Draw the triangles of one cell unless its box is out of sight."""
    first = scene.cell_first[cell]
    last = scene.cell_first[cell + 1]
    if first == last:
        return
    low = scene.cell_low[cell] - cam.eye
    high = scene.cell_high[cell] - cam.eye
    near_x = wp.max(wp.max(low[0], -high[0]), 0.0)
    near_y = wp.max(wp.max(low[1], -high[1]), 0.0)
    near_z = wp.max(wp.max(low[2], -high[2]), 0.0)
    if near_x * near_x + near_y * near_y + near_z * near_z > scene.draw_distance * scene.draw_distance:
        return
    center = (low + high) * 0.5
    half = (high - low) * 0.5
    if box_outside(center, half, cam.forward):
        return
    if box_outside(center, half, side_left):
        return
    if box_outside(center, half, side_right):
        return
    if box_outside(center, half, side_top):
        return
    if box_outside(center, half, side_bottom):
        return
    for number in range(first, last):
        p = scene.plane[number]
        normal = wp.vec3(p[0], p[1], p[2])
        eye_height = wp.dot(normal, cam.eye) + p[3]
        if eye_height > 1.0e-4:
            draw_triangle(
                depth,
                ids,
                tile,
                cam,
                scene.near,
                scene.corner_a[number],
                scene.corner_b[number],
                scene.corner_c[number],
                normal,
                eye_height,
                number,
            )


@wp.func
def draw_map(
    scene: Scene, depth: wp.array(dtype=wp.float32), ids: wp.array(dtype=wp.int32), tile: Tile, cam: Camera, track: int
):
    """Draw all cells within reach, those nearest along the view first."""
    columns = scene.track_grid[track, 0]
    rows = scene.track_grid[track, 1]
    first_cell = scene.track_grid[track, 2]
    origin_x = float(scene.track_grid[track, 3])
    origin_z = float(scene.track_grid[track, 4])
    # Planes through the eye and the borders of the tile; normals look into the view.
    x_left = (cam.half_w - float(tile.x0)) / cam.focal
    x_right = (cam.half_w - float(tile.x1)) / cam.focal
    y_top = (cam.half_h - float(tile.y0)) / cam.focal
    y_bottom = (cam.half_h - float(tile.y1)) / cam.focal
    side_left = cam.forward * x_left - cam.left
    side_right = cam.left - cam.forward * x_right
    side_top = cam.forward * y_top - cam.up
    side_bottom = cam.up - cam.forward * y_bottom

    size = scene.cell_size
    reach = scene.draw_distance + size  # a cell's triangles may stand out of it; bigger ones are in the last cell
    col_low = wp.clamp(int(wp.floor((cam.eye[0] - reach - origin_x) / size)), 0, columns - 1)
    col_high = wp.clamp(int(wp.floor((cam.eye[0] + reach - origin_x) / size)), 0, columns - 1)
    row_low = wp.clamp(int(wp.floor((cam.eye[2] - reach - origin_z) / size)), 0, rows - 1)
    row_high = wp.clamp(int(wp.floor((cam.eye[2] + reach - origin_z) / size)), 0, rows - 1)
    for i in range(row_high - row_low + 1):
        row = row_low + i
        if cam.forward[2] < 0.0:
            row = row_high - i
        for j in range(col_high - col_low + 1):
            column = col_low + j
            if cam.forward[0] < 0.0:
                column = col_high - j
            draw_cell(
                scene,
                depth,
                ids,
                tile,
                cam,
                first_cell + row * columns + column,
                side_left,
                side_right,
                side_top,
                side_bottom,
            )
    draw_cell(scene, depth, ids, tile, cam, first_cell + rows * columns, side_left, side_right, side_top, side_bottom)


@wp.func
def car_point(scene: Scene, p: wp.vec3, part: int, steer: wp.vec2):
    """Turn the corners of a front wheel about its hub; ``steer`` is (cos, sin) of the wheel angle, left positive."""
    if part == 0:
        return p
    pivot = wp.vec3(scene.steer_pivot[0] * float(part), scene.steer_pivot[1], scene.steer_pivot[2])
    r = p - pivot
    return pivot + wp.vec3(steer[0] * r[0] + steer[1] * r[2], r[1], steer[0] * r[2] - steer[1] * r[0])


@wp.func
def draw_car(
    scene: Scene,
    depth: wp.array(dtype=wp.float32),
    ids: wp.array(dtype=wp.int32),
    tile: Tile,
    cam: Camera,
    position: wp.vec3,
    rotation: wp.mat33,
    steer: wp.vec2,
):
    """The car's triangles, front wheels turned by the steering."""
    for k in range(scene.n_car_triangles):
        part = scene.car_part[k]
        normal = scene.car_normal[k]
        if part != 0:
            normal = wp.vec3(
                steer[0] * normal[0] + steer[1] * normal[2], normal[1], steer[0] * normal[2] - steer[1] * normal[0]
            )
        normal = rotation * normal
        a = position + rotation * car_point(scene, scene.car_a[k], part, steer)
        eye_height = wp.dot(normal, cam.eye - a)
        if eye_height > 1.0e-4:
            b = position + rotation * car_point(scene, scene.car_b[k], part, steer)
            c = position + rotation * car_point(scene, scene.car_c[k], part, steer)
            draw_triangle(depth, ids, tile, cam, scene.near, a, b, c, normal, eye_height, scene.n_triangles + k)


@wp.func
def car_light(scene: Scene, k: int, rotation: wp.mat33, steer: wp.vec2):
    """Brightness of a triangle of the car as it stands."""
    normal = scene.car_normal[k]
    if scene.car_part[k] != 0:
        normal = wp.vec3(
            steer[0] * normal[0] + steer[1] * normal[2], normal[1], steer[0] * normal[2] - steer[1] * normal[0]
        )
    return scene.ambient + scene.diffuse * wp.max(wp.dot(rotation * normal, scene.sun), 0.0)


@wp.kernel
def render_views(
    scene: Scene,
    views: Views,
    width: int,
    height: int,
    tile_size: int,
    tiles_x: int,
    slots: int,
    depth: wp.array(dtype=wp.float32),
    ids: wp.array(dtype=wp.int32),
    is_gray: int,
    gray: wp.array(dtype=wp.uint8),
    bgra: wp.array(dtype=wp.uint32),
):
    """One tile of one view: map, car, shadow and sky into grey or colour pixels."""
    view, tile_number = wp.tid()
    tile = Tile()
    tile.x0 = (tile_number % tiles_x) * tile_size
    tile.y0 = (tile_number // tiles_x) * tile_size
    tile.x1 = wp.min(tile.x0 + tile_size, width)
    tile.y1 = wp.min(tile.y0 + tile_size, height)
    tile.stride = wp.min(tile_size, width)
    tile.width = width
    tile.height = height
    tiles = tiles_x * ((height + tile_size - 1) // tile_size)
    tile.base = ((view * tiles + tile_number) % slots) * tile.stride * wp.min(tile_size, height)

    cam = Camera()
    axes = views.rotation[view]
    cam.eye = views.eye[view]
    cam.left = wp.vec3(axes[0, 0], axes[1, 0], axes[2, 0])
    cam.up = wp.vec3(axes[0, 1], axes[1, 1], axes[2, 1])
    cam.forward = wp.vec3(axes[0, 2], axes[1, 2], axes[2, 2])
    cam.focal = views.focal_px[view]
    cam.half_w = 0.5 * float(width)
    cam.half_h = 0.5 * float(height)

    clear(depth, ids, tile.base, tile.stride * (tile.y1 - tile.y0))

    car_mode = views.car_mode[view]
    car_position = views.car_position[view]
    car_rotation = views.car_rotation[view]
    car_steer = views.car_steer[view]
    if car_mode == 1:
        draw_car(scene, depth, ids, tile, cam, car_position, car_rotation, car_steer)
    draw_map(scene, depth, ids, tile, cam, views.track[view])

    inv_f = 1.0 / cam.focal
    ray_step = cam.left * -inv_f
    area_scale = inv_f * inv_f * (ATLAS_TEXELS_PER_M * ATLAS_TEXELS_PER_M)
    for row in range(tile.y0, tile.y1):
        ray_row = cam.forward + cam.left * (cam.half_w * inv_f) + cam.up * ((cam.half_h - (float(row) + 0.5)) * inv_f)
        offset = tile.base + (row - tile.y0) * tile.stride - tile.x0
        first = tile.x0
        while first < tile.x1:
            number = ids[offset + first]
            above = ray_row[1] + ray_step[1] * (float(first) + 0.5) > HORIZON
            last = tile.x1
            for column in range(first + 1, tile.x1):
                if ids[offset + column] != number:
                    last = column
                    break
                if number < 0 and (ray_row[1] + ray_step[1] * (float(column) + 0.5) > HORIZON) != above:
                    last = column
                    break
            if number >= scene.n_triangles:
                k = number - scene.n_triangles
                color = scene.car_color[k] * car_light(scene, k, car_rotation, car_steer)
                packed_color = pack(color)
                for column in range(first, last):
                    ids[offset + column] = packed_color
            elif number >= 0 or (not above and cam.eye[1] > GROUND_Y_M):
                plane = wp.vec4(0.0, 1.0, 0.0, -GROUND_Y_M)
                surface = int(GRASS_PAGE * 4)
                light = scene.ground_light
                if number >= 0:
                    plane = scene.plane[number]
                    surface = scene.surface[number]
                    light = scene.light[number]
                normal = wp.vec3(plane[0], plane[1], plane[2])
                shade_surface(
                    ids,
                    scene.atlas,
                    (surface >> 2) * ATLAS_PAGE,
                    offset,
                    first,
                    last,
                    ray_row,
                    ray_step,
                    cam.eye,
                    wp.dot(normal, cam.eye) + plane[3],
                    -wp.dot(normal, ray_row),
                    -wp.dot(normal, ray_step),
                    area_scale,
                    surface & 3,
                    light,
                    scene.fog_start2,
                    scene.fog_scale,
                    scene.fog_color,
                    car_mode,
                    cam.eye - car_position,
                    car_rotation[0, 2],
                    car_rotation[2, 2],
                )
            else:
                shade_sky(ids, scene.sky, offset, first, last, ray_row, ray_step)
            first = last
        out = (view * height + row) * width + tile.x0
        if is_gray != 0:
            store_gray(ids, gray, offset + tile.x0, out, tile.x1 - tile.x0)
        else:
            store_bgra(ids, bgra, offset + tile.x0, out, tile.x1 - tile.x0)


@wp.kernel
def average_blocks(
    fine: wp.array(dtype=wp.uint32),
    width: int,
    height: int,
    factor: int,
    is_gray: int,
    pixels: wp.array(dtype=wp.int32),
    gray: wp.array(dtype=wp.uint8),
    bgra: wp.array(dtype=wp.uint32),
):
    """Every pixel is the rounded mean of factor x factor finer ones; one thread per row."""
    view, row = wp.tid()
    at = (view * height + row) * width
    average_row(fine, pixels, at * factor * factor, at, width, factor)
    if is_gray != 0:
        store_gray(pixels, gray, at, at, width)
    else:
        store_bgra(pixels, bgra, at, at, width)
