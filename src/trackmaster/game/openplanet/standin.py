"""Serves the simulator as if it were TrackMania 2020 with OpenPlanet: telemetry, ghost and desk, each on its port.

Everything runs in one thread. In real time a record goes out with every picture; in virtual time the race stands until
the desk lets time pass, and then one record goes out for the new moment.
"""

import contextlib
import logging
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trackmaster.game.openplanet import desk
from trackmaster.game.openplanet.layouts import Layout, encode_header, layout_named
from trackmaster.game.openplanet.standin_race import StandinRace
from trackmaster.game.serving import ServedGame
from trackmaster.track import Track
from trackmaster.units import TICK_MS

LOG = logging.getLogger(__name__)
_IDLE_S: Final = 0.05
_SEND_S: Final = 2.0
_MAX_REQUEST: Final = 1 + desk.PAD.size


class OpenPlanetStandin(ServedGame):
    """``with OpenPlanetStandin(track) as standin:`` and connect to ``port``, ``ghost_port`` and ``desk_port``."""

    def __init__(
        self,
        track: Track,
        *,
        port: int = 0,
        ghost_port: int = 0,
        desk_port: int = 0,
        layout: str = "tmrl",
        fps: float = 60.0,
        is_virtual: bool = False,
        countdown_ms: int = 1_500,
        ghost_folder: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen; the race begins with ``start``.

        Args:
            track: where to drive.
            port: of the telemetry; 0 takes a free one, here and below.
            ghost_port: any connection saves the ghost.
            desk_port: of pad and screen.
            layout: of the records.
            fps: records per second of real time.
            is_virtual: time passes when the desk says so.
            countdown_ms: from a restart to green.
            ghost_folder: where ghosts are written; they are counted only, without it.
            now_s: clock of real time.

        Raises:
            TrackmasterError: a port is taken.
        """
        super().__init__(port, ghost_port, desk_port, name="openplanet-standin")
        _, self.ghost_port, self.desk_port = (each.getsockname()[1] for each in self._listeners)
        self._layout: Layout = layout_named(layout)
        self._fps, self._is_virtual, self._now_s = fps, is_virtual, now_s
        self._countdown_ms, self._ghost_folder, self._track = countdown_ms, ghost_folder, track
        self.ghosts_saved = 0
        self._race: StandinRace | None = None
        self._client: socket.socket | None = None
        self._sent = 0
        self._left_ms = 0
        self._desks: dict[socket.socket, bytearray] = {}

    def drop_client(self) -> None:
        """Cut the telemetry connection, as a game does that is closed; whoever connects again is served."""
        client = self._client
        if client is not None:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Serve until ``stop`` is called."""
        self._race = race = StandinRace(self._track, countdown_ms=self._countdown_ms)
        begun_s, ticks, frames = self._now_s(), 0, 0
        try:
            while not self._stop.is_set():
                if self._is_virtual:
                    self._serve(race, _IDLE_S)
                    continue
                due_s = begun_s + frames / self._fps
                while (left_s := due_s - self._now_s()) > 0 and not self._stop.is_set():
                    self._serve(race, min(left_s, _IDLE_S))
                self._serve(race, 0.0)
                wanted = int((self._now_s() - begun_s) * 1_000 / TICK_MS)
                race.advance(wanted - ticks)
                ticks, frames = wanted, max(frames + 1, int((self._now_s() - begun_s) * self._fps))
                self._send(race.record(self._layout))
        finally:
            race.close()
            for connection in [*self._desks, *([self._client] if self._client is not None else [])]:
                connection.close()

    def _serve(self, race: StandinRace, timeout_s: float) -> None:
        """Answer whoever asks within ``timeout_s``."""
        telemetry, ghosts, desks = self._listeners
        watched = [*self._listeners, *self._desks]
        for ready in select.select(watched, [], [], timeout_s)[0]:
            if ready is telemetry:
                self._accept_client(race)
            elif ready is ghosts:
                ghosts.accept()[0].close()
                self._save_ghost(race)
            elif ready is desks:
                connection = desks.accept()[0]
                connection.settimeout(_SEND_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._desks[connection] = bytearray()
            else:
                self._read_desk(race, ready)

    def _accept_client(self, race: StandinRace) -> None:
        """Serve one client at a time, as the plugin does: a new one takes the place of one that is gone."""
        connection = self._listeners[0].accept()[0]
        if self._client is not None:
            self._client.close()
        connection.settimeout(_SEND_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._sent = connection, 0
        header = encode_header(self._layout.record_bytes, race.track.uid) if self._layout.is_framed else b""
        self._send(header + race.record(self._layout))

    def _send(self, data: bytes) -> None:
        if self._client is None:
            return
        try:
            self._client.sendall(data)
            self._sent += 1
        except OSError:
            self._client.close()
            self._client = None

    def _save_ghost(self, race: StandinRace) -> None:
        if self._ghost_folder is not None:
            self._ghost_folder.mkdir(parents=True, exist_ok=True)
            race.save_ghost(self._ghost_folder / f"ghost_{self.ghosts_saved:03d}.json")
        self.ghosts_saved += 1

    def _read_desk(self, race: StandinRace, connection: socket.socket) -> None:
        """Take requests; a desk that asks for nonsense is closed."""
        buffer = self._desks[connection]
        try:
            data = connection.recv(4_096)
            buffer += data
            while buffer and (used := self._answer(race, connection, bytes(buffer[:_MAX_REQUEST]))):
                del buffer[:used]
        except (OSError, ValueError) as error:
            LOG.debug("a desk was closed: %s", error)
            data = b""
        if not data:
            connection.close()
            del self._desks[connection]

    def _answer(self, race: StandinRace, connection: socket.socket, request: bytes) -> int:
        """Do what a request asks; return its length, 0 while it is not complete.

        Raises:
            ValueError: there is no such request, or its numbers make no sense.
        """
        kind, rest = request[:1], request[1:]
        layouts = {b"P": desk.PAD, b"F": desk.FRAME, b"T": desk.TIME}
        if kind not in layouts:
            raise ValueError(f"request {kind!r}")
        form = layouts[kind]
        if len(rest) < form.size:
            return 0
        values = form.unpack_from(rest)
        if kind == b"P":
            race.press(*values)
        elif kind == b"F":
            number, width, height = values
            if number >= len(desk.KINDS) or not (min(width, height) >= 1 and max(width, height) <= desk.MAX_SIDE_PX):
                raise ValueError(f"picture {values}")
            connection.sendall(race.picture(desk.KINDS[number], (width, height)).tobytes())
        else:
            (milliseconds,) = values
            if not self._is_virtual or milliseconds > desk.MAX_ADVANCE_MS:
                raise ValueError(f"{milliseconds} ms in real time")
            ticks, self._left_ms = divmod(self._left_ms + milliseconds, TICK_MS)
            race.advance(ticks)
            self._send(race.record(self._layout))
            connection.sendall(desk.TIME.pack(self._sent))
        return 1 + form.size
