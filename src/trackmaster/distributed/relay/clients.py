"""One connected client of a relay, and what is said to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from trackmaster.distributed.security.tokens import Identity
from trackmaster.distributed.wire import framing
from trackmaster.distributed.wire.messages import ErrorFrame, Evict, Hello, Message, decode, encode

CLOSE_S = 1.0
PROBE_S = 5.0


class ClientError(Exception):
    """A client did what it must not do; it is told and let go."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


@dataclass(eq=False)
class Client:
    """A client after its hello was accepted."""

    connection: ServerConnection
    identity: Identity
    hello: Hello
    worker_id: int = -1
    is_held_back: bool = False
    """Whether nothing is read from it at the moment, because the queue is full."""
    is_asking: bool = False
    """Whether it only looks every few seconds if a trainer has come, which is worth no line."""
    said_bye: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    """What it last said about itself."""
    spec: bytes = b""
    sessions: set[bytes] = field(default_factory=set)
    """Lives whose chunks it has sent: its own, and earlier ones from its spool."""

    @property
    def address(self) -> str:
        """Where it comes from."""
        return address_of(self.connection)

    async def send(self, message: Message) -> None:
        """Send a message."""
        await self.connection.send(encode(message))

    async def answer(self, message: Message) -> None:
        """Send a message to a client that may have closed meanwhile: what it said before that is still to be read."""
        with contextlib.suppress(ConnectionClosed):
            await self.send(message)

    async def try_send(self, message: Message) -> None:
        """Send a message unless the client is gone or takes too long."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.send(message)

    async def messages(self) -> AsyncIterator[tuple[bytes, Message]]:
        """Yield what arrives, checked, until the connection closes.

        Raises:
            ClientError: a text frame, or one that is not a message.
        """
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await self.connection.recv()
                yield checked_frame(frame)

    async def while_here(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may take long, but not for a client that is gone: it would be waited for with all it holds.

        Raises:
            ConnectionError: the client is gone.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self.connection.wait_closed())
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionError("the client is gone")
            await task
        finally:
            task.cancel()
            gone.cancel()

    def cut_off_after(self, task: "asyncio.Task[None]") -> None:
        """End the connection if a task that it needs has ended by itself."""
        if not task.cancelled():
            self.connection.transport.abort()

    async def dismiss(self, code: str, sentence: str) -> None:
        """Say why and close."""
        await dismiss(self.connection, code, sentence)

    async def send_away(self, message: Evict) -> None:
        """Say at length why and close."""
        await _let_go(self.connection, message, message.type)


def address_of(connection: ServerConnection) -> str:
    """Return the address of the other side."""
    address = connection.remote_address
    return str(address[0]) if address else "-"


def checked_frame(frame: bytes | str) -> tuple[bytes, Message]:
    """Return a frame and its message.

    Raises:
        ClientError: it is text or not a message.
    """
    if isinstance(frame, str):
        raise ClientError("text", "Text frames do not exist in this protocol.")
    try:
        return frame, decode(frame)
    except framing.WireError as error:
        raise ClientError("frame", str(error)) from None


async def dismiss(connection: ServerConnection, code: str, sentence: str) -> None:
    """Say why and close; a client that does not listen is cut off."""
    await _let_go(connection, ErrorFrame(code, framing.fit_text(sentence)), code)


async def _let_go(connection: ServerConnection, message: Message, code: str) -> None:
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await connection.send(encode(message))
            await connection.close(1008, code)
    connection.transport.abort()


def name_of(client: Client) -> str:
    """Return a client for sentences."""
    number = f" {client.worker_id}" if client.worker_id >= 0 else ""
    return f"{client.identity.role.capitalize()}{number} ({client.identity.id}, {client.address})"


async def answers(client: Client) -> bool:
    """Return whether a client is alive."""
    try:
        async with asyncio.timeout(PROBE_S):
            await (await client.connection.ping())
    except (TimeoutError, ConnectionClosed):
        return False
    return True


async def first_message(client_frame: bytes | str, role: str) -> Hello:
    """Return the hello in a client's first frame.

    Raises:
        ClientError: it is something else, or in another role than the token's.
    """
    _, message = checked_frame(client_frame)
    if not isinstance(message, Hello):
        raise ClientError("hello", f"The first message must be a hello, not {type(message).__name__}.")
    if message.role != role:
        raise ClientError("role", f"This token is that of a {role}, not of a {message.role}.")
    return message
