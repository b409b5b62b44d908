"""A small captured tree out of a large one: few maps, few replays, consecutive frames, all labels."""

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trackmaster.capture.writer import write_json
from trackmaster.data.errors import DataError
from trackmaster.data.json_file import read_json
from trackmaster.data.names import MANIFEST_NAME, METADATA_NAME
from trackmaster.data.split import group_tracks_by_map
from trackmaster.data.tree import ReplayFolder
from trackmaster.files import atomic_dir
from trackmaster.progress import progress


def choose_replays(replays: Sequence[ReplayFolder], n_maps: int, n_replays: int) -> tuple[ReplayFolder, ...]:
    """Return the first replays of maps that are evenly spread over the data set.

    Args:
        replays: the whole data set.
        n_maps: maps at most.
        n_replays: replays of each map at most.
    """
    groups = group_tracks_by_map(replays)
    name_of = {track: name for name, tracks in groups.items() for track in tracks}
    by_map: dict[str, list[ReplayFolder]] = defaultdict(list)
    for replay in replays:
        by_map[name_of[replay.track_id]].append(replay)
    names = list(by_map)
    count = min(n_maps, len(names))
    chosen = [names[number * len(names) // count] for number in range(count)]
    return tuple(replay for name in chosen for replay in by_map[name][:n_replays])


def middle_frames(n_frames: int, wanted: int) -> range:
    """Return consecutive rows from the middle of a replay: at its start every car stands still."""
    count = min(wanted, n_frames)
    first = (n_frames - count) // 2
    return range(first, first + count)


def write_toy(
    replays: Sequence[ReplayFolder], output_dir: Path, *, frames_per_replay: int, show_progress: bool = True
) -> int:
    """Write a small captured tree and return the number of its frames.

    The folder appears when it is complete. Steps and times of the frames stay what they were.

    Args:
        replays: those to take frames from.
        output_dir: a folder that does not exist yet, or is empty.
        frames_per_replay: consecutive frames of each.
        show_progress: draw a bar on a terminal.

    Raises:
        DataError: ``output_dir`` holds something, or labels cannot be read.
    """
    output_dir = output_dir.resolve()
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise DataError(f"{output_dir}: is there already and not empty. Name a new folder.")
    total = 0
    with atomic_dir(output_dir) as fresh:
        for replay in progress(replays, desc="copying replays", enabled=show_progress):
            rows = middle_frames(len(replay), frames_per_replay)
            _copy_replay(replay, rows, fresh / replay.track_id / replay.name)
            total += len(rows)
    return total


def _copy_replay(replay: ReplayFolder, rows: range, target: Path) -> None:
    target.mkdir(parents=True)
    for row in rows:
        shutil.copy2(replay.frame_path(row), target / replay.files[row])
    if (replay.path / METADATA_NAME).is_file():
        metadata = read_json(replay.path / METADATA_NAME)
        if isinstance(metadata, dict):
            write_json(target / METADATA_NAME, metadata | {"total_frames": len(rows)})
    if (replay.path / MANIFEST_NAME).is_file():
        kept = {replay.files[row] for row in rows}
        span_ms = int(replay.times_ms[rows[0]]), int(replay.times_ms[rows[-1]])
        manifest = _part_of_manifest(read_json(replay.path / MANIFEST_NAME), kept, span_ms)
        (target / MANIFEST_NAME).write_text(json.dumps(manifest), encoding="utf-8")


def _part_of_manifest(manifest: Any, files: set[str], span_ms: tuple[int, int]) -> Any:
    """Return entries and snapshots of the frames that are kept; the timeline of labels stays whole."""
    if isinstance(manifest, list):
        return [entry for entry in manifest if isinstance(entry, Mapping) and entry.get("file") in files]
    if not isinstance(manifest, dict):
        return manifest
    part = dict(manifest)
    if isinstance(part.get("entries"), list):
        part["entries"] = [one for one in part["entries"] if isinstance(one, Mapping) and one.get("file") in files]
    if isinstance(part.get("meta"), list):
        part["meta"] = [one for one in part["meta"] if isinstance(one, Mapping) and _is_within(one, span_ms)]
    return part


def _is_within(snapshot: Mapping[str, Any], span_ms: tuple[int, int]) -> bool:
    time_ms = snapshot.get("time_ms")
    return isinstance(time_ms, int | float) and span_ms[0] <= time_ms <= span_ms[1]
