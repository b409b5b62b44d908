"""Roads of dirt: a hollow lane between banks, level, over hills, and raised on a dam."""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue.hills import DIRT
from trackmaster.track.catalogue.spec import Site, Surfaces
from trackmaster.track.catalogue.tilted import Easing
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import Finish, Path, arc_path, fan, height_field, net, s_path, straight_path

SECTION: tuple[tuple[float, float], ...] = (
    (0.0, -0.605),
    (4.7, -0.575),
    (6.5, -0.365),
    (8.5, -0.15),
    (9.5, 0.01),
    (10.5, 0.2),
    (11.2, 0.8),
    (11.6, 1.0),
)
"""Height over the floor by distance from the middle (measured, 750 contacts, median residual 20 mm: the game shakes
wheels on dirt). The last two are known to 0.1 m only. At 1.0 m the lane meets the dirt around it."""

DIRT_LEVEL_M = 1.0
"""The dirt around a lane, over the lane's floor."""

CURVE_SECTIONS: dict[int, tuple[tuple[float, float], ...]] = {
    2: (
        (-11.6, 1.0), (-9.0, 0.05), (-8.0, -0.2), (-7.1, -0.35), (-6.0, -0.44), (-5.0, -0.56), (-4.2, -0.68),
        (-3.0, -0.62), (-1.5, -0.52), (0.5, -0.39), (2.3, -0.26), (4.4, 0.03), (7.1, 0.31), (10.3, 0.77), (11.6, 1.0),
    ),
    3: (
        (-15.5, 1.0), (-14.5, 0.515), (-13.2, 0.075), (-12.4, -0.125), (-11.0, -0.305), (-9.3, -0.475), (-7.9, -0.595),
        (-6.5, -0.535), (-4.5, -0.46), (-1.5, -0.265), (0.0, -0.175), (4.0, 0.125), (8.0, 0.525), (11.6, 1.0),
    ),
}  # fmt: skip
"""Height by distance outwards in the middle of GTCurve2 and 3: the lane lies nearer to the inside there (measured, 521
and 488 contacts; the outer side of GTCurve3 is assumed).

GTCurve3 lies 25 mm below its contacts: driven for 0.1 s on 146 samples cars are 104 mm off, on the contacts 118 mm,
40 mm below them 108 mm.
"""

CURVE_FADE = 0.3
"""Share of a curve over which its cross-section changes at either end."""

DAM_CREST_M = 12.2
"""Half width of a raised lane with its rims; outside it falls to the dirt (assumed)."""

_HALF_CELL_M = 16.0
_ACROSS = np.array([x for x, _ in SECTION])


def section(offset: F64) -> F64:
    """Return the lane's height over its floor by distance from the middle; level outside of the rims."""
    knots, heights = np.array(SECTION).T
    height: F64 = np.interp(np.abs(offset), knots, heights)
    return height


def lane(
    path: Path,
    rise_m: F64 | float = 0.0,
    *,
    raised: bool = False,
    surface: Finish = DIRT,
    bank: F64 | float = 0.0,
) -> Patch:
    """Return the lane along ``path``, as wide as a cell: hollow, rims, and what lies outside of them.

    Args:
        path: middle of the lane.
        rise_m: height of the lane's floor at each point of the path.
        raised: outside of the rims the dam falls to the dirt; otherwise the ground stays level with the rims.
        surface: what the lane is made of.
        bank: how much higher it gets per metre to the left, at each point of the path.
    """
    slope = np.broadcast_to(np.asarray(bank, np.float64), (len(path),))
    rise = np.broadcast_to(np.asarray(rise_m, np.float64), (len(path),))
    half = np.array([*_ACROSS, *([DAM_CREST_M] if raised else []), _HALF_CELL_M])
    offsets = np.concatenate([half[::-1], -half[1:]])
    heights = section(offsets)[None, :] + rise[:, None] + slope[:, None] * offsets[None, :]
    if raised:
        heights[:, [0, -1]] = DIRT_LEVEL_M
    plan = path.points[:, None, :] + path.lefts[:, None, :] * offsets[None, :, None]
    return net(np.stack([plan[..., 0], heights, plan[..., 1]], axis=2), surface)


def straight(surface: Finish = DIRT, *, raised: bool = False) -> Surfaces:
    """Return the surfaces of a straight lane; ``raised`` ones lie one level higher, on a dam."""
    return partial(_straight, surface=surface, raised=raised)


def curve(cells: int, *, raised: bool = False) -> Surfaces:
    """Return the surfaces of a quarter circle from the side -x to the side +z."""
    return partial(_curve, cells=cells, raised=raised)


def diagonal(*, mirrored: bool) -> Surfaces:
    """Return the surfaces of an S over 2 x 3 cells (its plan is assumed to be that of the roads' diagonals)."""
    return partial(_diagonal, mirrored=mirrored)


def climb(cells: int, height_m: float, easing: Easing, *, raised_end: bool = False, hill: bool = False) -> Surfaces:
    """Return the surfaces of a lane that climbs along z; beside it the ground is level or the side of a hill."""
    return partial(_climb, cells=cells, height_m=height_m, easing=easing, raised_end=raised_end, hill=hill)


def curved_climb(
    center: tuple[float, float], start: float, end: float, easing: Easing, outward_bank: tuple[float, float]
) -> Surfaces:
    """Return the surfaces of a lane that climbs 16 m along a quarter circle of 48 m (angles in right angles).

    Args:
        center: of the circle.
        start: angle at the low end.
        end: angle at the high end.
        easing: of the climb.
        outward_bank: factors of 1 and (2t - 1), times t^2 (1-t)^2: how much higher it gets per metre outwards.
    """
    return partial(_curved_climb, center=center, start=start, end=end, easing=easing, outward_bank=outward_bank)


def waves(profile: tuple[tuple[float, float], ...]) -> Surfaces:
    """Return the surfaces of a straight lane over waves: (z, height over the lane)."""
    return partial(_waves, profile=profile)


def junction(arms: tuple[int, ...]) -> Surfaces:
    """Return the surfaces of a cell in which lanes from several sides (0..3 = +z, -x, -z, +x) meet."""
    return partial(_junction, arms=arms)


def dead_end(profile: tuple[tuple[float, float], ...]) -> Surfaces:
    """Return the surfaces of a lane that runs out: its floor rises along -z as ``profile`` (z, height) says."""
    return partial(_dead_end, profile=profile)


def _straight(_site: Site, *, surface: Finish, raised: bool) -> list[Patch]:
    return [lane(straight_path((16.0, 0.0), (16.0, 32.0)), 8.0 * raised, raised=raised, surface=surface)]


def _curve(_site: Site, *, cells: int, raised: bool) -> list[Patch]:
    size = 32.0 * cells
    path = arc_path((0.0, size), size - 16.0, -math.pi / 2, 0.0, 10 * cells)
    middle = lane(path, 8.0 * raised, raised=raised)
    if cells in CURVE_SECTIONS and not raised:
        middle = _hollow_curve(path, CURVE_SECTIONS[cells])
    return [middle, *_around(path, size)]


def _hollow_curve(path: Path, inner: tuple[tuple[float, float], ...]) -> Patch:
    """Return the lane along a curve whose cross-section changes to ``inner`` and back."""
    knots, heights = np.array(inner).T
    sides = np.concatenate([-_ACROSS, _ACROSS, knots, [-_HALF_CELL_M, _HALF_CELL_M]])
    outwards = np.unique(sides)[::-1]  # a growing angle has the outside on its left
    share = np.linspace(0.0, 1.0, len(path))
    ends = np.clip(np.minimum(share, 1.0 - share) / CURVE_FADE, 0.0, 1.0)
    weight = (ends * ends * (3.0 - 2.0 * ends))[:, None]
    height = (1.0 - weight) * section(outwards) + weight * np.interp(outwards, knots, heights)
    plan = path.points[:, None, :] + path.lefts[:, None, :] * outwards[None, :, None]
    return net(np.stack([plan[..., 0], height, plan[..., 1]], axis=2), DIRT)


def _around(path: Path, size: float, heights: tuple[float, float] = (DIRT_LEVEL_M, DIRT_LEVEL_M)) -> list[Patch]:
    """Return the level ground inside and outside of a quarter circle that goes from -x to +z."""
    outer = path.points + 16.0 * path.lefts
    inner = path.points - 16.0 * path.lefts
    patches = [fan((size, 0.0), outer[::-1], heights[1], DIRT, closed=False)]
    if size > 32.0:
        patches.append(fan((0.0, size), inner, heights[0], DIRT, closed=False))
    return patches


def _diagonal(_site: Site, *, mirrored: bool) -> list[Patch]:
    begin, end = (48.0, 16.0) if mirrored else (16.0, 48.0)
    path = s_path((begin, 0.0), (end, 96.0), 24)
    patches = [lane(path)]
    for side, border in ((1.0, 64.0), (-1.0, 0.0)):
        edge = path.points + side * 16.0 * path.lefts
        outer = np.stack([np.full(len(edge), border), edge[:, 1]], axis=1)
        pair = np.stack([outer, edge] if side > 0 else [edge, outer], axis=1)  # from left to right
        patches.append(net(np.stack([pair[..., 0], np.full(pair.shape[:2], DIRT_LEVEL_M), pair[..., 1]], axis=2), DIRT))
    return patches


def _climb(_site: Site, *, cells: int, height_m: float, easing: Easing, raised_end: bool, hill: bool) -> list[Patch]:
    length = 32.0 * cells
    path = straight_path((16.0, 0.0), (16.0, length), 16 * cells)
    share = path.points[:, 1] / length
    patch = lane(path, height_m * easing(share), raised=raised_end)
    if hill:
        return [_with_edges(patch, len(path), hill_edge(path.points[:, 1]))]
    return [patch]


def hill_edge(along_m: F64) -> F64:
    """Return how high the side of a hill is beside a lane that climbs it (over the floor of the lane's block)."""
    share = np.clip(along_m / 32.0, 0.0, 1.0)
    height: F64 = DIRT_LEVEL_M + 16.0 * share * share * (3.0 - 2.0 * share)
    return height


def _with_edges(patch: Patch, rows: int, edge_m: F64) -> Patch:
    vertices = patch.vertices.reshape(rows, -1, 3).copy()
    vertices[:, [0, -1], 1] = edge_m[:, None]
    return net(vertices, DIRT)


def _curved_climb(
    _site: Site,
    *,
    center: tuple[float, float],
    start: float,
    end: float,
    easing: Easing,
    outward_bank: tuple[float, float],
) -> list[Patch]:
    path = arc_path(center, 48.0, start * math.pi / 2, end * math.pi / 2, 24)
    share = np.linspace(0.0, 1.0, len(path))
    outwards = (share * (1 - share)) ** 2 * (outward_bank[0] + outward_bank[1] * (2 * share - 1))
    return [lane(path, 16.0 * easing(share), bank=outwards if end > start else -outwards)]


def _waves(_site: Site, *, profile: tuple[tuple[float, float], ...]) -> list[Patch]:
    along, heights = np.array(profile).T
    path = Path(np.stack([np.full(len(along), 16.0), along], axis=1), np.tile([1.0, 0.0], (len(along), 1)))
    patch = lane(path, heights)
    return [_with_edges(patch, len(path), np.maximum(DIRT_LEVEL_M, DIRT_LEVEL_M + heights))]


_KNOTS = np.unique(np.concatenate([16.0 - _ACROSS, 16.0 + _ACROSS, [0.0, 32.0]]))


def _junction(_site: Site, *, arms: tuple[int, ...]) -> list[Patch]:
    def height(x: F64, z: F64) -> F64:
        u, v = x - 16.0, z - 16.0
        found = section(np.hypot(u, v))
        for arm in arms:
            beyond = (v, -u, -v, u)[arm]
            found = np.where(beyond >= 0, np.minimum(found, section(u if arm % 2 == 0 else v)), found)
        return found

    return [height_field(_KNOTS, _KNOTS, height, DIRT)]


def _dead_end(_site: Site, *, profile: tuple[tuple[float, float], ...]) -> list[Patch]:
    along, floor = np.array(profile).T

    def height(x: F64, z: F64) -> F64:
        lifted: F64 = np.maximum(section(x - 16.0), np.interp(z, along, floor))
        return lifted

    return [height_field(_KNOTS, along, height, DIRT)]
