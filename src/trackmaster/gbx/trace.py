"""A reader that remembers where ids and node numbers stand, so that a body can be copied without a part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from trackmaster.gbx import limits
from trackmaster.gbx.container import Body
from trackmaster.gbx.nodes import BodyReader, ChunkReader, NodeType

NodeT = TypeVar("NodeT")


@dataclass(slots=True)
class Trace:
    """Where ids and node numbers stand in a body.

    Attributes:
        ids: (offset, end, text, word) of each id in reading order; ``word`` is as stored.
        nodes: (offset, number, is_definition) of each node reference.
        spans: offset range of the references that a reader function marked by name.
        is_nested: whether ids or nodes stand inside a chunk that says its size, which would then be wrong.
    """

    ids: list[tuple[int, int, str, int]] = field(default_factory=list)
    nodes: list[tuple[int, int, bool]] = field(default_factory=list)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_nested: bool = False


class TracingReader(BodyReader):
    """Reads a body like any other and fills ``trace``."""

    may_batch = False

    __slots__ = ("trace",)

    def __init__(self, body: Body, file: str, registry: Mapping[int, NodeType]) -> None:
        super().__init__(body, file, registry)
        self.trace = Trace()

    def id(self) -> str:
        """Read an id and note its place, behind the version number that precedes the first one."""
        start = self.pos + (4 if self.ids is None else 0)
        text = super().id()
        self._count()
        self.trace.ids.append((start, self.pos, text, int.from_bytes(self.data[start : start + 4], "little")))
        return text

    def node(self, expected: type[NodeT]) -> NodeT | None:
        """Read a node reference and note its place."""
        start = self.pos
        number = self.i32()
        self.pos = start
        self._count()
        self.trace.nodes.append((start, number, number != -1 and number not in self.nodes))
        return super().node(expected)

    def _count(self) -> None:
        if len(self.trace.ids) + len(self.trace.nodes) >= limits.TRACED:
            self.fail(f"the map has more than {limits.TRACED} ids and node references", advice="Use the map as it is")

    def mark(self, name: str, start: int) -> None:
        """Note where a field stood."""
        self.trace.spans[name] = (start, self.pos)

    def _skippable(self, read: ChunkReader | None, node: object, chunk_id: int) -> None:
        seen = len(self.trace.ids) + len(self.trace.nodes)
        super()._skippable(read, node, chunk_id)
        if len(self.trace.ids) + len(self.trace.nodes) > seen:
            self.trace.is_nested = True
