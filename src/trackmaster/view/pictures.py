"""Still pictures: contact sheets, and pictures inside a page."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError

U8 = NDArray[np.uint8]

SHEET_GAP_PX = 4
SHEET_BACKGROUND = (246, 243, 240)


class ViewError(TrackmasterError):
    """A picture, plot or video cannot be made from what was given."""


def as_bgr(frame: U8) -> U8:
    """Return any frame of the project as uint8 (H, W, 3): gray (H, W) or (1, H, W), BGR, BGRA.

    Raises:
        ViewError: the array has another shape or type.
    """
    picture = np.asarray(frame)
    if picture.ndim == 3 and picture.shape[0] == 1:
        picture = picture[0]
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))):
        raise ViewError(f"a frame is {picture.dtype} {picture.shape}: expected uint8 (H, W), (H, W, 3) or (H, W, 4)")
    if picture.size == 0:
        raise ViewError(f"a frame of shape {picture.shape} is empty: expected at least one pixel")
    if picture.ndim == 2:
        return np.repeat(picture[:, :, None], 3, axis=2)
    return np.ascontiguousarray(picture[:, :, :3])


def contact_sheet(frames: Sequence[U8], *, columns: int = 8, width_px: int | None = None) -> U8:
    """Return the frames side by side, uint8 (H, W, 3).

    Args:
        frames: gray, BGR or BGRA; the first one's size is used for all.
        columns: frames per row.
        width_px: width of each frame on the sheet, as they come by default; enlarged pixels stay sharp.

    Raises:
        ViewError: no frame was given, or one is no frame.
    """
    if not frames:
        raise ViewError("a contact sheet of no frames was asked for: capture some first")
    height, width = as_bgr(frames[0]).shape[:2]
    if width_px is not None:
        height, width = max(1, round(height * width_px / width)), width_px
    columns = max(1, min(columns, len(frames)))
    rows = -(-len(frames) // columns)
    step_y, step_x = height + SHEET_GAP_PX, width + SHEET_GAP_PX
    sheet = np.empty((rows * step_y - SHEET_GAP_PX, columns * step_x - SHEET_GAP_PX, 3), np.uint8)
    sheet[:] = SHEET_BACKGROUND
    for k, frame in enumerate(frames):
        y, x = k // columns * step_y, k % columns * step_x
        sheet[y : y + height, x : x + width] = _resized(as_bgr(frame), width, height)
    return sheet


def _resized(picture: U8, width: int, height: int) -> U8:
    if picture.shape[:2] == (height, width):
        return picture
    how = cv2.INTER_NEAREST if width >= picture.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def encode_png(picture: U8) -> bytes:
    """Return a frame as a PNG file."""
    done, content = cv2.imencode(".png", as_bgr(picture))
    if not done:
        raise ViewError(f"a picture of shape {picture.shape} could not be written as PNG: try a smaller one")
    return bytes(content.tobytes())


def encode_jpeg(picture: U8, quality: int = 88) -> bytes:
    """Return a frame as a JPEG file."""
    done, content = cv2.imencode(".jpg", as_bgr(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ViewError(f"a picture of shape {picture.shape} could not be written as JPEG: try a smaller one")
    return bytes(content.tobytes())


def data_url(content: bytes, media_type: str) -> str:
    """Return file contents as a ``data:`` address, so that a page needs no second file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
