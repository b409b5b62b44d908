"""The bundled tracks and replays: made from nothing but this package, the same to the last bit every time.

Verb: ``trackmaster track bundle``. Layout below the folder, as in a folder of downloads::

    tracks/<slug>.Challenge.Gbx
    replays/<slug>/pos1_trackmaster_10190ms.replay.gbx
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from trackmaster import gbx
from trackmaster.config import Settings
from trackmaster.expert.errors import ExpertError
from trackmaster.expert.experts import CANDIDATES, TEAM, Expert, find_drives
from trackmaster.expert.recording import DRIVER, drive_timeline, redrive, timeline_of
from trackmaster.expert.reporter import Reporter
from trackmaster.files import atomic_dir, atomic_write_bytes
from trackmaster.track import Track
from trackmaster.track.bundled import BundledTrack, bundled_challenge, bundled_challenges, bundled_folder
from trackmaster.units import format_race_time

MEDAL_FACTORS = {"gold_ms": 1.06, "silver_ms": 1.2, "bronze_ms": 1.5}
"""Medal times per author time, as the game's editor proposes them; rounded up to whole seconds."""


class BundleConfig(Settings):
    """Make the bundled tracks and expert replays again, or check that they still are what the simulator drives."""

    model_config = SettingsConfigDict(env_prefix="TRACK_BUNDLE_")

    output: Path | None = None
    """Folder to write to, or to check; the one inside the package if not given."""
    tracks: tuple[str, ...] = ()
    """Short names of the tracks to make; all if not given."""
    check: bool = False
    """Write nothing: drive the inputs of every file again and compare the files byte by byte."""
    full: bool = False
    """With ``check``: search all drives again instead of driving the recorded inputs (minutes, not seconds)."""


@dataclass(frozen=True)
class BundledFiles:
    """All files of one track: path below the folder and content, the map first, then replays from the fastest on."""

    slug: str
    files: tuple[tuple[Path, bytes], ...]


def run_bundle(config: BundleConfig) -> int:
    """Write or check the bundled files and say for each track what came out.

    Raises:
        ExpertError: a check found a difference, a drive could not be made, or flags do not fit.
        TrackError: a track of that name does not exist.
    """
    if config.full and not config.check:
        raise ExpertError("--full says how thoroughly to check: give it together with --check.")
    folder = config.output if config.output is not None else bundled_folder()
    chosen = [bundled_challenge(name) for name in config.tracks] if config.tracks else bundled_challenges()
    for track in chosen:
        began_s = time.monotonic()
        if not config.check:
            files = make_files(track, report=Reporter(track.slug))
            write_files(folder, files)
        elif config.full:
            files = check_search(folder, track, report=Reporter(track.slug))
        else:
            files = check_drives(folder, track)
        verb = "same bytes" if config.check else "written"
        times = ", ".join(path.stem.split("_")[-1].split(".")[0] for path, _ in files.files[1:])
        took_s = time.monotonic() - began_s
        print(f"{track.slug}: {verb}, {len(files.files)} files, {times} ({took_s:.0f} s)", flush=True)
    return 0


def make_files(
    bundled: BundledTrack,
    team: Sequence[Expert] = TEAM,
    *,
    candidates: int = CANDIDATES,
    report: Callable[[str], None] = lambda _: None,
) -> BundledFiles:
    """Search the drives of a team and return map and replays as files.

    Raises:
        ExpertError: a driver did not finish, or a drive alone differs from the same drive in a batch.
    """
    track = Track.from_challenge(bundled.challenge)
    ghosts = []
    for found in find_drives(track, team, candidates=candidates, report=report):
        timeline = timeline_of(found.keys, found.race_time_ms)
        ghost = drive_timeline(track, timeline, limit_ms=found.race_time_ms)
        if ghost.race_time_ms != found.race_time_ms:
            raise ExpertError(
                f"{bundled.slug}: a drive of {found.race_time_ms} ms takes {ghost.race_time_ms} ms when it is driven "
                "alone. The simulator depends on the batch: this is a bug of the simulator."
            )
        ghosts.append(ghost)
    return _as_files(bundled, ghosts)


def _as_files(bundled: BundledTrack, ghosts: Sequence[gbx.Ghost]) -> BundledFiles:
    """Return the files of finished ghosts; equal drives are kept once."""
    distinct: list[gbx.Ghost] = []
    for ghost in sorted(ghosts, key=lambda g: g.race_time_ms or 0):
        if not any(ghost.events == other.events for other in distinct):
            distinct.append(ghost)
    map_bytes = map_file(bundled, distinct[0].race_time_ms or 0)
    files = [(map_path(bundled.slug), map_bytes)]
    for position, ghost in enumerate(distinct, start=1):
        name = f"pos{position}_{DRIVER}_{ghost.race_time_ms}ms.replay.gbx"
        named = replace(ghost, uid=gbx.make_uid(f"{DRIVER}/{bundled.slug}/{name}"))
        files.append((replay_folder(bundled.slug) / name, gbx.write_replay(map_bytes, named)))
    return BundledFiles(bundled.slug, tuple(files))


def map_path(slug: str) -> Path:
    """Return where a bundled map lies below the folder."""
    return Path("tracks") / f"{slug}.Challenge.Gbx"


def replay_folder(slug: str) -> Path:
    """Return where the replays of a bundled map lie below the folder."""
    return Path("replays") / slug


def map_file(bundled: BundledTrack, author_ms: int) -> bytes:
    """Return the map file with the author's time and the medals that follow from it."""
    medals = {name: (int(factor * author_ms) // 1_000 + 1) * 1_000 for name, factor in MEDAL_FACTORS.items()}
    challenge = replace(bundled.challenge, medals=gbx.Medals(author_ms=author_ms, **medals))
    return gbx.write_challenge(challenge)


def write_files(folder: Path, files: BundledFiles) -> None:
    """Write the files of one track; replays of an earlier run on it disappear."""
    (path, content), *replays = files.files
    with atomic_dir(folder / replay_folder(files.slug)) as temporary:
        for replay_path, replay_bytes in replays:
            (temporary / replay_path.name).write_bytes(replay_bytes)
    atomic_write_bytes(folder / path, content)


def check_drives(folder: Path, bundled: BundledTrack) -> BundledFiles:
    """Drive the inputs of all replays of a track again and compare what comes out with the files.

    Raises:
        ExpertError: a file is missing, or differs from the drive.
    """
    track = Track.from_challenge(bundled.challenge)
    ghosts = []
    for path in _replays_in(folder, bundled.slug):
        ghost = gbx.read_replay(path).ghosts[0]
        again = redrive(track, ghost)
        difference = describe_difference(ghost, again)
        if difference:
            raise ExpertError(f"{path}: {difference}. {_REMEDY}")
        ghosts.append(again)
    files = _as_files(bundled, ghosts)
    _compare(folder, files)
    return files


def check_search(
    folder: Path, bundled: BundledTrack, *, report: Callable[[str], None] = lambda _: None
) -> BundledFiles:
    """Search all drives of a track again and compare the files.

    Raises:
        ExpertError: a file is missing or differs.
    """
    files = make_files(bundled, report=report)
    _compare(folder, files)
    return files


_REMEDY = ("The simulator, the track or the search changed since the files were made: make them again with "
           "'trackmaster track bundle' and commit them.")  # fmt: skip


def describe_difference(recorded: gbx.Ghost, driven: gbx.Ghost) -> str:
    """Return in words where a drive leaves a recording, empty if they are the same."""
    if recorded.race_time_ms != driven.race_time_ms:
        times = format_race_time(recorded.race_time_ms), format_race_time(driven.race_time_ms)
        return f"the recording says {times[0]}, the drive takes {times[1]}"
    if recorded.cp_times_ms != driven.cp_times_ms:
        return f"the recording passes its gates at {recorded.cp_times_ms}, the drive at {driven.cp_times_ms}"
    if recorded.samples is None or driven.samples is None or len(recorded.samples) != len(driven.samples):
        return "the recording and the drive have different numbers of samples"
    rows = (recorded.samples.raw != driven.samples.raw).any(axis=1)
    if rows.any():
        first = int(rows.argmax())
        gap_m = abs(recorded.samples.position_m[first] - driven.samples.position_m[first]).max()
        return f"{rows.sum()} samples differ, first the one at {recorded.samples.time_ms[first]} ms, by {gap_m:.6f} m"
    return "" if recorded.events == driven.events else "the control events differ"


def _replays_in(folder: Path, slug: str) -> list[Path]:
    paths = sorted((folder / replay_folder(slug)).glob("*.replay.gbx"))
    if not paths:
        raise ExpertError(f"{folder / replay_folder(slug)} holds no replays. {_REMEDY}")
    return paths


def _compare(folder: Path, files: BundledFiles) -> None:
    for path, content in files.files:
        if not (folder / path).is_file() or (folder / path).read_bytes() != content:
            state = "differs" if (folder / path).is_file() else "is missing"
            raise ExpertError(f"{folder / path} {state}. {_REMEDY}")
    expected = {path.name for path, _ in files.files[1:]}
    extra = sorted({path.name for path in _replays_in(folder, files.slug)} - expected)
    if extra:
        raise ExpertError(f"{folder / replay_folder(files.slug)} holds {extra[0]}, which is not made here. {_REMEDY}")
