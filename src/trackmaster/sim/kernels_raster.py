# mypy: ignore-errors
"""The z-buffer rasteriser: one kernel source for CPU and CUDA, one thread per image tile of a view.

On the CPU a tile is the whole image and threads run one after the other, so all share one depth buffer that stays in
the cache. On CUDA tiles are small and every thread has its own buffers. Pixels do not depend on the tiling: a triangle
is set up from the whole view, a tile only limits which rows and columns are filled.
"""

import warp as wp

from trackmaster.sim.kernels_draw import car_light, draw_car, draw_map
from trackmaster.sim.kernels_draw_types import Camera, Scene, Tile, Views
from trackmaster.sim.kernels_shade import (
    ATLAS_PAGE,
    ATLAS_TEXELS_PER_M,
    average_row,
    clear,
    pack,
    run_end,
    shade_sky,
    shade_surface,
    store_bgra,
    store_gray,
)

wp.set_module_options({"enable_backward": False, "fast_math": False, "fuse_fp": False, "optimization_level": 3})

GRASS_PAGE = 2
GROUND_Y_M = 9.0
HORIZON = -1.0e-5
SHADOW_REACH_M = 3.0


@wp.func
def tile_of(view: int, tile_number: int, width: int, height: int, tile_size: int, tiles_x: int, slots: int):
    """Return where a tile lies in its view, and where its buffers begin."""
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
    return tile


@wp.func
def camera_of(views: Views, view: int, width: int, height: int):
    """Return the camera of a view."""
    cam = Camera()
    axes = views.rotation[view]
    cam.eye = views.eye[view]
    cam.left = wp.vec3(axes[0, 0], axes[1, 0], axes[2, 0])
    cam.up = wp.vec3(axes[0, 1], axes[1, 1], axes[2, 1])
    cam.forward = wp.vec3(axes[0, 2], axes[1, 2], axes[2, 2])
    cam.focal = views.focal_px[view]
    cam.half_w = 0.5 * float(width)
    cam.half_h = 0.5 * float(height)
    return cam


@wp.func
def shade_run(
    scene: Scene,
    ids: wp.array(dtype=wp.int32),
    number: int,
    offset: int,
    first: int,
    last: int,
    ray_row: wp.vec3,
    ray_step: wp.vec3,
    cam: Camera,
    area_scale: float,
    car_mode: int,
    car_position: wp.vec3,
    car_rotation: wp.mat33,
    shadow_reach: float,
):
    """Colour a run of pixels that show one triangle of the map, or the grass around it (a negative number)."""
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
        shadow_reach,
    )


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
    tile = tile_of(view, tile_number, width, height, tile_size, tiles_x, slots)
    cam = camera_of(views, view, width, height)
    clear(depth, ids, tile.base, tile.stride * (tile.y1 - tile.y0))

    car_mode = views.car_mode[view]
    car_position = views.car_position[view]
    car_rotation = views.car_rotation[view]
    car_steer = views.car_steer[view]
    if car_mode == 1:
        draw_car(scene, depth, ids, tile, cam, car_position, car_rotation, car_steer)
    draw_map(scene, depth, ids, tile, cam, views.track[view])

    # The blob under a car that stands on its nose is stretched without end.
    forward = wp.vec2(car_rotation[0, 2], car_rotation[2, 2])
    shadow_reach = SHADOW_REACH_M / wp.max(wp.length(forward), 1.0e-6)
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
            last = run_end(ids, offset, first + 1, tile.x1, number, ray_row[1], ray_step[1], HORIZON, above)
            if number >= scene.n_triangles:
                k = number - scene.n_triangles
                color = scene.car_color[k] * car_light(scene, k, car_rotation, car_steer)
                packed_color = pack(color)
                for column in range(first, last):
                    ids[offset + column] = packed_color
            elif number >= 0 or (not above and cam.eye[1] > GROUND_Y_M):
                shade_run(
                    scene,
                    ids,
                    number,
                    offset,
                    first,
                    last,
                    ray_row,
                    ray_step,
                    cam,
                    area_scale,
                    car_mode,
                    car_position,
                    car_rotation,
                    shadow_reach,
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
