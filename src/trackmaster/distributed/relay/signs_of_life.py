"""What a server says by the clock: that it lives, and to observers its numbers."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from websockets.exceptions import ConnectionClosed

from trackmaster.distributed.relay.clients import Client, ClientError, name_of
from trackmaster.distributed.wire.messages import Bye, Stat

MISSED = 2
"""Signs of life in a row that a client may leave unanswered before it is gone."""


async def heartbeat(
    client: Client, every_s: float, queue_bytes: Callable[[], float], say: Callable[[str], None]
) -> None:
    """Tell a client that we live, and cut it off when it does not answer; one that is held back cannot."""
    missed = 0
    with contextlib.suppress(ConnectionClosed):
        while True:
            answer = asyncio.ensure_future(await client.connection.ping())
            await client.send(Stat({"queue_bytes": queue_bytes()}))
            await asyncio.wait([answer], timeout=every_s)
            if answer.done():
                missed = 0
                await asyncio.sleep(every_s)
            elif not client.is_held_back:
                missed += 1
            if missed >= MISSED:
                say(f"{name_of(client)} does not answer any more.")
                client.connection.transport.abort()
                return


async def serve_observer(client: Client, every_s: float, numbers: Callable[[], Mapping[str, float]]) -> None:
    """Tell an observer the numbers until it leaves.

    Raises:
        ClientError: it says something else than goodbye.
    """
    teller = asyncio.create_task(_tell(client, every_s, numbers))
    try:
        async for _, message in client.messages():
            if not isinstance(message, Bye):
                raise ClientError("role", f"An observer may not send {type(message).__name__}.")
            client.said_bye = True
    finally:
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
            await teller


async def _tell(client: Client, every_s: float, numbers: Callable[[], Mapping[str, float]]) -> None:
    while True:
        await client.send(Stat(numbers()))
        await asyncio.sleep(every_s)
