"""Height profiles of slopes: where they begin and end, how they lean, how they are cut."""

import numpy as np
import pytest

from trackmaster.track.catalogue import rises


@pytest.mark.parametrize(
    ("rise", "length_m", "height_m", "pieces"),
    [
        (rises.SLOPE_BASE_2, 32.0, 16.0, 16),
        (rises.SLOPE_BASE, 32.0, 8.0, 16),
        (rises.BI_SLOPE, 64.0, 8.0, 16),
        (rises.U_TOP, 32.0, 0.0, 16),
    ],
    ids=["base 2", "base", "bi-slope", "top"],
)
def test_a_slope_leads_from_floor_to_floor_in_equal_pieces(
    rise: rises.Rise, length_m: float, height_m: float, pieces: int
) -> None:
    z, height = np.array(rise).T
    assert z == pytest.approx(np.linspace(0.0, length_m, pieces + 1))
    assert height[[0, -1]] == pytest.approx([0.0, height_m], abs=1e-9)


def test_a_bezier_slope_is_level_at_both_ends_and_looks_the_same_from_both() -> None:
    """Worked out by hand: a quarter of the way the curve has 5/32 of its height."""
    z, height = np.array(rises.bezier(32.0, 16.0, steps=3200)).T
    assert np.diff(height)[[0, -1]] == pytest.approx(0.0, abs=1e-4)
    assert height + height[::-1] == pytest.approx(16.0, abs=1e-6)
    handle = np.hypot(32.0, 16.0) / 3 / 32.0
    along = 32.0 * (27 / 64 * handle + 9 / 64 * (1 - handle) + 1 / 64)
    assert np.interp(along, z, height) == pytest.approx(16.0 * 5 / 32, abs=1e-4)
