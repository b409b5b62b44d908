"""What an actor hands on to itself: the state of a recurrent network, kept per car by whoever drives.

The actor stays a pure function. Its state comes back among the columns it tells about its action, goes in again with
the next observation, and begins empty with every episode; so one actor serves cars in different episodes, and the state
that belongs to an observation is stored in the same row.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.actor import Observation

HIDDEN_COLUMN = "hidden"
"""Name of the state among the columns of an action and in the observation."""


class CarriedState:
    """The states of N cars; empty until an actor tells one."""

    def __init__(self) -> None:
        self.state: NDArray[np.float32] | None = None
        """(N, S) what the next observations go in with; None while no actor has told any."""

    def join(self, observation: Observation) -> Observation:
        """Return the observation with the states in it, if there are any."""
        return observation if self.state is None else {**observation, HIDDEN_COLUMN: self.state}

    def keep(self, told: Mapping[str, NDArray[Any]]) -> None:
        """Take the states from the columns that an actor told about its actions."""
        if HIDDEN_COLUMN in told:
            self.state = np.array(told[HIDDEN_COLUMN], dtype=np.float32)

    def forget(self, cars: NDArray[np.integer]) -> None:
        """Begin new episodes for some cars."""
        if self.state is not None:
            self.state[cars] = 0.0
