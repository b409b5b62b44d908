"""Ctrl+C between two batches: the first press asks to stop, the second one insists."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class TrainingStoppedError(Exception):
    """Leaves the training loop after a request to stop; never reaches a user."""


class StopFlag:
    """A request to stop after the current batch."""

    def __init__(self) -> None:
        """Start without a request."""
        self.is_set = False

    def set(self) -> None:
        """Ask to stop."""
        self.is_set = True

    def check(self) -> None:
        """Leave the loop when a stop was asked for.

        Raises:
            TrainingStoppedError: it was.
        """
        if self.is_set:
            raise TrainingStoppedError


@contextlib.contextmanager
def stop_on_interrupt(flag: StopFlag) -> Iterator[None]:
    """Turn the first Ctrl+C inside the block into a request to stop; outside of the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        flag.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
