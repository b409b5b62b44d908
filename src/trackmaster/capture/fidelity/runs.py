"""Whole runs from the race start: when they leave the ghost, and when they finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trackmaster.capture.fidelity.drives import F64, SAMPLE_TICKS, Drive, Recording
from trackmaster.capture.fidelity.windows import I64, wall_hits
from trackmaster.sim import World
from trackmaster.track import Track
from trackmaster.units import TICK_MS

AWAY_M: Final = 1.0
TEN_S: Final = 100
RUN_OUT_TICKS: Final = 100
"""How much longer than the ghost a run may take to the finish."""


@dataclass(frozen=True)
class RunResult:
    """One run driven from the start with nothing but its inputs.

    Attributes:
        name: file and driver.
        map_name: of the map.
        is_complete: all drivable blocks of the map have geometry.
        is_no_wall: the ghost's horizontal speed never fell by more than 8 m/s within 0.1 s.
        first_away_ms: race time of the first sample more than 1 m from the ghost; None if there is none.
        within_10_s: it stayed within 1 m for 10 s (or to the finish).
        finish_error_ms: our race time minus the ghost's; None if we did not finish.
    """

    name: str
    map_name: str
    is_complete: bool
    is_no_wall: bool
    first_away_ms: int | None
    within_10_s: bool
    finish_error_ms: int | None


def drive_runs(track: Track, recording: Recording, numbers: list[int], *, device: str = "cpu") -> list[RunResult]:
    """Drive some runs of a recording, all on one track, side by side.

    Args:
        track: their map.
        recording: all drives.
        numbers: which drives.
        device: where to simulate.
    """
    world = World(track, len(numbers), device=device)
    first = recording.first_row[numbers]
    last = recording.end_row[numbers] - 1
    longest = int((last - first).max()) * SAMPLE_TICKS + RUN_OUT_TICKS
    respawns = [set(recording.drives[n].respawn_ms) for n in numbers]
    distance = np.full((len(numbers), int((last - first).max()) + 1), np.nan)
    final_tick = len(recording) * SAMPLE_TICKS - 1
    for tick in range(longest):
        put_back = np.array([tick * TICK_MS in times for times in respawns])
        if put_back.any():
            world.respawn(put_back)
        now = np.minimum(first * SAMPLE_TICKS + tick, final_tick)
        world.step(recording.steer[now], recording.gas[now], recording.brake[now])
        if (tick + 1) % SAMPLE_TICKS == 0:
            _note(world, recording, first, last, (tick + 1) // SAMPLE_TICKS, distance)
    walls = wall_hits(recording)
    times = world.view.race_time_ms.copy()
    return [
        _result(track, recording.drives[n], distance[i], not walls[first[i] : last[i] + 1].any(), int(times[i]))
        for i, n in enumerate(numbers)
    ]


def _note(world: World, recording: Recording, first: I64, last: I64, k: int, distance: F64) -> None:
    rows = first + k
    there = np.flatnonzero(rows <= last)
    if len(there) == 0:
        return
    offset = world.view.position_m[there] - recording.position_m[rows[there]]
    metres = np.linalg.norm(offset, axis=1)
    # NaN stands for "not measured": a car whose physics broke is not that, it is infinitely far away.
    distance[there, k] = np.where(np.isfinite(metres), metres, np.inf)


def _result(track: Track, drive: Drive, distance: F64, is_no_wall: bool, race_time_ms: int) -> RunResult:
    away = np.flatnonzero(distance > AWAY_M)
    first_away = int(away[0]) if len(away) else None
    return RunResult(
        name=drive.name,
        map_name=drive.challenge.name,
        is_complete=track.coverage.is_complete,
        is_no_wall=is_no_wall,
        first_away_ms=None if first_away is None else first_away * SAMPLE_TICKS * TICK_MS,
        within_10_s=first_away is None or first_away > TEN_S,
        finish_error_ms=race_time_ms - drive.race_time_ms if race_time_ms >= 0 else None,
    )
