"""The demo's first stage: find replays in any folder, keep the usable ones, lay them out as capture expects them."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.files import atomic_dir, atomic_write_bytes, safe_name
from trackmaster.progress import progress
from trackmaster.track import Track, TrackError


@dataclass(frozen=True)
class FoundReplay:
    """One .Gbx file of the user's folder."""

    source: Path
    track_id: str
    """The map's uid; empty if the file could not be read that far."""
    map_name: str
    driver: str
    race_time_ms: int | None
    reason: str
    """Why it is left out; empty if it is used."""
    sha256: str = ""

    @property
    def is_used(self) -> bool:
        """Whether it goes on to capture."""
        return not self.reason


@dataclass(frozen=True)
class Collection:
    """What a folder of replays holds."""

    found: tuple[FoundReplay, ...]
    """Every replay, used or not."""
    maps: Mapping[str, bytes]
    """Map files of the used replays by uid."""

    @property
    def fingerprint(self) -> str:
        """64 hex digits that change when other replays are used, wherever they lie and whatever they are called."""
        used = sorted(row.sha256 for row in self.found if row.is_used)
        return hashlib.sha256("\n".join(used).encode()).hexdigest()


def read_replays(folder: Path, *, use_tqdm: bool = True) -> Collection:
    """Read every replay below ``folder`` and judge whether it can be used.

    Raises:
        TrackmasterError: the folder does not exist, holds no replay, or none that can be used.
    """
    if not folder.is_dir():
        raise TrackmasterError(f"{folder}: there is no such folder. Give a folder with .Replay.Gbx files.")
    files = gbx.find_gbx_files([folder])
    judged: dict[str, str] = {}
    found: list[FoundReplay] = []
    seen: set[str] = set()
    maps: dict[str, bytes] = {}
    for path in progress(files, desc="replays", enabled=use_tqdm):
        row, content = _look_at(path, judged)
        if row is None:
            continue
        if row.is_used and row.sha256 in seen:
            row = _refuse(row, "the same file again")
        if row.is_used and content is not None:
            maps.setdefault(row.track_id, content)
        seen.add(row.sha256)
        found.append(row)
    if not found:
        raise TrackmasterError(f"{folder}: there is no .Replay.Gbx file in it or below it.")
    if not maps:
        raise TrackmasterError(
            f"{folder}: none of the {len(found)} replays can be used. The first one, {found[0].source.name}: "
            f"{found[0].reason.rstrip('.')}. Choose finished runs on Stadium maps whose blocks are "
            "known; 'trackmaster track coverage' lists them."
        )
    return Collection(tuple(found), maps)


def lay_out(collection: Collection, maps_dir: Path) -> None:
    """Copy the usable replays and their maps to where capture looks for them; an earlier result is replaced.

    Writes ``maps_dir/replays/<uid>/pos<N>_<driver>_<ms>ms.replay.gbx`` and ``maps_dir/tracks/<uid>.Challenge.Gbx``; the
    same replays get the same names, wherever they come from.
    """
    of_track: dict[str, list[FoundReplay]] = {}
    for row in collection.found:
        if row.is_used:
            of_track.setdefault(row.track_id, []).append(row)
    with atomic_dir(maps_dir / "replays") as target:
        for track_id, rows in of_track.items():
            folder = target / safe_name(track_id)
            folder.mkdir(parents=True, exist_ok=True)
            rows.sort(key=lambda row: (row.race_time_ms or 0, row.sha256))
            for position, row in enumerate(rows, 1):
                driver = safe_name(gbx.plain_text(row.driver) or "driver", max_length=60)
                shutil.copyfile(row.source, folder / f"pos{position}_{driver}_{row.race_time_ms}ms.replay.gbx")
    for track_id, content in collection.maps.items():
        atomic_write_bytes(maps_dir / "tracks" / f"{safe_name(track_id)}.Challenge.Gbx", content)


def _look_at(path: Path, judged: dict[str, str]) -> tuple[FoundReplay | None, bytes | None]:
    """Return what a replay is, and its map; None for other files. ``judged`` remembers what was said about each map."""
    blank = FoundReplay(path, "", "", "", None, "")
    try:
        data = path.read_bytes()
        replay = gbx.read(data, name=path.name)
    except (OSError, gbx.GbxError) as error:
        is_meant = path.name.lower().endswith(".replay.gbx")
        return (_refuse(blank, str(error).removeprefix(f"{path.name}: ")) if is_meant else None), None
    if not isinstance(replay, gbx.Replay):
        return None, None
    challenge, ghost = replay.challenge, replay.ghost
    row = FoundReplay(
        path, replay.map_uid, challenge.name if challenge else "", replay.nickname or replay.login or "unknown",
        replay.race_time_ms, "", hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    if challenge is None or replay.challenge_bytes is None:
        return _refuse(row, "it has no embedded map"), None
    if replay.race_time_ms is None or ghost is None or ghost.samples is None:
        return _refuse(row, "the run was not finished"), None
    if challenge.uid not in judged:
        judged[challenge.uid] = _why_not(challenge)
    reason = judged[challenge.uid]
    return (_refuse(row, reason), None) if reason else (row, replay.challenge_bytes)


def _why_not(challenge: gbx.Challenge) -> str:
    """Return why a map cannot be drawn; empty if it can."""
    try:
        Track.from_challenge(challenge)
    except TrackError as error:
        return str(error)
    return ""


def _refuse(row: FoundReplay, reason: str) -> FoundReplay:
    return FoundReplay(row.source, row.track_id, row.map_name, row.driver, row.race_time_ms, reason, row.sha256)
