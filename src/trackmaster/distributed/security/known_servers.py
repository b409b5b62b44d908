"""Certificates of servers that were joined by password: the first connection pins one, another one later is refused."""

import json
from collections.abc import Callable
from pathlib import Path

from trackmaster.distributed.security.private_files import write_private
from trackmaster.errors import ConfigError
from trackmaster.home import state_dir

KNOWN = "known_servers.json"


class KnownServers:
    """Hashes of certificates by ``host:port``.

    Args:
        path: the file; the user's own when left out.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or state_dir() / KNOWN

    def pin(self, place: str, shown: str, say: Callable[[str], None]) -> str:
        """Return the hash known for a server; one that was never seen is remembered.

        Raises:
            ConfigError: the file is damaged; guessing would let anybody in between.
        """
        known = self._read()
        if place not in known:
            known[place] = shown
            write_private(self._path, json.dumps(known, indent=1, sort_keys=True).encode())
            say(
                f"First connection to {place}: its certificate has the SHA-256 {shown[:16]}… and is remembered in "
                f"{self._path}. Compare it with what the server says, or use its join string."
            )
        return known[place]

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ConfigError(f"{self._path}: the known servers cannot be read; repair or delete the file.")
        return found
