"""A program that is told to end leaves its games, and the folders of the user, like one that Ctrl+C stops."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

ENDING: Final = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""By name, because no system has all of them: told to end, the terminal was closed, Ctrl+Break."""


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
