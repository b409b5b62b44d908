"""Bodies made to be heavy: whatever they announce, reading them takes little memory and little time."""

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
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.writer import pack_body

MAX_MEMORY_BYTES = 512 << 20
MAX_SECONDS = 10.0
END = struct.pack("<I", 0xFACADE01)
CELL = struct.pack("<3i", 1_000, 2_000, 3_000)
ROOM = 60 << 20
"""Bytes of a heavy body: nearly as many as a body may have."""


def with_chunks(file: bytes, chunks: bytes, nodes: int = 0) -> bytes:
    """Put chunks in front of those of a file; if they hold ``nodes`` nodes, numbered from 1, they take their place."""
    shell = read_shell(file, "own")
    body = read_body(file, shell, "own")
    head = file[:7] + b"U" + file[8 : shell.header_end]
    if nodes:
        return head + pack_body(nodes + 1, chunks + END, compress=False)
    return head + pack_body(body.node_count, chunks + body.data, compress=False)


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


def checkpoint_cells(size: int) -> bytes:
    data = struct.pack("<I", size // len(CELL)) + CELL * (size // len(CELL))
    return struct.pack("<I4sI", 0x03043017, b"PIKS", len(data)) + data


def wide_texts(count: int) -> bytes:
    text = "\U0001f600".encode() + b"a" * ((16 << 20) - 4)
    return (struct.pack("<3I", 0x03043028, 0, len(text)) + text) * count


def checkpoint_times(count: int) -> bytes:
    data = struct.pack("<I", count) + struct.pack("<2I", 70_000, 70_000) * count
    return struct.pack("<I", 0x0309200B) + data


def many_samples(count: int) -> bytes:
    data = struct.pack("<IIiii", 0x0A02B000, 1, 0, 100, 9) + struct.pack("<I", 61 * count) + bytes(61 * count)
    data += struct.pack("<Iii", count, 0, 61)
    packed = zlib.compress(data, 1)
    return struct.pack("<3I", 0x0303F005, len(data), len(packed)) + packed


def heavy_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of files that are as heavy as a file can be."""
    plain = gbx.write_challenge(gbx.Challenge("u", "n"), compress=False)
    most = limits.RECORDS - 1_000
    yield "cells of one trigger", with_chunks(plain, trigger_cells(1, 1, most), 2)
    yield "cells of ten triggers", with_chunks(plain, trigger_cells(10, 10, most), 11)
    yield "triggers without clips", with_chunks(plain, trigger_cells(0, 10, most), 1)
    yield "shared tracks", with_chunks(plain, shared_tracks(50_000), 4)
    yield "repeated checkpoints", with_chunks(plain, checkpoint_cells(most * len(CELL)) * 8)
    yield "long texts", with_chunks(plain, wide_texts(3))
    places = tuple(gbx.Block("A", 0, 200, 1, 200, 0x1000 + number % 3_000) for number in range(most))
    blocks = gbx.write_challenge(gbx.Challenge("u", "n", blocks=places), compress=False)
    yield "blocks", blocks
    ghost = gbx.write_ghost(gbx.Ghost())
    yield "blocks in a replay", gbx.write_replay(blocks, gbx.Ghost(), compress=False)
    yield "checkpoint times", with_chunks(ghost, checkpoint_times(ROOM // 8))
    yield "samples", with_chunks(ghost, many_samples((limits.GHOST_BYTES - 100) // 61))


def read_all() -> None:
    """Read every heavy file under a limit; print how each one ended."""
    import resource

    own_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for name, data in heavy_files():
        resource.setrlimit(resource.RLIMIT_AS, (own_bytes + len(data) + MAX_MEMORY_BYTES, -1))
        start = time.perf_counter()
        try:
            found = gbx.read(data)
            ending = "read"
            if isinstance(found, gbx.Challenge):
                [c.duration_s for c in found.clips]
        except gbx.GbxError as error:
            ending = f"refused: {error.found}"
        took_s = time.perf_counter() - start
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        print(f"{name}: {ending} ({took_s:.1f} s)")
        if took_s > MAX_SECONDS:
            raise TimeoutError(name)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited with a Linux call")
def test_heavy_bodies_take_little_memory_and_time() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=120, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    endings = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    for name in ("long texts", "blocks", "blocks in a replay", "samples"):
        assert endings[name].startswith("read "), endings
    for name in ("cells of ten triggers", "repeated checkpoints"):
        assert f"more than {limits.RECORDS} entries are announced in all" in endings[name]
    assert endings["triggers without clips"].startswith("refused: a clip group has 0 clips but 10 triggers")
    assert "is in a list already" in endings["shared tracks"]
    assert "checkpoint times are announced, the limit is" in endings["checkpoint times"]


if __name__ == "__main__":
    read_all()
