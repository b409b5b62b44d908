"""An exhibit from a folder of .Gbx files, or from the bundled tracks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import trackmaster
from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.replays.standin.exhibit import EPOCH, Content, Exhibit, ShownReplay, ShownTrack, rank

BUNDLED = Path(trackmaster.__file__).parent / "bundled"
FIRST_TRACK_ID = 100
FIRST_REPLAY_ID = 10_000
FIRST_USER_ID = 1


@dataclass
class _Found:
    """What a folder holds of one map."""

    name: str = ""
    author: str = ""
    author_time_ms: int | None = None
    map_path: Path | None = None
    replays: list[tuple[Path, gbx.ReplayHeader]] = field(default_factory=list)


def bundled_exhibit() -> Exhibit:
    """Return our own tracks with their expert replays; each run counts as that of a driver of its own."""
    return folder_exhibit(BUNDLED, is_one_driver_per_run=True)


def folder_exhibit(
    folder: Path, *, is_one_driver_per_run: bool = False, report: Callable[[str], None] = print
) -> Exhibit:
    """Return the finished runs and the maps of a folder (searched with its subfolders).

    A map file is shown with the replays that were driven on it; where there is only the replay, the map inside it is
    given out. Tracks are numbered from 100 on, by uid; a replay in a folder whose name is a number belongs to the track
    of that number.

    Args:
        folder: of .Gbx files.
        is_one_driver_per_run: take runs of the same driver for runs of several.
        report: told about files that are left out.

    Raises:
        TrackmasterError: there is no such folder, or nothing to show in it.
    """
    found: dict[str, _Found] = {}
    for path in gbx.find_gbx_files([folder]):
        try:
            header = gbx.read_header(path)
        except gbx.GbxError as error:
            report(f"left out: {error}")
            continue
        if isinstance(header, gbx.ChallengeHeader):
            shown = found.setdefault(header.uid, _Found())
            shown.name, shown.author, shown.map_path = header.name, header.author, path
            shown.author_time_ms = header.medals.author_ms
        elif header.race_time_ms is not None and header.map_uid:
            found.setdefault(header.map_uid, _Found()).replays.append((path, header))
    if not any(shown.replays for shown in found.values()):
        raise TrackmasterError(f"{folder}: there is no finished replay in it. Give a folder of .Replay.Gbx files.")
    return Exhibit(_Hall(is_one_driver_per_run).tracks(found))


class _Hall:
    """Numbers tracks, replays and drivers."""

    def __init__(self, is_one_driver_per_run: bool) -> None:
        self._is_one_driver_per_run = is_one_driver_per_run
        self._users: dict[str, int] = {}
        self._next_replay = FIRST_REPLAY_ID

    def tracks(self, found: dict[str, _Found]) -> list[ShownTrack]:
        shown = []
        taken: set[int] = set()
        for number, (uid, content) in enumerate(sorted(found.items())):
            track_id = _number_of(content)
            if track_id is None or track_id in taken:
                track_id = FIRST_TRACK_ID + number
                while track_id in taken:
                    track_id += 1
            taken.add(track_id)
            shown.append(self._track(track_id, uid, content))
        return shown

    def _track(self, track_id: int, uid: str, found: _Found) -> ShownTrack:
        best = min(found.replays, key=lambda row: row[1].race_time_ms or 0, default=None)
        content: Content = partial(Path.read_bytes, found.map_path) if found.map_path else partial(_inner_map, best)
        track = ShownTrack(
            track_id, uid, found.name or f"Track {track_id}", content, found.author_time_ms, found.author,
            activity_at=EPOCH + timedelta(days=track_id % 5_000),
        )  # fmt: skip
        for path, header in found.replays:
            track.replays.append(self._replay(track, path, header))
        rank(track)
        return track

    def _replay(self, track: ShownTrack, path: Path, header: gbx.ReplayHeader) -> ShownReplay:
        self._next_replay += 1
        login = str(self._next_replay) if self._is_one_driver_per_run else header.login or str(self._next_replay)
        user_id = self._users.setdefault(login, FIRST_USER_ID + len(self._users))
        return ShownReplay(
            self._next_replay, track.track_id, user_id, gbx.plain_text(header.nickname) or login,
            header.race_time_ms or 0, partial(Path.read_bytes, path), track.updated_at,
            respawns=max(header.respawns or 0, 0),
        )  # fmt: skip


def _number_of(found: _Found) -> int | None:
    names = {path.parent.name for path, _ in found.replays}
    name = next(iter(names)) if len(names) == 1 else ""
    return int(name) if name.isascii() and name.isdigit() and 0 < len(name) < 12 and int(name) > 0 else None


def _inner_map(best: tuple[Path, gbx.ReplayHeader] | None) -> bytes:
    assert best is not None, "a track without a map file has a replay"
    return gbx.read_replay(best[0]).challenge_bytes or b""
