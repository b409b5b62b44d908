"""One visit to the exchange: connections, manners and catalogue, put together from the flags and taken apart again."""

import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from trackmaster.replays import catalogue as states
from trackmaster.replays.catalogue import Catalogue
from trackmaster.replays.client import ExchangeClient
from trackmaster.replays.config import ExchangeSettings, FileSettings
from trackmaster.replays.fetcher import Fetcher, contact_or_warning
from trackmaster.replays.files import FileFetcher
from trackmaster.replays.locks import folder_lock, host_lock
from trackmaster.replays.pipeline import Pipeline, Plan
from trackmaster.replays.pool import WorkPool
from trackmaster.replays.progress_file import read_progress
from trackmaster.replays.reporter import Reporter
from trackmaster.replays.tasks import Counts
from trackmaster.replays.transport import HttpTransport

KEEP_PAGES_S = 30 * 24 * 3600.0
NOTE_EVERY_S = 1.0
FEW_TRACKS = 8
"""Up to so many tracks, a thread checks files sooner than processes would have started."""


@dataclass
class Session:
    """What a verb works with."""

    client: ExchangeClient
    catalogue: Catalogue
    run_id: int


@asynccontextmanager
async def exchange_session(config: ExchangeSettings, replays_dir: Path, command: str) -> AsyncIterator[Session]:
    """Open the catalogue of a folder (in memory for a dry run) and a client; close both, whatever happens.

    Raises:
        CatalogueError: the catalogue cannot be used, or another run is at work in the folder or asks the server.
    """
    manners = config.manners
    async with contextlib.AsyncExitStack() as stack:
        path: Path | str = ":memory:"
        if not config.dry_run:
            path = stack.enter_context(folder_lock(replays_dir, config.catalogue, purpose=f"'replays {command}'"))
        stack.enter_context(host_lock(config.url, purpose=f"'replays {command}' for {replays_dir.absolute()}"))
        catalogue = stack.enter_context(Catalogue(path, fresh_s=config.cache_hours * 3600))
        catalogue.forget_old_pages(KEEP_PAGES_S)
        transport = HttpTransport(connections=manners.connections, timeout_s=config.timeout_s)
        stack.push_async_callback(transport.close)
        contact = contact_or_warning(config.contact)
        fetcher = Fetcher(transport, manners, contact=contact, rng=random.Random(os.urandom(8)))
        run_id = catalogue.begin_run(command)
        try:
            yield Session(ExchangeClient(fetcher, config.url, catalogue), catalogue, run_id)
        finally:
            catalogue.keep_run(run_id, ended=True, requests=fetcher.requests, received_bytes=fetcher.bytes)


async def fetch_files(session: Session, config: FileSettings, plan: Plan, track_ids: Sequence[int]) -> Counts:
    """Run the pipeline over a list of tracks and show how far it is.

    Raises:
        ExchangeError: the exchange cannot be used.
        OSError: files cannot be written.
    """
    processes = config.jobs
    if processes is None:
        processes = 0 if len(track_ids) <= FEW_TRACKS else os.cpu_count() or 1
    pool = WorkPool(processes)
    files = FileFetcher(
        session.client, pool, plan.replays_dir, max_bytes=plan.max_bytes, is_full=config.verify == "full"
    )
    reporter = Reporter(len(track_ids), has_bar=config.has_bar)
    note = _RunNotes(session, len(track_ids))

    def report(counts: Counts) -> None:
        reporter(counts)
        note(counts)

    if plan.is_list:
        _take_over_older_run(session, plan.replays_dir, track_ids)
    pipeline = Pipeline(session.client, session.catalogue, files, plan, report)
    try:
        return await pipeline.run(track_ids)
    finally:
        note(pipeline.counts, is_last=True)
        reporter.close(pipeline.counts)
        pool.close()
        files.close()


def _take_over_older_run(session: Session, replays_dir: Path, track_ids: Sequence[int]) -> None:
    """Mark what a downloader without a catalogue had finished: the tracks at the top of its list.

    Only the first download into a folder does so. Later the number in ``.replay_progress`` is our own, and it may
    belong to another list, or to an older order of this one.
    """
    catalogue = session.catalogue
    if catalogue.has_downloaded():
        return
    for track_id in track_ids[: read_progress(replays_dir)]:
        known = catalogue.track(track_id)
        if known is None or known[1] == states.NEW:
            catalogue.set_track(track_id, states.ADOPTED, "an older run had finished it")
    catalogue.keep_run(session.run_id, tracks_total=len(track_ids))
    catalogue.commit()


class _RunNotes:
    """Keeps the counts of a run in the catalogue, for ``status``; once a second is enough."""

    def __init__(self, session: Session, total: int) -> None:
        self._session = session
        self._total = total
        self._last_s = float("-inf")

    def __call__(self, counts: Counts, *, is_last: bool = False) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s < NOTE_EVERY_S and not is_last:
            return
        self._last_s = now_s
        fetcher = self._session.client.fetcher
        self._session.catalogue.keep_run(
            self._session.run_id, tracks_done=counts.tracks, replays_done=counts.done - counts.adopted,
            tracks_total=self._total, requests=fetcher.requests, received_bytes=fetcher.bytes,
        )  # fmt: skip


def plan_of(
    config: FileSettings, replays_dir: Path, *, replays: bool = True, fetch_maps: bool = False, is_list: bool = True
) -> Plan:  # fmt: skip
    """Return what the flags ask for."""
    return Plan(
        replays_dir=replays_dir, tracks_dir=config.tracks_dir, top=config.top,
        api_workers=config.api_workers or config.workers, workers=config.workers, replays=replays,
        extract_maps=config.extract_tracks_from_replays, fetch_maps=fetch_maps, refresh=config.refresh,
        retry_rejected=config.retry_rejected, max_bytes=int(config.max_file_mb * (1 << 20)),
        is_full=config.verify == "full", is_list=is_list,
    )  # fmt: skip
