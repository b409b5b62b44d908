"""What a server keeps in its folder: certificate, private key, hashes of tokens, and the join strings for its owner."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackmaster.distributed.security.certificate import fingerprint_of_pem, make_certificate
from trackmaster.distributed.security.join_string import DEFAULT_PORT, ServerAddress, format_join
from trackmaster.distributed.security.private_files import write_private
from trackmaster.distributed.security.tokens import ROLES, TokenStore, new_token
from trackmaster.errors import ConfigError
from trackmaster.home import state_dir

CERTIFICATE, KEY, TOKENS, JOINS = "certificate.pem", "key.pem", "tokens.json", "join.json"
LISTENED = "listened"
"""Key of the port that a server last listened on, if it was not the usual one."""


def default_folder() -> Path:
    """Return the folder of a user's server on this machine."""
    return state_dir() / "server"


@dataclass(frozen=True)
class ServerKeys:
    """The folder of one server."""

    folder: Path

    @property
    def exists(self) -> bool:
        """Whether ``create`` was called here before."""
        return (self.folder / CERTIFICATE).is_file()

    @property
    def certificate(self) -> Path:
        """The certificate, PEM."""
        return self.folder / CERTIFICATE

    @property
    def key(self) -> Path:
        """The private key, PEM."""
        return self.folder / KEY

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate."""
        return fingerprint_of_pem(self.certificate.read_bytes())

    def create(self, host: str, port: int, *, replace: bool = False) -> dict[str, str]:
        """Make certificate and one token per role; return the join strings by the names of their tokens.

        Raises:
            ConfigError: the folder holds a server already, and everybody who knows it would be locked out.
        """
        if self.exists and not replace:
            raise ConfigError(
                f"{self.folder} holds a server already; a new certificate would lock out everybody who has its join "
                "string. Show that again with --show-join, or make a new one with --init --replace."
            )
        certificate, key = make_certificate([host])
        store, tokens = TokenStore(), {}
        for role in ROLES:
            token = new_token()
            tokens[store.add(role, token).id] = token
        write_private(self.key, key)
        write_private(self.certificate, certificate)
        store.write(self.folder / TOKENS)
        self._write_joins({"host": host, "port": port, "tokens": tokens})
        return self.joins()

    def tokens(self) -> TokenStore:
        """Return the hashes of the tokens.

        Raises:
            ConfigError: the folder was not prepared.
        """
        self._require()
        return TokenStore.read(self.folder / TOKENS)

    def joins(self, *, host: str | None = None, port: int | None = None) -> dict[str, str]:
        """Return the join strings of every token that is not revoked.

        Args:
            host: address to put into them instead of the one of ``create``.
            port: the same for the port; the one that a server last listened on when left out.

        Raises:
            ConfigError: the folder was not prepared, or its join strings were deleted.
        """
        self._require()
        kept = self._read_joins()
        live = {entry.id for entry in self.tokens().entries if not entry.revoked}
        listened = kept.get(LISTENED, kept["port"])
        return {
            name: format_join(
                ServerAddress(host or kept["host"], port or listened, fingerprint=self.fingerprint, token=token)
            )
            for name, token in kept["tokens"].items()
            if name in live
        }

    def note_port(self, port: int) -> None:
        """Remember the port that a server listens on, for the join strings; it serves as well where that cannot be.

        The usual port leaves the one of ``create`` in them, which may be another one that a router passes on.
        """
        with contextlib.suppress(ConfigError, OSError):
            before = self._read_joins()
            kept = {name: value for name, value in before.items() if name != LISTENED}
            if port != DEFAULT_PORT:
                kept[LISTENED] = port
            if kept != before:
                self._write_joins(kept)

    def add(self, role: str, name: str | None = None) -> str:
        """Make one more token and return its name."""
        store, kept = self.tokens(), self._read_joins()
        token = new_token()
        entry = store.add(role, token, name=name)
        kept["tokens"][entry.id] = token
        self._write_joins(kept)
        store.write(self.folder / TOKENS)
        return entry.id

    def revoke(self, name: str, *, evict: bool = False) -> None:
        """Lock one token out, with ``evict`` what came with it as well; a running server notices by itself."""
        store = self.tokens()
        store.revoke(name, evict=evict)
        store.write(self.folder / TOKENS)

    def admit(self, name: str) -> None:
        """Let a token in again; a running server notices by itself."""
        store = self.tokens()
        store.admit(name)
        store.write(self.folder / TOKENS)

    def _require(self) -> None:
        if not self.exists:
            raise ConfigError(f"{self.folder} holds no server yet; prepare it with: trackmaster server --init.")

    def _read_joins(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / JOINS).read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not _are_joins(found):
            raise ConfigError(
                f"{self.folder / JOINS} is gone or damaged: the server keeps only hashes of its tokens, so the join "
                "strings cannot be shown again. Make new ones with --init --replace."
            )
        joins: dict[str, Any] = found
        return joins

    def _write_joins(self, content: object) -> None:
        write_private(self.folder / JOINS, json.dumps(content, indent=1).encode())


def _are_joins(found: Any) -> bool:
    """Return whether this is what ``create`` and ``note_port`` write."""
    if not isinstance(found, dict) or not isinstance(found.get("host"), str):
        return False
    tokens, ports = found.get("tokens"), [found.get("port"), found.get(LISTENED, 1)]
    are_ports = all(type(port) is int and 0 < port < 2**16 for port in ports)
    return are_ports and isinstance(tokens, dict) and all(isinstance(token, str) for token in tokens.values())
