"""Drives the inputs of real runs from the race start and measures how far the car ends up from the ghost.

Only the start is used, on a plane at the height of the start block's surface: there the state is fully known, nothing
is fitted, and no block geometry can hide an error of the car. A run counts until the ghost leaves that plane.

    python -m trackmaster.sim.validate FOLDER

Source of the spawn heights and of the method: ``car_physics.md`` 2.5 and 9.1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from trackmaster.gbx import Challenge, GbxError, Ghost, InputTimeline, Replay, read
from trackmaster.sim.world import World
from trackmaster.track import Pose, TriangleMesh

SPAWN_HEIGHT_M = {"StadiumRoadMainStartLine": 0.21, "StadiumRoadMainStartFinishLine": 0.225}
"""Height of the car's origin over the surface of the start block at race time 0."""

TIMES_MS = (500, 1000, 1500, 2000, 3000)
PLANE_MATERIALS = frozenset({0, 4, 9, 16})
LEAVES_PLANE_M = 0.004
PLANE_HALF_M = 2048.0
SAMPLE_TICKS = 10


@dataclass(frozen=True)
class StartRun:
    """Errors of one run's start.

    Attributes:
        name: file and driver.
        error_mm: distance to the ghost by race time in ms, only while the ghost is on the plane.
    """

    name: str
    error_mm: dict[int, float]


def drive_start(name: str, challenge: Challenge, ghost: Ghost) -> StartRun | None:
    """Drive the first seconds of a ghost; None if it has no samples or inputs, or starts on an unknown block."""
    samples, events = ghost.samples, ghost.events
    heights = {SPAWN_HEIGHT_M[block.name] for block in challenge.blocks if block.name in SPAWN_HEIGHT_M}
    if samples is None or events is None or len(heights) != 1 or len(samples.time_ms) < 6:
        return None
    start_m = samples.position_m[0].astype(np.float64)
    rotation = np.round(samples.rotation[0].astype(np.float64))
    world = World(_floor(float(start_m[1]) - heights.pop(), Pose(start_m, rotation)), 1)
    steer, gas, brake = InputTimeline.from_events(events, TIMES_MS[-1]).effective()
    errors: dict[int, float] = {}
    for k in range(1, min(len(samples.time_ms), TIMES_MS[-1] // 100 + 1)):
        for tick in range((k - 1) * SAMPLE_TICKS, k * SAMPLE_TICKS):
            # What is set in the callback of tick - 1 acts in this tick; nothing acts in the first.
            inputs = (steer[tick - 1], gas[tick - 1], brake[tick - 1]) if tick else (0.0, 0.0, 0.0)
            world.step(*inputs)
        offset = world.view.position_m[0].astype(np.float64) - samples.position_m[k]
        touched = set(samples.wheel_material[k][samples.wheel_contact[k]].tolist())
        if abs(offset[1]) > LEAVES_PLANE_M or not touched <= PLANE_MATERIALS:
            break
        errors[int(samples.time_ms[k])] = 1000.0 * float(np.linalg.norm(offset))
    return StartRun(name, errors)


def _floor(height_m: float, start: Pose) -> SimpleNamespace:
    """Return a track that is one large level square."""
    h, y = PLANE_HALF_M, height_m
    corners = np.array([[-h, y, -h], [-h, y, h], [h, y, h], [h, y, -h]], np.float32)
    kind = np.full(2, 16, np.uint8)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    mesh = TriangleMesh(corners, triangles, kind, np.zeros_like(kind), np.ones(2, np.bool_))
    return SimpleNamespace(name="plane", mesh=mesh, start=start, triggers=(), laps=1, n_checkpoints=0)


def drive_starts(paths: Iterable[Path]) -> list[StartRun]:
    """Drive the start of every ghost in some files; unreadable files and repeated drives are left out."""
    runs, known = [], set()
    for path in paths:
        try:
            replay = read(path)
        except GbxError:
            continue
        if not isinstance(replay, Replay) or replay.challenge is None or replay.challenge.environment != "Stadium":
            continue
        for ghost in replay.ghosts:
            key = b"" if ghost.samples is None else ghost.samples.position_m[:60].tobytes()
            if key in known:
                continue
            known.add(key)
            run = drive_start(f"{path.name} ({ghost.nickname or ghost.login})", replay.challenge, ghost)
            if run is not None:
                runs.append(run)
    return runs


def error_table(runs: Sequence[StartRun]) -> list[tuple[int, int, float, float]]:
    """Return (race time in ms, runs, median mm, 90 % mm) for the times at which any run is still on the plane."""
    rows = []
    for time_ms in TIMES_MS:
        errors = [run.error_mm[time_ms] for run in runs if time_ms in run.error_mm]
        if errors:
            rows.append((time_ms, len(errors), float(np.median(errors)), float(np.percentile(errors, 90))))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table for all files of a folder; 0 if there was anything to measure."""
    parser = argparse.ArgumentParser(prog="python -m trackmaster.sim.validate", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    runs = drive_starts(sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".gbx"))
    print(f"{len(runs)} starts on a known plane")
    print("time ms   runs   median mm    90 % mm")
    for time_ms, count, median, high in error_table(runs):
        print(f"{time_ms:7d} {count:6d} {median:11.3f} {high:10.3f}")
    return 0 if runs else 1


if __name__ == "__main__":
    sys.exit(main())
