"""Tokens and passwords: who may speak to a server, and in which role.

A token is 256 random bits; the server keeps SHA-256 hashes only. A password is a token made by scrypt with the
server's certificate as salt, so what one server is shown opens no other.
"""

import base64
import datetime
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trackmaster.distributed.security.private_files import write_private
from trackmaster.errors import ConfigError

ROLES = ("worker", "trainer", "observer")
MIN_PASSWORD = 12
DOCUMENTED_PASSWORDS = ("trackmaster_secure_pwd", "YourRandomPasswordHere", "secure_password", "your_secure_password")
"""Stand in public documents; whoever reads them knows them."""
COMMON_WORDS = (
    "password",
    "trackmania",
    "trackmaster",
    "qwertyuiop",
    "1234567890",
    "letmein",
    "iloveyou",
    "administrator",
)
LOOPBACK_SALT = b"trackmaster loopback"
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


@dataclass(frozen=True)
class Identity:
    """Whom a token belongs to."""

    id: str
    role: str


@dataclass(frozen=True)
class TokenEntry:
    """One token in the server's file."""

    id: str
    role: str
    sha256: str
    created: str
    revoked: bool = False
    evicted: bool = False
    """What came with it is to be forgotten, too."""


def new_token() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def password_token(password: str, role: str, fingerprint: str | None) -> str:
    """Return the token of a role that a password stands for.

    Args:
        password: as people type it.
        role: one of ``ROLES``.
        fingerprint: SHA-256 of the server's certificate; None on loopback without TLS.
    """
    salt = bytes.fromhex(fingerprint) if fingerprint else LOOPBACK_SALT
    key = hashlib.scrypt(password.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=32)
    return base64.urlsafe_b64encode(hmac.digest(key, role.encode(), "sha256")).rstrip(b"=").decode()


def check_password(password: str) -> None:
    """Refuse a password that can be guessed or looked up.

    Raises:
        ConfigError: it is short, common or printed in a public document.
    """
    plain = password.lower().strip("0123456789!?.-_ ")
    why = ""
    if password in DOCUMENTED_PASSWORDS:
        why = "stands in public documents"
    elif len(password) < MIN_PASSWORD:
        why = f"has {len(password)} characters, at least {MIN_PASSWORD} are needed"
    elif plain in COMMON_WORDS or len(set(password)) < 5 or password.isdigit():
        why = "is one of the first that anybody tries"
    if why:
        raise ConfigError(
            f"The password {why}; on a network others could get in. Choose a long one, or use the join string of "
            "'trackmaster server --init' instead of a password."
        )


class TokenStore:
    """The identities that a server knows, from its file of hashes and from a password."""

    def __init__(self, entries: Iterable[TokenEntry] = (), *, path: Path | None = None) -> None:
        self._entries = list(entries)
        self._path = path
        self._stamp = _stamp(path)
        self._password: list[TokenEntry] = []

    @classmethod
    def read(cls, path: Path) -> "TokenStore":
        """Return the tokens of a file.

        Raises:
            ConfigError: there is none, or it holds something else.
        """
        return cls(_read(path), path=path)

    @property
    def entries(self) -> tuple[TokenEntry, ...]:
        """Every token of the file, revoked ones too."""
        return tuple(self._entries)

    def add_password(self, password: str, fingerprint: str | None) -> None:
        """Let whoever knows a password in, in any role."""
        self._password = [
            TokenEntry(f"password-{role}", role, hash_of(password_token(password, role, fingerprint)), "")
            for role in ROLES
        ]

    def add(self, role: str, token: str, *, name: str | None = None) -> TokenEntry:
        """Remember the hash of a token under a name of its own.

        Raises:
            ConfigError: the name is taken.
        """
        taken = {entry.id for entry in self._entries}
        number = 1 + sum(entry.role == role for entry in self._entries)
        chosen = name or f"{role}-{number}"
        if chosen in taken:
            raise ConfigError(f"There is already a token called {chosen}; choose another name.")
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = TokenEntry(chosen, role, hash_of(token), created)
        self._entries.append(entry)
        return entry

    def revoke(self, name: str, *, evict: bool = False) -> None:
        """Let this token in no more, until it is admitted again; with ``evict`` what came with it is forgotten.

        Raises:
            ConfigError: there is no token of this name, or it is none of a worker, who alone sends anything.
        """
        entry = self._entry(name)
        if evict and entry.role != "worker":
            raise ConfigError(f"The token {name} is that of a {entry.role}, who sends no samples; use --revoke {name}.")
        self._replace(replace(entry, revoked=True, evicted=evict or entry.evicted))

    def admit(self, name: str) -> None:
        """Let a token in again that was revoked or evicted.

        Raises:
            ConfigError: there is no token of this name.
        """
        self._replace(replace(self._entry(name), revoked=False, evicted=False))

    @property
    def evicted(self) -> frozenset[str]:
        """Names of the tokens whose samples are to be forgotten."""
        return frozenset(entry.id for entry in self._entries if entry.evicted)

    def write(self, path: Path) -> None:
        """Write the hashes."""
        text = json.dumps({"version": 1, "tokens": [asdict(entry) for entry in self._entries]}, indent=1)
        write_private(path, text.encode())

    def refresh(self) -> bool:
        """Read the file again if it has changed; return whether it had. A damaged one keeps the tokens known so far."""
        stamp = _stamp(self._path)
        if self._path is None or stamp is None or stamp == self._stamp:
            return False
        self._stamp = stamp
        self._entries = list(_read(self._path))
        return True

    def identify(self, token: str) -> Identity | None:
        """Return whom a token belongs to; takes as long for a wrong one as for any other."""
        digest, found = hash_of(token), None
        for entry in (*self._entries, *self._password):
            is_same = hmac.compare_digest(digest, entry.sha256)
            if is_same and not entry.revoked:
                found = Identity(entry.id, entry.role)
        return found

    def _entry(self, name: str) -> TokenEntry:
        found = [entry for entry in self._entries if entry.id == name]
        if not found:
            known = ", ".join(entry.id for entry in self._entries) or "none"
            raise ConfigError(f"There is no token called {name}. Known: {known}.")
        return found[0]

    def _replace(self, changed: TokenEntry) -> None:
        self._entries = [changed if entry.id == changed.id else entry for entry in self._entries]

    def knows(self, identity: Identity) -> bool:
        """Return whether an identity that was let in earlier still may be here."""
        entries = (*self._entries, *self._password)
        return any((e.id, e.role, e.revoked) == (identity.id, identity.role, False) for e in entries)


def hash_of(token: str) -> str:
    """Return the hash under which a token is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> list[TokenEntry]:
    try:
        found = json.loads(path.read_bytes())
        entries = [TokenEntry(**entry) for entry in found["tokens"]]
    except OSError as error:
        reason = error.strerror
        raise ConfigError(f"{path}: the tokens cannot be read ({reason}); run trackmaster server --init.") from None
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"{path}: this is no file of tokens; restore it or run trackmaster server --init.") from None
    if any(entry.role not in ROLES or len(entry.sha256) != 64 for entry in entries):
        raise ConfigError(f"{path}: a token has no role or no hash; restore the file or run trackmaster server --init.")
    return entries


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found is not None else None
