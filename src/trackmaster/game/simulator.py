"""The embedded simulator as a ``Game``."""

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.fleet import CarSnapshot, SimulatorFleet
from trackmaster.game.start import UNDISTURBED, Start
from trackmaster.game.state import CarState, GameError, Inputs
from trackmaster.track import Track

_ALL = np.ones(1, dtype=bool)


class SimulatorGame:
    """One simulated car; deterministic, complete snapshots, pictures of any size."""

    name = "simulator"

    def __init__(self, device: str = "cpu", *, watched: bool = True) -> None:
        """Choose the Warp device; nothing is loaded yet.

        Args:
            device: of physics and pictures.
            watched: False saves the camera; ``frame`` cannot be asked for then.
        """
        self._device = device
        self._is_watched = watched
        self._fleet: SimulatorFleet | None = None
        self._is_started = False

    def load(self, track: Track) -> None:
        """Take ``track`` as the place to drive; the next call must be ``reset``."""
        self.close()
        self._fleet = SimulatorFleet((track,), 1, device=self._device, watched=self._is_watched)

    def reset(self, state: object | None = None) -> CarState:
        """Go to the start line at race time 0, or to a state that ``snapshot`` gave.

        Raises:
            GameError: no track is loaded, or ``state`` is no snapshot of a simulator on this track.
        """
        if state is not None:
            return self.restore(state)
        return self.reset_at(UNDISTURBED)

    def reset_at(self, start: Start) -> CarState:
        """Go to a start that may be moved, turned or delayed.

        Raises:
            GameError: no track is loaded.
        """
        fleet = self._loaded()
        fleet.reset(_ALL, (start,))
        self._is_started = True
        return self._state()

    def step(self, inputs: Inputs, ticks: int) -> CarState:
        """Drive ``ticks`` ticks of 10 ms with constant inputs and return the state after them.

        Raises:
            GameError: ``reset`` was not called, or ``ticks`` is no whole number of at least 1.
        """
        fleet = self._started()
        if not isinstance(ticks, (int, np.integer)) or ticks < 1:
            raise GameError(f"step was asked for {ticks} ticks: a whole number of at least 1 must pass.")
        if inputs.respawn:
            fleet.respawn(_ALL)
        values = np.array([[inputs.steer], [inputs.gas], [inputs.brake]], dtype=np.float32)
        fleet.step(values[0], values[1], values[2], ticks)
        return self._state()

    def snapshot(self) -> CarSnapshot:
        """Return the complete state; going on from it repeats the run bit for bit."""
        return self._started().snapshot(0)

    def restore(self, state: object) -> CarState:
        """Go back to a state that ``snapshot`` gave on the same track.

        Raises:
            GameError: no track is loaded, or ``state`` is something else or from another track.
        """
        fleet = self._loaded()
        if not isinstance(state, CarSnapshot):
            raise GameError(f"a {type(state).__name__} cannot be restored: give what snapshot() returned.")
        fleet.restore(0, state)
        self._is_started = True
        return self._state()

    def frame(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the picture of the current tick, (height, width, 4) BGRA, rows top to bottom."""
        picture: NDArray[np.uint8] = self._started().pictures((width, height), mode="bgra")[0]
        return picture

    def close(self) -> None:
        """Let go of the simulator; ``load`` brings it back."""
        if self._fleet is not None:
            self._fleet.close()
        self._fleet = None
        self._is_started = False

    def _loaded(self) -> SimulatorFleet:
        if self._fleet is None:
            raise GameError("no track is loaded: call load(track) first.")
        return self._fleet

    def _started(self) -> SimulatorFleet:
        fleet = self._loaded()
        if not self._is_started:
            raise GameError("the race has not begun: call reset() after load().")
        return fleet

    def _state(self) -> CarState:
        return self._loaded().states.car(0)
