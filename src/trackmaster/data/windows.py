"""Windows of consecutive frames: inside one replay, and evenly spaced in time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.tree import ReplayFolder
from trackmaster.units import TICK_MS


def evenly_spaced(times_ms: NDArray[np.int64], interval_ms: float) -> NDArray[np.bool_]:
    """Tell for each frame whether it follows the one before it without a gap.

    Frames sit on 10 ms ticks, so at 64 frames per second the steps alternate between 10 and 20 ms although nothing
    is missing: a step counts as even when it is less than one tick away from the planned interval.

    Args:
        times_ms: (n,) race times of the frames of one replay.
        interval_ms: planned time between two frames.

    Returns:
        (n,) the first is always False: nothing comes before it.
    """
    follows = np.zeros(len(times_ms), dtype=np.bool_)
    follows[1:] = np.abs(np.diff(times_ms) - interval_ms) < TICK_MS
    return follows


def window_starts(follows: NDArray[np.bool_], n_stack: int) -> NDArray[np.int64]:
    """Return the rows where a complete window begins.

    Args:
        follows: (n,) whether row i continues row i-1; False at the first row of every replay.
        n_stack: frames per window.

    Returns:
        (m,) rows s such that s … s + n_stack - 1 belong together.

    Raises:
        DataError: ``n_stack`` is below 1.
    """
    if n_stack < 1:
        raise DataError(f"a stack of {n_stack} frames is impossible: use 1 or more")
    count = len(follows) - n_stack + 1
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    breaks = np.concatenate([[0], np.cumsum(~follows)])  # breaks[i] = breaks among rows 0 … i-1
    starts = np.arange(count, dtype=np.int64)
    inside = breaks[starts + n_stack] - breaks[starts + 1]  # the window's own first row may be a break
    valid: NDArray[np.int64] = starts[inside == 0]
    return valid


def stack_windows(replays: Sequence[ReplayFolder], n_stack: int) -> NDArray[np.int64]:
    """Return the first row of every window over the frames of ``replays`` laid end to end.

    No window crosses a replay, and none spans a gap in time.
    """
    if not replays:
        return np.zeros(0, dtype=np.int64)
    return window_starts(np.concatenate([evenly_spaced(r.times_ms, r.interval_ms) for r in replays]), n_stack)
