"""The mirror image of the reader: values, ids and the outer shell of a file."""

import struct
from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

from lzallright import LZOCompressor

from trackmaster.gbx import limits
from trackmaster.gbx.container import HEAVY, MAGIC
from trackmaster.gbx.errors import WriteError
from trackmaster.gbx.nodes import END_OF_NODE, LIST_VERSION, SKIPPABLE
from trackmaster.gbx.reader import EMPTY_ID, ID_VERSION, NEW_ID, UID_ID, FileReference, Ident

CONTAINER_VERSION = 6
DEFAULT_GAME_VERSION = "2.11.26"
"""That of TMNF, for files of ours that name no program."""

_KINDS = {"B": "a byte", "I": "an unsigned number of 32 bits", "i": "a signed number of 32 bits", "f": "a float"}


def attribute(text: str) -> str:
    """Return the value of an XML attribute in double quotes, the only ones the game's headers have."""
    return f'"{escape(text, _ESCAPES)}"'


_ESCAPES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


class ByteWriter:
    """Collects little-endian values, with one id dictionary and one count of nodes."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.nodes = 0
        self._ids: dict[str, int] | None = None

    def u8(self, value: int) -> None:
        """Write an unsigned byte."""
        self._pack("B", value)

    def u32(self, *values: int) -> None:
        """Write unsigned 32-bit numbers."""
        self._pack("I", *values)

    def i32(self, *values: int) -> None:
        """Write signed 32-bit numbers."""
        self._pack("i", *values)

    def f32(self, *values: float) -> None:
        """Write 32-bit floats."""
        self._pack("f", *values)

    def _pack(self, kind: str, *values: float) -> None:
        try:
            self.out += struct.pack(f"<{len(values)}{kind}", *values)
        except (struct.error, OverflowError):
            shown = ", ".join(map(repr, values[:8]))
            raise WriteError(f"among {shown} is a value that does not fit {_KINDS[kind]}; change it first") from None

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.out += data

    def blob(self, data: bytes) -> None:
        """Write bytes behind their length."""
        self.u32(len(data))
        self.out += data

    def string(self, text: str) -> None:
        """Write text behind its length in bytes."""
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            raise WriteError(f"the text {text[:80]!r} has characters that no file can hold; take them out") from None
        if len(data) > limits.TEXT_BYTES:
            raise WriteError(f"a text of {len(data)} bytes does not fit into a file; shorten it") from None
        self.blob(data)

    def id(self, text: str, kind: int = NEW_ID) -> None:
        """Write an id; ``kind`` is ``NEW_ID``, or ``UID_ID`` for uids and logins."""
        if self._ids is None:
            self._ids = {}
            self.u32(ID_VERSION)
        if not text:
            self.u32(EMPTY_ID)
        elif text in self._ids:
            self.u32(NEW_ID | self._ids[text])
        else:
            self._ids[text] = len(self._ids) + 1
            self.u32(kind)
            self.string(text)

    def ident(self, ident: Ident, *, is_own: bool = False) -> None:
        """Write three ids; ``is_own`` marks a uid and a login rather than names the game ships with."""
        kind = UID_ID if is_own else NEW_ID
        self.id(ident.id, kind)
        self.id(ident.collection)
        self.id(ident.author, kind)

    def file_reference(self, reference: FileReference) -> None:
        """Write a reference to a file."""
        self.u8(reference.version)
        if reference.version >= 3:
            if len(reference.checksum) != 32:
                raise WriteError(
                    f"the reference to {reference.path!r} has a checksum of {len(reference.checksum)} bytes, its "
                    f"version {reference.version} asks for 32; give them, or version 2"
                )
            self.raw(reference.checksum)
        self.string(reference.path)
        if reference.version >= 3 or (reference.path and reference.version >= 1):
            self.string(reference.url)

    def chunk(self, chunk_id: int) -> None:
        """Begin a chunk that does not say its size."""
        self.u32(chunk_id)

    def skippable(self, chunk_id: int, body: "ByteWriter") -> None:
        """Write a chunk that says its size; ``body`` must hold no ids and no nodes."""
        self.u32(chunk_id, SKIPPABLE)
        self.blob(bytes(body.out))

    def skippable_i32(self, chunk_id: int, *values: int) -> None:
        """Write a chunk of signed numbers that says its size."""
        body = ByteWriter()
        body.i32(*values)
        self.skippable(chunk_id, body)

    def begin_node(self, class_id: int) -> None:
        """Begin a node that is written in place."""
        self.nodes += 1
        self.u32(self.nodes, class_id)

    def end_node(self) -> None:
        """End a node."""
        self.u32(END_OF_NODE)

    def no_node(self, count: int = 1) -> None:
        """Write ``count`` empty node references."""
        self.i32(*[-1] * count)

    def list_head(self, count: int) -> None:
        """Begin a list of nodes."""
        self.u32(LIST_VERSION, count)


class HeaderPart(NamedTuple):
    """One header chunk to be written."""

    chunk_id: int
    data: bytes
    is_heavy: bool = False


def pack_body(node_count: int, body: bytes, *, compress: bool) -> bytes:
    """Return everything behind the header chunks: node count, no external references, body.

    Args:
        node_count: nodes used plus one.
        body: the main node's chunks with their end mark.
        compress: LZO as the game does, or stored.
    """
    if len(body) > limits.BODY_BYTES:
        raise WriteError(
            f"the body would have {len(body)} bytes, at most {limits.BODY_BYTES} are read back; write less"
        )
    head = struct.pack("<II", node_count, 0)
    if not compress:
        return head + body
    packed = bytes(LZOCompressor().compress(body))
    return head + struct.pack("<II", len(body), len(packed)) + packed


def pack_file(class_id: int, header: Iterable[HeaderPart], body: ByteWriter, *, compress: bool) -> bytes:
    """Return a complete .Gbx file.

    Args:
        class_id: of the main node.
        header: header chunks in order.
        body: the main node's chunks with their end mark.
        compress: LZO as the game does, or stored.
    """
    parts = list(header)
    size, most = sum(len(part.data) for part in parts), limits.HEADER_BYTES - 8 * limits.HEADER_CHUNKS
    if size > most:
        raise WriteError(f"the header would have {size} bytes, at most {most} are read back; take a smaller picture")
    table = b"".join(struct.pack("<II", p.chunk_id, len(p.data) | (HEAVY if p.is_heavy else 0)) for p in parts)
    user = struct.pack("<I", len(parts)) + table + b"".join(p.data for p in parts) if parts else b""
    head = MAGIC + struct.pack("<H", CONTAINER_VERSION) + (b"BUCR" if compress else b"BUUR")
    shell = head + struct.pack("<II", class_id, len(user)) + user
    return shell + pack_body(body.nodes + 1, bytes(body.out), compress=compress)
