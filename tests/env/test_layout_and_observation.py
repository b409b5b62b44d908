"""The index map of the observation, read back from a car in which every number is different."""

import numpy as np
import pytest

from trackmaster.env import (
    ACTION_FORWARD,
    N_FLOATS,
    OBS_MEAN,
    OBS_STD,
    EnvError,
    ObservationBuilder,
    floats_from_snapshots,
    layout,
    previous_actions_at,
)
from trackmaster.env.observation import ShiftClock, gear_and_wheels, material_groups
from trackmaster.game.state import CarStates, empty_states
from trackmaster.gbx import ACTION_KEYS

QUARTER_LEFT = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
"""A car that looks along +X: its left is -Z, its forward +X."""


def unique_car() -> CarStates:
    cars = empty_states(1)
    cars.time_ms[:] = 1_230
    cars.position_m[0] = (100, 20, 300)
    cars.rotation[0] = QUARTER_LEFT
    cars.velocity_mps[0] = (31, 32, 33)
    cars.angular_velocity_radps[0] = (0.1, 0.2, 0.3)
    cars.wheel_sliding[0] = (True, False, False, True)
    cars.wheel_contact[0] = (False, True, True, False)
    cars.damper_m[0] = (0.011, 0.012, 0.013, 0.014)
    cars.wheel_material[0] = (16, 2, 6, 7)
    cars.gearbox_state[:] = 1
    cars.gear[:] = 4
    cars.rpm[:] = 8_765
    cars.is_freewheeling[:] = True
    return cars


def build(cars: CarStates, points: np.ndarray, extras: tuple[str, ...] = ()) -> np.ndarray:
    previous = np.array([[6, 1, 2, 11, 0]])
    return ObservationBuilder(extras).build(cars, points, np.array([123.0]), previous, np.array([7]))


def points_ahead() -> np.ndarray:
    k = np.arange(40.0)
    return np.stack([100 + 10 * k + 0.5, 20 + k, 300 - 2 * k], axis=1)[None]


def test_every_index_holds_what_the_table_says() -> None:
    floats = build(unique_car(), points_ahead())[0]
    assert floats.shape == (N_FLOATS,) == (184,)
    assert floats[0] == 0
    keys = [value for action in (6, 1, 2, 11, 0) for value in ACTION_KEYS[action]]
    assert floats[1:21].tolist() == [float(key) for key in keys]
    assert floats[21:25].tolist() == [1, 0, 0, 1]
    assert floats[25:29].tolist() == [0, 1, 1, 0]
    assert floats[29:33] == pytest.approx([0.011, 0.012, 0.013, 0.014])
    assert floats[33:37].tolist() == [1, 4, 8_765, 7]
    assert floats[37:53].tolist() == np.eye(4).ravel().tolist()
    # Car frame of a car that looks along +X: left = -Z, up = +Y, forward = +X.
    assert floats[53:56] == pytest.approx([-0.3, 0.2, 0.1])
    assert floats[56:59] == pytest.approx([-33, 32, 31])
    assert floats[59:62] == pytest.approx([0, 1, 0])
    assert floats[62:65] == pytest.approx([0, 0, 0.5])
    assert floats[65:68] == pytest.approx([2, 1, 10.5])
    assert floats[179:182] == pytest.approx([78, 39, 390.5])
    assert floats[182] == 123
    assert floats[183] == 1


def test_named_constants_point_into_the_same_table() -> None:
    assert slice(62, 65) == layout.CURRENT_POINT
    assert slice(65, 68) == layout.NEXT_POINT
    assert (layout.VELOCITY_LATERAL, layout.VELOCITY_FORWARD) == (56, 58)
    assert slice(25, 29) == layout.WHEEL_CONTACT
    assert slice(21, 53) == layout.GEAR_AND_WHEELS


def test_normalisation_tables() -> None:
    assert OBS_MEAN.shape == OBS_STD.shape == (184,)
    assert OBS_MEAN.dtype == OBS_STD.dtype == np.float32
    assert OBS_MEAN[1:5] == pytest.approx([0.8, 0.2, 0.3, 0.3])
    assert OBS_STD[29:33] == pytest.approx([0.06] * 4)
    assert OBS_MEAN[62:68] == pytest.approx([0, -2.1, -0.2, 0, -2.2, 9.5])
    assert OBS_STD[62:68] == pytest.approx([7.7, 7.7, 2.9, 7.8, 7.8, 3.3])
    assert OBS_MEAN[179:182] == pytest.approx([0, 11.5, 197])
    assert OBS_STD[179:182] == pytest.approx([198, 198, 151])
    assert (OBS_MEAN[182], OBS_STD[182], OBS_STD[183]) == (700, 350, 1)
    assert (OBS_STD > 0).all()
    with pytest.raises(ValueError):
        OBS_MEAN[0] = 1


def test_margin_is_cut_off_and_extras_come_behind() -> None:
    cars = unique_car()
    cars.lateral_contact[:] = True
    cars.turbo[:] = 5
    extras = ("wheel_contact_count", "lateral_contact", "turbo")
    builder = ObservationBuilder(extras)
    floats = builder.build(cars, points_ahead(), np.array([9_000.0]), np.zeros((1, 5), int), np.zeros(1, int))
    assert floats.shape == (1, builder.n_floats) == (1, 187)
    assert floats[0, 182] == 700
    assert floats[0, 184:].tolist() == [2, 1, 1]
    with pytest.raises(EnvError, match="once"):
        ObservationBuilder(("turbo", "turbo"))


def test_captured_snapshots_give_the_same_floats() -> None:
    cars = unique_car()
    live = build(cars, points_ahead())
    again = floats_from_snapshots(
        gear_and_wheels=gear_and_wheels(cars, np.array([7])),
        orientation_flat=cars.rotation.transpose(0, 2, 1).reshape(1, 9),
        velocity_mps=cars.velocity_mps,
        angular_velocity_radps=cars.angular_velocity_radps,
        zone_centers_in_car_frame=live[:, layout.POINTS],
        margin_m=np.array([123.0], np.float32),
        is_freewheeling=np.ones(1, np.float32),
        previous_actions=np.array([[6, 1, 2, 11, 0]]),
    )
    assert np.array_equal(live, again)


def test_the_number_of_cars_does_not_change_a_bit() -> None:
    rng = np.random.default_rng(0)
    cars = empty_states(37)
    cars.rotation[:] = np.linalg.qr(rng.normal(size=(37, 3, 3)))[0]
    cars.position_m[:] = rng.normal(size=(37, 3)) * 500
    cars.velocity_mps[:] = rng.normal(size=(37, 3)) * 50
    points = rng.normal(size=(37, 40, 3)) * 500
    builder = ObservationBuilder()
    zeros = np.zeros(37, int)
    together = builder.build(cars, points, np.full(37, 5.0), np.zeros((37, 5), int), zeros)
    for car in (0, 17, 36):
        one = slice(car, car + 1)
        alone = builder.build(cars[one], points[one], np.full(1, 5.0), np.zeros((1, 5), int), zeros[one])
        assert np.array_equal(alone[0], together[car])


def test_materials_fall_into_five_groups_and_unknown_ids_into_the_last() -> None:
    groups = material_groups(np.arange(-2, 40))
    expected = dict.fromkeys(range(-2, 40), 4)
    expected |= dict.fromkeys((0, 1, 16, 18, 19), 0) | {2: 1, 20: 1} | dict.fromkeys((5, 6, 8, 17), 2) | {7: 3, 26: 3}
    assert groups.tolist() == list(expected.values())


def test_the_shift_counter_counts_time_and_not_calls() -> None:
    def at(times: range) -> list[int]:
        clock = ShiftClock(1)
        return [int(clock.update(np.array([t]), np.array([int(120 <= t < 390)]))[0]) for t in times]

    fine = dict(zip(range(0, 500, 10), at(range(0, 500, 10)), strict=True))
    coarse = dict(zip(range(0, 500, 50), at(range(0, 500, 50)), strict=True))
    assert [fine[t] for t in (110, 120, 160, 170, 380, 390)] == [0, 0, 0, 1, 5, 0]
    # Decisions of 50 ms see the same number as the ticks between them.
    assert coarse == {t: fine[t] for t in coarse}


def test_previous_actions_of_a_recording_are_the_last_five_decisions() -> None:
    labels = np.arange(100) % 12
    history = previous_actions_at(labels, np.array([0, 40, 120, 600]))
    assert history[0].tolist() == [ACTION_FORWARD] * 5
    assert history[1].tolist() == [ACTION_FORWARD] * 5
    assert history[2].tolist() == [0, 0, 0, labels[2], labels[7]]
    assert history[3].tolist() == [labels[35], labels[40], labels[45], labels[50], labels[55]]
    assert previous_actions_at(labels[::5], np.array([600]), step_ms=50)[0].tolist() == history[3].tolist()
