"""Where the run of a replay and its pictures come from: the one seam between capture and the games it knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.surface import SurfaceMatch
from trackmaster.capture.trajectory import Trajectory
from trackmaster.capture.verify import Check


@dataclass(frozen=True)
class Recording:
    """One run, and how to get at the pictures of its ticks."""

    trajectory: Trajectory
    draw: Callable[[NDArray[np.integer], FrameTaker], None]
    """Takes the pictures of some rows of the trajectory; one that took them while it ran does nothing."""
    driven: bool
    """False where the car was placed on the ghost, so that a comparison with it proves nothing."""
    surface: SurfaceMatch | None = None
    """How the recorded wheels fit the map, where that matters."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """What only the recorder can judge: by name, in place of checks that do not apply without it."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``metadata.json`` that differ from the simulator's."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions beside that of trackmaster."""


class Recorder(Protocol):
    """Runs replays, one after the other."""

    def record(self, source: ReplaySource, rows: NDArray[np.integer], frames: FrameTaker) -> Recording:
        """Run one replay.

        Args:
            source: the replay.
            rows: ticks whose pictures are wanted, ascending; the run may end before the last of them.
            frames: takes pictures of games that cannot be asked for them later.

        Raises:
            ReplayRejectedError: it cannot be run.
            WorkerLostError: nothing can be run any more.
        """

    def close(self) -> None:
        """Let go of the game; ``record`` may be called again and begins anew."""
