"""Nodes of a body: chunk lists that refer to each other by number.

A node is read into a plain object of its class; which function reads which chunk is a table per class, so that the
whole format is a set of small functions. Chunks that announce their size (skippable ones) and are not in the table are
stepped over; any other unknown chunk ends the reading, because nobody can know where it stops.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget
from trackmaster.gbx.classes import CLASS_MASK, class_name, modern_id
from trackmaster.gbx.container import Body
from trackmaster.gbx.errors import UNSUPPORTED
from trackmaster.gbx.reader import ByteReader

END_OF_NODE = 0xFACADE01
SKIPPABLE = 0x534B4950
LIST_VERSION = 10
_TWO_WORDS = struct.Struct("<II").unpack_from
_INT = struct.Struct("<i").unpack_from

ChunkReader = Callable[["BodyReader", Any], None]
NodeT = TypeVar("NodeT")


@dataclass(frozen=True, slots=True)
class NodeType:
    """How to read one class of nodes: an empty object to fill and a function per chunk."""

    make: Callable[[int], object]
    chunks: Mapping[int, ChunkReader]


@dataclass(slots=True)
class SkippedNode:
    """A node whose contents nothing here needs; only its extent matters."""

    class_id: int


class BodyReader(ByteReader):
    """Reads the node tree of one body with its own id dictionary and node numbers."""

    may_batch = True
    """Whether chunk readers may read many ids at once, past ``id``."""

    __slots__ = ("depth", "external", "listed", "node_count", "nodes", "registry")

    def __init__(self, body: Body, file: str, registry: Mapping[int, NodeType], budget: Budget | None = None) -> None:
        super().__init__(body.data, file, "unpacked body", budget=budget)
        self.node_count = body.node_count
        self.external = body.external_nodes
        self.registry = registry
        self.nodes: dict[int, object] = {}
        self.depth = 0
        self.listed: set[int] = set()

    def mark(self, name: str, start: int) -> None:
        """Note where a field stood; only of interest to a reader that traces."""

    def records(self, what: str, least_bytes: int) -> int:
        """Read how many of ``what`` follow, which cost far more memory than bytes; all lists of a file share a budget.

        Raises:
            GbxError: more than fit into the rest of the body, or than the budget still allows.
        """
        number = self.count(what, least_bytes, limits.RECORDS)
        self.budget.records -= number
        if self.budget.records < 0:
            self.fail(f"with {number} {what} more than {limits.RECORDS} entries are announced in all", at=self.pos - 4)
        return number

    def main_node(self, class_id: int) -> object:
        """Read the file's main node, which has no number, and make sure that it fills the body.

        Raises:
            GbxError: the bytes contradict the format.
        """
        node_type = self.registry[class_id]
        node = node_type.make(class_id)
        self._chunks(node_type.chunks, node, class_id)
        self.finish("the last node")
        used = len(self.nodes) + len(self.external) + 1
        if used != self.node_count:
            self.fail(f"the body holds {used - 1} nodes, announced were {self.node_count - 1}")
        return node

    def node(self, expected: type[NodeT]) -> NodeT | None:
        """Read a node reference: nothing, a node seen before, or a new one that follows at once.

        Raises:
            GbxError: the reference leads to another class than ``expected``, out of range or back into itself.
        """
        start = self.pos
        if start + 4 > self.end:
            self._cut(4)
        self.pos = start + 4
        number = _INT(self.data, start)[0]
        if number == -1:
            return None
        if number in self.nodes:
            found = self.nodes[number]
        elif number in self.external:
            self.fail(f"node {number} lies in another file, which this reader does not open", at=start)
        else:
            found = self._new_node(number, start)
        if not isinstance(found, expected):
            self.fail(f"node {number} is a {_describe(found)}, expected a {expected.__name__}", at=start)
        return found

    def _new_node(self, number: int, start: int) -> object:
        if not 1 <= number < self.node_count:
            self.fail(f"node {number} is referred to, expected 1 to {self.node_count - 1}", at=start)
        class_id = self.u32()
        node_type = self.registry.get(class_id)
        if node_type is None:
            class_id = modern_id(class_id)
            node_type = self.registry.get(class_id)
        if node_type is None:
            self.fail(f"node {number} is a {class_name(class_id)}, which is not known here", advice=UNSUPPORTED)
        if self.depth >= limits.DEPTH:
            self.fail(f"nodes are nested more than {limits.DEPTH} deep", at=start)
        self.depth += 1
        self.nodes[number] = None
        node = node_type.make(class_id)
        self._chunks(node_type.chunks, node, class_id)
        self.nodes[number] = node
        self.depth -= 1
        return node

    def nodes_of(self, expected: type[NodeT], what: str) -> list[NodeT]:
        """Read a list of node references, none of them empty, behind the list's version number.

        A node has its place in one list only. Lists of lists that share their entries would be a small file with a
        huge content.
        """
        version = self.u32()
        if version != LIST_VERSION:
            self.fail(f"the list of {what} has version {version}, expected {LIST_VERSION}", at=self.pos - 4)
        found = []
        for _ in range(self.count(what, 4, limits.NODES)):
            node = self.node(expected)
            if node is None:
                self.fail(f"the list of {what} has an empty entry", at=self.pos - 4)
            if id(node) in self.listed:
                self.fail(f"a node of the list of {what} is in a list already", at=self.pos - 4)
            self.listed.add(id(node))
            found.append(node)
        return found

    def _chunks(self, readers: Mapping[int, ChunkReader], node: object, class_id: int) -> None:
        """Read the chunks of a node; no chunk that is read comes twice in a real one."""
        data, end, budget = self.data, self.end, self.budget
        seen: set[int] = set()
        while True:
            start = self.pos
            if start + 8 > end:  # only the end mark may stand alone
                if self.u32() == END_OF_NODE:
                    return
                self._cut(8)
            chunk_id, mark = _TWO_WORDS(data, start)
            self.pos = start + 4
            if chunk_id == END_OF_NODE:
                return
            read = readers.get(chunk_id)
            if read is None:
                chunk_id = modern_id(chunk_id)
                read = readers.get(chunk_id)
            if read is not None:
                if chunk_id in seen:
                    self.fail(f"chunk {chunk_id:#010x} comes twice in a {class_name(class_id)}", at=start)
                seen.add(chunk_id)
            budget.chunks -= 1
            if budget.chunks < 0:
                self.fail(f"the nodes have more than {limits.CHUNKS} chunks in all", at=start)
            if mark == SKIPPABLE:
                self._skippable(read, node, chunk_id)
            elif read is not None:
                read(self, node)
            else:
                self.fail(
                    f"chunk {chunk_id:#010x} in a {class_name(class_id)} is not known here and does not say its size",
                    advice=_advice(chunk_id),
                    at=start,
                )

    def _skippable(self, read: ChunkReader | None, node: object, chunk_id: int) -> None:
        self.pos += 4
        size = self.u32()
        start, outer = self.pos, self.end
        end = start + size
        if end > outer:
            self.fail(f"chunk {chunk_id:#010x} announces {size} bytes, but {outer - start} are left", at=start - 4)
        if read is None:
            self.pos = end
            return
        self.end = end
        read(self, node)
        if self.pos != end:
            self.finish(f"chunk {chunk_id:#010x}")
        self.end = outer


def _describe(node: object) -> str:
    return "node that is still being read" if node is None else type(node).__name__


def _advice(chunk_id: int) -> str:
    """A known class means a later game; anything else is more likely damage."""
    engine = chunk_id & CLASS_MASK
    if engine >> 24 in (0x03, 0x24, 0x2E, 0x09, 0x0A):
        return f"Either the file is damaged, or it was saved by another game: {UNSUPPORTED}"
    return "The file is damaged: delete it and download or save it again"
