"""Time and waiting as something that is handed in, so that a test of time-outs sleeps for none of them."""

import select
import socket
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow, and waiting on a socket measured in them."""

    def now_s(self) -> float:
        """Return the time in seconds from an arbitrary start."""

    def wait_readable(self, connection: socket.socket, timeout_s: float) -> bool:
        """Wait until ``connection`` has something to read (or has ended); False after ``timeout_s`` seconds."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The computer's own clock."""

    def now_s(self) -> float:
        """Return the monotonic time."""
        return time.monotonic()

    def wait_readable(self, connection: socket.socket, timeout_s: float) -> bool:
        """Wait on one socket."""
        return bool(select.select([connection], [], [], max(0.0, timeout_s))[0])

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
