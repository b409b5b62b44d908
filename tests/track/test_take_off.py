"""Where surfaces end and how steeply: also of ramps, which end before their block does."""

import numpy as np
import pytest

from trackmaster.gbx import Block, Challenge
from trackmaster.track import Track
from trackmaster.track.catalogue import BlockSpec, Exit, lookup
from trackmaster.track.take_off import TakeOffs, flight_cost_m


def end_of(name: str) -> tuple[BlockSpec, Exit]:
    spec = lookup(name, 0)
    assert spec is not None
    return spec, (*spec.lips, *spec.exits)[0]


@pytest.mark.parametrize(
    ("name", "height_m", "slope"),
    [("StadiumRamp", 0.83, 0.45), ("StadiumRampLow", 5.08, 0.225), ("StadiumRoadMainFinishLine", 1.34, 0.0)],
)
def test_ends_are_found_and_measured(name: str, height_m: float, slope: float) -> None:
    """Heights count from the floor of the exit's cell and are those at the border of the block."""
    spec, way_out = end_of(name)
    assert TakeOffs().of(spec, way_out) == pytest.approx((height_m, slope), abs=0.01)


def test_a_long_flight_is_cheap_over_a_ramp_and_out_of_reach_without_one() -> None:
    far, fall = np.array([160.0]), np.array([-24.0])
    _, slope = TakeOffs().of(*end_of("StadiumRamp"))
    assert flight_cost_m(far, fall, slope) < 300.0
    assert flight_cost_m(far, fall, 0.0) > 1_000.0


def test_a_line_climbs_a_ramp_up_to_its_lip_and_flies_on_from_there() -> None:
    blocks = (
        Block("StadiumRoadMainStartLine", 2, 10, 4, 12, 0),
        Block("StadiumRampLow", 0, 10, 4, 11, 0),
        Block("StadiumRoadMainFinishLine", 2, 10, 4, 8, 0),
    )
    line = Track.from_challenge(Challenge(uid="ramp", name="Ramp", blocks=blocks)).centre_line()
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 2.0
    assert line[:, 1].max() == pytest.approx(32.0 + 5.08, abs=0.05)
    assert line[np.argmax(line[:, 1]), 2] == pytest.approx(352.0, abs=0.5)


def test_a_line_drops_from_a_lip_onto_the_block_below_without_a_gap() -> None:
    blocks = (
        Block("StadiumRoadMainStartLine", 2, 10, 4, 12, 0),
        Block("StadiumRampLow", 0, 10, 4, 11, 0),
        Block("StadiumCircuitBase", 0, 10, 3, 10, 0),
        Block("StadiumRoadMainFinishLine", 2, 10, 4, 9, 0),
    )
    line = Track.from_challenge(Challenge(uid="drop", name="Drop", blocks=blocks)).centre_line()
    over_edge = line[np.abs(line[:, 2] - 352.0) < 0.01]
    assert over_edge[[0, -1], 1] == pytest.approx([37.08, 32.0], abs=0.05)
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 2.0
