"""From the bytes of a telemetry stream to records."""

import logging
from typing import Final

import numpy as np

from trackmaster.game.link.errors import LinkError
from trackmaster.game.openplanet.layouts import (
    HEADER_BYTES,
    MAGIC,
    RECORD_TAG,
    Layout,
    Record,
    decode_header,
    implausibility,
)

LOG = logging.getLogger(__name__)
CHECKED_RECORDS: Final = 20


class StreamParser:
    """Cuts one connection's bytes into records; the first ones must look like the declared layout.

    Later ones with numbers that are not finite are left out: nobody could drive or learn by them.
    """

    def __init__(self, layout: Layout) -> None:
        """Expect the beginning of a stream."""
        self._layout = layout
        self._left = bytearray()
        self._first: list[bytes] = []
        self._map_uid = ""
        self._has_header = False
        self.count = 0
        """Whole records so far."""
        self.left_out = 0
        """Those among them that were left out."""

    def feed(self, data: bytes, *, received_s: float = 0.0) -> Record | None:
        """Take bytes as they come; return the newest whole record among them that can be read, if there is one.

        Raises:
            LinkError: the stream is not what was declared.
        """
        self._left += data
        newest = self._framed() if self._layout.is_framed else self._unframed()
        return None if newest is None else self._layout.parse(newest, received_s=received_s, map_uid=self._map_uid)

    def _unframed(self) -> bytes | None:
        size = self._layout.record_bytes
        whole = len(self._left) // size * size
        if not whole:
            return None
        newest = None
        for start in range(0, whole, size):
            floats = bytes(self._left[start : start + size])
            newest = floats if self._is_taken(floats) else newest
        del self._left[:whole]
        return newest

    def _framed(self) -> bytes | None:
        newest = None
        while len(self._left) >= len(MAGIC):
            tag = bytes(self._left[: len(MAGIC)])
            if tag not in ((MAGIC, RECORD_TAG) if self._has_header else (MAGIC,)):
                raise LinkError(
                    f"the stream goes on with {tag!r}, which our plugin never sends: another plugin listens on this "
                    "port. Declare its layout (tmrl for TMRL_GrabData), or stop it."
                )
            size = HEADER_BYTES if tag == MAGIC else self._layout.record_bytes
            if len(self._left) < size:
                break
            block = bytes(self._left[:size])
            del self._left[:size]
            if tag == MAGIC:
                self._map_uid = decode_header(block, self._layout)
                self._has_header = True
            else:
                floats = block[len(RECORD_TAG) :]
                newest = floats if self._is_taken(floats) else newest
        return newest

    def _is_taken(self, floats: bytes) -> bool:
        """Count a record, and return whether it can be read."""
        self.count += 1
        self._check(floats)
        is_readable = self._layout.is_readable(floats)
        if not is_readable:
            self.left_out += 1
            if self.left_out == 1:
                LOG.warning("record %d of the telemetry has numbers that are not finite; it is left out", self.count)
        return is_readable

    def _check(self, floats: bytes) -> None:
        """Look at the first records of the stream, again with each one more."""
        if len(self._first) >= CHECKED_RECORDS:
            return
        self._first.append(floats)
        rows = np.frombuffer(b"".join(self._first), dtype="<f4").reshape(len(self._first), -1)
        wrong = implausibility(self._layout, rows)
        if wrong is not None:
            raise LinkError(
                f"the stream is not laid out as {self._layout.name!r} ({self._layout.n_floats} floats): in record "
                f"{len(self._first)} {wrong}. Declare the layout of the plugin that runs; a second player on the map "
                "makes tmrl's records twice as long."
            )
