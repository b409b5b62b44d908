"""Race starts and respawns on a known plane: the state is fully known, nothing is fitted."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, SAMPLE_TICKS, Drive, Recording
from trackmaster.capture.fidelity.roll import Errors
from trackmaster.capture.fidelity.state import drive_rows
from trackmaster.capture.fidelity.windows import I64, LONGEST, Windows
from trackmaster.sim import World
from trackmaster.track.catalogue.measured import ROAD_SURFACE_M
from trackmaster.units import CELL_SIZE_M, TICK_MS

SPAWN_HEIGHT_M = {"StadiumRoadMainStartLine": 0.21, "StadiumRoadMainStartFinishLine": 0.2252}
"""Height of the car's origin over the surface of the start block at race time 0."""

SETTLED: Final = 5
"""Rows after which the car has found its height over the plane."""
ROAD_RESPAWN_M: Final = 0.2252
"""Origin over a road after a respawn; on a platform it is put exactly onto the surface (``car_physics.md`` 2.5)."""
RIDE_M: Final = (0.004, 0.045)
"""Origin over the plane, 24 mm at rest, while a car drives on it."""
PLANE_MATERIALS: Final = (16,)
"""Any other material is another object, which the plane is not."""
SQUARE: Final = 0.05
"""Blocks stand at right angles to the map, and so does a car that was put on one."""


def on_plane_until(recording: Recording, row: int, end: int, plane_m: float) -> int:
    """Return how many rows after ``row`` a ghost stays on a plane, until ``end``; at first it bounces."""
    count = 0
    for k in range(1, min(end - row, LONGEST + 1)):
        at = row + k
        touched = recording.material[at][recording.contact[at]]
        over = recording.position_m[at, 1] - plane_m
        settled = k >= SETTLED
        bounces = (RIDE_M[0] < over < RIDE_M[1]) if settled else -0.05 < over < 0.3
        if not bounces or not np.isin(touched, PLANE_MATERIALS).all() or (settled and not recording.contact[at].any()):
            break
        if np.abs(recording.rotation[at, 1, 1]) < 0.998 or recording.turbo[at] > 0:
            break
        count = k
    return count


def start_windows(recording: Recording) -> Windows:
    """Return race starts, on the plane that lies as far below the start pose as the start block says."""
    rows, lengths, planes = [], [], []
    for number, drive in enumerate(recording.drives):
        names = {SPAWN_HEIGHT_M[b.name] for b in drive.challenge.blocks if b.name in SPAWN_HEIGHT_M}
        if len(names) != 1:
            continue
        row = int(recording.first_row[number])
        plane = float(recording.position_m[row, 1]) - names.pop()
        length = on_plane_until(recording, row, _segment_end(recording, row), plane)
        if length >= SETTLED:
            rows.append(row)
            lengths.append(length)
            planes.append(plane)
    return _windows(rows, lengths, planes)


def _windows(rows: list[int], lengths: list[int], planes_m: list[float]) -> Windows:
    n = len(rows)
    return Windows(np.array(rows, np.int64), np.array(lengths, np.int64), np.zeros(n, np.int64), np.array(planes_m))


def _segment_end(recording: Recording, row: int) -> int:
    end = int(recording.end_row[recording.drive_of[row]])
    same = recording.segment[row:end] == recording.segment[row]
    return row + (len(same) if same.all() else int(np.argmin(same)))


def roll_starts(track: Any, recording: Recording, windows: Windows, *, device: str = "cpu") -> Errors:
    """Drive race starts; the car hangs at the recorded start pose when race time begins."""
    errors = Errors.none(len(windows))
    if len(windows) == 0:
        return errors
    world = World(track, len(windows), device=device)
    position = recording.position_m[windows.row].copy()
    position[:, 1] -= windows.height_m
    world.place(None, position, np.round(recording.rotation[windows.row]))
    return _roll_on(world, recording, windows, errors)


def _roll_on(world: World, recording: Recording, windows: Windows, errors: Errors) -> Errors:
    errors.note(0, world, recording, windows)
    for k in range(int(windows.length.max(initial=0))):
        at = np.minimum(windows.row + k, len(recording) - 2)
        drive_rows(world, recording, at)
        errors.note(k + 1, world, recording, windows)
    return errors


def respawn_windows(recording: Recording) -> tuple[Windows, I64, F64]:
    """Return respawns onto a known plane.

    Returns:
        Windows whose first row is the first sample after the respawn; ticks from the respawn to that row (W,); height
        of the respawn pose over the plane (W,).
    """
    rows, lengths, planes, ticks, heights = [], [], [], [], []
    for number, drive in enumerate(recording.drives):
        for pressed_ms in drive.respawn_ms:
            found = _after_respawn(recording, number, drive, pressed_ms)
            if found is None:
                continue
            row, length, plane, platform = found
            rows.append(row)
            lengths.append(length)
            planes.append(plane)
            ticks.append((int(recording.time_ms[row]) - pressed_ms) // TICK_MS)
            heights.append(0.0 if platform else ROAD_RESPAWN_M)
    return _windows(rows, lengths, planes), np.array(ticks, np.int64), np.array(heights, np.float64)


def _after_respawn(
    recording: Recording, number: int, drive: Drive, pressed_ms: int
) -> tuple[int, int, float, bool] | None:
    row = int(recording.first_row[number]) + pressed_ms // (SAMPLE_TICKS * TICK_MS) + 1
    if row + SETTLED + 1 >= recording.end_row[number]:
        return None
    end = _segment_end(recording, row)
    settled = row + SETTLED
    if end <= settled + 1 or any(pressed_ms < other <= int(recording.time_ms[row]) for other in drive.respawn_ms):
        return None
    floor = CELL_SIZE_M[1]
    height = float(recording.position_m[settled : min(end, settled + 5), 1].min()) - 0.02
    platform, road = round(height / floor) * floor, round((height - ROAD_SURFACE_M) / floor) * floor + ROAD_SURFACE_M
    is_platform = abs(height - platform) < abs(height - road)
    plane = platform if is_platform else road
    length = on_plane_until(recording, row, end, plane)
    if length < SETTLED or not _is_square(recording.rotation[row]):
        return None
    return row, length, plane, is_platform


def _is_square(rotation: F64) -> bool:
    return bool(np.abs(rotation - np.round(rotation)).max() < SQUARE)


def roll_respawns(
    track: Any, recording: Recording, windows: Windows, ticks: I64, heights_m: F64, *, device: str = "cpu"
) -> Errors:
    """Drive respawns; where the car was put in x and z is read off the first sample after it.

    The run is driven twice: once to see how far the car moves until that sample, then from the place that leads there.
    """
    errors = Errors.none(len(windows))
    if len(windows) == 0:
        return errors
    world = World(track, len(windows), device=device)
    place = recording.position_m[windows.row].copy()
    place[:, 1] = heights_m
    rotation = np.round(recording.rotation[windows.row])
    for _ in range(2):
        world.place(None, place, rotation)
        _drive_to_row(world, recording, windows.row, ticks)
        missed = recording.position_m[windows.row] - world.view.position_m
        place[:, [0, 2]] += missed[:, [0, 2]]
    world.place(None, place, rotation)
    _drive_to_row(world, recording, windows.row, ticks)
    return _roll_on(world, recording, windows, errors)


def _drive_to_row(world: World, recording: Recording, rows: I64, ticks: I64) -> None:
    """Drive the last ``ticks`` ticks before each row; cars with fewer of them wait."""
    for left in range(int(ticks.max(initial=0)), 0, -1):
        waits = np.flatnonzero(ticks < left)
        held = world.snapshot(waits) if len(waits) else None
        now = rows * SAMPLE_TICKS - left
        world.step(recording.steer[now], recording.gas[now], recording.brake[now])
        if held is not None:
            world.restore(held, waits)
