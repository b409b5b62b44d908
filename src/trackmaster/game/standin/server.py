"""One running stand-in: a listening port and the loop of a game that draws, ticks and calls its plugin."""

import contextlib
import select
import threading
from collections.abc import Callable, Iterable
from typing import Final

from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.serving import ServedGame
from trackmaster.game.standin.faults import Fault, FaultPlan, Phase
from trackmaster.game.standin.game import GameOptions, Screen, StandinGame
from trackmaster.game.standin.plugin import StandinPlugin
from trackmaster.game.standin.wire import PluginWire, StoppedError

_SCREEN_PHASES: Final[dict[Screen, Phase]] = {
    Screen.MENUS: "menus",
    Screen.LOADING: "load",
    Screen.INTRO: "intro",
    Screen.PRESS_A_KEY: "intro",
    Screen.MEDALS: "medals",
}


class Standin(ServedGame):
    """A game without a game: ``with Standin(options) as standin:`` and connect to ``standin.port``.

    Everything runs in one thread, as in the real game; several stand-ins in one process do not touch each other.
    """

    def __init__(
        self,
        options: GameOptions | None = None,
        *,
        port: int = 0,
        faults: Iterable[Fault] = (),
        watch: Callable[[Phase, int], object] | None = None,
        speaks_ours: bool = True,
        clock: Clock | None = None,
    ) -> None:
        """Listen; the game starts with ``start`` (or ``run`` in the present thread).

        Args:
            options: of the game.
            port: to listen on; 0 takes a free one.
            faults: what goes wrong.
            watch: told, in the game's thread, of every phase in which something can go wrong, and the how-many-th time
                that is; the game stands still until it returns.
            speaks_ours: False leaves only the public plugin's protocol.
            clock: time for waits and idle frames.

        Raises:
            TrackmasterError: the port is taken.
        """
        super().__init__(port, name="standin")
        self.options = options if options is not None else GameOptions()
        self.game = StandinGame(self.options)
        self.hung = threading.Event()
        """Set when the fault ``hang`` has begun."""
        self._clock = clock if clock is not None else SystemClock()
        self._faults = FaultPlan(list(faults), watch=watch)
        self._due_ticks = 0.0
        self._shown: tuple[Screen | None, PluginWire | None] = (None, None)
        self.plugin = StandinPlugin(
            self.game, self._clock, self._faults, self._stop.is_set, speaks_ours=speaks_ours, on_hang=self.hung.set
        )

    @property
    def faults_to_come(self) -> list[Fault]:
        """What has not gone wrong yet."""
        return list(self._faults.faults)

    def run(self) -> None:
        """Draw and tick until ``stop`` is called."""
        try:
            while not self._stop.is_set():
                self._frame()
        except StoppedError:
            pass
        finally:
            self.game.close()
            if self.plugin.session.wire is not None:
                self.plugin.session.wire.close()
            self.close_listeners()

    def _frame(self) -> None:
        self.game.frame()
        self._show()
        if not self.game.is_minimised:
            self._accept()
            self.plugin.render()
        self._tick()

    def _show(self) -> None:
        """Let what a screen has for a client happen, once for each."""
        shown = (self.game.screen, self.plugin.client)
        if shown != self._shown and shown[1] is not None and shown[0] in _SCREEN_PHASES:
            self.plugin.screen_drawn(_SCREEN_PHASES[shown[0]])
        self._shown = shown

    def _accept(self) -> None:
        """Take a client that knocks; the game paces itself by the wait where nothing else goes on."""
        is_busy = self.plugin.has_work or (self.plugin.has_client and not self.game.is_idle)
        pause_s = 0.0 if is_busy else 1.0 / self.options.fps
        if not select.select(self._listeners, [], [], pause_s)[0]:
            return
        with contextlib.suppress(OSError):
            connection, _ = self._listeners[0].accept()
            self.plugin.accept(connection)

    def _tick(self) -> None:
        """Let the race move on by what the speed asks for between two pictures."""
        self._due_ticks += self.game.speed * 100 / self.options.fps
        while self._due_ticks >= 1:
            self._due_ticks -= 1
            if self.game.screen is not Screen.RACE or self.game.speed <= 0 or self.plugin.holds_tick:
                self._due_ticks = 0.0
                return
            for report in self.game.tick():
                self.plugin.gate_passed(report)
            if self.game.race is not None and self.game.screen is Screen.RACE:
                self.plugin.run_step()
