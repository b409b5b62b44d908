"""Velocity, rates and what else a ghost stores too coarsely, fitted on the first 0.6 s of many windows at once.

The simulator itself is the model. Where wheels meet edges, what comes of a start is so rugged that a descent on all
0.6 s at once ends in the nearest dent (with ghosts that the simulator drove itself, through loops, 3 to 30 times as far
from them as the true start). So the fit begins with the first tenth of a second and takes in one more after the other,
and in each round tries steps of several lengths and chance changes along what is still uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, Recording
from trackmaster.capture.fidelity.state import drive_rows, get, put, set_motion, tables_of
from trackmaster.capture.fidelity.windows import FIT_SAMPLES, I64, Windows
from trackmaster.sim import World, WorldState

N_PARAMETERS: Final = 13
N_CARS: Final = N_PARAMETERS + 1
"""Cars per window while fitting."""
STEP: Final = np.repeat([0.04, 0.02, 1.2e-3, 8e-3], [3, 3, 3, 4])
"""Finite differences: velocity (m/s), rates (rad/s), rotation (rad), dampers (m); wide: the state is float32."""
PRIOR: Final = np.repeat([0.5, 0.2, 1.2e-4, 6e-3], [3, 3, 3, 4])
"""How coarsely the ghost stores them; rotation and dampers must stay within the ghost's own steps."""
LIMIT: Final = np.repeat([3.0, 1.5, 4e-4, 1.5e-2], [3, 3, 3, 4])
POSITION_SIGMA_M: Final = 2e-4
ROTATION_SIGMA: Final = 1.5e-4
ROUNDS: Final = ((1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5), (5, 0.5), (6, 0.5))
"""Samples compared in each round of a fit, and finite differences as a share of :data:`STEP`."""
MORE_ROUNDS: Final = (*ROUNDS, (6, 0.25), (6, 0.1), (6, 0.5), (6, 0.25))
"""For windows that are fitted again."""
DAMPINGS: Final = (1e-5, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
"""Each round tries one damped Gauss-Newton step per value ..."""
CHANCES: Final = (0.3, 0.3, 0.3, 1.0, 1.0, 1.0, 1.0)
"""... and one chance change per value: how many standard deviations wide."""
EXPLAINED: Final = 0.5
"""A window whose residual is not above this is explained: where the surface is exact, residuals are 0.2 to 0.4."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found.

    Attributes:
        state: one state per window.
        residual: (W,) root mean square of the scaled residuals, 1 where the fit is as good as the ghost is exact.
    """

    state: WorldState
    residual: F64

    @classmethod
    def none(cls, n: int, like: WorldState) -> Fit:
        """Return n fits that explain nothing; ``like`` is any state."""
        return cls(like.take(np.zeros(n, np.int64)), np.full(n, np.inf))

    def take_in(self, other: Fit, which: I64, count: int) -> None:
        """Replace fits by better ones: those of windows ``which``, only the first ``count``."""
        better = other.residual[:count] < self.residual[which[:count]]
        here, there = which[:count][better], np.flatnonzero(better)
        self.residual[here] = other.residual[there]
        for table, new in zip(tables_of(self.state), tables_of(other.state), strict=True):
            table[:, here] = new[:, there]


def rotation_matrix(vector: F64) -> F64:
    """Return (n, 3, 3) rotations by world vectors (n, 3), axis times angle."""
    angle = np.linalg.norm(vector, axis=1)[:, None, None]
    x, y, z = vector.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    safe = np.where(angle > 1e-12, angle, 1.0)
    turned: F64 = np.eye(3) + np.sinc(angle / np.pi) * cross + (1 - np.cos(angle)) / safe**2 * (cross @ cross)
    return turned


def changed(state: WorldState, recording: Recording, windows: Windows, change: F64) -> WorldState:
    """Return the states with parameters (W, 13) added: velocity, rates, rotation, dampers."""
    new = state.take(np.arange(state.n_cars))
    rows = windows.row
    rotation = rotation_matrix(change[:, 6:9]) @ recording.rotation[rows]
    set_motion(
        new,
        get(state, "position").astype(np.float64),
        rotation,
        get(state, "velocity") + change[:, :3],
        get(state, "spin") + change[:, 3:6],
    )
    put(new, "absorb", np.clip(get(state, "absorb") + change[:, 9:], 0.0, 0.2))
    return new


def fit_windows(world: World, recording: Recording, windows: Windows, warm: WorldState, *, seed: int = 0) -> Fit:
    """Fit the start of every window.

    Args:
        world: 14 cars per window, on the windows' track.
        recording: all drives.
        windows: W of them, at least 0.6 s long.
        warm: W states with the recorded pose and velocities.
        seed: of the chance changes, which are the same for all windows; any but the first tries longer.
    """
    chance = np.random.default_rng(seed)
    which = np.arange(len(windows))
    best = np.zeros((len(windows), N_PARAMETERS))
    cost = np.zeros(len(windows))
    for samples, share in MORE_ROUNDS if seed else ROUNDS:
        near = _surroundings(best, STEP * share * chance.choice([-1.0, 1.0], N_PARAMETERS))
        residuals = _residuals(world, recording, windows, warm, near, samples)
        far = _candidates(near, residuals, chance)
        points = np.concatenate([near, far], axis=1)
        far_residuals = _residuals(world, recording, windows, warm, far, samples)
        costs = _costs(np.concatenate([residuals, far_residuals], axis=1), points)
        best, cost = points[which, costs.argmin(axis=1)], costs.min(axis=1)
    return Fit(changed(warm, recording, windows, best), np.sqrt(cost / (FIT_SAMPLES * 6)))


def _surroundings(at: F64, steps: F64) -> F64:
    """Return (W, 14, 13): parameters (W, 13), then each of them changed by its step, or back where that is too far."""
    changes = np.where(np.abs(at + steps) > LIMIT, -steps, steps)
    near = np.repeat(at[:, None], N_CARS, axis=1)
    near[:, 1:] += changes[:, :, None] * np.eye(N_PARAMETERS)
    inside: F64 = np.clip(near, -LIMIT, LIMIT)
    return inside


def _costs(residuals: F64, points: F64) -> F64:
    cost: F64 = np.sum(residuals**2, axis=2) + np.sum((points / PRIOR) ** 2, axis=2)
    return cost


def spread_of(normal: F64) -> F64:
    """Return factors S (W, P, P) of the inverses of positive definite matrices (W, P, P): S S' = inverse.

    The inverse of a matrix that is nearly singular is rounded so far that it may have no factor; its own factor does
    not care how its parameters are scaled, and the inverse of that is as good.
    """
    try:
        return np.linalg.cholesky(np.linalg.inv(normal))
    except np.linalg.LinAlgError:
        return np.linalg.inv(np.linalg.cholesky(normal)).transpose(0, 2, 1)


def _candidates(near: F64, residuals: F64, chance: np.random.Generator) -> F64:
    """Return (W, 14, 13) where the parameters could be better, from their surroundings.

    Args:
        near: (W, 14, 13) the best parameters so far, then each of them changed.
        residuals: (W, 14, 6 n) of these.
        chance: for what is tried at random.
    """
    at, steps = near[:, 0], np.diagonal(near[:, 1:] - near[:, :1], axis1=1, axis2=2)
    slope = (residuals[:, 1:] - residuals[:, :1]) / steps[:, :, None]
    normal = np.einsum("wpr,wqr->wpq", slope, slope) + np.diag(PRIOR**-2.0)
    gradient = np.einsum("wpr,wr->wp", slope, residuals[:, 0]) + at / PRIOR**2
    diagonal = np.diagonal(normal, axis1=1, axis2=2)[:, :, None] * np.eye(N_PARAMETERS)
    steepest = [
        at - np.linalg.solve(normal + damping * diagonal, gradient[:, :, None])[:, :, 0] for damping in DAMPINGS
    ]
    spread = spread_of(normal + 1e-9 * diagonal)
    unexplained = np.sqrt(_costs(residuals[:, :1], near[:, :1]) / residuals.shape[2])
    drawn = [
        (step if number % 2 else at)
        + width * unexplained * np.einsum("wpq,q->wp", spread, chance.standard_normal(N_PARAMETERS))
        for number, (width, step) in enumerate(zip(CHANCES, steepest, strict=True))
    ]
    inside: F64 = np.clip(np.stack(steepest + drawn, axis=1), -LIMIT, LIMIT)
    return inside


def _residuals(
    world: World, recording: Recording, windows: Windows, warm: WorldState, points: F64, samples: int
) -> F64:
    """Return (W, 14, 6 samples) scaled differences to the ghost for parameters (W, 14, 13)."""
    many = windows.take(np.repeat(np.arange(len(windows)), N_CARS))
    spread = warm.take(np.repeat(np.arange(len(windows)), N_CARS))
    world.restore(changed(spread, recording, many, points.reshape(-1, N_PARAMETERS)))
    parts = []
    for k in range(samples):
        drive_rows(world, recording, many.row + k)
        parts.append(scaled_difference(world, recording, many, many.row + k + 1))
    return np.concatenate(parts, axis=1).reshape(len(windows), N_CARS, -1)


def scaled_difference(world: World, recording: Recording, windows: Windows, rows: np.ndarray) -> F64:
    """Return (n, 6) position and rotation differences to the ghost in units of what the ghost can tell."""
    position = world.view.position_m.astype(np.float64)
    position[:, 1] += windows.height_m
    turn = world.view.rotation.astype(np.float64) @ recording.rotation[rows].transpose(0, 2, 1)
    skew = np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1)
    moved = (position - recording.position_m[rows]) / POSITION_SIGMA_M
    return np.concatenate([moved, skew / 2 / ROTATION_SIGMA], axis=1)
