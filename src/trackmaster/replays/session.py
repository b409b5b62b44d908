"""One visit to the exchange: connections, manners and catalogue, put together from the flags and taken apart again."""

import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from trackmaster.replays.catalogue import Catalogue, CatalogueLock, catalogue_path
from trackmaster.replays.client import ExchangeClient
from trackmaster.replays.config import ExchangeSettings, FileSettings
from trackmaster.replays.fetcher import Fetcher, contact_or_warning
from trackmaster.replays.files import FileFetcher
from trackmaster.replays.pipeline import Pipeline, Plan
from trackmaster.replays.pool import WorkPool
from trackmaster.replays.progress_file import read_progress
from trackmaster.replays.reporter import Reporter
from trackmaster.replays.tasks import Counts
from trackmaster.replays.transport import HttpTransport

KEEP_PAGES_S = 30 * 24 * 3600.0
FEW_TRACKS = 8
"""Up to so many tracks, a thread checks files sooner than processes would have started."""


@dataclass
class Session:
    """What a verb works with."""

    client: ExchangeClient
    catalogue: Catalogue


@asynccontextmanager
async def exchange_session(config: ExchangeSettings, replays_dir: Path, command: str) -> AsyncIterator[Session]:
    """Open the catalogue of a folder (in memory for a dry run) and a client; close both, whatever happens.

    Raises:
        CatalogueError: the catalogue cannot be used, or another run is at work in the folder.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    manners = config.manners
    async with contextlib.AsyncExitStack() as stack:
        path: Path | str = ":memory:"
        if not config.dry_run:
            path = config.catalogue or catalogue_path(replays_dir)
            stack.enter_context(CatalogueLock(path))
        catalogue = stack.enter_context(Catalogue(path, fresh_s=config.cache_hours * 3600))
        catalogue.forget_old_pages(KEEP_PAGES_S)
        transport = HttpTransport(connections=manners.connections, timeout_s=config.timeout_s)
        stack.push_async_callback(transport.close)
        contact = contact_or_warning(config.contact)
        fetcher = Fetcher(transport, manners, contact=contact, rng=random.Random(os.urandom(8)))
        run_id = catalogue.begin_run(command)
        try:
            yield Session(ExchangeClient(fetcher, config.url, catalogue), catalogue)
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
    run = session.catalogue.one("SELECT MAX(run_id) AS run_id FROM runs")
    run_id = int(run["run_id"]) if run is not None else 0

    def report(counts: Counts) -> None:
        reporter(counts)
        fetcher = session.client.fetcher
        session.catalogue.keep_run(
            run_id, tracks_done=counts.tracks, replays_done=counts.done - counts.adopted, tracks_total=len(track_ids),
            requests=fetcher.requests, received_bytes=fetcher.bytes,
        )  # fmt: skip

    pipeline = Pipeline(session.client, session.catalogue, files, plan, report)
    try:
        return await pipeline.run(track_ids, finished_before=read_progress(plan.replays_dir))
    finally:
        report(pipeline.counts)
        reporter.close(pipeline.counts)
        pool.close()
        files.close()


def plan_of(config: FileSettings, replays_dir: Path, *, replays: bool = True, fetch_maps: bool = False) -> Plan:
    """Return what the flags ask for."""
    return Plan(
        replays_dir=replays_dir, tracks_dir=config.tracks_dir, top=config.top,
        api_workers=config.api_workers or config.workers, workers=config.workers, replays=replays,
        extract_maps=config.extract_tracks_from_replays, fetch_maps=fetch_maps, refresh=config.refresh,
        retry_rejected=config.retry_rejected, max_bytes=int(config.max_file_mb * (1 << 20)),
        is_full=config.verify == "full",
    )  # fmt: skip
