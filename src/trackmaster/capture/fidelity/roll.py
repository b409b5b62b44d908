"""Driving many windows open loop, and how far each car is from the ghost at every sample."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, Bools, Recording
from trackmaster.capture.fidelity.fit import EXPLAINED, N_CARS, Fit, fit_windows
from trackmaster.capture.fidelity.own import own_ghosts
from trackmaster.capture.fidelity.state import drive_rows, get, put, warm_states
from trackmaster.capture.fidelity.windows import I64, LONGEST, Windows
from trackmaster.sim import World, WorldState

CHUNK: Final = 256
"""Windows fitted at once."""

TRIES: Final = 3
"""How often a window is fitted that is not explained."""

ROUNDING_M: Final = 6e-5
"""Step of a float32 between 512 and 1024 m, where most maps lie: the game rounds positions to such steps as well."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Distance between driven car and ghost at the samples 0 ... 50 of each window, NaN beyond its length.

    Attributes:
        position_m: (W, 51).
        speed_mps: (W, 51) difference of the speeds, absolute.
        heading_rad: (W, 51) angle between the forward axes.
        fit: (W,) scaled residual of the fit, NaN where nothing was fitted.
        differs: (W, 51) other wheels than the ghost's touch, or other materials.
        twin_m: (W, 51) distance to cars that began a rounding error aside.
    """

    position_m: F64
    speed_mps: F64
    heading_rad: F64
    fit: F64
    differs: Bools
    twin_m: F64

    @classmethod
    def none(cls, n: int) -> Errors:
        """Return errors of n windows, all NaN."""
        position, speed, heading, twin = (np.full((n, LONGEST + 1), np.nan) for _ in range(4))
        return cls(position, speed, heading, np.full(n, np.nan), np.zeros((n, LONGEST + 1), np.bool_), twin)

    @classmethod
    def join(cls, parts: list[Errors]) -> Errors:
        """Return all windows of several sets."""
        if not parts:
            return cls.none(0)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def take(self, which: slice) -> Errors:
        """Return some of them."""
        return Errors(*(getattr(self, field.name)[which] for field in fields(self)))

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
        touches = world.view.wheel_contact[:n]
        differs = (touches != recording.contact[rows]).any(axis=1)
        differs |= (touches & (world.view.wheel_material[:n] != recording.material[rows])).any(axis=1)
        self.differs[there, k] = differs[there]


class _Worlds:
    """Worlds on one track by number of cars: a world too large would drive cars that nobody asked for."""

    def __init__(self, track: Any, device: str) -> None:
        self._track, self._device = track, device
        self._made: dict[int, World] = {}

    def of(self, n_cars: int) -> World:
        """Return the world with so many cars."""
        if n_cars not in self._made:
            share = next(iter(self._made.values()), None)
            self._made[n_cars] = World(self._track, n_cars, device=self._device, share=share)
        return self._made[n_cars]


def measure(track: Any, recording: Recording, windows: Windows, *, device: str = "cpu") -> Errors:
    """Fit and drive windows on one track.

    Args:
        track: what they drive on.
        recording: all drives.
        windows: at least 0.6 s long each.
        device: where to simulate.
    """
    return _drive(_Worlds(track, device), recording, windows)[0]


def measure_both(
    track: Any, recording: Recording, windows: Windows, *, device: str = "cpu"
) -> tuple[Errors, Errors, Windows]:
    """Do the same, and again on ghosts that the simulator drives itself from where these windows begin.

    Returns:
        Errors of the windows; errors on own ghosts, and where in the recording these begin and how long they last.
    """
    worlds = _Worlds(track, device)
    errors, state = _drive(worlds, recording, windows)
    if state is None:
        return errors, Errors.none(0), windows
    runs, on_own = own_ghosts(worlds.of(len(windows)), recording, windows, state)
    begins = replace(windows.take(runs.drive_of[on_own.row]), length=on_own.length)
    return errors, _drive(worlds, runs, on_own)[0], begins


def _drive(worlds: _Worlds, recording: Recording, windows: Windows) -> tuple[Errors, WorldState | None]:
    """Fit and drive windows; the second is where they begin, None if there are none."""
    if len(windows) == 0:
        return Errors.none(0), None
    fit = _fit_all(worlds, recording, windows)
    parts = []
    for which, keep in chunks(np.arange(len(windows))):
        chunk, state = windows.take(which), fit.state.take(which)
        errors = roll(worlds.of(len(which)), recording, chunk, state)
        apart = twins_apart(worlds.of(len(which) * N_CARS), recording, chunk, state)
        parts.append(replace(errors, fit=fit.residual[which], twin_m=apart).take(slice(keep)))
    return Errors.join(parts), fit.state


def chunks(which: I64) -> list[tuple[I64, int]]:
    """Return numbers in as few chunks as need be, all of one size, and how many of each count.

    The last one is filled up with some of before, with fewer than there are chunks.
    """
    size = -(-len(which) // -(-len(which) // CHUNK))
    return [
        (which[np.arange(first, first + size) % len(which)], min(size, len(which) - first))
        for first in range(0, len(which), size)
    ]


def _fit_all(worlds: _Worlds, recording: Recording, windows: Windows) -> Fit:
    """Fit all windows, and again by other chances those that are not explained."""
    steer = recording.slewed_steer
    which = np.arange(len(windows))
    best: Fit | None = None
    for seed in range(TRIES):
        for part, keep in chunks(which):
            chunk = windows.take(part)
            warm = warm_states(worlds.of(len(part)), recording, chunk, steer)
            fit = fit_windows(worlds.of(len(part) * N_CARS), recording, chunk, warm, seed=seed)
            best = best or Fit.none(len(windows), fit.state)
            best.take_in(fit, part, keep)
        assert best is not None
        which = np.flatnonzero(best.residual > EXPLAINED)
        if len(which) == 0:
            break
    assert best is not None
    return best


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


def twins_apart(world: World, recording: Recording, windows: Windows, state: WorldState) -> F64:
    """Return (W, 51) how far a car ends from its twins (median of 13) that begin one rounding error aside.

    However exact law and surfaces are, who rounds differently from the game is hardly nearer to the ghost than that.

    Args:
        world: 14 cars per window.
        recording: gives the inputs.
        windows: W of them.
        state: W states to begin with.
    """
    n = len(windows)
    spread = np.repeat(np.arange(n), N_CARS)
    many = state.take(spread)
    aside = np.random.default_rng(0).integers(-1, 2, (n, N_CARS, 3)) * ROUNDING_M
    aside[:, 0] = 0.0
    put(many, "position", get(many, "position") + aside.reshape(-1, 3))
    world.restore(many)
    apart = np.full((n, LONGEST + 1), np.nan)
    last = len(recording) - 2
    for k in range(int(windows.length.max(initial=0))):
        drive_rows(world, recording, np.minimum(windows.row[spread] + k, last))
        position = world.view.position_m.astype(np.float64).reshape(n, N_CARS, 3)
        there = windows.length > k
        apart[there, k + 1] = np.median(np.linalg.norm(position[:, 1:] - position[:, :1], axis=2), axis=1)[there]
    return apart
