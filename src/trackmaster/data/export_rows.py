"""One captured frame as one row of a Parquet table: its picture as it is on disk, and everything known of its tick."""

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trackmaster.data.errors import DataError
from trackmaster.data.images import picture_file
from trackmaster.data.labels import entries_by_step, snapshot_numbers
from trackmaster.data.manifest import KEYS, FrameEntry, Manifest, read_manifest
from trackmaster.data.names import MANIFEST_NAME
from trackmaster.data.tree import ReplayFolder

SCHEMA_VERSION = 1

SCALARS = {
    "track_id": ("string", "track the frame was captured on"),
    "map_uid": ("string", "identity of the map; split by it, two track ids can hold one map"),
    "replay": ("string", "replay within the track"),
    "step": ("int64", "number of the frame within its replay"),
    "time_ms": ("int64", "race time of the frame's tick"),
    "action_idx": ("int8", "label of the tick in the table of 12 actions"),
    **{key: ("bool", f"key held in the tick: {key}") for key in KEYS},
    "margin_m": ("float32", "metres to the finish along the reference line, at most 700"),
    "zone_idx": ("int32", "position on the reference line, in its steps"),
}
"""Columns of single values: Arrow type, meaning. Track, replay, step and time are always there."""

LISTS = {
    "position_m": ("position", 3, "car's origin in the world, y up"),
    "velocity_mps": ("velocity", 3, "in the world"),
    "angular_velocity_radps": ("angular_velocity", 3, "in the world"),
    "orientation_flat": ("orientation_flat", 9, "rows of the rotation from world to car"),
    "gear_and_wheels": ("gear_and_wheels", 32, "floats 21 to 52 of the agent's observation"),
    "zone_centers_m": ("zone_centers_in_car_frame", 120, "40 points of the line ahead in the car's frame"),
}
"""Columns of float32 lists: key in the snapshot, length, meaning. Null where the tick has no snapshot."""

IMAGE_MEANING = "the picture file as captured, bytes and name"


def load_pyarrow(module: str = "pyarrow") -> Any:
    """Import pyarrow, or say how to get it.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"writing Parquet needs the package pyarrow, which cannot be loaded here ({error}). Install it with: "
            "python -m pip install 'trackmaster[export]'"
        ) from None


def arrow_schema() -> Any:
    """Return the schema of the table; it tells the datasets library that ``image`` is a picture."""
    pa = load_pyarrow()
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    scalars = [pa.field(name, pa.type_for_alias(kind)) for name, (kind, _) in SCALARS.items()]
    lists = [pa.field(name, pa.list_(pa.float32(), length)) for name, (_, length, _) in LISTS.items()]
    schema = pa.schema([pa.field("image", image), *scalars, *lists])
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": _features()}})})


def _features() -> dict[str, Any]:
    scalars = {name: {"dtype": kind, "_type": "Value"} for name, (kind, _) in SCALARS.items()}
    lists = {
        name: {"feature": {"dtype": "float32", "_type": "Value"}, "length": length, "_type": "Sequence"}
        for name, (_, length, _) in LISTS.items()
    }
    return {"image": {"_type": "Image"}, **scalars, **lists}


class ReplayRows:
    """The rows of one replay; its manifest is in memory as long as this is."""

    def __init__(self, replay: ReplayFolder, shown_name: str) -> None:
        """Read the labels of a replay; one without a manifest has pictures only.

        Args:
            replay: the captured folder.
            shown_name: what the column ``replay`` says.

        Raises:
            DataError: the manifest is there and cannot be read.
        """
        has_labels = (replay.path / MANIFEST_NAME).is_file()
        manifest = read_manifest(replay.path) if has_labels else Manifest(())
        self._replay = replay
        self._shown_name = shown_name
        self._entries = entries_by_step(manifest)
        self._snapshots = {int(one["time_ms"]): one for one in manifest.meta}

    def table(self, rows: Sequence[int]) -> Any:
        """Return some frames as an Arrow table.

        Raises:
            DataError: a picture is missing or damaged.
        """
        pa = load_pyarrow()
        return pa.Table.from_pylist([self._row(row) for row in rows], schema=arrow_schema())

    def _row(self, row: int) -> dict[str, Any]:
        replay = self._replay
        step, time_ms = int(replay.steps[row]), int(replay.times_ms[row])
        entry, snapshot = self._entries.get(step), self._snapshots.get(time_ms, {})
        return {
            "image": dict(zip(("bytes", "path"), picture_file(replay.frame_path(row)), strict=True)),
            "track_id": plain_name(replay.track_id),
            "map_uid": None if replay.map_uid is None else replay.map_uid.encode("utf-8", "replace").decode(),
            "replay": self._shown_name,
            "step": step,
            "time_ms": time_ms,
            **_inputs(entry),
            "margin_m": _one_number(snapshot, "margin"),
            "zone_idx": _whole_number(snapshot, "current_zone_idx"),
            **{name: _floats(snapshot, key, length) for name, (key, length, _) in LISTS.items()},
        }


def _inputs(entry: FrameEntry | None) -> dict[str, Any]:
    held = entry.inputs if entry is not None and entry.inputs is not None else {}
    action = entry.action_idx if entry is not None else None
    if action is not None and not 0 <= action < 12:
        action = None
    return {"action_idx": action, **{key: held.get(key) for key in KEYS}}


def _one_number(snapshot: Mapping[str, Any], key: str) -> float | int | None:
    value = snapshot.get(key)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**31) < value < 2**31:
        return None
    return value


def _floats(snapshot: Mapping[str, Any], key: str, length: int) -> list[float] | None:
    values = snapshot_numbers(snapshot, key, length)
    return values.tolist() if np.isfinite(values).all() else None


def _whole_number(snapshot: Mapping[str, Any], key: str) -> int | None:
    value = _one_number(snapshot, key)
    return int(value) if value is not None and value == int(value) else None


def plain_name(name: str) -> str:
    """Return a name as text that any file can hold; folders may be called what is no text at all."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
