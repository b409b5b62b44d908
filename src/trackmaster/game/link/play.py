"""A session from a player's point of view: connect, load a map, arm inputs, begin the race; every stall has a name.

Source: ``game_link.md`` 7 and 16, ``capture_contract.md`` 5.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.errors import CannotConnectError, LinkError, LostConnectionError, SilentGameError
from trackmaster.game.link.events import Event
from trackmaster.game.link.protocol import DEFAULT_PERIOD_MS, Feature, Message
from trackmaster.gbx import Command

StallReason = Literal["no_start", "stuck_menu", "stalled"]
RUN_TIMEOUT_MS: Final = 10_100
"""How long the game waits for us in a run; the public projects use the same."""
HOLD_TIMEOUT_MS: Final = 60_000
"""Longest pause in which the game is held; a client that dies meanwhile leaves it frozen for no longer."""
SETTLE_TICKS: Final = 50
"""Ticks of a countdown after which a key that was pressed, or a map that was asked for before, has had its effect."""
RETRY_S: Final = 0.2
NO_TICK_S: Final = 25.0
"""Longest time without the tick that is due, whatever else the game says meanwhile."""
PREPARATION: Final = (
    "set unfocused_fps_limit false",
    "set skip_map_load_screens true",
    "set disable_forced_camera true",
    "set autorewind false",
    "set autorewind_nofinish false",
    "set auto_reload_plugins false",
    "set use_valseed false",
    "set execute_commands true",
)
"""Variables without which the game waits for keys, rewinds by itself or ignores scripts."""


class StallError(LinkError):
    """The game hangs in a screen; ``reason`` is the code of ``capture_contract.md`` 5."""

    def __init__(self, reason: StallReason, text: str) -> None:
        """Name the stall."""
        super().__init__(text)
        self.reason: StallReason = reason


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How a game is played."""

    running_speed: float = 1.0
    """Of the race; the countdown runs at it, too."""
    camera: int = 2
    login: str = ""
    """Account that the game logs in with; none by default."""
    load_s: float = 25.0
    """Longest wait for the countdown of a new map."""
    nudge_s: float = 3.0
    """Silence after which a key is pressed for the player who is not there."""
    patience_ms: int = RUN_TIMEOUT_MS
    """How long the game waits for us before it drops us; a client that dies leaves it frozen for so long."""


class Player:
    """Drives the screens of one game through a client."""

    def __init__(self, client: LinkClient, options: PlayOptions | None = None, *, clock: Clock | None = None) -> None:
        """Take a client; it need not be connected."""
        self.client = client
        self.options = options if options is not None else PlayOptions()
        self.map_name: str | None = None
        """The map whose countdown was seen last."""
        self._clock = clock if clock is not None else SystemClock()
        self._last_time_ms: int | None = None
        self._asked = 0
        """Maps asked for since the last countdown of one."""

    def connect(self) -> None:
        """Open a session and set what every run needs; the client is inside the connect message then.

        Raises:
            CannotConnectError: see ``LinkClient.connect``.
        """
        client = self.client
        self._open_session()
        for line in PREPARATION:
            client.execute(line)
        client.execute(f"set countdown_speed {self.options.running_speed:g}")
        if self.options.login:
            client.execute(f"set autologin {self.options.login}")

    def _open_session(self) -> None:
        client = self.client
        client.connect()
        client.set_timeout(self.options.patience_ms)
        client.set_speed(1.0)
        client.unrequest_frame()  # a client before us may have left one
        client.set_period(DEFAULT_PERIOD_MS)
        if client.plugin.has(Feature.WATCHDOG):
            client.set_watchdog(self.options.patience_ms, 1.0)

    def _next_message(self) -> None:
        """Come into another message of the game, so that every console line said so far runs before the next one.

        In a race that is the next one it sends. Its menus send none, so that a new session is opened there.
        """
        client = self.client
        if client.inside is Message.SC_ON_CONNECT_SYNC:
            client.close()  # what was said waits for the next picture, and so does the new session
        else:
            client.acknowledge()
            with contextlib.suppress(SilentGameError):
                while not client.wait(self.options.nudge_s).is_sync:
                    pass
                return
        self._open_session()

    def load_map(self, name: str) -> Event:
        """Load a map and return its first run step, in the countdown; the client is inside of it.

        The command is sent once. Run steps of a race before are acknowledged and forgotten. After ``nudge_s`` of
        silence the session is opened anew (outside of a message no command is heard) and a key is pressed.

        Args:
            name: of the map, relative to the game's ``Tracks/Challenges``.

        Raises:
            StallError: no countdown came within ``load_s``.
            CannotConnectError: the game does not answer at all.
            LostConnectionError: the session ended.
        """
        client = self.client
        if client.inside is None:
            self.connect()
        self.map_name = None
        self._last_time_ms = client.race_time_ms
        if client.shuffles_lines:
            self._next_message()
            self._last_time_ms = self._last_time_ms if client.race_time_ms is None else client.race_time_ms
        began_in_menus = client.inside is not Message.SC_ON_CONNECT_SYNC or client.was_in_menus
        has_raced = not began_in_menus
        if client.plugin.has(Feature.FOCUS):
            client.focus()  # from the menus a map loads only in front of somebody
        client.execute(f'map "{name}"' if " " in name else f"map {name}")
        client.acknowledge()
        self._asked += 1
        deadline = self._clock.now_s() + self.options.load_s
        silences = 0
        # A session that broke may have left a map in the game's queue: it loads first, and this one over it.
        ticks_to_settle = SETTLE_TICKS if self._asked > 1 else 0
        is_new = False
        while (left := deadline - self._clock.now_s()) > 0:
            try:
                event = client.wait(min(self.options.nudge_s, left))
            except SilentGameError:
                # A slow load is silent, too: the first new session only looks, a later one presses a key.
                silences += 1
                if self._look_again(deadline, press=silences > 1):
                    ticks_to_settle = SETTLE_TICKS
                continue
            is_new |= event.is_run_step and self._is_new_race(event.time_ms, has_raced=has_raced)
            if event.is_run_step and is_new and event.time_ms <= 0:
                if ticks_to_settle == 0:
                    return self._race_begun(name, event)
                ticks_to_settle -= 1  # a key or a map may still be on its way, and would restart the race
                client.acknowledge()
                continue
            if event.is_run_step:
                self._last_time_ms = event.time_ms
            if event.is_sync:
                client.acknowledge()
        client.close()
        if not began_in_menus and self._last_time_ms is None:
            raise StallError(
                "stuck_menu",
                f"the game showed neither its menus nor a race for {self.options.load_s:g} s, so that {name} could not "
                "be loaded: a medal screen or a dialog waits for a key. Close it in the game's window.",
            )
        raise StallError(
            "no_start",
            f"{name} did not begin within {self.options.load_s:g} s. The game knows only maps that were there when it "
            "started, loads from its menus only with the focus, and an intro may wait for a key.",
        )

    def _is_new_race(self, time_ms: int, *, has_raced: bool) -> bool:
        """Whether a run step is one of the new map: in its countdown, and not a later tick of the race before."""
        if time_ms > 0:
            return False
        return not has_raced if self._last_time_ms is None else time_ms <= self._last_time_ms

    def _look_again(self, deadline: float, *, press: bool) -> bool:
        """Open a new session, which the game hears in whatever screen it is; press a key in it; tell whether one was.

        Raises:
            CannotConnectError: the game does not answer until ``deadline``.
        """
        client = self.client
        client.abort()
        while True:
            try:
                self.connect()
                break
            except CannotConnectError:
                if self._clock.now_s() >= deadline:
                    raise
                self._clock.sleep(RETRY_S)
        has_pressed = press and not client.was_in_menus
        if has_pressed:
            client.execute("press delete")
            client.give_up()
        client.acknowledge()
        return has_pressed

    def _race_begun(self, name: str, event: Event) -> Event:
        client = self.client
        self.map_name = name
        self._asked = 0
        self._last_time_ms = event.time_ms
        client.execute(f"cam {self.options.camera}")
        client.show_interface(is_shown=False)
        return event

    def arm(self, inputs: Sequence[Command] | str) -> None:
        """Have the game play inputs in the next race; the client must be inside of a message.

        Args:
            inputs: commands, which only a plugin of ours takes, or the name of a script in the game's script folder.

        Raises:
            ProtocolError: the plugin cannot take a list: write it as a script into the game's folder and give its name.
        """
        client = self.client
        if client.plugin.has(Feature.FOCUS):
            client.focus()
        if isinstance(inputs, str):
            client.execute(f"load {inputs}")
        else:
            client.play_inputs(inputs)

    def disarm(self) -> None:
        """Leave the car to whoever drives next."""
        if self.client.plugin.has(Feature.PLAY_INPUTS):
            self.client.play_inputs(())
        self.client.execute("unload")

    def restart(self) -> Event:
        """Restart the race and return the first run step of its countdown; the client is inside of it.

        Raises:
            StallError: it did not begin, also where the race before simply goes on.
        """
        client = self.client
        deadline = self._clock.now_s() + NO_TICK_S
        before_ms = client.race_time_ms
        client.set_speed(self.options.running_speed)
        client.set_period(DEFAULT_PERIOD_MS)
        client.give_up()
        client.acknowledge()
        while True:
            event = self.wait_for_tick()
            if event.time_ms < 0 and (before_ms is None or event.time_ms <= before_ms):
                return event
            if self._clock.now_s() > deadline:
                raise StallError(
                    "stalled",
                    f"the race was given up {NO_TICK_S:g} s ago and is still at {event.time_ms} ms: no countdown came.",
                )
            before_ms = event.time_ms if before_ms is None else before_ms
            client.acknowledge()

    def run_to_start(self) -> Event:
        """Run through the countdown; return the run step of race time 0, the client inside of it."""
        self.client.set_speed(self.options.running_speed)
        while True:
            if self.client.race_time_ms is not None and self.client.race_time_ms >= 0:
                return Event(Message.SC_RUN_STEP_SYNC, time_ms=self.client.race_time_ms)
            self.client.acknowledge()
            self.wait_for_tick()

    def wait_for_tick(self) -> Event:
        """Return the next run step; whatever else comes before is acknowledged.

        Raises:
            StallError: the race is silent for too long, or says other things only.
        """
        client = self.client
        deadline = self._clock.now_s() + NO_TICK_S
        while True:
            try:
                event = client.wait()
            except SilentGameError as error:
                raise StallError("stalled", f"the race stands still: {error}") from None
            if event.is_run_step:
                return event
            if self._clock.now_s() > deadline:
                raise StallError("stalled", f"the race sends messages, but no tick for {NO_TICK_S:g} s.")
            if event.is_sync:
                client.acknowledge()

    def leave(self) -> None:
        """Give the game back: speed 1, HUD on, nothing pending."""
        if self.client.inside is not None:
            try:
                self.disarm()
            except LostConnectionError:
                self.client.abort()
        self.client.close()
