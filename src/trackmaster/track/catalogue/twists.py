"""The long straight road that turns from level to tilted: two borders with ways down of their own, a skin between them.

The road turns about a line along its high side, half a cell from its middle, so that this side joins a level road and a
tilted one at the same height. High and low border do so by different laws. Beyond the edge of the asphalt each border
(kerb, gutter, barrier) is a plane through that line; the asphalt is straight from edge to edge.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from trackmaster.track.catalogue import measured as m
from trackmaster.track.catalogue.profile import road_profile, underside_profile
from trackmaster.track.catalogue.spec import Site, Surfaces
from trackmaster.track.mesh import F64, Patch
from trackmaster.track.shapes import straight_path, sweep

HINGE_M = 16.0
"""Distance from the middle of the road to the line about which it turns (4 m down per 16 m across; measured: tilted
roads lie at 3.981 m in their middle and slope by 0.2512)."""

ROUNDED_M = 7.5
"""The high border is a straight line that is rounded over this length at both ends (measured: 24 contacts on its gutter
are explained to 2 mm (median); 0.1 s on nine real drives leaves 8.2 mm, with 7 or 8 m 9.3 mm)."""

LOW_LAW = (0.0, 0.031, 0.111, 0.28, 0.5, 0.72, 0.889, 0.969, 1.0)
"""Share of its way that the low border has gone at each eighth of the length (measured through the asphalt beside the
high border: +-0.003; symmetric by assumption, fitted freely both halves agree to 0.005)."""

LENGTH_M = 64.0

STEPS = 32
"""Pieces along (measured: 24 to 64 leave the same, 16 and 128 a third more)."""

STRIP_M = 2.7
"""Widest face across: eight on the asphalt (measured before the borders had their own laws: 8 left 9.5 mm after 0.1 s,
4 and 16 left 12, one left 25)."""


def rounded_line(z: F64, rounded_m: float) -> F64:
    """Return the share of its way that a straight line with rounded ends has gone at ``z`` of its length."""
    slope = 1.0 / (LENGTH_M - rounded_m)
    near = np.minimum(z, LENGTH_M - z)
    gone = np.where(near < rounded_m, near * near / (2 * rounded_m), near - rounded_m / 2) * slope
    share: F64 = np.where(z > LENGTH_M / 2, 1.0 - gone, gone)
    return share


def low_border(z: F64) -> F64:
    """Return the share of its way that the low border has gone at ``z`` of its length."""
    knots = np.linspace(0.0, LENGTH_M, len(LOW_LAW))
    values = np.array(LOW_LAW)
    slopes = np.zeros(len(values))
    slopes[1:-1] = (values[2:] - values[:-2]) / (knots[2] - knots[0])
    k = np.clip(np.searchsorted(knots, z, side="right") - 1, 0, len(knots) - 2)
    step = knots[1]
    t = (z - knots[k]) / step
    share: F64 = (
        values[k] * (1 + 2 * t) * (1 - t) ** 2
        + values[k + 1] * t * t * (3 - 2 * t)
        + step * (slopes[k] * t * (1 - t) ** 2 + slopes[k + 1] * t * t * (t - 1))
    )
    return share


@dataclass(frozen=True)
class Twist:
    """Lift of a road at block-local x and z: level at z = 0, tilted at the other end."""

    left_high: bool

    def __call__(self, x: F64, z: F64) -> F64:
        """Return the lift: 8 m minus how far the surface has come down."""
        along = np.clip(z, 0.0, LENGTH_M)
        to_high = (x - 16.0) * (1.0 if self.left_high else -1.0)
        edge = m.ASPHALT_HALF_WIDTH_M
        high = m.CROSS_SLOPE * rounded_line(along, ROUNDED_M)
        low = m.CROSS_SLOPE * low_border(along)
        share = np.clip((to_high + edge) / (2 * edge), 0.0, 1.0)
        skin = share * (HINGE_M - edge) * high + (1 - share) * (HINGE_M + edge) * low
        down = np.where(np.abs(to_high) <= edge, skin, (HINGE_M - to_high) * np.where(to_high > 0, high, low))
        height: F64 = 8.0 - down
        return height


def twisted(*, left_high: bool) -> Surfaces:
    """Return the surfaces of a road that is level at -z and tilted at +z."""
    return partial(_twisted, lift=Twist(left_high))


def _twisted(_site: Site, *, lift: Twist) -> list[Patch]:
    path = straight_path((16.0, 0.0), (16.0, LENGTH_M), STEPS)
    patches = sweep(path, road_profile().divided(STRIP_M), lift=lift)
    return patches + sweep(path, underside_profile(), lift=lift)
