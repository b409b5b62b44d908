"""``trackmaster fidelity``: real inputs, driven open loop, against what the game recorded."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.fidelity.config import FidelityConfig
from trackmaster.capture.fidelity.drives import Recording, find_files, read_drives
from trackmaster.capture.fidelity.ground import VOID_M, Ground, is_supported, level_floor, on_platforms
from trackmaster.capture.fidelity.measured import Table, class_summary, window_counts
from trackmaster.capture.fidelity.report import print_report
from trackmaster.capture.fidelity.roll import measure
from trackmaster.capture.fidelity.runs import RunResult, drive_runs
from trackmaster.capture.fidelity.starts import respawn_windows, roll_respawns, roll_starts, start_windows
from trackmaster.capture.fidelity.windows import (
    HORIZONS,
    Marks,
    Windows,
    air_windows,
    mesh_windows,
    plane_windows,
)
from trackmaster.files import atomic_write_text
from trackmaster.progress import progress
from trackmaster.track import Track, TrackError


def run_fidelity(config: FidelityConfig) -> int:
    """Measure, print the tables, and write the JSON if asked.

    Raises:
        CaptureError: a path does not exist, or no file holds a run that can be driven.
    """
    drives, left_out = read_drives(find_files(config.paths))
    out: TextIO = sys.stderr if config.json_file == "-" else sys.stdout
    for sentence in left_out:
        print(f"left out: {sentence}", file=out)
    if not drives:
        raise CaptureError(
            f"No finished Stadium run with inputs in {', '.join(map(str, config.paths))}: give replays that hold their "
            "map, or folders of them."
        )
    recording = Recording.of(drives)
    table, runs, refused = measure_all(recording, config)
    print_report(recording, table, runs, refused, out)
    if config.json_file is not None:
        text = json.dumps(as_json(recording, table, runs), indent=1) + "\n"
        if config.json_file == "-":
            sys.stdout.write(text)
        else:
            atomic_write_text(Path(config.json_file), text)
    return 0


def measure_all(recording: Recording, config: FidelityConfig) -> tuple[Table, list[RunResult], list[str]]:
    """Measure starts and respawns, windows on planes and in the air, windows on meshes, and whole runs.

    Returns:
        All windows, the whole runs, and a sentence for each map that has no mesh.
    """
    tables = [*_starts(recording, config)]
    runs: list[RunResult] = []
    refused: list[str] = []
    if not config.starts_only:
        tables += _planes(recording, config)
        for numbers in progress(_by_map(recording), desc="maps"):
            try:
                track = Track.from_challenge(recording.drives[numbers[0]].challenge, allow_unknown=True)
            except TrackError as error:
                refused.append(str(error))
                continue
            tables.append(_on_mesh(track, recording, numbers, config))
            runs += drive_runs(track, recording, numbers, device=config.device)
    return Table.join(tables), runs, refused


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


def _planes(recording: Recording, config: FidelityConfig) -> list[Table]:
    ground = Ground.of(recording)
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


def _on_mesh(track: Track, recording: Recording, numbers: list[int], config: FidelityConfig) -> Table:
    ground = Ground.of(recording)
    rows = np.flatnonzero(np.isin(recording.drive_of, numbers))
    supported = np.zeros(len(recording), np.bool_)
    supported[rows] = is_supported(recording, rows, ground, track)
    platform = np.zeros(len(recording), np.bool_)
    platform[rows] = on_platforms(recording, rows, ground, track)
    windows = mesh_windows(recording, supported, config.every)
    windows = windows.take(_is_early(recording, windows, config.max_samples))
    errors = measure(track, recording, windows, device=config.device)
    marks = Marks.of_rows(recording, platform)
    return Table.of(recording, windows, errors, {h: marks.classes(windows, h) for h in HORIZONS})


def as_json(recording: Recording, table: Table, runs: list[RunResult]) -> dict[str, Any]:
    """Return the content of ``--json``: errors by class in metres; then the same apart by kind of map, and the runs."""
    unlimiter = [n for n, drive in enumerate(recording.drives) if drive.challenge.is_unlimiter]
    vanilla = [n for n in range(len(recording.drives)) if n not in set(unlimiter)]
    return {
        "classes": class_summary(table),
        "vanilla_classes": class_summary(table.of_drives(vanilla)),
        "unlimiter_classes": class_summary(table.of_drives(unlimiter)),
        "windows_at": window_counts(table),
        "runs": [asdict(run) for run in runs],
    }
