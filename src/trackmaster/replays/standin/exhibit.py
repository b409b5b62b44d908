"""What a stand-in shows: tracks and replays as the exchange would list them, and the files behind them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Content = Callable[[], bytes]
"""Gives a file's bytes."""

EPOCH = datetime(2008, 4, 16, 10, 0, 0, tzinfo=UTC)
STADIUM = 7


@dataclass(slots=True)
class ShownReplay:
    """One row of a track's replays."""

    replay_id: int
    track_id: int
    user_id: int
    user_name: str
    time_ms: int
    content: Content
    track_at: datetime
    respawns: int = 0
    position: int | None = None
    is_best: bool = False
    validated: bool = True

    def record(self) -> dict[str, Any]:
        """Return the row with all fields."""
        return {
            "ReplayId": self.replay_id, "ReplayTime": self.time_ms, "ReplayScore": 0,
            "ReplayRespawns": self.respawns, "ReplayAt": stamp(self.track_at + timedelta(days=self.replay_id % 900)),
            "TrackAt": stamp(self.track_at), "Position": self.position, "IsBest": int(self.is_best),
            "IsLeaderboard": int(self.position is not None), "Score": None if self.position is None else 100,
            "Validated": self.validated, "User": {"UserId": self.user_id, "Name": self.user_name},
        }  # fmt: skip


@dataclass(slots=True)
class ShownTrack:
    """One track with its replays, best first."""

    track_id: int
    uid: str
    name: str
    content: Content
    author_time_ms: int | None = None
    author: str = ""
    updated_at: datetime = EPOCH
    activity_at: datetime = EPOCH
    primary_type: int = 0
    unlimiter: int | None = None
    replays: list[ShownReplay] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return the row with all fields; some numbers are as odd as the exchange's own."""
        best = next((row for row in self.replays if row.position == 1), None)
        record = None
        if best is not None:
            user = {"UserId": best.user_id, "Name": best.user_name}
            record = {"User": user, "ReplayTime": best.time_ms, "ReplayScore": 0, "ReplayId": best.replay_id}
        uploader = {"UserId": 1, "Name": self.author}
        return {
            "TrackId": self.track_id, "TrackName": self.name, "UId": self.uid, "AuthorTime": self.author_time_ms,
            "AuthorScore": 0, "GoldTarget": None, "SilverTarget": None, "BronzeTarget": None, "Uploader": uploader,
            "UploadedAt": stamp(EPOCH), "UpdatedAt": stamp(self.updated_at), "ActivityAt": stamp(self.activity_at),
            "PrimaryType": self.primary_type, "TrackValue": 2**40 + self.track_id, "AuthorComments": None, "Style": 5,
            "Routes": 0, "Difficulty": 0, "Environment": STADIUM, "Car": STADIUM, "Mood": 1,
            "Awards": self.track_id % 97, "Comments": self.track_id % 13, "ReplayType": 0, "HasThumbnail": False,
            "UnlimiterVersion": self.unlimiter, "IsPublic": True, "WRReplay": record, "UserReplay": None,
            "Authors": [{"User": uploader, "Role": "Author"}], "Tags": [5], "Images": [],
        }  # fmt: skip


def stamp(moment: datetime) -> str:
    """Return a time as the server writes it: UTC without a zone, with as many digits of a second as it has."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return text if not moment.microsecond else f"{text}.{moment.microsecond:06d}".rstrip("0")


class Exhibit:
    """All tracks of a stand-in. Replays get their places by time, the best run of each driver first come."""

    def __init__(self, tracks: Iterable[ShownTrack]) -> None:
        self.tracks = {track.track_id: track for track in tracks}
        self.replays = {row.replay_id: row for track in self.tracks.values() for row in track.replays}
        self._orders: dict[int, list[int]] = {}
        self._ranks: dict[int, dict[int, int]] = {}

    def ordered(self, order: int) -> tuple[list[int], dict[int, int]]:
        """Return the track ids in an order of the search, and the place of each."""
        if order not in self._orders:
            key = _KEYS.get(order + order % 2, _by_id)
            is_most = order > 0 and order % 2 == 0
            ids = sorted(self.tracks, key=lambda i: (key(self.tracks[i]), i), reverse=is_most)
            self._orders[order] = ids
            self._ranks[order] = {track_id: place for place, track_id in enumerate(ids)}
        return self._orders[order], self._ranks[order]

    def touch(self, track_id: int, when: datetime) -> None:
        """Let something happen to a track: it moves to the front of the list by activity."""
        self.tracks[track_id].activity_at = when
        self._orders.clear()
        self._ranks.clear()

    def remove(self, track_id: int) -> None:
        """Delete a track with its replays."""
        for row in self.tracks.pop(track_id).replays:
            self.replays.pop(row.replay_id, None)
        self._orders.clear()
        self._ranks.clear()


def _by_id(track: ShownTrack) -> Any:
    return track.track_id


_KEYS: dict[int, Callable[[ShownTrack], Any]] = {
    4: lambda track: track.updated_at,
    6: lambda track: track.track_id % 97,
    8: lambda track: track.track_id % 13,
    10: lambda track: track.activity_at,
}
"""What the orders of the search compare; others go by id."""


def rank(track: ShownTrack) -> None:
    """Give places to a track's replays: the best run of each driver on the current version is on the leaderboard."""
    track.replays.sort(key=lambda row: (row.time_ms, row.replay_id))
    seen: set[int] = set()
    for row in track.replays:
        is_current = row.track_at == track.updated_at
        row.is_best = is_current and row.user_id not in seen
        if is_current:
            seen.add(row.user_id)
        row.position = len(seen) if row.is_best else None
