"""The big loops, and the forks of two curves and of two diagonals."""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.kerb_ends import road_with_fading_kerbs
from trackmaster.track.catalogue.profile import ASPHALT, METAL, UNDERSIDE, border_profile
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, exits_of
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, Path, arc_path, fan, flipped, net, rectangle, s_path, sweep

RADIUS_M = 44.0 - m.ROAD_SURFACE_M
"""Radius of the loop: its axis lies 44 m over the floor (measured, 1 270 contacts, +-0.01)."""

SHIFT_M = 64.0
"""How far half a loop leads to the side (measured: 48 m from its start at half its height, +-2 m)."""

HALF_WIDTH_M = 12.64
"""Half width of the loop's strip (assumed; metal was touched up to 11.6 m from its middle)."""

STEPS, ROAD_STEPS = 64, 4
"""Pieces of half a loop, and how many at either end are road with kerbs that fade.

Measured: 138 contacts on asphalt between 5 and 11.25 degrees from the ends, none beyond; metal in the middle of the
strip begins before 11.5; rubber along the kerbs up to 8.2. On 4 real entries over a kerb cars are 12 mm off after 0.1
to 0.3 s (geometric mean); with full kerbs on the first piece 20 mm, without kerbs 24 mm.
"""

_TOP = m.ROAD_SURFACE_M
_SHELL_M = 1.0


def half_loop(_site: Site, *, from_x_m: float, to_x_m: float) -> list[Patch]:
    """Return half a loop: from the road at -z up, over the top, and sideways on the way (over 3 x 2 cells)."""
    angles = np.linspace(0.0, math.pi, STEPS + 1)
    middle = from_x_m + (to_x_m - from_x_m) * angles / math.pi
    inner = slice(ROAD_STEPS, STEPS - ROAD_STEPS + 1)
    patches = [
        _strip(angles[inner], middle[inner], RADIUS_M, METAL),
        flipped(_strip(angles, middle, RADIUS_M + _SHELL_M, UNDERSIDE)),
    ]
    fading = [k / ROAD_STEPS for k in range(ROAD_STEPS, -1, -1)]
    for first, shares in ((0, fading), (STEPS - ROAD_STEPS, fading[::-1])):
        place = partial(_on_strip, angles[first:], middle[first:])
        patches += road_with_fading_kerbs(place, shares, HALF_WIDTH_M, HALF_WIDTH_M)
    return patches


def _on_strip(angles: F64, middle: F64, section: int, offset: F64, height: F64) -> F64:
    """Return points (k, 3) of a section: offsets to the left of its middle, heights towards the axis."""
    reach = RADIUS_M - height
    y = _TOP + RADIUS_M - reach * math.cos(angles[section])
    return np.stack([middle[section] + offset, y, np.maximum(0.0, reach * math.sin(angles[section]))], axis=1)


def _strip(angles: F64, middle: F64, radius: float, finish: Finish) -> Patch:
    """Return the strip along a loop; it faces the loop's axis."""
    vertices = np.empty((len(angles), 2, 3))
    vertices[:, 0, 0], vertices[:, 1, 0] = middle + HALF_WIDTH_M, middle - HALF_WIDTH_M
    vertices[:, :, 1] = (_TOP + RADIUS_M - radius * np.cos(angles))[:, None]
    vertices[:, :, 2] = np.maximum(0.0, radius * np.sin(angles))[:, None]
    return net(vertices, finish)


def fork(site: Site) -> list[Patch]:
    """Return two curves of 48 m that meet: from -x and from +x to +z (3 x 2 cells)."""
    half, size = m.ASPHALT_HALF_WIDTH_M, 64.0
    outer_left = arc_path((0.0, size), 48.0 + half, -math.pi / 2, 0.0, 24)
    outer_right = arc_path((96.0, size), 48.0 + half, math.pi, 1.5 * math.pi, 24)
    inner_left = arc_path((0.0, size), 48.0 - half, 0.0, -math.pi / 2, 16)
    inner_right = arc_path((96.0, size), 48.0 - half, 1.5 * math.pi, math.pi, 16)
    near = outer_left.points[:, 0] <= 48.0 - FORK_FILLED_M, outer_right.points[:, 0] >= 48.0 + FORK_FILLED_M
    lower = Path(
        np.vstack([outer_left.points[near[0]], outer_right.points[near[1]]]),
        np.vstack([outer_left.lefts[near[0]], outer_right.lefts[near[1]]]),
    )
    # seen from above with +x at the left, walked from +x towards +z
    outline = np.vstack([inner_right.points, inner_left.points, lower.points])
    patches = [fan((48.0, 40.0), outline, _TOP, ASPHALT)]
    for edge in (_reversed(lower), _reversed(inner_right), _reversed(inner_left)):
        patches += sweep(edge, border_profile())
    if not site.on_ground:
        patches.append(flipped(rectangle((0.0, 0.0), (96.0, 64.0), m.ROAD_BODY_BOTTOM_M, UNDERSIDE)))
    return patches


FORK_FILLED_M = 8.0
"""Half width of the straight edge between the two outer curves (contacts reach 0.9 m beyond them; assumed)."""


def merging_diagonals(_site: Site, *, base_m: float, slope: float) -> list[Patch]:
    """Return two S-bends that come from -z and leave together through +z (3 x 2 cells), on a plane along z."""
    arms = s_path((80.0, 0.0), (48.0, 64.0), 24), s_path((16.0, 0.0), (48.0, 64.0), 24)
    patches: list[Patch] = []
    for arm, is_left in zip(arms, (True, False), strict=True):
        edges = [arm.points + side * m.ASPHALT_HALF_WIDTH_M * arm.lefts for side in (1.0, -1.0)]
        outer, inner = (edges[0], edges[1]) if is_left else (edges[1], edges[0])
        is_free = inner[:, 0] > 48.0 if is_left else inner[:, 0] < 48.0
        met = inner.copy()
        met[~is_free, 0] = 48.0  # behind the fork both arms are one road
        plan = np.stack([outer, met] if is_left else [met, outer], axis=1)
        patches.append(net(np.stack([plan[..., 0], np.full(plan.shape[:2], _TOP), plan[..., 1]], axis=2), ASPHALT))
        outside, inside = Path(outer, arm.lefts), Path(inner[is_free], arm.lefts[is_free])
        # the border lies on the right of its line: along the left edges one walks back
        for edge, is_left_edge in ((outside, is_left), (inside, not is_left)):
            patches += sweep(_reversed(edge) if is_left_edge else edge, border_profile())
    patches.append(flipped(rectangle((0.0, 0.0), (96.0, 64.0), m.ROAD_BODY_BOTTOM_M, UNDERSIDE)))
    tilted = []
    for patch in patches:
        vertices = patch.vertices.copy()
        vertices[:, 1] += base_m + slope * vertices[:, 2]
        tilted.append(Patch(vertices, patch.triangles, patch.material, patch.look))
    return tilted


def _reversed(path: Path) -> Path:
    return Path(path.points[::-1], -path.lefts[::-1])


def _loop(from_x_m: float, to_x_m: float, exits: str) -> BlockSpec:
    surfaces = partial(half_loop, from_x_m=from_x_m, to_x_m=to_x_m)
    return BlockSpec("loop", surfaces, size=(3, 2), exits=exits_of(exits), evidence=Evidence.MEASURED)


SIDE_LOOPS: dict[str, BlockSpec] = {
    "StadiumLoopLeft": _loop(16.0, 16.0 + SHIFT_M, "-z@0,0,0:R"),
    "StadiumLoopRight": _loop(80.0, 80.0 - SHIFT_M, "-z@2,0,0:R"),
    "StadiumRoadMainYShapedCurve2": BlockSpec(
        "road",
        fork,
        size=(3, 2),
        exits=exits_of("-x@0,0,0:R +z@1,0,1:R +x@2,0,0:R"),
        evidence=Evidence.MEASURED,
    ),
    **{
        f"StadiumRoadMainYShapedDiag2{name}": BlockSpec(
            "road",
            partial(merging_diagonals, base_m=base_m, slope=slope),
            size=(3, 2),
            exits=exits_of(f"-z@0,{low},0:R +z@1,{high},1:R -z@2,{low},0:R"),
            evidence=Evidence.ASSUMED,
        )
        for name, base_m, slope, low, high in (
            ("", 0.0, 0.0, 0, 0),
            ("SlopeDown", 0.0, 0.25, 0, 2),
            ("SlopeUp", 16.0, -0.25, 2, 0),
        )
    },
}
"""Loops and forks by name."""
