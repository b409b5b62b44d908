"""The demo's replays come the way that real ones come: from an exchange, over HTTP, verified and catalogued.

The exchange is a stand-in on this machine that shows the replays found; the client is the one that asks the real site.
"""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from sqlite3 import Row
from typing import Any

from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.experiments.collect import Collection, FoundReplay
from trackmaster.files import atomic_write_text
from trackmaster.replays.catalogue import DONE, Catalogue, catalogue_path
from trackmaster.replays.command import download, list_tracks
from trackmaster.replays.config import DownloadConfig, ListConfig, read_ids
from trackmaster.replays.standin.exhibit import Exhibit, ShownReplay, ShownTrack, rank
from trackmaster.replays.standin.server import StandIn, StandInServer
from trackmaster.replays.status import check_files

FIRST_TRACK_ID = 100
FIRST_REPLAY_ID = 10_001


def exhibit_of(collection: Collection) -> Exhibit:
    """Return the usable replays as an exchange would list them; equal replays get equal ids, wherever they lie."""
    tracks = {
        uid: ShownTrack(FIRST_TRACK_ID + number, uid, uid, partial(collection.maps.__getitem__, uid))
        for number, uid in enumerate(sorted(collection.maps))
    }
    used = {row.sha256: row for row in collection.found if row.is_used}
    for replay_id, sha256 in _ids(collection).items():
        row = used[sha256]
        track = tracks[row.track_id]
        track.name = row.map_name
        # Every run counts as that of a driver of its own, so that none beats another off the leaderboard.
        track.replays.append(
            ShownReplay(
                replay_id, track.track_id, replay_id, gbx.plain_text(row.driver), row.race_time_ms or 0,
                partial(Path.read_bytes, row.source), track.updated_at,
            )
        )  # fmt: skip
    for track in tracks.values():
        rank(track)
    return Exhibit(tracks.values())


def fetch_replays(collection: Collection, folder: Path, *, use_tqdm: bool = True) -> Collection:
    """Download the usable replays of a collection from a stand-in that shows them; what is there already stays.

    Args:
        collection: what was found.
        folder: gets ``track_ids.txt``, ``replays/`` with its catalogue, and ``tracks/``.
        use_tqdm: draw a bar on a terminal.

    Returns:
        The same collection with each used replay where it was downloaded to; one that the client refused is left out
        with its reason.

    Raises:
        TrackmasterError: none of them arrived.
    """
    replays_dir = folder / "replays"
    if catalogue_path(replays_dir).is_file():
        check_files(catalogue_path(replays_dir), replays_dir, folder / "tracks")
    exhibit = exhibit_of(collection)
    asyncio.run(_fetch(exhibit, folder, use_tqdm))
    with Catalogue(catalogue_path(replays_dir), writable=False) as catalogue:
        rows = list(catalogue.read("SELECT replay_id, path, state, reason FROM replays"))
    by_sum = {sha256: replay_id for replay_id, sha256 in _ids(collection).items()}
    fate = {row["replay_id"]: row for row in rows}
    found = tuple(_moved(row, fate.get(by_sum.get(row.sha256, 0)), replays_dir) for row in collection.found)
    if not any(row.is_used for row in found):
        raise TrackmasterError(f"None of the replays came through the exchange. The first one: {found[0].reason}.")
    return replace(collection, found=found)


def _ids(collection: Collection) -> dict[int, str]:
    """Return the sums of the usable replays by the id that the stand-in gives them."""
    return dict(enumerate(sorted(row.sha256 for row in collection.found if row.is_used), FIRST_REPLAY_ID))


def _moved(row: FoundReplay, fate: Row | None, replays_dir: Path) -> FoundReplay:
    if not row.is_used:
        return row
    if fate is None or fate["state"] != DONE:
        reason = fate["reason"] if fate is not None else "it was not listed"
        return replace(row, reason=f"refused by the download: {reason}")
    return replace(row, source=replays_dir / fate["path"])


async def _fetch(exhibit: Exhibit, folder: Path, use_tqdm: bool) -> None:
    most = max(len(track.replays) for track in exhibit.tracks.values())
    replays_dir, ids = folder / "replays", folder / "track_ids.txt"
    async with StandInServer(StandIn(exhibit)) as server:
        print(f"A stand-in of the exchange shows {len(exhibit.replays)} replays at {server.url}.")
        # It is our own machine that is asked: nobody has to be spared.
        manners = {"rate": 0.0, "backoff_s": 0.05, "contact": "the demo"}
        common: dict[str, Any] = {"url": server.url, "use_tqdm": use_tqdm, **manners}
        await list_tracks(ListConfig(output=ids, replays_dir=replays_dir, **common))
        listed = read_ids(ids)
        # In the order of the tracks, so that the demo is the same each time.
        atomic_write_text(ids, "".join(f"{track_id}\n" for track_id in sorted(listed)))
        config = DownloadConfig(
            track_ids=ids, replays_dir=replays_dir, tracks_dir=folder / "tracks", top=most, jobs=0, refresh=True,
            max_file_mb=128.0, extract_tracks_from_replays=True, **common,
        )  # fmt: skip
        await download(config, sorted(listed), replays_dir)
