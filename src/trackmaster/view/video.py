"""Lap videos: frames with the overlay, as H.264 in MP4, which every browser plays."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from trackmaster.files import atomic_path
from trackmaster.view.overlay import OverlayFrame, draw_overlay
from trackmaster.view.pictures import ViewError, as_bgr

U8 = NDArray[np.uint8]

QUALITY_CRF = 21
"""x264's constant quality, 0 (lossless) .. 51; 21 hardly shows."""

BT709 = 1
LIMITED_RANGE = 1

_MISSING: Any = object()


def write_lap_video(
    path: Path | str,
    frames: Iterable[U8],
    overlay: Iterable[OverlayFrame] | None = None,
    fps: int | Fraction = 20,
    *,
    crf: int = QUALITY_CRF,
) -> int:
    """Write a video and return its number of frames; an interrupted call leaves no file.

    One encoder thread and no timestamps inside: the same frames give the same file.

    Args:
        path: the ``.mp4`` file; its folder is made.
        frames: gray, BGR or BGRA, all of one size; taken one by one, so an iterator over a long lap needs no memory.
            An odd width or height grows by one repeated column or row (the colour planes are half as large).
        overlay: what to draw on each frame, as many as frames; None leaves the frames as they are.
        fps: frames per second of race time.
        crf: quality, smaller is better and larger.

    Raises:
        ViewError: no frames, another size in between, or not as many overlays as frames.
    """
    rate = Fraction(fps)
    if rate <= 0:
        raise ViewError(f"fps is {fps}: expected more than 0 frames per second")
    target = Path(path)
    with atomic_path(target) as temporary:
        return _encode(temporary, _finished_frames(frames, overlay), rate, crf)


def _finished_frames(frames: Iterable[U8], overlay: Iterable[OverlayFrame] | None) -> Iterator[U8]:
    if overlay is None:
        yield from (as_bgr(frame) for frame in frames)
        return
    for number, (frame, data) in enumerate(zip_longest(frames, overlay, fillvalue=_MISSING)):
        if frame is _MISSING or data is _MISSING:
            short = "frames" if frame is _MISSING else "overlays"
            raise ViewError(f"the {short} end at {number} while the other side goes on: give one overlay per frame")
        yield draw_overlay(as_bgr(frame), data)


def _even(frame: U8) -> U8:
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return frame


def _encode(path: Path, frames: Iterator[U8], rate: Fraction, crf: int) -> int:
    size: tuple[int, ...] | None = None
    count = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = None
        for frame in frames:
            picture = _even(frame)
            if stream is None:
                size = picture.shape
                stream = container.add_stream("libx264", rate=rate)
                stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
                # Written down, or every player guesses the colours from the height of the picture.
                context = stream.codec_context
                context.colorspace = context.color_primaries = context.color_trc = BT709
                context.color_range = LIMITED_RANGE
                stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
            if picture.shape != size:
                raise ViewError(f"frame {count} is {picture.shape}, the frames before it {size}: give one size only")
            shown = av.VideoFrame.from_ndarray(picture, format="bgr24")
            for packet in stream.encode(shown.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)):
                container.mux(packet)
            count += 1
        if stream is None:
            raise ViewError("the video would hold no frame: drive a lap first")
        for packet in stream.encode():
            container.mux(packet)
    return count
