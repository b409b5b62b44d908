"""``trackmaster replays list | download | track`` and ``python -m replays_tmnf.download``."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from trackmaster.errors import ConfigError, InterruptedRunError, TrackmasterError
from trackmaster.files import atomic_path
from trackmaster.gbx import plain_text
from trackmaster.replays.client import LARGEST_PAGE
from trackmaster.replays.config import (
    DEFAULT_REPLAYS,
    DownloadConfig,
    FileSettings,
    ListConfig,
    TrackConfig,
    read_ids,
)
from trackmaster.replays.errors import FetchError, GoneError
from trackmaster.replays.names import replay_name
from trackmaster.replays.records import ORDERS, TrackRecord
from trackmaster.replays.session import Session, exchange_session, fetch_files, plan_of
from trackmaster.replays.tasks import Counts
from trackmaster.units import format_race_time

SHOWN_TRACKS = 20
"""Tracks that a dry run looks into; the others are only counted, to spare the exchange."""


def run_list(config: ListConfig) -> int:
    """Write the list of tracks; return 0."""
    return _finish(lambda: list_tracks(config))


def run_track(config: TrackConfig) -> int:
    """Download the replays of one track; return 0, or 2 when some did not come."""
    if (config.track_id is None) == (config.track_name is None):
        raise ConfigError("Give either --track-id or --track-name.")
    return _finish(lambda: one_track(config))


def run_download(config: DownloadConfig) -> int:
    """Do what the flags say: list, download a list, or download one track."""
    given = [config.list_popular, *(v is not None for v in (config.track_ids, config.track_id, config.track_name))]
    if sum(given) != 1:
        raise ConfigError(
            "Say what to do with one of --list-popular, --track-ids FILE, --track-id N, --track-name TEXT."
        )
    if config.list_popular:
        return _finish(lambda: _list_and_more(config))
    if config.track_ids is None:
        return run_track(TrackConfig(**config.shared(TrackConfig)))
    track_ids = config.track_ids
    return _finish(lambda: download(config, read_ids(track_ids), config.replays_dir or DEFAULT_REPLAYS))


def _finish(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return asyncio.run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise InterruptedRunError(
            "stopped; everything that was finished is kept. Run the same command again to go on from there."
        ) from None
    except FetchError as error:
        raise TrackmasterError(
            f"the exchange did not give what was asked for ({error.detail}). Run the same command again later."
        ) from None


async def list_tracks(config: ListConfig) -> int:
    """Fetch the list of tracks and write their ids; the file appears when the list is whole."""
    replays_dir = config.replays_dir or config.output.parent / "replays"
    if config.per_page > LARGEST_PAGE:
        print(f"The exchange gives at most {LARGEST_PAGE} tracks per request; --per-page {config.per_page} means that.")
    async with exchange_session(config, replays_dir, "list") as session:
        count = 0
        with _output(config.output, is_dry=config.dry_run) as write:
            async for track in _popular(session, config):
                write(f"{track.track_id}\n")
                count += 1
                if count % LARGEST_PAGE == 0:
                    print(f"tracks: {count}", flush=True)
        said = "would be written to" if config.dry_run else "written to"
        print(f"{count} track ids {said} {config.output}.")
    return 0


async def _popular(session: Session, config: ListConfig) -> AsyncIterator[TrackRecord]:
    pages = session.client.tracks(order=ORDERS[config.order], per_page=config.per_page, most=config.max_tracks)
    async with contextlib.aclosing(pages):
        async for page in pages:
            session.catalogue.note_tracks(page)
            session.catalogue.commit()
            for track in page:
                yield track


@contextlib.contextmanager
def _output(path: Path, *, is_dry: bool) -> Any:
    """Yield a function that adds text to a file which appears when all is written."""
    if is_dry:
        yield lambda _text: None
        return
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        yield out.write


async def _list_and_more(config: DownloadConfig) -> int:
    code = await list_tracks(ListConfig(**config.shared(ListConfig)))
    if not (config.download_replays or config.download_tracks) or config.dry_run:
        return code
    return await download(
        config, read_ids(config.output), config.replays_dir or config.output.parent / "replays",
        replays=config.download_replays, maps=config.download_tracks,
    )  # fmt: skip


async def download(
    config: FileSettings, track_ids: Sequence[int], replays_dir: Path, *, replays: bool = True, maps: bool = False
) -> int:
    """Download what is missing of a list of tracks; return 0, or 2 when some items did not come."""
    async with exchange_session(config, replays_dir, "download") as session:
        if config.dry_run:
            return await _show(session, config, track_ids)
        plan = plan_of(config, replays_dir, replays=replays, fetch_maps=maps)
        counts = await fetch_files(session, config, plan, track_ids)
        return _say(counts, session, replays_dir)


async def one_track(config: TrackConfig) -> int:
    """Download the replays of one track, found by id or by name."""
    async with exchange_session(config, config.output_dir, "track") as session:
        track_id = config.track_id or await _find(session, config.track_name or "")
        if config.dry_run:
            return await _show(session, config, [track_id])
        plan = plan_of(config, config.output_dir, is_list=False)
        counts = await fetch_files(session, config, plan, [track_id])
        row = session.catalogue.one("SELECT state, reason FROM tracks WHERE track_id = ?", (track_id,))
        if counts.tracks_gone and row is not None:
            raise TrackmasterError(f"Track {track_id} is not on the exchange ({row['reason']}). Check the id.")
        return _say(counts, session, config.output_dir)


async def _find(session: Session, name: str) -> int:
    track, found = await session.client.track_by_name(name)
    if track is None:
        raise TrackmasterError(f"No track of the exchange is called '{name}'. Check the spelling, or give --track-id.")
    others = f", the first of {found} found" if found > 1 else ""
    print(f"'{plain_text(track.name)}' is track {track.track_id}{others}.")
    session.catalogue.note_tracks([track])
    return track.track_id


async def _show(session: Session, config: FileSettings, track_ids: Sequence[int]) -> int:
    """Print what would be downloaded."""
    client = session.client
    for start in range(0, min(len(track_ids), SHOWN_TRACKS), 100):
        session.catalogue.note_tracks(await client.tracks_by_id(track_ids[start : start + 100]))
    for track_id in track_ids[:SHOWN_TRACKS]:
        known = session.catalogue.track(track_id)
        track = known[0] if known is not None else TrackRecord(track_id)
        try:
            rows = await client.best_replays(track, config.top)
        except GoneError:
            print(f"track {track_id}: deleted on the exchange")
            continue
        best = f", best {format_race_time(rows[0].time_ms)}" if rows else ""
        print(f"track {track_id} '{plain_text(track.name)}': {len(rows)} replays{best}")
        for rank, row in enumerate(rows, 1):
            print(f"  {row.replay_id}  {replay_name(row, rank)}")
    if len(track_ids) > SHOWN_TRACKS:
        print(f"... and the replays of {len(track_ids) - SHOWN_TRACKS} more tracks. Nothing was written.")
    return 0


def _say(counts: Counts, session: Session, replays_dir: Path) -> int:
    print(counts.sentence())
    failures = session.client.fetcher.failures
    if failures:
        listed = ", ".join(f"{count} {reason}" for reason, count in failures.most_common())
        print(f"{failures.total()} requests failed: {listed}.")
    lost = counts.failed + counts.tracks_failed + counts.rejected
    if lost:
        print(f"'trackmaster replays status --replays-dir {replays_dir}' says why; run the same command to try again.")
    return 2 if lost else 0
