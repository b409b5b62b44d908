"""Where batches of frames come from: decoded on the fly, or gathered from a cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.decode import FrameList
from trackmaster.data.errors import DataError
from trackmaster.data.images import load_gray
from trackmaster.data.tree import ReplayFolder, find_replays
from trackmaster.data.windows import stack_windows

Frames = NDArray[np.uint8] | NDArray[np.float32]
"""(B, n_stack, 1, H, W), uint8 0…255 or float32 0…1."""


class FrameSource(Protocol):
    """A data set of frame windows."""

    @property
    def sample_shape(self) -> tuple[int, int, int, int]:
        """(n_stack, 1, H, W) of one sample."""
        ...

    def __len__(self) -> int:
        """Return the number of windows."""
        ...

    def gather(self, rows: NDArray[np.int64]) -> Frames:
        """Return the windows ``rows`` (B,) as (B, n_stack, 1, H, W)."""
        ...


class ReplayFrameDataset:
    """Frames of captured replays, decoded when they are asked for.

    A sample is a window of ``n_stack`` consecutive frames, oldest first, all of one replay and without a gap in time.
    """

    def __init__(self, replays: Sequence[ReplayFolder] | Path, *, width: int, height: int, n_stack: int = 1) -> None:
        """Index the windows of ``replays`` (or of the tree at a path) without decoding anything."""
        self.replays = find_replays(replays) if isinstance(replays, Path) else tuple(replays)
        self.files = FrameList.of([replay.path for replay in self.replays], [replay.files for replay in self.replays])
        self.starts = stack_windows(self.replays, n_stack)
        self._shape = (n_stack, 1, height, width)

    @property
    def sample_shape(self) -> tuple[int, int, int, int]:
        """(n_stack, 1, H, W) of one sample."""
        return self._shape

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return window ``index`` as (n_stack, 1, H, W)."""
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        n_stack, _, height, width = self._shape
        out = np.empty(self._shape, dtype=np.uint8)
        for position in range(n_stack):
            out[position, 0] = load_gray(self.files[int(self.starts[index]) + position], width, height)
        return out

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the windows ``rows`` (B,) as (B, n_stack, 1, H, W)."""
        out = np.empty((len(rows), *self._shape), dtype=np.uint8)
        for position, row in enumerate(rows.tolist()):
            out[position] = self[row]
        return out

    def window_frames(self, index: int) -> tuple[tuple[str, str, int, int], ...]:
        """Return (track id, replay name, step, time in ms) of every frame of window ``index``."""
        first = int(self.starts[index])
        replay_index = int(np.searchsorted(self.files.offsets, first, side="right")) - 1
        replay, offset = self.replays[replay_index], first - int(self.files.offsets[replay_index])
        rows = range(offset, offset + self._shape[0])
        return tuple((replay.track_id, replay.name, int(replay.steps[r]), int(replay.times_ms[r])) for r in rows)


def require_samples(source: FrameSource, what: str) -> None:
    """Check that there is something to train on.

    Raises:
        DataError: the source has no window.
    """
    if len(source) == 0:
        raise DataError(
            f"the {what} set has no window of {source.sample_shape[0]} consecutive frames: "
            "use a smaller --n-stack, or capture replays without gaps."
        )
