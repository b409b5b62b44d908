"""``trackmaster track drive``: which maps the simulated car can be driven around on, and a replay of each."""

from dataclasses import replace
from pathlib import Path

from trackmaster import gbx
from trackmaster.errors import TrackmasterError
from trackmaster.expert.drive_config import DriveConfig
from trackmaster.expert.errors import ExpertError
from trackmaster.expert.explore import Discovery, Exploration, Explorer
from trackmaster.expert.recording import DRIVER, drive_timeline, timeline_of
from trackmaster.expert.reporter import Reporter
from trackmaster.files import atomic_write_bytes, safe_name
from trackmaster.gbx import Challenge, Ghost, Replay
from trackmaster.sim import World
from trackmaster.track import Track
from trackmaster.units import format_race_time


def run_drive(config: DriveConfig) -> int:
    """Drive every map and print a line for each; return 2 when some were not finished.

    Raises:
        TrackmasterError: there is no Stadium map among the files.
    """
    maps = gbx.find_maps(config.paths)
    finished = 0
    for number, (challenge, source) in enumerate(maps, start=1):
        label = f"[{number}/{len(maps)}] {gbx.plain_text(challenge.name)}"
        try:
            print(f"{label}: {_drive(challenge, source, config, label)}", flush=True)
            finished += 1
        except TrackmasterError as error:
            print(f"{label}: not driven. {error}", flush=True)
    print(f"{finished} of {len(maps)} maps driven to the finish.")
    return 0 if finished == len(maps) else 2


def _drive(challenge: Challenge, source: Path, config: DriveConfig, label: str) -> str:
    """Find a drive, drive it again alone, write it, and say how it went; what an earlier call wrote is kept."""
    folder = None if config.output is None else config.output / safe_name(challenge.uid)
    kept = [] if folder is None else sorted(folder.glob(f"pos1_{DRIVER}_*ms.replay.gbx"))
    if kept:
        return f"kept from an earlier call, {kept[0]}"
    track = Track.from_challenge(challenge)
    exploration = Exploration(seed=config.seed, rounds=config.rounds, limit=config.limit, polish_rounds=config.polish)
    found = Explorer(World(track, config.tries), track, exploration).run(Reporter(label))
    ghost = _driven_alone(track, found)
    author_ms = challenge.medals.author_ms
    author = "" if not author_ms or author_ms < 0 else f" (author {format_race_time(author_ms)})"
    text = f"{format_race_time(ghost.race_time_ms)}{author}, found in round {found.rounds}"
    if folder is None:
        return text
    path = folder / f"pos1_{DRIVER}_{ghost.race_time_ms}ms.replay.gbx"
    uid = gbx.make_uid(f"{DRIVER}/{challenge.uid}/{ghost.race_time_ms}")
    atomic_write_bytes(path, gbx.write_replay(_map_bytes(source), replace(ghost, uid=uid)))
    return f"{text}, {path}"


def _driven_alone(track: Track, found: Discovery) -> Ghost:
    ghost = drive_timeline(track, timeline_of(found.keys, found.race_time_ms), limit_ms=found.race_time_ms)
    if ghost.race_time_ms != found.race_time_ms:
        raise ExpertError(
            f"A drive of {found.race_time_ms} ms takes {ghost.race_time_ms} ms when it is driven alone. The simulator "
            "depends on the batch: this is a bug of the simulator."
        )
    return ghost


def _map_bytes(source: Path) -> bytes:
    """Return the map file as it is: the one named, or the one inside of a replay."""
    content = gbx.read(source)
    if isinstance(content, Replay) and content.challenge_bytes is not None:
        return content.challenge_bytes
    return source.read_bytes()
