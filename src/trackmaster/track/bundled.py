"""The tracks that come with the package: our own designs, made of real Stadium blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import trackmaster
from trackmaster.gbx import Block, Challenge
from trackmaster.gbx.write_challenge import make_uid
from trackmaster.track.errors import TrackError
from trackmaster.track.layout import RoadLayout

AUTHOR = "trackmaster"

_POSITION = re.compile(r"pos(\d+)_")


@dataclass(frozen=True)
class BundledTrack:
    """One track of the package.

    Attributes:
        slug: stem of its files.
        challenge: the map, without medal times (the expert that drives it sets them).
        summary: what a driver meets.
    """

    slug: str
    challenge: Challenge
    summary: str


def bundled_challenges() -> list[BundledTrack]:
    """Return the bundled tracks, easiest first."""
    return [
        _track("first_steps", "First Steps", "one checkpoint and two wide curves, flat out", _first_steps()),
        _track("switchback", "Switchback", "two checkpoints, tight curves left and right", _switchback()),
        _track("table_top", "Table Top", "over open platforms with a booster and two checkpoints", _table_top()),
        _track("high_road", "High Road", "a long way over a hill, with boosters, curves of every size", _high_road()),
    ]


def bundled_challenge(slug: str) -> BundledTrack:
    """Return one bundled track.

    Raises:
        TrackError: there is none of that name.
    """
    tracks = {track.slug: track for track in bundled_challenges()}
    if slug not in tracks:
        raise TrackError(f"There is no bundled track {slug!r}; choose one of {', '.join(tracks)}.")
    return tracks[slug]


def bundled_folder() -> Path:
    """Return the folder of the package with the maps (``tracks``) and expert replays (``replays/<slug>``)."""
    return Path(trackmaster.__file__).parent / "bundled"


def bundled_map(slug: str) -> Path:
    """Return the map file of a bundled track."""
    return bundled_folder() / "tracks" / f"{bundled_challenge(slug).slug}.Challenge.Gbx"


def bundled_replays(slug: str) -> list[Path]:
    """Return the expert replays of a bundled track, fastest first."""
    found = (bundled_folder() / "replays" / bundled_challenge(slug).slug).glob("pos*_*.replay.gbx")
    return sorted(found, key=lambda path: int(match[1]) if (match := _POSITION.match(path.name)) else 0)


def _track(slug: str, name: str, summary: str, blocks: list[Block]) -> BundledTrack:
    challenge = Challenge(
        uid=make_uid(f"{AUTHOR}/{slug}"),
        name=name,
        author=AUTHOR,
        environment="Stadium",
        mood="Day",
        size=(32, 32, 32),
        blocks=tuple(blocks),
    )
    return BundledTrack(slug, challenge, summary)


def _first_steps() -> list[Block]:
    road = RoadLayout(8, 1, 6, 0).straights(2).add("StadiumRoadMainCheckpoint").left(4).straights(1).right(4)
    return road.straights(2).add("StadiumRoadMainFinishLine").blocks


def _switchback() -> list[Block]:
    road = RoadLayout(6, 1, 5, 0).straights(2).left(3).straights(1).right(2).add("StadiumRoadMainCheckpoint")
    road.left(2).left(2).straights(1).right(2).straights(1).add("StadiumRoadMainCheckpoint")
    return road.right(2).straights(2).left(2).straights(3).add("StadiumRoadMainFinishLine").blocks


def _table_top() -> list[Block]:
    """Road at level 3, platforms at level 2: an L of three cells width between two ramps."""
    start = RoadLayout(9, 3, 4, 0).straights(1).add("StadiumPlatformToRoadMain", entry_side=0)
    special = {
        (9, 10): Block("StadiumPlatformCheckpoint", 0, 9, 2, 10),
        (14, 16): Block("StadiumPlatformTurbo", 3, 14, 2, 16),
        (18, 16): Block("StadiumPlatformCheckpoint", 3, 18, 2, 16),
    }
    cells = {(x, z) for x in (8, 9, 10) for z in range(7, 18)} | {(x, z) for x in range(8, 21) for z in (15, 16, 17)}
    platforms = [special.get(c, Block("StadiumCircuitBase", 0, c[0], 2, c[1])) for c in sorted(cells)]
    finish = [
        Block("StadiumPlatformToRoadMain", 3, 21, 2, 16),
        Block("StadiumRoadMain", 3, 22, 3, 16, 3),
        Block("StadiumRoadMainFinishLine", 3, 23, 3, 16),
    ]
    return start.blocks + platforms + finish


def _high_road() -> list[Block]:
    road = RoadLayout(4, 1, 4, 3).straights(2).add("StadiumRoadMainTurbo").straights(2).right(5)
    road.add("StadiumRoadMainCheckpoint")
    road.add("StadiumRoadMainBiSlopeStart").add("StadiumRoadMainBiSlopeEnd").straights(1)
    road.add("StadiumRoadMainBiSlopeEnd", entry_side=0).add("StadiumRoadMainBiSlopeStart", entry_side=0)
    road.left(3).add("StadiumRoadMainTurbo").straights(1).left(4).add("StadiumRoadMainCheckpoint").straights(3)
    road.right(2).add("StadiumRoadMainGTDiag2x2").add("StadiumRoadMainCheckpoint").left(2).straights(2)
    return road.add("StadiumRoadMainFinishLine").blocks
