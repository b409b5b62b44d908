"""``trackmaster standin`` as a process of its own: it says where it listens, serves, and ends when told."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trackmaster import cli
from trackmaster.game.link.client import LinkClient
from trackmaster.game.standin.config import StandinConfig
from trackmaster.track.bundled import bundled_map


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    folder = tmp_path / "TrackMania" / "Tracks" / "Challenges"
    folder.mkdir(parents=True)
    (folder / "m1.Challenge.Gbx").write_bytes(bundled_map("first_steps").read_bytes())
    scripts = tmp_path / "TMInterface" / "Scripts"
    scripts.mkdir(parents=True)
    (scripts / "go.txt").write_text("0 press up\n", encoding="ascii")
    words = [sys.executable, "-m", "trackmaster", "standin", "--port", "0", "--instances", "2", "--base-path",
             str(tmp_path / "TrackMania")]  # fmt: skip
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_the_command_serves_until_it_is_told_to_end(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    ports = []
    for _ in range(2):
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+), 5 maps\n", process.stdout.readline())
        assert found is not None
        ports.append(int(found.group(1)))
    assert len(set(ports)) == 2
    for port in ports:
        client = LinkClient(port)
        client.connect()
        client.execute("set skip_map_load_screens true")
        client.execute("load go.txt")
        client.execute("map m1.Challenge.Gbx")
        client.acknowledge()
        while client.wait().time_ms != 100:
            client.acknowledge()
        assert client.get_inputs() == "0 press up\n"
        client.close()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was left behind" in errors
    assert "Traceback" not in errors


def test_a_misspelt_fault_stops_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["standin", "--port", "0", "--fault", "burn@frame"]) == 1
    assert "expected KIND@PHASE" in capsys.readouterr().err


def test_scripts_lie_beside_the_user_folder_by_default(tmp_path: Path) -> None:
    assert StandinConfig().resolved_scripts_path is None
    config = StandinConfig(base_path=tmp_path / "TrackMania")
    assert config.resolved_scripts_path == tmp_path / "TMInterface" / "Scripts"
    assert StandinConfig(base_path=tmp_path, scripts_path=tmp_path / "x").resolved_scripts_path == tmp_path / "x"
