"""Pictures as JPEG on the way from a worker to the memory: a quarter of the bytes, and not quite the same picture."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.samples.buffer import Sample
from trackmaster.rl.samples.chunk import Columns, SampleError
from trackmaster.rl.samples.columns import BYTES, obs_column
from trackmaster.rl.samples.nested import leaves, with_leaves

SampleCompressor = Callable[..., Sample]
MAX_PICTURE = 4096 * 4096
MAX_PIXELS = 128 * 2**20
"""Of all pictures of a chunk: 400 of 640 x 480, or five thousand times the usual ones of 64 x 64."""


def with_jpeg(compressor: SampleCompressor | None = None, *, quality: int = 90) -> SampleCompressor:
    """Return a sample compressor that also stores grey or colour uint8 pictures as JPEG.

    Args:
        compressor: applied first.
        quality: 1 to 100; at 90 a grey picture of 64 x 64 needs about 1 kB instead of 4.
    """

    def compress(
        action: Any, obs: Any, reward: float, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> Sample:
        sample = (action, obs, reward, terminated, truncated, info)
        if compressor is not None:
            sample = compressor(*sample)
        action, obs, reward, terminated, truncated, info = sample
        parts = (_encoded(leaf, quality) if _is_picture(leaf) else leaf for _, leaf in leaves(obs))
        return action, with_leaves(obs, parts), reward, terminated, truncated, info

    return compress


def decode_pictures(columns: Columns) -> Columns:
    """Return columns with pictures in the place of their JPEG bytes.

    Raises:
        SampleError: some bytes are no picture, or pictures of a chunk differ in size.
    """
    decoded = dict(columns)
    for name in columns:
        if name.startswith(f"{BYTES}."):
            column, lengths = obs_column(name.removeprefix(f"{BYTES}.")), columns[name]
            contents = [row[: int(n)] for row, n in zip(columns[column], lengths, strict=True)]
            _check_pixels(contents, column)
            pictures = [_decoded(content, column) for content in contents]
            if len({picture.shape for picture in pictures}) != 1:
                raise SampleError(f"Pictures of different sizes arrived in {column} of one chunk.")
            decoded[column] = np.stack(pictures)
    return decoded


def _is_picture(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))


def _encoded(picture: NDArray[np.uint8], quality: int) -> bytes:
    done, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SampleError(f"A picture of shape {picture.shape} could not be stored as JPEG.")
    return bytes(content.tobytes())


def _decoded(content: NDArray[np.uint8], column: str) -> NDArray[np.uint8]:
    picture: Any = None
    with contextlib.suppress(cv2.error):
        picture = cv2.imdecode(np.ascontiguousarray(content), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise _no_picture(column)
    return np.asarray(picture, dtype=np.uint8)


def _check_pixels(contents: Sequence[NDArray[np.uint8]], column: str) -> None:
    """Ask how large pictures are before anything is allocated: workers are not trusted, and black costs few bytes."""
    pixels = [_pixels(content.tobytes()) for content in contents]
    if not all(0 < n <= MAX_PICTURE for n in pixels):
        raise _no_picture(column)
    if sum(pixels) > MAX_PIXELS:
        raise SampleError(
            f"{len(pixels)} pictures of {sum(pixels)} pixels in all arrived in {column} of one chunk, at most "
            f"{MAX_PIXELS} are unpacked: let the worker send smaller pictures or fewer rows together."
        )


def _no_picture(column: str) -> SampleError:
    return SampleError(f"Bytes that are no JPEG picture arrived in {column}; use with_jpeg to compress pictures.")


def _pixels(content: bytes) -> int:
    """Return what the frame header of a JPEG file announces, 0 if there is none. Source: ITU-T T.81, annex B."""
    place = 2
    while content[:2] == b"\xff\xd8" and place + 9 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[place + k : place + k + 2], "big") for k in (5, 7))
            return height * width
        place += 2 + length
    return 0
