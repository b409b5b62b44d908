"""Taking the MediaTracker clips out of a copy of a map, so that the game starts the countdown at once."""

from trackmaster.gbx.classes import CHALLENGE, class_name
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.errors import GbxError
from trackmaster.gbx.reader import EMPTY_ID
from trackmaster.gbx.registry import REGISTRY
from trackmaster.gbx.trace import Trace, TracingReader
from trackmaster.gbx.writer import pack_body

ALL_CLIPS = "clips"
INTRO = "intro"
_NOTHING = b"\xff\xff\xff\xff"
_INDEX_MASK = 0x3FFFFFFF


def strip_intro_clips(map_bytes: bytes, *, only_intro: bool = False, name: str = "map") -> bytes:
    """Return the map without its intro, in-game and end-of-race clips; uid, blocks and header stay as they are.

    Everything else is copied byte for byte, except that ids and node numbers are counted anew.

    Args:
        map_bytes: a complete .Challenge.Gbx file.
        only_intro: keep the in-game and end-of-race clips.
        name: what error messages call the map.

    Returns:
        The new file; the very same bytes if there is nothing to take out.

    Raises:
        GbxError: damaged, no map, or something outside the clips refers into them.
    """
    shell = read_shell(map_bytes, name)
    if shell.class_id != CHALLENGE:
        raise GbxError(name, f"the file holds a {class_name(shell.class_id)}, expected a map", advice="Give a map")
    body = read_body(map_bytes, shell, name)
    reader = TracingReader(body, name, REGISTRY)
    trace = reader.trace
    reader.main_node(shell.class_id)
    span = trace.spans.get(INTRO if only_intro else ALL_CLIPS)
    if span is None or set(body.data[span[0] : span[1]]) == {0xFF}:
        return map_bytes
    if body.external_nodes or trace.is_nested:
        raise GbxError(name, "the map's clips cannot be taken out of a file built like this",
                       advice="Use the map as it is")  # fmt: skip
    stripped, nodes = _Renumbering(body.data, trace, name).without(span, 1 if only_intro else 3)
    return map_bytes[: shell.header_end] + pack_body(nodes + 1, stripped, compress=shell.is_packed)


class _Renumbering:
    """Copies a body and counts ids and nodes anew while a stretch of it is left out."""

    def __init__(self, data: bytes, trace: Trace, name: str) -> None:
        self._data = data
        self._name = name
        self._tokens = sorted(
            [(start, end, text, word) for start, end, text, word in trace.ids]
            + [(start, start + 4, None, number) for start, number, _ in trace.nodes]
        )
        self._old_ids: list[str] = []
        self._new_ids: dict[int, int] = {}
        self._new_nodes: dict[int, int] = {}
        self._definitions = {number: start for start, number, is_new in trace.nodes if is_new}

    def without(self, span: tuple[int, int], references: int) -> tuple[bytes, int]:
        """Return the body with empty references instead of ``span``, and its number of nodes."""
        out = bytearray()
        copied = 0
        for start, end, text, word in self._tokens:
            is_inside = span[0] <= start < span[1]
            if copied <= span[0] <= start:
                out += self._data[copied : span[0]] + _NOTHING * references
                copied = span[1]
            if text is None:
                token = b"" if is_inside else self._node(start, word)
            else:
                token = self._id(text, word, is_inside=is_inside)
            if not is_inside:
                out += self._data[copied:start] + token
                copied = end
        return bytes(out + self._data[copied:]), len(self._new_nodes)

    def _node(self, start: int, number: int) -> bytes:
        if number == -1:
            return _NOTHING
        if number not in self._new_nodes:
            if self._definitions[number] != start:
                raise GbxError(self._name, f"node {number} lies in a clip but is used outside",
                               advice="Use the map as it is")  # fmt: skip
            self._new_nodes[number] = len(self._new_nodes) + 1
        return self._new_nodes[number].to_bytes(4, "little")

    def _id(self, text: str, word: int, *, is_inside: bool) -> bytes:
        kind, old = word & ~_INDEX_MASK, word & _INDEX_MASK
        if word == EMPTY_ID or kind == 0:
            return word.to_bytes(4, "little")
        if old == 0:
            self._old_ids.append(text)
            old = len(self._old_ids)
        if is_inside:
            return b""
        if old in self._new_ids:
            return (kind | self._new_ids[old]).to_bytes(4, "little")
        self._new_ids[old] = len(self._new_ids) + 1
        raw = text.encode("utf-8")
        return kind.to_bytes(4, "little") + len(raw).to_bytes(4, "little") + raw
