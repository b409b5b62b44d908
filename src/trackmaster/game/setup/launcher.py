"""Starting and ending game processes: TMLoader on Windows, a script around Wine elsewhere; found and ended by id only.

Source: ``game_link.md`` 15.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from trackmaster.game.link.client import LOCALHOST, LinkClient
from trackmaster.game.link.clock import Clock, SystemClock
from trackmaster.game.link.errors import CannotConnectError, LinkError
from trackmaster.game.setup.instances import Instance
from trackmaster.game.setup.settings import GameSettings

GAME_PROCESS: Final = "TmForever"
START_S: Final = 120.0
"""Longest start of a game, from the launch to its first word."""
POLL_S: Final = 0.5
END_S: Final = 10.0


class LaunchError(LinkError):
    """A game could not be started or found."""


def is_listened_to(port: int) -> bool:
    """Tell whether a program listens on a port; nothing connects, because that would take the game's only place."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # there it would allow what is taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return True
    return False


def windows_command(settings: GameSettings, instance: Instance) -> str:
    """Return the command line that starts an instance through TMLoader.

    One string and not a list: TMLoader takes what stands behind ``/configstring=`` only as one quoted piece.
    """
    return (
        f'"{settings.tmloader_path}" run TmForever "{instance.profile}" /configstring="set custom_port {instance.port}"'
    )


def script_command(settings: GameSettings, instance: Instance) -> list[str]:
    """Return the call of the user's own script, with port and number of the instance.

    Raises:
        LaunchError: no script was named, or it is none.
    """
    script = settings.launch_script
    if script is None:
        raise LaunchError(
            "nobody said how to start the game: set TRACKMASTER_LAUNCH_SCRIPT to a script that starts it under Wine "
            "with the port as its first argument (docs/game.md has an example)."
        )
    if not script.is_file() or not os.access(script, os.X_OK):
        raise LaunchError(f"{script}: this is no script that can be run. Check the path, and 'chmod +x' it.")
    return [str(script), str(instance.port), str(instance.index)]


@dataclass(slots=True)
class RunningGame:
    """A process tree that we started."""

    instance: Instance
    launcher: "subprocess.Popen[bytes]"
    """What we started: TMLoader or the user's script, which may have become the game."""
    game_pid: int | None = None
    """The game itself, once it was found among the launcher's children."""

    @property
    def is_running(self) -> bool:
        """Whether the game (or what starts it) is alive; a launcher may end once its game runs."""
        if self.game_pid is None:
            return self.launcher.poll() is None or bool(self._tree())
        return any(process.pid == self.game_pid for process in self._tree())

    def find_game(self, names: Sequence[str] = (GAME_PROCESS,)) -> int | None:
        """Look for the game among the processes that we started; remember and return its id.

        Args:
            names: how its process's name may begin.
        """
        wanted = tuple(name.lower() for name in names)
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name().lower().startswith(wanted):
                    self.game_pid = process.pid
        return self.game_pid

    def end(self) -> None:
        """End everything we started, politely first; nothing else is touched."""
        tree = self._tree()
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=END_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=END_S)
        self.launcher.wait()

    def _tree(self) -> list[psutil.Process]:
        """Return the live processes that we started, whether or not what started them is still there."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
                if process.pid in found or not self._is_ours(process):
                    continue
                found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
        return [process for process in found.values() if _is_alive(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.pid in (self.launcher.pid, self.game_pid):
            return True
        if os.name == "nt":
            return bool(process.ppid() == self.launcher.pid)
        return os.getsid(process.pid) == self.launcher.pid  # ``launch`` begins a session of its own


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def launch(settings: GameSettings, instance: Instance, *, on_windows: bool = os.name == "nt") -> RunningGame:
    """Start an instance; it is not ready yet (``first_session`` waits for that).

    Raises:
        LaunchError: there is nothing to start.
    """
    command: str | list[str]
    if on_windows:
        if not settings.tmloader_path.is_file():
            raise LaunchError(
                f"{settings.tmloader_path}: TMLoader is not there. Install it, or set TRACKMASTER_TMLOADER_PATH to "
                "TMLoader.exe."
            )
        command = windows_command(settings, instance)
    else:
        command = script_command(settings, instance)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    return RunningGame(instance, process)


def first_session(
    client: LinkClient, game: RunningGame | None = None, *, clock: Clock | None = None, start_s: float = START_S
) -> None:
    """Connect to a game that is starting; the client is inside the connect message then.

    Nothing is probed: the connection that succeeds is the session itself, because the game has one place only.

    Args:
        client: of the game's port.
        game: the process, if we started it; its end is noticed.
        clock: for the time between two tries.
        start_s: how long to try.

    Raises:
        LaunchError: the process ended.
        CannotConnectError: the game did not answer in time.
    """
    clock = clock if clock is not None else SystemClock()
    deadline = clock.now_s() + start_s
    while True:
        try:
            client.connect()
        except CannotConnectError:
            if game is not None and not game.is_running:
                raise LaunchError(
                    f"the game on port {client.port} ended while it was starting: start it by hand once and look at "
                    "what it says."
                ) from None
            if clock.now_s() >= deadline:
                raise
            clock.sleep(POLL_S)
        else:
            return


@contextlib.contextmanager
def launch_turn(name: str = "trackmaster-launch.lock") -> Iterator[None]:
    """Hold the only turn to launch a game on this machine; give it back once the window has had the focus.

    Two games that start at the same time take the focus from each other, and a window that never had it ignores inputs.
    Windows gives each window its focus as it opens, so that there is nothing to hold.
    """
    if os.name == "nt":
        yield
        return
    import fcntl

    with (Path(tempfile.gettempdir()) / name).open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
