"""Listing, downloading and saying how far it is, over real HTTP on this machine."""

import dataclasses
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.replays.downloads import DOWNLOAD, LIST, asked_for, files_below
from tests.replays.exchange import RunningStandIn

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.index_file import INDEX_NAME
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.exhibit import Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.routes import Answer

Serve = Callable[..., RunningStandIn]


def test_from_a_list_to_replays_and_maps(here: Path, serve: Serve, crowd: Exhibit) -> None:
    server = serve(crowd)
    assert main(LIST) == 0
    ids = [int(line) for line in Path("maps/track_ids.txt").read_text().split()]
    assert ids == crowd.ordered(10)[0]
    assert main([*DOWNLOAD, "--extract-tracks-from-replays", "--jobs", "2"]) == 0
    shown = {row.replay_id: row for row in crowd.replays.values() if row.position is not None}
    found = files_below(here / "maps" / "replays")
    assert len(found) == len(shown) == 150
    for row in shown.values():
        place = f"{row.track_id}/pos{row.position}_Driver_{row.position - 1}"  # type: ignore[operator]
        path = next(path for path in found if path.startswith(place))
        assert found[path] == row.content()
    maps = files_below(here / "maps" / "tracks")
    assert {name: crowd.tracks[int(name.split(".")[0])].content() for name in maps} == maps
    assert len(maps) == 30
    assert (here / "maps" / "replays" / ".replay_progress").read_text().strip() == "30"
    before = len(server.log)
    assert main([*DOWNLOAD, "--extract-tracks-from-replays"]) == 0
    assert server.log[before:] == [], "what is done is not asked for again"


def test_a_list_goes_on_where_it_stopped(here: Path, serve: Serve, crowd: Exhibit) -> None:
    server = serve(crowd)
    calm = server.standin.decide
    pages: list[str] = []

    def closed_after_two(path: str, query: dict[str, str], headers: object, raw: str) -> tuple[Answer, str | None]:
        pages.append(raw)
        return (Answer(403), None) if len(pages) == 3 else calm(path, query, headers, raw)

    server.standin.decide = closed_after_two
    assert main(LIST) == 1
    assert not Path("maps/track_ids.txt").exists(), "no half of a list"
    assert main(LIST) == 0
    assert len(pages) == 3 + 2, "the third page, and the front once more"
    assert pages[3] == pages[2]
    assert [int(line) for line in Path("maps/track_ids.txt").read_text().split()] == crowd.ordered(10)[0]


def test_more_replays_are_fetched_when_more_are_wanted(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(3, 9))
    main(LIST)
    assert main([*DOWNLOAD, "--top", "2"]) == 0
    assert len(asked_for(server, "/recordgbx/")) == 6
    assert main([*DOWNLOAD, "--top", "5"]) == 0
    assert len(asked_for(server, "/recordgbx/")) == 15
    assert len(asked_for(server, "/api/replays")) == 3, "the listings are remembered"
    assert main([*DOWNLOAD, "--top", "5", "--refresh"]) == 0
    assert len(asked_for(server, "/recordgbx/")) == 15
    assert {entry.status for entry in server.log[-4:]} <= {200, 304}
    assert sum(entry.status == 304 for entry in server.log) >= 3, "asked conditionally"


def test_a_new_version_of_a_map_replaces_replays_and_map_on_refresh(here: Path, serve: Serve) -> None:
    exhibit = crowd_exhibit(3, 3)
    serve(exhibit)
    (here / "ids.txt").write_text("1001\n")
    command = ["replays", "download", "--track-ids", "ids.txt", "--replays-dir", "r", "--tracks-dir", "t"]
    assert main([*command, "--extract-tracks-from-replays"]) == 0
    before = (here / "t" / "1001.Challenge.Gbx").read_bytes()
    track, newer = exhibit.tracks[1001], exhibit.tracks[1002]
    track.uid, track.content = newer.uid, newer.content
    for row in track.replays:
        row.position, row.is_best = None, False
    track.updated_at = newer.updated_at = track.updated_at + timedelta(days=500)
    fresh = [
        dataclasses.replace(row, replay_id=row.replay_id + 900, track_id=1001, track_at=track.updated_at)
        for row in newer.replays
    ]
    track.replays += fresh
    exhibit.replays.update({row.replay_id: row for row in fresh})
    assert main([*command, "--extract-tracks-from-replays", "--refresh"]) == 0
    assert (here / "t" / "1001.Challenge.Gbx").read_bytes() == newer.content() != before
    with Catalogue(catalogue_path(here / "r"), writable=False) as catalogue:
        ranked = {row["replay_id"] for row in catalogue.read("SELECT replay_id FROM replays WHERE rank IS NOT NULL")}
    assert ranked == {row.replay_id for row in fresh}
    assert len(files_below(here / "r")) == 6, "older runs stay on disk"


def test_what_a_list_said_long_ago_is_asked_again(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(3, 1))
    main(LIST)
    assert main([*DOWNLOAD, "--top", "1"]) == 0
    assert not asked_for(server, "/api/tracks?id="), "it was just listed"
    shutil.rmtree(here / "maps" / "replays")
    main(LIST)
    assert main([*DOWNLOAD, "--cache-hours", "0"]) == 0
    assert len(asked_for(server, "/api/tracks?id=")) == 1


def test_maps_can_be_had_later_from_the_replays_that_are_there(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(3, 2))
    main(LIST)
    assert main(DOWNLOAD) == 0
    assert not (here / "maps" / "tracks").exists()
    before = len(server.log)
    assert main([*DOWNLOAD, "--extract-tracks-from-replays"]) == 0
    assert len(files_below(here / "maps" / "tracks")) == 3
    assert len(server.log) == before


def test_a_map_that_is_there_is_kept_and_another_one_moved_aside(here: Path, serve: Serve) -> None:
    exhibit = crowd_exhibit(3, 2)
    serve(exhibit)
    main(LIST)
    maps = here / "maps" / "tracks"
    maps.mkdir()
    other_bytes = gbx.write_challenge(gbx.read_challenge(exhibit.tracks[1000].content()))
    (maps / "1000.Challenge.Gbx").write_bytes(other_bytes)  # the same map, packed
    (maps / "1001.Challenge.Gbx").write_bytes(exhibit.tracks[1002].content())
    assert main([*DOWNLOAD, "--extract-tracks-from-replays"]) == 0
    assert (maps / "1000.Challenge.Gbx").read_bytes() == other_bytes
    assert (maps / "1001.Challenge.Gbx").read_bytes() == exhibit.tracks[1001].content()
    kept = list((here / "maps" / "replays" / ".quarantine").iterdir())
    assert [path.read_bytes() for path in kept] == [exhibit.tracks[1002].content()]


def test_list_popular_can_go_on_to_replays_and_maps(here: Path, serve: Serve) -> None:
    server = serve(crowd_exhibit(4, 3))
    command = ["replays", "download", "--list-popular", "--output", "maps/track_ids.txt", "--top", "1"]
    assert main([*command, "--download-replays", "--download-tracks", "--max-tracks", "2"]) == 0
    assert len(files_below(here / "maps" / "replays")) == 2
    assert len(files_below(here / "maps" / "tracks")) == 2
    assert len(asked_for(server, "/trackgbx/")) == 2


def test_a_track_is_found_by_its_name(here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve()
    assert main(["replays", "track", "--track-name", "high ROAD"]) == 0
    assert "'High Road' is track 100" in capsys.readouterr().out
    found = files_below(here / "replays_tmnf")
    assert sorted(found)[0] == "100/pos1_trackmaster_18450ms.replay.gbx"
    assert len(found) == 4
    assert main(["replays", "track", "--track-name", "no such track"]) == 1
    assert "No track of the exchange is called" in capsys.readouterr().err
    assert main(["replays", "track", "--track-id", "9999", "--output-dir", "other"]) == 1
    assert "Track 9999 is not on the exchange" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve()
    assert main([*LIST, "--dry-run"]) == 0
    assert main(["replays", "track", "--track-id", "100", "--dry-run"]) == 0
    (here / "ids.txt").write_text("101\n103\n7777\n")
    assert main(["replays", "download", "--track-ids", "ids.txt", "--dry-run", "--top", "2"]) == 0
    said = capsys.readouterr().out
    assert "4 track ids would be written" in said
    assert "track 103 'First Steps': 2 replays, best 10.19" in said
    assert "track 7777: deleted on the exchange" in said
    assert [path.name for path in here.iterdir()] == ["ids.txt"]


def test_deleted_items_are_recorded_and_never_asked_for_again(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(crowd_exhibit(40, 4), FaultPlan(1.0, ("deleted",), seed=2))
    ids = sorted({*server.standin.exhibit.tracks, *range(1000, 1040)})
    (here / "ids.txt").write_text("".join(f"{i}\n" for i in ids))
    gone_tracks = 40 - len(server.standin.exhibit.tracks)
    on_board = [row for row in server.standin.exhibit.replays.values() if row.position is not None]
    gone_files = [row for row in on_board if row.replay_id not in server.standin.available_replays]
    assert gone_tracks > 0
    assert len(gone_files) > 0
    command = ["replays", "download", "--track-ids", "ids.txt"]
    assert main(command) == 0
    assert f"{gone_tracks + len(gone_files)} deleted on the exchange" in capsys.readouterr().out
    before = len(server.log)
    assert main(command) == 0
    assert server.log[before:] == []
    assert main(["replays", "status"]) == 0
    said = capsys.readouterr().out
    assert f"{len(gone_files)} x status_410" in said
    assert f"{gone_tracks} x status_404" in said


def test_what_failed_is_named_with_its_reason_and_fetched_by_the_next_run(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    exhibit = crowd_exhibit(3, 3)
    victim = exhibit.tracks[1001].replays[0]
    good = victim.content
    victim.content = lambda: b"<html>later</html>"
    serve(exhibit)
    main(LIST)
    assert main([*DOWNLOAD, "--attempts", "2"]) == 2
    assert main(["replays", "status"]) == 0
    said = capsys.readouterr().out
    assert "8 verified on disk, 1 to try again" in said
    assert "1 x html_page" in said
    assert f"replay {victim.replay_id}: html_page: a page came instead" in said
    assert "time left at that speed:" in said
    victim.content = good
    assert main(DOWNLOAD) == 0
    assert len(files_below(here / "maps" / "replays")) == 9


def test_status_finds_files_that_changed_or_went(here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(crowd_exhibit(2, 2))
    main(LIST)
    main(DOWNLOAD)
    whole = files_below(here / "maps" / "replays")
    changed, missing = sorted((here / "maps" / "replays").glob("*/*.gbx"))[:2]
    changed.write_bytes(b"GBX" + bytes(2_000))
    missing.unlink()
    assert main(["replays", "status", "--check"]) == 2
    said = capsys.readouterr().out
    assert f"{missing.name} is missing" in said
    assert f"{changed.name} has changed" in said
    assert main(DOWNLOAD) == 0
    assert files_below(here / "maps" / "replays") == whole
    assert main(["replays", "status", "--check"]) == 0
    assert main(["replays", "status", "--replays-dir", "nowhere"]) == 1
    assert "there is no catalogue" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "Say what to do with one of --list-popular"),
        (["--track-ids", "a.txt", "--track-id", "5"], "Say what to do with one of"),
        (["--track-ids", "missing.txt"], "cannot be read"),
        (["--track-ids", "bad.txt"], "bad.txt: expected ids of tracks of the exchange, found 'abc'"),
        (["--list-popular", "--url", "ftp://x"], "must begin with http"),
        (["--list-popular", "--url", "http://"], "must name a server"),
        (["--list-popular", "--url", "http://[bad"], "url"),
    ],
)
def test_wrong_flags_are_sentences(
    flags: list[str], expected: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.txt").write_text("1\nabc\n")
    assert main(["replays", "download", *flags]) == 1
    assert expected in capsys.readouterr().err


def test_names_are_made_loadable_and_the_catalogue_follows(
    here: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(crowd_exhibit(1, 3))
    main(LIST)
    main(DOWNLOAD)
    folder = here / "maps" / "replays"
    first, second, third = sorted((folder / "1000").glob("*.gbx"))
    with Catalogue(catalogue_path(folder)) as catalogue:
        odd = ("pos1 dé_9ms.Replay.Gbx", "pos1_d__9ms.Replay.Gbx", "pos1 dü_9ms.Replay.Gbx")
        for path, name in zip((first, second, third), odd, strict=True):
            path.rename(path.with_name(name))
            catalogue.write("UPDATE replays SET path = ? WHERE path = ?", (f"1000/{name}", f"1000/{path.name}"))
    assert main(["replays", "rename", "--dry-run"]) == 0
    assert "2 files would be renamed" in capsys.readouterr().out
    assert "pos1 dé_9ms.Replay.Gbx" in {path.name for path in (folder / "1000").iterdir()}
    assert main(["replays", "rename"]) == 0
    names = {path.name for path in (folder / "1000").iterdir() if path.name != INDEX_NAME}
    assert names == {"pos1_d__9ms.Replay.Gbx", "pos1_d__9ms_2.Replay.Gbx", "pos1_d__9ms_3.Replay.Gbx"}
    assert main(["replays", "status", "--check"]) == 0, "the catalogue knows the new names"
    assert main(["replays", "rename"]) == 0
    assert "0 files renamed" in capsys.readouterr().out.splitlines()[-1]


def test_a_folder_of_real_files_is_shown_as_it_is(corpus_dir: Path, here: Path, serve: Serve) -> None:
    from trackmaster.replays.standin.folder import folder_exhibit

    source = here / "shown"
    source.mkdir()
    for path in corpus_dir.rglob("*"):
        if path.suffix.lower() == ".gbx" and "replay" in path.name.lower():
            shutil.copy(path, source / f"{len(list(source.iterdir()))}.Replay.Gbx")
    exhibit = folder_exhibit(source, report=lambda _: None)
    serve(exhibit)
    main(LIST)
    code = main([*DOWNLOAD, "--extract-tracks-from-replays"])
    assert code in (0, 2), "some are of games that are not supported, and are rejected"
    for path in (here / "maps" / "replays").glob("*/*.gbx"):
        assert isinstance(gbx.read(path), gbx.Replay)
    assert len(list((here / "maps" / "tracks").iterdir())) > 10
