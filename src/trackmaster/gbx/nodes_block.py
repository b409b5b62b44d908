"""The block list of a map: the longest part of most maps, so what is alike is read at once."""

import re
import struct
from dataclasses import dataclass

from trackmaster.gbx import limits
from trackmaster.gbx.block import SKIN_FLAG, Block, BlockSkin
from trackmaster.gbx.classes import BLOCK_SKIN
from trackmaster.gbx.nodes import BodyReader, NodeType
from trackmaster.gbx.reader import ID_INDEX

PLACEHOLDER = 0xFFFFFFFF  # flags of a notice in the shape of a block, on maps of the TMUnlimiter mod

_PLACE, _PLACE_NARROW = struct.Struct("<4BI"), struct.Struct("<4BH")
_PLAIN, _SKINNED = struct.Struct("<I4BI"), struct.Struct("<I4BIIi")
_INT = struct.Struct("<i").unpack_from

# Most blocks bring nothing new: an id seen before, a direction from 0 to 3, x, y, z and flags, and if the flags say so
# the id of an author and the number of a skin seen before.
_KNOWN_ID = rb"(?!...[^\x40\x80]|\0\0\0).{4}"
_RUN = re.compile(
    rb"(?s:"
    rb"((?:" + _KNOWN_ID + rb"[\0-\x03]...(?:.[\0-\x7f]..))+)"
    rb"|((?:" + _KNOWN_ID + rb"[\0-\x03]...(?:.[\x80-\xff]..)" + _KNOWN_ID + rb"...\0)+))"
)


@dataclass(slots=True)
class SkinNode:
    """Appearance of one block."""

    class_id: int
    skin: BlockSkin | None = None


def _skin(r: BodyReader, node: SkinNode) -> None:
    node.skin = BlockSkin(r.string(), r.file_reference(), r.file_reference())


SKIN_TYPE = NodeType(SkinNode, {BLOCK_SKIN + 2: _skin})


def read_blocks(r: BodyReader, *, has_wide_flags: bool) -> tuple[Block, ...]:
    """Read the number of blocks and the blocks.

    Raises:
        GbxError: a block faces nowhere, or uses an id or a skin that does not exist.
    """
    layout = _PLACE if has_wide_flags else _PLACE_NARROW
    count = r.count("blocks", 4 + layout.size, limits.BLOCKS)
    blocks: list[Block] = []
    skins: dict[int, BlockSkin | None] = {}
    can_batch = has_wide_flags and r.may_batch
    while len(blocks) < count:
        run = _RUN.match(r.data, r.pos, r.end) if can_batch else None
        if run is not None:
            read_run = _plain_blocks if run.lastindex == 1 else _skinned_blocks
            blocks += read_run(r, run.end(), count - len(blocks), skins)
        if len(blocks) < count:
            blocks.append(_block(r, layout, skins))
    return tuple(blocks)


def _plain_blocks(r: BodyReader, end: int, most: int, _skins: dict[int, BlockSkin | None]) -> list[Block]:
    """Read up to ``most`` blocks without skin and new name; stop at the first that is not sound."""
    names = r.ids or []
    make = tuple.__new__  # a named tuple's own constructor takes twice as long, and a map has thousands
    blocks: list[Block] = []
    append = blocks.append
    try:
        for word, d, x, y, z, flags in _PLAIN.iter_unpack(
            memoryview(r.data)[r.pos : min(end, r.pos + most * _PLAIN.size)]
        ):
            append(make(Block, (names[(word & ID_INDEX) - 1], d, x, y, z, flags, "", None)))
    except IndexError:
        pass  # an id that is not defined: reading that block alone says where
    r.pos += len(blocks) * _PLAIN.size
    return blocks


def _skinned_blocks(r: BodyReader, end: int, most: int, skins: dict[int, BlockSkin | None]) -> list[Block]:
    """Read up to ``most`` blocks whose name, author and skin are known; stop at the first that brings something new."""
    names = r.ids or []
    make = tuple.__new__
    blocks: list[Block] = []
    append = blocks.append
    try:
        for word, d, x, y, z, flags, author, number in _SKINNED.iter_unpack(
            memoryview(r.data)[r.pos : min(end, r.pos + most * _SKINNED.size)]
        ):
            name, by = names[(word & ID_INDEX) - 1], names[(author & ID_INDEX) - 1]
            append(make(Block, (name, d, x, y, z, flags, by, skins[number])))
    except (IndexError, KeyError):
        pass
    r.pos += len(blocks) * _SKINNED.size
    return blocks


def _block(r: BodyReader, layout: struct.Struct, skins: dict[int, BlockSkin | None]) -> Block:
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
