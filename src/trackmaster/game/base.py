"""The one interface behind which the embedded simulator and the real game are the same thing."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.state import CarState, Inputs
from trackmaster.track import Track


class Game(Protocol):
    """One car on one track, driven tick by tick on the callback clock.

    After ``reset`` the race time is 0: the tick that starts at 0 was run with neutral inputs. Inputs handed to
    ``step`` at time T act on the ticks that start at T + 10, T + 20, ...
    """

    name: str
    """"simulator" or "game": where pictures come from (``image_source`` in metadata)."""

    def load(self, track: Track) -> None:
        """Take ``track`` as the place to drive; the next call must be ``reset``."""

    def reset(self, state: object | None = None) -> CarState:
        """Go to the start line at race time 0, or to a state that ``snapshot`` gave."""

    def step(self, inputs: Inputs, ticks: int) -> CarState:
        """Drive ``ticks`` ticks of 10 ms with constant inputs and return the state after them."""

    def snapshot(self) -> object:
        """Return the complete state; going on from it repeats the run bit for bit."""

    def restore(self, state: object) -> CarState:
        """Go back to a state that ``snapshot`` gave on the same track."""

    def frame(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture of the current tick, (height, width, 4) BGRA, rows top to bottom."""

    def close(self) -> None:
        """Let go of the game; no call may follow."""
