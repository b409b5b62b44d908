"""How mixed the experience in a memory is: a memory full of one policy's habits lets an agent forget the rest."""

import numpy as np
from numpy.typing import NDArray

BINS = 9


def action_variety(actions: NDArray[np.float32]) -> float:
    """Return the mean entropy of the parts of actions (N, A) in [-1, 1], over the largest possible: 0 to 1."""
    if not len(actions):
        return 0.0
    bins = np.clip(((actions + 1.0) / 2.0 * BINS).astype(np.int64), 0, BINS - 1)
    entropies = [_entropy(np.bincount(bins[:, part], minlength=BINS)) for part in range(actions.shape[1])]
    return float(np.mean(entropies) / np.log(BINS))


def policy_variety(versions: NDArray[np.integer]) -> float:
    """Return the effective number of weight versions that drove the rows: the exponential of their entropy."""
    return float(np.exp(_entropy(np.unique(versions, return_counts=True)[1]))) if len(versions) else 0.0


def _entropy(counts: NDArray[np.integer]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
