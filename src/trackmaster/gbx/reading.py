"""The two doors: read a whole file, or only what stands in front of its body."""

from pathlib import Path
from typing import BinaryIO

from trackmaster.gbx import limits
from trackmaster.gbx.build import Builder
from trackmaster.gbx.classes import CHALLENGE, GHOST, REPLAY, class_name
from trackmaster.gbx.container import HEADER_START, read_body, read_shell
from trackmaster.gbx.errors import UNSUPPORTED, GbxError
from trackmaster.gbx.headers import read_file_header
from trackmaster.gbx.models import Challenge, ChallengeHeader, Ghost, Replay, ReplayHeader
from trackmaster.gbx.nodes import BodyReader
from trackmaster.gbx.nodes_challenge import ChallengeNode
from trackmaster.gbx.nodes_ghost import GhostNode
from trackmaster.gbx.nodes_replay import ReplayNode
from trackmaster.gbx.registry import REGISTRY

FIRST_READ_BYTES = 32 << 10
GbxSource = str | Path | bytes


def read(source: GbxSource, *, name: str | None = None) -> Replay | Challenge | Ghost:
    """Return the whole content of a .Gbx file of TMU or TMF: a map, a replay (with its map) or a ghost.

    Args:
        source: path of the file, or its bytes.
        name: what error messages call the file; its file name if not given.

    Raises:
        GbxError: the file cannot be opened, is damaged, cut short, oversized or of another game.
    """
    data, file, path = _load(source, name)
    return _read(data, file, path, is_embedded=False)


def read_header(source: GbxSource, *, name: str | None = None) -> ReplayHeader | ChallengeHeader:
    """Return what a map or replay says about itself in front of its body; nothing is unpacked.

    Args:
        source: path of the file (only its first bytes are read), or its bytes.
        name: what error messages call the file; its file name if not given.

    Raises:
        GbxError: the file cannot be opened, its header is damaged, or it is no map or replay of TMU or TMF.
    """
    data, file, _ = _load(source, name, only_header=True)
    return read_file_header(data, read_shell(data, file), file)


def read_challenge(source: GbxSource, *, name: str | None = None) -> Challenge:
    """Return a map; of a replay, the map inside it.

    Raises:
        GbxError: as ``read``, or the file holds no map.
    """
    found = read(source, name=name)
    if isinstance(found, Replay):
        found = found.challenge or found
    if not isinstance(found, Challenge):
        raise GbxError(_name(source, name), f"the file holds a {type(found).__name__.lower()} without a map",
                       advice="Give a .Challenge.Gbx or a .Replay.Gbx file")  # fmt: skip
    return found


def read_replay(source: GbxSource, *, name: str | None = None) -> Replay:
    """Return a replay.

    Raises:
        GbxError: as ``read``, or the file holds something else.
    """
    found = read(source, name=name)
    if not isinstance(found, Replay):
        raise GbxError(_name(source, name), f"the file holds a {type(found).__name__.lower()}, expected a replay",
                       advice="Give a .Replay.Gbx file")  # fmt: skip
    return found


def _name(source: GbxSource, name: str | None) -> str:
    if name is not None:
        return name
    return "bytes" if isinstance(source, bytes) else Path(source).name


def _load(source: GbxSource, name: str | None, *, only_header: bool = False) -> tuple[bytes, str, Path | None]:
    file = _name(source, name)
    if isinstance(source, bytes):
        if len(source) > limits.FILE_BYTES:
            raise GbxError(file, f"{len(source)} bytes were given, the limit is {limits.FILE_BYTES}")
        return source, file, None
    path = Path(source)
    try:
        with path.open("rb") as stream:
            if only_header:
                return _header_bytes(stream), file, path
            data = stream.read(limits.FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise GbxError(file, f"the file cannot be opened ({reason})", advice="Check the path") from error
    if len(data) > limits.FILE_BYTES:
        raise GbxError(file, f"the file is larger than {limits.FILE_BYTES} bytes", advice="This is no map or replay")
    return data, file, path


def _header_bytes(stream: BinaryIO) -> bytes:
    """Read no more of a file than its header needs."""
    data = stream.read(FIRST_READ_BYTES)
    if len(data) == FIRST_READ_BYTES:
        wanted = HEADER_START + int.from_bytes(data[HEADER_START - 4 : HEADER_START], "little")
        if FIRST_READ_BYTES < wanted <= HEADER_START + limits.HEADER_BYTES:
            data += stream.read(wanted - FIRST_READ_BYTES)
    return data


def _read(data: bytes, file: str, path: Path | None, *, is_embedded: bool) -> Replay | Challenge | Ghost:
    shell = read_shell(data, file)
    if shell.class_id not in ((CHALLENGE,) if is_embedded else (CHALLENGE, REPLAY, GHOST)):
        kind = class_name(shell.class_id)
        wanted = "map" if is_embedded else "map, replay or ghost"
        raise GbxError(file, f"the file holds a {kind}, expected a {wanted}", advice=UNSUPPORTED, offset=9)
    # The header comes first: it is where files of later games say so in plain numbers.
    header = read_file_header(data, shell, file) if shell.class_id in (CHALLENGE, REPLAY) else None
    reader = BodyReader(read_body(data, shell, file), file, REGISTRY)
    node = reader.main_node(shell.class_id)
    builder = Builder()
    if isinstance(node, ChallengeNode):
        if node.ident is None:
            reader.fail("the map has no list of blocks")
        return builder.challenge(node, header if shell.chunks and isinstance(header, ChallengeHeader) else None)
    if isinstance(node, ReplayNode):
        inner = _read(node.map_bytes, f"{file} (embedded map)", None, is_embedded=True) if node.map_bytes else None
        challenge = inner if isinstance(inner, Challenge) else None
        return builder.replay(node, header if isinstance(header, ReplayHeader) else ReplayHeader(), challenge, path)
    assert isinstance(node, GhostNode), "the class was checked above"
    return builder.ghost(node)
