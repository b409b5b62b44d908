"""One frame from disk to grey pixels at the size a network wants.

JPEG files are scaled while they are decoded (the transform only computes the frequencies that are kept), then area
averaging takes the rest of the way: the picture an antialiased resize of the full one gives, at less than half the
time. Grey is .114 B + .587 G + .299 R everywhere.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}
_BGR_WEIGHTS = np.array([0.114, 0.587, 0.299], dtype=np.float32)
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def load_gray(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Decode one frame to grey at ``width`` x ``height``.

    Args:
        path: a JPEG, PNG or BMP file, or an ``.npy`` array of uint8 shaped (H, W), (1, H, W), (H, W, 3) BGR or
            (H, W, 4) BGRA.
        width: columns wanted.
        height: rows wanted.

    Returns:
        (height, width) grey.

    Raises:
        DataError: the file is missing, cut or no picture. It never becomes a black frame.
    """
    if path.suffix.lower() == ".npy":
        return fit_gray(_gray_array(path), width, height)
    return fit_gray(_decode(_content(path), width, height, path), width, height)


def picture_file(path: Path) -> tuple[bytes, str]:
    """Return the bytes and the name of a frame's picture file, after a look whether it can be decoded.

    Arrays of numpy, which are no picture files, come back as grey PNG files.

    Raises:
        DataError: the file is missing, cut or no picture.
    """
    if path.suffix.lower() == ".npy":
        _, encoded = cv2.imencode(".png", _gray_array(path))
        return encoded.tobytes(), f"{path.stem}.png"
    content = _content(path)
    _decode(content, 1, 1, path)
    return content, path.name


def fit_gray(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize a grey picture: by area averaging where it shrinks, linearly where it grows."""
    rows, columns = image.shape
    if (rows, columns) == (height, width):
        return image
    shrinks = rows >= height and columns >= width
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the header of a JPEG file, or None when there is none to be found."""
    if content[:2] != b"\xff\xd8":
        return None
    position = 2
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker in _START_OF_FRAME:
            height = int.from_bytes(content[position + 5 : position + 7], "big")
            return int.from_bytes(content[position + 7 : position + 9], "big"), height
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Capture the replay again.") from None


def _decode(content: bytes, width: int, height: int, path: Path) -> NDArray[np.uint8]:
    flag = _REDUCED[_reduction(content, width, height)] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flag) if content else None
    if image is None:
        raise DataError(
            f"{path}: {len(content)} bytes that are no complete picture. The file is cut or damaged: "
            "capture the replay again, or remove the frame."
        )
    return np.asarray(image, dtype=np.uint8)


def _reduction(content: bytes, width: int, height: int) -> int:
    """Largest factor that a JPEG can be shrunk by while decoding without falling below the wanted size.

    Only factors that divide both sides: otherwise the decoder pads the last pixel, which would stretch the picture.
    """
    size = jpeg_size(content)
    if size is None:
        return 1
    columns, rows = size
    fitting = (f for f in (8, 4, 2) if columns % f == 0 == rows % f and columns >= f * width and rows >= f * height)
    return next(fitting, 1)


def _gray_array(path: Path) -> NDArray[np.uint8]:
    try:
        with path.open("rb") as handle:  # np.load would open an archive of arrays too
            image: NDArray[Any] = np.lib.format.read_array(handle, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: is no array of numpy ({error}). Capture the replay again.") from None
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if image.dtype != np.uint8 or image.size == 0 or not is_picture:
        raise DataError(f"{path}: holds {image.dtype} {image.shape}, expected uint8 (H, W), (H, W, 3) or (H, W, 4).")
    if image.ndim == 2:
        return np.asarray(image, dtype=np.uint8)
    return np.asarray(np.rint(image[..., :3].astype(np.float32) @ _BGR_WEIGHTS), dtype=np.uint8)
