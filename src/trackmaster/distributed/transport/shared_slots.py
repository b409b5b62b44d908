"""Chunks and weights in shared memory: arrays are written once and read once, nothing is serialised."""

import hashlib
import struct
from collections.abc import Mapping
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.distributed.transport.contract import TransportError, Weights
from trackmaster.rl.samples.chunk import Columns, SampleSpec

ALIGNMENT = 64
READ_ATTEMPTS = 100
_HEADER = struct.Struct("<qq32s")  # version, length, sha256


class ChunkSlots:
    """A few equally sized places for chunks, laid out column by column.

    Args:
        spec: columns of a row.
        max_rows: rows that a slot holds.
        n_slots: number of slots.
        name: of existing shared memory; created when left out.
    """

    def __init__(self, spec: SampleSpec, max_rows: int, n_slots: int, *, name: str | None = None) -> None:
        self.spec, self.max_rows, self.n_slots = spec, max_rows, n_slots
        self._offsets: dict[str, int] = {}
        size = 0
        for column, layout in spec.items():
            self._offsets[column] = size
            size += -(-layout.row_bytes * max_rows // ALIGNMENT) * ALIGNMENT
        self._slot_bytes = size
        self._is_owner = name is None
        self._memory = SharedMemory(name, create=name is None, size=size * n_slots if name is None else 0)

    @property
    def name(self) -> str:
        """Name by which another process opens the same memory."""
        return self._memory.name

    def write(self, slot: int, columns: Mapping[str, NDArray[Any]]) -> int:
        """Copy columns into a slot and return the number of rows.

        Raises:
            TransportError: more rows than a slot holds.
        """
        rows = len(next(iter(columns.values())))
        if rows > self.max_rows:
            raise TransportError(
                f"A chunk has {rows} rows, a slot holds {self.max_rows}: lower performance.chunk_rows."
            )
        for column in self.spec:
            self._view(slot, column, rows)[:] = columns[column]
        return rows

    def read(self, slot: int, rows: int) -> Columns:
        """Return copies of a slot's columns.

        Raises:
            TransportError: slot or row count cannot be right.
        """
        if not (0 <= slot < self.n_slots and 0 < rows <= self.max_rows):
            raise TransportError(f"A worker announced {rows} rows in slot {slot}, which does not exist.")
        return {column: self._view(slot, column, rows).copy() for column in self.spec}

    def close(self) -> None:
        """Let go of the memory; the owner also removes it."""
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()

    def _view(self, slot: int, column: str, rows: int) -> NDArray[Any]:
        layout = self.spec[column]
        offset = slot * self._slot_bytes + self._offsets[column]
        array: NDArray[Any] = np.ndarray((rows, *layout.shape), layout.dtype, self._memory.buf, offset)
        return array


class WeightsBoard:
    """The newest weights, readable by every worker without a lock that a killed process could keep.

    There are two places: the writer fills the one that is not current and then switches. A reader that was overtaken
    twice sees a wrong hash and reads again.

    Args:
        capacity: bytes of the largest message.
        name: of existing shared memory; created when left out.
    """

    def __init__(self, capacity: int, *, name: str | None = None) -> None:
        self._capacity = capacity
        self._place_bytes = _HEADER.size + capacity
        self._is_owner = name is None
        size = 8 + 2 * self._place_bytes if name is None else 0
        self._memory = SharedMemory(name, create=name is None, size=size)
        if name is None:
            self._buffer[:8] = struct.pack("<q", -1)

    @property
    def name(self) -> str:
        """Name by which another process opens the same memory."""
        return self._memory.name

    @property
    def _buffer(self) -> memoryview:
        buffer = self._memory.buf
        if buffer is None:
            raise TransportError("The shared memory of the weights is closed.")
        return buffer

    def write(self, weights: Weights) -> None:
        """Make weights the newest.

        Raises:
            TransportError: they are larger than the board.
        """
        if len(weights.blob) > self._capacity:
            raise TransportError(
                f"Weights of {len(weights.blob)} bytes do not fit the board of {self._capacity} bytes."
            )
        place = 1 - max(0, self._current())
        start = 8 + place * self._place_bytes
        end = start + _HEADER.size + len(weights.blob)
        self._buffer[start : start + _HEADER.size] = _HEADER.pack(
            weights.version, len(weights.blob), bytes.fromhex(weights.sha256)
        )
        self._buffer[start + _HEADER.size : end] = weights.blob
        self._buffer[:8] = struct.pack("<q", place)

    def read(self, have: int) -> Weights | None:
        """Return the newest weights if newer than ``have``.

        Raises:
            TransportError: the content does not have its hash, however often it is read.
        """
        for _ in range(READ_ATTEMPTS):
            place = self._current()
            if place < 0:
                return None
            start = 8 + place * self._place_bytes
            version, length, digest = _HEADER.unpack(self._buffer[start : start + _HEADER.size])
            if version <= have:
                return None
            if 0 <= length <= self._capacity:
                blob = bytes(self._buffer[start + _HEADER.size : start + _HEADER.size + length])
                if hashlib.sha256(blob).digest() == digest:
                    return Weights(version, blob, digest.hex())
        raise TransportError(
            "The weights in shared memory are damaged: their hash differs however often they are read."
        )

    def close(self) -> None:
        """Let go of the memory; the owner also removes it."""
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()

    def _current(self) -> int:
        place: int = struct.unpack("<q", self._buffer[:8])[0]
        return place
