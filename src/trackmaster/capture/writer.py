"""Writing one captured replay: pictures in threads, everything into a folder that appears only when it is whole."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.files import atomic_write_bytes
from trackmaster.gbx import InputTimeline
from trackmaster.units import TICK_MS

JPEG_QUALITY = 95
WRITER_THREADS = 2
TOGETHER = 8
"""Pictures that one thread takes at a time: handing each over by itself costs more than encoding a small one."""

WAITING = 8
"""Such groups that may wait for a thread; beyond it drawing waits, so that memory stays small."""

MAX_MANIFEST_BYTES = 1 << 30
"""Readers refuse larger files, so none is written: an hour at 100 frames per second stays below it."""

UtcClock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time of day with its zone."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """Return a time as ISO 8601 to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


class FrameWriter:
    """Encodes grey pictures as JPEG in threads; use it as a context, leaving it waits for the last picture."""

    def __init__(self, threads: int = WRITER_THREADS) -> None:
        """Start the threads."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="frames")
        self._room = threading.BoundedSemaphore(WAITING)
        self._pending: list[Future[None]] = []
        self._group: list[tuple[Path, NDArray[np.uint8]]] = []

    def write(self, path: Path, grey: NDArray[np.uint8]) -> None:
        """Queue one picture (H, W); the array must not be changed afterwards."""
        self._group.append((path, grey))
        if len(self._group) >= TOGETHER:
            self._hand_over()

    def _hand_over(self) -> None:
        group, self._group = self._group, []
        self._room.acquire()
        try:
            job = self._pool.submit(_encode_all, group)
        except BaseException:
            self._room.release()
            raise
        job.add_done_callback(lambda _: self._room.release())
        self._pending.append(job)

    def wait(self) -> None:
        """Return when every queued picture is on disk.

        Raises:
            CaptureError: one of them could not be written.
        """
        if self._group:
            self._hand_over()
        jobs, self._pending = self._pending, []
        for job in jobs:
            job.result()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads; pictures that nobody waited for are dropped after an error."""
        if self._group and error is None:
            self._hand_over()
        self._pool.shutdown(wait=True, cancel_futures=error is not None)


def _encode_all(group: Iterable[tuple[Path, NDArray[np.uint8]]]) -> None:
    for path, grey in group:
        _encode(path, grey)


def _encode(path: Path, grey: NDArray[np.uint8]) -> None:
    ok, encoded = cv2.imencode(".jpeg", grey, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise CaptureError(f"{path.name}: OpenCV could not encode a picture of shape {grey.shape}.")
    try:
        # Without the layers of a file object, which cost as much as encoding a small picture.
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        try:
            content = memoryview(encoded.tobytes())
            while content:
                content = content[os.write(place, content) :]
        finally:
            os.close(place)
    except OSError as error:
        raise CaptureError(f"{path.name}: cannot be written ({error.strerror}). Is the disk full?") from None


def json_bytes(content: Any, **layout: Any) -> bytes:
    """Return JSON as UTF-8 with a line end; bytes of file names that are no UTF-8 become escapes and read back."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, **layout)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def write_json(path: Path, content: Any, *, compact: bool = False) -> None:
    """Write JSON through a temporary name, with a line end."""
    atomic_write_bytes(path, json_bytes(content, **_LAYOUT[compact]))


_LAYOUT: dict[bool, Mapping[str, Any]] = {True: {"separators": (",", ":")}, False: {"indent": 2}}


def write_ticks(path: Path, timeline: InputTimeline) -> None:
    """Write the inputs of every tick: ``t_ms, keys, steer, gas, label`` of the callbacks 0, 10, ..., race time."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        t_ms=np.arange(len(timeline), dtype=np.int32) * TICK_MS,
        keys=timeline.keys_u8,
        steer=timeline.steer_i32,
        gas=timeline.gas_i32,
        label=timeline.action_index(),
    )
    path.write_bytes(buffer.getvalue())


def write_manifest(
    folder: Path,
    entries: Iterable[Sequence[dict[str, Any]]],
    actions: NDArray[np.integer],
    meta: Iterable[Sequence[dict[str, Any]]],
    *,
    per_frame: bool,
) -> None:
    """Write ``manifest.json`` in its second version block by block, and one file per entry if asked.

    Raises:
        ReplayRejectedError: it would be larger than readers accept.
    """
    with (folder / "manifest.json").open("wb") as stream:
        stream.write(b'{"schema_version":2,"entries":')
        _write_list(stream, _each_also(entries, folder) if per_frame else entries)
        stream.write(b',"actions":' + _compact(actions.tolist()) + b',"meta":')
        _write_list(stream, meta)
        stream.write(b"}\n")


def _each_also(entries: Iterable[Sequence[dict[str, Any]]], folder: Path) -> Iterable[Sequence[dict[str, Any]]]:
    """Pass blocks of entries on, and write each entry into a file of its own."""
    for block in entries:
        for entry in block:
            (folder / entry["file"]).with_suffix(".json").write_bytes(json_bytes(entry, indent=2))
        yield block


def _write_list(stream: BinaryIO, blocks: Iterable[Sequence[Any]]) -> None:
    """Write one JSON list whose items come in blocks."""
    between = b"["
    for block in blocks:
        stream.write(between + _compact(block)[1:-1])
        between = b","
        if stream.tell() > MAX_MANIFEST_BYTES:
            raise ReplayRejectedError(
                "too_long",
                f"its manifest.json would be larger than {MAX_MANIFEST_BYTES >> 20} MiB, which no reader accepts. "
                "Give a lower --fps, and no higher --fps-meta.",
            )
    stream.write(b"[]" if between == b"[" else b"]")


def _compact(content: Any) -> bytes:
    return json_bytes(content, **_LAYOUT[True]).rstrip(b"\n")
