"""Memories and sample compressors of the observations of TrackMania 2020, under the seed's names.

A compressor and a memory belong together: the one leaves out what the other rebuilds, and both apply to observations
whose pictures are uint8 and lead with the history: (h, H, W), or (h, rays) of a lidar.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.memory.torch_memory import TorchMemory
from trackmaster.rl.samples.buffer import Sample

ACT_BUF_LEN = IMGS_OBS = 4


class GenericTorchMemory(TorchMemory):
    """Stores observations as they are."""


class _WithHistory(TorchMemory):
    """Rebuilds the history of one leaf and the buffer of actions behind all of them."""

    newest: str

    def __init__(self, *args: Any, imgs_obs: int = IMGS_OBS, act_buf_len: int = ACT_BUF_LEN, **options: Any) -> None:
        super().__init__(*args, history={self.newest: imgs_obs}, act_buf_len=act_buf_len, **options)


class MemoryTMFull(_WithHistory):
    """Of (speed, gear, rpm, images, actions): stored are speed, gear, rpm and the newest image.

    Args:
        args: as for ``TorchMemory``.
        imgs_obs: images of an observation.
        act_buf_len: actions of an observation.
        options: as for ``TorchMemory``.
    """

    newest = "3"


class MemoryTMLidar(_WithHistory):
    """Of (speed, lidar, actions): stored are speed and the newest lidar; arguments as of ``MemoryTMFull``."""

    newest = "1"


class MemoryTMLidarProgress(_WithHistory):
    """Of (speed, progress, lidar, actions): stored without the older lidars; arguments as of ``MemoryTMFull``."""

    newest = "2"


def get_local_buffer_sample_tm20_imgs(
    action: Any, obs: Any, rew: float, terminated: bool, truncated: bool, info: dict[str, Any]
) -> Sample:
    """Keep speed, gear, rpm and the newest image, as uint8."""
    speed, gear, rpm, images = obs[:4]
    return action, (speed, gear, rpm, as_bytes(images[-1])), rew, terminated, truncated, info


def get_local_buffer_sample_lidar(
    action: Any, obs: Any, rew: float, terminated: bool, truncated: bool, info: dict[str, Any]
) -> Sample:
    """Keep speed and the newest lidar."""
    return action, (obs[0], obs[1][-1]), rew, terminated, truncated, info


def get_local_buffer_sample_lidar_progress(
    action: Any, obs: Any, rew: float, terminated: bool, truncated: bool, info: dict[str, Any]
) -> Sample:
    """Keep speed, progress and the newest lidar."""
    return action, (obs[0], obs[1], obs[2][-1]), rew, terminated, truncated, info


def as_bytes(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture in uint8; floats are fractions of 255, as the seed's preprocessor makes them."""
    array = np.asarray(picture)
    scaled = array * 255.0 if array.dtype.kind == "f" else array
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
