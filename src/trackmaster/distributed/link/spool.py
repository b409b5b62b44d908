"""A worker's chunks on its own disk, one file each, from being driven until being acknowledged."""

import contextlib
import os
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trackmaster.distributed.wire import framing
from trackmaster.distributed.wire.messages import decode
from trackmaster.errors import ConfigError
from trackmaster.files import atomic_write_bytes, lock_for_this_process
from trackmaster.rl.samples.chunk import Chunk

SUFFIX = ".chunk"
LOCK = "in_use.lock"
_NAME = re.compile(r"([0-9a-f]{32})-(\d{12})")


@dataclass(frozen=True)
class Spooled:
    """A chunk of an earlier life."""

    session: bytes
    seq: int
    worker_id: int
    size: int
    steps: int


class Spool:
    """A folder of frames.

    Args:
        folder: of one worker; two at once may not share it, or each would send what the other is driving.
        max_bytes: of all its files; beyond, the worker waits or drops as without a spool.

    Raises:
        ConfigError: another worker of this machine uses the folder.
    """

    def __init__(self, folder: Path, max_bytes: int = 2 * 2**30) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._sizes: dict[tuple[bytes, int], int] = {}
        self._has_said = False
        self.is_writable = True
        """Whether the disk took the newest chunk; one that refuses is tried again with the next."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        self._unlock = weakref.finalize(self, os.close, lock)
        if not lock_for_this_process(lock):
            self._unlock()
            raise ConfigError(
                f"{folder}: another worker keeps its chunks there. Give each worker a --spool folder of its own."
            )

    def close(self) -> None:
        """Let another worker have the folder; the end of the process does so, too."""
        self._unlock()

    def load(self) -> list[Spooled]:
        """Return what an earlier life left behind, in order; files that are no chunks are left alone."""
        found: list[tuple[float, Spooled]] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            name = _NAME.fullmatch(path.stem)
            chunk = _chunk_in(path) if name is not None else None
            if name is None or chunk is None:
                continue
            session, seq, stat = bytes.fromhex(name[1]), int(name[2]), path.stat()
            self._sizes[session, seq] = stat.st_size
            found.append((stat.st_mtime, Spooled(session, seq, chunk.worker_id, stat.st_size, chunk.n_steps)))
        first = {s.session: min(t for t, o in found if o.session == s.session) for _, s in found}
        return sorted((s for _, s in found), key=lambda s: (first[s.session], s.session, s.seq))

    def has_room(self, size: int) -> bool:
        """Return whether another file may be written."""
        return sum(self._sizes.values()) + size <= self._max_bytes

    def write(self, session: bytes, seq: int, frame: bytes, say: Callable[[str], None]) -> bool:
        """Store a frame; return whether the disk took it."""
        if not self.has_room(len(frame)):
            return False
        try:
            atomic_write_bytes(self._path(session, seq), frame)
        except OSError as error:
            if not self._has_said:
                say(f"{self._folder}: the spool cannot be written ({error.strerror}); chunks stay in memory only.")
            self._has_said, self.is_writable = True, False
            return False
        self._sizes[session, seq] = len(frame)
        self._has_said, self.is_writable = False, True
        return True

    def read(self, session: bytes, seq: int, say: Callable[[str], None]) -> bytes | None:
        """Return a stored frame, None if it is gone."""
        try:
            return self._path(session, seq).read_bytes()
        except OSError as error:
            say(f"{self._path(session, seq)}: a spooled chunk cannot be read ({error.strerror}); it is lost.")
            return None

    def delete(self, session: bytes, seq: int) -> None:
        """Remove a frame."""
        if self._sizes.pop((session, seq), None) is not None:
            with contextlib.suppress(OSError):  # sent once more in the next life, and known there as a duplicate
                self._path(session, seq).unlink()

    def _path(self, session: bytes, seq: int) -> Path:
        return self._folder / f"{session.hex()}-{seq:012d}{SUFFIX}"


def _chunk_in(path: Path) -> Chunk | None:
    try:
        message = decode(path.read_bytes())
    except (OSError, framing.WireError):
        return None
    return message if isinstance(message, Chunk) else None
