"""Damaged, oversized and foreign files end in one sentence that names file, place, find and remedy."""

import contextlib
import os
import pickle
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from lzallright import LZOCompressor, LZOError

from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.gbx import limits
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.lzo import BROKEN, TOO_MANY_STEPS, unpacked_size, worst_case_size
from trackmaster.gbx.writer import pack_body


def body_of(data: bytes) -> tuple[bytes, bytes, int]:
    """Return (everything in front of the body, unpacked body, node count)."""
    shell = read_shell(data, "x")
    body = read_body(data, shell, "x")
    return data[:7] + b"U" + data[8 : shell.header_end], body.data, body.node_count


def test_error_names_file_place_find_and_remedy(tmp_path: Path, map_bytes: bytes) -> None:
    path = tmp_path / "cut.Challenge.Gbx"
    path.write_bytes(map_bytes[:-3])
    with pytest.raises(gbx.GbxError) as caught:
        gbx.read(path)
    error = caught.value
    assert isinstance(error, TrackmasterError)
    assert error.file == "cut.Challenge.Gbx"
    assert isinstance(error.offset, int)
    assert str(error).startswith(f"cut.Challenge.Gbx: byte {error.offset} of the file: the packed body announces")
    assert str(error).endswith("delete it and download or save it again.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error), "errors travel between processes"


def test_every_cut_of_a_file_is_refused(map_bytes: bytes, replay_bytes: bytes, ghost: gbx.Ghost) -> None:
    for data in (
        map_bytes,
        replay_bytes,
        gbx.write_ghost(ghost),
        gbx.write_challenge(gbx.Challenge("u", "n"), compress=False),
    ):
        for length in range(0, len(data), max(1, len(data) // 300)):
            with pytest.raises(gbx.GbxError):
                gbx.read(data[:length])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: b"PK" + d[2:], "starts with b'PKX', expected b'GBX'"),
        (lambda d: d[:3] + b"\x07\x00" + d[5:], "container has version 7"),
        (lambda d: d[:5] + b"T" + d[6:], "text GBX"),
        (lambda d: d[:6] + b"C" + d[7:], "reference table is packed"),
        (lambda d: d[:7] + b"Z" + d[8:], "body is packed as b'Z'"),
        (lambda d: d[:8] + b"X" + d[9:], "format word ends in b'X'"),
        (lambda d: d[:9] + struct.pack("<I", 0x03079000) + d[13:], "holds a MediaTracker clip"),
        (lambda d: d[:13] + struct.pack("<I", 1 << 30) + d[17:], "header announces 1073741824 bytes, the limit"),
        (lambda d: d[:13] + struct.pack("<I", 1 << 20) + d[17:], "header announces 1048576 bytes, but"),
        (lambda d: d[:17] + struct.pack("<I", 4) + d[21:], "header chunks end at byte"),
        (lambda d: d + b"\0", "packed body announces"),
    ],
)
def test_shell_refusals(map_bytes: bytes, change: object, found: str) -> None:
    with pytest.raises(gbx.GbxError, match=found):
        gbx.read(change(map_bytes))  # type: ignore[operator]


def test_files_of_later_games_are_named_as_such(map_bytes: bytes, replay_bytes: bytes) -> None:
    later_map = bytearray(map_bytes)
    shell = read_shell(map_bytes, "x")
    later_map[shell.chunks[0].offset] = 13
    later_replay = bytearray(replay_bytes)
    later_replay[read_shell(replay_bytes, "x").chunks[0].offset] = 8
    for data, read in ((later_map, gbx.read), (later_map, gbx.read_header), (later_replay, gbx.read)):
        with pytest.raises(gbx.GbxError, match=r"a later game's. trackmaster reads the files of TrackMania United"):
            read(bytes(data))


def test_paths_that_lead_nowhere_are_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "missing.Gbx", "a\0b.Gbx"):
        with pytest.raises(gbx.GbxError, match=r"^.*\w.*: the file cannot be opened .* Check the path\."):
            gbx.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.Gbx"
    os.mkfifo(pipe)
    program = f"from trackmaster import gbx\ntry:\n    gbx.read({str(pipe)!r})\nexcept gbx.GbxError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "this is no regular file" in done.stdout


def test_read_header_of_a_ghost_says_what_to_do(ghost: gbx.Ghost) -> None:
    with pytest.raises(gbx.GbxError, match="whose header says nothing"):
        gbx.read_header(gbx.write_ghost(ghost))


def test_read_challenge_and_read_replay_want_their_kind(
    map_bytes: bytes, replay_bytes: bytes, ghost: gbx.Ghost
) -> None:
    assert gbx.read_challenge(replay_bytes) == gbx.read_challenge(map_bytes)
    with pytest.raises(gbx.GbxError, match="holds a challenge, expected a replay"):
        gbx.read_replay(map_bytes)
    with pytest.raises(gbx.GbxError, match="holds a ghost without a map"):
        gbx.read_challenge(gbx.write_ghost(ghost))


def test_bombs_are_refused_before_they_unpack(
    map_bytes: bytes, ghost: gbx.Ghost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LZO_UNCHECKED_BYTES", 2 << 20)
    monkeypatch.setattr(limits, "BODY_BYTES", 1 << 20)
    head, _, _ = body_of(map_bytes)
    packed = bytes(LZOCompressor().compress(bytes(limits.LZO_UNCHECKED_BYTES + (4 << 20))))
    for announced in (limits.BODY_BYTES + 1, 1 << 10):
        bomb = head[:7] + b"C" + head[8:] + struct.pack("<IIII", 2, 0, announced, len(packed)) + packed
        with pytest.raises(gbx.GbxError, match=r"too much|does not unpack"):
            gbx.read(bomb)
    ghost_head, body, count = body_of(gbx.write_ghost(ghost))
    flood = zlib.compress(bytes(64 << 20), 9)
    for announced in (64 << 20, 1 << 10):
        chunk = struct.pack("<III", 0x0303F005, announced, len(flood)) + flood
        with pytest.raises(gbx.GbxError, match=r"too much|do not unpack"):
            gbx.read(ghost_head + pack_body(count, chunk + body, compress=False))


def test_lzo_size_is_found_without_unpacking() -> None:
    for data in (
        b"",
        b"a",
        bytes(100_000),
        bytes(range(256)) * 40,
        b"abcabcabd" * 99,
        bytes(9_000) + bytes(range(251)),
    ):
        packed = bytes(LZOCompressor().compress(data))
        assert unpacked_size(packed, 1 << 20, 1 << 20) == len(data)
        assert len(data) <= worst_case_size(packed)
        if len(data) > 100:
            assert unpacked_size(packed, 50, 1 << 20) > 50, "counting stops early"
        assert unpacked_size(packed[:-1], 1 << 20, 1 << 20) == BROKEN
        assert unpacked_size(packed, 1 << 20, 0) == TOO_MANY_STEPS


@pytest.mark.parametrize("seed", range(20))
def test_lzo_never_unpacks_to_more_than_the_bound(seed: int) -> None:
    rng = random.Random(seed)
    packed = bytearray(LZOCompressor().compress(bytes(rng.choices(range(8), k=3_000)) + bytes(2_000)))
    for _ in range(200):
        changed = bytearray(packed)
        for _ in range(rng.choice((1, 2, 5))):
            changed[rng.randrange(len(packed))] = rng.choice((0, 0x20, 0x10, rng.randrange(256)))
        found = unpacked_size(bytes(changed), 1 << 30, 1 << 20)
        assert found <= worst_case_size(changed)
        with contextlib.suppress(LZOError):  # of a match that reaches before the beginning the length is counted, too
            assert len(LZOCompressor.decompress(changed, 5_000)) == found


def test_bytes_behind_the_end_of_the_packed_body_are_refused_in_one_short_sentence(map_bytes: bytes) -> None:
    shell = read_shell(map_bytes, "x")
    start = shell.header_end + 12
    size = struct.unpack_from("<I", map_bytes, start)[0]
    longer = map_bytes[:start] + struct.pack("<I", size + 3) + map_bytes[start + 4 :] + b"xyz"
    with pytest.raises(gbx.GbxError, match="bytes are left over behind its end mark") as caught:
        gbx.read(longer)
    assert len(str(caught.value)) < 300, "what was unpacked is no part of the message"
    assert caught.value.__cause__ is None


def test_numbers_that_do_not_fit_are_refused(map_bytes: bytes) -> None:
    head, body, count = body_of(map_bytes)
    blocks = struct.pack("<6I", 32, 32, 32, 0, 1, 9)
    at = body.index(blocks) + 20
    for number, found in ((limits.RECORDS + 1, "the limit is"), (limits.RECORDS, "do not fit into"), (10, "byte")):
        changed = body[:at] + struct.pack("<I", number) + body[at + 4 :]
        with pytest.raises(gbx.GbxError, match=found):
            gbx.read(head + pack_body(count, changed, compress=False))
    with pytest.raises(gbx.GbxError, match="holds 3 nodes, announced were 4"):
        gbx.read(head + pack_body(count + 1, body, compress=False))
    with pytest.raises(gbx.GbxError, match="1 bytes are left over after the last node"):
        gbx.read(head + pack_body(count, body + b"\0", compress=False))
    with pytest.raises(gbx.GbxError, match=r"chunk 0x03043049 in a map is not known .* another game"):
        gbx.read(head + pack_body(count, struct.pack("<II", 0x03043049, 0) + body, compress=False))


def test_unknown_chunks_that_say_their_size_are_stepped_over(map_bytes: bytes, challenge: gbx.Challenge) -> None:
    head, body, count = body_of(map_bytes)
    extra = struct.pack("<I4sI", 0x03043099, b"PIKS", 5) + b"hello"
    found = gbx.read_challenge(head + pack_body(count, extra + body, compress=False))
    assert found.blocks == challenge.blocks


def test_unlimiter_maps_are_flagged_and_their_placeholder_block_is_kept(map_bytes: bytes) -> None:
    head, body, count = body_of(map_bytes)
    mark = struct.pack("<I4sI", 0x3F001000, b"PIKS", 3) + b"\1\2\3"
    found = gbx.read_challenge(head + pack_body(count, mark + body, compress=False))
    assert found.is_unlimiter
    start = body.index(struct.pack("<6I", 32, 32, 32, 0, 1, 9)) + 24
    notice = struct.pack("<II", 0x40000000, 6) + b"notice" + b"\xff" * 8 + struct.pack("<Ii", 0xFFFFFFFF, -1)
    with_notice = body[: start - 4] + struct.pack("<I", 10) + notice + body[start:]
    first = gbx.read_challenge(head + pack_body(count, with_notice, compress=False)).blocks[0]
    assert (first.name, first.flags, first.skin) == ("notice", 0xFFFFFFFF, None)


def test_nodes_may_not_nest_without_end(map_bytes: bytes) -> None:
    """A clip's scene is a node of any class, so a clip can hold a clip that holds a clip."""
    head, body, count = body_of(map_bytes)
    mark = struct.pack("<I3i", 0x03043021, -1, -1, -1)
    for depth, found in ((limits.DEPTH, "expected a SkippedNode"), (limits.DEPTH + 1, "nested more than 32 deep")):
        opened = b"".join(struct.pack("<III", count + n, 0x03079000, 0x03079004) for n in range(depth))
        nested = struct.pack("<I", 0x03043021) + opened + struct.pack("<i", -1) + struct.pack("<I", 0xFACADE01) * depth
        changed = body.replace(mark, nested + struct.pack("<2i", -1, -1))
        with pytest.raises(gbx.GbxError, match=found):
            gbx.read(head + pack_body(count + depth, changed, compress=False))


def test_the_same_chunk_twice_in_a_node_is_refused(map_bytes: bytes) -> None:
    head, body, count = body_of(map_bytes)
    laps = struct.pack("<I4sIII", 0x03043018, b"PIKS", 8, 0, 3)
    with pytest.raises(gbx.GbxError, match="chunk 0x03043018 comes twice in a map"):
        gbx.read(head + pack_body(count, laps + body, compress=False))


def test_the_same_chunk_twice_in_the_header_is_refused(map_bytes: bytes) -> None:
    twice = map_bytes[:29] + map_bytes[21:25] + map_bytes[33:]
    with pytest.raises(gbx.GbxError, match="a chunk of the header comes twice"):
        gbx.read_header(twice)


def test_a_replay_without_header_says_what_its_ghost_says(replay_bytes: bytes, ghost: gbx.Ghost) -> None:
    bare = replay_bytes[:13] + struct.pack("<I", 0) + replay_bytes[read_shell(replay_bytes, "x").header_end :]
    found = gbx.read_replay(bare)
    assert (found.race_time_ms, found.nickname, found.respawns) == (ghost.race_time_ms, ghost.nickname, ghost.respawns)
    assert found.map_uid == gbx.make_uid("straight")
