"""Files that are not what they should be are refused with a sentence and kept apart; nothing hostile gets a path."""

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.replays.exchange import RunningStandIn

from trackmaster import gbx
from trackmaster.cli import main
from trackmaster.gbx.container import read_shell
from trackmaster.replays.catalogue import Catalogue, catalogue_path
from trackmaster.replays.checking import CheckJob, ExtractJob, check, extract_map
from trackmaster.replays.names import free_name, paths_of, replay_name
from trackmaster.replays.records import ReplayRecord
from trackmaster.replays.standin.crowd import crowd_exhibit
from trackmaster.replays.standin.folder import BUNDLED

REPLAY = min((BUNDLED / "replays" / "first_steps").iterdir())
WHOLE = REPLAY.read_bytes()
UID, TIME_MS = "srYi_lCM_82SrEyvFO5SSsqDrL1", 10_190
MAP = (BUNDLED / "tracks" / "first_steps.Challenge.Gbx").read_bytes()


def zip_bomb() -> bytes:
    """A replay whose body announces to unpack to 60 MiB."""
    sizes = read_shell(WHOLE, "replay").header_end + 8
    packed = WHOLE[sizes + 8 :]
    assert struct.unpack_from("<I", WHOLE, sizes + 4)[0] == len(packed)
    return WHOLE[:sizes] + struct.pack("<II", 60 << 20, len(packed)) + packed


WRONG_FILES = {
    "html_page": b"<!DOCTYPE html><html>sorry</html>" * 40,
    "not_gbx": b"PK\x03\x04" + bytes(2_000),
    "too_small": WHOLE[:900],
    "truncated": WHOLE[:-100],
    "corrupt": WHOLE[:2_000] + bytes(200) + WHOLE[2_200:],
    "bomb": zip_bomb(),
    "header_only": WHOLE[:17] + struct.pack("<I", 2**31 - 1) + WHOLE[21:],
    "renamed_map": MAP + bytes(0),
    "other_time": gbx.write_replay(MAP, replace(gbx.read_replay(WHOLE).ghosts[0], race_time_ms=10_210)),
    "other_map": min((BUNDLED / "replays" / "switchback").iterdir()).read_bytes(),
}
REASONS = {
    "truncated": "damaged", "corrupt": "damaged", "bomb": "damaged", "header_only": "damaged",
    "renamed_map": "wrong_class",
}  # fmt: skip


def job(folder: Path, body: bytes | None, **changes: object) -> CheckJob:
    return replace(CheckJob(body, folder / "kept" / "a.replay.gbx", folder, False, UID, TIME_MS), **changes)  # type: ignore[arg-type]


def test_a_right_file_goes_to_its_place_in_one_step(tmp_path: Path) -> None:
    result = check(job(tmp_path, WHOLE))
    assert (tmp_path / "kept" / "a.replay.gbx").read_bytes() == WHOLE
    assert result.reason == ""
    assert result.map_uid == UID
    assert result.respawns == 0
    assert result.device == "keyboard"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"], "nothing unfinished is left"


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    result = check(job(tmp_path, WRONG_FILES[name]))
    assert result.reason == REASONS.get(name, name)
    assert len(result.detail) > 20
    assert list(tmp_path.iterdir()) == [], "and kept nowhere"


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, len(WHOLE) - 1), junk=st.binary(min_size=1, max_size=40))
def test_any_damage_is_refused_or_changes_nothing_that_counts(start: int, junk: bytes) -> None:
    body = (WHOLE[:start] + junk + WHOLE[start + len(junk) :])[: len(WHOLE)]
    result = check(CheckJob(body, None, Path(), False, UID, TIME_MS))
    assert result.reason != "unreadable", result.detail
    if not result.reason:
        assert gbx.read_replay(body).race_time_ms == TIME_MS


@given(cut=st.integers(0, len(WHOLE) - 1))
def test_every_cut_is_refused(cut: int) -> None:
    assert check(CheckJob(WHOLE[:cut], None, Path(), False, UID, TIME_MS)).reason


def test_a_map_is_taken_out_of_a_replay_byte_for_byte(tmp_path: Path) -> None:
    result = extract_map(ExtractJob(REPLAY, tmp_path / "100.Challenge.Gbx", tmp_path, UID))
    assert result.reason == ""
    assert (tmp_path / "100.Challenge.Gbx").read_bytes() == gbx.read_replay(REPLAY).challenge_bytes
    assert extract_map(ExtractJob(REPLAY, tmp_path / "x.Gbx", tmp_path, "another")).reason == "other_map"


NAMES = st.text(max_size=80)


@given(name=NAMES, position=st.none() | st.integers(1, 99), time_ms=st.integers(1, 10**7))
def test_names_of_drivers_never_become_paths(name: str, position: int | None, time_ms: int) -> None:
    given_name = replay_name(ReplayRecord(1, time_ms, 1, name, position), 4)
    assert given_name.isascii()
    assert not set(given_name) & set('/\\:*?"<>| ')
    assert given_name.endswith(f"_{time_ms}ms.replay.gbx")
    assert len(given_name) < 120


@given(names=st.lists(NAMES, min_size=2, max_size=6))
def test_no_two_replays_of_a_track_share_a_path(names: list[str]) -> None:
    rows = [ReplayRecord(i, 9_000, i, name, 1) for i, name in enumerate(names, 1)]
    first = paths_of(7, rows[:2], {})
    both = paths_of(7, rows, first)
    assert len({path.casefold() for path in both.values()}) == len(rows)
    assert {i: both[i] for i in first} == first, "a file keeps its name when the leaderboard moves on"
    assert all(path.startswith("7/") and path.count("/") == 1 for path in both.values())


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert free_name("a.replay.gbx", ["A.replay.gbx", "a_2.replay.gbx"]) == "a_3.replay.gbx"
    assert free_name("a.replay.gbx", []) == "a.replay.gbx"


@pytest.mark.parametrize("name", [name for name in WRONG_FILES if name != "html_page"])
def test_wrong_files_of_the_exchange_end_in_quarantine(
    name: str, here: Path, serve: Callable[..., RunningStandIn], capsys: pytest.CaptureFixture[str]
) -> None:
    exhibit = crowd_exhibit(1, 3)
    victim = exhibit.tracks[1000].replays[2]
    victim.user_name = "../../../evil\x00\\..\\name"
    victim.content = lambda: WRONG_FILES[name]
    server = serve(exhibit)
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "out"]) == 2
    said = capsys.readouterr()
    assert "1 rejected" in said.out
    kept = sorted(path.name for path in (here / "out" / ".quarantine").iterdir())
    assert [path.rpartition(".")[2] for path in kept] == ["bin", "txt"]
    assert (here / "out" / ".quarantine" / kept[0]).read_bytes() == WRONG_FILES[name]
    assert len((here / "out" / ".quarantine" / kept[1]).read_text(encoding="utf-8")) > 20
    asked = [entry for entry in server.log if entry.path == f"/recordgbx/{victim.replay_id}"]
    assert len(asked) == 2, "the same bytes twice: the exchange really has that file, so it is left in peace"
    assert len(list((here / "out" / "1000").iterdir())) == 2 + 1, "two replays and the index"
    assert sorted(path.name for path in here.iterdir()) == ["out"], "nothing was written anywhere else"
    with Catalogue(catalogue_path(here / "out"), writable=False) as catalogue:
        row = catalogue.one("SELECT state, reason FROM replays WHERE replay_id = ?", (victim.replay_id,))
    assert row is not None
    assert row["state"] == "rejected"


def test_a_page_instead_of_a_file_may_pass(here: Path, serve: Callable[..., RunningStandIn]) -> None:
    exhibit = crowd_exhibit(1, 2)
    victim = exhibit.tracks[1000].replays[1]
    good, asked = victim.content, []

    def content() -> bytes:
        asked.append(1)
        return good() if len(asked) > 3 else WRONG_FILES["html_page"]

    victim.content = content
    serve(exhibit)
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "out"]) == 0
    assert len(asked) == 4


def test_an_oversized_answer_is_not_read(here: Path, serve: Callable[..., RunningStandIn]) -> None:
    exhibit = crowd_exhibit(1, 2)
    exhibit.tracks[1000].replays[1].content = lambda: bytes(3 << 20)
    server = serve(exhibit)
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "out", "--max-file-mb", "1"]) == 2
    assert sum("recordgbx" in entry.path for entry in server.log) == 2, "no second try"


def test_a_file_of_yours_at_the_place_of_a_replay_is_kept(here: Path, serve: Callable[..., RunningStandIn]) -> None:
    serve(crowd_exhibit(1, 1))
    place = here / "out" / "1000" / "pos1_Driver_0-x_20000ms.replay.gbx"
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "out"]) == 0
    place = next((here / "out" / "1000").glob("*.gbx"))
    good = place.read_bytes()
    place.write_bytes(b"mine")
    os.remove(catalogue_path(here / "out"))  # noqa: PTH107
    assert main(["replays", "track", "--track-id", "1000", "--output-dir", "out"]) == 0
    assert place.read_bytes() == good
    assert [path.read_bytes() for path in (here / "out" / ".quarantine").iterdir()] == [b"mine"]
