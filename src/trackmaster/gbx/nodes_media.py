"""Chunks of MediaTracker clips, tracks and blocks; what matters are their times and the ghosts they carry."""

import struct
from dataclasses import dataclass, field

from trackmaster.gbx import limits
from trackmaster.gbx.classes import CLIP, CLIP_GROUP, EFFECT, MEDIA_TRACK
from trackmaster.gbx.nodes import BodyReader, ChunkReader, NodeType, SkippedNode
from trackmaster.gbx.nodes_ghost import GhostNode

_FLOAT = struct.Struct("<f").unpack_from
_CELL = struct.Struct("<3i")


@dataclass(slots=True)
class EffectNode:
    """An effect that places a text or image on the screen; its keys decide how long it shows."""

    class_id: int
    start_s: float | None = None
    end_s: float | None = None


@dataclass(slots=True)
class BlockNode:
    """One block of a MediaTracker track."""

    class_id: int
    start_s: float | None = None
    end_s: float | None = None
    ghost: GhostNode | None = None
    effect: EffectNode | None = None
    text: str = ""

    def span(self, start_s: float, end_s: float) -> None:
        """Widen the block's time to hold these."""
        self.start_s = start_s if self.start_s is None else min(self.start_s, start_s)
        self.end_s = end_s if self.end_s is None else max(self.end_s, end_s)


@dataclass(slots=True)
class TrackNode:
    """A MediaTracker track."""

    class_id: int
    name: str = ""
    blocks: list[BlockNode] = field(default_factory=list)
    is_keep_playing: bool = False
    is_read_only: bool = False


@dataclass(slots=True)
class ClipNode:
    """A MediaTracker clip."""

    class_id: int
    name: str = ""
    tracks: list[TrackNode] = field(default_factory=list)
    local_player: int = -1


@dataclass(slots=True)
class TriggerNode:
    """When a clip of a group plays."""

    cells: tuple[tuple[int, int, int], ...] = ()
    condition: int = 0
    value: float = 0.0


@dataclass(slots=True)
class ClipGroupNode:
    """Clips with their triggers."""

    class_id: int
    clips: list[ClipNode] = field(default_factory=list)
    triggers: list[TriggerNode] = field(default_factory=list)


def _span(r: BodyReader, block: BlockNode) -> None:
    start_s, end_s = r.floats(2)
    block.span(start_s, end_s)


def _keys(payload: int) -> ChunkReader:
    """Return a reader of keys: each a time in seconds and ``payload`` bytes."""

    def read(r: BodyReader, block: BlockNode | EffectNode) -> None:
        _read_keys(r, block, payload)

    return read


def _read_keys(r: BodyReader, block: BlockNode | EffectNode, payload: int) -> None:
    step = 4 + payload
    count = r.count("keys", step, limits.RECORDS)  # refuses more than fit, so all of them are there
    if count:
        start = r.pos
        r.pos += count * step
        block.start_s, block.end_s = _FLOAT(r.data, start)[0], _FLOAT(r.data, r.pos - step)[0]


def _span_and(extra: int) -> ChunkReader:
    def read(r: BodyReader, block: BlockNode) -> None:
        _span(r, block)
        r.skip(extra)

    return read


def _camera_game(r: BodyReader, block: BlockNode) -> None:
    _span(r, block)
    r.id()
    r.i32()


def _fade(r: BodyReader, block: BlockNode) -> None:
    _read_keys(r, block, 4)
    r.skip(16)


def _text(r: BodyReader, block: BlockNode) -> None:
    block.text = r.string()
    block.effect = r.node(EffectNode)


def _image(r: BodyReader, block: BlockNode) -> None:
    block.effect = r.node(EffectNode)
    r.file_reference()


def _sound(r: BodyReader, block: BlockNode) -> None:
    r.file_reference()
    version = r.i32()
    _read_keys(r, block, 8 + (12 if version >= 1 else 0))


def _sound_options(r: BodyReader, _block: BlockNode) -> None:
    version = r.i32()
    r.i32()
    r.boolean()
    r.boolean()
    if version >= 1:
        r.boolean()
    if version >= 2:
        r.boolean()
        r.i32()


def _sound_old(r: BodyReader, block: BlockNode) -> None:
    r.file_reference()
    _read_keys(r, block, 8)


def _effect(version: int) -> ChunkReader:
    payload = 20 + (4 if version >= 1 else 0) + (4 if version >= 2 else 0) + (16 if version >= 3 else 0)

    def read(r: BodyReader, effect: EffectNode) -> None:
        _read_keys(r, effect, payload)
        r.boolean()
        if version >= 4:
            r.i32()
            r.boolean()
        if version >= 5:
            r.boolean()

    return read


def _ghost_block(r: BodyReader, block: BlockNode) -> None:
    _span(r, block)
    block.ghost = r.node(GhostNode)
    r.f32()


def _triangles(r: BodyReader, block: BlockNode) -> None:
    count = r.count("keys", 4, limits.RECORDS)
    start = r.pos
    r.skip(4 * count)
    if count:
        block.span(_FLOAT(r.data, start)[0], _FLOAT(r.data, r.pos - 4)[0])
    keys, vertices = r.u32(), r.u32()
    r.skip(12 * keys * vertices)
    r.skip(16 * r.count("colours", 16, limits.RECORDS))
    r.skip(12 * r.count("triangles", 12, limits.RECORDS))
    r.skip(12 + 4 + 4 + 8)


def _one_number(r: BodyReader, _block: BlockNode) -> None:
    r.i32()


def _skip(size: int) -> ChunkReader:
    def read(r: BodyReader, _node: object) -> None:
        r.skip(size)

    return read


def _track(r: BodyReader, track: TrackNode) -> None:
    track.name = r.string()
    track.blocks = r.nodes_of(BlockNode, "MediaTracker blocks")
    r.i32()


def _track_flag(r: BodyReader, track: TrackNode) -> None:
    track.is_keep_playing = r.boolean()


def _track_read_only(r: BodyReader, track: TrackNode) -> None:
    track.is_read_only = r.boolean()


def _track_flags(r: BodyReader, track: TrackNode) -> None:
    track.is_keep_playing, track.is_read_only = r.boolean(), r.boolean()


def _clip(r: BodyReader, clip: ClipNode) -> None:
    clip.tracks = r.nodes_of(TrackNode, "MediaTracker tracks")
    clip.name = r.string()


def _clip_old(r: BodyReader, clip: ClipNode) -> None:
    _clip(r, clip)
    r.boolean()


def _clip_scene(r: BodyReader, _clip_node: ClipNode) -> None:
    r.node(SkippedNode)


def _clip_player(r: BodyReader, clip: ClipNode) -> None:
    clip.local_player = r.i32()


def _group(version: int) -> ChunkReader:
    def read(r: BodyReader, group: ClipGroupNode) -> None:
        group.clips = r.nodes_of(ClipNode, "MediaTracker clips")
        least = 4 if version == 1 else 20 if version == 2 else 28
        start, count = r.pos, r.count("triggers", least, limits.NODES)
        if count != len(group.clips):
            r.fail(f"a clip group has {len(group.clips)} clips but {count} triggers", at=start)
        group.triggers = [_trigger(r, version) for _ in range(count)]

    return read


def _trigger(r: BodyReader, version: int) -> TriggerNode:
    trigger = TriggerNode()
    if version == 3:
        r.ints(4)
        trigger.condition, trigger.value = r.i32(), r.f32()
    cells = r.take(_CELL.size * r.records("trigger cells", _CELL.size))
    trigger.cells = tuple(_CELL.iter_unpack(cells))
    if version == 2:
        r.ints(4)
    return trigger


def _media_block(chunks: dict[int, ChunkReader]) -> NodeType:
    return NodeType(BlockNode, chunks)


MEDIA_TYPES: dict[int, NodeType] = {
    CLIP: NodeType(
        ClipNode, {CLIP + 2: _clip_old, CLIP + 3: _clip, CLIP + 4: _clip_scene, CLIP + 5: _clip, CLIP + 7: _clip_player}
    ),
    CLIP_GROUP: NodeType(ClipGroupNode, {CLIP_GROUP + version: _group(version) for version in (1, 2, 3)}),
    MEDIA_TRACK: NodeType(
        TrackNode,
        {
            MEDIA_TRACK + 1: _track,
            MEDIA_TRACK + 2: _track_flag,
            MEDIA_TRACK + 3: _track_read_only,
            MEDIA_TRACK + 4: _track_flags,
        },
    ),
    EFFECT: NodeType(EffectNode, {EFFECT + version: _effect(version) for version in range(6)}),
    0x030A2000: _media_block({0x030A2001: _keys(76), 0x030A2002: _keys(92), 0x030A2005: _keys(92)}),
    0x030A1000: _media_block({0x030A1000 + version: _keys(76) for version in range(3)}),
    0x030A0000: _media_block({0x030A0000: _keys(36)}),
    0x03084000: _media_block({0x03084000: _span_and(4), 0x03084001: _span_and(8), 0x03084003: _camera_game}),
    0x030AB000: _media_block({0x030AB000: _fade}),
    0x030A8000: _media_block({0x030A8001: _text, 0x030A8002: _skip(12), 0x030A8003: _skip(4)}),
    0x030A5000: _media_block({0x030A5000: _image, 0x030A5001: _skip(4)}),
    0x030A7000: _media_block({0x030A7001: _sound_old, 0x030A7003: _sound_options, 0x030A7004: _sound}),
    0x030A6000: _media_block({0x030A6000: _keys(4), 0x030A6001: _keys(8)}),
    0x03080000: _media_block({0x03080003: _keys(112)}),
    0x03081000: _media_block({0x03081001: _keys(12)}),
    0x03082000: _media_block({0x03082000: _span}),
    0x03083000: _media_block({0x03083001: _keys(8)}),
    0x03139000: _media_block({0x03139000: _span}),
    0x0307D000: _media_block({0x0307D001: _span}),
    0x030A9000: _media_block({0x030A9000: _span}),
    0x030A4000: _media_block({0x030A4000: _keys(8)}),
    0x03085000: _media_block({0x03085000: _keys(8)}),
    0x03024000: _media_block({0x03024000: _keys(8)}),
    0x030E5000: _media_block({0x030E5001: _ghost_block}),
    0x03029000: _media_block({0x03029001: _triangles, 0x03029002: _one_number}),
}
