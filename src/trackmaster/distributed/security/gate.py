"""What a server does about addresses that knock too often: waits after wrong tokens, caps on connections."""

import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

FREE_FAILURES = 3
"""Wrong tokens of an address before it has to wait."""
LONGEST_WAIT_S = 30.0
MAX_ADDRESSES = 4096


class BackOff:
    """How long each address has to wait: 1, 2, 4 … 30 seconds after wrong tokens; what comes earlier is not looked at.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return how long this address still has to wait."""
        _, until = self._failures.get(address, (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, address: str) -> None:
        """Note a wrong token."""
        count = self._failures.pop(address, (0, 0.0))[0] + 1
        wait = min(LONGEST_WAIT_S, 2.0 ** (count - FREE_FAILURES - 1)) if count > FREE_FAILURES else 0.0
        self._failures[address] = (count, self._clock() + wait)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)


class ConnectionCap:
    """Counts open connections, in total and by address."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total, self._per_address = total, per_address
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.refused = 0
        """Connections that were closed at once."""

    def enter(self, address: str) -> bool:
        """Count a connection, unless there are too many already."""
        with self._lock:
            if self._open.total() >= self._total or self._open[address] >= self._per_address:
                self.refused += 1
                return False
            self._open[address] += 1
            return True

    def leave(self, address: str) -> None:
        """A counted connection has ended."""
        with self._lock:
            self._open[address] -= 1
            if self._open[address] <= 0:
                del self._open[address]

    def __len__(self) -> int:
        return self._open.total()


class _CountedSocket(socket.socket):
    """An accepted connection that tells its cap when it is closed."""

    cap: ConnectionCap | None = None
    address = ""

    def close(self) -> None:
        cap, self.cap = self.cap, None
        if cap is not None:
            cap.leave(self.address)
        super().close()


class CappedListener(socket.socket):
    """A listening socket whose excess connections are closed before anything is read or encrypted.

    asyncio accepts through this object where it waits with selectors (Linux, macOS); elsewhere the cap counts nothing
    and the limits of time still hold.
    """

    cap: ConnectionCap | None = None

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection within the cap; excess ones are closed here."""
        while True:
            handle, address = self._accept()  # type: ignore[attr-defined]
            connection = _CountedSocket(self.family, self.type, self.proto, fileno=handle)
            if self.cap is None or self.cap.enter(str(address[0])):
                connection.cap, connection.address = self.cap, str(address[0])
                return connection, address
            connection.close()


def listen(host: str, port: int, cap: ConnectionCap) -> CappedListener:
    """Return a listening socket under a cap.

    Raises:
        OSError: the address is in use or is none of this machine.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = CappedListener(family, kind, protocol)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    listener.cap = cap
    return listener
