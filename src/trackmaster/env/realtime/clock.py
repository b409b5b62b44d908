"""The clock a real-time environment lives by: the computer's, or a virtual one that waits without waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow."""

    is_virtual: bool
    """True: nothing happens between two calls, so time steps run at once and in the caller's thread."""

    def now_s(self) -> float:
        """Return the time from an arbitrary start."""

    def sleep_until(self, when_s: float) -> None:
        """Let time pass up to ``when_s``; nothing if that is past."""


class RealClock:
    """The computer's performance counter; sleeps to a deadline, which drifts with nothing."""

    is_virtual = False

    def now_s(self) -> float:
        """Return ``time.perf_counter()``."""
        return time.perf_counter()

    def sleep_until(self, when_s: float) -> None:
        """Sleep; ``Event.wait`` with a time-out would be late by up to 16 ms on Windows."""
        left = when_s - time.perf_counter()
        if left > 0:
            time.sleep(left)


class VirtualClock:
    """Time that passes when somebody waits for it, and only then."""

    is_virtual = True

    def __init__(self) -> None:
        """Begin at 0."""
        self._now_s = 0.0

    def now_s(self) -> float:
        """Return the time waited for so far."""
        return self._now_s

    def sleep_until(self, when_s: float) -> None:
        """Be there at once."""
        self._now_s = max(self._now_s, when_s)
