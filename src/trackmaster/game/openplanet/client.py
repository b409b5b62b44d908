"""Receives telemetry of TrackMania 2020: the plugin is the server, we keep the newest record.

Silence is normal (menus, loading); a connection that ends is made again, after pauses that grow to some seconds. Only a
stream that is something else than declared is an error for good.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from trackmaster.game.link.errors import CannotConnectError, LinkError, SilentGameError
from trackmaster.game.openplanet.layouts import DEFAULT_PORT, GHOST_PORT, Layout, Record, layout_named
from trackmaster.game.openplanet.stream import StreamParser

LOG = logging.getLogger(__name__)
LOCALHOST: Final = "127.0.0.1"
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 5.0
_CONNECT_S: Final = 5.0
_POLL_S: Final = 0.25
_CHUNK_BYTES: Final = 65_536


class OpenPlanetClient:
    """One telemetry connection in a background thread; ``with OpenPlanetClient() as client: client.latest()``."""

    def __init__(
        self,
        host: str = LOCALHOST,
        port: int = DEFAULT_PORT,
        *,
        layout: str | Layout = "tmrl",
        now_s: Callable[[], float] = time.monotonic,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Begin to connect.

        Args:
            host: where the game runs.
            port: of the plugin.
            layout: of its records.
            now_s: clock that stamps records.
            first_pause_s: pause before the first new attempt; doubled up to 5 s.

        Raises:
            LinkError: there is no such layout.
        """
        self.layout = layout if isinstance(layout, Layout) else layout_named(layout)
        self._host, self._port, self.now_s = host, port, now_s
        self._first_pause_s = first_pause_s
        self._changed = threading.Condition()
        self._newest: Record | None = None
        self._count = self._in_connection = 0
        self._error: LinkError | None = None
        self._is_connected = False
        self.connections = 0
        """Connections made so far."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"openplanet-{port}", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """Times that something newer came."""
        return self._count

    def latest(self, *, newer_than: int = 0, at_least: int = 0, timeout_s: float = 1.0) -> Record:
        """Return the newest record.

        Args:
            newer_than: wait for one after this ``count``.
            at_least: wait until the present connection has brought this many records.
            timeout_s: how long to wait.

        Raises:
            LinkError: the stream is not what was declared.
            CannotConnectError: nobody listens.
            SilentGameError: connected, but nothing came.
        """

        def is_there() -> bool:
            return self._count > newer_than and self._in_connection >= at_least

        with self._changed:
            self._changed.wait_for(lambda: is_there() or self._error is not None, timeout_s)
            if self._error is not None:
                raise self._error
            if self._newest is not None and is_there():
                return self._newest
            if self._is_connected:
                raise SilentGameError(
                    f"the plugin on port {self._port} has sent nothing new for {timeout_s:g} s: it is silent in menus. "
                    "Load a map and drive, and keep the game's window open."
                )
        raise CannotConnectError(
            f"nobody listens on {self._host}:{self._port}: start TrackMania 2020 with OpenPlanet and load the plugin "
            "(F3, Developer, Load plugin)."
        )

    def close(self) -> None:
        """End the connection."""
        self._stop.set()
        self._thread.join(_CONNECT_S)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while not self._stop.is_set():
            before = self._count
            try:
                self._receive()
            except OSError as error:
                LOG.debug("connection to port %d: %s", self._port, error)
            except LinkError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            pause_s = self._first_pause_s if self._count > before else min(2 * pause_s, LONGEST_PAUSE_S)
            self._stop.wait(pause_s)

    def _receive(self) -> None:
        """Connect and read until the stream ends.

        Raises:
            OSError: it cannot be connected, or breaks.
            LinkError: it is something else.
        """
        parser = StreamParser(self.layout)
        with socket.create_connection((self._host, self._port), _CONNECT_S) as connection:
            connection.settimeout(_POLL_S)
            self.connections += 1
            self._set_connected(is_connected=True)
            try:
                while not self._stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        data = connection.recv(_CHUNK_BYTES)
                        if not data:
                            return
                        self._take(parser.feed(data, received_s=self.now_s()), parser.count)
            finally:
                self._set_connected(is_connected=False)

    def _take(self, record: Record | None, in_connection: int) -> None:
        if record is not None:
            with self._changed:
                self._in_connection = in_connection
                self._newest = record
                self._count += 1
                self._changed.notify_all()

    def _set_connected(self, *, is_connected: bool) -> None:
        with self._changed:
            self._is_connected = is_connected
            self._in_connection = 0


def save_ghost(host: str = LOCALHOST, port: int = GHOST_PORT, *, timeout_s: float = _CONNECT_S) -> None:
    """Let the plugin TMRL_SaveGhost save the ghost of the last run: connecting is all it takes.

    Raises:
        CannotConnectError: nobody listens.
    """
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        raise CannotConnectError(
            f"the ghost cannot be saved: nobody listens on {host}:{port}. Load the plugin TMRL_SaveGhost, or switch "
            "save_replays off."
        ) from error
