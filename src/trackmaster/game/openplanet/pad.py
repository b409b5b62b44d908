"""What presses the buttons of TrackMania 2020: a virtual gamepad, the keyboard, or the stand-in's desk.

Pad: right trigger gas, left trigger brake, left stick steering, B restarts, A closes the pop-up after the finish.
"""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from trackmaster.game.openplanet.desk import BUTTON_A, BUTTON_B
from trackmaster.game.state import GameError

KEY_STEER_FROM: Final = 0.5
"""Steering beyond this holds the arrow key."""


class Pad(Protocol):
    """Something that a race can be driven with."""

    def press(self, gas: float, brake: float, steer: float, buttons: int = 0) -> None:
        """Hold triggers (0 to 1), stick (-1 left to 1 right) and buttons like this until the next call."""

    def close(self) -> None:
        """Let go of everything."""


class VirtualGamepad:
    """An Xbox 360 pad that exists in software only: ViGEm on Windows, uinput on Linux."""

    def __init__(self, module: Any = None) -> None:
        """Plug it in.

        Args:
            module: ``vgamepad``; imported without it.

        Raises:
            GameError: the package or its driver is missing.
        """
        try:
            pad = (module if module is not None else importlib.import_module("vgamepad")).VX360Gamepad()
        except ImportError as error:
            raise GameError(
                f"a virtual gamepad needs the package vgamepad ({error}): pip install 'trackmaster[game]'. On Linux "
                "it needs the library libevdev2, too."
            ) from error
        except Exception as error:  # its own exceptions have no common class
            raise GameError(
                f"the virtual gamepad cannot be plugged in ({type(error).__name__}: {error}). On Windows install the "
                'ViGEm bus driver; on Linux allow your user to write to /dev/uinput (udev rule: KERNEL=="uinput", '
                'TAG+="uaccess").'
            ) from error
        self._pad = pad
        self._held = 0

    def press(self, gas: float, brake: float, steer: float, buttons: int = 0) -> None:
        """Hold triggers, stick and buttons."""
        self._pad.right_trigger_float(value_float=max(0.0, gas))
        self._pad.left_trigger_float(value_float=max(0.0, brake))
        self._pad.left_joystick_float(steer, 0.0)
        for button in (BUTTON_A, BUTTON_B):
            if buttons & button and not self._held & button:
                self._pad.press_button(button=button)
            elif self._held & button and not buttons & button:
                self._pad.release_button(button=button)
        self._held = buttons
        self._pad.update()

    def close(self) -> None:
        """Release everything."""
        self._pad.reset()
        self._pad.update()


Keys = Callable[[str, bool], None]
"""Presses (True) or releases one of the names below."""

_LINUX_KEYS: Final = {"gas": "Up", "brake": "Down", "left": "Left", "right": "Right", "restart": "BackSpace"}
_WINDOWS_SCAN_CODES: Final = {"gas": 0x11, "brake": 0x1F, "left": 0x1E, "right": 0x20, "restart": 0x53}
"""W S A D and Delete."""
_SCAN_CODE, _KEY_UP, _EXTENDED = 0x0008, 0x0002, 0x0001


class Keyboard:
    """Arrow keys (W S A D on Windows) and the restart key; pedals and steering are on or off."""

    def __init__(self, keys: Keys | None = None) -> None:
        """Take the keys of this system.

        Args:
            keys: what presses them; found without it.

        Raises:
            GameError: this system has no way to press keys.
        """
        self._keys = keys if keys is not None else _system_keys()
        self._held: set[str] = set()

    def press(self, gas: float, brake: float, steer: float, buttons: int = 0) -> None:
        """Hold the keys that come nearest."""
        wanted = {
            name
            for name, is_held in (
                ("gas", gas > 0),
                ("brake", brake > 0),
                ("left", steer < -KEY_STEER_FROM),
                ("right", steer > KEY_STEER_FROM),
                ("restart", bool(buttons & BUTTON_B)),
            )
            if is_held
        }
        for name in sorted(self._held - wanted):
            self._keys(name, False)
        for name in sorted(wanted - self._held):
            self._keys(name, True)
        self._held = wanted

    def close(self) -> None:
        """Release everything."""
        self.press(0.0, 0.0, 0.0)


def _system_keys() -> Keys:
    if sys.platform == "win32":
        import ctypes

        def press_on_windows(name: str, is_down: bool) -> None:
            flags = _SCAN_CODE | (0 if is_down else _KEY_UP) | (_EXTENDED if name == "restart" else 0)
            vars(ctypes)["windll"].user32.keybd_event(0, _WINDOWS_SCAN_CODES[name], flags, 0)

        return press_on_windows
    if shutil.which("xdotool") is None:
        raise GameError("keys can be pressed with xdotool only: install it, or use the virtual gamepad.")

    def press_with_xdotool(name: str, is_down: bool) -> None:
        subprocess.run(["xdotool", "keydown" if is_down else "keyup", _LINUX_KEYS[name]], check=True)

    return press_with_xdotool
