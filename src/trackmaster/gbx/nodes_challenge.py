"""Chunks of a map (class 0x03043000) and of the small nodes it holds."""

import struct
from dataclasses import dataclass

from trackmaster.gbx import limits
from trackmaster.gbx.block import Block
from trackmaster.gbx.classes import BLOCK_SKIN, CHALLENGE, COLLECTOR_LIST, PARAMETERS, UNLIMITER
from trackmaster.gbx.nodes import BodyReader, NodeType
from trackmaster.gbx.nodes_block import SKIN_TYPE, read_blocks
from trackmaster.gbx.nodes_media import ClipGroupNode, ClipNode
from trackmaster.gbx.reader import NO_IDENT, FileReference, Ident

CAMERA_BYTES = 61
"""A byte, a rotation matrix, a position, field of view, near and far plane."""
_CELL = struct.Struct("<3i")


@dataclass(slots=True)
class CollectorsNode:
    """Which blocks a puzzle map offers."""

    class_id: int
    blocks: tuple[tuple[Ident, int], ...] = ()


@dataclass(slots=True)
class ParametersNode:
    """Medals, tips and limits of a map."""

    class_id: int
    tips: tuple[str, ...] = ()
    medals_ms: tuple[int, int, int, int] = (-1, -1, -1, -1)
    time_limit_ms: int = 60_000
    author_score: int = 0


@dataclass(slots=True)
class ChallengeNode:
    """A map while it is being read."""

    class_id: int
    vehicle: Ident = NO_IDENT
    collectors: CollectorsNode | None = None
    parameters: ParametersNode | None = None
    kind: int = 8
    cp_cells: tuple[tuple[int, int, int], ...] = ()
    is_multilap: bool = False
    laps: int = 1
    mod: FileReference | None = None
    mode: int = 0
    ident: Ident | None = None
    name: str = ""
    decoration: Ident = NO_IDENT
    size: tuple[int, int, int] = (32, 32, 32)
    is_locked: bool = False
    blocks: tuple[Block, ...] = ()
    is_unlimiter: bool = False
    intro: ClipNode | None = None
    ingame: ClipGroupNode | None = None
    endrace: ClipGroupNode | None = None
    ambient: ClipNode | None = None
    music: FileReference | None = None
    origin: tuple[float, ...] = (0.0, 0.0)
    target: tuple[float, ...] = (0.0, 0.0)
    picture_camera: bytes | None = None
    comments: str = ""
    password_hash: bytes = b""
    is_simple_editor: bool = False


def _vehicle(r: BodyReader, node: ChallengeNode) -> None:
    node.vehicle = r.ident()


def _contents(r: BodyReader, node: ChallengeNode) -> None:
    node.collectors = r.node(CollectorsNode)
    node.parameters = r.node(ParametersNode)
    node.kind = r.u32()


def _checkpoints(r: BodyReader, node: ChallengeNode) -> None:
    node.cp_cells = tuple(_CELL.iter_unpack(r.take(_CELL.size * r.records("checkpoints", _CELL.size))))


def _laps(r: BodyReader, node: ChallengeNode) -> None:
    node.is_multilap, node.laps = r.boolean(), r.i32()


def _mod(r: BodyReader, node: ChallengeNode) -> None:
    mod = r.file_reference()
    node.mod = mod if mod.path else None


def _mode(r: BodyReader, node: ChallengeNode) -> None:
    node.mode = r.i32()


def _blocks(r: BodyReader, node: ChallengeNode) -> None:
    node.ident = r.ident()
    node.name = r.string()
    node.decoration = r.ident()
    x, y, z = r.ints(3)
    node.size = (x, y, z)
    node.is_locked = r.boolean()
    version = r.u32()
    if version > 1:
        r.fail(f"the block list has version {version}, expected 0 or 1", at=r.pos - 4)
    node.blocks = read_blocks(r, has_wide_flags=version == 1)


def _unlimiter(r: BodyReader, node: ChallengeNode) -> None:
    node.is_unlimiter = True
    r.pos = r.end


def _clips(r: BodyReader, node: ChallengeNode) -> None:
    start = r.pos
    node.intro = r.node(ClipNode)
    r.mark("intro", start)
    node.ingame = r.node(ClipGroupNode)
    node.endrace = r.node(ClipGroupNode)
    r.mark("clips", start)


def _number(r: BodyReader, _node: ChallengeNode) -> None:
    r.i32()


def _music(r: BodyReader, node: ChallengeNode) -> None:
    music = r.file_reference()
    node.music = music if music.path else None


def _picture(r: BodyReader, node: ChallengeNode) -> None:
    node.origin, node.target = r.floats(2), r.floats(2)


def _ambient(r: BodyReader, node: ChallengeNode) -> None:
    node.ambient = r.node(ClipNode)


def _camera(r: BodyReader, node: ChallengeNode) -> None:
    node.picture_camera = r.take(CAMERA_BYTES) if r.boolean() else None
    node.comments = r.string()


def _password(r: BodyReader, node: ChallengeNode) -> None:
    node.password_hash = r.take(16)
    r.u32()


def _simple_editor(r: BodyReader, node: ChallengeNode) -> None:
    node.is_simple_editor = r.boolean()


def _collectors(r: BodyReader, node: CollectorsNode) -> None:
    node.blocks = tuple((r.ident(), r.i32()) for _ in range(r.records("collectors", 16)))


def _tips(r: BodyReader, node: ParametersNode) -> None:
    node.tips = tuple(r.string() for _ in range(4))


def _medals(r: BodyReader, node: ParametersNode) -> None:
    bronze, silver, gold, author = r.ints(4)
    node.medals_ms = (bronze, silver, gold, author)
    r.u32()


def _limits(r: BodyReader, node: ParametersNode) -> None:
    node.time_limit_ms, node.author_score = r.i32(), r.i32()


def _twelve_bytes(r: BodyReader, _node: ParametersNode) -> None:
    r.skip(12)


def _numbers(r: BodyReader, _node: ParametersNode) -> None:
    r.skip(4 * r.count("numbers", 4, limits.RECORDS))


CHALLENGE_TYPE = NodeType(
    ChallengeNode,
    {
        CHALLENGE + 0x0D: _vehicle,
        CHALLENGE + 0x11: _contents,
        CHALLENGE + 0x17: _checkpoints,
        CHALLENGE + 0x18: _laps,
        CHALLENGE + 0x19: _mod,
        CHALLENGE + 0x1C: _mode,
        CHALLENGE + 0x1F: _blocks,
        CHALLENGE + 0x21: _clips,
        CHALLENGE + 0x22: _number,
        CHALLENGE + 0x24: _music,
        CHALLENGE + 0x25: _picture,
        CHALLENGE + 0x26: _ambient,
        CHALLENGE + 0x28: _camera,
        CHALLENGE + 0x29: _password,
        CHALLENGE + 0x2A: _simple_editor,
        **{UNLIMITER + version: _unlimiter for version in range(16)},
    },
)

CHALLENGE_PART_TYPES = {
    COLLECTOR_LIST: NodeType(CollectorsNode, {COLLECTOR_LIST: _collectors}),
    BLOCK_SKIN: SKIN_TYPE,
    PARAMETERS: NodeType(
        ParametersNode,
        {
            PARAMETERS + 1: _tips,
            PARAMETERS + 4: _medals,
            PARAMETERS + 5: _twelve_bytes,
            PARAMETERS + 6: _numbers,
            PARAMETERS + 8: _limits,
        },
    ),
}
