"""The way into a server: its certificate is compared with the one we know before our token is shown to it."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from trackmaster.distributed.security.certificate import (
    SERVER_NAME,
    check_fingerprint,
    client_context,
    fetch_certificate,
    fingerprint,
)
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.security.known_servers import KnownServers
from trackmaster.distributed.security.tokens import password_token
from trackmaster.distributed.wire import framing
from trackmaster.distributed.wire.plain_lines import plain

OPEN_S = 10.0
CLOSE_S = 1.0
UNAUTHORIZED, TOO_MANY = 401, 429


class RefusedError(Exception):
    """The server does not take us.

    Args:
        reason: a sentence.
        final: trying again is of no use.
        wait_s: before trying again.
        by_server: it has heard who we are, and the sentence is its own.
    """

    def __init__(self, reason: str, *, final: bool, wait_s: float = 0.0, by_server: bool = False) -> None:
        super().__init__(plain(reason))
        self.final, self.wait_s, self.by_server = final, wait_s, by_server


class Entrance:
    """Opens connections to one server in one role.

    Args:
        address: the server.
        role: worker, trainer or observer.
        say: where lines for people go.
    """

    def __init__(self, address: ServerAddress, role: str, say: Callable[[str], None]) -> None:
        self._address, self._role, self._say = address, role, say
        self._context: ssl.SSLContext | None = None
        self._pin: str | None = address.fingerprint

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[ClientConnection]:
        """Yield a connection that was let in, and close it afterwards.

        Raises:
            ConnectionError: whatever answers there is no server of ours.
            OSError: nobody answers.
            RefusedError: the certificate is not valid, the token opens nothing, or we are to come later.
            TransportError: the certificate is another one than the one we know.
        """
        address = self._address
        more: dict[str, Any] = {}
        if address.tls:
            self._context = self._context or await self._trusted_context()
            more = {"ssl": self._context, "server_hostname": SERVER_NAME}
        scheme = "wss" if address.tls else "ws"
        try:
            async with connect(
                f"{scheme}://{SERVER_NAME}/", host=address.host, port=address.port, proxy=None, compression=None,
                additional_headers={"Authorization": f"Bearer {self._token()}"}, user_agent_header=None,
                open_timeout=OPEN_S, close_timeout=CLOSE_S, ping_interval=None, max_size=framing.MAX_FRAME_BYTES,
                max_queue=16, write_limit=2**20, **more,
            ) as connection:  # fmt: skip
                yield connection
        except ssl.SSLCertVerificationError as error:
            self._context = None
            await self._trusted_context()  # refuses another certificate with a sentence
            raise RefusedError(
                f"The certificate of {address.place} is not valid ({error.verify_message}).", final=True
            ) from None
        except InvalidStatus as error:
            raise self._refusal(error) from None
        except InvalidHandshake as error:
            raise ConnectionError(f"{address.place} is no server of this program ({error})") from None

    def _token(self) -> str:
        if self._address.token is not None:
            return self._address.token
        return password_token(self._address.password or "", self._role, self._pin)

    async def _trusted_context(self) -> ssl.SSLContext:
        """Return a context that trusts the server's certificate, after it was compared with what we know of it."""
        try:
            shown = await fetch_certificate(self._address.host, self._address.port)
        except ssl.SSLError as error:
            raise ConnectionError(f"it speaks no TLS 1.3: {error.reason or error}") from None
        if self._pin is None:
            self._pin = KnownServers().pin(self._address.place, fingerprint(shown), self._say)
        check_fingerprint(shown, self._pin, self._address.place)
        return client_context(shown)

    def _refusal(self, error: InvalidStatus) -> RefusedError:
        status = error.response.status_code
        if status == UNAUTHORIZED:
            what = "token" if self._address.token is not None else "password"
            return RefusedError(
                f"The server at {self._address.place} does not accept this {what}. Ask whoever runs it for a join "
                "string (trackmaster server --show-join); a token may have been revoked.",
                final=True,
            )
        wait = error.response.headers.get("Retry-After", "0") if status == TOO_MANY else "0"
        return RefusedError(
            f"it answered with status {status}", final=False, wait_s=float(wait) if wait.isdigit() else 0.0
        )
