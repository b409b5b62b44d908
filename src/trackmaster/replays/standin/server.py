"""The stand-in on a real socket: latency, bandwidth, faults, and a log of who asked for what and when."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Self

from aiohttp import web

from trackmaster.replays.standin.exhibit import EPOCH, Exhibit
from trackmaster.replays.standin.faults import FaultPlan
from trackmaster.replays.standin.routes import Answer, answer, page

_PIECE_BYTES = 16 << 10
_FILES = ("/recordgbx/", "/trackgbx/")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request: when it came (s, the loop's clock), what it asked for, what it got, and how many were under way."""

    at_s: float
    path: str
    status: int
    fault: str | None
    user_agent: str
    under_way: int

    def as_json(self) -> str:
        """Return a line for a log file."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Behaviour:
    """How the stand-in behaves.

    Attributes:
        latency_s: before each answer.
        bandwidth_bytes_per_s: of each answer; 0 for no limit.
        retry_after: value of that header with status 429.
        stall_s: how long a time-out says nothing before the connection is closed.
    """

    latency_s: float = 0.0
    bandwidth_bytes_per_s: float = 0.0
    retry_after: str = "1"
    stall_s: float = 60.0


class StandIn:
    """Answers requests from an exhibit.

    Args:
        exhibit: what there is to see.
        faults: which go wrong.
        behaviour: how it behaves otherwise.
        log: told about every request.
    """

    def __init__(
        self, exhibit: Exhibit, faults: FaultPlan | None = None, behaviour: Behaviour | None = None,
        log: Callable[[LogEntry], None] | None = None,
    ) -> None:  # fmt: skip
        self.exhibit = exhibit
        self.faults = faults or FaultPlan()
        self.behaviour = behaviour or Behaviour()
        self._log = log
        self._under_way = 0
        self._pages = 0
        self._replay_ids = sorted(exhibit.replays)
        self._track_ids = sorted(exhibit.tracks)
        self._delete()

    def _delete(self) -> None:
        for track_id in self._track_ids:
            if self.faults.is_deleted(f"track/{track_id}"):
                self.exhibit.remove(track_id)
        self._gone_files = {
            replay_id for replay_id in self.exhibit.replays if self.faults.is_deleted(f"replay/{replay_id}")
        }

    @property
    def available_replays(self) -> set[int]:
        """Ids of the replays that can be had."""
        return self.exhibit.replays.keys() - self._gone_files

    def decide(self, path: str, query: dict[str, str], headers: Any, raw: str) -> tuple[Answer, str | None]:
        """Return the answer to a request, and the fault that spoils it."""
        is_file = path.startswith(_FILES)
        fault = self.faults.draw(raw, is_file=is_file)
        if fault == "429":
            return Answer(429, b"Too Many Requests", {"Retry-After": self.behaviour.retry_after}), fault
        if fault == "500":
            return page(500, "Internal Server Error"), fault
        if fault == "html":
            return page(200, "We will be back soon"), fault
        if path == "/api/tracks":
            self._pages += 1
            if self.faults.moves(self._pages) and self.exhibit.tracks:
                ids = self.exhibit.ordered(10)[0]
                moved = ids[int(self.faults.chance(f"moved {self._pages}") * len(ids))]
                self.exhibit.touch(moved, EPOCH + timedelta(days=9_000, seconds=self._pages))
        number = int(path.rpartition("/")[2]) if is_file and path.rpartition("/")[2].isdecimal() else 0
        if path.startswith("/recordgbx/") and number in self._gone_files:
            return page(410, "Gone"), "deleted"
        found = answer(self.exhibit, path, query, headers)
        if fault == "wrong" and found.status == 200:
            ids = self._replay_ids
            other = self.exhibit.replays.get(
                ids[int(self.faults.chance(f"other {raw} {self.faults.times_asked(raw)}") * len(ids))]
            )
            if other is not None and other.replay_id != number:
                found = Answer(200, other.content(), found.headers)
        return found, fault

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the server."""
        loop = asyncio.get_running_loop()
        arrived_s = loop.time()
        self._under_way += 1
        try:
            found, fault = self.decide(request.path, dict(request.query), request.headers, request.path_qs)
            if self._log is not None:
                agent = request.headers.get("User-Agent", "")
                self._log(LogEntry(arrived_s, request.path_qs, found.status, fault, agent, self._under_way))
            if self.behaviour.latency_s:
                await asyncio.sleep(self.behaviour.latency_s)
            return await self._send(request, found, fault)
        finally:
            self._under_way -= 1

    async def _send(self, request: web.Request, found: Answer, fault: str | None) -> web.StreamResponse:
        if fault == "timeout":
            await asyncio.sleep(self.behaviour.stall_s)
        if fault in ("timeout", "reset"):
            return _hang_up(request, web.Response())
        whole = found.body
        share = self.faults.chance(f"share {request.path_qs} {self.faults.times_asked(request.path_qs)}")
        if fault == "short":
            whole = whole[: int(len(whole) * share)]
        if fault != "cut" and not self.behaviour.bandwidth_bytes_per_s:
            return web.Response(status=found.status, headers=dict(found.headers), body=whole)
        response = web.StreamResponse(status=found.status, headers=dict(found.headers))
        response.content_length = len(whole)
        await response.prepare(request)
        end = int(len(whole) * share) if fault == "cut" else len(whole)
        for start in range(0, end, _PIECE_BYTES):
            piece = whole[start : min(start + _PIECE_BYTES, end)]
            await response.write(piece)
            if self.behaviour.bandwidth_bytes_per_s:
                await asyncio.sleep(len(piece) / self.behaviour.bandwidth_bytes_per_s)
        if end < len(whole):
            return _hang_up(request, response)
        await response.write_eof()
        return response


def _hang_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response


class StandInServer:
    """A stand-in on a port of this machine, inside the running event loop.

    Args:
        standin: what answers.
        host, port: where to listen; port 0 takes a free one.
    """

    def __init__(self, standin: StandIn, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host, self._port = host, port
        app = web.Application()
        app.router.add_get("/{path:.*}", standin.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
