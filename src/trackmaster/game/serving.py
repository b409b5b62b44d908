"""A stand-in of a game in a thread of its own: ports, start, stop, and what ended it."""

import socket
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

from trackmaster.errors import TrackmasterError

LOCALHOST: Final = "127.0.0.1"
JOIN_S: Final = 10.0


class ServedGame(ABC):
    """``with`` runs it; everything happens in one thread, as in the real game.

    Args:
        ports: to listen on; 0 takes a free one.
        name: of its thread, before the first port.

    Raises:
        TrackmasterError: a port is taken.
    """

    def __init__(self, *ports: int, name: str) -> None:
        self._listeners: list[socket.socket] = []
        try:
            for port in ports:
                self._listeners.append(listen(port))
        except TrackmasterError:
            self.close_listeners()
            raise
        self.port: int = self._listeners[0].getsockname()[1]
        self.error: BaseException | None = None
        """What ended the loop, if it was not ``stop``."""
        self._name = name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def run(self) -> None:
        """Serve until ``stop`` is called."""

    def start(self) -> Self:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self._run_guarded, name=f"{self._name}-{self.port}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the game, wait for it and close all ports."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)
        self.close_listeners()

    def close_listeners(self) -> None:
        """Take no new connection."""
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run_guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self.error = error
            raise


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine; 0 takes a free port.

    Raises:
        TrackmasterError: the port is taken, or there is no such port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOCALHOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise TrackmasterError(
            f"port {port} cannot be listened on ({getattr(error, 'strerror', None) or error}). A game or another "
            "stand-in may have it already: give another --port, or 0 for any free one."
        ) from None
    listener.listen(8)
    return listener
