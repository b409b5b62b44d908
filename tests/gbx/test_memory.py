"""Bodies made to be heavy: whatever they announce, reading them takes little memory and little time."""

import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.gbx import limits
from trackmaster.gbx.container import read_shell
from trackmaster.gbx.writer import ByteWriter, HeaderPart, pack_body, pack_file

MAX_MEMORY_BYTES = 512 << 20
MAX_CPU_S = 2.0
END = struct.pack("<I", 0xFACADE01)
CELL = struct.pack("<3i", 1_000, 2_000, 3_000)
NO_IDS = struct.pack("<4I", 3, *[0xFFFFFFFF] * 3)  # the first ident of a body, empty
BLOCK_LIST = struct.pack("<I", 0x0304301F) + NO_IDS + struct.pack("<4I6I", 0, *[0xFFFFFFFF] * 3, 32, 32, 32, 0, 1, 0)
SHARE = limits.TEXT_BYTES // 2 - 2_000
"""Half of the texts that a file may hold, but for its header."""
ROOM = 60 << 20
"""Bytes of a heavy body: nearly as many as a body may have."""


def shell_of(file: bytes) -> bytes:
    """Return what stands in front of the body of a file, which is then not packed."""
    return file[:7] + b"U" + file[8 : read_shell(file, "own").header_end]


MAP = shell_of(gbx.write_challenge(gbx.Challenge("u", "n")))
GHOST = shell_of(gbx.write_ghost(gbx.Ghost()))
REPLAY = shell_of(gbx.write_replay(gbx.write_challenge(gbx.Challenge("u", "n")), gbx.Ghost()))


def file_of(shell: bytes, chunks: bytes, nodes: int = 0, *, packed: bool = False) -> bytes:
    """Return a file whose main node has these chunks, which hold ``nodes`` nodes numbered from 1."""
    head = shell[:7] + b"C" + shell[8:] if packed else shell
    return head + pack_body(nodes + 1, chunks + END, compress=packed)


def node(number: int, class_id: int, *chunks: bytes) -> bytes:
    return struct.pack("<II", number, class_id) + b"".join(chunks) + END


def clip(number: int, tracks: bytes = struct.pack("<II", 10, 0)) -> bytes:
    return node(number, 0x03079000, struct.pack("<I", 0x03079005) + tracks + struct.pack("<I", 0))


def media(group_chunk: bytes) -> bytes:
    """A map's clips: no intro, one in-game group with number 1, none at the end."""
    group = node(1, 0x0307A000, struct.pack("<I", 0x0307A003) + group_chunk)
    return struct.pack("<Ii", 0x03043021, -1) + group + struct.pack("<i", -1)


def trigger(cells: int) -> bytes:
    return struct.pack("<5ifI", 0, 0, 0, 0, 0, 0.0, cells) + CELL * cells


def trigger_cells(clips: int, triggers: int, cells: int) -> bytes:
    found = b"".join(clip(2 + number) for number in range(clips))
    return media(struct.pack("<II", 10, clips) + found + struct.pack("<I", triggers) + trigger(cells) * triggers)


def shared_tracks(count: int) -> bytes:
    """A clip that names one track again and again, which names one block again and again."""
    block = node(4, 0x03082000, struct.pack("<I2f", 0x03082000, 0.0, 1.0))
    blocks = struct.pack("<II", 10, count) + block + struct.pack("<I", 4) * (count - 1)
    track = node(3, 0x03078000, struct.pack("<II", 0x03078001, 0) + blocks + struct.pack("<I", 0))
    tracks = struct.pack("<II", 10, count) + track + struct.pack("<I", 3) * (count - 1)
    return media(struct.pack("<II", 10, 1) + clip(2, tracks) + struct.pack("<I", 1) + trigger(0))


def text(chunk: bytes, size: int) -> bytes:
    """A text of ``size`` bytes that Python stores four bytes wide."""
    return chunk + struct.pack("<I", size) + "\U0001f600".encode() + b"a" * (size - 4)


def checkpoint_times(count: int) -> bytes:
    data = struct.pack("<I", count) + struct.pack("<2I", 70_000, 70_000) * count
    return struct.pack("<I", 0x0309200B) + data


def samples(count: int) -> bytes:
    data = struct.pack("<IIiii", 0x0A02B000, 1, 0, 100, 9) + struct.pack("<I", 61 * count) + bytes(61 * count)
    data += struct.pack("<Iii", count, 0, 61)
    packed = zlib.compress(data, 1)
    return struct.pack("<3I", 0x0303F005, len(data), len(packed)) + packed


def ghosts(count: int, *chunks: bytes) -> bytes:
    """Equal ghosts of a replay, numbered from 1."""
    found = b"".join(node(number, 0x03092000, *chunks) for number in range(1, count + 1))
    return struct.pack("<3I", 0x03093014, 10, count) + found + struct.pack("<2I", 0, 0)


def inputs(count: int) -> bytes:
    events = struct.pack("<IBI", 100_010, 0, 1) * count
    start = struct.pack("<7I", 0x03092019, 1, 0, 1, 3, 0x40000000, 10) + b"Accelerate" + struct.pack("<2I", count, 0)
    return start + events + struct.pack("<6I", 0, 0, 0, 0, 0, 0)


def race_events(count: int) -> bytes:
    found = struct.pack("<I2f2I", 0x2407F003, 0, 0, 0, count) + struct.pack("<fB3i", 0, 1, 0, 1, 1) * count
    return struct.pack("<I", 0x0309300E) + node(1, 0x2407F000, found)


def map_with_ghost(count: int, comments: int) -> bytes:
    """A map whose intro holds a ghost with samples, and a long comment; packed, so that it is small."""
    ghost = node(4, 0x03092000, samples(count))
    block = node(3, 0x030E5000, struct.pack("<I2f", 0x030E5001, 0, 1) + ghost + struct.pack("<f", 0))
    track = node(2, 0x03078000, struct.pack("<4I", 0x03078001, 0, 10, 1) + block + struct.pack("<I", 0))
    clips = struct.pack("<I", 0x03043021) + clip(1, struct.pack("<2I", 10, 1) + track) + struct.pack("<2i", -1, -1)
    return file_of(MAP, BLOCK_LIST + clips + text(struct.pack("<2I", 0x03043028, 0), comments), 4, packed=True)


def folders(outer: int, inner: int) -> bytes:
    """A reference table with ``outer`` folders of ``inner`` folders each."""
    folder = struct.pack("<2I", 0, inner) + struct.pack("<2I", 0, 0) * inner
    return MAP + struct.pack("<4I", 2, 1, 0, outer) + folder * outer + bytes(100)


def scattered_matches(words: int) -> bytes:
    """A map whose packed body is a long row of short pieces."""
    rng = random.Random(1)
    known = [bytes(rng.choices(b"abcdefgh    ", k=5)) for _ in range(3_000)]
    part = b"".join(rng.choices(known, k=words // 6)) * 6  # too long for the packer to see that it comes again
    return file_of(MAP, BLOCK_LIST + struct.pack("<3I", 0x03043028, 0, len(part)) + part, packed=True)


def blocks(count: int) -> bytes:
    """A block list without header and end, all of one name but with different flags."""
    head = BLOCK_LIST[:-4] + struct.pack("<3I", count, 0x40000000, 1) + b"A"
    rows = b"".join(struct.pack("<4BII", 0, 200, 1, 200, 0x1000 + n, 0x40000001) for n in range(3_000))
    return head + (rows * (count // 3_000 + 1))[: 12 * count - 4]


def xml_header(size: int) -> bytes:
    """A map whose header XML is one element with very many attributes."""
    xml = b"<times" + b' a=""' * (size // 5) + b"/>"
    part = HeaderPart(0x03043005, struct.pack("<I", len(xml)) + xml)
    return pack_file(0x03043000, [part], ByteWriter(), compress=False)


def everything() -> bytes:
    """A replay that, with its map, goes to all limits at once; both bodies need to be looked through."""
    rng = random.Random(2)
    noise = bytes(b if b > 20 else 0 for b in rng.randbytes(6 << 20))  # its zeros might be a long match each
    known = [bytes(rng.choices(b"abcdefgh    ", k=5)) for _ in range(3_000)]
    part = noise + b"".join(rng.choices(known, k=400_000))
    unread = struct.pack("<I4sI", 0x03999000, b"PIKS", len(part)) + part
    tiny = struct.pack("<I4sI", 0x03999000, b"PIKS", 0) * (limits.CHUNKS - 10 * limits.RECORDINGS)
    inner = file_of(MAP, unread + blocks(limits.RECORDS - 1_000), packed=True)
    outer = struct.pack("<2I", 0x03093002, len(inner)) + inner
    count = limits.RECORDINGS - 1
    long = node(1, 0x03092000, samples(limits.GHOST_BYTES // 61 - 3 * count), inputs(limits.EVENTS))
    found = long + b"".join(node(number, 0x03092000, samples(2)) for number in range(2, count + 1))
    chunks = unread + tiny + outer + struct.pack("<3I", 0x03093014, 10, count) + found + struct.pack("<2I", 0, 0)
    return file_of(REPLAY, chunks, count, packed=True)


def heavy_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of files that are as heavy as a file can be."""
    most, most_samples = limits.RECORDS - 1_000, (limits.GHOST_BYTES - 100) // 61
    yield "cells of one trigger", file_of(MAP, BLOCK_LIST + trigger_cells(1, 1, most), 2)
    yield "cells of ten triggers", file_of(MAP, BLOCK_LIST + trigger_cells(10, 10, most), 11)
    yield "triggers without clips", file_of(MAP, BLOCK_LIST + trigger_cells(0, 10, most), 1)
    yield "shared tracks", file_of(MAP, BLOCK_LIST + shared_tracks(50_000), 4)
    yield "repeated chunk", file_of(MAP, (struct.pack("<I", 0x0304300D) + NO_IDS) * 2 + BLOCK_LIST)
    yield "unknown chunks", file_of(MAP, struct.pack("<I4sI", 0x03043099, b"PIKS", 0) * (ROOM // 12), packed=True)
    yield "long text", file_of(MAP, BLOCK_LIST + text(struct.pack("<2I", 0x03043028, 0), SHARE * 2))
    yield "blocks", file_of(MAP, blocks(most))
    inner = file_of(MAP, blocks(most))
    yield "blocks in a replay", file_of(REPLAY, struct.pack("<2I", 0x03093002, len(inner)) + inner)
    yield "checkpoint times", file_of(GHOST, checkpoint_times(ROOM // 8))
    yield "samples", file_of(GHOST, samples(most_samples))
    yield "inputs", file_of(GHOST, inputs(limits.EVENTS))
    yield "more inputs", file_of(GHOST, inputs(limits.EVENTS + 1))
    yield "short ghosts", file_of(REPLAY, ghosts(limits.RECORDINGS, samples(2)), limits.RECORDINGS)
    yield "very many short ghosts", file_of(REPLAY, ghosts(90_000, samples(2)), 90_000)
    yield "race events", file_of(REPLAY, race_events(most), 1, packed=True)
    yield "very many race events", file_of(REPLAY, race_events(3_000_000), 1, packed=True)
    inner = map_with_ghost(most_samples // 2, SHARE)
    outer = struct.pack("<2I", 0x03093002, len(inner)) + inner
    nickname = text(struct.pack("<I", 0x0309200F), SHARE)
    yield "half in the map", file_of(REPLAY, outer + ghosts(1, samples(most_samples // 2), nickname), 1, packed=True)
    yield "all in both", file_of(REPLAY, outer + ghosts(1, samples(most_samples), nickname), 1, packed=True)
    yield (
        "texts in both",
        file_of(REPLAY, outer + ghosts(1, text(struct.pack("<I", 0x0309200F), SHARE + 4_000)), 1, packed=True),
    )
    yield "folders", folders(200, 9_999)
    yield "scattered matches", scattered_matches(4_000_000)
    yield "attributes", xml_header(15 << 20)
    yield "everything at once", everything()


def use(data: bytes) -> str:
    """Read a file and what a program reads next; return how it ended."""
    try:
        found = gbx.read(data)
    except gbx.GbxError as error:
        return f"refused: {error.found}"
    if isinstance(found, gbx.Ghost) and found.events is not None:
        gbx.InputTimeline.from_events(found.events, 60_000)
    if isinstance(found, gbx.Challenge):
        [c.duration_s for c in found.clips]
        gbx.strip_intro_clips(data) if found.clips else None
    return "read"


def read_all() -> None:
    """Read every heavy file under a limit; print how each one ended and the processor time it took."""
    import resource

    for name, data in heavy_files():
        own_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own_bytes + MAX_MEMORY_BYTES, -1))
        took_s = MAX_CPU_S
        for _ in range(2):  # a second try, as a busy machine can double a time
            start_s = time.process_time()
            ending = use(data)
            took_s = min(took_s, time.process_time() - start_s)
            if took_s < MAX_CPU_S:
                break
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        print(f"{name}: {took_s:.2f} s: {ending}")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited with a Linux call")
def test_heavy_bodies_take_little_memory_and_time() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    rows = [line.split(": ", 2) for line in done.stdout.splitlines()]
    assert {name: took for name, took, _ in rows if float(took.split()[0]) >= MAX_CPU_S} == {}
    for name, _, ending in rows:
        assert ending.startswith(ENDINGS[name]), f"{name}: {ending}"
    assert len(rows) == len(ENDINGS)


ENDINGS = {
    "cells of one trigger": "read",
    "cells of ten triggers": f"refused: with {limits.RECORDS - 1_000} trigger cells more than {limits.RECORDS} entries",
    "triggers without clips": "refused: a clip group has 0 clips but 10 triggers",
    "shared tracks": "refused: a node of the list of MediaTracker blocks is in a list already",
    "repeated chunk": "refused: chunk 0x0304300d comes twice in a map",
    "unknown chunks": f"refused: the nodes have more than {limits.CHUNKS} chunks in all",
    "long text": "read",
    "blocks": "read",
    "blocks in a replay": "read",
    "checkpoint times": "refused: 7864320 checkpoint times are announced, the limit is",
    "samples": "read",
    "inputs": "read",
    "more inputs": f"refused: with {limits.EVENTS + 1} input events more than {limits.EVENTS} are announced",
    "short ghosts": "read",
    "very many short ghosts": f"refused: the ghosts have more than {limits.RECORDINGS} blobs of samples",
    "race events": "read",
    "very many race events": "refused: 3000000 race events are announced, the limit is",
    "half in the map": "read",
    "all in both": "refused: ghost data of",
    "texts in both": "refused: with ",
    "folders": f"refused: more than {limits.EXTERNAL_REFERENCES} folders are announced in all",
    "scattered matches": "refused: the packed body has",
    "everything at once": "read",
    "attributes": "refused: the header's XML has",
}


if __name__ == "__main__":
    read_all()
