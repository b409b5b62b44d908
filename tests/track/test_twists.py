"""The long straight way from level to tilted road: borders that go down by laws of their own."""

import numpy as np
import pytest

from trackmaster.track.catalogue import Site, known_blocks
from trackmaster.track.catalogue.measured import ASPHALT_HALF_WIDTH_M, CROSS_SLOPE, ROAD_SURFACE_M
from trackmaster.track.mesh import TriangleMesh

ALONG = np.linspace(0.1, 63.9, 30)
LEVEL_M = 8.0 + ROAD_SURFACE_M


def heights(side: str, to_high: float) -> np.ndarray:
    """Heights along the block at one distance from its middle, towards the high side."""
    spec = next(spec for name, _, spec in known_blocks() if name == f"StadiumRoadTiltTransition2{side}")
    mesh = TriangleMesh.from_patches(spec.surfaces(Site(False, frozenset())))
    x = 16.0 + (to_high if side == "Left" else -to_high)
    found, _ = mesh.ground_below(np.stack([np.full(len(ALONG), x), np.full(len(ALONG), 20.0), ALONG], axis=1))
    return found


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_the_gutter_of_the_high_border_goes_down_in_a_straight_line_between_rounded_ends(side: str) -> None:
    down = LEVEL_M - heights(side, 12.0)
    share = down / (CROSS_SLOPE * 4.0)
    middle = (ALONG > 10.0) & (ALONG < 54.0)
    assert share[middle] == pytest.approx((ALONG[middle] - 3.75) / 56.5, abs=6e-3)
    assert np.all(np.diff(share) > 0)
    assert share[0] < 3e-3
    assert share[-1] > 1 - 3e-3


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_asphalt_is_straight_from_edge_to_edge_and_bends_into_the_gutters(side: str) -> None:
    edge = ASPHALT_HALF_WIDTH_M - 1e-3
    high, low = heights(side, edge), heights(side, -edge)
    for share in (0.25, 0.5, 0.75):
        between = heights(side, edge * (2 * share - 1))
        # faces of 2 m by 2.6 m on a twisted surface stand out by a quarter of their twist
        assert between == pytest.approx(high * share + low * (1 - share), abs=0.012)
    gutter = heights(side, 12.0)
    continued = high + (high - low) * (12.0 - edge) / (2 * edge)
    assert np.abs(gutter - continued).max() > 0.04


def test_both_sides_are_mirrored() -> None:
    for to_high in (-11.5, -5.0, 0.0, 7.0, 11.5):
        assert heights("Left", to_high) == pytest.approx(heights("Right", to_high), abs=0.02)
