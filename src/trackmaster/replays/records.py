"""Tracks and replays as the exchange lists them, and the fields that have to be asked for.

Source: the public API pages of ManiaExchange (search tracks, get replays) and the clients that use them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trackmaster.replays.errors import FetchError

TRACK_FIELDS = (
    "TrackId", "TrackName", "UId", "AuthorTime", "Uploader.UserId", "Uploader.Name", "UploadedAt", "UpdatedAt",
    "ActivityAt", "PrimaryType", "Environment", "Mood", "Difficulty", "Routes", "Awards", "UnlimiterVersion",
    "WRReplay.ReplayId", "WRReplay.ReplayTime",
)  # fmt: skip
REPLAY_FIELDS = (
    "ReplayId", "ReplayTime", "ReplayScore", "ReplayRespawns", "ReplayAt", "TrackAt", "Position", "IsBest",
    "IsLeaderboard", "Validated", "User.UserId", "User.Name",
)  # fmt: skip

ORDERS = {
    "activity": 10, "awards": 6, "comments": 8, "downloads": 18, "uploaded": 2, "updated": 4, "awards-week": 22,
    "awards-month": 24, "world-record": 28,
}  # fmt: skip
"""``order1`` of the track search by what it puts first: the most, or the newest."""

LONGEST_RUN_MS = 24 * 60 * 60 * 1000
LARGEST_ID = 2**53
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z?")


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """One track of a listing.

    Attributes:
        track_id: of the exchange.
        uid: of the map; empty if the exchange does not tell it.
        name: with its $-codes.
        author_time_ms: None if missing or nonsense.
        updated_at: when the map file was last replaced, UTC.
        primary_type: 0 race, 1 puzzle, 2 platform, 3 stunts, 4 shortcut, 5 laps; None if not told.
        unlimiter: version of TMUnlimiter that the map needs; None for ordinary maps.
        wr_time_ms: of the world record.
    """

    track_id: int
    uid: str = ""
    name: str = ""
    author_time_ms: int | None = None
    updated_at: datetime | None = None
    primary_type: int | None = None
    unlimiter: int | None = None
    wr_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """One replay of a track's listing.

    Attributes:
        replay_id: of the exchange.
        time_ms: race time.
        user_id, user_name: of the driver; the id tells drivers apart, names may change.
        position: on the leaderboard; None if the run is not on it.
        is_best: whether it is its driver's best.
        respawns: as the exchange says; None if unknown.
        validated: whether the exchange checked it; None if not told.
        track_at: version of the map that was driven, by its upload time in UTC.
        replay_at: when it was uploaded, UTC.
    """

    replay_id: int
    time_ms: int
    user_id: int
    user_name: str = ""
    position: int | None = None
    is_best: bool = False
    respawns: int | None = None
    validated: bool | None = None
    track_at: datetime | None = None
    replay_at: datetime | None = None


def parse_time(value: object) -> datetime | None:
    """Return a time of the server as UTC; it writes no zone and up to seven digits of a second. None if it is none."""
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    micros = int((match[2] or "0").ljust(7, "0")[:6])
    try:
        return datetime.fromisoformat(match[1]).replace(microsecond=micros, tzinfo=UTC)
    except ValueError:
        return None


def _whole(value: object, low: int, high: int) -> int | None:
    """Return an integer of the server if it makes sense: some of its numbers exceed 32 bits or hold nonsense."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and is_number and low <= value <= high else None


def _inside(row: Mapping[str, Any], *names: str) -> object:
    here: Any = row
    for name in names:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here


def track_from_json(row: object) -> TrackRecord:
    """Return a track.

    Raises:
        FetchError: the row has no track id.
    """
    found: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    track_id = _whole(found.get("TrackId"), 1, LARGEST_ID)
    if track_id is None:
        raise FetchError("bad_listing", f"a row of the track list has no TrackId: {str(row)[:80]}")
    uid, name = found.get("UId"), found.get("TrackName")
    return TrackRecord(
        track_id=track_id,
        uid=uid if isinstance(uid, str) else "",
        name=name if isinstance(name, str) else "",
        author_time_ms=_whole(found.get("AuthorTime"), 1, LONGEST_RUN_MS),
        updated_at=parse_time(found.get("UpdatedAt")),
        primary_type=_whole(found.get("PrimaryType"), 0, 255),
        unlimiter=_whole(found.get("UnlimiterVersion"), 0, 1_000_000),
        wr_time_ms=_whole(_inside(found, "WRReplay", "ReplayTime"), 1, LONGEST_RUN_MS),
    )


def replay_from_json(row: object) -> ReplayRecord | None:
    """Return a replay, or None for a run without a usable time (a score of a stunt map, say).

    Raises:
        FetchError: the row has no replay id.
    """
    found: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    replay_id = _whole(found.get("ReplayId"), 1, LARGEST_ID)
    if replay_id is None:
        raise FetchError("bad_listing", f"a row of the replay list has no ReplayId: {str(row)[:80]}")
    time_ms = _whole(found.get("ReplayTime"), 1, LONGEST_RUN_MS)
    if time_ms is None:
        return None
    name, validated = _inside(found, "User", "Name"), found.get("Validated")
    user_id = _whole(_inside(found, "User", "UserId"), 0, LARGEST_ID)
    return ReplayRecord(
        replay_id=replay_id,
        time_ms=time_ms,
        user_id=-replay_id if user_id is None else user_id,  # a driver without an id is nobody else's
        user_name=name if isinstance(name, str) else "",
        position=_whole(found.get("Position"), 1, 10_000_000),
        is_best=found.get("IsBest") in (1, True),
        respawns=_whole(found.get("ReplayRespawns"), 0, 1_000_000),
        validated=validated if isinstance(validated, bool) else None,
        track_at=parse_time(found.get("TrackAt")),
        replay_at=parse_time(found.get("ReplayAt")),
    )


def best_of_users(rows: Sequence[ReplayRecord], updated_at: datetime | None, top: int) -> list[ReplayRecord]:
    """Return the ``top`` best runs of distinct drivers on the current version of a map, best first.

    Runs that are neither on the leaderboard nor their driver's best are beaten ones and do not count. The current
    version is the one that the track was last updated to; where no run was driven on it, or the exchange does not tell,
    the newest version that was driven (the uid inside the file has the last word).
    """
    versions = {row.track_at for row in rows if row.track_at is not None}
    current = updated_at if updated_at in versions else max(versions, default=None)
    best: dict[int, ReplayRecord] = {}
    for row in rows:
        is_listed = row.position is not None or row.is_best
        if not is_listed or (row.track_at is not None and row.track_at != current):
            continue
        other = best.get(row.user_id)
        if other is None or (row.time_ms, row.replay_id) < (other.time_ms, other.replay_id):
            best[row.user_id] = row
    return sorted(best.values(), key=lambda row: (row.time_ms, row.replay_id))[:top]
