"""Reading ``manifest.json`` and ``metadata.json`` of one captured replay, in every shape that writers have used.

Three shapes of the manifest exist: an object with ``entries``, ``actions`` and ``meta``; a bare list of entries with
``state``; the oldest bare list without it. Runs captured while the game validates a replay write a fourth, whose
entries count ``index`` instead of ``step``. All four become the same ``Manifest``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.json_file import read_json, read_number
from trackmaster.data.names import MANIFEST_NAME, METADATA_NAME, parse_frame_name

KEYS = ("accelerate", "brake", "left", "right")


@dataclass(frozen=True)
class FrameEntry:
    """One captured frame with what was known at its tick."""

    file: str
    step: int
    time_ms: int
    inputs: Mapping[str, bool] | None = None
    """Keys held at the tick: accelerate, brake, left, right."""
    action_idx: int | None = None
    """Label of the tick in the table of 12 actions."""
    state: Mapping[str, Any] | None = None
    """Car state as written: position, speeds, rotation, cp_times_ms, current_checkpoint."""
    captured_at_utc: str | None = None


@dataclass(frozen=True)
class Manifest:
    """All labels of one captured replay."""

    entries: tuple[FrameEntry, ...]
    """In order of their step."""
    actions: NDArray[np.uint8] | None = None
    """(n,) label of every ``step_ms`` of race time; a timeline of its own, not one label per entry."""
    meta: tuple[Mapping[str, Any], ...] = ()
    """Snapshots that float observations are rebuilt from, in order of time."""
    schema_version: int = 1


@dataclass(frozen=True)
class ReplayMetadata:
    """What ``metadata.json`` says about one captured replay; fields that older writers left out are None."""

    track_id: str | None = None
    map_uid: str | None = None
    interval_ms: float | None = None
    """Planned time between two frames."""
    step_ms: int = 10
    race_time_ms: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """The whole object as written."""


def read_manifest(source: Path) -> Manifest:
    """Read the manifest of a replay.

    Args:
        source: ``manifest.json`` or the replay folder that holds it.

    Raises:
        DataError: the file is missing, is no JSON, or holds none of the known shapes.
    """
    path = source / MANIFEST_NAME if source.is_dir() else source
    content = read_json(path)
    if isinstance(content, list):
        return Manifest(_entries(content, path))
    if isinstance(content, dict) and isinstance(content.get("entries"), list):
        return Manifest(
            entries=_entries(content["entries"], path),
            actions=_actions(content.get("actions"), path),
            meta=_snapshots(content.get("meta"), path),
            schema_version=int(read_number(content.get("schema_version", 1), "schema_version", path)),
        )
    raise DataError(
        f"{path}: holds {type(content).__name__} without a list of entries; expected a list of frames or an object "
        "with 'entries'. Capture the replay again."
    )


def read_metadata(source: Path) -> ReplayMetadata:
    """Read ``metadata.json`` of a replay folder; a folder without one gives empty metadata.

    Raises:
        DataError: the file exists but is no JSON object, or one of the fields used here has the wrong type.
    """
    path = source / METADATA_NAME if source.is_dir() else source
    if not path.is_file():
        return ReplayMetadata()
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds {type(content).__name__}, expected an object. Capture the replay again.")
    race_time_ms = content.get("race_time_ms")
    return ReplayMetadata(
        track_id=_text(content.get("track_id")),
        map_uid=_text(content.get("map_uid")),
        interval_ms=_interval_ms(content, path),
        step_ms=int(read_number(content.get("step_ms", 10), "step_ms", path)),
        race_time_ms=None if race_time_ms is None else int(read_number(race_time_ms, "race_time_ms", path)),
        values=content,
    )


def _entries(items: list[Any], path: Path) -> tuple[FrameEntry, ...]:
    entries = [_entry(item, position, path) for position, item in enumerate(items)]
    return tuple(sorted(entries, key=lambda entry: (entry.step, entry.time_ms)))


def _entry(item: Any, position: int, path: Path) -> FrameEntry:
    if not isinstance(item, dict) or not isinstance(item.get("file"), str):
        raise DataError(f"{path}: entry {position} is no object with a 'file' name. Capture the replay again.")
    named = parse_frame_name(item["file"])
    step = item.get("step", item.get("index", named.step if named else position))
    time_ms = item.get("time_ms", named.time_ms if named else None)
    inputs = item.get("inputs")
    action_idx = item.get("action_idx")
    return FrameEntry(
        file=item["file"],
        step=int(read_number(step, f"step of entry {position}", path)),
        time_ms=int(read_number(time_ms, f"time_ms of entry {position}", path)),
        inputs={key: bool(inputs.get(key, False)) for key in KEYS} if isinstance(inputs, dict) else None,
        action_idx=None
        if action_idx is None
        else int(read_number(action_idx, f"action_idx of entry {position}", path)),
        state=item["state"] if isinstance(item.get("state"), dict) else None,
        captured_at_utc=_text(item.get("capture_timestamp_utc", item.get("captured_at_utc"))),
    )


def _actions(items: Any, path: Path) -> NDArray[np.uint8] | None:
    if items is None:
        return None
    if not isinstance(items, list) or not all(isinstance(item, int) and 0 <= item < 12 for item in items):
        raise DataError(f"{path}: 'actions' is no list of indices 0 to 11. Capture the replay again.")
    return np.asarray(items, dtype=np.uint8)


def _snapshots(items: Any, path: Path) -> tuple[Mapping[str, Any], ...]:
    if items is None:
        return ()
    if not isinstance(items, list) or not all(isinstance(item, dict) and "time_ms" in item for item in items):
        raise DataError(f"{path}: 'meta' is no list of snapshots with a 'time_ms'. Capture the replay again.")
    return tuple(sorted(items, key=lambda item: read_number(item["time_ms"], "time_ms of a snapshot", path)))


def _interval_ms(content: Mapping[str, Any], path: Path) -> float | None:
    if content.get("capture_interval_ms") is not None:
        interval_ms = read_number(content["capture_interval_ms"], "capture_interval_ms", path)
    elif content.get("fps") is not None:
        fps = read_number(content["fps"], "fps", path)
        interval_ms = 1000.0 / fps if fps > 0 else 0.0
    else:
        return None
    if not 0 < interval_ms <= 1e15:
        raise DataError(f"{path}: a time of {interval_ms} ms between frames makes no sense. Capture the replay again.")
    return interval_ms


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
