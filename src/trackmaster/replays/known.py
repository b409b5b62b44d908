"""What the catalogue knows of tracks and their replays, for filters: nothing has to be read, or even be there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster.gbx.models import MODES
from trackmaster.replays.catalogue import DONE, GONE, Catalogue
from trackmaster.replays.config import is_track_id
from trackmaster.replays.facts import MapFacts, ReplayFacts

_MODE_OF_TYPE = {0: "race", 1: "puzzle", 2: "platform", 3: "stunts", 4: "shortcut", 5: "race"}
"""The exchange's primary types as modes of the game; maps with laps are races."""


@dataclass(frozen=True)
class KnownTrack:
    """What the catalogue knows of one track.

    Attributes:
        uid: of the current version of the map; empty if unknown.
        map_facts: mode and TMUnlimiter as the exchange lists them; None if unknown. It does not tell environment and
            intro.
        validated: what the exchange says of each replay, by file name.
        verified: facts of the replays on disk that the download verified, by file name.
        listed: all leaderboard replays, on disk or not.
    """

    uid: str = ""
    map_facts: MapFacts | None = None
    validated: dict[str, bool | None] = field(default_factory=dict)
    verified: dict[str, ReplayFacts] = field(default_factory=dict)
    listed: tuple[ReplayFacts, ...] = ()


def known_track(catalogue: Catalogue | None, name: str, folder: Path) -> KnownTrack:
    """Return what a catalogue knows of the track whose replays lie in ``folder``; nothing without a catalogue."""
    if catalogue is None or not is_track_id(name):
        return KnownTrack()
    row = catalogue.one("SELECT uid, primary_type, unlimiter FROM tracks WHERE track_id = ?", (int(name),))
    if row is None:
        return KnownTrack()
    mode = _MODE_OF_TYPE.get(row["primary_type"])
    facts = None
    if mode is not None:
        facts = MapFacts(mode=MODES.index(mode), is_unlimiter=row["unlimiter"] is not None, uid=row["uid"])
    known = KnownTrack(row["uid"], facts)
    listed = []
    rows = catalogue.read(
        "SELECT * FROM replays WHERE track_id = ? AND state != ? AND rank IS NOT NULL ORDER BY rank", (int(name), GONE)
    )
    for replay in rows:
        file = replay["path"].rpartition("/")[2]
        known.validated[file] = None if replay["validated"] is None else bool(replay["validated"])
        run = ReplayFacts(
            folder / file, replay["time_ms"], _first(replay["file_respawns"], replay["respawns"]),
            replay["map_uid"] or row["uid"], login=replay["login"] or "", device=replay["device"],
            is_tminterface=None if replay["is_tminterface"] is None else bool(replay["is_tminterface"]),
        )  # fmt: skip
        listed.append(run)
        if replay["state"] == DONE and replay["device"] is not None:
            known.verified[file] = run
    return KnownTrack(known.uid, facts, known.validated, known.verified, tuple(listed))


def listed_tracks(catalogue: Catalogue) -> Iterator[str]:
    """Yield the ids of all tracks that are still on the exchange."""
    for row in catalogue.read("SELECT track_id FROM tracks WHERE state != ? ORDER BY track_id", (GONE,)):
        yield str(row["track_id"])


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
