"""The two doors: read a whole file, or only what stands in front of its body."""

import io
import os
import stat
from pathlib import Path

from trackmaster.gbx import limits
from trackmaster.gbx.budget import Budget
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
from trackmaster.gbx.recent import RecentMaps
from trackmaster.gbx.registry import REGISTRY

FIRST_READ_BYTES = 32 << 10
GbxSource = str | Path | bytes

RECENT_MAPS = RecentMaps()


def read(source: GbxSource, *, name: str | None = None) -> Replay | Challenge | Ghost:
    """Return the whole content of a .Gbx file of TMU or TMF: a map, a replay (with its map) or a ghost.

    Args:
        source: path of the file, or its bytes.
        name: what error messages call the file; its file name if not given.

    Raises:
        GbxError: the file cannot be opened, is damaged, cut short, oversized or of another game.
    """
    data, file, path = _load(source, name)
    return _read(data, file, path)


def read_header(source: GbxSource, *, name: str | None = None) -> ReplayHeader | ChallengeHeader:
    """Return what a map or replay says about itself in front of its body; nothing is unpacked.

    Args:
        source: path of the file (only its first bytes are read), or its bytes.
        name: what error messages call the file; its file name if not given.

    Raises:
        GbxError: the file cannot be opened, its header is damaged, or it is no map or replay of TMU or TMF.
    """
    data, file, _ = _load(source, name, only_header=True)
    return read_file_header(data, read_shell(data, file), file, Budget())


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
    return "bytes" if isinstance(source, bytes) else os.path.basename(source) or str(source)  # noqa: PTH119


def _load(source: GbxSource, name: str | None, *, only_header: bool = False) -> tuple[bytes, str, Path | None]:
    file = _name(source, name)
    if isinstance(source, bytes):
        if len(source) > limits.FILE_BYTES:
            raise GbxError(file, f"{len(source)} bytes were given, the limit is {limits.FILE_BYTES}")
        return source, file, None
    path = source if isinstance(source, Path) else Path(source)
    try:
        # Unbuffered: a file is read in one or two gulps, and a buffer would only be copied.
        with open(source, "rb", buffering=0, opener=_open_at_once) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise GbxError(file, "this is no regular file", advice="Give the path of a .Gbx file")
            if status.st_size > limits.FILE_BYTES:
                found = f"the file has {status.st_size} bytes, the limit is {limits.FILE_BYTES}"
                raise GbxError(file, found, advice="This is no map or replay")
            return _header_bytes(stream) if only_header else stream.readall(), file, path
    except OSError as error:
        reason = error.strerror or str(error)
        raise GbxError(file, f"the file cannot be opened ({reason})", advice="Check the path") from error
    except ValueError as error:  # a path with a zero byte
        raise GbxError(file, f"the file cannot be opened ({error})", advice="Check the path") from error


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting: a pipe that nobody writes to would otherwise hold the program for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _header_bytes(stream: io.FileIO) -> bytes:
    """Read no more of a file than its header needs."""
    data = stream.read(FIRST_READ_BYTES)
    if len(data) == FIRST_READ_BYTES:
        wanted = HEADER_START + int.from_bytes(data[HEADER_START - 4 : HEADER_START], "little")
        if FIRST_READ_BYTES < wanted <= HEADER_START + limits.HEADER_BYTES:
            data += stream.read(wanted - FIRST_READ_BYTES)
    return data


def _read(data: bytes, file: str, path: Path | None) -> Replay | Challenge | Ghost:
    budget = Budget()
    header, node = _read_nodes(data, file, budget, (CHALLENGE, REPLAY, GHOST))
    if isinstance(node, ReplayNode):
        inner = node.map_bytes
        challenge = RECENT_MAPS.get(inner, lambda: _embedded_map(inner, file, budget)) if inner else None
        return Builder().replay(node, header if isinstance(header, ReplayHeader) else ReplayHeader(), challenge, path)
    if isinstance(node, ChallengeNode):
        return _challenge(node, header)
    assert isinstance(node, GhostNode), "other classes were refused"
    return Builder().ghost(node)


def _read_nodes(
    data: bytes, file: str, budget: Budget, classes: tuple[int, ...]
) -> tuple[ReplayHeader | ChallengeHeader | None, object]:
    """Return the header, if the file has one, and the main node; the unpacked body is let go of."""
    shell = read_shell(data, file)
    if shell.class_id not in classes:
        kind = class_name(shell.class_id)
        wanted = "map, replay or ghost" if len(classes) > 1 else class_name(classes[0])
        raise GbxError(file, f"the file holds a {kind}, expected a {wanted}", advice=UNSUPPORTED, offset=9)
    # The header comes first: it is where files of later games say so in plain numbers.
    header = read_file_header(data, shell, file, budget) if shell.chunks and shell.class_id != GHOST else None
    reader = BodyReader(read_body(data, shell, file, budget), file, REGISTRY, budget)
    node = reader.main_node(shell.class_id)
    if isinstance(node, ChallengeNode) and node.ident is None:
        reader.fail("the map has no list of blocks")
    return header, node


def _challenge(node: ChallengeNode, header: object) -> Challenge:
    return Builder().challenge(node, header if isinstance(header, ChallengeHeader) else None)


def _embedded_map(data: bytes, file: str, budget: Budget) -> tuple[Challenge, int]:
    """Return the map inside a replay, and about how many bytes it takes in memory."""
    before = budget.left_bytes()
    header, node = _read_nodes(data, f"{file} (embedded map)", budget, (CHALLENGE,))
    assert isinstance(node, ChallengeNode), "other classes were refused"
    return _challenge(node, header), before - budget.left_bytes()
