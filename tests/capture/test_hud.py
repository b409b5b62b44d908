"""The HUD is told from the world: it stays white in its place while the car moves."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trackmaster.capture.hud import MIN_PICTURES, STEP_M, HudWatch

WIDTH, HEIGHT = 64, 48
ROWS, COLUMNS = 4, 16
"""Of a corner."""


def is_seen(pictures: list[NDArray[np.uint8]], step_m: float = STEP_M) -> bool:
    watch = HudWatch(WIDTH, HEIGHT)
    for number, grey in enumerate(pictures):
        watch.look(grey, np.array([0.0, 0.0, number * step_m], np.float32))
    return watch.is_shown


def road(count: int = 40) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(1).integers(40, 200, (count, HEIGHT, WIDTH), dtype=np.uint8))


@pytest.mark.parametrize("column", [3, WIDTH - 4])
def test_one_thin_digit_in_either_corner_is_enough(column: int) -> None:
    pictures = road()
    assert not is_seen(pictures)
    for grey in pictures:
        grey[-3:, column] = 250
    assert is_seen(pictures)
    assert not is_seen(pictures[: MIN_PICTURES - 1]), "too few pictures"
    assert not is_seen(pictures, step_m=STEP_M / 100), "a car that stands sees the same all the time"


def test_white_that_is_part_of_the_world_is_none() -> None:
    elsewhere, passing, rushing = road(), road(), road()
    for number, grey in enumerate(elsewhere):
        grey[: -ROWS - 1] = 255
        grey[-ROWS:, COLUMNS:-COLUMNS] = 255
        passing[number][-ROWS:, :COLUMNS] = 255 if number % 5 else 90
        rushing[number][-ROWS:, number % COLUMNS] = 255
    assert not is_seen(elsewhere)
    assert not is_seen(passing), "in four of five pictures"
    assert not is_seen(rushing)
