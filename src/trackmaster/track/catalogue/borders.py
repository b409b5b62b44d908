"""Borders of platforms: flat and on slopes; straight, around corners, diagonal, around wide curves.

Each form is drawn once, flat, with its platform towards +z (corners: see below), then turned and laid on the plane of
the slope. A border is a strip of rubber 4.7 m wide between the platform and a barrier; the rest of its cells is empty.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue import rises
from trackmaster.track.catalogue.platforms import RUBBER, SIDE, TOP, UNDERSIDE
from trackmaster.track.catalogue.rises import Rise
from trackmaster.track.catalogue.roads import lift_of
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.pose import block_offset_m, direction_rotation
from trackmaster.track.shapes import Path, Profile, arc_path, fan, flipped, straight_path, sweep

MEASURED, FAMILY, ASSUMED = Evidence.MEASURED, Evidence.FAMILY, Evidence.ASSUMED

SLOPE = 0.5
"""Height per metre on platform slopes (measured on their straights)."""

_STRIP = m.BORDER_RUBBER_M
_ARC_STEP_M = 5.0

Form = Callable[[float], list[Patch]]
"""Builds the flat border of a footprint of that many metres at height zero."""


def straight(size: float) -> list[Patch]:
    """Return the strip along the side +z, where the platform goes on."""
    return _strip(straight_path((32.0, size - _STRIP), (0.0, size - _STRIP)))


def corner_out(size: float) -> list[Patch]:
    """Return the border around an outward corner: the platform lies towards -x and +z, its curve ends there."""
    inner = size - 32.0
    path = _arc((0.0, size), inner + _STRIP, 0.0, -math.pi / 2)
    patches = _strip(path)
    if inner > 0:
        rim = path.points + path.lefts * _STRIP
        patches.append(fan((0.0, size), rim[::-1], 0.0, TOP, closed=False))
        patches.append(flipped(fan((0.0, size), rim[::-1], -m.PLATFORM_THICKNESS_M, UNDERSIDE, closed=False)))
    return patches


def corner_in(size: float) -> list[Patch]:
    """Return the border around an inward corner: outside is at (0, 0), the platform goes on towards +x and +z."""
    path = _arc((0.0, 0.0), size - _STRIP, 0.0, math.pi / 2)
    rim = path.points * (size / (size - _STRIP))
    return [*_strip(path), *_filled_corner(size, rim)]


def diagonal_out(size: float) -> list[Patch]:
    """Return the border straight across an outward corner (platform towards -x and +z)."""
    return _diagonal((_STRIP, size), (0.0, size - _STRIP), (0.0, size))


def diagonal_in(size: float) -> list[Patch]:
    """Return the border straight across an inward corner (outside at (0, 0))."""
    reach = size - _STRIP
    rim = np.array([[size, 0.0], [0.0, size]])
    edge = np.array([[reach, 0.0], [0.0, reach]])
    along_sides = np.array([[math.sqrt(2.0), 0.0], [0.0, math.sqrt(2.0)]])  # the barrier ends with the block
    return [*_strip_between(edge, rim, along_sides), *_filled_corner(size, rim)]


def _diagonal(start: tuple[float, float], end: tuple[float, float], tip: tuple[float, float]) -> list[Patch]:
    return _strip_between(np.array([start, end]), np.array([tip, tip]))


def _arc(center: tuple[float, float], radius: float, start: float, end: float) -> Path:
    steps = max(6, math.ceil(radius * math.pi / 2 / _ARC_STEP_M))
    return arc_path(center, radius, start, end, steps)


def _strip(path: Path) -> list[Patch]:
    """Return rubber, barrier and outer face along ``path``, the barrier's foot, with the platform on its left."""
    return _strip_between(path.points, path.points + path.lefts * _STRIP, path.lefts)


def _strip_between(foot: F64, rim: F64, lefts: F64 | None = None) -> list[Patch]:
    if lefts is None:
        along = (foot[-1] - foot[0]) / np.linalg.norm(foot[-1] - foot[0])
        lefts = np.tile([along[1], -along[0]], (len(foot), 1))
    path = Path(foot, lefts)
    outer, low, high = -m.BORDER_WALL_THICKNESS_M, -m.PLATFORM_THICKNESS_M, m.WALL_HEIGHT_M
    barrier = ((0.0, 0.0), (0.0, high), (outer, high), (outer, low))
    patches = sweep(path, Profile(barrier, (SIDE, SIDE, SIDE)))
    patches += sweep(path, Profile(((outer, low), (0.0, low)), (UNDERSIDE,)))
    top = _flat(rim, foot, 0.0)
    under = _flat(rim, foot, low)
    return [
        *patches,
        Patch(top.vertices, top.triangles, RUBBER.material, RUBBER.look),
        flipped(Patch(under.vertices, under.triangles, UNDERSIDE.material, UNDERSIDE.look)),
    ]


def _flat(left: F64, right: F64, height_m: float) -> Patch:
    count = len(left)
    plan = np.concatenate([left, right])
    vertices = np.stack([plan[:, 0], np.full(2 * count, height_m), plan[:, 1]], axis=1)
    k = np.arange(count - 1)
    first = np.stack([k, k + count, k + count + 1], axis=1)
    second = np.stack([k, k + count + 1, k + 1], axis=1)
    return Patch(vertices, np.concatenate([first, second]).astype(np.int32), TOP.material, TOP.look)


def _filled_corner(size: float, rim: F64) -> list[Patch]:
    tip = (size, size)
    under = fan(tip, rim[::-1], -m.PLATFORM_THICKNESS_M, UNDERSIDE, closed=False)
    return [fan(tip, rim[::-1], 0.0, TOP, closed=False), flipped(under)]


def laid(form: Form, cells: int, direction: int, base_m: float, slope: float) -> Surfaces:
    """Return a border turned to ``direction`` and laid on the plane ``base_m + slope * z``."""
    return partial(_laid, form=form, cells=cells, direction=direction, base_m=base_m, slope=slope)


def _laid(_site: Site, *, form: Form, cells: int, direction: int, base_m: float, slope: float) -> list[Patch]:
    rotation = direction_rotation(direction)
    offset = block_offset_m(direction, (0, 0, 0), (cells, cells))
    patches = []
    for flat in form(32.0 * cells):
        turned = flat.moved(rotation, offset)
        vertices = turned.vertices.copy()
        vertices[:, 1] += base_m + slope * vertices[:, 2]
        patches.append(Patch(vertices, flat.triangles, flat.material, flat.look))
    return patches


def along_rise(rise: Rise, *, left: bool) -> Surfaces:
    """Return the border beside a slope that climbs along z; the platform is on the other side."""
    return partial(_along_rise, rise=rise, left=left)


def _along_rise(_site: Site, *, rise: Rise, left: bool) -> list[Patch]:
    knots = np.array([z for z, _ in rise])
    x = _STRIP if left else 32.0 - _STRIP
    # the platform lies on the left of a walker towards -z where the border is at +x, else of one towards +z
    z = knots if not left else knots[::-1]
    along = np.stack([np.full(len(z), x), z], axis=1)
    path = Path(along, np.tile([1.0 if not left else -1.0, 0.0], (len(z), 1)))
    lift = lift_of(rise, m.PLATFORM_TOP_M)
    patches = []
    for flat in _strip(path):
        vertices = flat.vertices.copy()
        vertices[:, 1] += lift(vertices[:, 0], vertices[:, 2])
        patches.append(Patch(vertices, flat.triangles, flat.material, flat.look))
    return patches


def _border(
    form: Form, evidence: Evidence, direction: int = 0, cells: int = 1, base_m: float = 8.0, slope: float = 0.0
) -> BlockSpec:
    surfaces = laid(form, cells, direction, base_m, slope)
    return BlockSpec("border", surfaces, size=(cells, cells), evidence=evidence)


_FLAT: dict[str, BlockSpec] = {
    "StadiumCircuitBorderDiagIn": _border(diagonal_in, MEASURED),
    "StadiumCircuitBorderDiagOut": _border(diagonal_out, FAMILY),
    **{f"StadiumCircuitBorderGTCurve{n}In": _border(corner_in, FAMILY, cells=n) for n in (2, 3, 4)},
    "StadiumCircuitBorderGTCurve2Out": _border(corner_out, FAMILY, cells=2),
    "StadiumCircuitBorderGTCurve3Out": _border(corner_out, MEASURED, cells=3),
    "StadiumCircuitBorderGTCurve4Out": _border(corner_out, MEASURED, cells=4),
}

_OUT_DIRECTIONS = {"LeftTop": 1, "RightTop": 2, "RightBottom": 3, "LeftBottom": 0}
_IN_DIRECTIONS = {"LeftTop": 2, "RightTop": 3, "RightBottom": 0, "LeftBottom": 1}


def _on_slope(form: Form, outwards: bool, corner: str, cells: int = 1) -> BlockSpec:
    """Return a corner on a slope that climbs along z; its base follows from its neighbours in real maps."""
    direction = (_OUT_DIRECTIONS if outwards else _IN_DIRECTIONS)[corner]
    base_m = 0.0 if outwards and corner.endswith("Bottom") else 8.0
    return _border(form, FAMILY, direction, cells, base_m, SLOPE)


_SLOPED: dict[str, BlockSpec] = {
    "StraightTop": _border(straight, FAMILY, 2, slope=SLOPE),
    "StraightBottom": _border(straight, FAMILY, 0, base_m=0.0, slope=SLOPE),
    "StraightLeft": _border(straight, FAMILY, 1, slope=SLOPE),
    "StraightRight": _border(straight, FAMILY, 3, slope=SLOPE),
    **{
        f"{name}{side}": BlockSpec("border", along_rise(rise, left=side == "Left"), evidence=FAMILY)
        for name, rise in (("Start", rises.CIRCUIT_SLOPE_START), ("End", rises.CIRCUIT_SLOPE_END))
        for side in ("Left", "Right")
    },
    **{
        f"{name}{'Out' if outwards else 'In'}{corner}": _on_slope(form, outwards, corner, cells)
        for name, outwards, form, cells in (
            ("Corner", True, corner_out, 1),
            ("Corner", False, corner_in, 1),
            ("Diag", True, diagonal_out, 1),
            ("Diag", False, diagonal_in, 1),
            ("GTCurve2", True, corner_out, 2),
            ("GTCurve2", False, corner_in, 2),
        )
        for corner in _OUT_DIRECTIONS
    },
}

BORDERS: dict[str, BlockSpec] = {
    **_FLAT,
    **{f"StadiumCircuitBorderSlope{name}": spec for name, spec in _SLOPED.items()},
    # by its neighbours this is the outward corner at the left of the foot, whatever its name says
    "StadiumCircuitSlopeCornerInLeftBottom": _on_slope(corner_out, True, "LeftBottom"),
}
"""Borders by name (the flat straight and 1 x 1 corners are with the platforms)."""
