"""Which captured frames have floats that a policy may learn from: the validity rule, read off what is on disk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trackmaster.capture.snapshots import MAX_DETERMINANT_ERROR, MAX_SPEED_MPS, META_VERSION
from trackmaster.env.layout import N_POINTS
from trackmaster.gbx import ACTION_KEYS
from trackmaster.units import TICK_MS

DECISION_MS = 50
PREVIOUS_LABELS = 5
"""Labels of earlier decisions that an observation holds."""

_SHAPES = {
    "race_time": 1, "position": 3, "velocity": 3, "angular_velocity": 3, "orientation_flat": 9, "gear_and_wheels": 32,
    "is_freewheeling": 1,
}  # fmt: skip
_ZONE_SHAPES = {"zone_centers_in_car_frame": 3 * N_POINTS, "margin": 1, "current_zone_idx": 1}


@dataclass(frozen=True)
class LabelledRun:
    """What the rule looks at besides the frame itself."""

    times_ms: Sequence[float]
    """Of the snapshots, ascending."""
    snapshots: Sequence[Mapping[str, Any]]
    reach_ms: float
    """How far a snapshot may be from its frame."""
    actions: Sequence[Any] | None
    """Label of every ``step_ms``; None where the writer kept none."""
    step_ms: int
    entry_labels: Mapping[int, Any]
    """Label of the frames themselves, by time."""


def labelled_run(
    entries: Sequence[Mapping[str, Any]],
    actions: Sequence[Any] | None,
    meta: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Any],
) -> LabelledRun:
    """Return the context of a replay's frames.

    Args:
        entries: of the manifest.
        actions: its timeline.
        meta: its snapshots.
        metadata: ``metadata.json``; foreign data may lie one snapshot interval apart.
    """
    snapshots = sorted((one for one in meta if _is_number(one.get("time_ms"))), key=lambda one: float(one["time_ms"]))
    is_ours = bool(snapshots) and all(one.get("meta_version") == META_VERSION for one in snapshots)
    interval = metadata.get("meta_interval_ms", TICK_MS)
    reach_ms = float(interval) if not is_ours and _is_number(interval) else float(TICK_MS)
    step_ms = metadata.get("step_ms")
    return LabelledRun(
        [float(one["time_ms"]) for one in snapshots],
        snapshots,
        max(reach_ms, TICK_MS),
        actions,
        step_ms if isinstance(step_ms, int) and step_ms > 0 else TICK_MS,
        {entry["time_ms"]: entry.get("action_idx") for entry in entries if _is_number(entry.get("time_ms"))},
    )


def why_invalid(time_ms: int, run: LabelledRun) -> str | None:
    """Return what is wrong with a frame, None when its floats can be trusted; the picture is not looked at."""
    position = _nearest(time_ms, run.times_ms)
    if position is None or abs(run.times_ms[position] - time_ms) > run.reach_ms:
        return "no snapshot near it"
    found = run.snapshots[position]
    return (
        _wrong_shape(found)
        or _wrong_motion(found)
        or _wrong_labels(time_ms, run)
        or _jumps(found, run.snapshots[position + 1] if position + 1 < len(run.snapshots) else None)
    )


def _nearest(time_ms: float, times_ms: Sequence[float]) -> int | None:
    if not times_ms:
        return None
    after = int(np.searchsorted(times_ms, time_ms))
    around = [index for index in (after - 1, after) if 0 <= index < len(times_ms)]
    return min(around, key=lambda index: abs(times_ms[index] - time_ms))


def _wrong_shape(found: Mapping[str, Any]) -> str | None:
    for name, count in (_SHAPES | _ZONE_SHAPES).items():
        if name not in found:
            return f"no {name}"
        values = found[name] if count > 1 else [found[name]]
        if not isinstance(values, list) or len(values) != count or not all(_is_number(value) for value in values):
            return f"{name} is not {count} finite number{'' if count == 1 else 's'}"
    return None


def _wrong_motion(found: Mapping[str, Any]) -> str | None:
    rotation = np.array(found["orientation_flat"], dtype=np.float64).reshape(3, 3)
    if abs(np.linalg.det(rotation) - 1.0) >= MAX_DETERMINANT_ERROR:
        return "the attitude is no rotation"
    if math.dist(found["velocity"], (0, 0, 0)) > MAX_SPEED_MPS:
        return f"faster than {MAX_SPEED_MPS:g} m/s"
    return "margin below 0" if found["margin"] < 0 else None


def _wrong_labels(time_ms: int, run: LabelledRun) -> str | None:
    if not _is_label(_label(time_ms, run)):
        return "no label"
    if time_ms >= DECISION_MS * PREVIOUS_LABELS:
        earlier = (time_ms - DECISION_MS * back for back in range(1, PREVIOUS_LABELS + 1))
        if not all(_is_label(_label(time, run)) for time in earlier):
            return "labels before it are missing"
    return None


def _label(time_ms: int, run: LabelledRun) -> Any:
    if run.actions is not None:
        step = time_ms // run.step_ms
        return run.actions[step] if 0 <= step < len(run.actions) else None
    return run.entry_labels.get(time_ms)


def _jumps(here: Mapping[str, Any], there: Mapping[str, Any] | None) -> str | None:
    """Tell whether the car was put elsewhere before the next snapshot."""
    if there is None or _wrong_shape(there) is not None:
        return None
    fastest_mps = max(math.dist(one["velocity"], (0, 0, 0)) for one in (here, there))
    reach_m = fastest_mps * (float(there["time_ms"]) - float(here["time_ms"])) / 1_000
    moved_m = math.dist(here["position"], there["position"])
    return "the car is put elsewhere after it" if moved_m > 2.0 * reach_m + 0.1 else None


def _is_label(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(ACTION_KEYS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
