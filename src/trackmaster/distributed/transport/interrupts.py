"""Ctrl+C while processes are started: they must not see it, and it must not come in the middle."""

import contextlib
import signal
import threading
from collections.abc import Iterator


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
