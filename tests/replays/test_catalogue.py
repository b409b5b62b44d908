"""Catalogues and disks that are in a bad way are sentences, and cost nothing that was there."""

import errno
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replays.exchange import RunningStandIn

from trackmaster.cli import main
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.errors import CatalogueError
from trackmaster.replays.standin.crowd import crowd_exhibit

Serve = Callable[..., RunningStandIn]
TRACK = ["replays", "track", "--track-id", "1000", "--output-dir", "r"]


def test_a_catalogue_that_is_damaged_inside_is_a_sentence(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(crowd_exhibit(1, 40))
    assert main(TRACK) == 0
    path = catalogue_path(here / "r")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    for verb in (TRACK, ["replays", "status", "--replays-dir", "r"]):
        assert main(verb) == 1
        assert "Move it and .replay_progress aside" in capsys.readouterr().err
    path.unlink()
    assert main(TRACK) == 0
    assert "40 were there already" in capsys.readouterr().out


def test_an_empty_catalogue_is_nothing_to_look_at(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue_path(here).touch()
    assert main(["replays", "status", "--replays-dir", "."]) == 1
    assert "the catalogue is empty. Download first" in capsys.readouterr().err


def test_a_lock_that_is_none_is_a_sentence(here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(crowd_exhibit(1, 1))
    (here / "r").mkdir()
    lock = here / "r" / ".replays.lock"
    lock.write_bytes(b"no lock at all" * 400)
    assert main(TRACK) == 1
    assert "this file may be deleted" in capsys.readouterr().err
    lock.unlink()
    lock.mkdir()
    assert main(TRACK) == 1
    assert "the lock cannot be used (unable to open" in capsys.readouterr().err


def test_troubles_of_the_disk_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    with Catalogue(tmp_path / "c.sqlite3"):
        pass
    with (
        pytest.raises(CatalogueError, match="may be written to and has room"),
        Catalogue(tmp_path / "c.sqlite3", writable=False) as catalogue,
    ):
        catalogue.write("INSERT INTO maps (track_id) VALUES (1)")


def test_a_damaged_page_is_asked_for_again(tmp_path: Path) -> None:
    with Catalogue(tmp_path / "c.sqlite3") as catalogue:
        catalogue.remember("u", "etag", b"body")
        assert catalogue.recall("u") == ("etag", b"body", True)
        catalogue.write("UPDATE pages SET body = x'00'")
        assert catalogue.recall("u") == (None, None, False)


def test_a_rename_that_was_killed_finds_each_file_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "5"
    folder.mkdir()
    with Catalogue(catalogue_path(tmp_path)) as catalogue:
        for number, name in enumerate(("a_b", "a b"), 1):
            content = f"replay {number}".encode()
            catalogue.write(
                "INSERT INTO replays (replay_id, track_id, user_id, time_ms, state, path, sha256)"
                " VALUES (?, 5, 1, 1, 'done', ?, ?)",
                (number, f"5/{name}.replay.gbx", hashlib.sha256(content).hexdigest()),
            )
            (folder / f"{'a_b' if number == 1 else 'a_b_2'}.replay.gbx").write_bytes(content)
    assert main(["replays", "rename", "--replays-dir", str(tmp_path)]) == 0
    with Catalogue(catalogue_path(tmp_path), writable=False) as catalogue:
        paths = [row["path"] for row in catalogue.read("SELECT path FROM replays ORDER BY replay_id")]
    assert paths == ["5/a_b.replay.gbx", "5/a_b_2.replay.gbx"]


def test_maps_may_have_a_disk_of_their_own(here: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = Path.replace

    def on_one_disk(self: Path, target: Path) -> Path:
        maps = here / "maps"
        if Path(target).absolute().is_relative_to(maps) != self.absolute().is_relative_to(maps):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return calm(self, target)

    monkeypatch.setattr(Path, "replace", on_one_disk)
    serve(crowd_exhibit(1, 2))
    old = Path("maps/1000.Challenge.Gbx")
    old.parent.mkdir()
    old.write_bytes(b"another one")
    assert main([*TRACK, "--tracks-dir", "maps", "--extract-tracks-from-replays"]) == 0
    assert old.read_bytes()[:3] == b"GBX"
    assert [path.name for path in old.parent.iterdir()] == [old.name], "nothing half is left"
    assert [path.read_bytes() for path in (here / "r" / ".quarantine").iterdir()] == [b"another one"]
    with sqlite3.connect(catalogue_path(here / "r")) as db:
        assert db.execute("SELECT state FROM maps").fetchall() == [("done",)]
    db.close()
