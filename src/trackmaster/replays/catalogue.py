"""The truth about a folder of replays: which items there are, what became of each, and why.

One SQLite file in WAL mode with a single writer; ``status`` and filters read beside it. The tables are described in
docs/replays.md.
"""

import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from trackmaster.replays.errors import CatalogueError
from trackmaster.replays.records import ReplayRecord, TrackRecord
from trackmaster.replays.schema import COLUMNS_SINCE_1, SCHEMA, SCHEMA_VERSION

CATALOGUE_NAME = "catalogue.sqlite"
OLDER_NAME = ".catalogue.sqlite3"
COMMIT_EVERY_S = 0.25
DEFAULT_FRESH_S = 24 * 60 * 60.0

WANTED, DONE, GONE, REJECTED, FAILED = "wanted", "done", "gone", "rejected", "failed"
"""States of a replay or map: still to fetch; verified on disk; deleted on the exchange; refused for good; to try again
in the next run."""
NEW, LISTED, ADOPTED = "new", "listed", "adopted"
"""States of a track before its replays are known, after, and when an older run without a catalogue had finished it;
``GONE`` and ``FAILED`` mean the same as for files."""


def catalogue_path(replays_dir: Path) -> Path:
    """Return where the catalogue of a folder of replays lies; one that has an older name keeps it."""
    path, older = replays_dir / CATALOGUE_NAME, replays_dir / OLDER_NAME
    return older if older.is_file() and not path.is_file() else path


class Catalogue:
    """Reads and writes the states of tracks, replays and maps.

    Changes are committed every quarter of a second and on ``close``; a run that is killed loses no more than that, and
    the files of that time are found again by their names.

    Args:
        path: of the file; ``:memory:`` for one that is gone afterwards.
        writable: False opens an existing one beside a run that may be writing.
        fresh_s: age up to which remembered listings are used without asking the exchange.
        wall: seconds since 1970.
    """

    def __init__(
        self, path: Path | str, *, writable: bool = True, fresh_s: float = DEFAULT_FRESH_S,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.path = path
        self._wall = wall
        self._fresh_s = fresh_s
        self._last_commit = time.monotonic()
        try:
            self._db = _connect(path, writable=writable)
        except sqlite3.DatabaseError as error:
            raise _unusable(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit and close."""
        try:
            self.commit()
        finally:
            self._db.close()

    def commit(self) -> None:
        """Make all changes last."""
        try:
            self._db.commit()
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error
        self._last_commit = time.monotonic()

    def _execute(self, sql: str, values: Sequence[object]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error

    def write(self, sql: str, values: Sequence[object] = ()) -> int:
        """Change something; return how many rows were changed. It lasts from the next commit on, which comes soon."""
        changed = self._execute(sql, values).rowcount
        if time.monotonic() - self._last_commit >= COMMIT_EVERY_S:
            self.commit()
        return changed

    def read(self, sql: str, values: Sequence[object] = ()) -> Iterator[sqlite3.Row]:
        """Yield rows by name, a few at a time."""
        try:
            yield from self._execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error

    def one(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Row | None:
        """Return the first row, or None."""
        rows = self.read(sql, values)
        return next(rows, None)

    def is_fresh(self, noted_at: float | None) -> bool:
        """Whether something noted at a time (s since 1970) is young enough to be used unasked."""
        return noted_at is not None and 0 <= self._wall() - noted_at < self._fresh_s

    # --- tracks

    def note_tracks(self, tracks: Iterable[TrackRecord]) -> None:
        """Remember what the exchange says about tracks; their states stay."""
        now = self._wall()
        for track in tracks:
            self.write(
                "INSERT INTO tracks (track_id, uid, name, author_time_ms, updated_at, primary_type, unlimiter,"
                " wr_time_ms, noted_at) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (track_id) DO UPDATE SET"
                " uid=excluded.uid, name=excluded.name, author_time_ms=excluded.author_time_ms,"
                " updated_at=excluded.updated_at,"
                " primary_type=excluded.primary_type, unlimiter=excluded.unlimiter, wr_time_ms=excluded.wr_time_ms,"
                " noted_at=excluded.noted_at",
                (
                    track.track_id, track.uid, track.name, track.author_time_ms, _text(track.updated_at),
                    track.primary_type, track.unlimiter, track.wr_time_ms, now,
                ),
            )  # fmt: skip

    def track(self, track_id: int) -> tuple[TrackRecord, str] | None:
        """Return what is known about a track and its state; None if it was never heard of."""
        row = self.one("SELECT * FROM tracks WHERE track_id = ?", (track_id,))
        if row is None:
            return None
        record = TrackRecord(
            row["track_id"], row["uid"], row["name"], row["author_time_ms"], _time(row["updated_at"]),
            row["primary_type"], row["unlimiter"], row["wr_time_ms"],
        )  # fmt: skip
        return record, row["state"]

    def set_track(self, track_id: int, state: str, reason: str = "", *, top: int | None = None) -> None:
        """Set the state of a track (also of one that was never heard of)."""
        self.write(
            "INSERT INTO tracks (track_id, state, reason, listed_at, listed_top) VALUES (?,?,?,?,?) ON CONFLICT"
            " (track_id) DO UPDATE SET state=excluded.state, reason=excluded.reason, listed_at=excluded.listed_at,"
            " listed_top=COALESCE(excluded.listed_top, listed_top)",
            (track_id, state, reason, self._wall(), top),
        )

    # --- replays and maps

    def note_replays(self, track_id: int, rows: Sequence[ReplayRecord], paths: Mapping[int, str], top: int) -> None:
        """Remember a track's listing; replays that are known keep their state and their file.

        Those that are no longer among the best lose their rank, and are not fetched any more.
        """
        self._execute("UPDATE replays SET rank = NULL WHERE track_id = ?", (track_id,))
        for rank, row in enumerate(rows, 1):
            self._execute(
                "INSERT INTO replays (replay_id, track_id, user_id, user_name, time_ms, rank, position, respawns,"
                " validated, track_at, path, changed_at, is_best, replay_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                " ON CONFLICT (replay_id) DO UPDATE SET rank=excluded.rank, position=excluded.position,"
                " validated=excluded.validated, is_best=excluded.is_best, replay_at=excluded.replay_at",
                (
                    row.replay_id, track_id, row.user_id, row.user_name, row.time_ms, rank, row.position, row.respawns,
                    row.validated, _text(row.track_at), paths[row.replay_id], self._wall(), row.is_best,
                    _text(row.replay_at),
                ),
            )  # fmt: skip
        self.set_track(track_id, LISTED, top=top)

    def set_replay(self, replay_id: int, state: str, reason: str = "", **facts: object) -> None:
        """Set the state of a replay, with what was found out about its file."""
        self._set("replays", "replay_id", replay_id, state, reason, facts)

    def set_map(self, track_id: int, state: str, reason: str = "", **facts: object) -> None:
        """Set the state of a track's map, with what was found out about its file."""
        self.write("INSERT OR IGNORE INTO maps (track_id) VALUES (?)", (track_id,))
        self._set("maps", "track_id", track_id, state, reason, facts)

    def _set(self, table: str, key: str, item_id: int, state: str, reason: str, facts: Mapping[str, object]) -> None:
        names = "".join(f", {name} = ?" for name in facts)  # names of columns, written in our own code only
        self.write(
            f"UPDATE {table} SET state = ?, reason = ?, changed_at = ?{names} WHERE {key} = ?",  # noqa: S608
            (state, reason, self._wall(), *facts.values(), item_id),
        )

    # --- remembered listings (PageStore)

    def recall(self, url: str) -> tuple[str | None, bytes | None, bool]:
        """Return the ETag and body of an earlier answer, and whether it is fresh enough to be used unasked."""
        row = self.one("SELECT etag, body, fetched_at FROM pages WHERE url = ?", (url,))
        if row is None:
            return None, None, False
        try:
            return row["etag"], zlib.decompress(row["body"]), self.is_fresh(row["fetched_at"])
        except zlib.error:  # a damaged page is only asked for again
            return None, None, False

    def remember(self, url: str, etag: str | None, body: bytes) -> None:
        """Keep an answer."""
        self.write(
            "INSERT INTO pages (url, etag, body, fetched_at) VALUES (?,?,?,?) ON CONFLICT (url) DO UPDATE SET"
            " etag=excluded.etag, body=excluded.body, fetched_at=excluded.fetched_at",
            (url, etag, zlib.compress(body, 6), self._wall()),
        )

    def forget_old_pages(self, keep_s: float) -> None:
        """Let go of listings that are older than ``keep_s``."""
        self.write("DELETE FROM pages WHERE fetched_at < ?", (self._wall() - keep_s,))

    # --- runs

    def begin_run(self, command: str) -> int:
        """Note the start of a run; return its number."""
        now = self._wall()
        sql = "INSERT INTO runs (command, started_at, seen_at) VALUES (?,?,?)"
        run_id = self._execute(sql, (command, now, now)).lastrowid
        self.commit()
        return int(run_id or 0)

    def has_downloaded(self) -> bool:
        """Whether a run has worked on a list of tracks before."""
        return self.one("SELECT 1 FROM runs WHERE tracks_total > 0 LIMIT 1") is not None

    def keep_run(self, run_id: int, *, ended: bool = False, **counts: int) -> None:
        """Note how far a run is."""
        names = "".join(f", {name} = ?" for name in counts)
        now = self._wall()
        self.write(
            f"UPDATE runs SET seen_at = ?, ended_at = ?{names} WHERE run_id = ?",  # noqa: S608
            (now, now if ended else None, *counts.values(), run_id),
        )


def _connect(path: Path | str, *, writable: bool) -> sqlite3.Connection:
    if isinstance(path, Path):
        if not writable and not path.is_file():
            raise CatalogueError(f"{path}: there is no catalogue. Download first: 'trackmaster replays download'.")
        path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=30.0)
    db.row_factory = sqlite3.Row
    if writable:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in range(SCHEMA_VERSION + 1):
        raise CatalogueError(
            f"{path}: the catalogue has version {version}, this trackmaster writes version {SCHEMA_VERSION}. Use the "
            "trackmaster that made it, or move it aside."
        )
    if version == 0 and not writable:
        raise CatalogueError(f"{path}: the catalogue is empty. Download first: 'trackmaster replays download'.")
    if writable:
        db.executescript(SCHEMA)
        if version == 1:
            _add_columns(db)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.commit()
    else:
        db.execute("PRAGMA query_only = ON")
    return db


def _add_columns(db: sqlite3.Connection) -> None:
    """Bring a catalogue of version 1 up to date; one that was killed on the way has some of the columns already."""
    has = {row["name"] for row in db.execute("PRAGMA table_info(replays)")}
    for column in COLUMNS_SINCE_1:
        if column.partition(" ")[0] not in has:
            db.execute(f"ALTER TABLE replays ADD COLUMN {column}")


def _unusable(path: Path | str, error: sqlite3.DatabaseError) -> CatalogueError:
    """Return what to do about a catalogue that cannot be used: most troubles come from the disk, not from the file."""
    if isinstance(error, sqlite3.OperationalError):
        return CatalogueError(
            f"{path}: the catalogue cannot be used ({error}). Check that its folder may be written to and has room, "
            "and that no other program holds it."
        )
    return CatalogueError(
        f"{path}: the catalogue cannot be used ({error}). Move it and .replay_progress aside: the next "
        "download makes a new one and takes over the files that are there."
    )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
