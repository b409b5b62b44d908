"""What is captured: one replay, read and judged before anything is drawn."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from trackmaster import gbx
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import UNFORESEEN, ReplayRejectedError
from trackmaster.files import atomic_write_bytes, safe_name
from trackmaster.gbx import Challenge, Ghost, InputTimeline, Replay
from trackmaster.units import TICK_MS, format_race_time

MAX_RACE_MS = 3 * 60 * 60 * 1000
"""Longer runs are refused: every tick is held in memory. The longest real run seen lasts an hour and a half."""


@dataclass(frozen=True)
class MapSource:
    """The map a replay was driven on."""

    challenge: Challenge
    content: bytes
    file_name: str
    sha256: str


@dataclass(frozen=True)
class ReplaySource:
    """A replay whose run can be labelled: finished, with inputs."""

    file: ReplayFile
    track_id: str
    sha256: str
    replay: Replay
    ghost: Ghost
    race_time_ms: int
    timeline: InputTimeline
    """Inputs of the callbacks 0, 10, ..., race time."""
    device: str
    map: MapSource


def read_source(file: ReplayFile, config: CaptureConfig) -> ReplaySource:
    """Read a replay and everything that belongs to it.

    Raises:
        ReplayRejectedError: the file is damaged, unfinished, without inputs, or its map is missing or another one.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise ReplayRejectedError(
            f"{UNFORESEEN}{type(error).__name__}", f"{file.path.name}: cannot be read ({error.strerror})."
        ) from None
    replay = _read_replay(content, file)
    ghost = _finished_ghost(replay, file)
    race_time_ms = ghost.race_time_ms
    assert race_time_ms is not None
    if config.exclude_respawn_maps and (replay.has_respawn or ghost.has_respawn):
        raise ReplayRejectedError(
            "respawn", f"{file.path.name}: the driver respawned, and --exclude-respawn-maps is set."
        )
    track_id = file.track_id or safe_name(replay.map_uid or "unknown")
    timeline, device = _timeline(ghost, race_time_ms, file, config.input_time_offset_ms)
    return ReplaySource(
        file=file,
        track_id=track_id,
        sha256=hashlib.sha256(content).hexdigest(),
        replay=replay,
        ghost=ghost,
        race_time_ms=race_time_ms,
        timeline=timeline,
        device=device,
        map=_map_source(replay, file, track_id, config.tracks_dir),
    )


def _read_replay(content: bytes, file: ReplayFile) -> Replay:
    try:
        found = gbx.read(content, name=file.path.name)
    except gbx.GbxError as error:
        raise ReplayRejectedError("unreadable", str(error)) from None
    if not isinstance(found, Replay):
        raise ReplayRejectedError(
            "unreadable", f"{file.path.name}: is a {type(found).__name__.lower()}, expected a replay."
        )
    return found


def _finished_ghost(replay: Replay, file: ReplayFile) -> Ghost:
    """Return the run to capture: the replay's own if it finished, else its fastest finished ghost."""
    finished = [ghost for ghost in replay.ghosts if ghost.race_time_ms is not None and ghost.race_time_ms > 0]
    if not finished:
        raise ReplayRejectedError("unfinished", f"{file.path.name}: no ghost in it reached the finish.")
    if finished[0] is replay.ghosts[0]:
        return finished[0]
    return min(finished, key=lambda ghost: ghost.race_time_ms or 0)


def _timeline(ghost: Ghost, race_time_ms: int, file: ReplayFile, offset_ms: int) -> tuple[InputTimeline, str]:
    events = ghost.events
    if events is None or len(events) == 0:
        raise ReplayRejectedError(
            "no_inputs", f"{file.path.name}: the run holds no inputs, so its frames cannot be labelled."
        )
    if offset_ms:
        events = dataclasses.replace(events, time_ms=events.time_ms + offset_ms)
    _check_race_time(ghost, race_time_ms, file)
    timeline = InputTimeline.from_events(events, race_time_ms)
    expected = race_time_ms // TICK_MS + 1
    if len(timeline) != expected:
        raise ReplayRejectedError(
            "ticks", f"{file.path.name}: {len(timeline)} ticks of input for {expected} ticks of race."
        )
    return timeline, "tminterface" if events.is_tminterface else events.device


def _check_race_time(ghost: Ghost, race_time_ms: int, file: ReplayFile) -> None:
    """Refuse a race time that the recorded states contradict, before anything of its length is built."""
    if race_time_ms > MAX_RACE_MS:
        raise ReplayRejectedError(
            "race_time",
            f"{file.path.name}: the race time is {format_race_time(race_time_ms)}; runs of more than "
            f"{MAX_RACE_MS // 3_600_000} hours are not captured.",
        )
    samples = ghost.samples
    if samples is None or len(samples) == 0:
        return
    end_ms = int(samples.time_ms[-1])
    if race_time_ms > end_ms + samples.period_ms:
        raise ReplayRejectedError(
            "race_time",
            f"{file.path.name}: the race time is {format_race_time(race_time_ms)}, but the recorded car stops at "
            f"{format_race_time(end_ms)}. One of them is wrong: take another replay.",
        )


def _map_source(replay: Replay, file: ReplayFile, track_id: str, tracks_dir: Path) -> MapSource:
    """Return the map inside the replay; a local file serves only where there is none inside."""
    local = local_map(tracks_dir, track_id)
    if replay.challenge is not None and replay.challenge_bytes is not None:
        name = f"{track_id}.Challenge.Gbx"
        if local is not None:
            name = local.name
            if local.read_bytes() != replay.challenge_bytes:
                name = f"{track_id}__from_replay.Challenge.Gbx"
                atomic_write_bytes(tracks_dir / track_id / name, replay.challenge_bytes)
        challenge, content = replay.challenge, replay.challenge_bytes
    elif local is not None:
        content, name = local.read_bytes(), local.name
        try:
            challenge = gbx.read_challenge(content, name=local.name)
        except gbx.GbxError as error:
            raise ReplayRejectedError("no_map", str(error)) from None
    else:
        raise ReplayRejectedError(
            "no_map", f"{file.path.name}: holds no map, and {tracks_dir} has none for track {track_id}."
        )
    if replay.map_uid and challenge.uid != replay.map_uid:
        raise ReplayRejectedError(
            "map_mismatch",
            f"{file.path.name}: was driven on map {replay.map_uid}, but the map at hand is {challenge.uid}.",
        )
    return MapSource(challenge, content, name, hashlib.sha256(content).hexdigest())


def local_map(tracks_dir: Path, track_id: str) -> Path | None:
    """Return ``<dir>/<id>/*.Challenge.Gbx`` or ``<dir>/<id>.Challenge.Gbx``, never a name that only contains the id."""
    folder = tracks_dir / track_id
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in inside:
        if path.name.lower().endswith(".challenge.gbx") and not path.name.endswith("__from_replay.Challenge.Gbx"):
            return path
    flat = tracks_dir / f"{track_id}.Challenge.Gbx"
    return flat if flat.is_file() else None
