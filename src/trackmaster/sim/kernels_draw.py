# mypy: ignore-errors
"""Which triangles of the map and of the car a tile shows; cells and groups of eight that it cannot show are skipped."""

import warp as wp

from trackmaster.sim.kernels_draw_types import Camera, Scene, Tile
from trackmaster.sim.kernels_triangle import draw_triangle, visible_triangles


@wp.func
def visible(rows: wp.array(dtype=wp.float32), length: int, first: int, last: int, tile: Tile, cam: Camera, near: float):
    """Bits of those of the next eight triangles that may fill a pixel of the tile."""
    return visible_triangles(
        rows, length, first, last, cam.eye, cam.left, cam.up, cam.forward, cam.focal, cam.half_w, cam.half_h, near,
        float(tile.x0), float(tile.y0), float(tile.x1), float(tile.y1),
    )  # fmt: skip


@wp.func
def draw_listed(
    scene: Scene, depth: wp.array(dtype=wp.float32), ids: wp.array(dtype=wp.int32), tile: Tile, cam: Camera, number: int
):
    """Draw one triangle of the map if it shows its front."""
    p = scene.plane[number]
    normal = wp.vec3(p[0], p[1], p[2])
    eye_height = wp.dot(normal, cam.eye) + p[3]
    if eye_height > 1.0e-4:
        a = scene.corner_a[number]
        b = scene.corner_b[number]
        c = scene.corner_c[number]
        draw_triangle(depth, ids, tile, cam, scene.near, a, b, c, normal, eye_height, number)


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
    number = first
    while number < last:
        found = visible(scene.rows, scene.row_length, number, last, tile, cam, scene.near)
        k = number
        while found != 0:
            if found & 1 != 0:
                draw_listed(scene, depth, ids, tile, cam, k)
            found = found >> 1
            k += 1
        number += 8


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
def car_camera(scene: Scene, cam: Camera, position: wp.vec3, rotation: wp.mat33, part: int, steer: wp.vec2):
    """The camera as the car sees it, or a turned front wheel in the frame of its straight self."""
    back = wp.transpose(rotation)
    eye = back * (cam.eye - position)
    left = back * cam.left
    up = back * cam.up
    forward = back * cam.forward
    if part != 0:
        none = wp.vec3(0.0, 0.0, 0.0)
        turned = wp.vec2(steer[0], -steer[1])
        straight = car_point(scene, none, part, turned)
        eye = car_point(scene, eye, part, turned)
        left = car_point(scene, left, part, turned) - straight
        up = car_point(scene, up, part, turned) - straight
        forward = car_point(scene, forward, part, turned) - straight
    own = Camera()
    own.eye = eye
    own.left = left
    own.up = up
    own.forward = forward
    own.focal = cam.focal
    own.half_w = cam.half_w
    own.half_h = cam.half_h
    return own


@wp.func
def draw_car_triangle(
    scene: Scene, depth: wp.array(dtype=wp.float32), ids: wp.array(dtype=wp.int32), tile: Tile, cam: Camera,
    position: wp.vec3, rotation: wp.mat33, steer: wp.vec2, k: int,
):  # fmt: skip
    """One triangle of the car if it shows its front."""
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
    for group in range(scene.n_car_groups):
        number = scene.car_group[group]
        last = scene.car_group[group + 1]
        own = car_camera(scene, cam, position, rotation, scene.car_part[number], steer)
        while number < last:
            found = visible(scene.car_rows, scene.car_row_length, number, last, tile, own, scene.near)
            k = number
            while found != 0:
                if found & 1 != 0:
                    draw_car_triangle(scene, depth, ids, tile, cam, position, rotation, steer, k)
                found = found >> 1
                k += 1
            number += 8


@wp.func
def car_light(scene: Scene, k: int, rotation: wp.mat33, steer: wp.vec2):
    """Brightness of a triangle of the car as it stands."""
    normal = scene.car_normal[k]
    if scene.car_part[k] != 0:
        normal = wp.vec3(
            steer[0] * normal[0] + steer[1] * normal[2], normal[1], steer[0] * normal[2] - steer[1] * normal[0]
        )
    return scene.ambient + scene.diffuse * wp.max(wp.dot(rotation * normal, scene.sun), 0.0)
