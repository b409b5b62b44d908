"""The stand-in's pad and screen over a socket: what a driver has on a desk, where there is no real game.

Every request is one byte and its arguments, little-endian: ``P`` right trigger, left trigger, stick (3 float32),
buttons held (u2), no answer; ``F`` kind (0 follow, 1 lidar), width, height (u1, u2, u2), answered by height x width x
4 bytes BGRA; ``T`` milliseconds (u4), only in virtual time, answered by the number of records that the present
telemetry client was sent so far (u4), the one of the new moment included.
"""

import socket
import struct
import threading
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.link.errors import CannotConnectError, LostConnectionError

DEFAULT_PORT: Final = 9_100
LOCALHOST: Final = "127.0.0.1"
PAD: Final = struct.Struct("<fffH")
FRAME: Final = struct.Struct("<BHH")
TIME: Final = struct.Struct("<I")
MAX_SIDE_PX: Final = 2_048
MAX_ADVANCE_MS: Final = 600_000
BUTTON_A: Final = 0x1000
"""Closes the pop-up after the finish."""
BUTTON_B: Final = 0x2000
"""Restarts the race."""

Kind = Literal["follow", "lidar"]
KINDS: Final[tuple[Kind, ...]] = ("follow", "lidar")
_TIMEOUT_S: Final = 180.0
"""The first picture on a machine compiles the renderer."""


class Desk:
    """A client of the stand-in's desk: pad, screen and, in virtual time, the clock."""

    def __init__(self, host: str = LOCALHOST, port: int = DEFAULT_PORT) -> None:
        """Sit down.

        Raises:
            CannotConnectError: nobody listens.
        """
        try:
            self._connection = socket.create_connection((host, port), _TIMEOUT_S)
        except OSError as error:
            raise CannotConnectError(
                f"no stand-in has its desk on {host}:{port}: start `trackmaster standin --openplanet`."
            ) from error
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock = threading.Lock()

    def press(self, gas: float, brake: float, steer: float, buttons: int = 0) -> None:
        """Hold triggers, stick and buttons like this until the next call."""
        self._ask(b"P" + PAD.pack(gas, brake, steer, buttons), 0)

    def picture(self, size: tuple[int, int], kind: Kind = "follow") -> NDArray[np.uint8]:
        """Return what the window shows, (H, W, 4) BGRA."""
        width, height = size
        raw = self._ask(b"F" + FRAME.pack(KINDS.index(kind), width, height), 4 * width * height)
        return np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 4)

    def advance(self, milliseconds: int) -> int:
        """Let virtual time pass; return how many records the telemetry client was sent so far, that of now included."""
        return int(TIME.unpack(self._ask(b"T" + TIME.pack(milliseconds), TIME.size))[0])

    def close(self) -> None:
        """Get up."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the desk."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _ask(self, request: bytes, answer_bytes: int) -> bytes:
        with self._lock:
            try:
                self._connection.sendall(request)
                return receive_exactly(self._connection, answer_bytes)
            except OSError as error:
                raise LostConnectionError(
                    "the stand-in's desk has gone: it was stopped, or refused a request."
                ) from error


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Return ``count`` bytes.

    Raises:
        ConnectionError: the stream ends before.
    """
    data = bytearray()
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the connection ended")
        data += part
    return bytes(data)
