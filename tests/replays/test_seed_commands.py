"""The command lines of the community's documents run as they are printed, from a checkout, against a stand-in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replays.exchange import RunningStandIn

FIXTURE = Path(__file__).with_name("seed_commands.txt")
INSIDE = "[scripts] "
COMMANDS = [line for line in FIXTURE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


@pytest.fixture
def checkout(tmp_path: Path, repository_root: Path) -> Path:
    """A folder with ``scripts/`` in it, and a ``python`` that finds the package."""
    shutil.copytree(repository_root / "scripts", tmp_path / "scripts")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    source = repository_root / "src"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="${{PYTHONPATH:-}}:{source}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def run_as_printed(command: str, checkout: Path) -> str:
    folder = checkout / "scripts" if command.startswith(INSIDE) else checkout
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PATH"] = f"{checkout / 'bin'}{os.pathsep}{env['PATH']}"
    words = ["sh", "-c", command.removeprefix(INSIDE)]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="these are the POSIX forms")
def test_every_command_of_the_documents_runs_as_printed(checkout: Path, serve: Callable[..., RunningStandIn]) -> None:
    server = serve()
    said = [run_as_printed(command, checkout) for command in COMMANDS]
    ids = (checkout / "maps" / "track_ids.txt").read_text().split()
    assert ids == ["103", "102", "101", "100"]
    assert len(list((checkout / "maps" / "replays").glob("*/*.replay.gbx"))) == 16
    assert sorted(path.name for path in (checkout / "maps" / "tracks").iterdir()) == [
        f"{track_id}.Challenge.Gbx" for track_id in sorted(ids)
    ]
    assert (checkout / "maps" / "replays" / ".replay_progress").read_text().strip() == "4"
    for name in ("track_ids_no_respawn.txt", "track_ids_standard.txt"):
        assert (checkout / "maps" / name).read_text().split() == ids
    assert "16 files fetched and verified" in said[1]
    assert "0 files fetched" in said[3], "the second time, from scripts/, everything is there"
    assert sum("/recordgbx/" in entry.path for entry in server.log) == 16
    assert {entry.user_agent.split("/")[0] for entry in server.log} == {"trackmaster"}


def test_the_fixture_is_complete() -> None:
    assert len(COMMANDS) == 9
    assert sum("replays_tmnf.download" in command for command in COMMANDS) == 4
    assert sum("filter_track_ids" in command for command in COMMANDS) == 3
    assert sum("fix_replay_filenames" in command for command in COMMANDS) == 2
