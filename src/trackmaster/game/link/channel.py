"""Bytes to and from the game with deadlines: exact reads, whole writes, every failure a sentence."""

import contextlib
import socket
from typing import Final

from trackmaster.game.link.clock import Clock
from trackmaster.game.link.errors import CannotConnectError, LostConnectionError, SilentGameError
from trackmaster.game.link.protocol import MAX_BLOB_BYTES, ProtocolError

RECEIVE_BYTES: Final = 1 << 18
SEND_S: Final = 30.0
"""How long the other side may leave what we send unread; a game that waits for us reads at once."""
GOODBYE_S: Final = 2.0
"""How long we go on reading after our last word, so that the game reads it before the connection is reset."""


class Channel:
    """One TCP connection to a plugin."""

    def __init__(self, connection: socket.socket, clock: Clock, *, place: str) -> None:
        """Take over a connected socket.

        Args:
            connection: the socket; closed by ``close``.
            clock: time for deadlines.
            place: what errors call the other side, such as ``the game on port 8478``.
        """
        self._socket = connection
        self._clock = clock
        self._place = place
        self._is_open = True
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(SEND_S)

    @classmethod
    def connect(cls, host: str, port: int, clock: Clock, *, timeout_s: float) -> "Channel":
        """Open a connection.

        Raises:
            CannotConnectError: nothing listens there.
        """
        try:
            connection = socket.create_connection((host, port), timeout=timeout_s)
        except (OSError, OverflowError) as error:
            raise CannotConnectError(
                f"nothing listens on port {port} of {host} ({getattr(error, 'strerror', None) or error}). Start the "
                "game through TMLoader with the plugin, and compare the number with 'Port set to ...' in the "
                "TMInterface console; BASE_TMI_PORT or --base-tmi-port sets it here."
            ) from None
        return cls(connection, clock, place=f"the game on port {port}")

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands, as far as is known."""
        return self._is_open

    def write(self, content: bytes | memoryview) -> None:
        """Send all of ``content``.

        Raises:
            LostConnectionError: the other side is gone.
        """
        try:
            self._socket.sendall(content)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from None

    def wait_for_word(self, timeout_s: float) -> None:
        """Wait until the other side begins to say something (or is gone, which the next read tells).

        Raises:
            SilentGameError: it does not; nothing was read.
        """
        if not self._clock.wait_readable(self._socket, timeout_s):
            raise SilentGameError(
                f"{self._place} says nothing for {timeout_s:g} s. Is its window minimised or covered, does it wait for "
                "a key, or is it paused?"
            )

    def read(self, size: int, timeout_s: float) -> bytearray:
        """Return exactly ``size`` bytes.

        Raises:
            SilentGameError: they did not arrive in time.
            LostConnectionError: the connection ended before.
        """
        content = bytearray(size)
        self.read_into(memoryview(content), timeout_s)
        return content

    def read_into(self, target: memoryview, timeout_s: float) -> None:
        """Fill ``target``; errors as in ``read``."""
        deadline = self._clock.now_s() + timeout_s
        filled = 0
        while filled < len(target):
            left = deadline - self._clock.now_s()
            if left <= 0 or not self._clock.wait_readable(self._socket, left):
                raise SilentGameError(
                    f"{self._place} sent {filled} of {len(target)} bytes and then nothing for {timeout_s:g} s. Is its "
                    "window minimised or covered, or does it wait for a key?"
                )
            try:
                count = self._socket.recv_into(target[filled : filled + RECEIVE_BYTES])
            except OSError as error:
                raise self._lost(error.strerror or str(error)) from None
            if count == 0:
                raise self._lost("it closed the connection")
            filled += count

    def read_i32(self, timeout_s: float) -> int:
        """Return one signed number."""
        return int.from_bytes(self.read(4, timeout_s), "little", signed=True)

    def read_blob(self, timeout_s: float) -> bytearray:
        """Return what stands behind a byte length.

        Raises:
            ProtocolError: the length cannot be one.
        """
        size = self.read_i32(timeout_s)
        if not 0 <= size <= MAX_BLOB_BYTES:
            raise ProtocolError(
                f"{self._place} announced {size} bytes, expected 0 to {MAX_BLOB_BYTES}: the two sides do not speak "
                "the same protocol any more. Connect anew; if it happens again, compare the plugin's version."
            )
        return self.read(size, timeout_s)

    def finish(self) -> None:
        """Say nothing more, let the other side read what was said, and close."""
        if not self._is_open:
            return
        self._is_open = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            deadline = self._clock.now_s() + GOODBYE_S
            while (left := deadline - self._clock.now_s()) > 0 and self._clock.wait_readable(self._socket, left):
                if not self._socket.recv(RECEIVE_BYTES):
                    break
        self._socket.close()

    def abort(self) -> None:
        """Close at once."""
        self._is_open = False
        self._socket.close()

    def _lost(self, reason: str) -> LostConnectionError:
        self.abort()
        return LostConnectionError(
            f"{self._place} is gone ({reason}). It ended, it waited for us longer than its time-out, or another "
            "program took its only place for a client: run one program per game."
        )
