"""The durable mode's memory: every chunk lies in an SQLite file from its arrival until the trainer has saved it.

One writer thread and a write-ahead log: a killed server loses nothing that was noted. A power cut may take the last
moments, and nothing is lost then either, because a worker keeps its chunks until the trainer has saved them. Frames are
stored as they arrived and decoded like any other when they are read.
"""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire.marks import MAX_SESSIONS

T = TypeVar("T")
JOURNAL = "journal.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS chunks (
    number INTEGER PRIMARY KEY, session BLOB NOT NULL, seq INTEGER NOT NULL, worker INTEGER NOT NULL,
    frame BLOB NOT NULL, UNIQUE (session, seq));
CREATE TABLE IF NOT EXISTS marks (session BLOB PRIMARY KEY, received INTEGER NOT NULL, acked INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS run (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), spec BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Kept:
    """A chunk that waits in the journal."""

    session: bytes
    seq: int
    worker: int
    size: int


class Journal:
    """Chunks on disk; every method may be called from any thread and returns a future.

    Args:
        folder: where the file lies; made when missing.

    Raises:
        TransportError: the file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="trackmaster-journal")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = self._pool.submit(self._open).result()
        except (OSError, sqlite3.Error) as error:
            self._pool.shutdown()
            raise TransportError(
                f"{self._path}: the journal cannot be opened ({error}). Is another server using it, is the disk full? "
                "Without --durable the server needs none."
            ) from None

    def put(self, kept: Kept, frame: bytes) -> "Future[None]":
        """Store a chunk; once the future is done it survives whatever happens to this process."""

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute(
                    "INSERT OR IGNORE INTO chunks (session, seq, worker, frame) VALUES (?, ?, ?, ?)",
                    (kept.session, kept.seq, kept.worker, frame),
                )
                db.execute(
                    "INSERT INTO marks VALUES (?, ?, -1) ON CONFLICT (session) DO UPDATE SET "
                    "received = max(received, excluded.received)",
                    (kept.session, kept.seq),
                )

        return self._submit(write)

    def frame(self, kept: Kept) -> "Future[bytes | None]":
        """Return a stored chunk."""

        def read(db: sqlite3.Connection) -> bytes | None:
            found = db.execute("SELECT frame FROM chunks WHERE session = ? AND seq = ?", (kept.session, kept.seq))
            row = found.fetchone()
            return bytes(row[0]) if row else None

        return self._submit(read)

    def acked(self, session: bytes, seq: int) -> "Future[None]":
        """Forget every chunk of a session up to ``seq``; the trainer has it on its own disk."""

        def forget(db: sqlite3.Connection) -> None:
            with db:
                db.execute("DELETE FROM chunks WHERE session = ? AND seq <= ?", (session, seq))
                db.execute(
                    "INSERT INTO marks VALUES (?, ?, ?) ON CONFLICT (session) DO UPDATE SET "
                    "acked = max(acked, excluded.acked)",
                    (session, seq, seq),
                )

        return self._submit(forget)

    def drop(self, dropped: Sequence[Kept]) -> "Future[None]":
        """Forget chunks that no trainer shall have; their numbers stay known."""

        def delete(db: sqlite3.Connection) -> None:
            with db:
                db.executemany(
                    "DELETE FROM chunks WHERE session = ? AND seq = ?", [(kept.session, kept.seq) for kept in dropped]
                )

        return self._submit(delete)

    def set_spec(self, spec: bytes) -> "Future[None]":
        """Remember what the samples in this journal look like."""

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("INSERT OR REPLACE INTO run VALUES (1, ?)", (spec,))

        return self._submit(write)

    def load(self) -> tuple[list[Kept], dict[bytes, tuple[int, int]], bytes]:
        """Return what waits, oldest first, the highest numbers received and acknowledged, and the run's description.

        Raises:
            TransportError: the file cannot be read.
        """

        def read(db: sqlite3.Connection) -> tuple[list[Kept], dict[bytes, tuple[int, int]], bytes]:
            with db:  # the oldest lives, unless something of theirs still waits
                db.execute(
                    "DELETE FROM marks WHERE session NOT IN (SELECT session FROM chunks) AND rowid NOT IN "
                    "(SELECT rowid FROM marks ORDER BY rowid DESC LIMIT ?)",
                    (MAX_SESSIONS,),
                )
            rows = db.execute("SELECT session, seq, worker, length(frame) FROM chunks ORDER BY number").fetchall()
            marks = db.execute("SELECT session, received, acked FROM marks").fetchall()
            spec = db.execute("SELECT spec FROM run").fetchone()
            kept = [Kept(bytes(s), seq, worker, size) for s, seq, worker, size in rows]
            return kept, {bytes(s): (received, acked) for s, received, acked in marks}, bytes(spec[0]) if spec else b""

        try:
            return self._submit(read).result()
        except sqlite3.Error as error:
            raise TransportError(
                f"{self._path}: the journal cannot be read ({error}). Is the disk full? A damaged file is moved away; "
                "what waited in it is lost."
            ) from None

    def close(self) -> None:
        """Finish what was begun and close the file."""
        self._pool.submit(self._db.close).result()
        self._pool.shutdown()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=1.0)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        return db

    def _submit(self, work: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        return self._pool.submit(lambda: work(self._db))
