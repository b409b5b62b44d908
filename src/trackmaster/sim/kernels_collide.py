# mypy: ignore-errors
"""Which ellipsoids of the car touch which triangles (``car_physics.md`` 6.1-6.3).

Everything is computed relative to the car, so that float32 keeps its precision 500 m away from the origin.
"""

import warp as wp

from trackmaster.sim import constants as C
from trackmaster.sim.kernels_math import unrotate
from trackmaster.sim.kernels_tables import (
    into_body_axes,
    near_plane,
    out_of_body_axes,
    place_ellipsoids,
    radii_of,
)
from trackmaster.sim.kernels_types import Car, Contact, Near, Scene, Triangle, Wheel

CELL_M = 8.0
SAME_NORMAL = 1e-5
MERGE_COS = 0.8660254
BOX_CENTRE = wp.constant(wp.vec3(*C.BOX_CENTRE))
BOX_HALF = wp.constant(wp.vec3(*C.BOX_HALF))


@wp.func
def into_axes(i: int, v: wp.vec3):
    """A car-frame vector along the axes of an ellipsoid; wheels share the car's axes."""
    if i < C.FIRST_WHEEL:
        return into_body_axes(i, v)
    return v


@wp.func
def out_of_axes(i: int, v: wp.vec3):
    """The way back to the car frame."""
    if i < C.FIRST_WHEEL:
        return out_of_body_axes(i, v)
    return v


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
def comes_before(hits: wp.array(dtype=Contact), a: int, b: int):
    """The game's order of contacts: world position, x then y then z, largest first (6.3)."""
    order = descends(hits[a].world, hits[b].world)
    if order == 0:
        order = descends(hits[a].normal, hits[b].normal)
    if order == 0:
        order = descends(hits[a].push, hits[b].push)
    if order == 0:  # one place, two triangles: any fixed order will do
        order = hits[b].triangle - hits[a].triangle
    if order == 0:
        order = hits[b].ellipsoid - hits[a].ellipsoid
    return order > 0


@wp.func
def outranks(hits: wp.array(dtype=Contact), a: int, b: int):
    """Whether contact a is kept rather than b: faces before edges and corners, then the game's order."""
    if hits[a].is_face != hits[b].is_face:
        return hits[a].is_face > hits[b].is_face
    return comes_before(hits, a, b)


@wp.func
def store_contact(
    cars: wp.array(dtype=Car), hits: wp.array(dtype=Contact), n: int, i: int, triangle: int, is_face: int,
    centre: wp.vec3, touch: wp.vec3, amount: float, face: wp.vec3, normal: wp.vec3,
):  # fmt: skip
    """Add a contact given in the sphere frame: touch point, push-out amount along the face normal, contact normal.

    Returns the new count. With all places taken the least important contact gives way, so what is kept does not depend
    on the order in which triangles are visited.
    """
    radii = radii_of(i)
    across = out_of_axes(i, wp.cw_div(normal, radii))
    point = centre + out_of_axes(i, wp.cw_mul(radii, touch))
    world = cars[0].position + cars[0].rotation * point
    # On a level floor all heights are equal in theory: rounding must not decide the order.
    hits[n].world = wp.vec3(world[0], wp.floor(world[1] * 65536.0 + 0.5) / 65536.0, world[2])
    hits[n].point = point
    hits[n].normal = across / wp.length(across)
    hits[n].push = out_of_axes(i, wp.cw_mul(radii, face * amount))
    hits[n].sphere_face = face
    hits[n].sphere_normal = normal
    hits[n].ellipsoid = i
    hits[n].triangle = triangle
    hits[n].is_face = is_face
    if n < C.MAX_CONTACTS:
        return n + 1
    last = wp.int32(0)
    for k in range(1, C.MAX_CONTACTS):
        if outranks(hits, last, k):
            last = k
    if outranks(hits, n, last):
        hits[last] = hits[n]
    return n


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
        edge = stop - start
        if wp.dot(foot - start, wp.cross(edge, face)) > 0.0:
            along = wp.normalize(edge)
            outward = wp.cross(along, face)
            q = wp.dot(foot - start, outward)
            if q > reach:
                return foot, -1.0
            feature = foot - outward * q
            if wp.dot(foot - start, along) < 0.0:
                n2 = wp.dot(start, start)
                if n2 > C.EPS_SQUARED and n2 <= 1.0:
                    return start, wp.sqrt(n2)
                return start, -1.0
            if wp.dot(foot - stop, along) <= 0.0:
                n2 = wp.dot(feature, feature)
                if n2 > C.EPS:
                    return feature, wp.sqrt(n2)
                return feature, -1.0
            size = wp.length(stop)
            if size > C.EPS_SQUARED and size <= 1.0:
                return stop, wp.sqrt(size)  # the game takes the root of the length at this vertex
            return stop, -1.0
    return foot, 0.0


@wp.func
def overlaps(low: wp.vec3, high: wp.vec3, other_low: wp.vec3, other_high: wp.vec3):
    """Whether two boxes share a point; height first, it tells most pairs apart."""
    return (
        high[1] >= other_low[1]
        and low[1] <= other_high[1]
        and high[0] >= other_low[0]
        and low[0] <= other_high[0]
        and high[2] >= other_low[2]
        and low[2] <= other_high[2]
    )


@wp.func
def collide_ellipsoid(
    triangles: wp.array(dtype=Triangle), index: int, cars: wp.array(dtype=Car), hits: wp.array(dtype=Contact), n: int,
    i: int, centre: wp.vec3, support: wp.vec3, over: float, amid: bool,
):  # fmt: skip
    """Contact of one ellipsoid whose centre is ``over`` above the plane and that reaches it; returns the new count.

    With ``amid`` it is known to be clear of the triangle's edges.
    """
    size = wp.length(support)
    d = over / size
    if d > 1.0:
        return n
    radii = radii_of(i)
    face = support / size
    foot = face * (-d)
    touch = foot
    length = float(0.0)
    if not amid:
        a = unrotate(cars[0].rotation, triangles[index].a - cars[0].position)
        b = unrotate(cars[0].rotation, triangles[index].b - cars[0].position)
        c = unrotate(cars[0].rotation, triangles[index].c - cars[0].position)
        touch, length = touch_edges(
            foot, face, wp.sqrt(1.0 - d * d), wp.cw_div(into_axes(i, a - centre), radii),
            wp.cw_div(into_axes(i, b - centre), radii), wp.cw_div(into_axes(i, c - centre), radii),
        )  # fmt: skip
    amount = 1.0 - d
    normal = face
    is_face = wp.int32(1)
    if length > 0.0:
        amount = (1.0 - length) / length * d
        normal = -touch
        is_face = 0
    if length > 0.0 or (length == 0.0 and d > 0.0):
        return store_contact(cars, hits, n, i, index, is_face, centre, touch, amount, face, normal)
    return n


@wp.func
def collide_triangle(
    triangles: wp.array(dtype=Triangle), index: int, cars: wp.array(dtype=Car), balls: wp.array(dtype=float),
    hits: wp.array(dtype=Contact), count: int,
):  # fmt: skip
    """Add the contacts of all ellipsoids with one triangle; returns the new count."""
    n = count
    normal = unrotate(cars[0].rotation, triangles[index].normal)
    height = wp.dot(cars[0].position - triangles[index].a, triangles[index].normal)
    near = near_plane(
        balls, normal, height, triangles[index].edges, triangles[index].edge_offsets, triangles[index].slack
    )
    if near & 255 == 0:
        return n
    for i in range(C.N_ELLIPSOIDS):
        if (near >> i) & 1 != 0:
            centre = wp.vec3(balls[i], balls[C.N_ELLIPSOIDS + i], balls[2 * C.N_ELLIPSOIDS + i])
            over = height + wp.dot(centre, normal)
            support = wp.cw_mul(radii_of(i), into_axes(i, normal))
            if over * over <= wp.dot(support, support) * 1.00001:
                amid = (near >> (8 + i)) & 1 != 0
                n = collide_ellipsoid(triangles, index, cars, hits, n, i, centre, support, over, amid)
    return n


@wp.func
def same_within(a: wp.vec3, b: wp.vec3):
    """Whether two normals agree to a fraction of their components."""
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
def sort_contacts(hits: wp.array(dtype=Contact), count: int, order: wp.array(dtype=int)):
    """Insertion sort of the contacts' numbers."""
    for k in range(count):
        j = wp.int32(k)
        while j > 0:
            if not comes_before(hits, k, order[j - 1]):
                break
            order[j] = order[j - 1]
            j -= 1
        order[j] = k


@wp.func
def gather_near(scene: Scene, track: int, low: wp.vec3, high: wp.vec3, items: wp.array2d(dtype=int), slot: int):
    """List the triangles whose box meets the given one; returns how many, or -1 if they do not fit."""
    head = scene.tracks[track]
    low_x = wp.clamp(int(wp.floor((low[0] - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    high_x = wp.clamp(int(wp.floor((high[0] - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    low_z = wp.clamp(int(wp.floor((low[2] - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    high_z = wp.clamp(int(wp.floor((high[2] - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    count = wp.int32(0)
    for x in range(low_x, high_x + 1):
        for z in range(low_z, high_z + 1):
            cell = head.first_cell + x * head.cells_z + z
            for k in range(scene.cell_start[cell], scene.cell_start[cell + 1]):
                index = scene.cell_items[k]
                # A triangle in several of the visited cells counts in the first of them only.
                if (
                    overlaps(low, high, scene.triangles[index].low, scene.triangles[index].high)
                    and wp.max(scene.triangles[index].cell_x, low_x) == x
                    and wp.max(scene.triangles[index].cell_z, low_z) == z
                ):
                    if count == C.MAX_NEAR:
                        return -1
                    items[slot, count] = index
                    count += 1
    return count


@wp.func
def collide_cells(
    scene: Scene, track: int, low: wp.vec3, high: wp.vec3, cars: wp.array(dtype=Car), balls: wp.array(dtype=float),
    hits: wp.array(dtype=Contact),
):  # fmt: skip
    """Collide with all triangles of the box, however many; returns the number of contacts."""
    head = scene.tracks[track]
    low_x = wp.clamp(int(wp.floor((low[0] - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    high_x = wp.clamp(int(wp.floor((high[0] - head.grid_x) / CELL_M)), 0, head.cells_x - 1)
    low_z = wp.clamp(int(wp.floor((low[2] - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    high_z = wp.clamp(int(wp.floor((high[2] - head.grid_z) / CELL_M)), 0, head.cells_z - 1)
    count = wp.int32(0)
    for x in range(low_x, high_x + 1):
        for z in range(low_z, high_z + 1):
            cell = head.first_cell + x * head.cells_z + z
            for k in range(scene.cell_start[cell], scene.cell_start[cell + 1]):
                index = scene.cell_items[k]
                if (
                    overlaps(low, high, scene.triangles[index].low, scene.triangles[index].high)
                    and wp.max(scene.triangles[index].cell_x, low_x) == x
                    and wp.max(scene.triangles[index].cell_z, low_z) == z
                ):
                    count = collide_triangle(scene.triangles, index, cars, balls, hits, count)
    return count


@wp.func
def spread(rotation: wp.mat33):
    """Half size of the world box around the turned car box."""
    return wp.vec3(
        wp.dot(BOX_HALF, wp.vec3(wp.abs(rotation[0, 0]), wp.abs(rotation[0, 1]), wp.abs(rotation[0, 2]))),
        wp.dot(BOX_HALF, wp.vec3(wp.abs(rotation[1, 0]), wp.abs(rotation[1, 1]), wp.abs(rotation[1, 2]))),
        wp.dot(BOX_HALF, wp.vec3(wp.abs(rotation[2, 0]), wp.abs(rotation[2, 1]), wp.abs(rotation[2, 2]))),
    )


@wp.func
def leaves(low: wp.vec3, high: wp.vec3, near: Near):
    """Whether a box stands out of the one that was searched last."""
    return (
        low[0] < near.low[0]
        or low[1] < near.low[1]
        or low[2] < near.low[2]
        or high[0] > near.high[0]
        or high[1] > near.high[1]
        or high[2] > near.high[2]
    )


@wp.func
def find_contacts(
    scene: Scene, track: int, cars: wp.array(dtype=Car), wheels: wp.array(dtype=Wheel), hits: wp.array(dtype=Contact),
    balls: wp.array(dtype=float), near: wp.array(dtype=Near), items: wp.array2d(dtype=int), slot: int,
    order: wp.array(dtype=int),
):  # fmt: skip
    """Fill ``hits`` with the contacts at the present pose and ``order`` with their order; returns how many there are.

    ``near`` and ``items`` save searching the grid while the car stays in the box they were gathered for; they change
    nothing about the result.
    """
    centre = cars[0].position + cars[0].rotation * BOX_CENTRE
    half = spread(cars[0].rotation)
    low = centre - half
    high = centre + half
    if leaves(low, high, near[slot]):
        slack = wp.vec3(C.NEAR_SLACK_M, C.NEAR_SLACK_M, C.NEAR_SLACK_M)
        ahead = cars[0].velocity * C.NEAR_TIME_S
        none = wp.vec3(0.0, 0.0, 0.0)
        near[slot].low = low - slack + wp.min(ahead, none)
        near[slot].high = high + slack + wp.max(ahead, none)
        near[slot].count = gather_near(scene, track, near[slot].low, near[slot].high, items, slot)
    count = wp.int32(0)
    listed = near[slot].count
    if listed != 0:
        hang = wp.vec4(wheels[0].absorb, wheels[1].absorb, wheels[2].absorb, wheels[3].absorb)
        place_ellipsoids(balls, cars[0].position, cars[0].rotation, hang)
    if listed < 0:
        count = collide_cells(scene, track, low, high, cars, balls, hits)
    for k in range(listed):
        index = items[slot, k]
        if overlaps(low, high, scene.triangles[index].low, scene.triangles[index].high):
            count = collide_triangle(scene.triangles, index, cars, balls, hits, count)
    count = merge_contacts(hits, count)
    sort_contacts(hits, count, order)
    return count
