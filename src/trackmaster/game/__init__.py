"""One car on one track behind one interface: the embedded simulator, or the real game through TMInterface.

Types are light; the simulator is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trackmaster.game.start import UNDISTURBED, Start
from trackmaster.game.state import NEUTRAL, CarState, CarStates, GameError, Inputs

if TYPE_CHECKING:
    from trackmaster.game.base import Game
    from trackmaster.game.fleet import CarSnapshot, SimulatorFleet
    from trackmaster.game.recording import Run, drive_timeline, record_ghost
    from trackmaster.game.simulator import SimulatorGame
    from trackmaster.game.tminterface import TmInterfaceGame

_ON_FIRST_USE = {
    "CarSnapshot": "trackmaster.game.fleet",
    "Game": "trackmaster.game.base",
    "Run": "trackmaster.game.recording",
    "SimulatorFleet": "trackmaster.game.fleet",
    "SimulatorGame": "trackmaster.game.simulator",
    "TmInterfaceGame": "trackmaster.game.tminterface",
    "drive_timeline": "trackmaster.game.recording",
    "record_ghost": "trackmaster.game.recording",
}


def __getattr__(name: str) -> Any:
    """Import what needs the simulator when it is asked for."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)


__all__ = [
    "NEUTRAL",
    "UNDISTURBED",
    "CarSnapshot",
    "CarState",
    "CarStates",
    "Game",
    "GameError",
    "Inputs",
    "Run",
    "SimulatorFleet",
    "SimulatorGame",
    "Start",
    "TmInterfaceGame",
    "drive_timeline",
    "record_ghost",
]
