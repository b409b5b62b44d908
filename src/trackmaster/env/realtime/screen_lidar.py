"""Lidar from a screenshot: how many pixels from the car's nose to the first dark one, in 19 directions.

Rays start at row 44/49 of the height in the middle of the picture, 20 pixels out, and advance one pixel per unit, from
the right (0) over straight up (9) to the left (18). A pixel is dark when blue, green and red all lie below the
threshold: that is how the border of a plain road looks in TrackMania 2020 from the cockpit (camera 3, car hidden).

Source: tmrl 0.7.1, its lidar; bit-equal to it.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env.errors import EnvError

N_RAYS: Final = 19
FIRST_PX: Final = 20
DARK_BELOW: Final = 55
"""For the usual road; 88 fits the narrow one."""
WINDOW: Final = (958, 488)
"""Width and height of the game's window for which the published agents were trained."""


class ScreenLidar:
    """The rays of one picture size."""

    def __init__(self, width: int, height: int, *, dark_below: int = DARK_BELOW) -> None:
        """Lay the rays.

        Args:
            width: of the pictures.
            height: of the pictures.
            dark_below: a pixel whose three values lie below this is a border.

        Raises:
            EnvError: the picture is too small for a ray.
        """
        self.width, self.height, self.dark_below = width, height, dark_below
        rays = [_pixels(width, height, angle) for angle in range(90, 280, 10)]
        if min(len(ray) for ray in rays) < 1:
            raise EnvError(
                f"a lidar does not fit into {width} x {height} pixels: its rays begin {FIRST_PX} from the middle."
            )
        self._length = np.array([len(ray) for ray in rays])
        longest = int(self._length.max())
        padded = [np.pad(ray, ((0, longest - len(ray)), (0, 0)), mode="edge") for ray in rays]
        self._rows, self._columns = np.stack(padded).transpose(2, 0, 1)  # each (19, L)
        self._beyond = np.arange(longest) >= self._length[:, None]

    def scan(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return pixels (19,) to the first dark one; to the end of the ray where there is none.

        Args:
            picture: (H, W, 3 or 4) blue, green, red.

        Raises:
            EnvError: another size.
        """
        if picture.shape[:2] != (self.height, self.width) or picture.ndim != 3:
            raise EnvError(f"the picture has shape {picture.shape}, expected ({self.height}, {self.width}, 3).")
        dark = (picture[self._rows, self._columns, :3] < self.dark_below).all(axis=2) & ~self._beyond
        first = np.where(dark.any(axis=1), dark.argmax(axis=1), self._length - 1)
        return first.astype(np.float32)


def _pixels(width: int, height: int, angle_deg: int) -> NDArray[np.int64]:
    """Return the (L, 2) rows and columns of one ray."""
    row, column = 44 * height // 49, width // 2
    d_row, d_column = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    found: list[tuple[int, int]] = []
    away = FIRST_PX
    while True:
        r, c = int(row + away * d_row), int(column + away * d_column)
        if r <= 0 or c <= 0 or c >= width - 1:
            return np.array(found, dtype=np.int64).reshape(-1, 2)
        found.append((r, c))
        away += 1
