"""Decoding many frames with threads: OpenCV releases the interpreter lock, processes would only add copies."""

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.images import load_gray

CHUNK_FRAMES = 64
"""Frames per job: long enough that handing it over costs nothing, short enough to stop quickly."""

MAX_UNREADABLE_LISTED = 10
"""Stop looking after this many unreadable files; the message lists those found so far."""


@dataclass(frozen=True)
class FrameList:
    """Files of frames in order, without a ``Path`` per frame: (folder, name) pairs are built when they are opened."""

    folders: tuple[Path, ...]
    names: tuple[tuple[str, ...], ...]
    offsets: NDArray[np.int64]
    """(len(folders) + 1,) row of each folder's first frame, and the total."""

    @classmethod
    def of(cls, folders: Sequence[Path], names: Sequence[tuple[str, ...]]) -> "FrameList":
        """Lay the frames of several folders end to end."""
        counts = [len(group) for group in names]
        return cls(tuple(folders), tuple(names), np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, row: int) -> Path:
        folder = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return self.folders[folder] / self.names[folder][row - int(self.offsets[folder])]


def decode_workers(requested: int) -> int:
    """Return the number of threads for a requested number, where 0 means one per core."""
    return requested if requested > 0 else max(1, os.cpu_count() or 1)


def decode_frames(
    files: FrameList, out: NDArray[np.uint8], *, workers: int = 0, start: int = 0
) -> Generator[int, None, None]:
    """Decode frames into rows of ``out`` and yield, in order, up to which row everything is done.

    Args:
        files: the frames; row i of ``out`` takes file i.
        out: (n, 1, H, W) grey; the size to decode to is taken from it.
        workers: threads, 0 for one per core.
        start: first row to decode; the rows before it are kept.

    Raises:
        DataError: some files are unreadable; the message lists up to ``MAX_UNREADABLE_LISTED`` of them. The rows
            yielded before are good.
    """
    threads = decode_workers(workers)
    bounds = [(first, min(first + CHUNK_FRAMES, len(files))) for first in range(start, len(files), CHUNK_FRAMES)]
    unreadable: list[str] = []
    pending: deque[tuple[int, Future[list[str]]]] = deque()
    cv2.setNumThreads(1)  # the pool below is the parallelism; nested threads would fight over the same cores
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for first, last in bounds:
                pending.append((last, pool.submit(_decode_chunk, files, out, first, last)))
                if len(pending) > 2 * threads:
                    yield from _finish(pending, unreadable)
            while pending:
                yield from _finish(pending, unreadable)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    _refuse(unreadable)


def _finish(pending: deque[tuple[int, Future[list[str]]]], unreadable: list[str]) -> Iterator[int]:
    last, future = pending.popleft()
    unreadable.extend(future.result())
    if len(unreadable) >= MAX_UNREADABLE_LISTED:
        _refuse(unreadable)
    if not unreadable:
        yield last


def _decode_chunk(files: FrameList, out: NDArray[np.uint8], first: int, last: int) -> list[str]:
    height, width = out.shape[-2:]
    unreadable = []
    for row in range(first, last):
        try:
            out[row, 0] = load_gray(files[row], width, height)
        except DataError as error:
            unreadable.append(str(error))
    return unreadable


def _refuse(unreadable: list[str]) -> None:
    if unreadable:
        listed = "\n  ".join(unreadable[:MAX_UNREADABLE_LISTED])
        raise DataError(f"{len(unreadable)} frames or more cannot be decoded; none of them was replaced:\n  {listed}")
