"""What the doctor says about TrackMania 2020."""

import itertools

import numpy as np
import pytest

from trackmaster.game.link.errors import CannotConnectError
from trackmaster.game.openplanet.client import OpenPlanetClient
from trackmaster.game.openplanet.desk import Desk
from trackmaster.game.openplanet.layouts import Record
from trackmaster.game.openplanet.screen import Region
from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.game.setup import checks_tm2020 as checks
from trackmaster.game.setup import doctor
from trackmaster.game.setup.config import DoctorConfig
from trackmaster.track import Track


class Driving:
    """Telemetry at 50 Hz of a car at constant speed, told in whatever unit."""

    def __init__(self, mps: float, told_kmph: float) -> None:
        self.count = 0
        self._mps, self._told = mps, told_kmph

    def latest(self, *, newer_than: int = 0, timeout_s: float = 1.0) -> Record:
        self.count += 1
        time_s = 0.02 * self.count
        position = np.array([self._mps * time_s, 0, 0], dtype=np.float32)
        return Record(self._told, position, 0.0, 1.0, False, False, 3, 5_000.0, received_s=time_s)


def test_speed_is_compared_with_the_way() -> None:
    right = checks.check_telemetry(Driving(30.0, 108.0), "tmrl")
    assert right.status == "ok"
    assert "50 records/s" in right.text
    wrong = checks.check_telemetry(Driving(30.0, 388.8), "tmrl")
    assert wrong.status == "warn"
    assert "3.60 times" in wrong.text
    assert "km/h, not m/s" in wrong.text
    assert checks.check_telemetry(Driving(30.0, 10.0), "tmrl").status == "warn"
    assert checks.check_telemetry(Driving(0.5, 1.8), "tmrl").status == "note"


def test_a_link_that_is_refused_is_a_sentence() -> None:
    class Nobody:
        count = 0

        def latest(self, **_: object) -> Record:
            raise CannotConnectError("nobody listens on port 9000.")

    finding = checks.check_telemetry(Nobody(), "tmrl")
    assert (finding.status, finding.text) == ("fail", "nobody listens on port 9000.")


def test_the_stand_in_is_healthy(straight: Track) -> None:
    with OpenPlanetStandin(straight, fps=100) as standin, Desk(port=standin.desk_port) as desk:
        desk.press(1.0, 0.0, 0.0)
        with OpenPlanetClient(port=standin.port) as car:
            for _ in itertools.count():
                if car.latest(newer_than=car.count, timeout_s=30).speed_kmph > 40:
                    break
            finding = checks.check_telemetry(car, "tmrl")
    assert finding.status == "ok", finding.text


def test_windows_are_found_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Windows:
        def __init__(self, region: Region | None) -> None:
            self.where = region

        def region(self, title: str) -> Region | None:
            return self.where

        def resize(self, title: str, width: int, height: int) -> None:
            raise AssertionError("a doctor moves nothing")

    monkeypatch.setattr(checks.importlib, "import_module", lambda name: name)
    assert checks.check_window(Windows(Region(1, 2, 256, 128))).text == "256 x 128 at 1, 2"
    assert checks.check_window(Windows(None)).status == "warn"
    assert checks.check_gamepad().status == "ok"

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(checks.importlib, "import_module", missing)
    assert checks.check_window().cure == checks.check_gamepad().cure == "pip install 'trackmaster[game]'"


def test_the_verb_looks_at_trackmania_2020_when_asked(straight: Track, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenPlanetStandin(straight, fps=100) as standin:
        names = {f.name for f in doctor.examine(DoctorConfig(tm2020=True, telemetry_port=standin.port))}
    assert {"telemetry", "ghost plugin", "gamepad", "window"} <= names
    assert "telemetry" not in {f.name for f in doctor.examine(DoctorConfig())}
