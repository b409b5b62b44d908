"""Speed, race time, pressed keys and progress, drawn over a frame."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.units import format_race_time
from trackmaster.view.pictures import ViewError

U8 = NDArray[np.uint8]

WHITE = (255, 255, 255)
SHADE = (30, 26, 24)
PRESSED = (80, 220, 120)
BRAKING = (70, 80, 240)
ACCENT = (60, 190, 255)
EDGE = ((-1, -1), (1, -1), (-1, 1), (1, 1))
FONT = cv2.FONT_HERSHEY_DUPLEX

REFERENCE_HEIGHT_PX = 480
"""Sizes below are given for a frame of this height and grow with it."""


@dataclass(frozen=True)
class OverlayFrame:
    """What one frame of a lap says about itself.

    Attributes:
        time_ms: race time, negative before the start.
        speed_kmph: shown rounded to whole km/h.
        steer: -1..1, + = right; analog steering fills its key in part.
        gas: 0..1.
        brake: 0..1.
        progress: share of the track 0..1, None hides the bar.
        caption: a line in the upper right corner, such as the driver's name.
    """

    time_ms: int
    speed_kmph: float
    steer: float = 0.0
    gas: float = 0.0
    brake: float = 0.0
    progress: float | None = None
    caption: str = ""


def draw_overlay(frame_bgr: U8, data: OverlayFrame) -> U8:
    """Return a copy of the frame with the overlay on it.

    Args:
        frame_bgr: uint8 (H, W, 3), blue, green, red.
        data: what to show.

    Raises:
        ViewError: the frame is not such an array.
    """
    if frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or frame_bgr.dtype != np.uint8:
        raise ViewError(f"a frame is {frame_bgr.dtype} {frame_bgr.shape}: an overlay needs uint8 (H, W, 3)")
    picture = np.ascontiguousarray(frame_bgr).copy()
    scale = picture.shape[0] / REFERENCE_HEIGHT_PX
    _draw_time(picture, data, scale)
    _draw_speed(picture, data.speed_kmph, scale)
    _draw_keys(picture, data, scale)
    if data.progress is not None:
        _draw_progress(picture, data.progress, scale)
    return picture


def _px(value: float, scale: float) -> int:
    return max(1, round(value * scale))


def _darken(picture: U8, x0: int, y0: int, x1: int, y1: int, share: float = 0.45) -> None:
    """Blend a rectangle towards the panel colour, in place."""
    y0, y1, x0, x1 = max(y0, 0), max(y1, 0), max(x0, 0), max(x1, 0)
    area = picture[y0:y1, x0:x1].astype(np.float32)
    picture[y0:y1, x0:x1] = (area * (1 - share) + np.array(SHADE, np.float32) * share).astype(np.uint8)


def _text(picture: U8, text: str, at: tuple[int, int], size: float, color: tuple[int, int, int] = WHITE) -> None:
    """Write with a thin dark edge, so that it reads on sky and asphalt alike."""
    thick = max(1, round(size * 1.6))
    for right, down in EDGE:  # a thicker stroke would be a wider text: its letters would not lie under these
        cv2.putText(picture, text, (at[0] + right, at[1] + down), FONT, size, SHADE, thick, cv2.LINE_AA)
    cv2.putText(picture, text, at, FONT, size, color, thick, cv2.LINE_AA)


def _text_width(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, FONT, size, max(1, round(size * 1.6)))[0][0])


def _printable(text: str) -> str:
    """Keep what the drawn font has; other characters become question marks instead of vanishing."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _draw_time(picture: U8, data: OverlayFrame, scale: float) -> None:
    shown = format_race_time(data.time_ms) if data.time_ms >= 0 else f"-{format_race_time(-data.time_ms)}"
    _text(picture, shown, (_px(16, scale), _px(38, scale)), 0.95 * scale)
    if data.caption:
        size = 0.55 * scale
        caption = _printable(data.caption)
        _text(picture, caption, (picture.shape[1] - _px(16, scale) - _text_width(caption, size), _px(34, scale)), size)


def _draw_speed(picture: U8, speed_kmph: float, scale: float) -> None:
    height, width = picture.shape[:2]
    number, size = str(round(abs(speed_kmph))), 1.5 * scale
    right = width - _px(16, scale)
    _text(picture, number, (right - _text_width(number, size), height - _px(44, scale)), size)
    unit = "km/h"
    _text(picture, unit, (right - _text_width(unit, 0.6 * scale), height - _px(20, scale)), 0.6 * scale)


def _draw_keys(picture: U8, data: OverlayFrame, scale: float) -> None:
    key, gap = _px(34, scale), _px(4, scale)
    left, bottom = _px(16, scale), picture.shape[0] - _px(16, scale)
    row = bottom - key
    keys = (
        ("up", left + key + gap, row - key - gap, data.gas, PRESSED),
        ("down", left + key + gap, row, data.brake, BRAKING),
        ("left", left, row, -data.steer, ACCENT),
        ("right", left + 2 * (key + gap), row, data.steer, ACCENT),
    )
    for name, x, y, amount, color in keys:
        _draw_key(picture, name, (x, y), key, min(max(float(amount), 0.0), 1.0), color)


def _draw_key(picture: U8, name: str, at: tuple[int, int], size: int, amount: float, color: Any) -> None:
    x, y = at
    _darken(picture, x, y, x + size, y + size, 0.6)
    filled = round(size * amount)
    if filled:
        area = {
            "up": (slice(y + size - filled, y + size), slice(x, x + size)),
            "down": (slice(y, y + filled), slice(x, x + size)),
            "left": (slice(y, y + size), slice(x + size - filled, x + size)),
            "right": (slice(y, y + size), slice(x, x + filled)),
        }[name]
        picture[area] = color
    cv2.rectangle(picture, (x, y), (x + size - 1, y + size - 1), WHITE, 1)
    arrow = np.array([[0.0, -0.26], [0.24, 0.2], [-0.24, 0.2]])
    turn = {"up": (1, 0), "right": (0, 1), "down": (-1, 0), "left": (0, -1)}[name]
    cosine, sine = turn
    turned = arrow @ np.array([[cosine, sine], [-sine, cosine]])
    points = (turned * size + np.array([x + size / 2, y + size / 2])).round().astype(np.int32)
    cv2.fillPoly(picture, [points], WHITE if amount < 0.5 else SHADE, cv2.LINE_AA)


def _draw_progress(picture: U8, progress: float, scale: float) -> None:
    height, width = picture.shape[:2]
    bar = _px(5, scale)
    _darken(picture, 0, height - bar, width, height, 0.7)
    picture[height - bar :, : round(width * min(max(progress, 0.0), 1.0))] = ACCENT
