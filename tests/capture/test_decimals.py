"""Numbers are written as the shortest decimals that read back to the same float32."""

import numpy as np
import pytest

from trackmaster.capture.decimals import short_numbers, shortest

EDGES = [0.0, -0.0, 0.1, -0.1, 1 / 3, 999_999.94, 1e6, 16_777_216.0, 1e9, 3.4e38, 1e-13, 1e-14, 1e-38, 1e-45,
         9.999999e-5, 8_388_608.5, 0.3, 2.0**-13, 1_000.1, 99_999.99]  # fmt: skip


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-3, 1.0, 50.0, 3_000.0, 1e5, 1e8])
def test_the_shortest_decimal_is_the_one_that_numpy_prints(scale: float) -> None:
    chance = np.random.default_rng(int(np.log10(scale)) + 20)
    values = (chance.normal(size=20_000) * scale).astype(np.float32)
    expected = values.astype("U32").astype(np.float64)
    found = shortest(values)
    assert np.array_equal(found, expected)
    assert np.array_equal(found.astype(np.float32), values)


def test_edges_and_what_is_no_number() -> None:
    values = np.array(EDGES, np.float32)
    found = shortest(values)
    assert np.array_equal(found, values.astype("U32").astype(np.float64))
    assert np.array_equal(np.signbit(found), np.signbit(values))
    assert [repr(value) for value in short_numbers(np.array([0.1, 1.5, -2.25e-5]))] == ["0.1", "1.5", "-2.25e-05"]
    odd = shortest(np.array([np.nan, np.inf, -np.inf], np.float32))
    assert np.isnan(odd[0])
    assert odd[1:].tolist() == [np.inf, -np.inf]
    assert short_numbers(np.zeros((0, 3))) == []
    assert short_numbers(np.full((2, 1, 2), 0.2)) == [[[0.2, 0.2]], [[0.2, 0.2]]]
