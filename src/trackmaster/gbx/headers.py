"""Header chunks: name, times, map uid and respawns without unpacking the body."""

import re

from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget
from trackmaster.gbx.classes import CHALLENGE, REPLAY, class_name
from trackmaster.gbx.container import HeaderChunk, Shell
from trackmaster.gbx.errors import UNSUPPORTED
from trackmaster.gbx.models import ChallengeHeader, Medals, ReplayHeader
from trackmaster.gbx.reader import ByteReader

NEWEST_REPLAY_HEADER = 7
NEWEST_CHALLENGE_TIMES = 11
NEWEST_CHALLENGE_IDENT = 5
THUMBNAIL_START, THUMBNAIL_END = b"<Thumbnail.jpg>", b"</Thumbnail.jpg>"
COMMENTS_START, COMMENTS_END = b"<Comments>", b"</Comments>"

# Possessive throughout: nothing is tried twice, and no stack of places to return to grows with the text.
_ELEMENT = re.compile(r"<(header|times|desc)((?:\s++\w++=\"[^\"<>]*+\")*+)\s*+/?+>")
_ATTRIBUTE = re.compile(r"(\w+)=\"([^\"<>]*)\"")
_NUMBER = re.compile(r"-?\d{1,10}")


def xml_attributes(xml: str) -> dict[str, dict[str, str]]:
    """Return the attributes of the elements ``header``, ``times`` and ``desc`` of a header's XML (the last of a name).

    The headers hold nothing but elements with attributes, so no XML library, with its ways to be led astray, is needed.
    """
    return {name: dict(_ATTRIBUTE.findall(rest)) for name, rest in _ELEMENT.findall(xml)}


def _number(attributes: dict[str, str], key: str) -> int | None:
    text = attributes.get(key, "")
    return int(text) if _NUMBER.fullmatch(text) else None


def optional_ms(value: int) -> int | None:
    """Return a time, or None for the -1 that stands for none."""
    return value if value >= 0 else None


def _xml(reader: ByteReader) -> str:
    xml = reader.string()
    if len(xml) > limits.XML_BYTES:
        reader.fail(f"the header's XML has {len(xml)} characters, the limit is {limits.XML_BYTES}")
    reader.finish("the header's XML")
    return xml


def _reader(data: bytes, file: str, chunk: HeaderChunk, budget: Budget) -> ByteReader:
    return ByteReader(data, file, pos=chunk.offset, end=chunk.offset + chunk.size, budget=budget)


def read_replay_header(data: bytes, shell: Shell, file: str, budget: Budget) -> ReplayHeader:
    """Read the header chunks of a replay.

    Raises:
        GbxError: damaged, or of a later game.
    """
    fields: dict[str, object] = {}
    for chunk in shell.chunks:
        reader = _reader(data, file, chunk, budget)
        if chunk.chunk_id == REPLAY:
            _replay_summary(reader, fields)
        elif chunk.chunk_id == REPLAY + 1:
            xml = _xml(reader)
            elements = xml_attributes(xml)
            times, head = elements.get("times", {}), elements.get("header", {})
            validable = _number(times, "validable")
            fields |= {"xml": xml, "game_version": head.get("exever", ""), "respawns": _number(times, "respawns"),
                       "stunt_score": _number(times, "stuntscore"),
                       "is_validable": None if validable is None else validable == 1}  # fmt: skip
    return ReplayHeader(**fields)  # type: ignore[arg-type]


def _replay_summary(reader: ByteReader, fields: dict[str, object]) -> None:
    version = reader.u32()
    if NEWEST_REPLAY_HEADER < version < 9999:
        reader.fail(f"the replay header has version {version}, a later game's", advice=UNSUPPORTED, at=reader.pos - 4)
    if version < 4 or version == 9999:
        reader.fail(f"the replay header has version {version}, expected 4 to 7", advice=UNSUPPORTED, at=reader.pos - 4)
    ident = reader.ident()
    fields |= {"map_uid": ident.id, "environment": ident.collection, "map_author": ident.author}
    fields["race_time_ms"] = optional_ms(reader.i32())
    fields["nickname"] = reader.string()
    if version >= 6:
        fields["login"] = reader.string()
    reader.finish("the replay header")


def read_challenge_header(data: bytes, shell: Shell, file: str, budget: Budget) -> ChallengeHeader:
    """Read the header chunks of a map.

    Raises:
        GbxError: damaged, or of a later game.
    """
    fields: dict[str, object] = {}
    for chunk in shell.chunks:
        read = _CHALLENGE_CHUNKS.get(chunk.chunk_id)
        if read is not None:
            read(_reader(data, file, chunk, budget), fields)
    return ChallengeHeader(**fields)  # type: ignore[arg-type]


def _challenge_times(reader: ByteReader, fields: dict[str, object]) -> None:
    version = reader.u8()
    if version > NEWEST_CHALLENGE_TIMES:
        reader.fail(f"the map header has version {version}, a later game's", advice=UNSUPPORTED, at=reader.pos - 1)
    if version <= 2:
        ident = reader.ident()
        fields |= {"uid": ident.id, "environment": ident.collection, "author": ident.author, "name": reader.string()}
    fields["is_locked"] = reader.boolean()
    if version >= 1:
        bronze, silver, gold, author = (optional_ms(value) for value in reader.ints(4))
        fields["medals"] = Medals(bronze, silver, gold, author)
    if version == 2:
        reader.u8()
    for least, name in ((4, "cost"), (5, "is_multilap"), (6, "mode"), (9, ""), (10, "author_score"), (11, "")):
        if version >= least:
            value = reader.boolean() if least in (5, 9) else reader.i32()
            if name:
                fields[name] = value
    reader.finish("the map's times")


def _challenge_ident(reader: ByteReader, fields: dict[str, object]) -> None:
    version = reader.u8()
    if version > NEWEST_CHALLENGE_IDENT:
        reader.fail(f"the map's name has version {version}, a later game's", advice=UNSUPPORTED, at=reader.pos - 1)
    ident = reader.ident()
    fields |= {"uid": ident.id, "environment": ident.collection, "author": ident.author, "name": reader.string()}
    fields["kind"] = reader.u8()
    if version >= 1:
        reader.u32()
        reader.string()
    if version >= 2:
        fields["mood"] = reader.ident().id
    reader.skip(8 * max(0, min(version, 4) - 2) + (16 if version >= 5 else 0))
    reader.finish("the map's name")


def _challenge_xml(reader: ByteReader, fields: dict[str, object]) -> None:
    xml = _xml(reader)
    elements = xml_attributes(xml)
    laps = _number(elements.get("desc", {}), "nblaps")
    fields |= {"xml": xml, "game_version": elements.get("header", {}).get("exever", ""), "laps": laps}


def _challenge_picture(reader: ByteReader, fields: dict[str, object]) -> None:
    if reader.u32() == 0:
        reader.finish("the map's picture")
        return
    size = reader.u32()
    _expect(reader, THUMBNAIL_START)
    picture = reader.take(size)
    _expect(reader, THUMBNAIL_END)
    _expect(reader, COMMENTS_START)
    fields["comments"] = reader.string()
    _expect(reader, COMMENTS_END)
    fields["thumbnail_jpeg"] = picture or None
    reader.finish("the map's picture")


def _expect(reader: ByteReader, mark: bytes) -> None:
    found = reader.take(len(mark))
    if found != mark:
        reader.fail(f"found {found!r}, expected {mark!r}", at=reader.pos - len(mark))


_CHALLENGE_CHUNKS = {
    CHALLENGE + 2: _challenge_times,
    CHALLENGE + 3: _challenge_ident,
    CHALLENGE + 5: _challenge_xml,
    CHALLENGE + 7: _challenge_picture,
}


def read_file_header(data: bytes, shell: Shell, file: str, budget: Budget) -> ReplayHeader | ChallengeHeader:
    """Read the header of a map or replay.

    Raises:
        GbxError: another kind of file, damaged, or of a later game.
    """
    if shell.class_id == REPLAY:
        return read_replay_header(data, shell, file, budget)
    if shell.class_id == CHALLENGE:
        return read_challenge_header(data, shell, file, budget)
    return ByteReader(data, file).fail(
        f"the file holds a {class_name(shell.class_id)}, whose header says nothing",
        advice="Read maps and replays this way, and ghosts with read()",
        at=9,
    )
