"""What our writers write, our reader reads back with equal fields; other readers too, where they are installed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackmaster import gbx
from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget

LEAST_EXAMPLES = settings(max_examples=60, deadline=None)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TIMES = st.none() | st.integers(0, 10_000_000)
BLOCKS = st.builds(
    gbx.Block,
    name=st.sampled_from(["StadiumRoadMain", "StadiumGrass", "StadiumPlatform", "StadiumDirt"]) | TEXT.filter(bool),
    direction=st.integers(0, 3),
    x=st.integers(0, 255),
    y=st.integers(0, 255),
    z=st.integers(0, 255),
    flags=st.integers(0, 0xFFFFFFFE).map(lambda f: f & ~0x8000),
    author=st.just(""),
    skin=st.none(),
)
MAPS = st.builds(
    gbx.Challenge,
    uid=st.sampled_from(["uid_one", "uid_two"]),
    name=TEXT.filter(bool),
    author=TEXT,
    mood=st.sampled_from(["Day", "Night"]),
    blocks=st.lists(BLOCKS, max_size=12).map(tuple),
    medals=st.builds(gbx.Medals, TIMES, TIMES, TIMES, TIMES),
    laps=st.integers(0, 99),
    is_multilap=st.booleans(),
    mode=st.integers(0, 5),
    comments=TEXT,
    tips=st.tuples(TEXT, TEXT, TEXT, TEXT),
    inventory=st.lists(st.tuples(st.builds(gbx.Ident, TEXT, TEXT, TEXT), st.integers(-1, 99)), max_size=4).map(tuple),
    kind=st.integers(0, 255),
    picture_camera=st.none() | st.binary(min_size=61, max_size=61),
    is_simple_editor=st.booleans(),
)


@LEAST_EXAMPLES
@given(challenge=MAPS, compress=st.booleans())
def test_write_challenge_then_read_gives_the_same_map(challenge: gbx.Challenge, compress: bool) -> None:
    data = gbx.write_challenge(challenge, compress=compress)
    found = gbx.read(data)
    assert isinstance(found, gbx.Challenge)
    assert dataclasses.replace(found, header=None) == challenge
    header = gbx.read_header(data)
    assert isinstance(header, gbx.ChallengeHeader)
    assert (header.uid, header.name, header.author, header.mood) == (
        challenge.uid,
        challenge.name,
        challenge.author,
        challenge.mood,
    )
    assert (header.medals, header.mode, header.is_multilap) == (
        challenge.medals,
        challenge.mode,
        challenge.is_multilap,
    )
    assert gbx.write_challenge(challenge, compress=compress) == data, "equal maps must give equal bytes"


@pytest.mark.parametrize("compress", [True, False])
def test_write_replay_then_read_gives_the_same_run(ghost: gbx.Ghost, map_bytes: bytes, compress: bool) -> None:
    replay = gbx.read(gbx.write_replay(map_bytes, ghost, compress=compress))
    assert isinstance(replay, gbx.Replay)
    assert replay.ghosts == (ghost,)
    assert replay.challenge_bytes == map_bytes
    assert replay.challenge == gbx.read(map_bytes)
    assert (replay.race_time_ms, replay.respawns, replay.nickname, replay.login) == (
        3_210,
        1,
        "$0f0driver",
        "driver_login",
    )
    assert replay.map_uid == gbx.make_uid("straight")
    assert replay.header.respawns == 1
    assert replay.has_respawn


def test_write_ghost_then_read_gives_the_same_run(ghost: gbx.Ghost) -> None:
    assert gbx.read(gbx.write_ghost(ghost)) == ghost


def test_write_replay_keeps_unfinished_runs_unfinished(ghost: gbx.Ghost, map_bytes: bytes) -> None:
    unfinished = dataclasses.replace(ghost, race_time_ms=None, cp_times_ms=(-1,), cp_stunt_scores=(0,), events=None)
    replay = gbx.read_replay(gbx.write_replay(map_bytes, dataclasses.replace(unfinished, inputs_duration_ms=0)))
    assert replay.race_time_ms is None
    assert replay.ghosts[0].race_time_ms is None
    assert replay.header.nickname == "", "the game leaves the driver out of the header of an unfinished run"
    assert replay.nickname == "$0f0driver"


def test_write_replay_keeps_several_ghosts_in_order(ghost: gbx.Ghost, map_bytes: bytes) -> None:
    second = dataclasses.replace(ghost, uid="other", nickname="second", samples=None)
    replay = gbx.read_replay(gbx.write_replay(map_bytes, [ghost, second]))
    assert [g.nickname for g in replay.ghosts] == [ghost.nickname, "second"]
    assert replay.ghosts[1].samples is None
    assert replay.ghost is replay.ghosts[0]


def test_tminterface_runs_keep_their_shift(ghost: gbx.Ghost, map_bytes: bytes) -> None:
    assert ghost.events is not None
    shifted = dataclasses.replace(ghost.events, shift_ms=65_535)
    found = gbx.read_replay(gbx.write_replay(map_bytes, dataclasses.replace(ghost, events=shifted))).ghosts[0].events
    assert found is not None
    assert found.is_tminterface
    assert found == shifted
    assert np.array_equal(found.time_ms, ghost.events.time_ms)


def test_write_replay_keeps_the_inputs_of_a_run_that_was_broken_off(ghost: gbx.Ghost, map_bytes: bytes) -> None:
    assert ghost.events is not None
    broken_off = dataclasses.replace(ghost, race_time_ms=None, inputs_duration_ms=0)
    found = gbx.read_replay(gbx.write_replay(map_bytes, broken_off)).ghosts[0]
    assert found.race_time_ms is None
    assert found.events == ghost.events
    assert found.inputs_duration_ms == ghost.events.time_ms.max()
    waited = dataclasses.replace(ghost.events, time_ms=ghost.events.time_ms * 0)
    assert gbx.read(gbx.write_ghost(dataclasses.replace(broken_off, events=waited))).events == waited  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ghost_says", "given", "header"),
    [
        ("TmForever.2.11.25(1.5).da57ee70", "", "2.11.25"),
        ("TmUnited.0.2.1.0", "", "0.2.1.0"),
        ("trackmaster", "", "2.11.26"),
        ("TmForever.2.11.25", "9.9", "9.9"),
        ("", '2 "quoted" <b>', "2 &quot;quoted&quot; &lt;b&gt;"),
    ],
)
def test_write_replay_names_the_program_of_the_run(
    ghost: gbx.Ghost, map_bytes: bytes, ghost_says: str, given: str, header: str
) -> None:
    run = dataclasses.replace(ghost, game_version=ghost_says)
    found = gbx.read_header(gbx.write_replay(map_bytes, run, game_version=given))
    assert isinstance(found, gbx.ReplayHeader)
    assert (found.game_version, found.respawns) == (header, ghost.respawns)


def test_write_challenge_lists_the_files_a_map_asks_for(challenge: gbx.Challenge) -> None:
    mod, music = (
        gbx.FileReference("Skins\\Stadium\\Mod\\Own & Mine.zip", "http://localhost/m.zip"),
        gbx.FileReference("a.ogg"),
    )
    sign = challenge.blocks[-1]
    asking = dataclasses.replace(challenge, mod=mod, music=music, blocks=(*challenge.blocks, sign))
    header = gbx.read_header(gbx.write_challenge(asking))
    assert ' mod="Own &amp; Mine" ' in header.xml
    assert header.xml.endswith(
        '<deps><dep file="Skins\\Stadium\\Own\\Sign.dds" url="http://localhost/sign.dds"/>'
        '<dep file="Skins\\Stadium\\Mod\\Own &amp; Mine.zip" url="http://localhost/m.zip"/>'
        '<dep file="a.ogg"/></deps></header>'
    )


def test_write_challenge_refuses_what_it_would_lose(intro_map_bytes: bytes) -> None:
    with_clips = gbx.read_challenge(intro_map_bytes)
    with pytest.raises(gbx.WriteError, match="MediaTracker clips"):
        gbx.write_challenge(with_clips)
    plain = gbx.Challenge(uid="u", name="n")
    for place in ("ingame_clips", "endrace_clips"):
        with pytest.raises(gbx.WriteError, match="MediaTracker clips"):
            gbx.write_challenge(dataclasses.replace(plain, **{place: gbx.MediaClipGroup((), ())}))
    with pytest.raises(gbx.WriteError, match="TMUnlimiter"):
        gbx.write_challenge(dataclasses.replace(plain, is_unlimiter=True))
    with pytest.raises(gbx.WriteError, match="uid and a name"):
        gbx.write_challenge(dataclasses.replace(plain, uid=""))
    for bad in (gbx.Block("A", 4, 0, 0, 0), gbx.Block("A", 0, 256, 0, 0), gbx.Block("", 0, 0, 0, 0)):
        with pytest.raises(gbx.WriteError, match="does not fit"):
            gbx.write_challenge(dataclasses.replace(plain, blocks=(bad,)))


TOO_MUCH = 2**31
NO_SKIN = gbx.BlockSkin("", gbx.FileReference(""), gbx.FileReference(""))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"medals": gbx.Medals(gold_ms=TOO_MUCH)}, "gold time is 2147483648"),
        ({"medals": gbx.Medals(author_ms=-2)}, "author time is -2"),
        ({"mode": -100}, "mode is -100"),
        ({"mode": TOO_MUCH}, "mode is 2147483648"),
        ({"laps": TOO_MUCH}, "number of laps is"),
        ({"size": (32, TOO_MUCH, 32)}, "size is 2147483648"),
        ({"size": (32, 32)}, "three numbers each"),
        ({"cp_cells": ((1, 2, TOO_MUCH),)}, "cell of a checkpoint is"),
        ({"cp_cells": ((1, 2),)}, "three numbers each"),
        ({"time_limit_ms": TOO_MUCH}, "time limit is"),
        ({"author_score": -TOO_MUCH - 1}, "author score is"),
        ({"tips": ("one",)}, "has 1 tips"),
        ({"has_password": True}, "is protected by a password"),
        ({"comments": "\udce9"}, "characters that no file can hold"),
        ({"comments": "a" * ((16 << 20) + 1)}, "shorten it"),
        ({"header": gbx.ChallengeHeader(cost=TOO_MUCH)}, "cost is 2147483648"),
        ({"header": gbx.ChallengeHeader(kind=256)}, "kind is 256"),
        ({"header": gbx.ChallengeHeader(thumbnail_jpeg=bytes(17 << 20))}, "take a smaller picture"),
        ({"kind": -1}, "kind is -1"),
        ({"picture_camera": b"short"}, "camera has 5 bytes, expected 61"),
        ({"comments": "a" * (9 << 20)}, "could not be read again: with 9437184 bytes more, the texts have over"),
        ({"mod": gbx.FileReference("a", version=256)}, "does not fit a byte"),
        ({"mod": gbx.FileReference("a", version=3)}, "has a checksum of 0 bytes"),
    ],
)
def test_write_challenge_names_what_does_not_fit(changes: dict[str, object], found: str) -> None:
    with pytest.raises(gbx.WriteError, match=found):
        gbx.write_challenge(dataclasses.replace(gbx.Challenge(uid="u", name="n"), **changes))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"race_time_ms": TOO_MUCH}, "signed number of 32 bits"),
        ({"game_checksum": -1}, "unsigned number of 32 bits"),
        ({"light_trail_colour": (1e39, 0.0, 0.0)}, "does not fit a float"),
        ({"light_trail_colour": (1.0,)}, "expected red, green and blue"),
        ({"cp_stunt_scores": (1,)}, "give one per time"),
        ({"nickname": "\ud800"}, "characters that no file can hold"),
    ],
)
def test_write_ghost_names_what_does_not_fit(ghost: gbx.Ghost, changes: dict[str, object], found: str) -> None:
    with pytest.raises(gbx.WriteError, match=found):
        gbx.write_ghost(dataclasses.replace(ghost, **changes))


@pytest.mark.parametrize(
    ("limit", "block", "found"),
    [
        ("RECORDS", gbx.Block("A", 0, 1, 1, 1), "11 blocks are announced, the limit is 10"),
        ("NODES", gbx.Block("A", 0, 1, 1, 1, 0x8000, "me", NO_SKIN), "14 nodes are announced, expected 1 to 10"),
        ("CHUNKS", gbx.Block("A", 0, 1, 1, 1), "more than 10 chunks in all"),
    ],
)
def test_write_challenge_refuses_more_than_is_read(
    monkeypatch: pytest.MonkeyPatch, limit: str, block: gbx.Block, found: str
) -> None:
    monkeypatch.setattr(limits, limit, 10)
    monkeypatch.setattr(Budget, limit.lower(), 10, raising=False)
    with pytest.raises(gbx.WriteError, match=f"could not be read again: .*{found}"):
        gbx.write_challenge(gbx.Challenge("u", "n", blocks=(block,) * 11))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (tuple(f"control {number}" for number in range(300)), "300 control names are announced, the limit is 256"),
        (("Accelerate",), "an input event uses control 6 of 1"),
    ],
)
def test_write_ghost_refuses_inputs_that_could_not_be_read(
    ghost: gbx.Ghost, names: tuple[str, ...], found: str
) -> None:
    assert ghost.events is not None
    with pytest.raises(gbx.WriteError, match=f"could not be read again: {found}"):
        gbx.write_ghost(dataclasses.replace(ghost, events=dataclasses.replace(ghost.events, names=names)))


def test_write_replay_refuses_a_missing_ghost_and_a_file_that_is_no_map(ghost: gbx.Ghost, map_bytes: bytes) -> None:
    with pytest.raises(gbx.WriteError, match="at least one ghost"):
        gbx.write_replay(map_bytes, [])
    with pytest.raises(gbx.GbxError, match="a ghost without a map"):
        gbx.write_replay(gbx.write_ghost(ghost), ghost)


def test_pygbx_reads_our_replay_with_equal_fields(tmp_path: Path, ghost: gbx.Ghost, replay_bytes: bytes) -> None:
    pygbx = pytest.importorskip("pygbx", reason="pygbx (a yardstick for development) is not installed")
    path = tmp_path / "own.Replay.Gbx"
    path.write_bytes(replay_bytes)
    file = pygbx.Gbx(str(path))
    file.f.close()
    record = file.get_class_by_id(pygbx.GbxType.REPLAY_RECORD)
    assert (record.nickname, record.driver_login) == (ghost.nickname, ghost.login)
    blocks = record.track.get_class_by_id(pygbx.GbxType.CHALLENGE).blocks
    ours = gbx.read_challenge(replay_bytes).blocks
    assert [(b.name, b.rotation, b.position.as_array(), b.flags) for b in blocks] == [
        (b.name, b.direction, [b.x, b.y, b.z], b.flags) for b in ours
    ]
    found = file.get_class_by_id(pygbx.GbxType.CTN_GHOST)
    assert (found.race_time, found.num_respawns, found.uid) == (3_210, 1, ghost.uid)
    assert tuple(found.cp_times) == ghost.cp_times_ms
    assert ghost.samples is not None
    assert ghost.events is not None
    positions = np.array([s.position.as_array() for s in found.records], np.float32)
    assert np.array_equal(positions, ghost.samples.position_m)
    entries = [(e.time, e.event_name, e.enabled | e.flags << 16) for e in found.control_entries]
    events = zip(ghost.events.time_ms, ghost.events.control, ghost.events.value, strict=True)
    assert entries == [(int(t), ghost.events.names[c], int(v)) for t, c, v in events]


def test_make_uid_depends_on_the_seed_alone() -> None:
    assert gbx.make_uid("a") == gbx.make_uid("a") != gbx.make_uid("b")
    assert len(gbx.make_uid("a")) == 27
