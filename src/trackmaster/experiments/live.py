"""The server of a page that shows a drive while it happens: this machine alone, Server-Sent Events."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Literal, Self

from aiohttp import web

from trackmaster.errors import TrackmasterError
from trackmaster.interrupts import StopFlag
from trackmaster.view.live_page import EVENTS_PATH

Kind = Literal["begin", "state", "end", "over"]
LOCALHOST: Final = "127.0.0.1"
_NAMES: Final = frozenset((LOCALHOST, "localhost"))
WAITING_EVENTS: Final = 4_096
"""Events that a slow viewer may be behind; then it is let go, connects again and gets what matters."""
KEPT_ENDS: Final = 50
"""Ended episodes that a late viewer is told of."""
_JOIN_S: Final = 10.0
_LET_GO_S: Final = 1.0
_LOOK_S: Final = 0.2
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; frame-ancestors 'none'"
)
"""The page may talk to this server and to nobody else, and stands in no other page; plotly compiles its shaders'
loops."""
_OWN_SITE: Final = frozenset(("same-origin", "none"))
"""What a browser says of a request by the page itself, or by its user."""


class LiveServer:
    """``with LiveServer(page, port) as live:`` serves the page at ``live.url`` and tells its viewers events.

    Args:
        page: HTML.
        port: on 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, page: str, port: int) -> None:
        self._page, self._port = page, port
        self.url = ""
        self._ready, self._has_viewer = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._viewers: set[asyncio.Queue[str | None]] = set()
        self._ended: deque[str] = deque(maxlen=KEPT_ENDS)
        self._present: list[str] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="live-page", daemon=True)

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            TrackmasterError: the port is taken.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join(_JOIN_S)
            raise TrackmasterError(
                f"--port {self._port}: the live page cannot be served there ({self._failure.strerror}). Another "
                "program has the port, a second drive maybe: choose another one, or 0 for any free one."
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the viewers go, after they were told everything, and close the port."""
        self._call(self._finish)
        self._thread.join(_JOIN_S)

    def wait_for_viewer(self, stop: StopFlag) -> None:
        """Return as soon as somebody has opened the page.

        Raises:
            StoppedError: a stop was asked for.
        """
        while not self._has_viewer.wait(_LOOK_S):  # a wait without limit cannot be interrupted on Windows
            stop.check()

    def tell(self, kind: Kind, values: dict[str, Any]) -> None:
        """Send an event to all viewers, and later to those who come late, as far as they need it."""
        self._call(self._tell, kind, f"event: {kind}\ndata: {json.dumps(values)}\n\n")

    def _call(self, act: Callable[..., None], *values: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *values)

    def _tell(self, kind: Kind, event: str) -> None:
        if kind == "begin":
            self._present.clear()
        if kind == "end":
            self._present.clear()
            self._ended.append(event)
        else:
            self._present.append(event)
        for viewer in list(self._viewers):
            if viewer.full():
                self._let_go(viewer)
            else:
                viewer.put_nowait(event)

    def _let_go(self, viewer: asyncio.Queue[str | None]) -> None:
        self._viewers.discard(viewer)
        if viewer.full():
            viewer.get_nowait()
        viewer.put_nowait(None)

    def _finish(self) -> None:
        for viewer in list(self._viewers):
            self._let_go(viewer)
        if self._end is not None:
            self._end.set()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        app = web.Application(middlewares=[_own_names_only])
        app.router.add_get("/", self._send_page)
        app.router.add_get(EVENTS_PATH, self._send_events)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LET_GO_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOCALHOST, self._port).start()
            self.url = f"http://{LOCALHOST}:{runner.addresses[0][1]}"
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._end.wait()
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()
            await runner.cleanup()

    async def _send_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def _send_events(self, request: web.Request) -> web.StreamResponse:
        # A page of an earlier drive that is still open would draw this one on its own track, and begin it.
        # And a page from elsewhere could not read them, but the drive would begin.
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE or _is_of_another_page(request):
            raise web.HTTPForbidden(text="These events are for the page of this drive.")
        if request.query_string and request.path_qs not in self._page:
            raise web.HTTPNoContent  # the answer upon which a browser does not try again
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        viewer: asyncio.Queue[str | None] = asyncio.Queue(WAITING_EVENTS)
        past = "".join([*self._ended, *self._present])
        self._viewers.add(viewer)
        self._has_viewer.set()
        try:
            await response.write(past.encode())
            while (event := await viewer.get()) is not None:
                await response.write(event.encode())
        except ConnectionError:
            pass  # a closed tab
        finally:
            self._viewers.discard(viewer)
        return response


def _is_of_another_page(request: web.Request) -> bool:
    """Return whether the request names a page that it comes from and that is not ours; older browsers say no more."""
    return request.headers.get("Origin") not in (None, str(request.url.origin()))


@web.middleware
async def _own_names_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse other names for this machine, under which a page from elsewhere could read along."""
    if request.url.host not in _NAMES:
        raise web.HTTPForbidden(text="This page is for this machine alone.")
    return await handler(request)


class Pace:
    """Keeps a drive at the speed of the race.

    Args:
        speed: race seconds per second; 0 does not wait.
        now_s: a clock.
        sleep: waits seconds.
    """

    def __init__(
        self, speed: float, now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._speed, self._now_s, self._sleep = speed, now_s, sleep
        self._begun_s = now_s()

    def wait(self, time_ms: int) -> None:
        """Wait until this race time is due; who is late goes on from now without hurrying."""
        if self._speed <= 0:
            return
        left_s = self._begun_s + time_ms / 1_000 / self._speed - self._now_s()
        if left_s > 0:
            self._sleep(left_s)
        else:
            self._begun_s -= left_s
