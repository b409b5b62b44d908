"""A game process that we keep alive: started when nobody else did, started again when it is gone, ended by us."""

import os

from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.launcher import RunningGame, first_session, is_listened_to, launch, launch_turn
from trackmaster.game.setup.settings import GameSettings


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
            LinkError: it could not be started, or did not answer.
        """
        self.end()
        with launch_turn():
            self._running = launch(self._settings, self._instance)
            first_session(client, self._running, clock=self._clock)
        client.close()

    def end(self) -> None:
        """End the game if we started it."""
        running, self._running = self._running, None
        if running is not None:
            running.end()
