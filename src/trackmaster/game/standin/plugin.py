"""The plugin inside of a stand-in: the public plugin's protocol byte for byte, and ours once a client asks for it.

Source: ``game_link.md`` 1 to 5 (plain) and 18 (ours).
"""

import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from trackmaster.game.link import protocol
from trackmaster.game.link.clock import Clock
from trackmaster.game.link.protocol import DEFAULT_PERIOD_MS, DEFAULT_TIMEOUT_MS, LAYOUTS, Message, encode
from trackmaster.game.standin.commands import PLAIN, Handler
from trackmaster.game.standin.commands_ours import OURS
from trackmaster.game.standin.faults import FaultPlan, Kind, Phase
from trackmaster.game.standin.game import Screen, StandinGame
from trackmaster.game.standin.race import GatePassed
from trackmaster.game.standin.session import Sample, Session
from trackmaster.game.standin.wire import POLL_S, ClientGoneError, PluginWire, StoppedError

CRASH_CODE: Final = 134
PUSH_M: Final = 0.5
GARBAGE: Final = bytes(range(180, 250)) * 3
CUT_BYTES: Final = 4_096
SILENT_ACKS: Final = {1, 2, 4, 5}
"""Acknowledgements that the plugin takes without a word wherever they come; it logs every other unknown number."""
TAKEN_OVER: Final = 1
"""Code of ``SC_ERROR``: another client took the place."""


class StandinPlugin:
    """Serves one client of one game; every callback of the game comes here."""

    def __init__(
        self,
        game: StandinGame,
        clock: Clock,
        faults: FaultPlan,
        is_stopped: Callable[[], bool],
        *,
        speaks_ours: bool = True,
        on_hang: Callable[[], None] = lambda: None,
    ) -> None:
        """Install the plugin.

        Args:
            game: what it runs in.
            clock: time for the wait for acknowledgements.
            faults: what goes wrong.
            is_stopped: whether the stand-in is told to end.
            speaks_ours: False makes it the public plugin.
            on_hang: called when the game is made to hang.
        """
        self.session = Session(game)
        self._game = game
        self._clock = clock
        self._faults = faults
        self._is_stopped = is_stopped
        self._on_hang = on_hang
        self._commands: dict[Message, Handler] = PLAIN | OURS if speaks_ours else PLAIN

    @property
    def has_client(self) -> bool:
        """Whether a client holds the only place."""
        return self.session.wire is not None

    @property
    def client(self) -> PluginWire | None:
        """The client, once it was greeted."""
        return None if self.session.greets else self.session.wire

    @property
    def has_work(self) -> bool:
        """Whether the next drawn picture serves somebody."""
        session = self.session
        return self.has_client and (session.greets or session.request is not None or self.holds_tick)

    @property
    def holds_tick(self) -> bool:
        """Whether the race waits for its picture to be drawn."""
        return bool(self.session.samples.held)

    # Callbacks of the game

    def accept(self, connection: socket.socket) -> None:
        """Give the place to a new client; the one before is dropped (without a word in the plain dialect)."""
        session = self.session
        if session.wire is not None:
            if session.is_ours:
                self._tell(session.wire, "another program connected to this game and took the only place for a client")
            session.wire.close()
        session.is_ours = session.plays = False
        session.samples.clear()
        session.wire = PluginWire(connection, self._clock, self._is_stopped)
        session.greets = True

    def render(self) -> None:
        """A picture was drawn: greet a new client, serve requests for pictures."""
        session = self.session
        if session.greets and self._game.screen is not Screen.STARTUP:
            session.greets = False
            self._send_and_wait(Message.SC_ON_CONNECT_SYNC, b"", "connect")
        if session.request is not None and self.has_client:
            picture = self._game.picture(*session.request).data.cast("B")
            self._send_and_wait(Message.SC_REQUESTED_FRAME_SYNC, picture, "frame")
            session.request = None
        while session.samples.held and self.has_client:
            self._send_sample(session.samples.held.pop(0))
        if session.is_ours and session.watchdog_s and self._game.speed <= 0 and not self.has_work:
            self._watch()

    def _watch(self) -> None:
        """Paused, and nobody is asked anything: only a client that is gone leaves a game like that."""
        session = self.session
        if self.has_client and self._clock.now_s() > session.heard_s + session.watchdog_s:
            self._close_connection()

    def gate_passed(self, report: GatePassed) -> None:
        """A gate or a lap was counted."""
        number = Message.SC_LAP_COUNT_CHANGED_SYNC if report.is_lap else Message.SC_CHECKPOINT_COUNT_CHANGED_SYNC
        content = struct.pack("<ii", report.current, report.target)
        self._send_and_wait(number, content, "finish" if report.is_finish else "checkpoint")

    def run_step(self) -> None:
        """A tick of the race has passed."""
        session, race = self.session, self._game.race
        if race is None or not self.has_client:
            return
        is_due = race.race_time_ms % session.period_ms == 0 or race.tick_time_ms > race.race_time_ms
        if is_due and not session.samples.plan:
            phase: Phase = "countdown" if race.race_time_ms < 0 else "race"
            self._send_and_wait(Message.SC_RUN_STEP_SYNC, struct.pack("<i", race.race_time_ms), phase)
        if self.has_client and self._game.race is race:
            for sample in session.samples.due(race.tick_time_ms):
                if sample.wants & protocol.Wants.PICTURE:
                    session.samples.held.append(sample)
                else:
                    self._send_sample(sample)

    def screen_drawn(self, phase: Phase) -> None:
        """A screen in which the game says nothing by itself was drawn."""
        if self.meet(phase) == "garbage":
            self._write(GARBAGE)

    def meet(self, phase: Phase) -> Kind | None:
        """Let what the fault plan has for a phase happen, as far as it needs no message; return what it was."""
        kind = self._faults.meet(phase)
        if kind == "hang":
            self._on_hang()
            while not self._is_stopped():
                self._clock.sleep(POLL_S)
            raise StoppedError
        if kind == "crash":
            os._exit(CRASH_CODE)
        if kind == "diverge" and self._game.race is not None:
            self._game.race.nudge(PUSH_M)
        if kind == "drop":
            self._close_connection()
        return kind

    # The wait

    def _send_and_wait(self, number: Message, content: bytes | memoryview, phase: Phase) -> None:
        """Send a message and block the game until it is acknowledged, as the plugin does."""
        kind = self.meet(phase)
        wire = self.session.wire
        if wire is None:
            return
        try:
            self.session.waits_for = number
            wire.is_slow = kind == "slow"
            if kind == "garbage":
                wire.write(GARBAGE)
            elif kind == "frame_size":
                wire.write(struct.pack("<i", number), bytes(content)[: max(0, len(content) - CUT_BYTES)])
            else:
                wire.write(struct.pack("<i", number), content)
            self._wait(wire, number)
        except ClientGoneError:
            self._close_connection()

    def _wait(self, wire: PluginWire, number: Message) -> None:
        session = self.session
        session.wait_began_s = session.heard_s = self._clock.now_s()
        session.deadline_s = session.wait_began_s + session.timeout_s
        while True:
            if not wire.available(session.patience_s, 4):
                self._game.log(f"no answer to {number.name} in {session.timeout_s:g} s")
                raise ClientGoneError
            found = wire.read_i32(session.patience_s)
            session.heard_s = self._clock.now_s()
            if found == number:
                session.waits_for = None
                return
            if found == Message.C_SHUTDOWN:
                raise ClientGoneError
            self._execute(found)

    def _execute(self, number: int) -> None:
        """Run one command; an unknown number is four bytes lost, as in the plugin."""
        action = self._commands.get(Message(number)) if number in Message._value2member_map_ else None
        if action is None:
            if number not in SILENT_ACKS:
                self._game.log(f"unknown message {number}")
            return
        if number >= protocol.FIRST_OF_OURS and number != Message.C_HELLO:
            self.session.blob(4)  # the length of a message that is known
        action(self.session)

    def _send_sample(self, sample: Sample) -> None:
        session, race = self.session, self._game.race
        if session.wire is None or race is None:
            return
        has_picture = bool(sample.wants & protocol.Wants.PICTURE)
        state = race.state.memory if sample.wants & protocol.Wants.STATE else memoryview(b"")
        width, height = sample.size if has_picture else (0, 0)
        picture = self._game.picture(width, height).data.cast("B") if has_picture else memoryview(b"")
        head = struct.pack(
            f"<i{LAYOUTS[Message.SC_SAMPLE].fields}",
            LAYOUTS[Message.SC_SAMPLE].size + len(state) + len(picture),
            sample.request,
            width,
            height,
            protocol.FORMAT_BGRA,
            race.race_time_ms,
            race.tick_time_ms,
            int(sample.is_sync),
            len(state),
            len(picture),
        )
        content = b"".join([head, state, picture])
        if sample.is_sync:
            self._send_and_wait(Message.SC_SAMPLE, content, "frame")
            return
        kind = self.meet("frame")
        self._write(GARBAGE if kind == "garbage" else struct.pack("<i", Message.SC_SAMPLE) + content)

    def _write(self, content: bytes) -> None:
        """Send what nobody waits for."""
        if self.session.wire is None:
            return
        try:
            self.session.wire.write(content)
        except ClientGoneError:
            self._close_connection()

    def _tell(self, wire: PluginWire, text: str) -> None:
        raw = text.encode()
        try:
            wire.write(encode(Message.SC_ERROR, TAKEN_OVER, blob=struct.pack("<i", len(raw)) + raw))
        except ClientGoneError:
            self._game.log("the client before was gone already")

    def _close_connection(self) -> None:
        """Drop the client as the plugin does: the speed stays what it was, unless our dialect was spoken."""
        session = self.session
        if session.wire is not None:
            session.wire.close()
        session.wire = session.waits_for = None
        session.greets = False
        session.request = None
        session.timeout_s = DEFAULT_TIMEOUT_MS / 1_000
        session.samples.clear()
        if session.is_ours:
            self._game.speed = session.watchdog_speed if session.watchdog_speed > 0 else 1.0
            self._game.is_hud_shown = True
            session.period_ms = DEFAULT_PERIOD_MS
            if session.plays:
                self._game.play([])
        session.watchdog_s, session.watchdog_speed = 0.0, 1.0
        session.is_ours = session.plays = False
