"""The checks that decide whether a captured replay counts, each with its reason code."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.hud import HudWatch
from trackmaster.capture.plan import frame_name
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.surface import MIN_SHARE, REACH_M, SurfaceMatch
from trackmaster.capture.trajectory import Trajectory
from trackmaster.gbx import InputTimeline
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

VALID_META_SHARE = 0.99
SAME_PICTURE_M = 1.0
"""A picture that stays the same while the car moves this far is not a picture of this car."""


@dataclass(frozen=True)
class Check:
    """One line of ``verify.json``; ``ok`` is None where the check does not apply."""

    ok: bool | None
    value: Any = None
    reason: str = ""
    detail: str = ""
    """What was found and expected, where the value alone does not say it."""


@dataclass
class Verification:
    """All checks of one replay."""

    checks: dict[str, Check] = field(default_factory=dict)
    max_sample_error_m: float | None = None
    finish_ms: int | None = None
    cp_ms: list[int] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """True when no check failed."""
        return all(check.ok is not False for check in self.checks.values())

    @property
    def first_failure(self) -> Check | None:
        """The failed check that is reported, in the order of the table."""
        return next((check for check in self.checks.values() if check.ok is False), None)

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``verify.json`` without the fields that only the run knows."""
        return {
            "ok": self.is_ok,
            "checks": {name: {"ok": check.ok, "value": check.value} for name, check in self.checks.items()},
            "max_sample_error_m": self.max_sample_error_m,
            "finish_ms": self.finish_ms,
            "cp_ms": self.cp_ms,
            "state_offset_ms": STATE_OFFSET_MS,
        }


def check_run(
    source: ReplaySource,
    trajectory: Trajectory,
    *,
    driven: bool,
    tolerance_m: float,
    surface: SurfaceMatch | None = None,
    surface_counts: bool = True,
) -> Verification:
    """Judge a run before anything is drawn (checks 1 to 6 of the contract, and the surface under the wheels).

    Args:
        source: the replay.
        trajectory: the run on the simulator.
        driven: False when the car was placed on the ghost, where the comparisons with the ghost do not apply.
        tolerance_m: largest distance to a ghost sample.
        surface: how the recorded wheels fit the map, None where that does not matter.
        surface_counts: False when it is noted but decides nothing, as parts of the map are left out on purpose.
    """
    found = Verification()
    checks = found.checks
    same_map = not source.replay.map_uid or source.map.challenge.uid == source.replay.map_uid
    checks["identity"] = Check(same_map, source.map.challenge.uid, "map_mismatch")
    checks["inputs"] = Check(len(source.timeline) > 0 and source.race_time_ms > 0, len(source.timeline), "no_inputs")
    checks["respawns"] = Check(None, int(source.timeline.respawn_presses.sum()))
    if driven:
        _check_driven(found, source, trajectory, tolerance_m)
    else:
        checks["finish"] = checks["cp_times"] = checks["samples"] = checks["inputs_acted"] = Check(None)
        found.finish_ms = source.race_time_ms
        found.cp_ms = [time for time in source.ghost.cp_times_ms if time >= 0]
    checks["speed"] = Check(None)
    checks["surface"] = _surface_check(surface, surface_counts)
    return found


def _surface_check(surface: SurfaceMatch | None, counts: bool) -> Check:
    if surface is None:
        return Check(None)
    bare = surface.wheels - surface.supported
    detail = (
        f"{bare} of {surface.wheels} recorded wheels on the ground ({1 - surface.share:.1%}) have no surface of this "
        f"map within {REACH_M:g} m, at most {1 - MIN_SHARE:.0%} may be without. Blocks of the map stand off the grid, "
        "or the run was driven on another version of it: take another replay."
    )
    return Check(surface.is_ok if counts else None, round(surface.share, 4), "surface_mismatch", detail)


def _check_driven(found: Verification, source: ReplaySource, trajectory: Trajectory, tolerance_m: float) -> None:
    found.finish_ms = trajectory.finish_ms
    if trajectory.finish_ms is None:
        found.checks["finish"] = Check(False, None, "not_finished")
    else:
        late_ms = trajectory.finish_ms - source.race_time_ms
        found.checks["finish"] = Check(late_ms == 0, trajectory.finish_ms, f"finish_diff:{late_ms}")
    found.cp_ms = list(trajectory.cp_ms)
    found.checks["cp_times"] = _cp_check(found.cp_ms, [time for time in source.ghost.cp_times_ms if time >= 0])
    errors = trajectory.errors_m
    found.max_sample_error_m = float(errors.max()) if len(errors) else None
    beyond = np.flatnonzero(errors > tolerance_m)
    reason = f"sample_diff:{beyond[0]}:{errors[beyond[0]] * 1_000:.0f}" if len(beyond) else ""
    found.checks["samples"] = Check(
        len(errors) > 0 and not len(beyond), found.max_sample_error_m, reason or "sample_diff"
    )
    found.checks["inputs_acted"] = Check(None)


def _cp_check(driven: list[int], recorded: list[int]) -> Check:
    for number, (ours, theirs) in enumerate(zip(driven, recorded, strict=False)):
        if ours != theirs:
            return Check(False, driven, f"cp_diff:{number}:{ours - theirs}")
    same = len(driven) == len(recorded)
    return Check(same, driven, f"cp_diff:{min(len(driven), len(recorded))}:missing")


class PictureCheck:
    """Looks at each picture as it is drawn: size, contents, HUD, and whether it changes while the car moves."""

    def __init__(self, width: int, height: int) -> None:
        """Expect pictures of this size."""
        self._shape = (height, width)
        self._last: NDArray[np.uint8] | None = None
        self._since_m = [0.0, 0.0, 0.0]
        self._hud = HudWatch(width, height)
        self.problems: list[str] = []

    def look(self, time_ms: int, grey: NDArray[np.uint8], position_m: NDArray[np.floating], *, placed: bool) -> None:
        """Judge the picture of one tick, which is not changed afterwards.

        ``placed`` says that the car was put elsewhere since the last one.
        """
        if grey.shape != self._shape:
            self.problems.append(f"{time_ms} ms: size {grey.shape}")
        elif not (grey != grey[0, 0]).any():
            self.problems.append(f"{time_ms} ms: one single colour")
        else:
            self._hud.look(grey, position_m)
        changed = self._last is None or placed or grey.shape != self._last.shape or bool((grey != self._last).any())
        if changed:
            self._last, self._since_m = grey, position_m.tolist()
        elif math.dist(position_m.tolist(), self._since_m) > SAME_PICTURE_M:
            self.problems.append(f"{time_ms} ms: the picture stands still while the car moves")

    def result(self) -> Check:
        """Return the check; its value is the first problem."""
        problems = [*self.problems, *(["the game shows its HUD in them"] if self._hud.is_shown else [])]
        return Check(not problems, problems[0] if problems else None, "image")


def check_frames(
    found: Verification,
    folder: Path,
    *,
    planned: NDArray[np.integer],
    keep: NDArray[np.bool_],
    pictures: Check,
    valid: NDArray[np.bool_] | None,
) -> None:
    """Judge the pictures in a folder (checks 7, 10, 11 and 12).

    Args:
        found: gets the checks.
        folder: where the pictures were written.
        planned: (n,) race times in ms that were due.
        keep: (n,) False for frames left out on purpose because their floats are not valid.
        pictures: what looking at them gave.
        valid: per saved frame, whether its floats are valid; None without a reference line.
    """
    expected = {frame_name(step, time_ms) for step, time_ms in enumerate(planned[keep].tolist())}
    there = {path.name for path in folder.glob("*.jpeg") if path.stat().st_size > 0}
    odd, gone = sorted(there - expected), sorted(expected - there)
    found.checks["frames"] = Check(
        not odd, len(there), "frame_tick", f"{odd[0] if odd else ''} belongs to no tick at which a frame was due."
    )
    found.checks["images"] = pictures
    found.checks["count"] = Check(
        not gone,
        len(there),
        "count",
        f"{len(gone)} of {len(expected)} frames are missing, {gone[0] if gone else ''} first.",
    )
    if valid is None:
        found.checks["meta"] = Check(None)
    else:
        share = float(valid.mean()) if len(valid) else 0.0
        found.checks["meta"] = Check(share >= VALID_META_SHARE, share, "meta")


def check_ticks(found: Verification, path: Path, timeline: InputTimeline, race_time_ms: int) -> None:
    """Judge the inputs that were written (check 8): they cover the race and equal the replay's own.

    Args:
        found: gets the check.
        path: ``ticks.npz``.
        timeline: inputs of the replay.
        race_time_ms: of the replay.
    """
    ours: dict[str, NDArray[np.generic]] = {
        "keys": timeline.keys_u8,
        "steer": timeline.steer_i32,
        "gas": timeline.gas_i32,
    }
    with np.load(path) as written:
        covers = np.array_equal(written["t_ms"], np.arange(0, race_time_ms + 1, TICK_MS))
        wrong = [name for name, values in ours.items() if not np.array_equal(written[name], values)]
        ticks = len(written["t_ms"])
    said = f"{wrong[0]} of ticks.npz differs from the replay" if wrong else f"{ticks} ticks do not cover the race"
    found.checks["ticks"] = Check(covers and not wrong, ticks, "ticks", f"{said} of {race_time_ms} ms.")
