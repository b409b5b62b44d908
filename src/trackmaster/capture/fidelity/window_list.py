"""Every window on a mesh by itself: what it drives over, how far it ends from the ghost, where it begins to differ."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.fidelity.drives import Recording
from trackmaster.capture.fidelity.roll import Errors
from trackmaster.capture.fidelity.windows import HORIZONS, Windows
from trackmaster.track import Track
from trackmaster.track.whereabouts import block_names

SEEN_M: Final = 0.02
"""A car this far from the ghost has left it: the suspension of such a car stands differently in the next sample."""


@dataclass(frozen=True)
class WindowLine:
    """One window.

    Attributes:
        drive: file and driver.
        map_name: of the map.
        time_ms: race time of its first sample.
        kind: its class, judged by all of its rows.
        fit: scaled residual of the first 0.6 s; 1 is as good as a ghost can tell.
        error_0_5_m, error_1_m, error_2_m, error_5_m: distance to the ghost; NaN where the window is shorter.
        seen_ms: after how long the car was 2 cm from the ghost, -1 if never.
        seen_on: the block under the ghost there, empty if never.
        differs_ms: after how long other wheels or materials touched than the ghost's, -1 if never.
        differs_on: the block under the ghost there, empty if never.
        blocks: names of the blocks under the ghost, in order.
    """

    drive: str
    map_name: str
    time_ms: int
    kind: str
    fit: float
    error_0_5_m: float
    error_1_m: float
    error_2_m: float
    error_5_m: float
    seen_ms: int
    seen_on: str
    differs_ms: int
    differs_on: str
    blocks: str


def window_lines(
    track: Track, recording: Recording, windows: Windows, errors: Errors, kinds: NDArray[np.str_]
) -> list[WindowLine]:
    """Return a line for each window.

    Args:
        track: the map that all of them are on.
        recording: all drives.
        windows: W of them.
        errors: of these.
        kinds: (W,) class of each.
    """
    if len(windows) == 0:
        return []
    rows = np.arange(int(windows.row.min()), int((windows.row + windows.length).max()) + 1)
    named = block_names(track, recording.position_m[rows])
    lines = []
    for i, (row, length) in enumerate(zip(windows.row.tolist(), windows.length.tolist(), strict=True)):
        here = named[row - rows[0] :][: length + 1]
        drive = recording.drives[recording.drive_of[row]]
        seen = _first(errors.position_m[i, : length + 1] > SEEN_M)
        differs = _first(errors.differs[i, : length + 1])
        half, one, two, five = (float(errors.position_m[i, h]) for h in HORIZONS)
        lines.append(
            WindowLine(
                drive=drive.name,
                map_name=drive.challenge.name,
                time_ms=int(recording.time_ms[row]),
                kind=str(kinds[i]),
                fit=float(errors.fit[i]),
                error_0_5_m=half,
                error_1_m=one,
                error_2_m=two,
                error_5_m=five,
                seen_ms=seen if seen < 0 else 100 * seen,
                seen_on="" if seen < 0 else str(here[seen]),
                differs_ms=differs if differs < 0 else 100 * differs,
                differs_on="" if differs < 0 else str(here[differs]),
                blocks=" ".join(name for name, _ in groupby(here.tolist())),
            )
        )
    return lines


def as_csv(lines: Sequence[WindowLine]) -> str:
    """Return a table with a header; errors with 0.1 mm."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(WindowLine)]
    table.writerow(names)
    for line in lines:
        cells = [getattr(line, name) for name in names]
        table.writerow([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in cells])
    return text.getvalue()


def _first(flags: NDArray[np.bool_]) -> int:
    return int(np.argmax(flags)) if flags.any() else -1
