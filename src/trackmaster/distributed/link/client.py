"""A client of the relay: one event loop in one background thread, reconnecting for as long as its owner lives.

All reading and writing of a TLS connection happens in that one thread: on CPython 3.11 a connection that is read in one
thread and written in another can hang.
"""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from trackmaster.distributed.link.backoff import jittered_waits
from trackmaster.distributed.link.entrance import CLOSE_S, OPEN_S, Entrance, RefusedError
from trackmaster.distributed.security.join_string import ServerAddress
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.wire import framing, link_spec
from trackmaster.distributed.wire.known_warnings import leave_out_known_warnings
from trackmaster.distributed.wire.messages import (
    SESSION_BYTES,
    Bye,
    ErrorFrame,
    Hello,
    Message,
    Welcome,
    decode,
    encode,
)
from trackmaster.distributed.wire.plain_lines import said_plainly
from trackmaster.errors import TrackmasterError

LONGEST_WAIT_S = 0.5
"""Of one wait of the owner's thread, so that Ctrl+C is heard on every system."""


@dataclass(frozen=True)
class LinkOptions:
    """Times of a link in seconds."""

    shortest_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    """Between attempts to reach a server that is away."""
    silence_s: float = 60.0
    """A server that says nothing for so long is gone; it gives a sign of life every 20 s."""
    flush_s: float = 1.5
    """How long closing waits for what has not arrived."""


class LinkClient:
    """What worker and trainer ends have in common: the connection and its thread.

    Args:
        address: the server.
        role: worker, trainer or observer.
        spec: canonical JSON of the samples, as ``link_spec.describe`` makes it; empty asks for the trainer's.
        run_name: for people.
        worker_id: number of a worker; -1 takes a free one.
        options: times.
        say: where lines for people go.
    """

    def __init__(
        self, address: ServerAddress, role: str, *, spec: bytes = b"", run_name: str = "", worker_id: int = -1,
        options: LinkOptions | None = None, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self._address, self._role, self._spec, self._run_name = address, role, spec, run_name
        self._options, self._say = options or LinkOptions(), said_plainly(say)
        self._asked_id = worker_id
        self.session = secrets.token_bytes(SESSION_BYTES)
        """Names this life of the client."""
        self._changed = threading.Condition()
        self._welcome: Welcome | None = None
        self._fatal: TransportError | None = None
        self._refused = ""  # why the server does not take us for now
        self._closing = False
        self._is_connected = False
        self._entrance = Entrance(address, role, self._say)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"trackmaster-{role}", daemon=True)

    def start(self) -> Self:
        """Begin to connect; nothing waits for it."""
        leave_out_known_warnings()
        self._thread.start()
        return self

    def wait_connected(self, timeout_s: float) -> Welcome:
        """Return the server's first welcome.

        Raises:
            TransportError: the server refused us, or did not answer in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._welcome is not None or self._fatal is not None, timeout_s)
            self._raise_if_fatal()
            if self._welcome is None and self._refused:
                raise TransportError(
                    f"The server at {self._address.place} did not take us within {timeout_s:.0f} s: {self._refused}"
                )
            if self._welcome is None:
                raise TransportError(
                    f"No server answered at {self._address.place} within {timeout_s:.0f} s. Is it running, is the port "
                    "forwarded, does the join string name the right address?"
                )
            return self._welcome

    @property
    def run_spec(self) -> bytes:
        """Description of the trainer's run as of the newest welcome; empty without a trainer."""
        return self._welcome.spec if self._welcome is not None else b""

    @property
    def is_connected(self) -> bool:
        """Whether the server is there at the moment."""
        return self._is_connected

    def close(self) -> None:
        """Flush what can be flushed, say goodbye and end the thread."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._notify()
        if self._thread.ident is None:
            return
        self._thread.join(self._options.flush_s + CLOSE_S if self._is_connected else 0.0)
        loop, task = self._loop, self._task
        if self._thread.is_alive() and loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(task.cancel)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What a role fills in; called in the loop's thread --------------------------------------------------------------

    def _begin(self, welcome: Welcome) -> None:
        """A connection was made, perhaps not the first."""

    def _hear(self, message: Message) -> None:
        """A message has arrived."""

    async def _send_due(self, send: "Sender") -> None:
        """Send whatever is due; called again whenever ``_notify`` was."""

    def _is_flushed(self) -> bool:
        """Whether nothing is left to wait for when closing."""
        return True

    def _farewell(self) -> Bye:
        """Return the goodbye."""
        return Bye("")

    # ----------------------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        """Let the loop look for something to send; from any thread."""
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(wake.set)

    def _raise_if_fatal(self) -> None:
        if self._fatal is not None:
            raise TransportError(str(self._fatal))

    def _run(self) -> None:
        try:
            asyncio.run(self._connect_forever())
        except asyncio.CancelledError:
            pass
        except TrackmasterError as error:
            self._end_with(TransportError(str(error)))
        except Exception as error:  # must reach the owner's thread, which would wait for ever otherwise
            self._end_with(TransportError(f"The link failed with {type(error).__name__}: {error}."))

    def _end_with(self, error: TransportError) -> None:
        with self._changed:
            self._fatal = error
            self._changed.notify_all()

    def _is_closing(self) -> bool:
        return self._closing

    async def _connect_forever(self) -> None:
        self._loop, self._wake, self._task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()
        waits, said = jittered_waits(self._options.shortest_wait_s, self._options.longest_wait_s), ""
        while not self._closing:
            wait, refused = 0.0, ""
            try:
                async with self._entrance.open() as connection:
                    await self._converse(connection)
                reason = "the connection was closed"
            except RefusedError as refusal:
                if refusal.final:
                    raise TransportError(str(refusal)) from None
                reason, wait = str(refusal).rstrip("."), refusal.wait_s
                refused = str(refusal) if refusal.by_server else ""
            except framing.WireError as error:
                reason = str(error).rstrip(".")
            except (OSError, TimeoutError, EOFError, WebSocketException) as error:
                reason = str(error).rstrip(".") or type(error).__name__
            if self._is_connected:
                waits, said = jittered_waits(self._options.shortest_wait_s, self._options.longest_wait_s), ""
            self._is_connected, self._refused = False, refused
            if self._is_closing():
                return
            if said != (refused or "away"):
                said = refused or "away"
                place = f"The server at {self._address.place}"
                self._say(
                    f"{place} does not take us for now: {refused} Trying again until it does."
                    if refused
                    else f"{place} is away ({reason}); trying again until it is back."
                )
            await self._pause(max(wait, next(waits)))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not once the owner closes."""
        assert self._wake is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._closing:
                    self._wake.clear()
                    await self._wake.wait()

    async def _converse(self, connection: ClientConnection) -> None:
        known_id = self._welcome.worker_id if self._welcome is not None else self._asked_id
        hello = Hello(
            self._role, known_id, self.session, framing.fit_text(self._run_name), framing.VERSION, self._spec,
            link_spec.digest(self._spec),
        )  # fmt: skip
        await connection.send(encode(hello))
        async with asyncio.timeout(OPEN_S):
            welcome = await self._next(connection)
        if not isinstance(welcome, Welcome):
            raise ConnectionError(f"it greeted with {type(welcome).__name__}")
        if not welcome.accepted:
            raise RefusedError(welcome.reason, final=not welcome.limits.get("retry"), by_server=True)
        with self._changed:
            self._welcome, self._is_connected = welcome, True
            self._begin(welcome)
            self._changed.notify_all()
        sender = asyncio.create_task(self._send_forever(connection))
        listener = asyncio.create_task(self._listen(connection))
        try:
            await asyncio.wait((sender, listener), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sender.cancel()
            listener.cancel()
            outcomes = await asyncio.gather(listener, sender, return_exceptions=True)
        for outcome in outcomes:  # what the server said comes before what could not be sent any more
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def _listen(self, connection: ClientConnection) -> None:
        while True:
            try:
                async with asyncio.timeout(self._options.silence_s):
                    message = await self._next(connection)
            except TimeoutError:
                connection.transport.abort()
                raise ConnectionError(f"it has been silent for {self._options.silence_s:.0f} s") from None
            with self._changed:
                self._hear(message)
                self._changed.notify_all()

    async def _next(self, connection: ClientConnection) -> Message:
        frame = await connection.recv()
        if isinstance(frame, str):
            raise framing.WireError("The server sent text, which does not exist in this protocol.")
        message = decode(frame)
        if isinstance(message, ErrorFrame):
            # Without a hello in time the machine was only busy; everything else would be refused again.
            raise RefusedError(f"The server ended the connection: {message.sentence}", final=message.code != "hello")
        return message

    async def _send_forever(self, connection: ClientConnection) -> None:
        assert self._wake is not None
        send = Sender(connection)
        while not self._closing:
            self._wake.clear()
            await self._send_due(send)
            if not self._closing:
                await self._wake.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.flush_s):
                while not self._is_flushed():
                    self._wake.clear()
                    await self._send_due(send)
                    if not self._is_flushed():
                        await self._wake.wait()
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(CLOSE_S):
                await send.message(self._farewell())
                await connection.close()


class Sender:
    """Sends frames and messages over one connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def frame(self, frame: bytes) -> None:
        """Send a frame that was encoded before."""
        await self._connection.send(frame)

    async def message(self, message: Message) -> None:
        """Send a message."""
        await self._connection.send(encode(message))
