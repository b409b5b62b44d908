"""A strict cursor over bytes: every read is checked, every failure names file, region and offset."""

import struct
from typing import NamedTuple, NoReturn

from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget
from trackmaster.gbx.errors import DAMAGED, GbxError

_U16 = struct.Struct("<H").unpack_from
_U32 = struct.Struct("<I").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_F32 = struct.Struct("<f").unpack_from

NEW_ID = 0x40000000
UID_ID = 0x80000000
EMPTY_ID = 0xFFFFFFFF
ID_VERSION = 3
ID_INDEX = 0x3FFFFFFF


class Ident(NamedTuple):
    """Three ids that together name a thing: its own id, its collection (environment) and its author."""

    id: str
    collection: str
    author: str


NO_IDENT = Ident("", "", "")


class FileReference(NamedTuple):
    """A file the game looks up by path or downloads, such as a skin, a mod or a song."""

    path: str
    url: str = ""
    version: int = 2
    checksum: bytes = b""


class ByteReader:
    """Reads little-endian values from ``data[pos:end]`` and refuses to step over the end.

    ``file`` and ``region`` name the place in error messages; ``budget`` is shared by all readers of a file.
    """

    __slots__ = ("budget", "data", "end", "file", "ids", "pos", "region")

    def __init__(
        self,
        data: bytes,
        file: str,
        region: str = "file",
        *,
        pos: int = 0,
        end: int | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end
        self.file = file
        self.region = region
        self.budget = Budget() if budget is None else budget
        self.ids: list[str] | None = None

    def fail(self, found: str, *, advice: str = DAMAGED, at: int | None = None) -> NoReturn:
        """Raise a ``GbxError`` for the byte ``at`` (the current one if not given)."""
        offset = self.pos if at is None else at
        raise GbxError(self.file, found, advice=advice, offset=offset, region=self.region)

    def _cut(self, wanted: int) -> NoReturn:
        self.fail(f"{wanted} more bytes were expected, but {self.end - self.pos} are left")

    def u8(self) -> int:
        """Read an unsigned byte."""
        pos = self.pos
        if pos >= self.end:
            self._cut(1)
        self.pos = pos + 1
        return self.data[pos]

    def u16(self) -> int:
        """Read an unsigned 16-bit number."""
        pos = self.pos
        if pos + 2 > self.end:
            self._cut(2)
        self.pos = pos + 2
        return int(_U16(self.data, pos)[0])

    def u32(self) -> int:
        """Read an unsigned 32-bit number."""
        pos = self.pos
        if pos + 4 > self.end:
            self._cut(4)
        self.pos = pos + 4
        return _U32(self.data, pos)[0]  # type: ignore[no-any-return]

    def i32(self) -> int:
        """Read a signed 32-bit number."""
        pos = self.pos
        if pos + 4 > self.end:
            self._cut(4)
        self.pos = pos + 4
        return _I32(self.data, pos)[0]  # type: ignore[no-any-return]

    def u64(self) -> int:
        """Read an unsigned 64-bit number."""
        pos = self.pos
        if pos + 8 > self.end:
            self._cut(8)
        self.pos = pos + 8
        return int(_U64(self.data, pos)[0])

    def f32(self) -> float:
        """Read a 32-bit float."""
        pos = self.pos
        if pos + 4 > self.end:
            self._cut(4)
        self.pos = pos + 4
        return float(_F32(self.data, pos)[0])

    def floats(self, count: int) -> tuple[float, ...]:
        """Read ``count`` 32-bit floats."""
        pos = self.pos
        self.skip(4 * count)
        return struct.unpack_from(f"<{count}f", self.data, pos)

    def ints(self, count: int) -> tuple[int, ...]:
        """Read ``count`` signed 32-bit numbers."""
        pos = self.pos
        self.skip(4 * count)
        return struct.unpack_from(f"<{count}i", self.data, pos)

    def boolean(self) -> bool:
        """Read a 32-bit truth value; anything but 0 and 1 means that the bytes are not what they seem."""
        value = self.u32()
        if value > 1:
            self.fail(f"a yes/no value is {value}, expected 0 or 1", at=self.pos - 4)
        return value == 1

    def skip(self, count: int) -> None:
        """Step over ``count`` bytes."""
        if count < 0 or self.pos + count > self.end:
            self._cut(count)
        self.pos += count

    def take(self, count: int) -> bytes:
        """Read ``count`` raw bytes."""
        pos = self.pos
        self.skip(count)
        return self.data[pos : pos + count]

    def blob(self) -> bytes:
        """Read raw bytes preceded by their length."""
        return self.take(self.u32())

    def string(self) -> str:
        """Read text preceded by its length in bytes."""
        pos = self.pos + 4
        if pos > self.end:
            self._cut(4)
        data = self.data
        size = _U32(data, pos - 4)[0]
        end = pos + size
        if end > self.end:
            self.fail(f"a text announces {size} bytes, but {self.end - pos} are left", at=pos - 4)
        budget = self.budget
        budget.text_bytes -= size
        if budget.text_bytes < 0:
            self.fail(f"with {size} bytes more, the texts have over {limits.TEXT_BYTES} bytes in all", at=pos - 4)
        self.pos = end
        try:
            return data[pos:end].decode()
        except UnicodeDecodeError as error:
            self.fail(f"a text of {size} bytes is not UTF-8 ({error.reason})", at=pos)

    def count(self, what: str, least_bytes: int, limit: int) -> int:
        """Read how many of ``what`` follow, each of ``least_bytes`` or more; refuse more than fit or than ``limit``."""
        number = self.u32()
        if number > limit:
            self.fail(f"{number} {what} are announced, the limit is {limit}", at=self.pos - 4)
        if number * least_bytes > self.end - self.pos:
            self.fail(
                f"{number} {what} are announced, which do not fit into the {self.end - self.pos} bytes left",
                at=self.pos - 4,
            )
        return number

    def id(self) -> str:
        """Read an id through the dictionary of this scope; "" if unassigned, digits for a numbered collection."""
        ids = self.ids
        if ids is None:
            ids = self._dictionary()
        pos = self.pos
        if pos + 4 > self.end:
            self._cut(4)
        self.pos = pos + 4
        word: int = _U32(self.data, pos)[0]
        if word == EMPTY_ID:
            return ""
        kind, index = word >> 30, word & ID_INDEX
        if kind == 0:
            return str(word)
        if kind == 3:
            self.fail(f"{word:#010x} is no id", at=pos)
        if index == 0:
            if len(ids) > limits.IDS:
                self.fail(f"more than {limits.IDS} ids are defined", at=pos)
            text = self.string()
            ids.append(text)
            return text
        if index >= len(ids):
            self.fail(f"id number {index} is used, but only {len(ids) - 1} are defined so far", at=pos)
        return ids[index]

    def _dictionary(self) -> list[str]:
        """Begin the dictionary of ids, which are counted from 1."""
        version = self.u32()
        if version != ID_VERSION:
            self.fail(f"the id dictionary has version {version}, expected {ID_VERSION}", at=self.pos - 4)
        self.ids = [""]
        return self.ids

    def ident(self) -> Ident:
        """Read the three ids that name a thing."""
        return tuple.__new__(Ident, (self.id(), self.id(), self.id()))

    def file_reference(self) -> FileReference:
        """Read a reference to a file such as a skin or a song."""
        version = self.u8()
        if version > 3:
            self.fail(f"a file reference has version {version}, expected at most 3", at=self.pos - 1)
        checksum = self.take(32) if version >= 3 else b""
        path = self.string()
        url = self.string() if version >= 3 or (path and version >= 1) else ""
        return tuple.__new__(FileReference, (path, url, version, checksum))

    def finish(self, what: str) -> None:
        """Make sure that nothing is left."""
        if self.pos != self.end:
            self.fail(f"{self.end - self.pos} bytes are left over after {what}")
