"""A capture that is killed at any moment leaves nothing that looks whole and is not, and goes on without a loss."""

import json
import multiprocessing
import random
import textwrap
from pathlib import Path
from typing import Any

import pytest

from trackmaster.capture import CaptureConfig, capture
from trackmaster.capture.folders import is_whole
from trackmaster.data import DataError, find_replays, read_manifest
from trackmaster.files import sha256_of

KILLS = 8
"""Moments per run of the tests; 30 were tried when this was written."""

NAMES = ("a", "b")

HELPERS = '''
import os
import signal
import sys
import threading
from datetime import UTC, datetime

from trackmaster.capture.run import capture

WATCHED = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.link"}


def noon():
    return datetime(2026, 2, 18, 12, tzinfo=UTC)


def capture_until(config, moment, counted):
    """Capture; die at the moment-th operation on files of the output tree, before it is done."""
    place, lock, count = str(config.output_dir), threading.Lock(), 0

    def watch(event, args):
        nonlocal count
        if event in WATCHED and args and place in str(args[0]):
            with lock:
                count += 1
                counted.value = count
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    capture(config, clock=noon)
'''


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that other processes can import as well."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "kill_helpers.py").write_text(textwrap.dedent(HELPERS))
    monkeypatch.syspath_prepend(folder)
    import kill_helpers  # type: ignore[import-not-found]  # written above

    return kill_helpers


@pytest.fixture
def replays(tmp_path: Path, replay_bytes: bytes) -> Path:
    folder = tmp_path / "replays" / "1"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.replay.gbx").write_bytes(replay_bytes)
    (folder / "c.replay.gbx").write_bytes(replay_bytes[:500])
    return folder.parent


def config(replays: Path, out: Path) -> CaptureConfig:
    return CaptureConfig(
        replays_dir=replays, output_dir=out, tracks_dir=out / "tracks", vcp_dir=out / "vcp", width=24, height=16,
        fps=2, use_tqdm=False, per_frame_json=True,
    )  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """All files but the ones that a kill leaves under temporary names, and the log of rejections with its times."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name != "rejects.jsonl" and ".part" not in name}


def believed(out: Path) -> list[Path]:
    """Folders that the data room would learn from."""
    try:
        return [replay.path for replay in find_replays(out)]
    except DataError:
        return []


def test_kills_at_any_moment_lose_nothing(tmp_path: Path, replays: Path, helpers: Any) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kill_helpers"])
    counted = context.Value("i", 0)

    def run(out: Path, moment: int) -> int:
        process = context.Process(target=helpers.capture_until, args=(config(replays, out), moment, counted))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    whole = tmp_path / "whole"
    assert run(whole, -1) == 0
    expected, operations = tree(whole), counted.value
    assert operations > 100
    sha256 = sha256_of(replays / "1" / "a.replay.gbx")
    chance = random.Random(7)
    moments = [
        chance.randint(1 + part * operations // KILLS, (part + 1) * operations // KILLS) for part in range(KILLS)
    ]
    seen, killed = set(), 0
    for number, moment in enumerate(moments):
        out = tmp_path / f"out{number}"
        code = run(out, moment)
        assert code in (-9, 0), "the index is saved by the clock, so the last operations are not the same every time"
        killed += code == -9
        for folder in believed(out):
            assert is_whole(folder, sha256, verify=True), (moment, folder)
            assert len(read_manifest(folder).entries) == len(list(folder.glob("*.jpeg")))
        seen.add(len(believed(out)))
        summary = capture(config(replays, out), clock=helpers.noon)
        assert len(summary.captured) + summary.skipped == len(NAMES)
        assert tree(out) == expected, moment
        assert len(json.loads((out / "index.json").read_text())["replays"]) == len(NAMES) + 1
    assert killed >= KILLS - 2
    assert {0, 1} <= seen, "the moments cover the whole run"
