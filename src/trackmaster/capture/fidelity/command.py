"""``trackmaster fidelity``: real inputs, driven open loop, against what the game recorded."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.fidelity.blocks import BlockDrift, drift_by_block, joined
from trackmaster.capture.fidelity.config import FidelityConfig
from trackmaster.capture.fidelity.drives import Bools, Recording, find_files, read_drives
from trackmaster.capture.fidelity.ground import VOID_M, Ground, is_supported, level_floor, on_platforms
from trackmaster.capture.fidelity.measured import OWN, TWIN, Measured, Table, class_summary, window_counts
from trackmaster.capture.fidelity.report import print_report
from trackmaster.capture.fidelity.roll import measure, measure_both
from trackmaster.capture.fidelity.runs import RunResult, drive_runs
from trackmaster.capture.fidelity.starts import respawn_windows, roll_respawns, roll_starts, start_windows
from trackmaster.capture.fidelity.window_list import WindowLine, as_csv, window_lines
from trackmaster.capture.fidelity.windows import (
    HORIZONS,
    I64,
    LONGEST,
    Marks,
    Windows,
    air_windows,
    mesh_windows,
    plane_windows,
)
from trackmaster.files import atomic_write_text
from trackmaster.progress import progress
from trackmaster.track import Track, TrackError

MAX_LEFT_OUT = 5
"""Unreadable files to name."""


def run_fidelity(config: FidelityConfig) -> int:
    """Measure, print the tables, and write the JSON if asked.

    Raises:
        CaptureError: a path does not exist, or no file holds a run that can be driven.
    """
    drives, left_out = read_drives(find_files(config.paths))
    out: TextIO = sys.stderr if config.json_file == "-" else sys.stdout
    if not drives:
        why = f" {left_out[0]}" if left_out else ""
        raise CaptureError(
            f"No finished Stadium run with inputs in {', '.join(map(str, config.paths))}: give replays that hold their "
            f"map, or folders of them.{why}"
        )
    for sentence in left_out[:MAX_LEFT_OUT]:
        print(f"left out: {sentence}", file=out)
    if len(left_out) > MAX_LEFT_OUT:
        print(f"left out: {len(left_out) - MAX_LEFT_OUT} more files that cannot be read", file=out)
    recording = Recording.of(drives)
    found = measure_all(recording, config)
    print_report(recording, found, out, blocks=config.blocks)
    if config.json_file is not None:
        text = json.dumps(as_json(recording, found), indent=1) + "\n"
        if config.json_file == "-":
            sys.stdout.write(text)
        else:
            atomic_write_text(Path(config.json_file), text)
    if config.windows_file is not None:
        atomic_write_text(config.windows_file, as_csv(found.windows))
    return 0


def measure_all(recording: Recording, config: FidelityConfig) -> Measured:
    """Measure starts and respawns, windows on planes and in the air, windows on meshes, and whole runs."""
    tables = _starts(recording, config)
    listed: list[WindowLine] = []
    runs: list[RunResult] = []
    drifts: list[BlockDrift] = []
    refused: list[str] = []
    if not config.starts_only:
        ground = Ground.of(recording)
        tables += _planes(recording, ground, config)
        for numbers in progress(_by_map(recording), desc="maps"):
            try:
                track = Track.from_challenge(recording.drives[numbers[0]].challenge, allow_unknown=True)
            except TrackError as error:
                refused.append(str(error))
                continue
            supported = np.zeros(len(recording), np.bool_)
            rows = np.flatnonzero(np.isin(recording.drive_of, numbers))
            supported[rows] = is_supported(recording, rows, ground, track)
            table, lines = _on_mesh(track, recording, ground, rows, supported, config)
            tables.append(table)
            listed += lines
            drifts += drift_by_block(track, recording, supported, device=config.device)
            runs += drive_runs(track, recording, numbers, device=config.device)
    return Measured(Table.join(tables), tuple(runs), tuple(joined(drifts)), tuple(refused), tuple(listed))


def _starts(recording: Recording, config: FidelityConfig) -> list[Table]:
    floor = level_floor(0.0)
    starts = start_windows(recording)
    respawns, ticks, heights = respawn_windows(recording)
    return [
        Table.of(recording, starts, roll_starts(floor, recording, starts, device=config.device), "start"),
        Table.of(
            recording, respawns, roll_respawns(floor, recording, respawns, ticks, heights, device=config.device),
            "respawn",
        ),
    ]  # fmt: skip


def _planes(recording: Recording, ground: Ground, config: FidelityConfig) -> list[Table]:
    found = (
        ("flat", plane_windows(recording, ground, config.every), 0.0),
        ("air", air_windows(recording, config.every), VOID_M),
    )
    tables = []
    for name, windows, height_m in found:
        early = windows.take(_is_early(recording, windows, config.max_samples))
        errors = measure(level_floor(height_m), recording, early, device=config.device)
        tables.append(Table.of(recording, early, errors, name))
    return tables


def _is_early(recording: Recording, windows: Windows, max_samples: int) -> Any:
    return windows.row - recording.first_row[recording.drive_of[windows.row]] < max_samples


def _by_map(recording: Recording) -> list[list[int]]:
    """Return the numbers of the drives on each map that needs no TMUnlimiter."""
    groups: dict[str, list[int]] = {}
    for number, drive in enumerate(recording.drives):
        if not drive.challenge.is_unlimiter:
            groups.setdefault(f"{drive.challenge.uid} {len(drive.challenge.blocks)}", []).append(number)
    return list(groups.values())


def _on_mesh(
    track: Track, recording: Recording, ground: Ground, rows: I64, supported: Bools, config: FidelityConfig
) -> tuple[Table, list[WindowLine]]:
    platform = np.zeros(len(recording), np.bool_)
    platform[rows] = on_platforms(recording, rows, ground, track)
    windows = mesh_windows(recording, supported, config.every)
    windows = windows.take(_is_early(recording, windows, config.max_samples))
    tables = []
    if config.own:
        errors, on_own, begins = measure_both(track, recording, windows, device=config.device)
        tables.append(Table.of(recording, begins, on_own, OWN))
    else:
        errors = measure(track, recording, windows, device=config.device)
    marks = Marks.of_rows(recording, platform)
    names = {h: marks.classes(windows, h) for h in HORIZONS}
    unknown = np.full_like(errors.twin_m, np.nan)
    twins = replace(errors, position_m=errors.twin_m, speed_mps=unknown, heading_rad=unknown)
    tables += [Table.of(recording, windows, errors, names), Table.of(recording, windows, twins, TWIN)]
    return Table.join(tables), window_lines(track, recording, windows, errors, names[LONGEST])


def as_json(recording: Recording, found: Measured) -> dict[str, Any]:
    """Return the content of ``--json``: errors by class in metres; then the same apart by kind of map, and the rest."""
    unlimiter = [n for n, drive in enumerate(recording.drives) if drive.challenge.is_unlimiter]
    vanilla = [n for n in range(len(recording.drives)) if n not in set(unlimiter)]
    table = found.table
    return {
        "classes": class_summary(table),
        "vanilla_classes": class_summary(table.of_drives(vanilla)),
        "unlimiter_classes": class_summary(table.of_drives(unlimiter)),
        "windows_at": window_counts(table),
        "runs": [asdict(run) for run in found.runs],
        "blocks": {
            drift.name: {
                "samples": len(drift.drift_mps),
                "median_mps": drift.median_mps,
                "left_up_forward_mps": np.median(drift.drift_mps, axis=0).tolist(),
            }
            for drift in found.drifts
        },
    }
