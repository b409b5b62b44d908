"""Rotation matrices and quaternions on arrays, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


def quaternion_from_matrix(rotation: ArrayLike) -> F64:
    """Return unit quaternions (..., 4) as (w, x, y, z) with w >= 0 for rotation matrices (..., 3, 3).

    The largest of the four components is taken from the diagonal, so half turns lose no precision.
    """
    m = np.asarray(rotation, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], axis=-1)
    best = np.argmax(squares, axis=-1)
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    w2, x2, y2, z2 = (squares[..., k] for k in range(4))
    rows = np.stack(
        [
            np.stack([w2, wx, wy, wz], axis=-1),
            np.stack([wx, x2, xy, xz], axis=-1),
            np.stack([wy, xy, y2, yz], axis=-1),
            np.stack([wz, xz, yz, z2], axis=-1),
        ],
        axis=-2,
    )
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    result: F64 = np.where(q[..., :1] < 0, -q, q)
    return result
