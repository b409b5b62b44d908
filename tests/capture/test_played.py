"""Replays played by a game behind its plugin: the same frames as in process, and every way in which it goes wrong."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.played import PlayedRecorder
from trackmaster.capture.recorder import Recorder
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.scripts import delayed_respawns, inputs_check, run_script
from trackmaster.capture.simulated import SimulatedRecorder
from trackmaster.capture.staging import stage_maps
from trackmaster.files import sha256_of
from trackmaster.game import SimulatorGame, record_ghost
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Challenge, Ghost, InputTimeline, to_script
from trackmaster.track import Track

from .conftest import instance_in


def clock() -> datetime:
    return datetime(2026, 2, 18, 10, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path, short_replay_bytes: bytes) -> ReplayFile:
    folder = tmp_path / "replays" / "4711"
    folder.mkdir(parents=True)
    (folder / "a.replay.gbx").write_bytes(short_replay_bytes)
    return ReplayFile(folder / "a.replay.gbx", "4711")


def config(tmp_path: Path, out: str, **changes: object) -> CaptureConfig:
    values: dict[str, object] = {
        "replays_dir": tmp_path / "replays", "output_dir": tmp_path / out, "tracks_dir": tmp_path / "tracks",
        "vcp_dir": tmp_path / "vcp", "width": 24, "height": 16, "fps": 50, "mode": "drive", "use_tqdm": False,
    }  # fmt: skip
    return CaptureConfig(**(values | changes))


def run(flags: CaptureConfig, recorder: Recorder, file: ReplayFile) -> Outcome:
    capturer = ReplayCapture(flags, recorder, LineShelf(flags, {}), clock)
    try:
        return capturer.run(file, sha256_of(file.path))
    finally:
        capturer.close()


def standin(tmp_path: Path, flags: CaptureConfig, file: ReplayFile, *, speaks_ours: bool) -> Standin:
    place = instance_in(tmp_path)
    stage_maps(flags, [file], [place])
    return Standin(GameOptions(base_path=place.user_path, scripts_path=place.scripts_path), speaks_ours=speaks_ours)


def tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        yield path.name, path.read_bytes()


@pytest.mark.parametrize("speaks_ours", [True, False])
@pytest.mark.parametrize("speed", [1.0, 16.0])
def test_the_socket_gives_the_frames_and_the_manifest_of_the_process(
    tmp_path: Path, file: ReplayFile, speaks_ours: bool, speed: float
) -> None:
    flags = config(tmp_path, "inside")
    run(flags, SimulatedRecorder(flags), file)
    flags = config(tmp_path, "socket", running_speed=speed)
    with standin(tmp_path, flags, file, speaks_ours=speaks_ours) as game:
        outcome = run(flags, PlayedRecorder(flags, instance_in(tmp_path, game.port)), file)
    assert outcome.max_sample_error_m == 0.0
    inside = dict(tree(tmp_path / "inside" / "4711" / "a.replay"))
    socket = dict(tree(tmp_path / "socket" / "4711" / "a.replay"))
    assert inside.keys() == socket.keys()
    differing = [name for name in inside if inside[name] != socket[name]]
    assert differing == ["metadata.json", "verify.json"]
    checks = json.loads(socket["verify.json"])["checks"]
    assert checks["inputs_acted"]["ok"] is True


@pytest.mark.parametrize("speaks_ours", [True, False])
def test_replays_follow_each_other_in_one_session(
    tmp_path: Path,
    file: ReplayFile,
    short_challenge: Challenge,
    short_ghost: Ghost,
    speaks_ours: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = dataclasses.replace(short_challenge, uid="other")
    files = [file]
    for name, challenge in (("b", short_challenge), ("c", other)):
        path = file.path.with_name(f"{name}.replay.gbx")
        path.write_bytes(gbx.write_replay(gbx.write_challenge(challenge), short_ghost))
        files.append(ReplayFile(path, "4711"))
    flags = config(tmp_path, "socket", running_speed=16.0)
    place = instance_in(tmp_path)
    stage_maps(flags, files, [place])
    options = GameOptions(base_path=place.user_path, scripts_path=place.scripts_path)
    with Standin(options, speaks_ours=speaks_ours) as game:
        recorder = PlayedRecorder(flags, dataclasses.replace(place, port=game.port))
        capturer = ReplayCapture(flags, recorder, LineShelf(flags, {}), clock)
        for one in files:
            assert capturer.run(one, sha256_of(one.path)).max_sample_error_m == 0.0
        capturer.close()
    pictures = [
        {path.name: path.read_bytes() for path in (tmp_path / "socket" / "4711" / f"{name}.replay").glob("*.jpeg")}
        for name in "abc"
    ]
    assert pictures[0] == pictures[1] == pictures[2]
    assert not [one for one in caplog.records if one.name.endswith("played")], "no second tries"


@pytest.mark.parametrize("speaks_ours", [True, False])
def test_respawns_times_of_tminterface_and_foreign_letters_are_played_like_any_run(
    tmp_path: Path, short_challenge: Challenge, short_ghost: Ghost, speaks_ours: bool
) -> None:
    challenge = dataclasses.replace(short_challenge, name="Café $f00été 日本", uid="odd")
    keys = np.full(900, 1, np.uint8)
    keys[100:110] |= 4
    presses = np.zeros(900, np.uint8)
    presses[short_ghost.cp_times_ms[0] // 10 + 30] = 1
    timeline = dataclasses.replace(InputTimeline.from_keys(keys), respawn_presses=presses)
    ghost = record_ghost(SimulatorGame(watched=False), Track.from_challenge(challenge), timeline, nickname="naïve")
    assert ghost.race_time_ms is not None
    assert ghost.race_time_ms > (short_ghost.race_time_ms or 0) + 1_000, "the car had to begin anew at its gate"
    assert ghost.events is not None
    shifted = dataclasses.replace(ghost, events=dataclasses.replace(ghost.events, shift_ms=65_535))
    file = ReplayFile(tmp_path / "replays" / "4711" / "pos1_naïve é $x_5ms.replay.gbx", "4711")
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(gbx.write_replay(gbx.write_challenge(challenge), shifted))
    flags = config(tmp_path, "inside", fps=10)
    run(flags, SimulatedRecorder(flags), file)
    flags = config(tmp_path, "socket", fps=10, running_speed=16.0)
    with standin(tmp_path, flags, file, speaks_ours=speaks_ours) as game:
        outcome = run(flags, PlayedRecorder(flags, instance_in(tmp_path, game.port)), file)
    assert outcome.max_sample_error_m == 0.0
    inside = dict(tree(tmp_path / "inside" / "4711" / file.name))
    socket = dict(tree(tmp_path / "socket" / "4711" / file.name))
    assert inside.keys() == socket.keys()
    assert [name for name in inside if inside[name] != socket[name]] == ["metadata.json", "verify.json"]
    metadata = json.loads(socket["metadata.json"])
    assert (metadata["device"], metadata["input_shift_ms"]) == ("tminterface", 65_535)
    names = [path.name for path in instance_in(tmp_path).challenges_path.iterdir()]
    assert names
    assert all(name.isascii() and " " not in name for name in names)


def test_respawns_can_be_made_to_wait_for_the_game() -> None:
    keys = np.ones(300, np.uint8)
    presses = np.zeros(300, np.uint8)
    presses[[50, 105, 240]] = 1
    timeline = dataclasses.replace(InputTimeline.from_keys(keys), respawn_presses=presses)
    moved = delayed_respawns(timeline, (1_000, 2_000, -1), 200)
    assert np.flatnonzero(moved.respawn_presses).tolist() == [50, 120, 240]
    assert delayed_respawns(timeline, (1_000,), 0).respawn_presses.tolist() == presses.tolist()
    assert "1200 press enter" in run_script(moved).text.replace("-1210", "")
    assert "press backspace" in run_script(moved, "backspace").text


def test_a_record_that_differs_is_found_with_its_first_tick() -> None:
    keys = np.ones(100, np.uint8)
    timeline = InputTimeline.from_keys(keys)
    assert inputs_check(to_script(timeline), timeline).ok is True
    keys[40] = 5
    found = inputs_check(to_script(InputTimeline.from_keys(keys)), timeline)
    assert (found.ok, found.value, found.reason) == (False, 400, "inputs_diff")
    assert inputs_check("0 jump up", timeline).ok is False
