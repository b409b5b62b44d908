"""Pictures of the game's window, by its measured geometry."""

import importlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.openplanet.desk import Desk, Kind
from trackmaster.game.state import GameError

TITLE: Final = "Trackmania"


class Screen(Protocol):
    """Something that can be looked at."""

    def picture(self, size: tuple[int, int], kind: Kind) -> NDArray[np.uint8]:
        """Return (H, W, 4) BGRA; of another size than asked for where the source cannot choose it."""

    def close(self) -> None:
        """Look away."""


@dataclass(frozen=True, slots=True)
class Region:
    """The inside of a window, in pixels of the screen."""

    left: int
    top: int
    width: int
    height: int


class Windows(Protocol):
    """The windows of this system."""

    def region(self, title: str) -> Region | None:
        """Return the inside of the visible window with exactly this title; None if there is none."""

    def resize(self, title: str, width: int, height: int) -> None:
        """Put that window to the top left, its inside as large as asked for."""


class WindowScreen:
    """Looks at the inside of the game's window; found anew for every picture, as people move windows."""

    def __init__(
        self,
        title: str = TITLE,
        *,
        size: tuple[int, int] | None = None,
        windows: Windows | None = None,
        mss: Any = None,
    ) -> None:
        """Find the window.

        Args:
            title: of the window.
            size: its inside is made this wide and high.
            windows: of this system; found without it.
            mss: an object with ``grab`` (``mss.mss()``); made without it.

        Raises:
            GameError: there is no such window, or no way to look at it.
        """
        self._title = title
        self._windows = windows if windows is not None else system_windows()
        self._mss = mss if mss is not None else _mss()
        self._region()
        if size is not None:
            self._windows.resize(title, *size)

    def picture(self, size: tuple[int, int], kind: Kind) -> NDArray[np.uint8]:
        """Return the window as it is, (H, W, 4) BGRA; the game's camera is chosen in the game."""
        del size, kind
        region = self._region()
        shot = self._mss.grab({"left": region.left, "top": region.top, "width": region.width, "height": region.height})
        return np.frombuffer(shot.bgra, dtype=np.uint8).reshape(shot.height, shot.width, 4)

    def close(self) -> None:
        """Let go of the screen."""
        self._mss.close()

    def _region(self) -> Region:
        region = self._windows.region(self._title)
        if region is None or region.width < 1 or region.height < 1:
            raise GameError(
                f"there is no visible window {self._title!r}: start the game windowed, not full screen, and do not "
                "minimise it."
            )
        return region


class DeskScreen:
    """Looks at the stand-in."""

    def __init__(self, desk: Desk) -> None:
        """Share a desk with the pad."""
        self._desk = desk

    def picture(self, size: tuple[int, int], kind: Kind) -> NDArray[np.uint8]:
        """Return the size that was asked for."""
        return self._desk.picture(size, kind)

    def close(self) -> None:
        """Leave the desk to the pad."""


def _mss() -> Any:
    try:
        return importlib.import_module("mss").mss()
    except ImportError as error:
        raise GameError("pictures of the window need the package mss: pip install 'trackmaster[game]'.") from error
    except Exception as error:  # its own class, which is not there without the package
        raise GameError(f"the screen cannot be looked at ({error}): is there a display, and is DISPLAY set?") from error


def system_windows() -> Windows:
    """Return the windows of this system.

    Raises:
        GameError: on Linux, without xdotool.
    """
    if sys.platform == "win32":
        return _WindowsWindows()
    if shutil.which("xdotool") is None:
        raise GameError("the game's window is found with xdotool: install it (apt-get install xdotool).")
    return XdotoolWindows()


class XdotoolWindows:
    """X11, through xdotool; a game under Proton is an X11 window, too."""

    def region(self, title: str) -> Region | None:
        """Return the geometry that xdotool tells."""
        window = self._window(title)
        if window is None:
            return None
        told = dict(
            line.split("=", 1) for line in _xdotool("getwindowgeometry", "--shell", window).splitlines() if "=" in line
        )
        if not told:
            return None  # it was closed between the two questions
        return Region(int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"]))

    def resize(self, title: str, width: int, height: int) -> None:
        """Move and size the window."""
        window = self._window(title)
        if window is not None:
            _xdotool("windowsize", "--sync", window, str(width), str(height))
            _xdotool("windowmove", "--sync", window, "0", "0")

    @staticmethod
    def _window(title: str) -> str | None:
        found = _xdotool("search", "--onlyvisible", "--name", f"^{title}$").split()
        return found[0] if found else None


def _xdotool(*arguments: str) -> str:
    ran = subprocess.run(["xdotool", *arguments], capture_output=True, text=True, check=False)
    return ran.stdout if ran.returncode == 0 else ""


class _WindowsWindows:
    """The Windows interface for windows, without any package."""

    def region(self, title: str) -> Region | None:
        """Return the client area."""
        import ctypes
        from ctypes import wintypes

        user32: Any = vars(ctypes)["windll"].user32
        window = user32.FindWindowW(None, title)
        if not window:
            return None
        rect, corner = wintypes.RECT(), wintypes.POINT(0, 0)
        user32.GetClientRect(window, ctypes.byref(rect))
        user32.ClientToScreen(window, ctypes.byref(corner))
        return Region(corner.x, corner.y, rect.right, rect.bottom)

    def resize(self, title: str, width: int, height: int) -> None:
        """Size the window so that its client area fits."""
        import ctypes
        from ctypes import wintypes

        user32: Any = vars(ctypes)["windll"].user32
        window = user32.FindWindowW(None, title)
        outer, inner = wintypes.RECT(), wintypes.RECT()
        user32.GetWindowRect(window, ctypes.byref(outer))
        user32.GetClientRect(window, ctypes.byref(inner))
        frame = (outer.right - outer.left - inner.right, outer.bottom - outer.top - inner.bottom)
        user32.MoveWindow(window, 0, 0, width + frame[0], height + frame[1], True)
