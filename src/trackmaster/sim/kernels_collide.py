# mypy: ignore-errors
"""Which ellipsoids of the car touch which triangles (``car_physics.md`` 6.1-6.3).

Everything is computed relative to the car, so that float32 keeps its precision 500 m away from the origin.
"""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import unrotate
from trackmaster.sim.kernels_tables import BODY_CENTRE, BODY_RADII, BODY_ROTATION, HUB, WHEEL_OF, WHEEL_RADII
from trackmaster.sim.kernels_types import Car, Contact, Scene, Triangle, Wheel

CELL_M = 8.0
SAME_NORMAL = 1e-5
MERGE_COS = 0.8660254
BODY_REACH = wp.constant(wp.vec4(1.92, 1.70, 1.05, 0.92))
WHEEL_REACH = 0.365


@wp.struct
class Shape:
    """One ellipsoid at the present pose."""

    centre: wp.vec3  # car frame
    offset: wp.vec3  # centre minus car origin, world
    radii: wp.vec3
    turn: wp.mat33  # ellipsoid to car frame
    reach: float


@wp.func
def body_turn(i: int):
    return wp.mat33(
        BODY_ROTATION[i, 0], BODY_ROTATION[i, 1], BODY_ROTATION[i, 2],
        BODY_ROTATION[i, 3], BODY_ROTATION[i, 4], BODY_ROTATION[i, 5],
        BODY_ROTATION[i, 6], BODY_ROTATION[i, 7], BODY_ROTATION[i, 8],
    )  # fmt: skip


@wp.func
def place_shapes(cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), shapes: wp.array(dtype=Shape)):
    for i in range(C.N_ELLIPSOIDS):
        if i < C.FIRST_WHEEL:
            shapes[i].centre = BODY_CENTRE[i]
            shapes[i].radii = BODY_RADII[i]
            shapes[i].turn = body_turn(i)
            shapes[i].reach = BODY_REACH[i]
        else:
            wheel = WHEEL_OF[i]
            shapes[i].centre = HUB[wheel] - wp.vec3(0.0, wheels[wheel].absorb, 0.0)
            shapes[i].radii = WHEEL_RADII
            shapes[i].turn = wp.identity(n=3, dtype=wp.float32)
            shapes[i].reach = WHEEL_REACH
        shapes[i].offset = cars[0].rotation * shapes[i].centre


@wp.func
def into_sphere(v: wp.vec3, turn: wp.mat33, radii: wp.vec3):
    """A car-frame offset from the centre in the unit-sphere frame of the ellipsoid."""
    return wp.cw_div(unrotate(turn, v), radii)


@wp.func
def store_contact(
    hits: wp.array(dtype=Contact), n: int, shapes: wp.array(dtype=Shape), i: int, triangle: Triangle, is_face: int,
    touch: wp.vec3, amount: float, face: wp.vec3, normal: wp.vec3,
    cars: wp.array(dtype=Car),
):  # fmt: skip
    """Write a contact given in the sphere frame: touch point, push-out amount along the face normal, contact normal."""
    turn = shapes[i].turn
    radii = shapes[i].radii
    across = turn * wp.cw_div(normal, radii)
    point = shapes[i].centre + turn * wp.cw_mul(radii, touch)
    hits[n].point = point
    hits[n].normal = across / wp.length(across)
    hits[n].push = turn * wp.cw_mul(radii, face * amount)
    world = cars[0].position + cars[0].rotation * point
    hits[n].world = wp.vec3(world[0], wp.floor(world[1] * 65536.0 + 0.5) / 65536.0, world[2])
    hits[n].sphere_face = face
    hits[n].sphere_normal = normal
    hits[n].axis = triangle.axis
    hits[n].material = triangle.material
    hits[n].ellipsoid = i
    hits[n].is_face = is_face


@wp.func
def touch_edges(foot: wp.vec3, face: wp.vec3, reach: float, a: wp.vec3, b: wp.vec3, c: wp.vec3):
    """Where the foot point lies against the triangle's edges, all in the sphere frame.

    Returns the feature point and its length; length 0: inside (face contact), -1: no contact.
    """
    start = a
    stop = b
    for k in range(3):
        if k == 1:
            start = b
            stop = c
        elif k == 2:
            start = c
            stop = a
        along = wp.normalize(stop - start)
        outward = wp.cross(along, face)
        q = wp.dot(foot - start, outward)
        if q > reach:
            return wp.vec3(0.0, 0.0, 0.0), -1.0
        if q > 0.0:
            feature = foot - outward * q
            if wp.dot(foot - start, along) < 0.0:
                feature = start
                n2 = wp.dot(feature, feature)
                if n2 > C.EPS_SQUARED and n2 <= 1.0:
                    return feature, wp.sqrt(n2)
                return feature, -1.0
            if wp.dot(foot - stop, along) <= 0.0:
                n2 = wp.dot(feature, feature)
                if n2 > C.EPS:
                    return feature, wp.sqrt(n2)
                return feature, -1.0
            feature = stop
            size = wp.length(feature)
            if size > C.EPS_SQUARED and size <= 1.0:
                return feature, wp.sqrt(size)  # the game takes the root of the length at this vertex
            return feature, -1.0
    return foot, 0.0


@wp.func
def collide_triangle(
    cars: wp.array(dtype=Car), shapes: wp.array(dtype=Shape), hits: wp.array(dtype=Contact), count: int,
    triangle: Triangle,
):  # fmt: skip
    """Add the contacts of all ellipsoids with one triangle; returns the new count."""
    n = count
    position = cars[0].position
    rotation = cars[0].rotation
    low = triangle.low - position
    high = triangle.high - position
    height = wp.dot(position - triangle.a, triangle.normal)  # of the car origin over the plane
    if height > C.REACH_M or height < -C.REACH_M:
        return n
    normal = unrotate(rotation, triangle.normal)
    for i in range(C.N_ELLIPSOIDS):
        over = height + wp.dot(shapes[i].offset, triangle.normal)
        reach = shapes[i].reach
        if over >= 0.0 and over <= reach and n < C.MAX_CONTACTS:
            o = shapes[i].offset
            if (
                o[0] + reach >= low[0]
                and o[0] - reach <= high[0]
                and o[1] + reach >= low[1]
                and o[1] - reach <= high[1]
                and o[2] + reach >= low[2]
                and o[2] - reach <= high[2]
            ):
                turn = shapes[i].turn
                radii = shapes[i].radii
                support = wp.cw_mul(radii, unrotate(turn, normal))
                size = wp.length(support)
                d = over / size
                if d <= 1.0:
                    face = support / size
                    foot = face * (-d)
                    centre = shapes[i].centre
                    a = into_sphere(unrotate(rotation, triangle.a - position) - centre, turn, radii)
                    b = into_sphere(unrotate(rotation, triangle.b - position) - centre, turn, radii)
                    c = into_sphere(unrotate(rotation, triangle.c - position) - centre, turn, radii)
                    feature, length = touch_edges(foot, face, wp.sqrt(1.0 - d * d), a, b, c)
                    if length > 0.0:
                        amount = (1.0 - length) / length * d
                        store_contact(hits, n, shapes, i, triangle, 0, feature, amount, face, -feature, cars)
                        n += 1
                    elif length == 0.0 and d > 0.0:
                        store_contact(hits, n, shapes, i, triangle, 1, foot, 1.0 - d, face, face, cars)
                        n += 1
    return n


@wp.func
def same_within(a: wp.vec3, b: wp.vec3):
    for k in range(3):
        if wp.abs(a[k] - b[k]) > SAME_NORMAL * wp.max(wp.abs(a[k]), wp.abs(b[k])):
            return False
    return True


@wp.func
def merge_contacts(hits: wp.array(dtype=Contact), count: int):
    """Drop edge and corner contacts that a face contact of the same ellipsoid explains (6.2); returns the new count.

    Compacts in place: faces are never dropped, so every face is still found below ``kept`` or at its old place.
    """
    kept = wp.int32(0)
    for k in range(count):
        keep = wp.int32(1)
        if hits[k].is_face == 0:
            own = wp.normalize(hits[k].sphere_normal)
            for j in range(count):
                if hits[j].is_face != 0 and hits[j].ellipsoid == hits[k].ellipsoid:
                    if same_within(hits[k].sphere_face, hits[j].sphere_face):
                        keep = 0
                    elif wp.dot(own, hits[j].sphere_face) > MERGE_COS:
                        keep = 0
        if keep == 1:
            if kept != k:
                hits[kept] = hits[k]
            kept += 1
    return kept


@wp.func
def descends(a: wp.vec3, b: wp.vec3):
    """Lexicographic order of vectors: 1 if a comes first (is larger), -1 if b does, 0 if they are equal."""
    for k in range(3):
        if a[k] > b[k]:
            return 1
        if a[k] < b[k]:
            return -1
    return 0


@wp.func
def comes_before(a: Contact, b: Contact):
    order = descends(a.world, b.world)
    if order == 0:
        order = descends(a.normal, b.normal)
    if order == 0:
        order = descends(a.push, b.push)
    return order > 0


@wp.func
def sort_contacts(hits: wp.array(dtype=Contact), count: int):
    """Insertion sort by world position, x then y then z, largest first (6.3)."""
    for k in range(1, count):
        item = hits[k]
        j = wp.int32(k)
        while j > 0:
            if not comes_before(item, hits[j - 1]):
                break
            hits[j] = hits[j - 1]
            j -= 1
        hits[j] = item


@wp.func
def find_contacts(
    scene: Scene, track: int, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), hits: wp.array(dtype=Contact)
):
    """Fill ``hits`` with the sorted contacts at the present pose; returns how many there are."""
    shapes = wp.zeros(shape=(8,), dtype=Shape)
    place_shapes(cars, wheels, shapes)
    head = scene.tracks[track]
    p = cars[0].position
    low_x = wp.clamp(int(wp.floor((p[0] - C.REACH_M - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    high_x = wp.clamp(int(wp.floor((p[0] + C.REACH_M - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    low_z = wp.clamp(int(wp.floor((p[2] - C.REACH_M - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    high_z = wp.clamp(int(wp.floor((p[2] + C.REACH_M - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    count = wp.int32(0)
    for x in range(low_x, high_x + 1):
        for z in range(low_z, high_z + 1):
            cell = head.first_cell + x * head.cells_z + z
            for k in range(scene.cell_start[cell], scene.cell_start[cell + 1]):
                index = scene.cell_items[k]
                # A triangle in several of the visited cells counts in the first of them only.
                if (
                    wp.max(scene.triangles[index].cell_x, low_x) == x
                    and wp.max(scene.triangles[index].cell_z, low_z) == z
                    and p[1] + C.REACH_M >= scene.triangles[index].low[1]
                    and p[1] - C.REACH_M <= scene.triangles[index].high[1]
                ):
                    count = collide_triangle(cars, shapes, hits, count, scene.triangles[index])
    count = merge_contacts(hits, count)
    sort_contacts(hits, count)
    return count
