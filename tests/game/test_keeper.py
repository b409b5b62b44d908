"""A game that a killed run left behind is ended by the next one, and nobody else's process ever is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil")

from trackmaster.game.setup.keeper import end_orphan, write_note  # noqa: E402

WAITS = [sys.executable, "-c", "import threading; threading.Event().wait()"]


def test_the_process_of_a_note_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "TMInterface" / "note.json"
    process = subprocess.Popen(WAITS)
    write_note(note, process.pid)
    end_orphan(note)
    process.wait()
    assert not psutil.pid_exists(process.pid)
    assert not note.exists()
    end_orphan(note)  # nothing to do


def test_another_process_of_the_same_number_is_left_alone(tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    process = subprocess.Popen(WAITS)
    try:
        write_note(note, process.pid)
        note.write_text(json.dumps(json.loads(note.read_text()) | {"began_s": 1.0}))
        end_orphan(note)
        assert process.poll() is None
        for nonsense in ("", "[]", '{"pid": "x"}', '{"pid": -5, "began_s": 1}', "\x00"):
            note.write_text(nonsense)
            end_orphan(note)
            assert not note.exists()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
