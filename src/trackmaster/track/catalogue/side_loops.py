"""The wide quarter pipes beside a road, and the forks of two curves and of two diagonals."""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.loops import PIPE_STEPS
from trackmaster.track.catalogue.plates import kerbs_that_fade
from trackmaster.track.catalogue.profile import ASPHALT, BARRIER, METAL, UNDERSIDE, border_profile
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, exits_of
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, Path, arc_path, fan, flipped, net, rectangle, s_path, sweep, wall

RADIUS_M = 42.62
"""Radius of the wide pipe (measured, 640 contacts: 42.6, +-0.1)."""

WIDTH_M, KERBS_END_M, ASPHALT_END_M = 96.0, 0.5, 6.0
"""The pipe fills its footprint across (assumed; contacts from 21 to 51 m); its first metres are asphalt (measured)."""

_TOP = m.ROAD_SURFACE_M


def wide_pipe(site: Site, *, road_x_m: float) -> list[Patch]:
    """Return a quarter pipe over three cells that begins at a road at ``road_x_m`` and climbs towards +z."""
    angles = np.linspace(0.0, math.pi / 2, PIPE_STEPS + 1)
    line = np.stack([RADIUS_M * np.sin(angles), _TOP + RADIUS_M * (1.0 - np.cos(angles))], axis=1)
    line = np.vstack([[KERBS_END_M, _TOP], line[1:]])
    cut = int(np.searchsorted(line[:, 0], ASPHALT_END_M))
    patches = [_across(line[: cut + 1], ASPHALT), _across(line[cut:], METAL)]
    low, high = road_x_m - 16.0, road_x_m + 16.0
    patches += kerbs_that_fade(road_x_m, low, high, KERBS_END_M)
    for x0, x1 in ((0.0, low), (high, WIDTH_M)):
        if x1 > x0:
            patches.append(rectangle((x0, 0.0), (x1, KERBS_END_M), _TOP, METAL))
            patches.append(wall((x1, 0.0), (x0, 0.0), 0.0, _TOP, BARRIER))
    top = line[-1]
    patches.append(wall((0.0, top[0] + 1.0), (WIDTH_M, top[0] + 1.0), 0.0, top[1], BARRIER))
    patches.append(rectangle((0.0, top[0]), (WIDTH_M, top[0] + 1.0), top[1], BARRIER))
    if not site.on_ground:
        patches.append(flipped(rectangle((0.0, 0.0), (WIDTH_M, top[0] + 1.0), 0.0, UNDERSIDE)))
    return patches


def _across(line: F64, finish: Finish) -> Patch:
    """Return the strip along ``line`` (n, 2) of z and y over the whole width; it looks up where z grows."""
    vertices = np.empty((len(line), 2, 3))
    vertices[:, 0, 0], vertices[:, 1, 0] = WIDTH_M, 0.0
    vertices[:, :, 1], vertices[:, :, 2] = line[:, None, 1], line[:, None, 0]
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


def _loop(road_x_m: float, exits: str) -> BlockSpec:
    surfaces = partial(wide_pipe, road_x_m=road_x_m)
    return BlockSpec("loop", surfaces, size=(3, 2), exits=exits_of(exits), evidence=Evidence.MEASURED)


SIDE_LOOPS: dict[str, BlockSpec] = {
    "StadiumLoopLeft": _loop(16.0, "-z@0,0,0:R"),
    "StadiumLoopRight": _loop(80.0, "-z@2,0,0:R"),
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
"""Wide pipes and the fork by name."""
