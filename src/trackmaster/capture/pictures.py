"""Pictures of a trajectory: the camera follows every tick, only the ticks asked for are drawn, many per call."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.picture import CAMERA, Easel, follow_run
from trackmaster.sim.camera import CameraPose
from trackmaster.track import Track

__all__ = ["CAMERA", "Painter"]

BATCH = 16


class Painter:
    """Draws runs on one track."""

    def __init__(self, track: Track, width: int, height: int, device: str = "cpu") -> None:
        """Remember the place and the picture size."""
        self._size = (width, height)
        self._easel = Easel((track,), BATCH, device)

    def draw(self, trajectory: Trajectory, rows: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (row, grey picture (H, W)) for the ticks in ``rows``, in order.

        Args:
            trajectory: the run.
            rows: ascending row numbers, no doubles.
        """
        poses = follow(trajectory, int(rows[-1]) + 1 if len(rows) else 0)
        for first in range(0, len(rows), BATCH):
            chosen = rows[first : first + BATCH]
            batch = CameraPose(poses.eye_m[chosen], poses.rotation[chosen], poses.fov_deg[chosen])
            pictures = self._easel.draw(batch, trajectory.states[chosen], trajectory.steer[chosen], self._size)
            yield from zip(chosen.tolist(), pictures, strict=True)


def follow(trajectory: Trajectory, ticks: int) -> CameraPose:
    """Return the camera of the first ``ticks`` ticks of a run; it begins anew wherever the car was put."""
    run = slice(0, ticks)
    return follow_run(
        trajectory.states[run],
        trajectory.steer[run],
        trajectory.gas[run],
        trajectory.brake[run],
        trajectory.placed[run],
    )
