"""Every real file against the list that an independent reader wrote."""

import dataclasses
import re
from pathlib import Path

import pytest

from trackmaster import gbx

pytestmark = pytest.mark.corpus

READABLE_GAMES = {"TMF", "TMU"}


def joined(values: list[object]) -> str:
    return "/".join(str(value) for value in values)


def counts(ghosts: tuple[gbx.Ghost, ...]) -> dict[str, str]:
    return {
        "ghosts": str(len(ghosts)),
        "ghost_samples": joined([0 if g.samples is None else len(g.samples) for g in ghosts]),
        "control_events": joined([0 if g.events is None else len(g.events) for g in ghosts]),
    }


def columns(found: object) -> dict[str, str]:
    """What the list says about a file, from what we read."""
    if isinstance(found, gbx.Challenge):
        author_ms = found.medals.author_ms
        return {
            "map_uid": found.uid,
            "name": found.name,
            "race_ms": str(-1 if author_ms is None else author_ms),
            "env": found.environment,
            **counts(found.clip_ghosts),
        }
    assert isinstance(found, gbx.Replay)
    assert found.challenge is not None
    assert found.challenge.uid == found.map_uid
    return {
        "map_uid": found.map_uid,
        "name": found.challenge.name,
        "race_ms": str(-1 if found.race_time_ms is None else found.race_time_ms),
        "env": found.challenge.environment,
        "embedded_map": "yes",
        "respawns": joined([g.respawns for g in found.ghosts]),
        "exever": found.header.game_version,
        **counts(found.ghosts),
    }


def read_or_refuse(path: Path) -> object:
    """Return what the file holds, or the error it is refused with."""
    try:
        return gbx.read(path)
    except gbx.GbxError as error:
        return error


def test_every_tmf_and_tmu_file_agrees_with_the_list(corpus_dir: Path, manifest: list[dict[str, str]]) -> None:
    checked = 0
    for row in manifest:
        if row["game"] not in READABLE_GAMES:
            continue
        found = gbx.read(corpus_dir / row["path"])
        for column, value in columns(found).items():
            assert value == row[column], f"{row['path']}: {column}"
        if row["mood"] and isinstance(found, gbx.Challenge):
            assert found.mood == row["mood"]
        checked += 1
    assert checked >= 320, "the list should hold most of the corpus"


def test_every_other_file_is_read_or_refused_in_a_sentence(corpus_dir: Path, manifest: list[dict[str, str]]) -> None:
    read = 0
    for row in manifest:
        if row["game"] in READABLE_GAMES:
            continue
        found = read_or_refuse(corpus_dir / row["path"])
        if isinstance(found, gbx.GbxError):
            assert row["parse"] != "ok", f"{row['path']} can be read: {found}"
            assert Path(row["path"]).name in str(found)
            assert str(found).endswith("."), found
            assert found.offset is not None
            continue
        read += 1
        if row["map_uid"]:
            assert columns(found)["map_uid"] == row["map_uid"]
    assert read >= 8, "the Sunrise maps made of the same chunks"


def test_headers_agree_with_bodies(real_files: list[tuple[dict[str, str], Path]]) -> None:
    for _, path in real_files:
        header, found = gbx.read_header(path), gbx.read(path)
        assert header == found.header  # type: ignore[union-attr]
        if isinstance(found, gbx.Challenge) and isinstance(header, gbx.ChallengeHeader):
            assert (header.uid, header.name, header.medals) == (found.uid, found.name, found.medals)
        if isinstance(found, gbx.Replay) and found.race_time_ms is not None:
            ghost = found.ghosts[0]
            assert (ghost.race_time_ms, ghost.nickname) == (found.race_time_ms, found.nickname)
            assert ghost.cp_times_ms[-1] == found.race_time_ms


def test_unlimiter_maps_are_found(real_maps: list[tuple[str, bytes, gbx.Challenge]]) -> None:
    assert sum(challenge.is_unlimiter for _, _, challenge in real_maps) == 8


def test_real_maps_without_clips_survive_being_written_again(
    real_maps: list[tuple[str, bytes, gbx.Challenge]],
) -> None:
    written = inventories = 0
    for name, _, before in real_maps:
        clips = (before.intro_clip, before.ingame_clips, before.endrace_clips, before.ambient_clip)
        if any(clip is not None for clip in clips) or before.is_unlimiter or before.has_password:
            continue
        after = gbx.read_challenge(gbx.write_challenge(before))
        assert dataclasses.replace(after, header=None) == dataclasses.replace(before, header=None), name
        if before.header is not None and "TMc.6" in before.header.xml:
            listed, wanted = (re.findall(r'<dep file="([^"]*)"', c.header.xml) for c in (after, before))  # type: ignore[union-attr]
            assert listed == wanted, name
        written += 1
        inventories += bool(before.inventory)
    assert written >= 180
    assert inventories >= 17


def test_real_replays_survive_being_written_again(real_files: list[tuple[dict[str, str], Path]]) -> None:
    written = 0
    for row, path in real_files:
        if row["file_class"] != "Replay" or path.stat().st_size > 1 << 20:
            continue
        before = gbx.read_replay(path)
        assert before.challenge_bytes is not None
        after = gbx.read_replay(gbx.write_replay(before.challenge_bytes, before.ghosts))
        assert after.ghosts == before.ghosts, path.name
        assert after.challenge == before.challenge
        written += 1
    assert written >= 30


def test_official_intros_have_their_known_length(real_maps: list[tuple[str, bytes, gbx.Challenge]]) -> None:
    lengths = {
        challenge.name: challenge.intro_duration_s for _, _, challenge in real_maps if challenge.author == "Nadeo"
    }
    assert lengths["A01-Race"] == pytest.approx(9.638, abs=5e-4)
    official = [length for name, length in lengths.items() if name[:1] in "ABCDE" and name[1:3].isdigit()]
    assert official
    assert all(8.8 < length < 11 for length in official)
