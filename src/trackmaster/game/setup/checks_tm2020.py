"""What a doctor looks at for TrackMania 2020: telemetry and the unit of its speed, gamepad, window."""

import importlib
import shutil
import sys
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from trackmaster.game.openplanet.client import OpenPlanetClient
from trackmaster.game.openplanet.layouts import GHOST_PORT, Record
from trackmaster.game.openplanet.screen import TITLE, Windows, system_windows
from trackmaster.game.setup.checks import Finding
from trackmaster.game.setup.launcher import is_listened_to
from trackmaster.game.state import GameError
from trackmaster.units import MPS_TO_KMPH

EXTRA: Final = "pip install 'trackmaster[game]'"
WATCHED_S: Final = 1.0
"""How long the car is watched to compare its speed with its way."""
_FIRST_S: Final = 5.0
_MOVING_MPS: Final = 3.0
_AGREES: Final = 1.3
"""Speed and way differ by no more than this factor: the car brakes and slides meanwhile."""


class Telemetry(Protocol):
    """What is needed of a client."""

    @property
    def count(self) -> int:
        """Times that something newer came."""

    def latest(self, *, newer_than: int = 0, timeout_s: float = 1.0) -> Record:
        """Return the newest record."""


def examine_tm2020(*, port: int, layout: str) -> Iterator[Finding]:
    """Yield the findings for TrackMania 2020.

    Args:
        port: of the telemetry plugin.
        layout: of its records.
    """
    with OpenPlanetClient(port=port, layout=layout) as client:
        yield check_telemetry(client, layout)
    yield check_ghost_port()
    yield check_gamepad()
    yield check_window()


def check_telemetry(client: Telemetry, layout: str) -> Finding:
    """Does telemetry come, is it laid out as declared, and is its speed what the car's way says?"""
    name = "telemetry"
    try:
        records = [client.latest(timeout_s=_FIRST_S)]
        while records[-1].received_s - records[0].received_s < WATCHED_S:
            records.append(client.latest(newer_than=client.count, timeout_s=_FIRST_S))
    except GameError as error:
        return Finding(name, "fail", str(error), "")
    elapsed_s = records[-1].received_s - records[0].received_s
    way = np.linalg.norm(np.diff([record.position_m for record in records], axis=0), axis=1).sum()
    driven_mps, told_mps = float(way) / elapsed_s, float(np.mean([r.speed_kmph for r in records])) / MPS_TO_KMPH
    rate = f"{(len(records) - 1) / elapsed_s:.0f} records/s, layout {layout}"
    if driven_mps < _MOVING_MPS:
        return Finding(name, "note", f"{rate}; the car stands, so its speed cannot be compared with its way",
                       "drive, and ask again")  # fmt: skip
    factor = told_mps / driven_mps
    if 1 / _AGREES <= factor <= _AGREES:
        return Finding(name, "ok", f"{rate}; speed and way agree ({told_mps:.1f} and {driven_mps:.1f} m/s)")
    unit = "the plugin sends km/h, not m/s" if abs(factor / MPS_TO_KMPH - 1) < _AGREES - 1 else "another unit?"
    return Finding(name, "warn", f"{rate}; the speed is {factor:.2f} times what the car's way says: {unit}",
                   "declare the layout of the plugin that runs, or report it with these numbers")  # fmt: skip


def check_ghost_port(port: int = GHOST_PORT) -> Finding:
    """Could ghosts be saved? Nothing connects: that would save one."""
    if is_listened_to(port):
        return Finding("ghost plugin", "ok", f"something listens on {port}")
    return Finding("ghost plugin", "note", f"nothing listens on {port}: save_replays cannot be used",
                   "load TMRL_SaveGhost, if you want ghosts")  # fmt: skip


def check_gamepad() -> Finding:
    """Is there a virtual gamepad?"""
    try:
        importlib.import_module("vgamepad")
    except ImportError as error:
        return Finding(
            "gamepad", "warn", f"no virtual gamepad ({error}): steering is on or off from the keyboard", EXTRA
        )
    except Exception as error:  # its Windows part has classes of its own
        return Finding("gamepad", "fail", f"the gamepad's driver does not answer ({error})",
                       "install the ViGEm bus driver (Windows), or allow /dev/uinput (Linux)")  # fmt: skip
    return Finding("gamepad", "ok", "vgamepad can be loaded")


def check_window(windows: Windows | None = None) -> Finding:
    """Can the game's window be found and looked at?"""
    name = "window"
    try:
        importlib.import_module("mss")
    except ImportError as error:
        return Finding(name, "warn", f"the screen cannot be looked at ({error})", EXTRA)
    if windows is None and sys.platform != "win32" and shutil.which("xdotool") is None:
        return Finding(name, "warn", "windows are found with xdotool, which is not there", "apt-get install xdotool")
    region = (windows if windows is not None else system_windows()).region(TITLE)
    if region is None:
        return Finding(name, "warn", f"there is no visible window {TITLE!r}", "start the game windowed")
    return Finding(name, "ok", f"{region.width} x {region.height} at {region.left}, {region.top}")
