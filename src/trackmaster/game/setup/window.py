"""Bringing the window of a game to the front from outside; our plugin can do it from inside (``LinkClient.focus``)."""

import ctypes
import os
import shutil
import subprocess
from typing import Any, Final

from trackmaster.game.setup.launcher import LaunchError

RESTORE: Final = 9
"""``SW_RESTORE``: also opens a minimised window."""


def focus_window(pid: int) -> None:
    """Bring the window of process ``pid`` to the front.

    Raises:
        LaunchError: it has no window, or nothing here can move windows.
    """
    if os.name == "nt":
        _focus_on_windows(pid)
        return
    tool = shutil.which("xdotool")
    if tool is None:
        raise LaunchError(
            "xdotool is needed to bring the game's window to the front: install it, or use plugin/TrackmasterLink.as, "
            "which does it from inside the game."
        )
    words = [tool, "search", "--onlyvisible", "--pid", str(pid), "windowactivate"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LaunchError(f"process {pid} has no visible window ({done.stderr.strip() or 'none found'}).")


def _focus_on_windows(pid: int) -> None:
    user32: Any = ctypes.windll.user32  # type: ignore[attr-defined,unused-ignore]
    found: list[int] = []

    def look(window: int, _: int) -> bool:
        owner = ctypes.c_ulong()
        user32.GetWindowThreadProcessId(window, ctypes.byref(owner))
        if owner.value == pid and user32.IsWindowVisible(window):
            found.append(window)
        return True

    prototype: Any = ctypes.WINFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)  # type: ignore[attr-defined,unused-ignore]
    user32.EnumWindows(prototype(look), 0)
    if not found:
        raise LaunchError(f"process {pid} has no visible window yet.")
    user32.ShowWindow(found[0], RESTORE)
    user32.SetForegroundWindow(found[0])
