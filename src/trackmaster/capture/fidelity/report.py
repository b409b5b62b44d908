"""What ``trackmaster fidelity`` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

import numpy as np

from trackmaster.capture.fidelity.blocks import BlockDrift
from trackmaster.capture.fidelity.drives import F64, Recording
from trackmaster.capture.fidelity.measured import CLASSES, Measured, Spread, Table
from trackmaster.capture.fidelity.runs import RunResult
from trackmaster.capture.fidelity.windows import HORIZONS, horizon_s
from trackmaster.units import format_race_time

TIMES = "".join(f"{horizon_s(h) + ' s':>24}" for h in HORIZONS)


def print_report(recording: Recording, found: Measured, out: TextIO, *, blocks: int = 20) -> None:
    """Print all tables.

    Args:
        recording: what was driven.
        found: what was measured.
        out: where to.
        blocks: how many blocks to list.
    """
    table = found.table
    unlimiter = {n for n, drive in enumerate(recording.drives) if drive.challenge.is_unlimiter}
    vanilla = [n for n in range(len(recording.drives)) if n not in unlimiter]
    print(f"\n{len(recording.drives)} runs; each cell is windows: median / 90 %", file=out)
    for title, part in (
        ("maps without TMUnlimiter", table.of_drives(vanilla)),
        ("TMUnlimiter maps", table.of_drives(sorted(unlimiter))),
    ):
        if len(part.name):
            _print_classes(title, part, out)
    for name, numbers in _maps(recording):
        part = table.of_drives(numbers)
        if len(part.name):
            _print_block(f"position in mm, map {name}", part, lambda t: t.position_m, 1e3, out)
    for sentence in found.refused:
        print(f"no mesh: {sentence}", file=out)
    _print_drifts(found.drifts[:blocks], out)
    _print_runs(found.runs, out)


def _print_drifts(drifts: Sequence[BlockDrift], out: TextIO) -> None:
    if not drifts:
        return
    print("\nblocks that lead astray: velocity in mm/s that 0.1 s on them leaves out (left, up, forward)", file=out)
    for drift in drifts:
        left, up, forward = 1e3 * np.median(drift.drift_mps, axis=0)
        print(
            f"{drift.name:42} {len(drift.drift_mps):5d} samples: median {1e3 * drift.median_mps:6.0f}, "
            f"{left:+6.0f} {up:+6.0f} {forward:+6.0f}",
            file=out,
        )


def _print_classes(title: str, table: Table, out: TextIO) -> None:
    _print_block(f"position in mm, {title}", table, lambda t: t.position_m, 1e3, out)
    _print_block(f"speed in km/h, {title}", table, lambda t: t.speed_mps, 3.6, out)
    _print_block(f"heading in mrad, {title}", table, lambda t: t.heading_rad, 1e3, out)


def _print_block(title: str, table: Table, pick: Callable[[Table], F64], scale: float, out: TextIO) -> None:
    print(f"\n{title}\n{'':10}{TIMES}", file=out)
    for name in CLASSES:
        values = [scale * pick(table)[table.rows(name, h)] for h in HORIZONS]
        if not np.isnan(np.concatenate(values)).all():  # twins have no speed and no heading
            print(f"{name:10}" + "".join(f"{_cell(Spread.of(part)):>24}" for part in values), file=out)


def _cell(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.count}: {_short(spread.median)} / {_short(spread.p90)}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _maps(recording: Recording) -> list[tuple[str, list[int]]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for number, drive in enumerate(recording.drives):
        groups.setdefault((drive.challenge.name, drive.challenge.uid), []).append(number)
    return [(name, numbers) for (name, _), numbers in groups.items()]


def _print_runs(runs: Sequence[RunResult], out: TextIO) -> None:
    if not runs:
        return
    print("\nfrom the race start with nothing but the inputs", file=out)
    for run in runs:
        away = "never" if run.first_away_ms is None else format_race_time(run.first_away_ms)
        late = "not finished" if run.finish_error_ms is None else f"finish {run.finish_error_ms:+d} ms"
        notes = ("" if run.is_complete else ", blocks missing") + ("" if run.is_no_wall else ", hits walls")
        print(f"  more than 1 m away: {away:>9}; {late}{notes}  {run.name}", file=out)
    for title, chosen in (
        ("no-wall runs", [run for run in runs if run.is_no_wall]),
        ("no-wall runs on complete maps", [run for run in runs if run.is_no_wall and run.is_complete]),
    ):
        if chosen:
            stay = np.mean([run.within_10_s for run in chosen])
            whole = np.mean([run.first_away_ms is None for run in chosen])
            print(f"  {len(chosen)} {title}: {stay:.0%} within 1 m for 10 s, {whole:.0%} to the finish", file=out)
