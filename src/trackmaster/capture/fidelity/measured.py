"""Measured windows as one flat table, and medians and 90 % values of any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.fidelity.blocks import BlockDrift
from trackmaster.capture.fidelity.drives import F64, Recording
from trackmaster.capture.fidelity.roll import Errors
from trackmaster.capture.fidelity.runs import RunResult
from trackmaster.capture.fidelity.window_list import WindowLine
from trackmaster.capture.fidelity.windows import HORIZONS, MESH_CLASSES, Windows, horizon_s

PLANE_CLASSES: Final = ("start", "respawn", "flat", "air")
"""Measured on a plane (or above nothing) instead of on a mesh, so that no block geometry plays a part."""
ALL: Final = "all"
"""All windows on supported blocks together."""
TWIN: Final = "twin"
"""Not the ghost, but a simulated car that begins a rounding error aside, in the same windows as ``all``."""
OWN: Final = "own"
"""Not ghosts of the game, but such as the simulator drives itself in those windows, stored as coarsely: where law and
surfaces are exact, this is what the measurement itself leaves."""
CLASSES: Final = (*PLANE_CLASSES, ALL, TWIN, OWN, *MESH_CLASSES)


@dataclass(frozen=True, eq=False)
class Table:
    """One row per window and horizon.

    Attributes:
        name: (n,) class.
        horizon: (n,) samples after the first one.
        drive: (n,) number of the drive.
        position_m, speed_mps, heading_rad: (n,) errors at the horizon.
    """

    name: NDArray[np.str_]
    horizon: NDArray[np.int64]
    drive: NDArray[np.int64]
    position_m: F64
    speed_mps: F64
    heading_rad: F64

    @classmethod
    def of(
        cls, recording: Recording, windows: Windows, errors: Errors, names: dict[int, NDArray[np.str_]] | str
    ) -> Table:
        """Return the table of some windows.

        Args:
            recording: all drives.
            windows: W of them.
            errors: of these.
            names: class of all, or (W,) classes by horizon.
        """
        parts = []
        for horizon in HORIZONS:
            keep = windows.length >= horizon
            named = np.full(len(windows), names) if isinstance(names, str) else names[horizon]
            parts.append(
                cls(
                    named[keep].astype("<U8"),
                    np.full(int(keep.sum()), horizon),
                    recording.drive_of[windows.row[keep]],
                    errors.position_m[keep, horizon],
                    errors.speed_mps[keep, horizon],
                    errors.heading_rad[keep, horizon],
                )
            )
        return cls.join(parts)

    @classmethod
    def join(cls, parts: Sequence[Table]) -> Table:
        """Return the rows of several tables."""
        fields = ("name", "horizon", "drive", "position_m", "speed_mps", "heading_rad")
        return cls(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))

    def of_drives(self, drives: Sequence[int]) -> Table:
        """Return the rows of some drives."""
        keep = np.isin(self.drive, np.array(drives, np.int64))
        return Table(self.name[keep], self.horizon[keep], self.drive[keep], self.position_m[keep],
                     self.speed_mps[keep], self.heading_rad[keep])  # fmt: skip

    def rows(self, name: str, horizon: int) -> NDArray[np.intp]:
        """Return the row numbers of a class (or of all classes on meshes) at a horizon."""
        named = np.isin(self.name, MESH_CLASSES) if name == ALL else self.name == name
        return np.flatnonzero(named & (self.horizon == horizon))


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that was measured.

    Attributes:
        table: all windows.
        runs: whole runs from the start.
        drifts: by block, worst first.
        refused: a sentence for each map that has no mesh.
        windows: all windows on meshes, one by one.
    """

    table: Table
    runs: tuple[RunResult, ...]
    drifts: tuple[BlockDrift, ...]
    refused: tuple[str, ...]
    windows: tuple[WindowLine, ...]


@dataclass(frozen=True)
class Spread:
    """Median and 90 % value of a number of errors."""

    count: int
    median: float
    p90: float

    @classmethod
    def of(cls, values: F64) -> Spread | None:
        """Return the spread, None without values."""
        if len(values) == 0:
            return None
        return cls(len(values), float(np.median(values)), float(np.percentile(values, 90)))


def class_summary(table: Table) -> dict[str, dict[str, Any]]:
    """Return for each class with windows the count at the shortest horizon, and median and 90 % in metres."""
    summary: dict[str, dict[str, Any]] = {}
    for name in CLASSES:
        spreads = {h: Spread.of(table.position_m[table.rows(name, h)]) for h in HORIZONS}
        if not any(spreads.values()):
            continue
        shortest = spreads[HORIZONS[0]]
        summary[name] = {
            "windows": shortest.count if shortest else 0,
            "median_m": {horizon_s(h): found.median if found else None for h, found in spreads.items()},
            "p90_m": {horizon_s(h): found.p90 if found else None for h, found in spreads.items()},
        }
    return summary


def window_counts(table: Table) -> dict[str, dict[str, int]]:
    """Return how many windows of each class reach each horizon."""
    counts = {name: {horizon_s(h): len(table.rows(name, h)) for h in HORIZONS} for name in CLASSES}
    return {name: found for name, found in counts.items() if any(found.values())}
