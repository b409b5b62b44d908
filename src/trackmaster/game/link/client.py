"""The strict client of the plugin: wait for a message, command, acknowledge; nothing else is possible.

The game stands still from the moment it sends a message until that message is acknowledged. Commands are executed only
in between. So a client is either *outside* (it can only wait for the next message) or *inside* one message (it can
command, ask and acknowledge exactly that message); every other call is refused here, before it can confuse the game.

Source: ``game_link.md`` 3, 4 and 18.
"""

import atexit
import struct
import weakref
from dataclasses import dataclass
from typing import Final

from trackmaster.game.link import protocol
from trackmaster.game.link.channel import Channel
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.commands import Commands
from trackmaster.game.link.errors import CannotConnectError, LinkError, LostConnectionError, SilentGameError
from trackmaster.game.link.events import Event, Plugin, Wire, read_error, read_event
from trackmaster.game.link.protocol import LAYOUTS, Feature, Message, ProtocolError, encode
from trackmaster.game.state import GameError

LOCALHOST: Final = "127.0.0.1"
_OPEN: "weakref.WeakSet[LinkClient]" = weakref.WeakSet()
"""Clients with a session; whoever ends the program without closing them leaves no game paused."""


@atexit.register
def _leave_all() -> None:
    for client in list(_OPEN):
        client.close()


@dataclass(slots=True)
class Timeouts:
    """How long the game may be silent, in seconds."""

    connect_s: float = 10.0
    """From the connection to the first message; a game that starts up needs more."""
    answer_s: float = 10.0
    """From a question to its answer, and for the rest of a message that has begun."""
    event_s: float = 20.0
    """From an acknowledgement to the next message."""


class LinkClient(Commands):
    """A session with one game; ``connect`` again after any ``LinkError``."""

    def __init__(
        self,
        port: int,
        *,
        host: str = LOCALHOST,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        speak_plain: bool = False,
    ) -> None:
        """Choose the game; nothing is sent yet.

        Args:
            port: of the plugin.
            host: of the game; the plugin listens on this machine only.
            timeouts: how patient to be.
            clock: time for deadlines.
            speak_plain: do not ask for our dialect, whatever the plugin could do.
        """
        self.port = port
        self.timeouts = timeouts if timeouts is not None else Timeouts()
        self._host = host
        self._clock = clock if clock is not None else SystemClock()
        self._speak_plain = speak_plain
        self._wire: Wire | None = None
        self._in_menus = False
        self._race_time_ms: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a session stands, as far as is known."""
        return self._wire is not None and self._wire.channel.is_open

    @property
    def plugin(self) -> Plugin:
        """Who answers; a plain plugin before the first session."""
        return self._wire.plugin if self._wire is not None else Plugin()

    @property
    def inside(self) -> Message | None:
        """The message that the game waits for us to acknowledge; None while we wait for it."""
        return self._wire.inside if self._wire is not None else None

    @property
    def shuffles_lines(self) -> bool:
        """Whether a console line said now may run before one that was said earlier inside of the same message."""
        return self._wire is not None and self._wire.has_lines and not self._wire.plugin.is_ours

    @property
    def race_time_ms(self) -> int | None:
        """Race time of the latest run step of this session."""
        return self._race_time_ms

    @property
    def was_in_menus(self) -> bool:
        """Whether the game showed its menus when the session began."""
        return self._in_menus

    # The session

    def connect(self) -> Plugin:
        """Open a session and return who answers; the client is inside the connect message then.

        Raises:
            CannotConnectError: nothing listens, the game says nothing, or what answers is no plugin that we know.
        """
        self.abort()
        self._race_time_ms = None
        channel = Channel.connect(self._host, self.port, self._clock, timeout_s=self.timeouts.connect_s)
        try:
            first = channel.read_i32(self.timeouts.connect_s)
        except SilentGameError:
            channel.abort()
            raise CannotConnectError(
                f"port {self.port} answers, but the game says nothing for {self.timeouts.connect_s:g} s. It accepts "
                "a client only while it draws: open its window if it is minimised, wait if it is starting up or "
                "loading, and close it if it hangs."
            ) from None
        except LostConnectionError:
            raise CannotConnectError(
                f"the game on port {self.port} closed the connection at once. Another program may be taking its only "
                "place for a client again and again: run one program per game."
            ) from None
        if first == Message.SC_ERROR:
            refusal = read_error(Wire(channel, self.port, self.timeouts.answer_s))
            channel.abort()
            raise CannotConnectError(str(refusal))
        if first != Message.SC_ON_CONNECT_SYNC:
            channel.abort()
            raise CannotConnectError(
                f"what answers on port {self.port} began with {first}, expected {Message.SC_ON_CONNECT_SYNC:d} as the "
                "plugin for TMInterface 2.1 does: another program listens there, or the plugin is of another version. "
                "Choose the port that the TMInterface console names, and install the plugin of this version."
            )
        self._wire = Wire(channel, self.port, self.timeouts.answer_s, inside=Message.SC_ON_CONNECT_SYNC)
        try:
            self._greet()
        except CannotConnectError:
            self.abort()
            raise
        except GameError as error:
            self.abort()
            raise CannotConnectError(f"the game on port {self.port} began to answer and stopped: {error}") from None
        _OPEN.add(self)
        return self._wire.plugin

    def _greet(self) -> None:
        """Find out which dialect the plugin speaks, without a payload that a plain one would take for messages."""
        wire, answer_s = self._session(), self.timeouts.answer_s
        if not self._speak_plain:
            wire.channel.write(encode(Message.C_HELLO))
        wire.channel.write(encode(Message.C_IS_IN_MENUS))
        answer = wire.channel.read_i32(answer_s)
        if answer == protocol.MAGIC:
            layout = LAYOUTS[Message.C_HELLO]
            head = answer.to_bytes(4, "little") + wire.channel.read(layout.answer_size - 4, answer_s)
            _, major, minor, features = struct.unpack(f"<{layout.answer}", head)
            version = wire.channel.read_blob(answer_s).decode("utf-8", "replace")
            if major != protocol.VERSION[0]:
                self.close()
                raise CannotConnectError(
                    f"the plugin on port {self.port} speaks version {major}.{minor} of our protocol, this program "
                    f"speaks {protocol.VERSION[0]}.{protocol.VERSION[1]}. Copy plugin/TrackmasterLink.as of this "
                    "version into the TMInterface plugins folder and restart the game."
                )
            wire.plugin = Plugin(Feature(features), version or "unnamed")
            answer = wire.channel.read_i32(answer_s)
        if answer not in (0, 1):
            self.abort()
            raise CannotConnectError(
                f"the plugin on port {self.port} answered {answer} to a yes-or-no question: it is of another version. "
                "Install the plugin of TMInterface 2.1, or plugin/TrackmasterLink.as."
            )
        self._in_menus = answer == 1
        if wire.plugin.is_ours:
            self._command(Message.C_HELLO_CLIENT, *protocol.VERSION, int(wire.plugin.features))

    def close(self) -> None:
        """Leave the game as a player wants it: speed 1, no request pending, HUD on, running freely.

        Safe in every state: outside of a message the words wait in the socket until the game's next one.
        """
        wire, self._wire = self._wire, None
        if wire is None or not wire.channel.is_open:
            return
        farewell = [
            encode(Message.C_SET_SPEED, 1.0),
            encode(Message.C_UNREQUEST_FRAME),
            encode(Message.C_SET_ON_STEP_PERIOD, protocol.DEFAULT_PERIOD_MS),
            encode(Message.C_TOGGLE_INTERFACE, 1),
            encode(Message.C_SHUTDOWN),
        ]
        try:
            wire.channel.write(b"".join(farewell))
        except LostConnectionError:
            return
        wire.channel.finish()

    def abort(self) -> None:
        """Drop the connection without a word."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.channel.abort()

    # Messages of the game

    def wait(self, timeout_s: float | None = None) -> Event:
        """Return the next message of the game; the client is inside of it then (unless it is no question).

        Args:
            timeout_s: patience; ``timeouts.event_s`` without it.

        Raises:
            SilentGameError: nothing came in time; the session can still go on.
            LostConnectionError: the session has ended.
            ProtocolError: what came is no message; the session was dropped.
            GameError: the client is inside a message.
        """
        wire = self._session()
        if wire.inside is not None:
            raise ProtocolError(f"the game waits for the answer to {wire.inside.name}: acknowledge it before waiting.")
        wire.channel.wait_for_word(self.timeouts.event_s if timeout_s is None else timeout_s)
        try:
            number = wire.channel.read_i32(self.timeouts.answer_s)
            event = read_event(wire, number)
        except (LinkError, ProtocolError):
            self.abort()  # the rest of a message is missing: whatever comes next cannot be understood
            raise
        wire.inside = event.message if event.is_sync else None
        if event.is_run_step:
            self._race_time_ms = event.time_ms
        return event

    def acknowledge(self) -> None:
        """Let the game go on."""
        wire = self._inside()
        assert wire.inside is not None
        wire.channel.write(struct.pack("<i", wire.inside))
        wire.inside = None
        wire.has_lines = False

    def _inside(self) -> Wire:
        wire = self._session()
        if wire.inside is None:
            raise ProtocolError("commands are executed only while the game waits for us: call wait() first.")
        return wire

    def _session(self) -> Wire:
        if self._wire is None:
            raise LostConnectionError(f"there is no session with the game on port {self.port}: call connect().")
        return self._wire
