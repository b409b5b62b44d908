"""Driving many windows open loop, and how far each car is from the ghost at every sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, Recording
from trackmaster.capture.fidelity.fit import N_CARS, fit_windows
from trackmaster.capture.fidelity.state import drive_rows, warm_states
from trackmaster.capture.fidelity.windows import LONGEST, Windows
from trackmaster.sim import World, WorldState

CHUNK: Final = 256
"""Windows fitted at once."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Distance between driven car and ghost at the samples 0 ... 50 of each window, NaN beyond its length.

    Attributes:
        position_m: (W, 51).
        speed_mps: (W, 51) difference of the speeds, absolute.
        heading_rad: (W, 51) angle between the forward axes.
        fit: (W,) scaled residual of the fit, NaN where nothing was fitted.
    """

    position_m: F64
    speed_mps: F64
    heading_rad: F64
    fit: F64

    @classmethod
    def none(cls, n: int) -> Errors:
        """Return errors of n windows, all NaN."""
        position, speed, heading = (np.full((n, LONGEST + 1), np.nan) for _ in range(3))
        return cls(position, speed, heading, np.full(n, np.nan))

    @classmethod
    def join(cls, parts: list[Errors]) -> Errors:
        """Return all windows of several sets."""
        if not parts:
            return cls.none(0)
        names = ("position_m", "speed_mps", "heading_rad", "fit")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def note(self, k: int, world: World, recording: Recording, windows: Windows) -> None:
        """Write down sample k of all windows that are that long."""
        there = windows.length >= k
        rows = np.minimum(windows.row + k, len(recording) - 1)
        n = len(windows)
        position = world.view.position_m[:n].astype(np.float64)
        position[:, 1] += windows.height_m
        distance = np.linalg.norm(position - recording.position_m[rows], axis=1)
        speed = np.linalg.norm(world.view.velocity_mps[:n].astype(np.float64), axis=1)
        speed_error = np.abs(speed - np.linalg.norm(recording.recorded_mps[rows], axis=1))
        forward = world.view.rotation[:n, :, 2].astype(np.float64)
        cross = np.linalg.norm(np.cross(forward, recording.rotation[rows, :, 2]), axis=1)
        heading = np.arctan2(cross, np.sum(forward * recording.rotation[rows, :, 2], axis=1))
        for table, values in (
            (self.position_m, distance), (self.speed_mps, speed_error), (self.heading_rad, heading),
        ):  # fmt: skip
            table[there, k] = values[there]


def measure(track: Any, recording: Recording, windows: Windows, *, device: str = "cpu") -> Errors:
    """Fit and drive windows on one track.

    Args:
        track: what they drive on.
        recording: all drives.
        windows: at least 0.6 s long each.
        device: where to simulate.
    """
    if len(windows) == 0:
        return Errors.none(0)
    size = min(CHUNK, len(windows))
    single, many = World(track, size, device=device), World(track, size * N_CARS, device=device)
    steer = recording.slewed_steer()
    parts = []
    for first in range(0, len(windows), size):
        # A last chunk that is not full is filled up with windows that were measured before.
        which = np.arange(first, first + size) % len(windows)
        chunk = windows.take(which)
        fit = fit_windows(many, recording, chunk, warm_states(single, recording, chunk, steer))
        errors = roll(single, recording, chunk, fit.state)
        keep = min(size, len(windows) - first)
        parts.append(Errors(errors.position_m[:keep], errors.speed_mps[:keep], errors.heading_rad[:keep],
                            fit.residual[:keep]))  # fmt: skip
    return Errors.join(parts)


def roll(world: World, recording: Recording, windows: Windows, state: WorldState) -> Errors:
    """Drive windows from given states with the recorded inputs."""
    errors = Errors.none(len(windows))
    world.restore(state)
    errors.note(0, world, recording, windows)
    last = len(recording) - 2
    for k in range(int(windows.length.max(initial=0))):
        drive_rows(world, recording, np.minimum(windows.row + k, last))
        errors.note(k + 1, world, recording, windows)
    return errors
