"""Speeds of the game: measured by comparison with speed 1, kept, and obeyed by captures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trackmaster.capture import CaptureConfig, CaptureError
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.doctor import run_doctor
from trackmaster.capture.games import choose_game, find_games
from trackmaster.capture.played import PlayedRecorder
from trackmaster.capture.recorder import Recorder
from trackmaster.capture.source import read_source
from trackmaster.capture.speeds import (
    MeasuredSpeed,
    keep_speeds,
    measure_speeds,
    read_speeds,
    speed_check,
    speeds_path,
)
from trackmaster.capture.staging import stage_maps
from trackmaster.game.link.client import LinkClient
from trackmaster.game.setup.config import DoctorConfig
from trackmaster.game.setup.settings import GameSettings, load_game_settings
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin

from .conftest import instance_in, stall_races


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRACKMASTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("BASE_TMI_PORT", "TRACKMANIA_BASE_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def replay(tmp_path: Path, short_replay_bytes: bytes) -> ReplayFile:
    path = tmp_path / "replays" / "a.replay.gbx"
    path.parent.mkdir()
    path.write_bytes(short_replay_bytes)
    return ReplayFile(path, "1")


def standin(tmp_path: Path, replay: ReplayFile, *faults: str) -> Standin:
    place = instance_in(tmp_path)
    stage_maps(CaptureConfig(), [replay], [place])
    options = GameOptions(base_path=place.user_path, scripts_path=place.scripts_path)
    return Standin(options, faults=[Fault.parse(text) for text in faults], speaks_ours=False)


def test_speeds_that_repeat_the_run_are_exact_and_others_are_not(tmp_path: Path, replay: ReplayFile) -> None:
    # One gate per run besides the finish: the fault is in the third run, at speed 8.
    with standin(tmp_path, replay, "diverge@checkpoint:3") as game:
        flags = CaptureConfig(game="tminterface")

        def recorders() -> Iterator[tuple[float, list[Recorder]]]:
            for speed in (1.0, 8.0, 16.0):
                recorder = PlayedRecorder(
                    flags.model_copy(update={"running_speed": speed}), instance_in(tmp_path, game.port)
                )
                yield speed, [recorder]
                recorder.leave()

        found = list(measure_speeds(recorders(), read_source(replay, flags)))
    assert [(one.speed, one.exact) for one in found] == [(1.0, True), (8.0, False), (16.0, True)]
    assert "leaves the run at speed 1 after" in found[1].detail


def test_captures_obey_what_was_measured(home: Path) -> None:
    assert speeds_path() == home / "speeds.json"
    assert read_speeds() == ()
    keep_speeds([MeasuredSpeed(4.0, 1, True), MeasuredSpeed(8.0, 1, False, "leaves the run at speed 1 after 90 ms")])
    keep_speeds([MeasuredSpeed(8.0, 2, True)])
    known = read_speeds()
    assert len(known) == 3
    assert speed_check(known, 4.0, instances=1, force=False).ok is True
    assert speed_check(known, 8.0, instances=2, force=False).ok is True
    assert speed_check(known, 8.0, instances=1, force=True).ok is None
    assert speed_check(known, 5.0, instances=1, force=False).ok is None
    with pytest.raises(CaptureError, match=r"--running-speed 8 with one game was measured as inexact.*after 90 ms"):
        find_games(CaptureConfig(running_speed=8.0), GameSettings())
    with pytest.raises(CaptureError, match="holds no measured speeds"):
        speeds_path().write_text("{}")
        read_speeds()


def test_the_doctor_measures_and_keeps(
    tmp_path: Path, replay: ReplayFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackmaster.game.setup.doctor.run_doctor", lambda _config: 0)  # there is no real game to see
    with standin(tmp_path, replay) as game:
        base = instance_in(tmp_path).user_path
        code = run_doctor(
            DoctorConfig(
                base_tmi_port=game.port, trackmania_base_path=base, speeds=True, try_speeds=[16.0],
                speeds_replay=replay.path,
            )
        )  # fmt: skip
    assert code == 0
    assert "speed 16: exact" in capsys.readouterr().out
    assert [(one.speed, one.exact) for one in read_speeds()] == [(1.0, True), (16.0, True)]


def test_several_games_are_measured_at_the_same_time(
    tmp_path: Path, replay: ReplayFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trackmaster.game.setup.doctor.run_doctor", lambda _config: 0)
    # One gate per run besides the finish: game 1 strays in its second run, at the second speed.
    with standin(tmp_path / "0", replay) as first, standin(tmp_path / "1", replay, "diverge@checkpoint:2") as second:
        games = {0: (first, tmp_path / "0"), 1: (second, tmp_path / "1")}
        monkeypatch.setattr(
            "trackmaster.capture.doctor.instance_of",
            lambda _settings, index: instance_in(games[index][1], games[index][0].port, index),
        )
        code = run_doctor(
            DoctorConfig(base_tmi_port=first.port, speeds=True, try_speeds=[16.0], speeds_replay=replay.path, workers=2)
        )
    assert code == 0
    assert "speed 16 with 2 games: game 1 leaves the run at speed 1 after" in capsys.readouterr().out
    assert [(one.speed, one.instances, one.exact) for one in read_speeds()] == [(1.0, 2, True), (16.0, 2, False)]


def test_a_game_that_cannot_play_it_is_left_without_the_script(
    tmp_path: Path, replay: ReplayFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = stall_races(monkeypatch, lambda: game)
    monkeypatch.setattr("trackmaster.game.setup.doctor.run_doctor", lambda _config: 0)
    with standin(tmp_path, replay) as game:
        base = instance_in(tmp_path).user_path
        flags = DoctorConfig(base_tmi_port=game.port, trackmania_base_path=base, speeds=True, speeds_replay=replay.path)
        with pytest.raises(CaptureError, match=r"a game cannot play a\.replay\.gbx: .*the race stands still"):
            run_doctor(flags)
        assert loaded[0] > 0
        onlooker = LinkClient(game.port)
        onlooker.connect()
        onlooker.close()
        assert game.game._script == []


def test_speeds_need_a_game(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackmaster.game.setup.doctor.run_doctor", lambda _config: 0)
    with pytest.raises(CaptureError, match="none is configured"):
        run_doctor(DoctorConfig(speeds=True))


def test_the_game_is_the_default_where_one_is_configured(tmp_path: Path) -> None:
    assert choose_game(CaptureConfig()).game == "simulator"
    (tmp_path / ".env").write_text("BASE_TMI_PORT=8480\nTRACKMASTER_LOGIN=me\n")
    chosen = choose_game(CaptureConfig())
    assert (chosen.game, chosen.login, chosen.resolved_mode, chosen.resolved_tolerance_m) == (
        "tminterface", "me", "drive", 0.001,
    )  # fmt: skip
    assert choose_game(CaptureConfig(game="simulator")).game == "simulator"
    assert (
        choose_game(CaptureConfig(), load_game_settings({}, environment={}, dotenv=tmp_path / "no")).game == "simulator"
    )
    assert [one.port for one in find_games(chosen.model_copy(update={"workers": 2})).instances] == [8480, 8481]
