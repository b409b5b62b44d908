"""A download goes on where an earlier one stopped: an older program's, a failed one, one that was interrupted."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replays.downloads import DOWNLOAD, LIST, asked_for, files_below
from tests.replays.exchange import RunningStandIn

from trackmaster.cli import main
from trackmaster.replays.catalogue import CATALOGUE_NAME, Catalogue, catalogue_path
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.exhibit import Exhibit
from trackmaster.replays.standin.routes import Answer
from trackmaster.replays.standin.server import Behaviour

Serve = Callable[..., RunningStandIn]


def test_an_older_run_without_a_catalogue_is_continued(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(10, 2))
    main(LIST)
    shutil.rmtree(here / "maps" / "replays")
    (here / "maps" / "replays").mkdir()
    (here / "maps" / "replays" / ".replay_progress").write_text("7")
    assert main(DOWNLOAD) == 0
    assert len(asked_for(server, "/api/replays")) == 3
    assert (here / "maps" / "replays" / ".replay_progress").read_text().strip() == "10"


def test_what_an_older_run_had_finished_stays_known_when_the_first_run_fails(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(10, 2))
    main(LIST)
    (here / "maps" / "replays" / ".replay_progress").write_text("7")
    calm = server.standin.decide
    server.standin.decide = lambda *_: (Answer(403), None)
    assert main(DOWNLOAD) == 1
    server.standin.decide = calm
    server.log.clear()
    assert main(DOWNLOAD) == 0
    assert len(asked_for(server, "/api/replays")) == 3


def test_another_list_is_downloaded_although_one_was_finished(here: Path, serve: Serve, crowd: Exhibit) -> None:
    server = serve(crowd)
    main(LIST)
    ids = Path("maps/track_ids.txt").read_text().split()
    for part in (ids[:10], ids[10:25], [*ids[25:], *ids[:10]]):
        Path("maps/track_ids.txt").write_text("\n".join(part))
        assert main(DOWNLOAD) == 0
    assert len(list((here / "maps" / "replays").glob("*/*.replay.gbx"))) == 150
    (here / "single").mkdir()
    (here / "single" / ".replay_progress").write_text("7")
    for track_id in ids[:2]:
        assert main(["replays", "track", "--track-id", track_id, "--output-dir", "single"]) == 0
    assert len(list((here / "single").glob("*/*.replay.gbx"))) == 10
    assert (here / "single" / ".replay_progress").read_text() == "7", "one track is no list"
    assert len(asked_for(server, "/api/replays?trackId")) == 32


def test_files_without_a_catalogue_are_recognised_instead_of_fetched(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(4, 3))
    main(LIST)
    main(DOWNLOAD)
    before = files_below(here / "maps" / "replays")
    for name in (CATALOGUE_NAME, ".replay_progress"):
        (here / "maps" / "replays" / name).unlink()
    fetched = len(asked_for(server, "/recordgbx/"))
    assert main(DOWNLOAD) == 0
    assert len(asked_for(server, "/recordgbx/")) == fetched
    assert files_below(here / "maps" / "replays") == before


@pytest.mark.parametrize("content", [b"this is no database, but long enough to be looked at" * 20, b""])
def test_a_broken_catalogue_is_a_sentence(
    content: bytes, here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve()
    main(LIST)
    catalogue_path(here / "maps" / "replays").write_bytes(content)
    code = main(DOWNLOAD)
    assert code == (1 if content else 0)
    assert ("the catalogue cannot be used" in capsys.readouterr().err) == bool(content)


def test_a_catalogue_of_another_version_is_refused(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve()
    main(LIST)
    with sqlite3.connect(catalogue_path(here / "maps" / "replays")) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert main(DOWNLOAD) == 1
    assert "version 99" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(20, 10), behaviour=Behaviour(latency_s=0.02))
    main(LIST)
    command = [sys.executable, "-m", "trackmaster", *DOWNLOAD, "--workers", "2"]
    reached = threading.Event()
    note = server.standin._log

    def count(entry: object) -> None:
        assert note is not None
        note(entry)  # type: ignore[arg-type]
        if len(asked_for(server, "/recordgbx/")) >= 30:
            reached.set()

    server.standin._log = count
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert reached.wait(60)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert "Run the same command again to go on from there" in said
    assert "Traceback" not in said
    finished = files_below(here / "maps" / "replays")
    assert len(finished) >= 25
    assert not (here / "maps" / "replays" / ".incoming").exists()
    with Catalogue(catalogue_path(here / "maps" / "replays"), writable=False) as catalogue:
        done = catalogue.one("SELECT COUNT(*) n FROM replays WHERE state = 'done'")
    assert done is not None
    assert len(finished) - 2 <= done["n"] <= len(finished)
    asked = len(asked_for(server, "/recordgbx/"))
    assert main(DOWNLOAD) == 0
    assert len(files_below(here / "maps" / "replays")) == 200
    assert len(asked_for(server, "/recordgbx/")) - asked <= 200 - len(finished) + 2, "only what was in flight again"
