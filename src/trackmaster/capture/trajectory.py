"""One recorded or driven run on the callback clock: a state for every tick, ready to be drawn and labelled."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.state import CarStates
from trackmaster.units import TICK_MS


@dataclass(frozen=True)
class Trajectory:
    """States of the ticks T = 0, 10, 20, ...; row k belongs to T = 10 k."""

    states: CarStates
    """One car, one row per tick."""
    steer: NDArray[np.float32]
    """(n,) input in force during the tick, + = right."""
    gas: NDArray[np.float32]
    brake: NDArray[np.float32]
    placed: NDArray[np.bool_]
    """(n,) the car was put here and did not drive here (start, respawn): cameras begin anew."""
    rebuilt: tuple[str, ...] = ()
    """Quantities the source does not hold and that follow from others."""
    missing: tuple[str, ...] = ()
    """Quantities the source does not hold at all; their value is 0."""
    finish_ms: int | None = None
    """Race time of the finish as the source of this trajectory saw it."""
    cp_ms: tuple[int, ...] = ()
    """Race times of all gates in the order they were passed, the finish last; ``states`` keeps the first 64 only."""
    errors_m: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(m,) distance to the ghost at each of its samples (driven runs only)."""

    def __len__(self) -> int:
        """Return the number of ticks."""
        return len(self.states)

    @property
    def end_ms(self) -> int:
        """Callback time of the last tick, -10 when there is none."""
        return (len(self) - 1) * TICK_MS
