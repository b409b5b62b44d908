"""At which ticks frames are taken, and what they are called."""

import re
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.errors import CaptureError
from trackmaster.units import TICK_MS

MAX_FPS = 1_000 // TICK_MS
_FRAME = re.compile(r"frame_(\d+)_(\d+)ms\.jpeg")


def planned_ticks(fps: float, end_ms: int) -> NDArray[np.int32]:
    """Return the race times at which frames are due, from 0 to ``end_ms`` inclusive.

    Frame k is planned for k * 1000 / fps ms and taken on the first tick not before it (64 fps: 0, 20, 40, 50, 70, ...).

    Args:
        fps: frames per second of race time, at most 100.
        end_ms: last callback time that can be shown.

    Raises:
        CaptureError: ``fps`` is not in (0, 100].
    """
    if not 0 < fps <= MAX_FPS:
        raise CaptureError(
            f"--fps {fps:g} cannot be captured: a frame belongs to one tick of {TICK_MS} ms, so at most {MAX_FPS} fit "
            "into a second. Choose a number above 0 and up to 100."
        )
    if end_ms < 0:
        return np.zeros(0, dtype=np.int32)
    interval = 1_000 / (Fraction(fps).limit_denominator(1_000_000) * TICK_MS)  # in ticks, exact
    last_tick = end_ms // TICK_MS
    count = int(last_tick / interval) + 2
    ticks = [-((-k * interval.numerator) // interval.denominator) for k in range(count)]
    return np.array([tick * TICK_MS for tick in ticks if tick <= last_tick], dtype=np.int32)


def frame_name(step: int, time_ms: int) -> str:
    """Return the file name of saved frame ``step`` taken at race time ``time_ms``."""
    return f"frame_{step:05d}_{time_ms}ms.jpeg"


def parse_frame(name: str) -> tuple[int, int]:
    """Return step and race time of a frame's file name, as ``frame_name`` makes it."""
    match = _FRAME.fullmatch(name)
    if match is None:
        raise CaptureError(f"{name!r} is no name of a frame, expected frame_<step>_<time>ms.jpeg.")
    return int(match[1]), int(match[2])
