"""Windows of recorded runs: where they begin, how long they last, and what the car drove on until each horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.fidelity.drives import SAMPLE_S, Bools, Recording
from trackmaster.capture.fidelity.ground import Ground

I64 = NDArray[np.int64]

HORIZONS: Final = (5, 10, 20, 50)
"""Window lengths in samples: 0.5, 1, 2 and 5 s."""
LONGEST: Final = HORIZONS[-1]
FIT_SAMPLES: Final = 6
WARM_UP: Final = 5
"""Rows before a window over which the simulator finds the inner state that no ghost stores."""
WALL_LOSS_MPS: Final = 8.0
"""A horizontal speed loss beyond this within one row is a wall."""
GRAVITY_MPS2: Final = 25.0
FALL_TOLERANCE_MPS2: Final = 4.0
"""Air drag takes up to 3 m/s2 at 100 m/s, and a body that turns moves the car's origin."""
LEAN: Final = 0.05
"""Forward or left axis this far out of the level: a slope or a bank."""
GRASS, DIRT, RUBBER = 2, 6, 9

MESH_CLASSES: Final = ("wall", "landing", "jump", "dirt", "grass", "slope", "bank", "kerb", "platform", "road")
"""In order of precedence: a window belongs to the first class of which any of its rows has the mark."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Chosen windows.

    Attributes:
        row: (W,) first row.
        length: (W,) samples after the first one that may be compared, up to 50.
        warm: (W,) rows before it in which the state may be prepared, up to 5.
        height_m: (W,) height of the plane under it, subtracted from all heights; 0 on a mesh.
    """

    row: I64
    length: I64
    warm: I64
    height_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, which: NDArray[np.integer] | Bools) -> Windows:
        """Return some of them."""
        return Windows(self.row[which], self.length[which], self.warm[which], self.height_m[which])


def run_lengths(good: Bools, recording: Recording) -> I64:
    """Return (R,) how many rows from this one on, itself included, are good, in one segment and before the finish."""
    rows = np.arange(len(good))
    kept = good & (rows < recording.end_row[recording.drive_of])
    goes_on = kept[1:] & kept[:-1] & _same_segment(recording)
    last = np.minimum.accumulate(np.where(np.append(goes_on, False), len(good), rows)[::-1])[::-1]
    return np.where(kept, last - rows + 1, 0)


def rows_before(good: Bools, recording: Recording) -> I64:
    """Return (R,) how many good rows of the same segment come directly before this one, up to the warm-up."""
    rows = np.arange(len(good))
    follows = np.zeros(len(good), np.bool_)
    follows[1:] = good[:-1] & _same_segment(recording)
    begin = np.maximum.accumulate(np.where(follows, 0, rows))
    return np.minimum(rows - begin, WARM_UP)


def _same_segment(recording: Recording) -> Bools:
    """Return (R - 1,) whether each row and the next belong together."""
    same: Bools = recording.segment[1:] == recording.segment[:-1]
    return same


def plane_windows(recording: Recording, ground: Ground, every: int) -> Windows:
    """Return windows during which all wheels stay on one level plane of asphalt, from half a second before."""
    plane = np.nan_to_num(ground.plane_m, nan=-1.0)
    left, before = np.zeros(len(plane), np.int64), np.zeros(len(plane), np.int64)
    for height in np.unique(plane[plane >= 0]):
        on_it = plane == height
        left = np.where(on_it, run_lengths(on_it, recording), left)
        before = np.where(on_it, rows_before(on_it, recording), before)
    moving = np.linalg.norm(recording.velocity_mps, axis=1) > 1.0
    rows = np.flatnonzero((left > FIT_SAMPLES) & (before >= WARM_UP) & moving & _due(recording, every))
    return Windows(rows, np.minimum(left[rows] - 1, LONGEST), before[rows], plane[rows])


def air_windows(recording: Recording, every: int) -> Windows:
    """Return windows during which no wheel touches anything."""
    flies = in_the_air(recording) & falls_freely(recording)
    left, before = run_lengths(flies, recording), rows_before(flies, recording)
    rows = np.flatnonzero((left > FIT_SAMPLES) & (before >= 1) & _due(recording, every))
    return Windows(rows, np.minimum(left[rows] - 1, LONGEST), before[rows], np.zeros(len(rows)))


def in_the_air(recording: Recording) -> Bools:
    """Return (R,) whether no wheel touches anything."""
    flies: Bools = recording.contact.sum(axis=1) == 0
    return flies


def falls_freely(recording: Recording) -> Bools:
    """Return (R,) whether the car falls as fast as gravity has it: it neither lies on its roof nor swims."""
    height = recording.position_m[:, 1]
    falls = np.ones(len(height), np.bool_)
    pull = np.diff(height, 2) / SAMPLE_S**2
    flies = in_the_air(recording)
    same = (recording.segment[2:] == recording.segment[:-2]) & flies[:-2] & flies[2:]
    falls[1:-1] = ~same | (np.abs(pull + GRAVITY_MPS2) < FALL_TOLERANCE_MPS2)
    return falls


def mesh_windows(recording: Recording, supported: Bools, every: int) -> Windows:
    """Return windows whose wheels stay over known surfaces."""
    left, before = run_lengths(supported, recording), rows_before(supported, recording)
    moving = np.linalg.norm(recording.velocity_mps, axis=1) > 1.0
    flies = in_the_air(recording)
    lands = (run_lengths(flies, recording) < left) | ~flies
    rows = np.flatnonzero((left > FIT_SAMPLES) & (before >= WARM_UP) & moving & lands & _due(recording, every))
    return Windows(rows, np.minimum(left[rows] - 1, LONGEST), before[rows], np.zeros(len(rows)))


def _due(recording: Recording, every: int) -> Bools:
    number = np.arange(len(recording)) - recording.first_row[recording.drive_of]
    due: Bools = number % every == 0
    return due


@dataclass(frozen=True, eq=False)
class Marks:
    """What every row of a recording is, by class name; ``road`` marks all rows."""

    of: dict[str, Bools]

    @classmethod
    def of_rows(cls, recording: Recording, platform: Bools) -> Marks:
        """Mark rows by contacts, materials, attitude and loss of speed.

        Args:
            recording: all drives.
            platform: (R,) the car is over a platform.
        """
        touches = recording.contact
        flies = in_the_air(recording)
        drives = touches.sum(axis=1) >= 3
        flew = np.zeros_like(flies)
        flew[2:] = flies[1:-1] & flies[:-2]
        on = {
            name: (touches & (recording.material == number)).any(axis=1)
            for name, number in (("dirt", DIRT), ("grass", GRASS), ("kerb", RUBBER))
        }
        return cls(
            {
                "wall": wall_hits(recording) & _loses_speed(recording),
                "landing": ~flies & flew,
                "jump": flies,
                "dirt": on["dirt"],
                "grass": on["grass"],
                "slope": drives & (np.abs(recording.rotation[:, 1, 2]) > LEAN),
                "bank": drives & (np.abs(recording.rotation[:, 1, 0]) > LEAN),
                "kerb": on["kerb"],
                "platform": platform,
                "road": np.ones(len(recording), np.bool_),
            }
        )

    def classes(self, windows: Windows, horizon: int) -> NDArray[np.str_]:
        """Return (W,) the class of each window until a horizon (its rows 1 ... horizon, the fit's rows included)."""
        names = np.full(len(windows), "road", dtype="<U8")
        rows = windows.row[:, None] + np.arange(1, max(horizon, FIT_SAMPLES) + 1)[None]
        inside = np.minimum(rows, windows.row[:, None] + windows.length[:, None])
        for name in reversed(MESH_CLASSES):
            names[self.of[name][inside].any(axis=1)] = name
        return names


def _loses_speed(recording: Recording) -> Bools:
    """Return (R,) whether the speed in all directions fell as much: a loop turns the car upwards and is no wall."""
    speed = np.linalg.norm(recording.recorded_mps, axis=1)
    lost = np.zeros(len(speed), np.bool_)
    lost[1:] = speed[:-1] - speed[1:] > WALL_LOSS_MPS
    return lost


def wall_hits(recording: Recording) -> Bools:
    """Return (R,) whether the car lost more than 8 m/s of horizontal speed since the row before."""
    speed = np.linalg.norm(recording.recorded_mps[:, [0, 2]], axis=1)
    same = recording.segment[1:] == recording.segment[:-1]
    hit = np.zeros(len(speed), np.bool_)
    hit[1:] = same & (speed[:-1] - speed[1:] > WALL_LOSS_MPS)
    return hit


def horizon_s(horizon: int) -> str:
    """Return a horizon as the key used in reports: 0.5, 1.0, 2.0, 5.0."""
    return f"{horizon * SAMPLE_S:.1f}"
