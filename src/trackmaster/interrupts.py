"""Ctrl+C and its kin: asked for at a moment of ours, made out of other signals, or held back for a while."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

ENDING: Final = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""By name, because no system has all of them: told to end, the terminal was closed, Ctrl+Break."""


class StoppedError(Exception):
    """Leaves a loop after a request to stop; never reaches a user."""


class StopFlag:
    """A request to stop at the next moment that suits."""

    def __init__(self) -> None:
        """Start without a request."""
        self.is_set = False

    def set(self) -> None:
        """Ask to stop."""
        self.is_set = True

    def check(self) -> None:
        """Leave the loop when a stop was asked for.

        Raises:
            StoppedError: it was.
        """
        if self.is_set:
            raise StoppedError


@contextlib.contextmanager
def stop_on_interrupt(flag: StopFlag) -> Iterator[None]:
    """Turn the first Ctrl+C inside the block into a request to stop; outside of the main thread nothing changes.

    A Ctrl+C that whoever started the program lets it ignore, as shells do in the background, stays ignored.

    An exception out of the signal itself comes anywhere, also where libraries drop it: in a destructor, in a callback
    out of C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.SIG_IGN:
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        flag.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` where a signal would end the process at once, so that all clean-up runs.

    Signals that somebody else handles, or ignores as ``nohup`` does, are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let Ctrl+C wait until the block ends; where signals can be blocked, processes started in it never get one.

    A terminal sends Ctrl+C to every process of the run. One that is still importing when it comes would end with a
    traceback, long before its own code could choose to ignore it; a blocked signal stays blocked in a new process.
    """
    held: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    earlier = signal.getsignal(signal.SIGINT) if is_main else None
    if earlier is not None:  # the mask alone would not do: the signal then comes by way of another thread
        signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if earlier is not None:
            signal.signal(signal.SIGINT, earlier)
        if held:
            signal.raise_signal(signal.SIGINT)
