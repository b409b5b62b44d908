"""What is known about the car in every captured frame, as arrays: speed, steering, surface, pose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.manifest import FrameEntry, Manifest, read_manifest
from trackmaster.data.names import MANIFEST_NAME, parse_frame_name
from trackmaster.data.tree import ReplayFolder
from trackmaster.env import layout
from trackmaster.env.actions import STEER_TABLE

STEER_NAMES = ("left", "straight", "right")
SURFACE_NAMES = ("asphalt", "grass", "dirt", "turbo", "other", "air")
"""Groups of materials as the agent's floats tell them apart; ``air`` is no wheel on anything."""

UNKNOWN = -1
_OTHER, _AIR = SURFACE_NAMES.index("other"), SURFACE_NAMES.index("air")
_FIRST = layout.GEAR_AND_WHEELS.start
_CONTACT = slice(layout.WHEEL_CONTACT.start - _FIRST, layout.WHEEL_CONTACT.stop - _FIRST)
_MATERIAL = slice(layout.WHEEL_MATERIAL.start - _FIRST, layout.WHEEL_MATERIAL.stop - _FIRST)
_N_WHEEL_FLOATS = layout.GEAR_AND_WHEELS.stop - _FIRST


@dataclass(frozen=True)
class FrameLabels:
    """Labels of the n frames of a replay; NaN or ``UNKNOWN`` where the manifest does not say."""

    speed_mps: NDArray[np.float64]
    """(n,) length of the velocity."""
    steer: NDArray[np.int64]
    """(n,) into ``STEER_NAMES``: the keys held in the tick of the frame."""
    surface: NDArray[np.int64]
    """(n,) into ``SURFACE_NAMES``: what most of the touching wheels stand on."""
    position_m: NDArray[np.float64]
    """(n, 3)."""
    rotation: NDArray[np.float64]
    """(n, 3, 3) car to world."""


def read_frame_labels(replay: ReplayFolder) -> FrameLabels:
    """Read the labels of all frames of a replay; a replay without a manifest has none.

    Speed, surface and pose come from the float snapshot of the frame's own tick, steering from its entry.

    Raises:
        DataError: the manifest is there and cannot be read.
    """
    n = len(replay)
    labels = FrameLabels(
        np.full(n, np.nan),
        np.full(n, UNKNOWN),
        np.full(n, UNKNOWN),
        np.full((n, 3), np.nan),
        np.full((n, 3, 3), np.nan),
    )
    if not (replay.path / MANIFEST_NAME).is_file():
        return labels
    manifest = read_manifest(replay.path)
    entries, snapshots = entries_by_step(manifest), {int(one["time_ms"]): one for one in manifest.meta}
    for row, (step, time_ms) in enumerate(zip(replay.steps.tolist(), replay.times_ms.tolist(), strict=True)):
        labels.steer[row] = _steer(entries.get(step))
        snapshot = snapshots.get(time_ms, {})
        labels.speed_mps[row] = np.linalg.norm(snapshot_numbers(snapshot, "velocity", 3))
        labels.surface[row] = _surface(snapshot_numbers(snapshot, "gear_and_wheels", _N_WHEEL_FLOATS))
        labels.position_m[row] = snapshot_numbers(snapshot, "position", 3)
        labels.rotation[row] = snapshot_numbers(snapshot, "orientation_flat", 9).reshape(3, 3).T
    return labels


def entries_by_step(manifest: Manifest) -> dict[int, FrameEntry]:
    """Entries by the number in the name of their picture, which is the truth about a frame."""
    named = ((parse_frame_name(entry.file), entry) for entry in manifest.entries)
    return {name.step if name is not None else entry.step: entry for name, entry in named}


def _steer(entry: FrameEntry | None) -> int:
    if entry is None:
        return UNKNOWN
    if entry.inputs is not None:
        return 1 + int(entry.inputs["right"]) - int(entry.inputs["left"])
    if entry.action_idx is not None and 0 <= entry.action_idx < len(STEER_TABLE):
        return 1 + int(STEER_TABLE[entry.action_idx])
    return UNKNOWN


def _surface(wheels: NDArray[np.float64]) -> int:
    if not np.isfinite(wheels).all():
        return UNKNOWN
    touching = wheels[_CONTACT] > 0.5
    if not touching.any():
        return _AIR
    groups = wheels[_MATERIAL].reshape(4, layout.N_MATERIAL_GROUPS)[touching]
    votes = np.where(groups.max(axis=1) > 0.5, groups.argmax(axis=1), _OTHER)
    return int(np.bincount(votes).argmax())


def snapshot_numbers(snapshot: Mapping[str, Any], key: str, count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers of a snapshot, all NaN where it holds anything else."""
    values = snapshot.get(key)
    if isinstance(values, list) and len(values) == count and all(type(v) in (int, float) for v in values):
        return np.array(values, dtype=np.float64)
    return np.full(count, np.nan)
