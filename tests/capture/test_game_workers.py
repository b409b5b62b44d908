"""Several games at once: nothing is lost, doubled or mixed up, also when one of them fails."""

import dataclasses
import json
import multiprocessing
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.capture import CaptureConfig, CaptureError, CaptureSummary, capture
from trackmaster.capture.discover import find_replays
from trackmaster.capture.games import Games, add_enter_maps, find_games
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.staging import stage_maps
from trackmaster.game.setup.launcher import is_listened_to
from trackmaster.game.setup.settings import GameSettings
from trackmaster.game.standin.faults import Fault
from trackmaster.game.standin.game import GameOptions
from trackmaster.game.standin.server import Standin
from trackmaster.gbx import Challenge, Ghost

from .conftest import instance_in

TRACKS, REPLAYS = 3, 2


@pytest.fixture
def config(tmp_path: Path, short_challenge: Challenge, short_ghost: Ghost) -> CaptureConfig:
    """Three maps with three replays each, to be captured by three workers."""
    for track in range(TRACKS):
        own = dataclasses.replace(short_challenge, uid=f"map{track}")
        folder = tmp_path / "replays" / f"{track}"
        folder.mkdir(parents=True)
        for number in range(REPLAYS):
            driver = dataclasses.replace(short_ghost, nickname=f"driver {track} {number}")
            (folder / f"pos{number}.replay.gbx").write_bytes(gbx.write_replay(gbx.write_challenge(own), driver))
    return CaptureConfig(
        replays_dir=tmp_path / "replays", output_dir=tmp_path / "out", tracks_dir=tmp_path / "tracks",
        vcp_dir=tmp_path / "vcp", width=24, height=16, fps=10, game="tminterface", running_speed=16.0, workers=3,
        use_tqdm=False, write_enter_maps=tmp_path / "enter.txt",
    )  # fmt: skip


@contextmanager
def games(config: CaptureConfig, *faults: str, watch: Callable[[int, str], None] | None = None) -> Iterator[Games]:
    """Stand-ins, each with a user folder of its own; fault ``i:text`` goes to number i, ``watch`` sees ``phase:N``."""
    folder = config.output_dir.parent
    places = [instance_in(folder / f"user{number}", index=number) for number in range(config.workers)]
    stage_maps(config, find_replays(config.replays_dir, None), places)
    with ExitStack() as stack:
        found = []
        for place in places:
            plan = [Fault.parse(text[2:]) for text in faults if text.startswith(f"{place.index}:")]
            options = GameOptions(base_path=place.user_path, scripts_path=place.scripts_path)
            number = place.index
            look = None if watch is None else lambda phase, count, number=number: watch(number, f"{phase}:{count}")
            standin = stack.enter_context(Standin(options, faults=plan, watch=look))
            found.append(dataclasses.replace(place, port=standin.port))
        yield Games(tuple(found))


def verified(config: CaptureConfig) -> int:
    """Check every folder of the output and return how many there are."""
    found = list(config.output_dir.glob("*/*/verify.json"))
    for path in found:
        assert json.loads(path.read_text())["ok"]
        manifest = json.loads((path.parent / "manifest.json").read_text())
        metadata = json.loads((path.parent / "metadata.json").read_text())
        assert metadata["map_uid"] == f"map{path.parent.parent.name}"
        assert [entry["time_ms"] for entry in manifest["entries"]] == list(range(0, metadata["race_time_ms"] + 1, 100))
        assert len(list(path.parent.glob("*.jpeg"))) == len(manifest["entries"])
    return len(found)


def run(config: CaptureConfig, *faults: str) -> CaptureSummary:
    with games(config, *faults) as ready:
        return capture(config, games=ready)


def test_three_games_capture_everything_once(config: CaptureConfig) -> None:
    summary = run(config)
    assert (len(summary.captured), len(summary.rejected)) == (TRACKS * REPLAYS, 0)
    assert verified(config) == TRACKS * REPLAYS
    frames = {
        tuple(sorted((p.name, p.read_bytes()) for p in folder.glob("*.jpeg")))
        for folder in config.output_dir.glob("*/*")
    }
    assert len(frames) == 1, "the same run on the same road gives the same pictures on every game"
    assert run(config).skipped == TRACKS * REPLAYS


def test_one_hung_one_cut_and_one_talking_nonsense(config: CaptureConfig) -> None:
    summary = run(config, "0:hang@frame:40", "1:drop@frame:40", "2:garbage@frame:40")
    assert [outcome.reason for outcome in summary.rejected] == ["stalled"], "the others had a second try"
    assert verified(config) == len(summary.captured) == TRACKS * REPLAYS - 1
    again = run(config)
    assert (len(again.captured), again.skipped) == (1, TRACKS * REPLAYS - 1), "a stall says nothing about a replay"
    assert verified(config) == TRACKS * REPLAYS


def test_a_killed_worker_costs_nothing_but_time(config: CaptureConfig) -> None:
    killed: list[int] = []

    def murder(number: int, phase: str) -> None:
        if (number, phase) == (0, "frame:10"):
            worker = next(one for one in multiprocessing.active_children() if one.name == "capture-0")
            os.kill(worker.pid or 0, signal.SIGKILL)
            killed.append(worker.pid or 0)

    with games(config, watch=murder) as ready:
        summary = capture(config, games=ready)
    assert len(killed) == 1
    assert (len(summary.captured), summary.rejected) == (TRACKS * REPLAYS, [])
    assert verified(config) == TRACKS * REPLAYS


def test_games_have_to_know_the_maps_before_they_start(config: CaptureConfig, tmp_path: Path) -> None:
    place = instance_in(tmp_path / "user")
    alone = config.model_copy(update={"workers": 1})
    with pytest.raises(CaptureError, match="there is no user folder of the game"):
        capture(alone, games=Games((place,)))
    place.user_path.mkdir(parents=True)
    with pytest.raises(CaptureError, match=rf"{TRACKS} maps were put into .*start it now"):
        capture(alone, games=Games((place,)))
    assert len(list(place.challenges_path.iterdir())) == TRACKS
    with pytest.raises(CaptureError, match="nothing listens on port 1 "):
        capture(alone, games=Games((place,)))
    with pytest.raises(CaptureError, match="--workers 3 needs as many games, 1 are set up"):
        capture(config, games=Games((place,)))


@pytest.mark.skipif(sys.platform == "win32", reason="starts the game through a script of a POSIX shell")
def test_a_game_that_we_start_finds_its_maps_and_leaves_none(config: CaptureConfig, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = tmp_path / "user" / "TrackMania"
    user.mkdir(parents=True)
    script = tmp_path / "launch.sh"
    environment = f"PYTHONPATH={shlex.quote(os.pathsep.join(sys.path))}"
    words = [sys.executable, "-m", "trackmaster", "standin", "--base-path", str(user), "--port"]
    script.write_text(f'#!/bin/sh\nexec env {environment} {shlex.join(words)} "$1"\n')
    script.chmod(0o755)
    settings = GameSettings(base_tmi_port=port, trackmania_base_path=user, launch_script=script)
    alone = config.model_copy(update={"workers": 1, "track_id": "1"})
    summary = capture(alone, games=find_games(alone, settings))
    assert len(summary.captured) == REPLAYS
    assert list((user / "Tracks" / "Challenges").iterdir()) == []
    assert not is_listened_to(port), "what we started, we end"


def test_maps_that_never_began_are_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "enter.txt"
    outcomes = [Outcome(track, "r", "rejected", "", "", reason=reason) for track, reason in
                (("1", "no_start"), ("2", "stalled"), ("3", "no_start"), ("1", "no_start"))]  # fmt: skip
    add_enter_maps(path, outcomes)
    add_enter_maps(path, outcomes)
    assert path.read_text() == "1\n3\n"


def test_a_ghost_in_autosaves_comes_and_goes(config: CaptureConfig, tmp_path: Path) -> None:
    flags = config.model_copy(update={"workers": 1, "autosave_ghost": True, "track_id": "1", "login": "me"})
    autosaves = tmp_path / "user0" / "TrackMania" / "Tracks" / "Replays" / "Autosaves"
    autosaves.mkdir(parents=True)
    own = autosaves / "me_Short.Replay.gbx"
    own.write_bytes(b"my record")
    seen: list[bytes] = []
    with games(flags) as ready:
        summary = capture(flags, games=ready, clock=lambda: seen.append(own.read_bytes()) or _noon())  # type: ignore[func-returns-value]
    assert len(summary.captured) == REPLAYS
    assert set(seen[:10]) == {(tmp_path / "replays" / "1" / "pos0.replay.gbx").read_bytes()}
    assert [path.read_bytes() for path in autosaves.iterdir()] == [b"my record"]


def _noon() -> object:
    from datetime import UTC, datetime

    return datetime(2026, 2, 18, 12, tzinfo=UTC)
