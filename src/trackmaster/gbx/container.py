"""The outer shell of a .Gbx file: magic, header chunks, reference table and the packed body."""

import struct
from typing import NamedTuple

from lzallright import InputNotConsumed, LZOCompressor, LZOError

from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget
from trackmaster.gbx.classes import modern_id
from trackmaster.gbx.errors import UNSUPPORTED, GbxError
from trackmaster.gbx.lzo import MOST_PER_BYTE, TOO_MANY_STEPS, unpacked_size, worst_case_size
from trackmaster.gbx.reader import ByteReader

MAGIC = b"GBX"
HEADER_START = 17
HEAVY = 0x80000000
_TWO_WORDS = struct.Struct("<II")


class HeaderChunk(NamedTuple):
    """One chunk of user data in front of the body, readable without unpacking anything."""

    chunk_id: int
    offset: int
    size: int
    is_heavy: bool


class Shell(NamedTuple):
    """Everything in front of the body.

    Attributes:
        version: of the container; 6 in the TMF era.
        class_id: class of the main node under its modern number.
        raw_class_id: class id as stored.
        is_packed: whether the body is LZO-compressed.
        flavour: the fourth letter of the format word, ``R`` or ``E``.
        chunks: header chunks in file order.
        header_end: offset of the first byte after the header chunks.
    """

    version: int
    class_id: int
    raw_class_id: int
    is_packed: bool
    flavour: int
    chunks: tuple[HeaderChunk, ...]
    header_end: int


def read_shell(data: bytes, file: str) -> Shell:
    """Read magic, class and the table of header chunks; ``data`` may end right after the header chunks.

    Raises:
        GbxError: not a binary GBX file, an unknown version, or sizes that contradict each other.
    """
    reader = ByteReader(data, file)
    if data[:3] != MAGIC:
        reader.fail(f"the file starts with {data[:3]!r}, expected b'GBX'", advice="This is not a .Gbx file", at=0)
    reader.pos = 3
    version = reader.u16()
    if not 3 <= version <= 6:
        reader.fail(f"the container has version {version}, expected 3 to 6", advice=UNSUPPORTED, at=3)
    if reader.u8() != ord("B"):
        reader.fail("the file is a text GBX, expected a binary one", advice=UNSUPPORTED, at=5)
    if reader.u8() != ord("U"):
        reader.fail(f"the reference table is packed ({data[6:7]!r}), expected b'U'", advice=UNSUPPORTED, at=6)
    packing = reader.u8()
    if packing not in b"CU":
        reader.fail(f"the body is packed as {data[7:8]!r}, expected b'C' or b'U'", at=7)
    flavour = reader.u8() if version >= 4 else ord("R")
    if flavour not in b"RE":
        reader.fail(f"the format word ends in {data[8:9]!r}, expected b'R' or b'E'", at=8)
    raw_class_id = reader.u32()
    chunks = _read_chunk_table(reader) if version >= 6 else ()
    header_end = chunks[-1].offset + chunks[-1].size if chunks else reader.pos
    return Shell(version, modern_id(raw_class_id), raw_class_id, packing == ord("C"), flavour, chunks, header_end)


def _read_chunk_table(reader: ByteReader) -> tuple[HeaderChunk, ...]:
    size = reader.u32()
    if size == 0:
        return ()
    if size > limits.HEADER_BYTES:
        reader.fail(f"the header announces {size} bytes, the limit is {limits.HEADER_BYTES}", at=13)
    if size > reader.end - reader.pos:
        reader.fail(f"the header announces {size} bytes, but {reader.end - reader.pos} are left", at=13)
    count = reader.count("header chunks", 8, limits.HEADER_CHUNKS)
    offset = HEADER_START + 4 + 8 * count
    chunks = []
    for chunk_id, word in _TWO_WORDS.iter_unpack(reader.take(8 * count)):
        chunks.append(HeaderChunk(modern_id(chunk_id), offset, word & ~HEAVY, word >= HEAVY))
        offset += word & ~HEAVY
    if len({chunk.chunk_id for chunk in chunks}) != count:
        reader.fail("a chunk of the header comes twice", at=HEADER_START + 4)
    if offset != HEADER_START + size:
        reader.fail(f"the header chunks end at byte {offset}, but the header at byte {HEADER_START + size}", at=13)
    return tuple(chunks)


class Body(NamedTuple):
    """The unpacked body and what the node reader must know about it."""

    data: bytes
    node_count: int
    external_nodes: frozenset[int]
    offset: int


def read_body(data: bytes, shell: Shell, file: str, budget: Budget | None = None) -> Body:
    """Read the reference table and unpack the body.

    Raises:
        GbxError: oversized, not unpackable, of another length than announced, or followed by more bytes.
    """
    reader = ByteReader(data, file, pos=shell.header_end, budget=budget)
    node_count = reader.u32()
    if not 1 <= node_count <= limits.NODES:
        reader.fail(f"{node_count} nodes are announced, expected 1 to {limits.NODES}", at=reader.pos - 4)
    external = _read_references(reader, shell.version, node_count)
    offset = reader.pos
    if not shell.is_packed:
        if reader.end - offset > limits.BODY_BYTES:
            reader.fail(f"the body has {reader.end - offset} bytes, the limit is {limits.BODY_BYTES}")
        return Body(data[offset:], node_count, external, offset)
    unpacked, packed = reader.u32(), reader.u32()
    if packed != reader.end - reader.pos:
        reader.fail(f"the packed body announces {packed} bytes, but {reader.end - reader.pos} are left", at=offset + 4)
    if unpacked > limits.BODY_BYTES or unpacked > limits.LZO_RATIO * packed:
        reader.fail(f"a body of {packed} bytes announces to unpack to {unpacked}, which is too much", at=offset)
    return Body(_unpack(data[reader.pos :], unpacked, reader), node_count, external, offset)


def _unpack(packed: bytes, size: int, reader: ByteReader) -> bytes:
    # The library grows its output as far as the stream tells it to: look before a small file becomes a gigabyte.
    most = limits.LZO_UNCHECKED_BYTES
    if MOST_PER_BYTE * len(packed) > most and worst_case_size(packed) > most:
        found = unpacked_size(packed, size, limits.LZO_INSTRUCTIONS)
        if found == TOO_MANY_STEPS:
            reader.fail(
                f"the packed body has {len(packed)} bytes in more than {limits.LZO_INSTRUCTIONS} pieces",
                advice="No map or replay of the game is like this; store its body unpacked to have it read",
            )
        if found != size:
            reader.fail(f"the packed body does not unpack to the announced {size} bytes")
    try:
        data = LZOCompressor.decompress(packed, size)
    except InputNotConsumed:  # which carries all that was unpacked, so it must not be shown or kept
        raise _not_unpacked(reader, "bytes are left over behind its end mark") from None
    except LZOError as error:
        raise _not_unpacked(reader, str(error)) from error
    if len(data) != size:
        reader.fail(f"the packed body unpacks to {len(data)} bytes, announced were {size}")
    return bytes(data)  # which it is already, so nothing is copied


def _not_unpacked(reader: ByteReader, reason: str) -> GbxError:
    return GbxError(reader.file, f"the packed body cannot be unpacked ({reason})", offset=reader.pos)


def _read_references(reader: ByteReader, version: int, node_count: int) -> frozenset[int]:
    """Read the table of other files this one refers to; return the node numbers they stand for."""
    count = reader.count("external references", 8, limits.EXTERNAL_REFERENCES)
    if count == 0:
        return frozenset()
    reader.u32()
    _skip_folders(reader, 0, 0)
    nodes = set()
    for _ in range(count):
        flags = reader.u32()
        is_resource = bool(flags & 4)
        if is_resource:
            reader.u32()
        else:
            reader.string()
        node = reader.u32()
        if not 1 <= node < node_count:
            reader.fail(f"an external reference stands for node {node}, expected 1 to {node_count - 1}")
        nodes.add(node)
        if version >= 5:
            reader.boolean()
        if not is_resource:
            reader.u32()
    return frozenset(nodes)


def _skip_folders(reader: ByteReader, depth: int, seen: int) -> int:
    """Step over a tree of folders; return how many there are with the ``seen`` ones before."""
    if depth > limits.DEPTH:
        reader.fail(f"folders are nested more than {limits.DEPTH} deep")
    count = reader.count("folders", 8, limits.EXTERNAL_REFERENCES)
    seen += count
    if seen > limits.EXTERNAL_REFERENCES:
        reader.fail(f"more than {limits.EXTERNAL_REFERENCES} folders are announced in all", at=reader.pos - 4)
    for _ in range(count):
        reader.string()
        seen = _skip_folders(reader, depth + 1, seen)
    return seen
