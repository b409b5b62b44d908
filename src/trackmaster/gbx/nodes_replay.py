"""Chunks of a replay (class 0x03093000): a map, ghosts, a clip and, in TMU, race events."""

from dataclasses import dataclass, field

from trackmaster.gbx import limits
from trackmaster.gbx.classes import EVENTS, REPLAY
from trackmaster.gbx.nodes import BodyReader, NodeType, SkippedNode
from trackmaster.gbx.nodes_ghost import GhostNode
from trackmaster.gbx.nodes_media import ClipNode


@dataclass(slots=True)
class ReplayNode:
    """A replay while it is being read."""

    class_id: int
    map_bytes: bytes = b""
    ghosts: list[GhostNode] = field(default_factory=list)
    clip: ClipNode | None = None


def _map(r: BodyReader, node: ReplayNode) -> None:
    node.map_bytes = r.blob()


def _ghosts(r: BodyReader, node: ReplayNode) -> None:
    node.ghosts = r.nodes_of(GhostNode, "ghosts")
    r.u32()
    r.skip(8 * r.count("extras", 8, limits.RECORDS))


def _ghosts_tmu(r: BodyReader, node: ReplayNode) -> None:
    r.i32()
    _ghosts(r, node)


def _number(r: BodyReader, _node: ReplayNode) -> None:
    r.i32()


def _clip(r: BodyReader, node: ReplayNode) -> None:
    node.clip = r.node(ClipNode)


def _race_events(r: BodyReader, _node: ReplayNode) -> None:
    r.node(SkippedNode)


def _nothing(_r: BodyReader, _node: ReplayNode) -> None:
    """An empty chunk."""


def _event_list(r: BodyReader, _node: SkippedNode) -> None:
    r.floats(2)
    r.boolean()
    for _ in range(r.records("race events", 13)):
        _event(r)


def _event(r: BodyReader) -> None:
    """Read one race event of the TMU era; nothing but its extent is used."""
    r.f32()
    version = r.u8()
    if not 1 <= version <= 3:
        r.fail(f"a race event has version {version}, expected 1 to 3", at=r.pos - 1)
    if version >= 3:
        r.u8()
    else:
        r.i32()
    kind = r.i32()
    if kind == 0:
        r.skip(12 + 4 + 16 + 8)
    elif kind == 1:
        r.skip(16 if r.i32() == 0 else 0)
    elif kind == 2:
        r.skip(12 if r.i32() < 2 else 0)
        r.skip(4 if version >= 2 else 0)
    elif kind == 3:
        r.skip(8 if r.i32() == 0 else 0)
    else:
        r.fail(f"a race event is of kind {kind}, expected 0 to 3", at=r.pos - 4)


REPLAY_TYPE = NodeType(
    ReplayNode,
    {
        REPLAY + 0x02: _map,
        REPLAY + 0x04: _ghosts_tmu,
        REPLAY + 0x07: _number,
        REPLAY + 0x0C: _clip,
        REPLAY + 0x0E: _race_events,
        REPLAY + 0x10: _race_events,
        REPLAY + 0x11: _nothing,
        REPLAY + 0x14: _ghosts,
        REPLAY + 0x15: _clip,
    },
)

EVENTS_TYPE = NodeType(SkippedNode, {EVENTS + 3: _event_list})
