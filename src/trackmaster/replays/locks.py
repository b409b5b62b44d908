"""Who is at work: one run per folder of replays, per catalogue, and per server that is asked.

Every lock is an SQLite file held exclusively; it ends with the process, however that ends. Beside it lies a line that
says who holds it, for the sentence that the next one gets.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from trackmaster.files import safe_name
from trackmaster.home import state_dir
from trackmaster.replays.catalogue import catalogue_path
from trackmaster.replays.errors import CatalogueError
from trackmaster.replays.hosts import host_of, is_loopback

FOLDER_LOCK = ".replays.lock"
HOSTS_FOLDER = "hosts"
LONGEST_HOLDER = 1_000


class RunLock:
    """Keeps a second run out.

    Args:
        path: file of the lock.
        purpose: what this run does, for the one that is kept out.
        busy: gives the sentence for the one that is kept out, from what the holder said of itself.

    Raises:
        CatalogueError: another run holds it, or it cannot be used.
    """

    def __init__(self, path: Path, *, purpose: str, busy: Callable[[str], str]) -> None:
        self._holder = path.with_name(f"{path.name}.holder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0.0)
            self._db.execute("BEGIN EXCLUSIVE")
        except (sqlite3.DatabaseError, OSError) as error:
            if hasattr(self, "_db"):
                self._db.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise CatalogueError(busy(self._who())) from error
            raise CatalogueError(
                f"{path}: the lock cannot be used ({error}). Check that its folder may be written to and has room; "
                "when no run is at work, this file may be deleted."
            ) from error
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        with contextlib.suppress(OSError):  # a lock without a name is a lock all the same
            self._holder.write_text(f"process {os.getpid()}, {purpose}, since {since}", encoding="utf-8")

    def _who(self) -> str:
        try:
            with self._holder.open(encoding="utf-8", errors="replace") as line:
                said = line.read(LONGEST_HOLDER)
        except OSError:
            return "another process"
        return "".join(c if c.isprintable() else "?" for c in said) or "another process"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        with contextlib.suppress(OSError):
            self._holder.unlink()
        self._db.close()


@contextlib.contextmanager
def folder_lock(replays_dir: Path, catalogue: Path | None = None, *, purpose: str = "at work") -> Iterator[Path]:
    """Hold a folder of replays and its catalogue, wherever that lies; yield the catalogue's path.

    Args:
        replays_dir: the folder.
        catalogue: its catalogue; the one inside of it by default.
        purpose: what this run does.

    Raises:
        CatalogueError: another run is at work there.
    """
    path = catalogue or catalogue_path(replays_dir)

    def busy(holder: str) -> str:
        return (
            f"{replays_dir}: another run is at work in this folder or with its catalogue ({holder}). Let it finish, or "
            "stop it; two at once would ask the exchange twice for everything."
        )

    purpose = f"{purpose} in {replays_dir.absolute()}"
    with (
        RunLock(replays_dir / FOLDER_LOCK, purpose=purpose, busy=busy),
        RunLock(path.with_name(f"{path.name}-lock"), purpose=purpose, busy=busy),
    ):
        yield path


@contextlib.contextmanager
def host_lock(url: str, *, purpose: str) -> Iterator[None]:
    """Hold a server: the rate is kept by one process, so two at once would ask twice as fast.

    This machine's own server is nobody's guest and has no lock.

    Raises:
        CatalogueError: another run of this user asks the server.
    """
    host = host_of(url)
    if is_loopback(host):
        yield
        return

    def busy(holder: str) -> str:
        return (
            f"Another run is asking {host} ({holder}), and two at once would double the rate. Let it finish, or stop "
            "it, and run the same command again."
        )

    with RunLock(state_dir() / HOSTS_FOLDER / f"{safe_name(host)}.lock", purpose=purpose, busy=busy):
        yield
