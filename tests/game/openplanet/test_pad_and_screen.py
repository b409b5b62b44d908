"""Pads and screens with what they press and look at replaced."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trackmaster.game import GameError
from trackmaster.game.openplanet import pad as pads
from trackmaster.game.openplanet import screen as screens
from trackmaster.game.openplanet.desk import BUTTON_A, BUTTON_B


class FakePad:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((name, *args, *kwargs.values()))


def test_a_virtual_gamepad_holds_triggers_stick_and_buttons() -> None:
    fake = FakePad()
    pad = pads.VirtualGamepad(SimpleNamespace(VX360Gamepad=lambda: fake))
    pad.press(0.5, -1.0, -0.25, BUTTON_B)
    pad.press(0.0, 1.0, 0.25, BUTTON_A)
    pad.press(0.0, 0.0, 0.0)
    assert fake.calls == [
        ("right_trigger_float", 0.5), ("left_trigger_float", 0.0), ("left_joystick_float", -0.25, 0.0),
        ("press_button", BUTTON_B), ("update",),
        ("right_trigger_float", 0.0), ("left_trigger_float", 1.0), ("left_joystick_float", 0.25, 0.0),
        ("press_button", BUTTON_A), ("release_button", BUTTON_B), ("update",),
        ("right_trigger_float", 0.0), ("left_trigger_float", 0.0), ("left_joystick_float", 0.0, 0.0),
        ("release_button", BUTTON_A), ("update",),
    ]  # fmt: skip
    pad.close()
    assert fake.calls[-2:] == [("reset",), ("update",)]


def test_a_missing_driver_is_named() -> None:
    def refuse() -> None:
        raise OSError("uinput")

    with pytest.raises(GameError, match="ViGEm"):
        pads.VirtualGamepad(SimpleNamespace(VX360Gamepad=refuse))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(pads.importlib, "import_module", missing)
    with pytest.raises(GameError, match=r"pip install 'trackmaster\[game\]'"):
        pads.VirtualGamepad()
    with pytest.raises(GameError, match=r"pip install 'trackmaster\[game\]'"):
        screens.WindowScreen(windows=FakeWindows(screens.Region(0, 0, 1, 1)))


def test_keys_change_only_where_something_changes() -> None:
    pressed: list[tuple[str, bool]] = []
    keys = pads.Keyboard(lambda name, is_down: pressed.append((name, is_down)))
    keys.press(1.0, 0.0, 0.6)
    keys.press(1.0, 0.0, 0.4)
    keys.press(0.0, 1.0, -0.6, BUTTON_B)
    keys.close()
    assert pressed == [
        ("gas", True), ("right", True), ("right", False), ("gas", False), ("brake", True), ("left", True),
        ("restart", True), ("brake", False), ("left", False), ("restart", False),
    ]  # fmt: skip


class FakeWindows:
    def __init__(self, region: screens.Region | None) -> None:
        self.where = region
        self.sizes: list[tuple[int, int]] = []

    def region(self, title: str) -> screens.Region | None:
        assert title == "Trackmania"
        return self.where

    def resize(self, title: str, width: int, height: int) -> None:
        self.sizes.append((width, height))


class FakeMss:
    """A screen on which every pixel says where it is."""

    def __init__(self) -> None:
        rows, columns = np.mgrid[0:200, 0:300]
        self.screen = np.stack([rows, columns % 256, columns // 256, 0 * rows], axis=2).astype(np.uint8)

    def grab(self, box: dict[str, int]) -> SimpleNamespace:
        cut = self.screen[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]]
        return SimpleNamespace(bgra=cut.tobytes(), width=cut.shape[1], height=cut.shape[0])

    def close(self) -> None:
        self.screen = None


def test_the_inside_of_the_window_is_looked_at_wherever_it_is() -> None:
    windows = FakeWindows(screens.Region(left=40, top=30, width=120, height=50))
    screen = screens.WindowScreen(size=(256, 128), windows=windows, mss=FakeMss())
    assert windows.sizes == [(256, 128)]
    picture = screen.picture((64, 64), "follow")
    assert picture.shape == (50, 120, 4)
    assert picture[0, 0].tolist() == [30, 40, 0, 0]
    assert picture[49, 119].tolist() == [79, 159, 0, 0]
    windows.where = screens.Region(left=0, top=5, width=2, height=2)
    assert screen.picture((64, 64), "follow")[0, 0].tolist() == [5, 0, 0, 0]
    windows.where = None
    with pytest.raises(GameError, match="no visible window"):
        screen.picture((64, 64), "follow")
    screen.close()


def test_xdotool_tells_the_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*arguments: str) -> str:
        asked.append(arguments)
        if arguments[0] == "search":
            return "77\n78\n"
        return "WINDOW=77\nX=10\nY=20\nWIDTH=256\nHEIGHT=128\nSCREEN=0\n"

    monkeypatch.setattr(screens, "_xdotool", answer)
    windows = screens.XdotoolWindows()
    assert windows.region("Trackmania") == screens.Region(10, 20, 256, 128)
    windows.resize("Trackmania", 300, 200)
    assert asked[-2:] == [("windowsize", "--sync", "77", "300", "200"), ("windowmove", "--sync", "77", "0", "0")]
    monkeypatch.setattr(screens, "_xdotool", lambda *arguments: "77\n" if arguments[0] == "search" else "")
    assert windows.region("Trackmania") is None, "closed between the two questions"
    monkeypatch.setattr(screens, "_xdotool", lambda *_: "")
    assert windows.region("Trackmania") is None
