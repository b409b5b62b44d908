"""Tracks and environments of a training run, made from the map cycle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trackmaster.distributed.racing.vector_worker import EpisodeKind
from trackmaster.errors import ConfigError
from trackmaster.rl.config.training import MapEntry, TrainConfig
from trackmaster.rl.evaluation.episodes import VectorEnvironment

if TYPE_CHECKING:
    from trackmaster.track import ReferenceLine, Track

BUNDLED = "bundled:"


@dataclass(frozen=True)
class Fleet:
    """Cars of one environment: which track each drives and which kinds of episodes it goes through."""

    track_of_car: tuple[int, ...]
    cycles: tuple[tuple[EpisodeKind, ...], ...]


def track_names(config: TrainConfig) -> tuple[str, ...]:
    """Return the names of the tracks in the cycle, each once, in order.

    Raises:
        ConfigError: the cycle is empty.
    """
    if not config.map_cycle.entries:
        raise ConfigError(
            "map_cycle.entries is empty: name at least one track, as config_files/rl/config_quick.yaml does."
        )
    return tuple(dict.fromkeys(entry.short_name for entry in config.map_cycle.entries))


def load_tracks(config: TrainConfig) -> "tuple[Track, ...]":
    """Return the tracks of the cycle with their reference lines, in the order of ``track_names``."""
    first = {entry.short_name: entry for entry in reversed(config.map_cycle.entries)}
    return tuple(load_track(first[name]) for name in track_names(config))


def load_track(entry: MapEntry) -> "Track":
    """Return one track; its line is the given one, else the middle of its road.

    Raises:
        ConfigError: a file is missing or holds something else.
    """
    from trackmaster import gbx
    from trackmaster.track import Track, line_from_path
    from trackmaster.track.bundled import bundled_challenge

    if entry.map_path.startswith(BUNDLED):
        challenge = bundled_challenge(entry.map_path.removeprefix(BUNDLED)).challenge
    else:
        found = gbx.read(_existing(entry.map_path))
        if not isinstance(found, gbx.Challenge):
            raise ConfigError(f"{entry.map_path}: holds no map; map_path needs a .Challenge.Gbx file.")
        challenge = found
    track = Track.from_challenge(challenge)
    line = _line(entry, track.uid)
    if line is None:
        line = line_from_path(track.centre_line(), map_uid=track.uid)
    return replace(track, reference_line=line)


def plan_fleet(config: TrainConfig, n_cars: int) -> Fleet:
    """Deal the cars out to the tracks by how often the cycle names them, and give each its track's cycle."""
    names = track_names(config)
    if n_cars < len(names):
        raise ConfigError(f"{n_cars} cars cannot drive {len(names)} tracks: raise environment.n_envs.")
    kinds: dict[str, list[EpisodeKind]] = {name: [] for name in names}
    for entry in config.map_cycle.entries:
        kind = EpisodeKind(entry.short_name, entry.is_exploration, entry.fill_buffer)
        kinds[entry.short_name] += [kind] * entry.repeat
    tracks = list(range(len(names)))
    while len(tracks) < n_cars:  # the next car goes to the track that is furthest below its share
        tracks.append(min(range(len(names)), key=lambda i: tracks.count(i) / len(kinds[names[i]])))
    # Cars begin at different places of the cycle, so that a short run sees every kind of episode.
    seen: dict[int, int] = {}
    cycles = []
    for track in tracks:
        cycle, offset = kinds[names[track]], seen.get(track, 0)
        seen[track] = offset + 1
        cycles.append(tuple(cycle[(offset + i) % len(cycle)] for i in range(len(cycle))))
    return Fleet(tuple(tracks), tuple(cycles))


def make_racing_env(
    config: TrainConfig,
    tracks: "Mapping[str, Track]",
    track_of_car: Sequence[int],
    *,
    seed: int,
    evaluation: bool = False,
) -> VectorEnvironment:
    """Return the simulator's environment.

    Args:
        config: the whole run.
        tracks: those to drive, by their name in the cycle.
        track_of_car: one car per entry, with the number of its track.
        seed: of drawn starts.
        evaluation: begin at the start line only.
    """
    from trackmaster.env import RacingVectorEnv

    env: VectorEnvironment = RacingVectorEnv(
        tuple(tracks.values()),
        len(track_of_car),
        config.to_env_config(evaluation=evaluation, uids={name: track.uid for name, track in tracks.items()}),
        seed=seed,
        track_of_env=track_of_car,
    )
    return env


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"map_path {name}: there is no such file. Give a .Challenge.Gbx file or bundled:<name>.")
    return path


def _line(entry: MapEntry, uid: str) -> "ReferenceLine | None":
    from trackmaster import gbx
    from trackmaster.track import ReferenceLine, line_of_ghost

    if entry.reference_line_path is None:
        return None
    source = Path(entry.reference_line_path)
    if not source.is_file():
        raise ConfigError(f"reference_line_path {source}: there is no such file. Give a .npy line or a .Replay.Gbx.")
    if source.suffix == ".npy":
        line = ReferenceLine.load(source)
        _refuse_other_map(source, line.info.map_uid, uid)
        return line
    replay = gbx.read(source)
    ghosts = (
        [g for g in replay.ghosts if g.race_time_ms and g.samples is not None] if isinstance(replay, gbx.Replay) else []
    )
    if not ghosts:
        raise ConfigError(f"{source}: holds no finished ghost; a reference line needs a finished drive.")
    if isinstance(replay, gbx.Replay):
        embedded = replay.challenge.uid if replay.challenge is not None else ""
        _refuse_other_map(source, embedded or replay.map_uid, uid)
    return line_of_ghost(min(ghosts, key=lambda ghost: ghost.race_time_ms or 0), map_uid=uid)


def _refuse_other_map(source: Path, found: str, expected: str) -> None:
    """A line that says nothing of its map is taken as it is."""
    if found and expected and found != expected:
        raise ConfigError(
            f"reference_line_path {source}: the line belongs to the map with identifier {found}, the track is "
            f"{expected}. Give a drive over this track, or leave the path out for the middle of its road."
        )
