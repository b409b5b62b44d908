"""Where the calls of an interface run: in the caller's thread, or all in one thread beside it."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Protocol

from trackmaster.env.errors import EnvError

_END: Final = None


class Runner(Protocol):
    """Runs calls one after the other."""

    def start(self, call: Callable[[], Any]) -> "Future[Any]":
        """Run a call; its result or exception comes with the future.

        Raises:
            EnvError: the runner is closed.
        """

    def close(self, timeout_s: float) -> None:
        """Run no further call."""


class InlineRunner:
    """Runs every call at once: nothing is concurrent on a virtual clock."""

    def __init__(self) -> None:
        """Begin."""
        self._is_closed = False

    def start(self, call: Callable[[], Any]) -> "Future[Any]":
        """Run the call now."""
        _refuse_if(is_closed=self._is_closed)
        return _run(call, Future())

    def close(self, timeout_s: float) -> None:
        """Nothing is left to end."""
        del timeout_s
        self._is_closed = True


class BackgroundRunner:
    """One daemon thread: an interface sees all its calls from the same thread, and a hung one cannot hold the program.

    Exceptions of a call travel with its future; none is lost, and the thread goes on.
    """

    def __init__(self) -> None:
        """Start the thread."""
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._loop, name="realtime-environment", daemon=True)
        self._thread.start()

    def start(self, call: Callable[[], Any]) -> "Future[Any]":
        """Queue the call."""
        _refuse_if(is_closed=self._is_closed)
        future: Future[Any] = Future()
        self._calls.put((call, future))
        return future

    def close(self, timeout_s: float) -> None:
        """Let the thread end after the calls queued so far; one that hangs is left behind."""
        self._is_closed = True
        self._calls.put(_END)
        self._thread.join(timeout_s)

    def _loop(self) -> None:
        while (item := self._calls.get()) is not _END:
            _run(*item)


def _refuse_if(*, is_closed: bool) -> None:
    if is_closed:
        raise EnvError("the environment is closed: make it anew.")


def _run(call: Callable[[], Any], future: "Future[Any]") -> "Future[Any]":
    try:
        future.set_result(call())
    except BaseException as error:  # whatever it is belongs to whoever waits for the result
        future.set_exception(error)
    return future


def result_within(future: "Future[Any]", timeout_s: float, what: str) -> Any:
    """Return a call's result, re-raising its exception.

    Raises:
        EnvError: nothing came within ``timeout_s``.
    """
    try:
        return future.result(timeout_s)
    except TimeoutError as error:
        if future.done():  # the interface's own time-out, not ours
            raise
        raise EnvError(
            f"the interface has not answered for {timeout_s:.1f} s ({what}): is the game running, in a race and not "
            "paused? `trackmaster doctor` looks at the link."
        ) from error
