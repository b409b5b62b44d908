"""``trackmaster standin --openplanet`` and ``trackmaster record reward`` as processes."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from trackmaster.env.demo.command import RecordRewardConfig, run_record_reward
from trackmaster.errors import TrackmasterError
from trackmaster.game.openplanet.command import openplanet_standin
from trackmaster.game.openplanet.desk import Desk
from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.game.standin.config import StandinConfig
from trackmaster.track import Track
from trackmaster.track.bundled import bundled_map


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_the_verb_serves_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "trackmaster", "standin", "--openplanet", "--openplanet-port", "0",
               "--ghost-port", "0", "--desk-port", "0", "--virtual-time"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ports = re.match(r"listening on 127\.0\.0\.1:(\d+) \(telemetry\), (\d+) \(ghost\), (\d+) \(desk\)", line)
        assert ports is not None, line
        with Desk(port=int(ports[3])) as desk:
            assert desk.picture((16, 8)).shape == (8, 16, 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) != 0
        assert "was stopped" in (process.stderr.read() if process.stderr else "")


def test_maps_are_taken_by_name_and_by_file() -> None:
    ports = {"openplanet_port": 0, "ghost_port": 0, "desk_port": 0, "openplanet": True}
    for name in ("switchback", str(bundled_map("switchback"))):
        standin = openplanet_standin(StandinConfig(map=name, **ports))
        assert "witchback" in standin._track.name
        standin.stop()
    with pytest.raises(TrackmasterError):
        openplanet_standin(StandinConfig(map="nowhere", **ports))


def test_a_drive_is_recorded_from_telemetry(straight: Track, tmp_path: Path) -> None:
    output = tmp_path / "reward.npy"
    with OpenPlanetStandin(straight, is_virtual=True) as standin, Desk(port=standin.desk_port) as desk:
        ended = threading.Event()
        recorder = threading.Thread(
            target=lambda: (run_record_reward(RecordRewardConfig(output=output, port=standin.port)), ended.set())
        )
        recorder.start()
        desk.press(1.0, 0.0, 0.0)
        while not ended.is_set() and desk.advance(20) < 10_000:
            ended.wait(0.002)  # lets the other thread read what was sent
        recorder.join(30)
    points = np.load(output)
    line = straight.reference_line
    assert line is not None
    assert 0.1 * (len(points) - 1) == pytest.approx(line.info.length_m, rel=0.1)
    assert '"map_uid"' in output.with_suffix(".json").read_text(encoding="utf-8")
