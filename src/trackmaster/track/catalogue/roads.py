"""RoadMain blocks: straights, slopes, junctions, curves, diagonals, gates and boosters."""

import math
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.caps import barrier_ends, end_cap
from trackmaster.track.catalogue.profile import (
    ASPHALT,
    BARRIER,
    METAL,
    UNDERSIDE,
    border_profile,
    road_profile,
    underside_profile,
)
from trackmaster.track.catalogue.rises import DEAD_END, PLATFORM_TO_ROAD, Rise
from trackmaster.track.catalogue.spec import Site, Surfaces
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import (
    Finish,
    Path,
    Profile,
    arc_path,
    fan,
    flipped,
    polyline_path,
    quad,
    rectangle,
    s_path,
    straight_path,
    sweep,
    wall,
)
from trackmaster.track.surface import Look, Material

TURBO = Finish(Material.TURBO, Look.TURBO)
ROULETTE = Finish(Material.TURBO_ROULETTE, Look.TURBO)
FREE_WHEELING = Finish(Material.FREE_WHEELING, Look.FREE_WHEELING)
PAD = Finish(Material.ASPHALT, Look.START)
FINISH = Finish(Material.METAL, Look.FINISH)

CURVE_PIECES = {1: 16, 2: 32, 3: 48, 4: 64, 5: 80}
"""Pieces of a curve by its size in cells: 16 per cell.

Measured where cars cross the kerbs, with the section of the kerb fitted anew for every number: 7 crossings of curves of
3 cells are explained best by 48 pieces, half as well by 60 and by 42 (geometric means), 6 of curves of 5 cells by 80,
half as well by 40 and 160. Those of 1, 2 and 4 cells are taken after them.
"""

_MIDDLE = 16.0


def straight(surface: Finish = ASPHALT, *, begin_m: float = 0.0, end_m: float = 32.0) -> Surfaces:
    """Return the surfaces of a straight that runs along z."""
    return partial(_swept, path=straight_path((_MIDDLE, begin_m), (_MIDDLE, end_m)), profile=road_profile(surface))


def slope(rise: Rise, surface: Finish = ASPHALT, *, base_m: float = 0.0) -> Surfaces:
    """Return the surfaces of a straight that climbs along z from ``base_m``."""
    return partial(_sloped, rise=rise, surface=surface, base_m=base_m)


def curve(cells: int) -> Surfaces:
    """Return the surfaces of a quarter circle over ``cells`` x ``cells`` from the side -x to the side +z."""
    radius = 32.0 * cells - 16.0
    path = arc_path((0, 32.0 * cells), radius, -math.pi / 2, 0.0, CURVE_PIECES[cells])
    return partial(_swept, path=path, profile=road_profile(kerb=m.CURVE_KERB_M))


def diagonal(length_cells: int, across_cells: int, *, mirrored: bool = False) -> Surfaces:
    """Return an S of two arcs that leaves the first column on one side and arrives columns further (assumed form)."""
    near, far = _MIDDLE, _MIDDLE + 32.0 * (across_cells - 1)
    begin, end = (far, near) if mirrored else (near, far)
    return partial(_swept, path=s_path((begin, 0.0), (end, 32.0 * length_cells), 24), profile=road_profile())


def climbing_diagonal(length_cells: int, across_cells: int, *, mirrored: bool = False) -> Surfaces:
    """Return the same S on a plane that climbs 8 m per 32 m along z."""
    near, far = _MIDDLE, _MIDDLE + 32.0 * (across_cells - 1)
    begin, end = (far, near) if mirrored else (near, far)
    path = s_path((begin, 0.0), (end, 32.0 * length_cells), 24)
    rise = ((0.0, 0.0), (32.0 * length_cells, 8.0 * length_cells))
    return partial(_climbing, path=path, lift=lift_of(rise))


def junction(open_sides: frozenset[int]) -> Surfaces:
    """Return the surfaces of a single cell whose road leaves through ``open_sides`` (0..3 = +z, -x, -z, +x)."""
    return partial(_junction, open_sides=open_sides)


def start_line(site: Site) -> list[Patch]:
    """Return the start block: a road that begins inside the block and the pad that the car rolls off."""
    patches = straight(begin_m=m.START_ROAD_BEGINS_M)(site)
    patches += end_cap((_MIDDLE, m.START_ROAD_BEGINS_M), (0.0, -1.0))
    return patches + _start_pad()


def finish_line(site: Site) -> list[Patch]:
    """Return the finish block: asphalt, a strip of metal, and the end of the road before the end of the block."""
    patches = straight(end_m=m.FINISH_METAL_M)(site)
    metal = road_profile(FINISH, gutter=METAL)
    path = straight_path((_MIDDLE, m.FINISH_METAL_M), (_MIDDLE, m.FINISH_ROAD_ENDS_M))
    patches += _swept(site, path=path, profile=metal)
    return patches + end_cap((_MIDDLE, m.FINISH_ROAD_ENDS_M), (0.0, 1.0))


def dead_end(site: Site) -> list[Patch]:
    """Return the end of a road with its exit towards +z: a ramp up from the ground."""
    rise = (*DEAD_END, (32.0, 0.0))
    begin, foot = rise[0]
    path, lift = knots_path(rise), lift_of(rise)
    patches = sweep(path, road_profile(), lift=lift)
    if not site.on_ground:
        patches += sweep(path, underside_profile(), lift=lift)
        patches += end_cap((_MIDDLE, begin), (0.0, -1.0), floor_m=foot)
    return patches


def platform_to_road(site: Site) -> list[Patch]:
    """Return the ramp from a platform (-z) to the road one level higher (+z); its barriers end at the platform."""
    base_m = m.PLATFORM_TOP_M - m.ROAD_SURFACE_M
    return slope(PLATFORM_TO_ROAD, base_m=base_m)(site) + barrier_ends((_MIDDLE, 0.0), (0.0, -1.0), floor_m=base_m)


def knots_path(rise: Rise) -> Path:
    """Return a straight along z with a point at every knot of ``rise``."""
    z = np.array([knot for knot, _ in rise], np.float64)
    points = np.stack([np.full(len(z), _MIDDLE), z], axis=1)
    return Path(points, np.tile([1.0, 0.0], (len(z), 1)))


def lift_of(rise: Rise, base_m: float = 0.0) -> "LiftAlongZ":
    """Return the height over the block's floor that belongs to ``rise``."""
    return LiftAlongZ(rise, base_m)


class LiftAlongZ:
    """Height as a function of z alone, straight between its knots."""

    def __init__(self, rise: Rise, base_m: float) -> None:
        self._z, self._height = np.array(rise, np.float64).T
        self._base = base_m

    def __call__(self, _x: F64, z: F64) -> F64:
        """Return the height at z."""
        height: F64 = np.interp(z, self._z, self._height) + self._base
        return height


def _swept(site: Site, *, path: Path, profile: Profile) -> list[Patch]:
    patches = sweep(path, profile)
    return patches if site.on_ground else patches + sweep(path, underside_profile())


def _climbing(_site: Site, *, path: Path, lift: "LiftAlongZ") -> list[Patch]:
    return sweep(path, road_profile(), lift=lift) + sweep(path, underside_profile(), lift=lift)


def _sloped(_site: Site, *, rise: Rise, surface: Finish, base_m: float) -> list[Patch]:
    path, lift = knots_path(rise), lift_of(rise, base_m)
    return sweep(path, road_profile(surface), lift=lift) + sweep(path, underside_profile(), lift=lift)


def _start_pad() -> list[Patch]:
    left, right = _MIDDLE + m.START_PAD_HALF_WIDTH_M, _MIDDLE - m.START_PAD_HALF_WIDTH_M
    begin, fall, end = m.START_PAD_BEGIN_M, m.START_PAD_FALL_M, m.START_PAD_END_M
    top, road = m.START_PAD_M, m.ROAD_SURFACE_M
    flank_left = np.array([[left, road, begin], [left, road, end], [left, top, fall], [left, top, begin]])
    flank_right = (flank_left * [-1, 1, 1] + [2 * _MIDDLE, 0, 0])[::-1]
    return [
        rectangle((right, begin), (left, fall), top, PAD),
        quad(np.array([[right, top, fall], [right, road, end], [left, road, end], [left, top, fall]]), PAD),
        wall((right, begin), (left, begin), road, top, BARRIER),
        quad(flank_left[::-1], BARRIER),
        quad(flank_right[::-1], BARRIER),
    ]


def _junction(site: Site, *, open_sides: frozenset[int]) -> list[Patch]:
    outline, borders = _junction_outline(open_sides)
    patches = [fan((_MIDDLE, _MIDDLE), outline, m.ROAD_SURFACE_M, ASPHALT)]
    for border in borders:
        patches += sweep(border, border_profile())
    if not site.on_ground:
        patches.append(flipped(rectangle((0, 0), (32, 32), m.ROAD_BODY_BOTTOM_M, UNDERSIDE)))
    return patches


def _junction_outline(open_sides: frozenset[int]) -> tuple[F64, list[Path]]:
    """Return the asphalt's outline, walked from +x towards +z, and its borders with the outside on their right."""
    around = (3, 0, 1, 2)  # sides in the order of growing angle: +x, +z, -x, -z; corner k lies after around[k]
    outline: list[tuple[float, float]] = []
    paths: list[Path] = []
    run: list[tuple[float, float]] = []
    runs: list[list[tuple[float, float]]] = []
    for k, (sx, sz) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        before, after = around[k] in open_sides, around[(k + 1) % 4] in open_sides
        if before and after:
            fillet = _fillet(sx, sz)
            paths.append(fillet)
            outline += [(float(x), float(z)) for x, z in fillet.points[::-1]]
            continue
        corner = _corner(sx, sz, x_open=before if sx * sz > 0 else after, z_open=after if sx * sz > 0 else before)
        outline.append(corner)
        run.append(corner)
        if after:
            runs.append(run)
            run = []
    if not open_sides:
        return np.array(outline), [polyline_path(run[::-1], closed=True)]
    if run:  # the border goes on over the side where the walk began
        runs[0] = run + runs[0]
    return np.array(outline), paths + [polyline_path(r[::-1]) for r in runs]


def _fillet(sx: int, sz: int) -> Path:
    """Return the rounded edge between two open sides, around the corner of the cell."""
    toward_center = math.atan2(-sz, -sx)
    return arc_path(
        (_MIDDLE + 16 * sx, _MIDDLE + 16 * sz),
        16 - m.ASPHALT_HALF_WIDTH_M,
        toward_center - math.pi / 4,
        toward_center + math.pi / 4,
        6,
    )


def _corner(sx: int, sz: int, *, x_open: bool, z_open: bool) -> tuple[float, float]:
    """Return where the asphalt's edge ends at an open side, or turns where both sides are closed."""
    half = m.ASPHALT_HALF_WIDTH_M
    return _MIDDLE + sx * (16.0 if x_open else half), _MIDDLE + sz * (16.0 if z_open else half)
