# mypy: ignore-errors
"""What the rasteriser reads: the drawn world, cameras and cars, a tile of a view."""

import warp as wp


@wp.struct
class Scene:
    """Triangles sorted by cell, the grid of cells of every track, textures and light."""

    corner_a: wp.array(dtype=wp.vec3)
    corner_b: wp.array(dtype=wp.vec3)
    corner_c: wp.array(dtype=wp.vec3)
    plane: wp.array(dtype=wp.vec4)
    surface: wp.array(dtype=wp.int32)
    light: wp.array(dtype=wp.float32)
    rows: wp.array(dtype=wp.float32)  # x, y, z of each corner and of the normal, and the plane's offset
    row_length: int
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
    car_rows: wp.array(dtype=wp.float32)
    car_row_length: int
    car_group: wp.array(dtype=wp.int32)  # first triangle of each run of equal parts, and the end
    n_car_groups: int
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
