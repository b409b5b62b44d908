"""A game process that we keep alive: started when nobody else did, started again when it is gone, ended by us."""

import logging
import os

from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.protocol import Feature
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.launcher import (
    LaunchError,
    RunningGame,
    first_session,
    is_listened_to,
    launch,
    launch_turn,
)
from trackmaster.game.setup.settings import GameSettings
from trackmaster.game.setup.window import focus_window

log = logging.getLogger(__name__)


def can_launch(settings: GameSettings, *, on_windows: bool = os.name == "nt") -> bool:
    """Tell whether the settings say how to start a game."""
    return settings.tmloader_path.is_file() if on_windows else settings.launch_script is not None


class GameKeeper:
    """Starts and ends one instance; a game that runs already is left to whoever started it."""

    def __init__(self, settings: GameSettings, instance: Instance, *, clock: Clock | None = None) -> None:
        """Start nothing yet."""
        self._settings = settings
        self._instance = instance
        self._clock = clock if clock is not None else SystemClock()
        self._running: RunningGame | None = None

    def start_if_absent(self, client: LinkClient) -> None:
        """Start the game unless something listens on its port.

        Raises:
            LinkError: it could not be started.
        """
        if not is_listened_to(self._instance.port):
            self.start(client)

    def start(self, client: LinkClient) -> None:
        """Start the game, ending first what we started before; return when it takes a client.

        Args:
            client: of the game; its session is given back, so that it can connect as it likes.

        Raises:
            LinkError: it could not be started, or did not answer; or one that somebody else started is in its place.
        """
        if self._running is None and is_listened_to(self._instance.port):
            raise LaunchError(
                f"a game that somebody else started has port {self._instance.port} and does not answer: look what its "
                "window waits for, or close it, and run the same command again."
            )
        self.end()
        with launch_turn():
            self._running = launch(self._settings, self._instance)
            first_session(client, self._running, clock=self._clock)
            if not client.plugin.has(Feature.FOCUS):
                self._focus(self._running)
        client.close()

    def _focus(self, running: RunningGame) -> None:
        """Bring the window to the front once: the public plugin cannot, and a window that never was ignores inputs."""
        hint = "click into the game's window once, or it ignores inputs: %s"
        pid = running.find_game()
        if pid is None:
            log.warning(hint, "its process was not found among those that we started.")
            return
        try:
            focus_window(pid)
        except LaunchError as error:
            log.warning(hint, error)

    def end(self) -> None:
        """End the game if we started it."""
        running, self._running = self._running, None
        if running is not None:
            running.end()
