"""The block list of a map: the longest part of most maps, so what is alike is read at once."""

import re
import struct
from dataclasses import dataclass
from itertools import islice, repeat, takewhile

import numpy as np

from trackmaster.gbx import limits
from trackmaster.gbx.block import SKIN_FLAG, Block, BlockSkin
from trackmaster.gbx.classes import BLOCK_SKIN
from trackmaster.gbx.nodes import BodyReader, NodeType
from trackmaster.gbx.reader import NEW_ID

PLACEHOLDER = 0xFFFFFFFF  # flags of a notice in the shape of a block, on maps of the TMUnlimiter mod

_PLACE, _PLACE_NARROW = struct.Struct("<4BI"), struct.Struct("<4BH")
_PLAIN_BYTES, _SKINNED_BYTES = 12, 20
_TWO_WORDS = struct.Struct("<II").unpack_from
_INT = struct.Struct("<i").unpack_from

# Most blocks bring nothing new: an id seen before, a direction from 0 to 3, x, y, z and flags, and if the flags say so
# the id of an author and the number of a skin seen before. No map needs more than 255 ids; the blocks of one that does
# are read one by one.
_KNOWN_ID = rb"[^\0]\0\0[\x40\x80]"
_PLAIN_RUN = re.compile(rb"(?s:(?:" + _KNOWN_ID + rb"[\0-\x03]....[\0-\x7f]..)++)")
_SKINNED_RUN = re.compile(rb"(?s:(?:" + _KNOWN_ID + rb"[\0-\x03]....[\x80-\xff].." + _KNOWN_ID + rb"...\0)++)")
_LONGEST_NAME = 255


@dataclass(slots=True)
class SkinNode:
    """Appearance of one block."""

    class_id: int
    skin: BlockSkin | None = None


def _skin(r: BodyReader, node: SkinNode) -> None:
    node.skin = BlockSkin(r.string(), r.file_reference(), r.file_reference())


SKIN_TYPE = NodeType(SkinNode, {BLOCK_SKIN + 2: _skin})


Skins = dict[int, BlockSkin | None]


def read_blocks(r: BodyReader, *, has_wide_flags: bool) -> tuple[Block, ...]:
    """Read the number of blocks and the blocks.

    Raises:
        GbxError: a block faces nowhere, or uses an id or a skin that does not exist.
    """
    layout = _PLACE if has_wide_flags else _PLACE_NARROW
    count = r.records("blocks", 4 + layout.size)
    if has_wide_flags and r.may_batch:
        return _blocks_in_runs(r, count)
    skins: Skins = {}
    return tuple([_block(r, layout, skins) for _ in range(count)])


def _blocks_in_runs(r: BodyReader, count: int) -> tuple[Block, ...]:
    """Read ``count`` blocks; those without skin in columns, from which all of them are made at once."""
    data, end = r.data, r.end
    ids = r.ids if r.ids is not None else [""]  # the map's own name came before
    skins: Skins = {}
    names: list[str] = []
    rows = bytearray()
    others: list[tuple[int, list[Block]]] = []  # with the number of plain blocks in front
    left = count
    while left > 0:
        start = r.pos
        run = _PLAIN_RUN.match(data, start, end)
        if run is not None:
            stop = min(run.end(), start + left * _PLAIN_BYTES)
            numbers = data[start:stop:_PLAIN_BYTES]
            if max(numbers) >= len(ids):
                _refuse_unknown_id(r)
            names += map(ids.__getitem__, numbers)
            rows += data[start:stop]
            r.pos = stop
            left -= len(numbers)
        elif _is_plain_with_new_name(r, ids):
            names.append(ids[-1])
            rows += data[r.pos - _PLAIN_BYTES : r.pos]
            left -= 1
        else:
            run = _SKINNED_RUN.match(data, start, end)
            found = [] if run is None else _skinned_blocks(r, run.end(), left, skins)
            found = found or [_block(r, _PLACE, skins)]
            others.append((len(names), found))
            left -= len(found)
    flags = np.frombuffer(rows, "<u4")[2::3].tolist()
    columns = zip(
        names, rows[4::12], rows[5::12], rows[6::12], rows[7::12], flags, repeat(""), repeat(None), strict=False
    )
    plain = map(tuple.__new__, repeat(Block), columns)  # a named tuple's own constructor takes twice as long
    blocks: list[Block] = []
    done = 0
    for before, found in others:
        blocks += islice(plain, before - done)
        blocks += found
        done = before
    blocks += plain
    return tuple(blocks)


def _is_plain_with_new_name(r: BodyReader, ids: list[str]) -> bool:
    """Step over a block without skin and define its name; stay in place before any other block."""
    data, start = r.data, r.pos
    if start + 8 > r.end:
        return False
    word, size = _TWO_WORDS(data, start)
    middle = start + 8 + size
    stop = middle + _PLACE.size
    if word != NEW_ID or size > _LONGEST_NAME or stop > r.end or data[middle] > 3 or data[middle + 5] > 0x7F:
        return False
    name = data[start + 8 : middle]
    if not name.isascii() or len(ids) > limits.IDS:
        return False
    ids.append(name.decode())
    r.pos = stop
    return True


def _refuse_unknown_id(r: BodyReader) -> None:
    """Read blocks without skin one by one, up to the one whose id is not defined."""
    while True:
        _block(r, _PLACE, {})


def _skinned_blocks(r: BodyReader, stop: int, most: int, skins: Skins) -> list[Block]:
    """Read up to ``most`` blocks whose name, author and skin are known; stop at the first that brings something new."""
    start, ids, size = r.pos, r.ids or [], _SKINNED_BYTES
    if _INT(r.data, start + size - 4)[0] not in skins:
        return []
    rows = r.data[start : min(stop, start + most * size)]
    words = np.frombuffer(rows, "<u4")
    is_defined = len(ids).__gt__
    names = map(ids.__getitem__, takewhile(is_defined, rows[::size]))
    authors = map(ids.__getitem__, takewhile(is_defined, rows[12::size]))
    looks = map(skins.__getitem__, takewhile(skins.__contains__, words[4::5].tolist()))
    flags = words[2::5].tolist()
    columns = zip(
        names, rows[4::size], rows[5::size], rows[6::size], rows[7::size], flags, authors, looks, strict=False
    )
    blocks = list(map(tuple.__new__, repeat(Block), columns))
    r.pos = start + len(blocks) * size
    return blocks


def _block(r: BodyReader, layout: struct.Struct, skins: Skins) -> Block:
    """Read one block of any kind; a skin is noted under its node's number."""
    name = r.id()
    start = r.pos
    r.skip(layout.size)
    direction, x, y, z, flags = layout.unpack_from(r.data, start)
    if direction > 3 and flags != PLACEHOLDER:
        r.fail(f"block {name} has direction {direction}, expected 0 to 3", at=start)
    if not flags & SKIN_FLAG:
        return Block(name, direction, x, y, z, flags)
    author = r.id()
    start = r.pos
    node = r.node(SkinNode)
    skin = None if node is None else node.skin
    skins[_INT(r.data, start)[0]] = skin
    return Block(name, direction, x, y, z, flags, author, skin)
