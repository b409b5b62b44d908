"""What a capture leaves behind on a game: the user's records and maps, and which rejections stand."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trackmaster.capture import CaptureConfig
from trackmaster.capture.autosave import ghosts_in_autosaves
from trackmaster.capture.errors import ReplayRejectedError, WorkerLostError
from trackmaster.capture.games import choose_game, find_games
from trackmaster.capture.maker import CaptureMaker
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.played import PlayedRecorder
from trackmaster.capture.settled import circumstances, is_settled
from trackmaster.capture.staging import stage_maps
from trackmaster.capture.writer import utc_now
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.clock import SystemClock
from trackmaster.game.link.events import Event, Plugin
from trackmaster.game.link.protocol import Message
from trackmaster.game.setup import keeper as keeper_module
from trackmaster.game.setup.keeper import GameKeeper
from trackmaster.game.setup.launcher import LaunchError
from trackmaster.game.setup.settings import GameSettings
from trackmaster.game.standin.server import Standin
from trackmaster.interrupts import ended_like_ctrl_c

from .conftest import instance_in
from .test_played_faults import Scene


@pytest.fixture
def scene(tmp_path: Path, short_replay_bytes: bytes) -> Iterator[Scene]:
    scene = Scene(tmp_path, short_replay_bytes)
    yield scene
    if scene.game is not None:
        scene.game.stop()


@pytest.fixture
def autosaves(tmp_path: Path) -> Path:
    folder = instance_in(tmp_path).autosaves_path
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("wanted_again", [True, False])
def test_a_record_that_a_killed_run_put_aside_comes_back(scene: Scene, autosaves: Path, wanted_again: bool) -> None:
    (autosaves / "me_Short.Replay.gbx").write_bytes(b"my record")
    flags = scene.flags.model_copy(update={"autosave_ghost": True, "login": "me"})
    place = instance_in(scene.folder)
    killed = ghosts_in_autosaves(flags, [scene.file], [place])
    killed.__enter__()
    assert (autosaves / "me_Short.Replay.gbx").read_bytes() == scene.file.path.read_bytes()
    again = flags.model_copy(update={"autosave_ghost": wanted_again})
    with ghosts_in_autosaves(again, [scene.file], [place]):
        shown = [path.read_bytes() for path in autosaves.glob("*.gbx")]
        assert shown == ([scene.file.path.read_bytes()] if wanted_again else []), "no record is in the pictures"
    assert {path.name: path.read_bytes() for path in autosaves.iterdir()} == {"me_Short.Replay.gbx": b"my record"}


def test_records_of_other_maps_stay(scene: Scene, autosaves: Path) -> None:
    own, other = autosaves / "You_SHORT.Replay.Gbx", autosaves / "you_Shorter.Replay.gbx"
    own.write_bytes(b"mine")
    other.write_bytes(b"another map")
    with ghosts_in_autosaves(scene.flags, [scene.file], [instance_in(scene.folder)]):
        assert [path.name for path in autosaves.glob("*.[Gg]bx")] == [other.name]
    assert own.read_bytes() == b"mine"


def test_a_ghost_that_a_killed_run_left_where_no_record_was_goes_away(scene: Scene, autosaves: Path) -> None:
    flags = scene.flags.model_copy(update={"autosave_ghost": True, "login": "me"})
    place = instance_in(scene.folder)
    killed = ghosts_in_autosaves(flags, [scene.file], [place])
    killed.__enter__()
    with ghosts_in_autosaves(scene.flags, [scene.file], [place]):
        assert list(autosaves.iterdir()) == []


def test_copies_of_maps_that_a_killed_run_left_are_taken_away_too(scene: Scene) -> None:
    place = instance_in(scene.folder)
    own = place.challenges_path / "mine.Challenge.Gbx"
    own.write_bytes(b"mine")
    staging = stage_maps(scene.flags, [scene.file], [place])  # the scene staged it before
    assert staging.fresh == []
    staging.remove()
    assert list(place.challenges_path.iterdir()) == [own]


@pytest.mark.parametrize("reason", ["finish_diff:10", "not_finished", "cp_diff:1:10", "sample_diff:3:20"])
def test_a_run_that_strayed_is_tried_again_at_another_speed(reason: str) -> None:
    fast = CaptureConfig(game="tminterface", running_speed=16.0)
    before = Outcome(
        "1", "a", "rejected", "", fast.fingerprint, reason=reason, circumstances=circumstances(reason, "1", fast)
    )
    assert is_settled(before, fast)
    assert not is_settled(before, fast.model_copy(update={"running_speed": 1.0}))
    assert not is_settled(before, fast.model_copy(update={"workers": 2}))
    inside = CaptureConfig(game="simulator", mode="drive")
    known = Outcome(
        "1", "a", "rejected", "", inside.fingerprint, reason=reason, circumstances=circumstances(reason, "1", inside)
    )
    assert is_settled(known, inside.model_copy(update={"running_speed": 4.0})), "its clock is virtual"


@pytest.mark.parametrize("reason", ["image", "count"])
def test_pictures_that_a_window_spoilt_are_tried_again_when_it_may_be_mended(reason: str) -> None:
    for flags in (CaptureConfig(game="tminterface"), CaptureConfig(game="simulator")):
        before = Outcome(
            "1", "a", "rejected", "", flags.fingerprint, reason=reason, circumstances=circumstances(reason, "1", flags)
        )
        assert is_settled(before, flags) == (flags.game == "simulator"), "the simulator draws the same every time"


def test_another_car_in_the_pictures_makes_another_kind_of_frames() -> None:
    for changes in ({"autosave_ghost": True}, {"respawn_after_cp_ms": 200}):
        on_game, inside = CaptureConfig(game="tminterface"), CaptureConfig(game="simulator")
        assert on_game.fingerprint != on_game.model_copy(update=changes).fingerprint
        assert inside.fingerprint == inside.model_copy(update=changes).fingerprint


def test_the_account_of_the_settings_reaches_the_game_and_a_flag_beats_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKMASTER_HOME", str(scene.folder))
    settings = GameSettings(base_tmi_port=8_478, trackmania_base_path=scene.folder / "TrackMania", login="me",
                            sources={"base_tmi_port": "flag"})  # fmt: skip
    wanted = CaptureConfig.load(["--game", "tminterface"])
    assert choose_game(wanted, settings).login == "me"
    named = CaptureConfig.load(["--game", "tminterface", "--login", "you"])
    assert choose_game(named, settings).login == "you"
    assert choose_game(CaptureConfig(), settings).login == "me"
    games = find_games(wanted, settings)
    recorder = CaptureMaker((), utc_now, games)._recorder(wanted, 0)
    assert isinstance(recorder, PlayedRecorder)
    assert recorder._player.options.login == "me"


@pytest.mark.parametrize(("key", "scripts"), [("enter", 0), ("backspace", 1)])
def test_another_key_for_respawns_needs_a_script_also_with_our_plugin(scene: Scene, key: str, scripts: int) -> None:
    scene.flags = scene.flags.model_copy(update={"respawn_action": key})
    with scene.start():
        assert scene.run(scene.recorder(lambda: False)).max_sample_error_m == 0.0
    folder = instance_in(scene.folder).scripts_path
    assert len(list(folder.glob("*.txt"))) == scripts


def test_a_race_that_says_everything_but_ticks_is_stalled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def chatter(*_: Any, **__: Any) -> Iterator[Event]:
        while True:
            assert scene.clock is not None
            scene.clock.sleep(1.0)
            yield Event(Message.SC_LAP_COUNT_CHANGED_SYNC, current=1, target=2)

    monkeypatch.setattr("trackmaster.capture.played.samples", chatter)
    with scene.start():
        recorder = scene.recorder(lambda: False)
        with pytest.raises(ReplayRejectedError, match="no tick for 25 s") as caught:
            scene.run(recorder)
    assert caught.value.reason == "stalled"


# Games that we start


class _Started:
    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.launcher = SimpleNamespace(pid=os.getpid())

    def find_game(self) -> int | None:
        return self.pid

    def end(self) -> None:
        return


class _Greeted:
    plugin = Plugin()

    def close(self) -> None:
        return


def test_a_game_of_somebody_else_gets_no_rival_on_its_port(tmp_path: Path) -> None:
    with Standin() as standin:
        settings = GameSettings(base_tmi_port=standin.port, launch_script=tmp_path / "none.sh")
        keeper = GameKeeper(settings, instance_in(tmp_path, standin.port))
        with pytest.raises(LaunchError, match="somebody else started has port"):
            keeper.start(_Greeted())  # type: ignore[arg-type]


def test_a_launch_that_fails_costs_the_worker_and_not_replay_after_replay(scene: Scene) -> None:
    game = scene.start()
    game.start().stop()
    recorder = PlayedRecorder(
        scene.flags,
        instance_in(scene.folder, game.port),
        keeper=GameKeeper(GameSettings(launch_script=scene.folder / "none.sh"), instance_in(scene.folder, game.port)),
    )
    with pytest.raises(WorkerLostError, match="no script that can be run"):
        scene.run(recorder)


@pytest.mark.parametrize("pid", [7, None])
def test_a_game_with_the_public_plugin_gets_the_focus_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, pid: int | None
) -> None:
    focused: list[int] = []
    monkeypatch.setattr(keeper_module, "launch", lambda *_: _Started(pid))
    monkeypatch.setattr(keeper_module, "first_session", lambda *_, **__: None)
    monkeypatch.setattr(keeper_module, "is_listened_to", lambda _: False)
    monkeypatch.setattr(keeper_module, "focus_window", focused.append)
    GameKeeper(GameSettings(), instance_in(tmp_path)).start(_Greeted())  # type: ignore[arg-type]
    assert focused == ([] if pid is None else [pid])
    assert ("click into the game's window" in caplog.text) == (pid is None)


class _Clock(SystemClock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def now_s(self) -> float:
        return self.seconds


def test_a_game_that_is_well_is_kept_and_one_that_ran_for_half_a_day_is_renewed_with_one_more_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[int] = []
    orphans: list[Path] = []

    def launch(*_: object) -> "_Started":
        launched.append(1)
        if len(launched) == 2:
            raise LaunchError("the game ended while it was starting.")
        return _Started(7)

    clock = _Clock()
    is_there = False
    monkeypatch.setattr(keeper_module, "launch", launch)
    monkeypatch.setattr(keeper_module, "first_session", lambda *_, **__: None)
    monkeypatch.setattr(keeper_module, "is_listened_to", lambda _: is_there)
    monkeypatch.setattr(keeper_module, "focus_window", lambda _: None)
    monkeypatch.setattr(keeper_module, "end_orphan", orphans.append)
    keeper = GameKeeper(GameSettings(), instance_in(tmp_path), clock=clock)
    keeper.start_if_absent(_Greeted())  # type: ignore[arg-type]
    is_there = True
    clock.seconds = keeper_module.MAX_AGE_S
    keeper.start_if_absent(_Greeted())  # type: ignore[arg-type]  # a session broke, the game is well
    assert (len(launched), len(orphans), keeper.is_old) == (1, 1, False)
    clock.seconds += 1
    assert keeper.is_old
    is_there = False  # what we started, we end
    keeper.renew(_Greeted())  # type: ignore[arg-type]
    assert (len(launched), keeper.is_old) == (3, False)


def test_an_old_game_is_renewed_between_two_replays(scene: Scene) -> None:
    class Keeper:
        is_old = True
        renewed = 0

        def renew(self, client: LinkClient) -> None:
            assert client.inside is None, "the session was given back"
            self.is_old, self.renewed = False, self.renewed + 1

        def start_if_absent(self, _client: LinkClient) -> None:
            return

        def end(self) -> None:
            return

    keeper = Keeper()
    with scene.start() as game:
        place = instance_in(scene.folder, game.port)
        assert scene.run(PlayedRecorder(scene.flags, place, keeper=keeper)).status == "ok"  # type: ignore[arg-type]
    assert keeper.renewed == 1


# Being told to end


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP] if sys.platform != "win32" else [])
def test_being_told_to_end_runs_all_clean_up(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # nohup has SIGHUP ignored, and then it stays so
    try:
        with pytest.raises(KeyboardInterrupt), ended_like_ctrl_c():
            signal.raise_signal(number)  # sent to the process it may come by way of any thread
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_a_capture_that_is_told_to_end_puts_the_record_back(scene: Scene, autosaves: Path) -> None:
    own = autosaves / "me_Short.Replay.gbx"
    own.write_bytes(b"my record")
    with scene.start("hang@frame:3") as game:
        words = [
            sys.executable, "-m", "trackmaster", "capture", "--game", "tminterface", "--autosave-ghost",
            "--login", "me",
            "--base-tmi-port", str(game.port), "--replays-dir", str(scene.flags.replays_dir), "--no-use-tqdm",
            "--output-dir", str(scene.folder / "told"), "--vcp-dir", str(scene.folder / "vcp"),
        ]  # fmt: skip
        environment = os.environ | {"TRACKMANIA_BASE_PATH": str(scene.folder / "TrackMania"),
                                    "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
        process = subprocess.Popen(words, env=environment, cwd=scene.folder, stderr=subprocess.PIPE, text=True)
        assert game.hung.wait(120)
        assert own.read_bytes() != b"my record"
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert [path.read_bytes() for path in autosaves.iterdir()] == [b"my record"]
