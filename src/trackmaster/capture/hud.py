"""Does the game show its HUD in the pictures?

Race time, speed and gate count are white digits and labels on fixed places; the lower corners of the picture show road
and grass rushing by without them. What stays white there while the car moves is no part of the world.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

CORNER_HEIGHT: Final = 12
"""A corner is this part of the picture high (at least one row) ..."""
CORNER_WIDTH: Final = 4
"""... and this part of it wide."""
WHITE: Final = 235
"""Grey from here on is white."""
STEP_M: Final = 0.5
"""A picture counts when the car has moved so far since the last one that counted."""
MIN_PICTURES: Final = 20
"""Fewer decide nothing."""
STAYS: Final = 0.9
"""A pixel stays white if it is in this part of the pictures."""
MIN_SHARE: Final = 0.02
"""So much of one corner must stay white."""


class HudWatch:
    """Counts, pixel by pixel, how often the lower corners are white."""

    def __init__(self, width: int, height: int) -> None:
        """Expect pictures of this size."""
        self._rows = max(1, height // CORNER_HEIGHT)
        self._columns = max(1, width // CORNER_WIDTH)
        self._white = np.zeros((2, self._rows, self._columns), np.int32)
        self._count = 0
        self._last_m: list[float] | None = None

    def look(self, grey: NDArray[np.uint8], position_m: NDArray[np.floating]) -> None:
        """Take one picture, (H, W), and the (3,) position of the car in it."""
        here_m = position_m.tolist()
        if self._last_m is not None and math.dist(here_m, self._last_m) < STEP_M:
            return
        self._last_m = here_m
        self._count += 1
        bottom = grey[-self._rows :]
        self._white[0] += bottom[:, : self._columns] >= WHITE
        self._white[1] += bottom[:, -self._columns :] >= WHITE

    @property
    def is_shown(self) -> bool:
        """Whether a HUD stands in the pictures."""
        if self._count < MIN_PICTURES:
            return False
        stays = self._white >= STAYS * self._count
        return bool((stays.mean(axis=(1, 2)) >= MIN_SHARE).any())
