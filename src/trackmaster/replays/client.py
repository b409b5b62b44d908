"""The exchange's interface as it really is: mandatory fields, cursors instead of pages, files by id."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from trackmaster.gbx import plain_text
from trackmaster.replays.errors import ExchangeError, FetchError, GoneError
from trackmaster.replays.fetcher import Accept, Answer, Fetcher
from trackmaster.replays.records import (
    REPLAY_FIELDS,
    TRACK_FIELDS,
    ReplayRecord,
    TrackRecord,
    best_of_users,
    replay_from_json,
    track_from_json,
)
from trackmaster.replays.transport import Response

LARGEST_PAGE = 1_000
"""Rows of one answer; the exchange is believed to cut larger wishes to this."""
TRACKS_PER_QUESTION = 100
"""Ids in one question about known tracks: the URL stays short."""
_LOST_CURSOR_TRIES = 5

Page = tuple[list[Any], bool]
"""The rows of an answer, and whether the exchange has more."""


class PageStore(Protocol):
    """Remembers answers, so that the same question is asked conditionally, or not at all while they are fresh."""

    def recall(self, url: str) -> tuple[str | None, bytes | None, bool]:
        """Return the ETag and body of an earlier answer, and whether it is fresh enough to be used unasked."""
        ...

    def remember(self, url: str, etag: str | None, body: bytes) -> None:
        """Keep an answer."""
        ...


class _Cursor:
    """Where in a changing list to go on.

    The place is marked by an item, and that item may move to the front or be deleted while the list is read: then the
    next page brings nothing new or nothing at all, and the item before it takes over.
    """

    def __init__(self) -> None:
        self._marks: deque[int] = deque(maxlen=_LOST_CURSOR_TRIES + 1)
        self._lost = 0
        self._expects_more = False

    def following(self, rows: Sequence[TrackRecord], fresh: Sequence[TrackRecord], *, has_more: bool) -> int | None:
        """Return the id that the next page comes after, None at the end of the list."""
        expected, self._expects_more = self._expects_more, self._expects_more or has_more
        if fresh:
            self._lost = 0
            self._expects_more = has_more
            self._marks.extend(row.track_id for row in fresh[-_LOST_CURSOR_TRIES - 1 :])
            return self._marks[-1] if has_more else None
        is_lost = expected and len(self._marks) > 1 and self._lost < _LOST_CURSOR_TRIES
        if is_lost:
            self._lost += 1
            self._marks.pop()
            return self._marks[-1]
        return rows[-1].track_id if rows and has_more else None


class ExchangeClient:
    """Lists tracks and replays of one exchange, and fetches their files.

    Args:
        fetcher: sends the requests.
        base_url: of the exchange.
        pages: remembers listings.
    """

    def __init__(self, fetcher: Fetcher, base_url: str, pages: PageStore | None = None) -> None:
        self.fetcher = fetcher
        self._base = base_url.rstrip("/")
        self._pages = pages

    async def tracks(
        self, *, order: int, per_page: int = LARGEST_PAGE, most: int | None = None
    ) -> AsyncGenerator[list[TrackRecord], None]:
        """Yield all tracks in an order, page by page, each track once; the next page is on its way meanwhile.

        Lists change while they are read. When the track that marks the place has moved to the front or was deleted, an
        earlier one takes over; at the end the front is read again, for tracks that moved there past the cursor.

        Args:
            order: ``order1`` of the search.
            per_page: rows per request.
            most: stop after so many; all without it. No page is asked for that is not needed.
        """
        seen: set[int] = set()
        query = {"order1": order, "count": min(per_page, LARGEST_PAGE, most or LARGEST_PAGE)}
        cursor = _Cursor()
        ask: asyncio.Future[tuple[list[TrackRecord], bool]] | None = asyncio.ensure_future(self._track_page(query))
        try:
            while ask is not None:
                rows, has_more = await ask
                fresh = [row for row in rows if row.track_id not in seen]
                fresh = fresh[: None if most is None else most - len(seen)]
                seen.update(row.track_id for row in fresh)
                after = cursor.following(rows, fresh, has_more=has_more)
                is_enough = most is not None and len(seen) >= most
                after = None if is_enough else after
                ask = None if after is None else asyncio.ensure_future(self._track_page(query | {"after": after}))
                if fresh:
                    yield fresh
            if most is not None:
                return
            async for page in self._front_again(query, seen):
                yield page
        finally:
            if ask is not None:
                ask.cancel()

    async def _front_again(self, query: Mapping[str, Any], seen: set[int]) -> AsyncGenerator[list[TrackRecord], None]:
        """Yield tracks that moved to the front while the list was read, until a page brings nothing new."""
        after: dict[str, int] = {}
        while True:
            rows, has_more = await self._track_page({**query, **after}, may_be_stale=False)
            fresh = [row for row in rows if row.track_id not in seen]
            if not fresh:
                return
            seen.update(row.track_id for row in fresh)
            yield fresh
            if not has_more:
                return
            after = {"after": rows[-1].track_id}

    async def tracks_by_id(self, track_ids: Sequence[int]) -> list[TrackRecord]:
        """Return what the exchange says about some tracks, at most ``TRACKS_PER_QUESTION``; deleted are missing."""
        ids = ",".join(str(track_id) for track_id in track_ids)
        rows, _ = await self._track_page({"id": ids, "count": LARGEST_PAGE}, may_be_stale=False)
        return rows

    async def track_by_name(self, name: str) -> tuple[TrackRecord | None, int]:
        """Return the track whose name fits best, and how many the search found; the exact name wins, then the order."""
        rows, _ = await self._track_page({"name": name, "order1": 10, "count": LARGEST_PAGE}, may_be_stale=False)
        exact = [row for row in rows if plain_text(row.name).casefold() == name.strip().casefold()]
        return next(iter(exact or rows), None), len(rows)

    async def best_replays(self, track: TrackRecord, top: int, *, may_be_stale: bool = True) -> list[ReplayRecord]:
        """Return the ``top`` best replays of distinct drivers on the current version of a track, best first.

        The list is read to its end unless it is seen to be sorted and has brought enough.

        Raises:
            GoneError: the track was deleted.
            FetchError, ExchangeError: as ``Fetcher.fetch``.
        """
        found: dict[int, ReplayRecord] = {}
        query: dict[str, Any] = {"trackId": track.track_id, "count": LARGEST_PAGE}
        is_sorted = True
        last_ms = 0
        while True:
            raw, has_more = await self._page("replays", REPLAY_FIELDS, query, may_be_stale=may_be_stale)
            rows = [row for row in map(replay_from_json, raw) if row is not None]
            for row in rows:
                is_sorted = is_sorted and row.time_ms >= last_ms
                last_ms = row.time_ms
            before = len(found)
            found.update((row.replay_id, row) for row in rows)
            best = best_of_users(list(found.values()), track.updated_at, top)
            is_enough = is_sorted and len(best) >= top
            if is_enough or not has_more or not raw or (rows and len(found) == before):
                return best
            query["after"] = raw[-1]["ReplayId"]

    async def replay_file(self, replay_id: int, accept: Accept[Answer], *, max_bytes: int) -> Answer:
        """Return what ``accept`` makes of a replay's file."""
        return await self._file("recordgbx", replay_id, accept, max_bytes)

    async def track_file(self, track_id: int, accept: Accept[Answer], *, max_bytes: int) -> Answer:
        """Return what ``accept`` makes of a map's file."""
        return await self._file("trackgbx", track_id, accept, max_bytes)

    async def _file(self, kind: str, item_id: int, accept: Accept[Answer], max_bytes: int) -> Answer:
        return await self.fetcher.fetch(f"{self._base}/{kind}/{item_id}", accept, is_api=False, max_bytes=max_bytes)

    async def _track_page(
        self, query: Mapping[str, Any], *, may_be_stale: bool = True
    ) -> tuple[list[TrackRecord], bool]:
        rows, has_more = await self._page("tracks", TRACK_FIELDS, query, may_be_stale=may_be_stale)
        return [track_from_json(row) for row in rows], has_more

    async def _page(self, method: str, fields: Sequence[str], query: Mapping[str, Any], *, may_be_stale: bool) -> Page:
        words = urlencode({**query, "fields": ",".join(fields)}, quote_via=quote, safe="")
        url = f"{self._base}/api/{method}?{words}"
        read = track_from_json if method == "tracks" else replay_from_json
        etag, body, is_fresh = self._pages.recall(url) if self._pages is not None else (None, None, False)
        if body is not None and is_fresh and may_be_stale:
            return _parse_page(body)

        async def accept(response: Response) -> Page:
            if response.status == 304 and body is not None:
                page, whole = _parse_page(body), body
            else:
                page, whole = _parse_page(response.body), response.body
            for row in page[0]:
                read(row)  # a list with nonsense in it is asked for again, not remembered
            if self._pages is not None:
                self._pages.remember(url, response.headers.get("ETag") or etag, whole)
            return page

        try:
            headers = {"If-None-Match": etag} if etag is not None and body is not None else None
            return await self.fetcher.fetch(url, accept, is_api=True, headers=headers)
        except GoneError as error:
            if method == "tracks":
                raise ExchangeError(f"{self._base}: there is no track search at this address (--url).") from error
            raise


def _parse_page(body: bytes) -> Page:
    """Return rows and whether there are more.

    Raises:
        FetchError: not the envelope of the exchange (an HTML page with status 200, or half of an answer).
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise FetchError("not_json", f"expected a list, found a text that begins with '{start}'") from None
    rows = content.get("Results") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not isinstance(content.get("More"), bool):
        raise FetchError("bad_listing", "the answer is not a list of the form {More, Results}")
    return rows, content["More"]
