"""Tilted roads: the road's cross-section banked by 14 degrees, its curves, and the ways from level to tilted road.

Four shapes make the whole family (see :mod:`measured` for the numbers):

* a *cone*: height and bank are constant along the road (straights, tilted curves, gates);
* a *plane*: the ground plan of a road laid on a plane that climbs 8 m per 32 m along x. Such blocks lead from a
  climbing road to a tilted one; their bank follows from the direction in which they run;
* a *transition*: height and bank ease from one end to the other;
* a *twist*: the long straight way from level to tilted, see :mod:`twists`.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import ASPHALT, road_profile, underside_profile
from trackmaster.track.catalogue.roads import ROULETTE, TURBO
from trackmaster.track.catalogue.spec import BlockSpec, Evidence, Site, Surfaces, Waypoint, exits_of
from trackmaster.track.catalogue.twists import twisted
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.pose import TriggerKind
from trackmaster.track.shapes import Finish, Path, arc_path, s_path, straight_path, sweep

MEASURED, FAMILY = Evidence.MEASURED, Evidence.FAMILY

_TILTED, _CROSS_SLOPE = m.TILTED_FLOOR_M, m.CROSS_SLOPE
_LOWERED = 4.0 - m.TILTED_FLOOR_M
"""A tilted road lies this much lower in its middle than a road on an exact plane."""


CURVE_STEPS = 20
"""Pieces of a tilted curve per cell of its size (measured on GTCurve4: on 226 samples of its asphalt 80 pieces leave
0.64 mm after 0.1 s, as much as a level road does, 79 and 81 pieces 0.87 mm, 96 pieces 0.87 mm; on 81 samples on kerbs
and gutters 80 pieces leave 4.0 mm, 79 and 81 pieces 5.2 mm, 96 pieces 5.8 mm)."""

TRANSITION_STEPS = 64
"""Pieces of Transition1 (measured, 32 samples: with 64 pieces cars are 0.7 mm off after 0.1 s, with 128 0.9 mm,
with 32 1.4 mm)."""

TRANSITION_TOP = (
    (0.0, 0.0), (0.0, 0.00002), (0.0052, 0.00012), (0.0138, 0.00048), (0.0312, 0.00077), (0.0561, 0.00127),
    (0.0856, 0.00186),
)  # fmt: skip
"""How far the middle has come down (m), and how much the road leans the other way at first (m per m across), at the
first corners of Transition1, 0.5 m apart: the high side goes down first.

Measured by driving over its top from starts known to 0.1 mm: nine cars take off there, and 0.4 s later eight of them
are 0.3 to 1.5 mm off (the ninth 13) instead of 2 to 46. With 32, 80 or 128 pieces nothing of the kind is found.
"""
TRANSITION_JOINS_M = 16.0
"""From here on Transition1 follows the easings; in between it eases over (assumed, as all of it behind its top)."""

TWISTED_STRIP_M = 3.0
"""Widest face of a road whose bank changes."""


@dataclass(frozen=True)
class Easing:
    """A step from 0 to 1: the cubic step plus ``t^2 (1-t)^2`` times a polynomial of ``2t - 1``."""

    coefficients: tuple[float, ...] = ()

    def __call__(self, t: F64) -> F64:
        """Return the step at each share ``t`` of the way."""
        bump = sum((c * (2 * t - 1) ** k for k, c in enumerate(self.coefficients)), np.zeros_like(t))
        step: F64 = t * t * (3 - 2 * t) + (t * (1 - t)) ** 2 * bump
        return step


RISE_EASING, BANK_EASING = Easing((-0.03, 1.316)), Easing((0.0, 3.65))
"""Level to tilted road, in Transition1 and Transition2Curve (measured on the curve and on Transition2, 269 contacts,
median residual 8 mm)."""

DIAGONAL_RISE_EASING = Easing((0.0485, 1.868, 0.087))
DIAGONAL_BANK_EASING = Easing((-0.99, 5.32, 7.6))
"""The same along a diagonal (measured, 138 contacts, median residual 14 mm)."""


@dataclass(frozen=True, eq=False)
class _Form:
    """Rise and bank at each point of a path."""

    path: Path
    rise_m: F64
    bank: F64


def cone(path: Path, *, left_high: bool = True) -> _Form:
    """Return a tilted road of constant height."""
    sign = 1.0 if left_high else -1.0
    return _Form(path, np.full(len(path), _TILTED), np.full(len(path), sign * _CROSS_SLOPE))


def plane_along_x(path: Path, *, from_x_m: float = 0.0, sign: float = 1.0) -> _Form:
    """Return a road on the plane that climbs with ``sign`` x from ``from_x_m``."""
    rise = sign * m.BANK * (path.points[:, 0] - from_x_m)
    across = sign * path.lefts[:, 0]
    return _Form(path, rise - _LOWERED * np.abs(across), _CROSS_SLOPE * across)


def transition(
    path: Path, begin: tuple[float, float], end: tuple[float, float], easings: tuple[Easing, Easing] | None = None
) -> _Form:
    """Return a road whose (height, bank) go from ``begin`` to ``end``."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path.points, axis=0), axis=1))])
    share = along / along[-1]
    rise_easing, bank_easing = easings or (RISE_EASING, BANK_EASING)
    backwards = begin[1] != 0.0  # the easings are measured from the level end
    t = 1.0 - share if backwards else share
    level, tilted = (end, begin) if backwards else (begin, end)
    rise = level[0] + (tilted[0] - level[0]) * rise_easing(t)
    return _Form(path, rise, level[1] + (tilted[1] - level[1]) * bank_easing(t))


def banked(form: _Form, surface: Finish = ASPHALT) -> Surfaces:
    """Return the surfaces of a road of that form."""
    return partial(_banked, form=form, surface=surface)


def _banked(_site: Site, *, form: _Form, surface: Finish) -> list[Patch]:
    profile = road_profile(surface)
    if np.ptp(form.bank) > 0:
        profile = profile.divided(TWISTED_STRIP_M)
    patches = sweep(form.path, profile, rise_m=form.rise_m, bank=form.bank)
    return patches + sweep(form.path, underside_profile(), rise_m=form.rise_m, bank=form.bank)


def _straight(length_m: float, steps: int = 1) -> Path:
    return straight_path((16.0, 0.0), (16.0, length_m), steps)


def _arc(center: tuple[float, float], cells: int, start: float, end: float) -> Path:
    return arc_path(center, 32.0 * cells - 16.0, start * math.pi / 2, end * math.pi / 2, CURVE_STEPS * cells)


def _diagonal(length_cells: int, across_cells: int, *, mirrored: bool) -> Path:
    far = 16.0 + 32.0 * (across_cells - 1)
    begin, end = (far, 16.0) if mirrored else (16.0, far)
    return s_path((begin, 0.0), (end, 32.0 * length_cells), 48)


_GATE = Waypoint(
    TriggerKind.CHECKPOINT,
    m.CHECKPOINT_PLANE_M,
    m.ROAD_SURFACE_M,
    _TILTED + m.ROAD_SURFACE_M + m.RESPAWN_OVER_SURFACE_M,
    height_m=16.0,
)


def _block(
    form: _Form,
    exits: str,
    evidence: Evidence,
    *,
    size: tuple[int, int] = (1, 1),
    surface: Finish = ASPHALT,
    waypoint: Waypoint | None = None,
) -> BlockSpec:
    ways = exits_of(exits)
    return BlockSpec("tilted road", banked(form, surface), size=size, exits=ways, evidence=evidence, waypoint=waypoint)


_RIGHT_LOW = "+z@0,0,0:tR -z@0,0,0:tL"
_LEFT_LOW = "+z@0,0,0:tL -z@0,0,0:tR"
_STRAIGHT = cone(_straight(32.0))
_STRAIGHT_LEFT = cone(_straight(32.0), left_high=False)
_LEVEL_HIGH, _TILT, _TILT_RIGHT = (8.0, 0.0), (_TILTED, _CROSS_SLOPE), (_TILTED, -_CROSS_SLOPE)


def _to_tilt(end: tuple[float, float]) -> _Form:
    eased = transition(_straight(32.0, TRANSITION_STEPS), _LEVEL_HIGH, end)
    down, lifted = np.array(TRANSITION_TOP).T
    towards = -math.copysign(1.0, end[1])
    rise = _joined(eased.rise_m, _LEVEL_HIGH[0] - down, eased.path)
    return _Form(eased.path, rise, _joined(eased.bank, towards * lifted, eased.path))


def _joined(values: F64, top: F64, path: Path) -> F64:
    """Return values along a path that begin with ``top`` and go over into the given ones by a cubic curve."""
    z = path.points[:, 1]
    begin, end = len(top) - 1, int(np.searchsorted(z, TRANSITION_JOINS_M))
    length = z[end] - z[begin]
    t = (z[begin : end + 1] - z[begin]) / length
    first = (top[-1] - top[-2]) / (z[begin] - z[begin - 1])
    last = (values[end + 1] - values[end]) / (z[end + 1] - z[end])
    between = (
        top[-1] * (1 + 2 * t) * (1 - t) ** 2
        + values[end] * t * t * (3 - 2 * t)
        + length * (first * t * (1 - t) ** 2 + last * t * t * (t - 1))
    )
    return np.concatenate([top[:-1], between, values[end + 1 :]])


def _twist(exits: str, *, left_high: bool) -> BlockSpec:
    surfaces = twisted(left_high=left_high)
    return BlockSpec("tilted road", surfaces, size=(1, 2), exits=exits_of(exits), evidence=MEASURED)


def _diagonal_to_tilt(*, mirrored: bool) -> _Form:
    end = (8.0 + _TILTED, -_CROSS_SLOPE if mirrored else _CROSS_SLOPE)
    easings = (DIAGONAL_RISE_EASING, DIAGONAL_BANK_EASING)
    return transition(_diagonal(2, 2, mirrored=mirrored), (0.0, 0.0), end, easings)


_GATES: dict[str, BlockSpec] = {
    "StadiumRoadMainCheckpointLeft": _block(_STRAIGHT_LEFT, _LEFT_LOW, MEASURED, waypoint=_GATE),
    "StadiumRoadMainCheckpointRight": _block(_STRAIGHT, _RIGHT_LOW, MEASURED, waypoint=_GATE),
    "StadiumRoadMainTurboLeft": _block(_STRAIGHT_LEFT, _LEFT_LOW, FAMILY, surface=TURBO),
    "StadiumRoadMainTurboRight": _block(_STRAIGHT, _RIGHT_LOW, FAMILY, surface=TURBO),
    "StadiumRoadMainTurboRouletteLeft": _block(_STRAIGHT_LEFT, _LEFT_LOW, FAMILY, surface=ROULETTE),
    "StadiumRoadMainTurboRouletteRight": _block(_STRAIGHT, _RIGHT_LOW, FAMILY, surface=ROULETTE),
}

_CONES: dict[str, BlockSpec] = {
    "StadiumRoadTiltStraight": _block(_STRAIGHT, _RIGHT_LOW, MEASURED),
    "StadiumStretchTilt": _block(_STRAIGHT, _RIGHT_LOW, MEASURED),
    "StadiumRoadTiltCorner": _block(cone(_arc((0, 32), 1, -1, 0)), "-x@0,0,0:tL +z@0,0,0:tR", MEASURED),
    **{
        f"StadiumRoadTiltGTCurve{n}": _block(
            cone(_arc((0, 32.0 * n), n, -1, 0)), f"-x@0,0,0:tL +z@{n - 1},0,{n - 1}:tR", MEASURED, size=(n, n)
        )
        for n in (2, 3, 4)
    },
}

_PLANES: dict[str, BlockSpec] = {
    name: _block(plane_along_x(path), exits, evidence, size=size)
    for name, path, exits, size, evidence in (
        ("CornerDownLeft", _arc((0, 32), 1, -1, 0), "-x@0,0,0:R +z@0,0,0:tR", (1, 1), FAMILY),
        ("CornerDownRight", _arc((0, 0), 1, 1, 0), "-x@0,0,0:R -z@0,0,0:tL", (1, 1), FAMILY),
        ("CornerUpLeft", _arc((32, 32), 1, 2, 3), "+z@0,0,0:tR +x@0,1,0:R", (1, 1), MEASURED),
        ("CornerUpRight", _arc((32, 0), 1, 2, 1), "-z@0,0,0:tL +x@0,1,0:R", (1, 1), MEASURED),
        ("GTCurve2DownLeft", _arc((0, 64), 2, -1, 0), "-x@0,0,0:R +z@1,1,1:tR", (2, 2), MEASURED),
        ("GTCurve2DownRight", _arc((0, 0), 2, 1, 0), "-x@0,0,1:R -z@1,1,0:tL", (2, 2), MEASURED),
        ("GTCurve2UpLeft", _arc((64, 64), 2, 2, 3), "+z@0,0,1:tR +x@1,2,0:R", (2, 2), MEASURED),
        ("GTCurve2UpRight", _arc((64, 0), 2, 2, 1), "-z@0,0,0:tL +x@1,2,1:R", (2, 2), MEASURED),
    )
}

_DIAGONALS: dict[str, BlockSpec] = {
    f"StadiumRoadMainGTDiag{length}x{across}Tilt{'Mirror' if mirrored else ''}": _block(
        plane_along_x(
            _diagonal(length, across, mirrored=mirrored),
            from_x_m=32.0 * across if mirrored else 0.0,
            sign=-1.0 if mirrored else 1.0,
        ),
        f"+z@0,{across - 1},{length - 1}:tL -z@{across - 1},0,0:tR"
        if mirrored
        else f"-z@0,0,0:tL +z@{across - 1},{across - 1},{length - 1}:tR",
        MEASURED if (length, mirrored) == (3, True) else FAMILY,
        size=(across, length),
    )
    for length, across in ((2, 2), (3, 2))
    for mirrored in (False, True)
}

_TRANSITIONS: dict[str, BlockSpec] = {
    "Transition1Left": _block(_to_tilt(_TILT), "-z@0,1,0:R +z@0,0,0:tR", MEASURED),
    "Transition1Right": _block(_to_tilt(_TILT_RIGHT), "-z@0,1,0:R +z@0,0,0:tL", MEASURED),
    "Transition2Left": _twist("-z@0,1,0:R +z@0,0,1:tR", left_high=True),
    "Transition2Right": _twist("-z@0,1,0:R +z@0,0,1:tL", left_high=False),
    "Transition2CurveLeft": _block(
        transition(_arc((0, 0), 2, 1, 0), _TILT_RIGHT, _LEVEL_HIGH),
        "-x@0,0,1:tR -z@1,1,0:R",
        MEASURED,
        size=(2, 2),
    ),
    "Transition2CurveRight": _block(
        transition(_arc((64, 0), 2, 1, 2), _TILT, _LEVEL_HIGH), "+x@1,0,1:tL -z@0,1,0:R", MEASURED, size=(2, 2)
    ),
    "Transition2DiagLeft": _block(_diagonal_to_tilt(mirrored=False), "-z@0,0,0:R +z@1,1,1:tR", MEASURED, size=(2, 2)),
    "Transition2DiagRight": _block(_diagonal_to_tilt(mirrored=True), "-z@1,0,0:R +z@0,1,1:tL", MEASURED, size=(2, 2)),
}

TILTED: dict[str, BlockSpec] = {
    **_GATES,
    **_CONES,
    **_DIAGONALS,
    **{f"StadiumRoadTilt{name}": spec for name, spec in (*_PLANES.items(), *_TRANSITIONS.items())},
}
"""Tilted roads by name."""
