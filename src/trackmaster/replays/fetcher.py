"""One request with good manners: paced, tried again after what may pass, given up after what does not."""

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

from trackmaster import __version__
from trackmaster.gbx import printable
from trackmaster.replays.errors import ExchangeError, FetchError, FinalError, GoneError, WrongFileError
from trackmaster.replays.manners import LONGEST_RETRY_AFTER_S, Backoff, Breaker, Manners, Pace, retry_after_s
from trackmaster.replays.transport import Response, Transport

log = logging.getLogger(__name__)

CONTACT_VARIABLE = "TRACKMASTER_CONTACT"
MAX_PAGE_BYTES = 32 << 20
_DELETED = (404, 410)
_BUSY = (408, 425, 429)
_MOVED = (301, 302, 303, 307, 308)
MOST_MOVES = 3
_FORBIDDEN = (401, 403, 407)

Answer = TypeVar("Answer")
Accept = Callable[[Response], Awaitable[Answer]]
"""Turns an answer into what was asked for; raises ``FetchError`` where it is something else."""


def user_agent(contact: str) -> str:
    """Return how we introduce ourselves: the exchange requires tool, version and someone to talk to."""
    printable = "".join(c for c in contact if c.isascii() and c.isprintable() and c not in "()").strip()
    return f"trackmaster/{__version__} ({printable})" if printable else f"trackmaster/{__version__}"


def contact_or_warning(contact: str | None) -> str:
    """Return the contact of flags or environment; an empty one gives one warning."""
    found = contact if contact is not None else os.environ.get(CONTACT_VARIABLE, "")
    if not found.strip():
        log.warning(
            "No contact is given: set %s to an e-mail address or a page, so that the people of the exchange can "
            "reach you before they have to block you.", CONTACT_VARIABLE,
        )  # fmt: skip
    return found.strip()


class Fetcher:
    """Sends requests to one host; every caller shares its pace, its patience and its connections."""

    def __init__(self, transport: Transport, manners: Manners, *, contact: str, rng: random.Random) -> None:
        self._transport = transport
        self._manners = manners
        self._headers = {"User-Agent": user_agent(contact), "Accept": "*/*"}
        self._paces = {True: Pace(manners.api_per_s), False: Pace(manners.files_per_s)}
        self._backoff = Backoff(manners.backoff_s, rng)
        self._breaker = Breaker(break_s=manners.break_s)
        self._slots = asyncio.Semaphore(manners.connections)
        self.requests = 0
        self.bytes = 0
        self.failures: Counter[str] = Counter()
        """Failed requests by reason, those that were tried again with success included."""

    async def fetch(
        self, url: str, accept: Accept[Answer], *, is_api: bool, max_bytes: int = MAX_PAGE_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Return what ``accept`` makes of the answer, after as many tries as the manners allow.

        Raises:
            FinalError: the item was deleted, or ``accept`` says that no other try can help.
            FetchError: of the last try.
            ExchangeError: the exchange does not let us in, does not understand us, or is down.
        """
        wanted = self._headers | dict(headers or {})
        place, moves, attempt, is_probe = url, 0, 1, False
        while True:
            is_probe = await self._start(self._paces[is_api], is_probe=is_probe)
            try:
                response = await self._once(place, wanted, max_bytes=max_bytes)
                target = _moved_to(place, response)
                if target is not None and moves < MOST_MOVES:
                    place, moves = target, moves + 1
                    continue
                _judge(response, place)
                answer = await accept(response)
            except FinalError:
                self._breaker.success()
                raise
            except FetchError as error:
                self.failures[error.reason] += 1
                self._note(error, is_probe=is_probe)
                if attempt == self._manners.attempts or not error.may_pass:
                    raise
                await self._wait(error, attempt)
                place, moves, attempt, is_probe = url, 0, attempt + 1, False
            else:
                self._breaker.success()
                return answer

    async def _once(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        try:
            response = await self._transport.get(url, headers, max_bytes=max_bytes)
        finally:
            self._slots.release()
        self.bytes += len(response.body)
        return response

    async def _start(self, pace: Pace, *, is_probe: bool) -> bool:
        """Wait for everything a request has to wait for, and take a connection; return whether it is the probe.

        Args:
            pace: to keep.
            is_probe: whether the caller is the probe already, and has been sent on to another address.
        """
        async with pace.line:
            while True:
                is_probe = is_probe or await self._breaker.passage()
                await pace.wait()
                await self._slots.acquire()
                # An answer that came while we waited for the connection may have asked for silence.
                if pace.is_due() and (is_probe or not self._breaker.is_open):
                    break
                self._slots.release()
            pace.started()
            self.requests += 1
            return is_probe

    def _note(self, error: FetchError, *, is_probe: bool) -> None:
        if error.retry_after_s is not None:
            self._hold(error.retry_after_s)
        if isinstance(error, WrongFileError):
            self._breaker.success()
            return
        silence_s = self._breaker.failure(f"the last one: {error.detail}", is_probe=is_probe)
        if silence_s:
            log.warning("The exchange is in trouble (%s); leaving it alone for %.0f s.", error.detail, silence_s)

    def _hold(self, silence_s: float) -> None:
        """Let nobody start a request for a time: the server speaks to all of us."""
        if silence_s > LONGEST_RETRY_AFTER_S:
            raise ExchangeError(
                f"The exchange asks to be left alone for {silence_s / 3600:.1f} hours. Everything that was finished is "
                "kept: run the same command again after that time."
            )
        until_s = asyncio.get_running_loop().time() + silence_s
        for pace in self._paces.values():
            pace.hold_until(until_s)

    async def _wait(self, error: FetchError, attempt: int) -> None:
        delay_s = self._backoff.delay_s(attempt)
        if error.retry_after_s is not None:
            delay_s = max(delay_s if error.retry_after_s == 0 else 0.0, error.retry_after_s)
        if self.failures[error.reason] == 1:
            log.info("A request failed (%s); it is sent again in %.0f s.", error.detail.rstrip("."), delay_s)
        await asyncio.sleep(delay_s)


def _moved_to(url: str, response: Response) -> str | None:
    """Return where an answer sends us, if that is on the same server: a move elsewhere is a person's decision."""
    target = response.headers.get("Location")
    if response.status not in _MOVED or target is None:
        return None
    try:
        moved = urljoin(url, quote(target, safe="%/:=&?~#+!$,;'@()*[]"))
        here, there = urlsplit(url), urlsplit(moved)
        origins = [(part.scheme, part.hostname, part.port) for part in (here, there)]
    except ValueError:
        return None
    is_upgrade = origins == [("http", here.hostname, None), ("https", here.hostname, None)]
    return moved if is_upgrade or origins[0] == origins[1] else None


def _judge(response: Response, url: str) -> None:
    """Let good answers pass; say what the others mean.

    Raises:
        GoneError, FetchError, ExchangeError: see ``Fetcher.fetch``.
    """
    status = response.status
    if 200 <= status < 300 or status == 304:
        return
    if status in _DELETED:
        raise GoneError(f"status_{status}", "the exchange no longer has it")
    if status in _FORBIDDEN:
        raise ExchangeError(
            f"{url}: the exchange refuses us (status {status}). Do not ask again: set {CONTACT_VARIABLE} if it is "
            "empty, read the site's rules, and write to its people. Everything that was finished is kept."
        )
    if status in _BUSY or status >= 500:
        wait_s = retry_after_s(response.headers.get("Retry-After"))
        raise FetchError(f"status_{status}", f"the exchange answered with status {status}", retry_after_s=wait_s)
    moved = response.headers.get("Location")
    if moved is not None and 300 <= status < 400:
        raise ExchangeError(
            f"{url}: the exchange moved to {printable(moved)[:200]}. If that is right, give the new address (--url)."
        )
    said = " ".join(response.body[:200].decode("utf-8", "replace").split())
    raise FetchError(
        f"status_{status}",
        f"the exchange does not understand {url} (status {status}: {printable(said)})",
        may_pass=False,
    )
