"""What carries requests: one small interface, so that tests can put something else in the place of the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from yarl import URL

from trackmaster.replays.errors import FetchError, RejectedError

_CHUNK_BYTES = 64 << 10
TOTAL_FACTOR = 20
KEEP_ALIVE_S = 4.0
"""Shorter than servers keep connections, so that none is used that the other side has just given up."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Fetches one URL, without any retry."""

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        """Return the whole answer, whatever its status.

        Raises:
            FetchError: no whole answer came, or it is larger than ``max_bytes``.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class HttpTransport:
    """Real HTTP.

    Args:
        connections: open at the same time, at most.
        timeout_s: for connecting, and for the next piece of an answer; the whole may take twenty times as long.
    """

    def __init__(self, *, connections: int, timeout_s: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, limit_per_host=connections, keepalive_timeout=KEEP_ALIVE_S
            ),
            middlewares=(_only_once,),
            timeout=aiohttp.ClientTimeout(total=TOTAL_FACTOR * timeout_s, connect=timeout_s, sock_read=timeout_s),
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._timeout_s = timeout_s

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        """Return the whole answer, whatever its status; moves are not followed, each would be a request of its own."""
        try:
            place = URL(url, encoded=True)
        except ValueError as error:
            raise FetchError("bad_address", f"{url!r} is no address ({error})", may_pass=False) from None
        try:
            async with self._session.get(place, headers=headers, allow_redirects=False) as answer:
                announced = answer.content_length or 0
                if announced > max_bytes:
                    raise _too_large(announced, max_bytes)
                pieces, size = [], 0
                async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                    size += len(piece)
                    if size > max_bytes:
                        raise _too_large(size, max_bytes)
                    pieces.append(piece)
                return Response(answer.status, answer.headers, b"".join(pieces))
        except TimeoutError:
            raise FetchError("timeout", f"nothing came for {self._timeout_s:g} s") from None
        except aiohttp.ClientPayloadError as error:
            raise FetchError("cut_body", f"the answer ended too early ({error})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError("connection", f"no answer came ({error or type(error).__name__})") from None

    async def close(self) -> None:
        """Let go of all connections."""
        await self._session.close()


async def _only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again by itself when a connection breaks: that would ignore the pace."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise FetchError("connection", f"the connection broke ({error or type(error).__name__})") from None


def _too_large(size: int, max_bytes: int) -> RejectedError:
    return RejectedError("too_large", f"the answer has {size} bytes or more, the limit is {max_bytes} (--max-file-mb)")
