"""Lists become files: API workers, download workers and map workers, joined by bounded queues.

The catalogue decides what is still to do, so a run can be stopped anywhere, kill -9 included: a file is in its final
place only when it was verified, and one that is there without being in the catalogue is recognised again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from trackmaster.replays import catalogue as states
from trackmaster.replays.catalogue import Catalogue
from trackmaster.replays.client import TRACKS_PER_QUESTION, ExchangeClient
from trackmaster.replays.errors import FetchError, GoneError
from trackmaster.replays.files import FileFetcher
from trackmaster.replays.index_file import write_index
from trackmaster.replays.names import MAP_SUFFIX, paths_of
from trackmaster.replays.progress_file import ProgressFile
from trackmaster.replays.records import TrackRecord
from trackmaster.replays.tasks import Counts, FileTask, MapTask, TrackTask

log = logging.getLogger(__name__)

Item = TypeVar("Item")
SAVE_EVERY_TRACKS = 50


@dataclass(frozen=True)
class Plan:
    """What to fetch, and where to.

    Attributes:
        replays_dir: ``<track_id>/<replay>`` below it.
        tracks_dir: ``<track_id>.Challenge.Gbx`` in it.
        top: replays per track.
        api_workers, workers: listings and files under way at the same time; queues are as wide.
        replays: fetch replays.
        extract_maps: take each track's map out of its best replay.
        fetch_maps: fetch each track's map from the exchange.
        refresh: ask for listings again that are known.
        retry_rejected: fetch rejected files again.
        max_bytes: largest file.
        is_full: verify whole files, not only their headers.
        is_list: whether the tracks are a list that is worked off, whose progress is written for older downloaders.
    """

    replays_dir: Path
    tracks_dir: Path
    top: int = 50
    api_workers: int = 8
    workers: int = 8
    replays: bool = True
    extract_maps: bool = False
    fetch_maps: bool = False
    refresh: bool = False
    retry_rejected: bool = False
    max_bytes: int = 16 << 20
    is_full: bool = True
    is_list: bool = True


class Pipeline:
    """One run over a list of tracks.

    Args:
        client: talks to the exchange.
        catalogue: what is known and done.
        files: fetches, verifies and extracts.
        plan: what to do.
        report: called with the counts whenever they changed.
    """

    def __init__(
        self, client: ExchangeClient, catalogue: Catalogue, files: FileFetcher, plan: Plan,
        report: Callable[[Counts], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._catalogue = catalogue
        self._files = files
        self._plan = plan
        self._report = report
        self.counts = Counts()
        self.progress = ProgressFile(plan.replays_dir)
        self._open: dict[int, int] = {}
        """Files of the tracks under way that are not settled yet, by place in the list."""
        self._tracks: asyncio.Queue[TrackTask | None] = asyncio.Queue(2 * plan.api_workers)
        self._fetches: asyncio.Queue[FileTask | None] = asyncio.Queue(2 * plan.workers)
        self._maps: asyncio.Queue[MapTask | None] = asyncio.Queue(2 * plan.workers)

    async def run(self, track_ids: Iterable[int]) -> Counts:
        """Fetch everything that the plan wants of these tracks.

        Args:
            track_ids: in the order of the list, each once.

        Raises:
            ExchangeError: the exchange cannot be used.
            OSError: files cannot be written.
        """
        plan = self._plan
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._produce(track_ids))
                group.create_task(_stage(self._tracks, self._list_track, plan.api_workers, self._fetches))
                group.create_task(_stage(self._fetches, self._fetch, plan.workers, self._maps))
                group.create_task(_stage(self._maps, self._extract, plan.workers, None))
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        finally:
            self._save()
        return self.counts

    # --- API workers

    async def _produce(self, track_ids: Iterable[int]) -> None:
        for batch in _batches(enumerate(track_ids), TRACKS_PER_QUESTION):
            await self._ask_about([track_id for _, track_id in batch])
            for index, track_id in batch:
                await self._tracks.put(TrackTask(index, track_id))
        await self._tracks.put(None)

    async def _ask_about(self, track_ids: list[int]) -> None:
        """Learn uid and version of tracks that are not known yet, many in one question."""
        unknown = [track_id for track_id in track_ids if self._plan.refresh or self._is_unknown(track_id)]
        if not unknown:
            return
        try:
            self._catalogue.note_tracks(await self._client.tracks_by_id(unknown))
        except FetchError as error:
            log.warning("The question about %d tracks failed (%s); going on without it.", len(unknown), error.detail)

    def _is_unknown(self, track_id: int) -> bool:
        """Whether a track has still to be listed and nothing, or nothing fresh, is known of its map."""
        row = self._catalogue.one("SELECT noted_at, state FROM tracks WHERE track_id = ?", (track_id,))
        is_to_list = row is None or row["state"] in (states.NEW, states.FAILED)
        return is_to_list and (row is None or not self._catalogue.is_fresh(row["noted_at"]))

    async def _list_track(self, task: TrackTask) -> None:
        """Make sure that a track's replays are known, then hand on what is still to do of it."""
        known = self._catalogue.track(task.track_id)
        track, state = known if known is not None else (TrackRecord(task.track_id), states.NEW)
        if state in (states.GONE, states.ADOPTED) and not self._plan.refresh:
            self._finish(task.index, task.track_id)
            return
        if self._plan.replays and not await self._know_replays(track, state):
            self._finish(task.index, task.track_id)
            return
        tasks = [*self._map_to_fetch(task, track), *self._replays_to_fetch(task, track)]
        self._open[task.index] = len(tasks) + 1  # the one more is this very loop
        for file in tasks:
            await self._fetches.put(file)
        await self._settle(task.index, task.track_id)

    async def _know_replays(self, track: TrackRecord, state: str) -> bool:
        row = self._catalogue.one("SELECT listed_top FROM tracks WHERE track_id = ?", (track.track_id,))
        is_listed = state == states.LISTED and row is not None and (row["listed_top"] or 0) >= self._plan.top
        if is_listed and not self._plan.refresh:
            return True
        try:
            rows = await self._client.best_replays(track, self._plan.top, may_be_stale=not self._plan.refresh)
        except GoneError as error:
            self._catalogue.set_track(track.track_id, states.GONE, error.reason)
            self.counts.tracks_gone += 1
            return False
        except FetchError as error:
            self._catalogue.set_track(track.track_id, states.FAILED, f"{error.reason}: {error.detail}")
            self.counts.tracks_failed += 1
            return False
        given = self._catalogue.read("SELECT replay_id, path FROM replays WHERE track_id = ?", (track.track_id,))
        paths = paths_of(track.track_id, rows, {row["replay_id"]: row["path"] for row in given})
        self._catalogue.note_replays(track.track_id, rows, paths, self._plan.top)
        return True

    def _replays_to_fetch(self, task: TrackTask, track: TrackRecord) -> Iterator[FileTask]:
        if not self._plan.replays:
            return
        wanted = [states.WANTED, states.FAILED, *([states.REJECTED] if self._plan.retry_rejected else [])]
        marks = ",".join("?" * len(wanted))
        rows = self._catalogue.read(
            f"SELECT replay_id, time_ms, path FROM replays WHERE track_id = ? AND rank <= ? AND state IN ({marks})"  # noqa: S608
            " ORDER BY rank",
            (task.track_id, self._plan.top, *wanted),
        )
        for row in list(rows):
            yield FileTask(
                task.index, task.track_id, row["replay_id"], is_map=False, uid=track.uid, time_ms=row["time_ms"],
                target=self._plan.replays_dir / row["path"],
            )  # fmt: skip

    def _map_to_fetch(self, task: TrackTask, track: TrackRecord) -> Iterator[FileTask]:
        if self._plan.fetch_maps and not self._has_map(task.track_id, track.uid):
            yield FileTask(
                task.index, task.track_id, task.track_id, is_map=True, uid=track.uid, time_ms=None,
                target=self._map_path(task.track_id),
            )  # fmt: skip

    def _map_path(self, track_id: int) -> Path:
        return self._plan.tracks_dir / f"{track_id}{MAP_SUFFIX}"

    def _has_map(self, track_id: int, uid: str) -> bool:
        """Whether the map of the current version is there."""
        row = self._catalogue.one("SELECT state, uid FROM maps WHERE track_id = ?", (track_id,))
        is_done = row is not None and row["state"] == states.DONE and (not uid or row["uid"] == uid)
        return is_done and self._map_path(track_id).is_file()

    # --- download workers

    async def _fetch(self, task: FileTask) -> None:
        outcome = await self._files.fetch(task)
        counts = self.counts
        counts.done += outcome.state == states.DONE
        counts.adopted += outcome.is_adopted
        counts.gone += outcome.state == states.GONE
        counts.rejected += outcome.state == states.REJECTED
        counts.failed += outcome.state == states.FAILED
        counts.maps += task.is_map and outcome.state == states.DONE
        note = self._catalogue.set_map if task.is_map else self._catalogue.set_replay
        facts = outcome.facts
        if task.is_map and facts:
            facts = {
                "bytes": facts["bytes"], "sha256": facts["sha256"], "uid": facts["map_uid"],
                "path": task.target.name, "source": "exchange",
            }  # fmt: skip
        note(task.item_id, outcome.state, outcome.reason, **facts)
        self._report(counts)
        await self._settle(task.index, task.track_id)

    async def _settle(self, index: int, track_id: int) -> None:
        """Note that one more part of a track is settled; after the last one comes its map."""
        self._open[index] -= 1
        if self._open[index]:
            return
        del self._open[index]
        known = self._catalogue.track(track_id)
        uid = known[0].uid if known is not None else ""
        if self._plan.extract_maps and not self._has_map(track_id, uid):
            row = self._catalogue.one(
                "SELECT path FROM replays WHERE track_id = ? AND state = ? AND (map_uid = ? OR ? = '')"
                " ORDER BY rank IS NULL, rank LIMIT 1",
                (track_id, states.DONE, uid, uid),
            )
            if row is not None:
                replay = self._plan.replays_dir / row["path"]
                await self._maps.put(MapTask(index, track_id, uid, replay, self._map_path(track_id)))
                return
        self._finish(index, track_id)

    # --- map workers

    async def _extract(self, task: MapTask) -> None:
        state, reason, facts = await self._files.extract(task)
        self.counts.maps += state == states.DONE
        self._catalogue.set_map(task.track_id, state, reason, **facts)
        self._finish(task.index, task.track_id)

    def _finish(self, index: int, track_id: int) -> None:
        write_index(self._catalogue, self._plan.replays_dir, track_id)
        self.counts.tracks += 1
        self.progress.finish(index)
        if self.counts.tracks % SAVE_EVERY_TRACKS == 0:
            self._save()
        self._report(self.counts)

    def _save(self) -> None:
        # The file must not be ahead of the catalogue: what it calls finished is not looked at again by others.
        self._catalogue.commit()
        if self._plan.is_list:
            self.progress.save()


async def _stage(
    inbox: "asyncio.Queue[Item | None]", work: Callable[[Item], Awaitable[None]], workers: int,
    following: "asyncio.Queue[Any] | None",
) -> None:  # fmt: skip
    """Let ``workers`` tasks work off a queue until its None, then end the following one."""

    async def drain() -> None:
        while (item := await inbox.get()) is not None:
            await work(item)
        inbox.put_nowait(None)  # for the next worker; the place it takes was just freed

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(drain())
    if following is not None:
        await following.put(None)


def _batches(items: Iterable[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error inside a group of groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
