"""The plugin's end of a connection: numbers and blobs read under a time limit, whole writes, faults on request."""

import contextlib
import select
import socket
import struct
from collections.abc import Callable
from typing import Final

from trackmaster.game.link.clock import Clock

POLL_S: Final = 0.02
"""How often a wait looks at the clock and at the request to stop."""
SEND_S: Final = 10.0
"""A reader that is slower than this is dropped: the game's only thread would stand still for it."""
TRICKLE_BYTES: Final = 977
RECEIVE_BYTES: Final = 1 << 18


class StoppedError(Exception):
    """The stand-in was told to end."""


class ClientGoneError(Exception):
    """The wait for the client has lasted too long, or its connection is gone."""


class PluginWire:
    """Reads what the client sent, as the plugin does: only inside of a wait, byte by byte of one stream."""

    def __init__(self, connection: socket.socket, clock: Clock, is_stopped: Callable[[], bool]) -> None:
        """Take over an accepted connection."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(SEND_S)
        self._socket = connection
        self._clock = clock
        self._is_stopped = is_stopped
        self._buffer = bytearray()
        self._at = 0
        self._has_ended = False
        self.is_slow = False
        """True lets the next writes trickle."""

    def serves(self, other_end: socket.socket) -> bool:
        """Whether ``other_end`` is the client's end of this connection (in the same process)."""
        try:
            return bool(self._socket.getpeername() == other_end.getsockname())
        except OSError:
            return False

    def available(self, deadline_s: float, size: int = 1) -> bool:
        """Wait until ``size`` bytes can be read; False when the clock has passed ``deadline_s`` before.

        A client that has gone looks like one that is silent: the plugin cannot tell them apart.

        Raises:
            StoppedError: the stand-in ends.
        """
        while len(self._buffer) - self._at < size:
            if self._is_stopped():
                raise StoppedError
            if self._clock.now_s() >= deadline_s:
                return False
            self._receive()
        return True

    def read(self, size: int, deadline_s: float) -> bytes:
        """Return exactly ``size`` bytes.

        Raises:
            ClientGoneError: they did not come in time.
            StoppedError: the stand-in ends.
        """
        if not self.available(deadline_s, size):
            raise ClientGoneError
        content = bytes(self._buffer[self._at : self._at + size])
        self._at += size
        if self._at == len(self._buffer):
            self._buffer.clear()
            self._at = 0
        return content

    def read_i32(self, deadline_s: float) -> int:
        """Return a signed number."""
        return int.from_bytes(self.read(4, deadline_s), "little", signed=True)

    def read_struct(self, fields: str, deadline_s: float) -> tuple[int | float, ...]:
        """Return little-endian fields."""
        return struct.unpack(f"<{fields}", self.read(struct.calcsize(f"<{fields}"), deadline_s))

    def write(self, *parts: bytes | memoryview) -> None:
        """Send all parts.

        Raises:
            ClientGoneError: nobody is there any more.
        """
        try:
            if self.is_slow:
                whole = b"".join(parts)
                for start in range(0, len(whole), TRICKLE_BYTES):
                    self._socket.sendall(whole[start : start + TRICKLE_BYTES])
            elif sum(map(len, parts)) < RECEIVE_BYTES:
                self._socket.sendall(b"".join(parts))
            else:
                for part in parts:
                    self._socket.sendall(part)
        except OSError:
            raise ClientGoneError from None

    def close(self) -> None:
        """Drop the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _receive(self) -> None:
        if self._has_ended:
            self._clock.sleep(POLL_S)
            return
        if not select.select([self._socket], [], [], POLL_S)[0]:
            return
        try:
            content = self._socket.recv(RECEIVE_BYTES)
        except OSError:
            content = b""
        self._has_ended = not content
        self._buffer += content
