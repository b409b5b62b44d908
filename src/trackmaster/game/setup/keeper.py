"""A game process that we keep alive: started when nobody else did, started again when it is gone, ended by us."""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Final

import psutil

from trackmaster.files import atomic_write_text
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.errors import LinkError
from trackmaster.game.link.protocol import Feature
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.launcher import (
    END_S,
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

MAX_AGE_S: Final = 12 * 3_600.0
"""A game that ran for so long is started anew between two races: it slows down with its age."""


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
        self._started_s = 0.0

    @property
    def is_old(self) -> bool:
        """Whether the game that we started has run for so long that it should be started anew."""
        return self._running is not None and self._clock.now_s() - self._started_s > MAX_AGE_S

    def start_if_absent(self, client: LinkClient) -> None:
        """Start the game unless something listens on its port; one that a killed keeper left there is ended first.

        Raises:
            LinkError: it could not be started.
        """
        if self._running is None:
            end_orphan(self._note)
        if not is_listened_to(self._instance.port):
            self.start(client)

    def renew(self, client: LinkClient) -> None:
        """Start the game anew; a start that fails is tried once more.

        Raises:
            LinkError: it could not be started.
        """
        hours = MAX_AGE_S / 3_600
        log.info("the game on port %d has run for %.0f hours and is started anew.", self._instance.port, hours)
        try:
            self.start(client)
        except LinkError as error:
            log.warning("%s It is tried once more.", error)
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
            self._started_s = self._clock.now_s()
            write_note(self._note, self._running.launcher.pid)
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
            self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        """Says which process was started, for a keeper that comes after one that was killed."""
        return self._instance.tmi_path / f"trackmaster-game-{self._instance.port}.json"


def write_note(path: Path, pid: int) -> None:
    """Write down a process and when it began, because numbers are used again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps({"pid": pid, "began_s": psutil.Process(pid).create_time()}) + "\n")


def end_orphan(path: Path) -> None:
    """End the process tree that a note names, if it is still the same process."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        if process.create_time() != noted["began_s"]:
            raise psutil.NoSuchProcess(process.pid)
        tree = [process, *process.children(recursive=True)]
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        path.unlink(missing_ok=True)
        return
    log.warning("a game that an earlier run started and could not end is ended (process %d).", process.pid)
    for one in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, alive = psutil.wait_procs(tree, timeout=END_S)
    for one in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(alive, timeout=END_S)
    path.unlink(missing_ok=True)
