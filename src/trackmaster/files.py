"""Writing files so that an interrupted run leaves either the old file or the new one, never half of one."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|conin|conout|clock|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_MARK_LETTERS = 10

_UMASK = os.umask(0)
os.umask(_UMASK)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that becomes ``target`` when the block ends without an error.

    The temporary name keeps the suffix of ``target``, because encoders choose their format by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem[:80]}.", suffix=f".part{target.suffix}", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target`` through a temporary name."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(target: Path, content: str) -> None:
    """Write ``content`` to ``target`` as UTF-8 with Unix line ends through a temporary name."""
    atomic_write_bytes(target, content.encode("utf-8"))


@contextlib.contextmanager
def atomic_dir(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target`` that replaces ``target`` when the block ends without an error.

    A folder that stood at ``target`` before is renamed aside first and removed last, so that one of the two is always
    whole on disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:80]}.", suffix=".part", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_UMASK)
        swap_in(temporary, target)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def swap_in(fresh: Path, target: Path) -> None:
    """Rename the folder ``fresh`` to ``target``; one that stood there is renamed aside first and removed last."""
    if not target.exists():
        fresh.replace(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name[:80]}.", suffix=".old", dir=target.parent))
    target.replace(aside / "folder")
    fresh.replace(target)
    shutil.rmtree(aside)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits, without holding the file in memory."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def safe_name(text: str, *, max_length: int = 80) -> str:
    """Return ``text`` as the name of a file or folder that every system accepts; texts from files are not trusted.

    The result has ASCII letters, digits, ``-``, ``_`` and ``.`` only, neither begins nor ends with a dot, and is no
    device of Windows. Where anything had to be changed, ten letters of a hash are added, so that two texts do not
    become one name.

    Args:
        text: any text, also an empty one.
        max_length: of the result, at least 16.
    """
    plain = _UNSAFE.sub("_", text).strip(".")
    if _DEVICES.fullmatch(plain):
        plain = f"_{plain}"
    if plain == text and 0 < len(plain) <= max_length:
        return plain
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LETTERS]
    kept = plain[: max_length - _MARK_LETTERS - 1].rstrip(".")
    return f"{kept or '_'}-{mark}"


def lock_for_this_process(descriptor: int) -> bool:
    """Lock an open file against other processes until it is closed; return whether no other one has it locked.

    Where the file system knows no locks, the file counts as ours.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True
