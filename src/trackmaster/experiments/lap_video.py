"""A driven lap as a video."""

from pathlib import Path

import numpy as np

from trackmaster.experiments.lap import Lap, lap_frames, track_length_m
from trackmaster.progress import progress
from trackmaster.track import Track
from trackmaster.units import MPS_TO_KMPH
from trackmaster.view import OverlayFrame, write_lap_video

VIDEO_SIZE_PX = (854, 480)
VIDEO_EVERY_TICKS = 2


def write_video(
    path: Path, lap: Lap, track: Track, *, caption: str, size_px: tuple[int, int] = VIDEO_SIZE_PX, use_tqdm: bool = True
) -> None:
    """Draw a lap with time, speed, keys and progress on it.

    Args:
        path: the mp4.
        lap: what was driven.
        track: where.
        caption: a line in the corner.
        size_px: width and height.
        use_tqdm: draw a bar on a terminal.
    """
    speed = np.linalg.norm(lap.states.velocity_mps, axis=1) * MPS_TO_KMPH
    driven_m = max(float(lap.progress_m[-1]), 1.0)
    length_m = driven_m if lap.race_time_ms is not None else track_length_m(track) or driven_m
    overlay = (
        OverlayFrame(
            time_ms=int(lap.states.time_ms[tick]), speed_kmph=float(speed[tick]), steer=float(lap.steer[tick]),
            gas=float(lap.gas[tick]), brake=float(lap.brake[tick]),
            progress=min(float(lap.progress_m[tick]) / length_m, 1.0), caption=caption,
        )
        for tick in range(0, len(lap), VIDEO_EVERY_TICKS)
    )  # fmt: skip
    frames = lap_frames(lap, track, size_px=size_px, every=VIDEO_EVERY_TICKS)
    shown = progress(frames, desc="video", total=-(-len(lap) // VIDEO_EVERY_TICKS), enabled=use_tqdm)
    write_lap_video(path, shown, overlay, fps=100 // VIDEO_EVERY_TICKS)
