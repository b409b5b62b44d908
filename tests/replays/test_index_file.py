"""The index beside a track's replays says what the catalogue knows, after whatever happened to them."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.capture.discover import find_replays
from trackmaster.cli import main
from trackmaster.files import sha256_of
from trackmaster.replays.catalogue import CATALOGUE_NAME, OLDER_NAME, Catalogue, catalogue_path
from trackmaster.replays.index_file import INDEX_NAME, UNFINISHED_NAME, write_index
from trackmaster.replays.records import parse_time
from trackmaster.replays.standin.crowd import crowd_exhibit

Serve = Callable[..., RunningStandIn]
TRACK = ["replays", "track", "--track-id", "1000", "--output-dir", "r"]
KEYS = [
    "replay_id", "file", "sha256", "race_time_ms", "user", "position", "is_best", "validated", "respawns", "replay_at",
    "track_at", "map_uid", "device", "status", "reason",
]  # fmt: skip


def index_of(track_id: int = 1000) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path(f"r/{track_id}/{INDEX_NAME}").read_text(encoding="utf-8"))
    return found


def test_a_finished_track_has_an_index_of_its_replays(here: Path, serve: Serve) -> None:
    exhibit = crowd_exhibit(1, 3)
    track = exhibit.tracks[1000]
    bad = next(row for row in track.replays if row.position == 2)
    bad.content = lambda: b"no replay" * 500
    serve(exhibit)
    assert main([*TRACK, "--attempts", "2"]) == 2
    index = index_of()
    assert [list(entry) for entry in index] == [KEYS] * 3
    shown = sorted((row for row in track.replays if row.position is not None), key=lambda row: row.position or 0)
    for entry, row in zip(index, shown, strict=True):
        listed = row.record()
        assert (entry["replay_id"], entry["race_time_ms"], entry["user"]) == (
            row.replay_id, row.time_ms, row.user_name
        )  # fmt: skip
        assert (entry["position"], entry["is_best"], entry["validated"]) == (row.position, True, True)
        assert entry["replay_at"] == parse_time(listed["ReplayAt"]).isoformat()  # type: ignore[union-attr]
        assert entry["track_at"] == parse_time(listed["TrackAt"]).isoformat()  # type: ignore[union-attr]
    assert [entry["status"] for entry in index] == ["done", "rejected", "done"]
    assert index[1]["reason"].startswith("not_gbx: ")
    assert index[1]["sha256"] is None
    for entry in (index[0], index[2]):
        assert sha256_of(Path("r/1000") / entry["file"]) == entry["sha256"]
        assert (entry["map_uid"], entry["reason"]) == (track.uid, "")
        assert entry["device"] in ("keyboard", "pad")
    assert [file.path.name for file in find_replays(Path("r"))] == [index[0]["file"], index[2]["file"]]
    Path("ids.txt").write_text("1000\n")
    assert main(["replays", "filter", "-i", "ids.txt", "-o", "out.txt", "-r", "r", "--no-respawn"]) == 0
    assert Path("out.txt").read_text() == "1000\n"


def test_the_index_follows_a_rename_and_a_check(here: Path, serve: Serve) -> None:
    serve(crowd_exhibit(1, 2))
    assert main(TRACK) == 0
    first, second = index_of()
    odd = first["file"].replace("Driver", "Dr vér")
    Path("r/1000", first["file"]).rename(Path("r/1000", odd))
    with Catalogue(catalogue_path(Path("r"))) as catalogue:
        catalogue.write("UPDATE replays SET path = ? WHERE replay_id = ?", (f"1000/{odd}", first["replay_id"]))
    assert main(["replays", "rename", "--replays-dir", "r"]) == 0
    assert index_of() == [first | {"file": odd.replace(" ", "_").replace("é", "_")}, second]
    Path("r/1000", second["file"]).unlink()
    assert main(["replays", "status", "--check", "--replays-dir", "r"]) == 2
    assert (index_of()[1]["status"], index_of()[1]["sha256"]) == ("wanted", None)
    assert main(TRACK) == 0
    assert index_of()[1] == second


def test_an_index_that_is_up_to_date_is_left_alone_and_one_that_is_lost_comes_back(
    here: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(crowd_exhibit(1, 2))
    assert main(TRACK) == 0
    index = Path("r/1000", INDEX_NAME)
    content, before = index.read_bytes(), index.stat()
    assert main(TRACK) == 0
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    index.unlink()
    Path("r/1000", UNFINISHED_NAME).write_text("[ half")
    assert main(TRACK) == 0
    assert index.read_bytes() == content
    assert not Path("r/1000", UNFINISHED_NAME).exists()
    with Catalogue(catalogue_path(Path("r"))) as catalogue:
        catalogue.write("UPDATE replays SET reason = 'changed'")

        def full(self: Path, target: Path) -> Path:
            raise OSError(28, "No space left on device", str(self))

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write_index(catalogue, Path("r"), 1000)
    assert index.read_bytes() == content, "the old one stays whole"


def test_a_catalogue_of_the_older_name_and_version_goes_on(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(1, 2))
    assert main(TRACK) == 0
    index = index_of()
    path = Path("r", CATALOGUE_NAME)
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE replays DROP COLUMN is_best")
        db.execute("ALTER TABLE replays DROP COLUMN replay_at")
        db.execute("PRAGMA user_version = 1")
    db.close()
    shutil.move(path, Path("r", OLDER_NAME))
    assert main(["replays", "status", "--replays-dir", "r"]) == 0, "it can be read as it is"
    before = len(server.log)
    assert main(TRACK) == 0
    assert len(server.log) == before, "everything is known and done"
    assert not path.exists()
    assert index_of() == [entry | {"is_best": None, "replay_at": None} for entry in index]
    assert main([*TRACK, "--refresh"]) == 0
    assert index_of() == index
