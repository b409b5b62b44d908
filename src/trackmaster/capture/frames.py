"""Pictures as they come: looked at, encoded in threads, and named for good when it is known which of them stay."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.plan import frame_name
from trackmaster.capture.verify import Check, PictureCheck
from trackmaster.capture.writer import FrameWriter, UtcClock, utc_text
from trackmaster.units import TICK_MS


class FrameTaker:
    """Takes the pictures of one replay into its folder; use it as a context."""

    def __init__(self, folder: Path, width: int, height: int, clock: UtcClock) -> None:
        """Begin without pictures.

        Args:
            folder: of the replay, temporary.
            width: expected of every picture.
            height: the same.
            clock: time of day for stamps.
        """
        self._folder = folder
        self._clock = clock
        self._size = (width, height)
        self._looked = PictureCheck(width, height)
        self._writer = FrameWriter()
        self._stamps: dict[int, str] = {}
        self._names: dict[int, str] = {}

    def expect(self, rows: NDArray[np.integer]) -> None:
        """Say which pictures will be kept, so that those that are yet to come get their names at once."""
        self._names = {
            row: frame_name(step, row * TICK_MS) for step, row in enumerate(rows.tolist()) if row not in self._stamps
        }

    def take(self, row: int, grey: NDArray[np.uint8], position_m: NDArray[np.floating], *, placed: bool) -> None:
        """Take the picture of one tick.

        Args:
            row: number of the tick.
            grey: (H, W), not changed afterwards.
            position_m: (3,) of the car.
            placed: whether the car was put elsewhere since the last picture.
        """
        self._looked.look(row * TICK_MS, grey, position_m, placed=placed)
        self._writer.write(self._folder / self._name(row), grey)
        self._stamps[row] = utc_text(self._clock())

    def keep(self, rows: NDArray[np.integer]) -> list[str]:
        """Wait for the last picture, name those of ``rows`` in order and drop all others.

        Returns:
            When each of them was taken; one that never came has none and leaves a gap in the names.
        """
        self._writer.wait()
        kept = rows.tolist()
        for row in self._stamps.keys() - set(kept):
            (self._folder / self._name(row)).unlink(missing_ok=True)
        for step, row in enumerate(kept):
            now, wanted = self._name(row), frame_name(step, row * TICK_MS)
            if now != wanted and (self._folder / now).is_file():
                (self._folder / now).rename(self._folder / wanted)
        return [self._stamps.get(row, "") for row in kept]

    def begin_again(self) -> None:
        """Forget all pictures, because the run that they are of is done once more."""
        self._writer.wait()
        for row in self._stamps:
            (self._folder / self._name(row)).unlink(missing_ok=True)
        self._stamps.clear()
        self._looked = PictureCheck(*self._size)

    def judged(self) -> Check:
        """Return what looking at the pictures gave."""
        return self._looked.result()

    def __enter__(self) -> Self:
        """Return the taker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads; after an error the pictures that still wait are dropped."""
        self._writer.__exit__(kind, error, trace)

    def _name(self, row: int) -> str:
        """Return the name of a picture until it is known which of them stay, or for good where that is known."""
        return self._names.get(row) or f"tick_{row:08d}.jpeg"
