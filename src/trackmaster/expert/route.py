"""The centre line of a track as the expert uses it: places along it, offsets from it, cars projected onto it.

An expert cannot follow a ghost's line, because it drives the first ghost; the line comes from the blocks alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.track import Track, Trigger, TriggerKind

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SPACING_M = 1.0
"""Distance between two points of a route."""

RUN_OUT_M = 60.0
"""The line goes straight on this far behind the finish, so that looking ahead never runs out of line."""


@dataclass(frozen=True, eq=False)
class Route:
    """Centre line of a track from the spawn to behind the finish.

    Attributes:
        points_m: (M, 3) world, on the surface, ``SPACING_M`` apart in the x-z plane.
        left: (M, 2) unit vectors to the left of the line, in the x-z plane.
        finish_m: arc length of the finish gate.
        gates_m: (C,) arc lengths of the passages that count before it, in driving order.
    """

    points_m: F64
    left: F64
    finish_m: float
    gates_m: F64

    @classmethod
    def of_track(cls, track: Track) -> "Route":
        """Return the route over all laps.

        Raises:
            TrackError: no connected road leads over all checkpoints to the finish.
        """
        return cls.along(track.centre_line(), track.triggers)

    @classmethod
    def along(cls, path_m: F64, triggers: Sequence[Trigger] = ()) -> "Route":
        """Return the route along a path (P, 3) that ends at the finish."""
        end = path_m[-1] - path_m[-2]
        run_out = path_m[-1] + end / _flat_length(end) * RUN_OUT_M
        line = np.concatenate([path_m, run_out[None]])
        arc = np.concatenate([[0.0], np.cumsum(_flat_length(np.diff(line, axis=0)))])
        at = np.arange(0.0, arc[-1], SPACING_M)
        points = np.stack([np.interp(at, arc, line[:, k]) for k in range(3)], axis=1)
        return cls(points, _left_of(points), float(arc[-2]), _gates(points, float(arc[-2]), triggers))

    @property
    def length_m(self) -> float:
        """Arc length of the whole line, run-out included."""
        return SPACING_M * (len(self.points_m) - 1)

    def at(self, s_m: F64, offset_m: F64) -> F64:
        """Return the x-z place (N, 2) at arc length ``s_m`` and ``offset_m`` to the left of the line."""
        scaled = np.clip(s_m / SPACING_M, 0.0, len(self.points_m) - 1.000001)
        index = scaled.astype(np.int64)
        part = (scaled - index)[:, None]
        xz = self.points_m[:, [0, 2]]
        on_line = xz[index] + part * (xz[index + 1] - xz[index])
        left: F64 = self.left[index] + part * (self.left[index + 1] - self.left[index])
        return on_line + offset_m[:, None] * left

    def project(self, position_xz: F64, hint: I64, *, ahead: int = 12, behind: int = 3) -> tuple[F64, F64, I64]:
        """Return where cars are along the line, searching only around where they were.

        The window keeps a car on its own branch where the track crosses itself.

        Args:
            position_xz: (N, 2) metres.
            hint: (N,) point numbers of the previous call.
            ahead: points searched in driving direction; at 20 calls per second 12 m are 860 km/h.
            behind: points searched against it.

        Returns:
            Arc length (N,), distance to the left of the line (N,) and point number (N,).
        """
        window = np.clip(hint[:, None] + np.arange(-behind, ahead + 1), 0, len(self.points_m) - 1)
        xz = self.points_m[:, [0, 2]]
        gap = xz[window] - position_xz[:, None, :]
        nearest = np.argmin(gap[..., 0] ** 2 + gap[..., 1] ** 2, axis=1)
        index = window[np.arange(len(hint)), nearest]
        off = position_xz - xz[index]
        left = self.left[index]
        along = off[:, 1] * left[:, 0] - off[:, 0] * left[:, 1]
        return SPACING_M * index + along, off[:, 0] * left[:, 0] + off[:, 1] * left[:, 1], index


def _flat_length(steps: F64) -> F64:
    length: F64 = np.sqrt(steps[..., 0] ** 2 + steps[..., 2] ** 2)
    return length


def _gates(points: F64, finish_m: float, triggers: Sequence[Trigger]) -> F64:
    """Return where the line enters checkpoints, and finish gates between two of them (the ends of laps)."""
    entries: dict[TriggerKind, list[float]] = {TriggerKind.CHECKPOINT: [], TriggerKind.FINISH: []}
    for trigger in triggers:
        inside = trigger.contains(points)
        entries[trigger.kind] += (SPACING_M * (np.flatnonzero(inside[1:] & ~inside[:-1]) + 1)).tolist()
    first = min(entries[TriggerKind.CHECKPOINT], default=finish_m)
    laps = [m for m in entries[TriggerKind.FINISH] if first < m < finish_m - 1.5 * SPACING_M]
    return np.sort(np.array(entries[TriggerKind.CHECKPOINT] + laps))


def _left_of(points: F64) -> F64:
    tangent = np.gradient(points[:, [0, 2]], axis=0)
    tangent /= np.sqrt((tangent**2).sum(axis=1, keepdims=True))
    return np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)  # left = up x forward
