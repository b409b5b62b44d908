"""A TCP relay that behaves like a distant network: it delays segments, holds some back for longer, and can be cut."""

import contextlib
import random
import socket
import threading
import time
from types import TracebackType
from typing import Self

SEGMENT = 16 * 1024


class SlowLink:
    """Listens on a port of its own and passes everything on to another port of this machine.

    Args:
        target: port to pass on to.
        delay_s: of every segment; 0.05 is a connection between continents.
        held_share: share of segments that are held back, as a lost and repeated one would be.
        held_s: how long those wait in addition; TCP delivers in order, so all later ones wait too.
        seed: draws which ones.
    """

    def __init__(
        self, target: int, *, delay_s: float = 0.05, held_share: float = 0.01, held_s: float = 0.2, seed: int = 0
    ) -> None:
        self._target, self._delay_s, self._held_share, self._held_s = target, delay_s, held_share, held_s
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self.port = self._listener.getsockname()[1]
        """Where clients connect to."""
        self.cuts = 0
        """How often ``cut`` was called."""
        self.segments = 0
        """How many were carried."""
        self.held = 0
        """How many of them were held back for longer."""
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End every connection at once; later ones are served again."""
        self.cuts += 1
        with self._lock:
            doomed, self._open = self._open, set()
        for connection in doomed:
            _end(connection)

    def close(self) -> None:
        """Cut and stop listening."""
        self._is_closed = True
        _end(self._listener)
        self.cut()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nobody is there
                _end(near)
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Read as fast as data comes, deliver each segment when its time has come."""
        waiting: list[tuple[float, bytes]] = []
        changed = threading.Condition()
        deliverer = threading.Thread(target=self._deliver, args=(sink, waiting, changed), daemon=True)
        deliverer.start()
        due = 0.0
        try:
            while data := source.recv(SEGMENT):
                held = self._held_s if self._draw() else 0.0
                due = max(due, time.monotonic() + self._delay_s + held)
                with changed:
                    waiting.append((due, data))
                    changed.notify()
        except OSError:
            pass
        with changed:
            waiting.append((due, b""))
            changed.notify()
        deliverer.join()
        _end(source)

    def _draw(self) -> bool:
        with self._lock:
            is_held = self._rng.random() < self._held_share
            self.segments, self.held = self.segments + 1, self.held + is_held
            return is_held

    def _deliver(self, sink: socket.socket, waiting: list[tuple[float, bytes]], changed: threading.Condition) -> None:
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: bool(waiting))
                    due, data = waiting.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        _end(sink)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
