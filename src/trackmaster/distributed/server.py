"""The server's role under the seed's name and arguments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from trackmaster.distributed.link.server_link import say_ignored
from trackmaster.distributed.relay.core import CoreOptions
from trackmaster.distributed.relay.server import RelayOptions, RelayServer
from trackmaster.errors import ConfigError


class Server:
    """Relays samples from workers to the trainer and weights back; listens as soon as it is made.

    Args:
        security: None for plain text on this machine only, or "TLS".
        password: what workers and trainer must know; without one, the tokens of ``trackmaster server --init`` count.
        port: to listen on; 0 takes a free one.
        max_workers: workers that may be connected at once; None sets no limit.
        keys_dir: folder of certificate and tokens; the user's own when left out.
        local_port: accepted and not needed.
        header_size: accepted and not needed.
        allow_insecure: plain text off this machine.
        durable: folder of a journal, so that what waits outlives the server.
        host: address to listen on; every one with TLS, this machine without.
        say: where lines for people go.

    Raises:
        ConfigError: an unsafe combination, or a port that is taken.
    """

    def __init__(
        self,
        security: Literal["TLS"] | None = None,
        password: str | None = None,
        port: int = 6666,
        max_workers: int | None = None,
        keys_dir: str | Path | None = None,
        local_port: int | None = None,
        header_size: int | None = None,
        *,
        allow_insecure: bool = False,
        durable: str | Path | None = None,
        host: str | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        say_ignored(local_port=local_port, header_size=header_size)
        if security not in (None, "TLS"):
            raise ConfigError(f'security is {security!r}, expected None (this machine only) or "TLS".')
        self._relay = RelayServer(
            RelayOptions(
                security=security, password=password, host=host, port=port, allow_insecure=allow_insecure,
                keys=Path(keys_dir) if keys_dir else None, durable=Path(durable) if durable else None,
                core=CoreOptions(max_workers=max_workers),
            ),
            say=say,
        )  # fmt: skip
        self._relay.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._relay.port

    def start(self) -> Self:
        """Listen, if it does not already."""
        self._relay.start()
        return self

    def run(self) -> None:
        """Serve until Ctrl+C."""
        self._relay.run()

    def numbers(self) -> dict[str, float]:
        """Return what was relayed so far."""
        return self._relay.numbers()

    def close(self) -> None:
        """Say goodbye to everybody and free the port."""
        self._relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
