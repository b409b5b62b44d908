"""A mirrored car sees the mirrored observation."""

import numpy as np
import pytest

from trackmaster.env import MIRROR_ACTION, EnvError, ObservationBuilder, mirror_floats
from trackmaster.env.actions import KEY_TABLE
from trackmaster.game.state import CarStates, empty_states

FLIP = np.diag([-1.0, 1.0, 1.0])
"""The world in a mirror that stands across the X axis."""


def mirrored_world(cars: CarStates) -> CarStates:
    """The same scene in the mirror: places flip, the car's own left axis flips too, turning rates are axial."""
    other = cars.copy()
    other.position_m[:] = cars.position_m @ FLIP
    other.rotation[:] = FLIP @ cars.rotation @ FLIP
    other.velocity_mps[:] = cars.velocity_mps @ FLIP
    other.angular_velocity_radps[:] = -cars.angular_velocity_radps @ FLIP
    swap = [1, 0, 3, 2]
    for name in ("wheel_sliding", "wheel_contact", "damper_m", "wheel_material"):
        getattr(other, name)[:] = getattr(cars, name)[:, swap]
    return other


def test_mirrored_scene_and_mirrored_floats_agree() -> None:
    rng = np.random.default_rng(3)
    n = 20
    cars = empty_states(n)
    turns = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    cars.rotation[:] = turns * np.sign(np.linalg.det(turns))[:, None, None]
    cars.position_m[:] = rng.normal(size=(n, 3)) * 100
    cars.velocity_mps[:] = rng.normal(size=(n, 3)) * 30
    cars.angular_velocity_radps[:] = rng.normal(size=(n, 3))
    cars.wheel_contact[:] = rng.random((n, 4)) < 0.5
    cars.wheel_sliding[:] = rng.random((n, 4)) < 0.5
    cars.damper_m[:] = rng.random((n, 4))
    cars.wheel_material[:] = rng.integers(0, 31, (n, 4))
    points = rng.normal(size=(n, 40, 3)) * 200
    actions = rng.integers(0, 12, (n, 5))
    builder, steady, margin = ObservationBuilder(), np.zeros(n, int), np.full(n, 50.0)
    seen = builder.build(cars, points, margin, actions, steady)
    mirrored = builder.build(mirrored_world(cars), points @ FLIP, margin, MIRROR_ACTION[actions], steady)
    assert np.allclose(mirror_floats(seen), mirrored, atol=1e-4)
    assert np.array_equal(mirror_floats(mirror_floats(seen)), seen)


def test_mirrored_actions_swap_left_and_right() -> None:
    assert np.array_equal(KEY_TABLE[MIRROR_ACTION], KEY_TABLE[:, [0, 1, 3, 2]])


def test_extras_are_not_mirrored_silently() -> None:
    with pytest.raises(EnvError, match="185"):
        mirror_floats(np.zeros((2, 185), np.float32))
