"""The server between workers and trainer: one port, TLS 1.3, tokens checked before anything is parsed.

``RelayServer`` runs its event loop in a background thread, so that a program or a test can hold one; ``run`` blocks
as the command line wants it.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from weakref import WeakKeyDictionary

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from trackmaster.distributed.relay.clients import Client, ClientError, address_of, dismiss, first_message
from trackmaster.distributed.relay.core import CoreOptions, RelayCore
from trackmaster.distributed.relay.journal import Journal
from trackmaster.distributed.security.certificate import server_context
from trackmaster.distributed.security.gate import BackOff, CappedListener, ConnectionCap, listen
from trackmaster.distributed.security.join_string import (
    DEFAULT_PORT,
    LOOPBACK,
    ServerAddress,
    format_join,
    is_loopback,
    own_address,
    parse_join,
)
from trackmaster.distributed.security.server_keys import ServerKeys, default_folder
from trackmaster.distributed.security.tokens import ROLES, Identity, TokenStore, check_password, new_token
from trackmaster.distributed.wire.framing import MAX_FRAME_BYTES
from trackmaster.distributed.wire.known_warnings import leave_out_known_warnings
from trackmaster.distributed.wire.plain_lines import said_plainly
from trackmaster.errors import ConfigError, TrackmasterError

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the point of a server; plain text is refused there
CLOSE_S = 2.0


@dataclass(frozen=True)
class RelayOptions:
    """How a server listens and whom it lets in.

    ``security`` None is plain text, on this machine only unless ``allow_insecure``. Without a password, tokens decide.
    """

    security: Literal["TLS"] | None = "TLS"
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    """Address to listen on: every one with TLS, loopback without."""
    port: int = DEFAULT_PORT
    """0 takes a free one."""
    allow_insecure: bool = False
    keys: Path | None = None
    """Folder of certificate and tokens; the user's own when left out."""
    durable: Path | None = None
    """Folder of the journal; without one, what waits is lost with the server."""
    max_connections: int = 256
    max_per_address: int = 64
    handshake_s: float = 5.0
    core: CoreOptions = field(default_factory=CoreOptions)


class RelayServer:
    """Relays chunks from workers to one trainer and weights back.

    Args:
        options: how it listens and whom it lets in.
        say: where lines for people go.

    Raises:
        ConfigError: plain text off loopback, a weak password, or keys that cannot be used.
        TransportError: the journal cannot be used.
    """

    def __init__(self, options: RelayOptions | None = None, *, say: Callable[[str], None] = print) -> None:
        self._options = options or RelayOptions()
        self._say = said_plainly(say)
        self._host = self._options.host or (EVERYWHERE if self._options.security else LOOPBACK)
        self._off_loopback = not is_loopback(self._host)
        self._refuse_what_is_unsafe()
        self._keys = ServerKeys(self._options.keys or default_folder())
        self._plain_tokens: dict[str, str] = {}
        self._tokens = self._open_tokens()
        self._cap = ConnectionCap(self._options.max_connections, self._options.max_per_address)
        self._back_off = BackOff()
        # A connection whose upgrade breaks after this takes its entry along.
        self._identities: WeakKeyDictionary[ServerConnection, Identity] = WeakKeyDictionary()
        self._refused_tokens = 0
        self._core: RelayCore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._is_ready = threading.Event()
        self._error: BaseException | None = None
        self._port = self._options.port

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    def start(self) -> "RelayServer":
        """Begin to listen; returns once clients can come.

        Raises:
            ConfigError: the port is taken.
        """
        if self._thread is not None:
            return self
        leave_out_known_warnings()
        self._thread = threading.Thread(target=self._run_loop, name="trackmaster-server", daemon=True)
        self._thread.start()
        self._is_ready.wait()
        if self._error is not None:
            self._thread.join()
            self._thread = None
            error, self._error = self._error, None
            if isinstance(error, OSError):
                raise ConfigError(
                    f"The server cannot listen on {self._host}:{self._options.port} ({error.strerror or error}): is "
                    "another one running? Choose another --port."
                ) from None
            raise error
        if self._options.security is not None:
            self._keys.note_port(self._port)
        return self

    def run(self, *, on_tick: Callable[[], None] | None = None) -> None:
        """Serve until Ctrl+C or ``close``.

        Args:
            on_tick: called about twice a second.
        """
        self.start()
        try:
            while self._thread is not None and self._thread.is_alive():
                self._thread.join(0.5)
                if on_tick is not None:
                    on_tick()
        finally:
            self.close()

    def close(self) -> None:
        """Say goodbye to everybody and free the port; returns within seconds."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop may have ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    def address(self, role: str) -> ServerAddress:
        """Return what a client of a role on this machine needs.

        Raises:
            ConfigError: the server lets people in by password, or its join strings were deleted.
        """
        pin = self._keys.fingerprint if self._options.security else None
        host = LOOPBACK if self._off_loopback else self._host
        if self._options.password is not None:
            return ServerAddress(
                host, self._port, tls=pin is not None, fingerprint=pin, password=self._options.password
            )
        if self._plain_tokens:
            return ServerAddress(host, self._port, tls=False, token=self._plain_tokens[role])
        for name, text in self._keys.joins(host=host, port=self._port).items():
            if name.startswith(f"{role}-"):
                return parse_join(text)
        raise ConfigError(f"The server has no token for the role {role}.")

    def join_string(self, role: str) -> str:
        """Return the join string of a role for this machine."""
        return format_join(self.address(role))

    def numbers(self) -> dict[str, float]:
        """Return what the server counts: clients, chunks, bytes, refusals."""
        core, loop = self._core, self._loop
        if core is None or loop is None or not loop.is_running():
            return {}

        async def read() -> dict[str, float]:
            return core.numbers() | {
                "connections": float(len(self._cap)), "refused_tokens": float(self._refused_tokens),
                "refused_connections": float(self._cap.refused),
            }  # fmt: skip

        return asyncio.run_coroutine_threadsafe(read(), loop).result()

    def __enter__(self) -> "RelayServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse_what_is_unsafe(self) -> None:
        options = self._options
        if options.security is None and self._off_loopback:
            if not options.allow_insecure:
                raise ConfigError(
                    f"SECURITY is null and the server would listen on {self._host}: samples, weights and the password "
                    'would cross the network in plain text. Set SECURITY to "TLS", listen on 127.0.0.1, or set '
                    "ALLOW_INSECURE to true in a network that is yours alone."
                )
            self._say(
                f"Warning: this server speaks plain text on {self._host}; whoever listens on the network can read and "
                'change everything. SECURITY "TLS" ends that.'
            )
        if options.password is not None and self._off_loopback:
            check_password(options.password)

    def _open_tokens(self) -> TokenStore:
        options = self._options
        if options.security is None:
            store, pin = TokenStore(), None
            if options.password is None:
                for role in ROLES:
                    self._plain_tokens[role] = new_token()
                    store.add(role, self._plain_tokens[role])
        else:
            if not self._keys.exists:
                self._keys.create(own_address() if self._off_loopback else LOOPBACK, options.port or DEFAULT_PORT)
                self._say(f"A certificate and tokens were made in {self._keys.folder}.")
            store, pin = self._keys.tokens(), self._keys.fingerprint
        if options.password is not None:
            store.add_password(options.password, pin)
        return store

    # In the thread of the event loop ---------------------------------------------------------------------------------

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        options = self._options
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        context: ssl.SSLContext | None = None
        if options.security is not None:
            context = server_context(self._keys.certificate, self._keys.key)
        listener: CappedListener = listen(self._host, options.port, self._cap)
        journal: Journal | None = None
        try:
            journal = Journal(options.durable) if options.durable is not None else None
            self._core = RelayCore(options.core, self._say, journal)
            more: dict[str, Any] = {"ssl": context, "ssl_handshake_timeout": options.handshake_s} if context else {}
            async with serve(
                self._handle, sock=listener, process_request=self._authorise, compression=None, server_header=None,
                open_timeout=options.handshake_s, ping_interval=None, close_timeout=1.0, max_size=MAX_FRAME_BYTES,
                max_queue=2, write_limit=2**20, **more,
            ) as server:  # fmt: skip
                self._port = listener.getsockname()[1]
                watcher = asyncio.create_task(self._watch_tokens())
                self._is_ready.set()
                await self._stop.wait()
                watcher.cancel()
                server.close(code=1001, reason="the server ends")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_S):
                        await server.wait_closed()
                for connection in list(server.connections):
                    connection.transport.abort()
        finally:
            listener.close()
            if journal is not None:
                journal.close()

    def _authorise(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a connection in by its token, before a frame of it is read."""
        address = address_of(connection)
        wait = self._back_off.wait_s(address)
        if wait > 0:
            response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens from this address.\n")
            response.headers["Retry-After"] = str(int(wait) + 1)
            return response
        given = request.headers.get_all("Authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        identity = self._tokens.identify(token.strip()) if scheme.lower() == "bearer" else None
        if identity is None:
            self._back_off.failed(address)
            self._refused_tokens += 1
            return connection.respond(HTTPStatus.UNAUTHORIZED, "This token opens nothing here.\n")
        self._back_off.succeeded(address)
        self._identities[connection] = identity
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        identity = self._identities.pop(connection)
        assert self._core is not None
        try:
            async with asyncio.timeout(self._options.handshake_s):
                hello = await first_message(await connection.recv(), identity.role)
        except ClientError as error:
            await dismiss(connection, error.code, error.sentence)
            return
        except TimeoutError:
            await dismiss(connection, "hello", "No hello came.")
            return
        except ConnectionClosed:
            return
        with contextlib.suppress(ConnectionClosed):
            await self._core.converse(Client(connection, identity, hello))

    async def _watch_tokens(self) -> None:
        """Let go of clients whose token has been revoked, and of what evicted ones have sent."""
        assert self._core is not None
        evicted = self._tokens.evicted
        while True:
            await asyncio.sleep(1.0)
            try:
                if not self._tokens.refresh():
                    continue
            except TrackmasterError as error:
                self._say(str(error))
                continue
            for name in self._tokens.evicted - evicted:
                self._say(f"The token {name} was evicted; what came with it is dropped and forgotten.")
                await self._core.evict_token(name, f"Whoever runs the server evicted the token {name}.")
            evicted = self._tokens.evicted
            for client in self._core.clients():
                if not self._tokens.knows(client.identity):
                    self._say(f"The token {client.identity.id} was revoked; its client is let go.")
                    await client.dismiss("revoked", "Your token was revoked; ask for another one.")
