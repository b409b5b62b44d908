"""A car between two recorded states: position, velocity and attitude.

Ghosts store a state every 100 ms; at a sample the result is the sample itself. In between the position follows the
cubic through both positions and velocities, the attitude turns at constant rate, and nothing is ever interpolated
across a respawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

MAX_SPEED_FACTOR = 1.5
"""Two samples further apart than their speeds allow by this factor (and a metre) have a respawn between them."""
JUMP_SLACK_M = 1.0


@dataclass(frozen=True)
class Bracket:
    """For each time wanted: the samples around it and the place between them."""

    left: NDArray[np.int64]
    """(n,) index of the last sample not after the time."""
    right: NDArray[np.int64]
    """(n,) the next one, or the same at the end."""
    share: Real
    """(n,) 0 at ``left``, below 1."""
    span_s: Real
    """(n,) seconds between the two, 0 where they are the same."""


def bracket(sample_ms: NDArray[np.integer], wanted_ms: NDArray[np.integer]) -> Bracket:
    """Find the samples around each time; times outside are held at the first or last sample."""
    times = np.asarray(sample_ms, dtype=np.int64)
    wanted = np.clip(np.asarray(wanted_ms, dtype=np.int64), times[0], times[-1])
    left = np.searchsorted(times, wanted, side="right") - 1
    right = np.minimum(left + 1, len(times) - 1)
    span = times[right] - times[left]
    share = np.where(span > 0, (wanted - times[left]) / np.where(span > 0, span, 1), 0.0)
    return Bracket(left, right, share, span / 1_000.0)


def jumps(
    sample_ms: NDArray[np.integer], position_m: Real, velocity_mps: Real, respawn_ms: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Return (n - 1,) True where the car was put elsewhere between sample i and i + 1.

    Args:
        sample_ms: (n,) times.
        position_m: (n, 3).
        velocity_mps: (n, 3).
        respawn_ms: times of respawn presses.
    """
    times = np.asarray(sample_ms, dtype=np.int64)
    if len(times) < 2:
        return np.zeros(0, dtype=bool)
    moved = np.linalg.norm(np.diff(position_m, axis=0), axis=1)
    speed = np.linalg.norm(velocity_mps, axis=1)
    reach = np.maximum(speed[:-1], speed[1:]) * np.diff(times) / 1_000.0
    jumped: NDArray[np.bool_] = moved > MAX_SPEED_FACTOR * reach + JUMP_SLACK_M
    for press in respawn_ms:
        interval = int(np.searchsorted(times, press, side="right")) - 1
        if 0 <= interval < len(jumped):
            jumped[interval] = True
    return jumped


def hermite(p0: Real, v0: Real, p1: Real, v1: Real, share: Real, span_s: Real) -> tuple[Real, Real]:
    """Return position and velocity of the cubic through two positions with two velocities.

    Args:
        p0: (n, 3) position at share 0, metres; ``v0`` its velocity, m/s.
        v0: (n, 3).
        p1: (n, 3) position at share 1; ``v1`` its velocity.
        v1: (n, 3).
        share: (n,) in [0, 1].
        span_s: (n,) seconds from 0 to 1; where it is 0 the result is ``p0``, ``v0``.
    """
    u, h = share[:, None], span_s[:, None]
    change = p1 - p0
    position = p0 + u * (h * v0 + u * (3 * change - h * (2 * v0 + v1) + u * (h * (v0 + v1) - 2 * change)))
    rate = h * v0 + u * (2 * (3 * change - h * (2 * v0 + v1)) + 3 * u * (h * (v0 + v1) - 2 * change))
    velocity = np.where(h > 0, rate / np.where(h > 0, h, 1.0), v0)
    exact = (share == 0)[:, None]
    return np.where(exact, p0, position), np.where(exact, v0, velocity)


def slerp(q0: Real, q1: Real, share: Real) -> Real:
    """Return unit quaternions (n, 4) on the shorter arc from ``q0`` to ``q1`` at constant turning rate."""
    dot = np.sum(q0 * q1, axis=1)
    near = np.where(dot < 0, -1.0, 1.0)[:, None] * q1
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    small = sine < 1e-6
    safe = np.where(small, 1.0, sine)
    w0 = np.where(small, 1.0 - share, np.sin((1.0 - share) * angle) / safe)
    w1 = np.where(small, share, np.sin(share * angle) / safe)
    turned = w0[:, None] * q0 + w1[:, None] * near
    turned = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return np.where((share == 0)[:, None], q0, turned)


def rotation_of(quaternion_wxyz: Real) -> Real:
    """Return (n, 3, 3) matrices of (n, 4) unit quaternions."""
    w, x, y, z = quaternion_wxyz.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
