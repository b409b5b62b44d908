"""Velocity, rates and what else a ghost stores too coarsely, fitted on the first 0.6 s of many windows at once.

Gauss-Newton with finite differences; the simulator itself is the model, one perturbed car per parameter and window, all
in one world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, Recording
from trackmaster.capture.fidelity.state import drive_rows, get, put, set_motion
from trackmaster.capture.fidelity.windows import FIT_SAMPLES, Windows
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
ITERATIONS: Final = 10
FIRST_DAMPING: Final = 1e-2


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found.

    Attributes:
        state: one state per window.
        residual: (W,) root mean square of the scaled residuals, 1 where the fit is as good as the ghost is exact.
    """

    state: WorldState
    residual: F64


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


def fit_windows(world: World, recording: Recording, windows: Windows, warm: WorldState) -> Fit:
    """Fit the start of every window.

    Args:
        world: 14 cars per window, on the windows' track.
        recording: all drives.
        windows: W of them, at least 0.6 s long.
        warm: W states with the recorded pose and velocities.
    """
    n = len(windows)
    best, best_cost = np.zeros((n, N_PARAMETERS)), np.full(n, np.inf)
    best_jacobian = np.zeros((n, N_PARAMETERS, N_PARAMETERS))
    best_gradient = np.zeros((n, N_PARAMETERS))
    trial, damping = best.copy(), np.full(n, FIRST_DAMPING)
    for _ in range(ITERATIONS):
        residuals = _residuals(world, recording, windows, warm, trial)
        cost = np.sum(residuals[:, 0] ** 2, axis=1) + np.sum((trial / PRIOR) ** 2, axis=1)
        slope = (residuals[:, 1:] - residuals[:, :1]) / STEP[None, :, None]
        better = cost < best_cost
        normal = np.einsum("wpr,wqr->wpq", slope, slope) + np.diag(PRIOR**-2.0)
        gradient = np.einsum("wpr,wr->wp", slope, residuals[:, 0]) + trial / PRIOR**2
        best[better], best_cost[better] = trial[better], cost[better]
        best_jacobian[better], best_gradient[better] = normal[better], gradient[better]
        damping = np.where(better, np.maximum(damping * 0.1, 1e-6), np.minimum(damping * 30.0, 1e3))
        lifted = best_jacobian * (1.0 + damping[:, None, None] * np.eye(N_PARAMETERS))
        step = -np.linalg.solve(lifted, best_gradient[:, :, None])[:, :, 0]
        trial = np.clip(best + step, -LIMIT, LIMIT)
    used = np.sqrt(best_cost / (FIT_SAMPLES * 6))
    return Fit(changed(warm, recording, windows, best), used)


def _residuals(world: World, recording: Recording, windows: Windows, warm: WorldState, at: F64) -> F64:
    """Return (W, 14, 36) scaled differences to the ghost: the windows as they are, then each parameter changed."""
    n = len(windows)
    spread = np.repeat(np.arange(n), N_CARS)
    change = np.repeat(at[:, None], N_CARS, axis=1)
    change[:, 1:] += np.diag(STEP)
    many = windows.take(spread)
    world.restore(changed(warm.take(spread), recording, many, change.reshape(-1, N_PARAMETERS)))
    parts = []
    for k in range(FIT_SAMPLES):
        drive_rows(world, recording, many.row + k)
        parts.append(scaled_difference(world, recording, many, many.row + k + 1))
    return np.concatenate(parts, axis=1).reshape(n, N_CARS, -1)


def scaled_difference(world: World, recording: Recording, windows: Windows, rows: np.ndarray) -> F64:
    """Return (n, 6) position and rotation differences to the ghost in units of what the ghost can tell."""
    position = world.view.position_m.astype(np.float64)
    position[:, 1] += windows.height_m
    turn = world.view.rotation.astype(np.float64) @ recording.rotation[rows].transpose(0, 2, 1)
    skew = np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1)
    moved = (position - recording.position_m[rows]) / POSITION_SIGMA_M
    return np.concatenate([moved, skew / 2 / ROTATION_SIGMA], axis=1)
