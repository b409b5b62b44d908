"""A loop whose time passes at once, a transport without a network, and a stand-in on a real port of this machine."""

import asyncio
import random
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trackmaster.replays.catalogue import Catalogue
from trackmaster.replays.checking import CheckJob
from trackmaster.replays.client import ExchangeClient
from trackmaster.replays.errors import FetchError
from trackmaster.replays.fetcher import Fetcher
from trackmaster.replays.manners import Manners
from trackmaster.replays.standin.exhibit import Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.server import Behaviour, LogEntry, StandIn, StandInServer
from trackmaster.replays.transport import Response

NO_LIMITS = Manners(api_per_s=0, files_per_s=0, connections=16, attempts=6, backoff_s=0.001, break_s=0.01)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: where a loop would sleep, its clock jumps."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own: an hour of waiting takes no time, and every run is the same."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run_virtual(work: Coroutine[Any, Any, Any]) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class DirectTransport:
    """Hands requests to a stand-in without any socket; time is the loop's."""

    def __init__(self, standin: StandIn, *, timeout_s: float = 30.0) -> None:
        self.standin = standin
        self.log: list[LogEntry] = []
        self._timeout_s = timeout_s
        self._under_way = 0

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Response:
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        raw = f"{parts.path}?{parts.query}"
        self._under_way += 1
        answer, fault = self.standin.decide(parts.path, dict(parse_qsl(parts.query)), headers, raw)
        self.log.append(
            LogEntry(loop.time(), raw, answer.status, fault, headers.get("User-Agent", ""), self._under_way)
        )
        try:
            await asyncio.sleep(self.standin.behaviour.latency_s)
            if fault == "timeout":
                await asyncio.sleep(self._timeout_s)
                raise FetchError("timeout", "nothing came")
            if fault in ("reset", "cut"):
                raise FetchError("connection", "it broke")
            if fault == "short":
                return Response(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            return Response(answer.status, answer.headers, answer.body)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        pass


class InlinePool:
    """Checks files at once, in the loop itself."""

    async def run(self, function: Callable[[CheckJob], Any], job: CheckJob) -> Any:
        return function(job)


def direct_client(
    standin: StandIn, manners: Manners = NO_LIMITS, pages: Catalogue | None = None
) -> tuple[ExchangeClient, DirectTransport]:
    """Must be called inside of a running loop."""
    transport = DirectTransport(standin)
    fetcher = Fetcher(transport, manners, contact="tests", rng=random.Random(1))
    return ExchangeClient(fetcher, "http://exchange", pages), transport


class RunningStandIn:
    """A stand-in in a thread, with a loop of its own."""

    def __init__(self, exhibit: Exhibit, faults: FaultPlan | None = None, behaviour: Behaviour | None = None) -> None:
        self.log: list[LogEntry] = []
        self.standin = StandIn(exhibit, faults, behaviour, self.log.append)
        self.url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> "RunningStandIn":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with StandInServer(self.standin) as server:
            self.url = server.url
            self._ready.set()
            await self._stop.wait()
