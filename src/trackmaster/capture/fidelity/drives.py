"""The runs that are measured: what the game recorded, row by row, and the inputs of every tick between the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.ghost import rebuild_gears
from trackmaster.game.recording import inputs_in_force
from trackmaster.gbx import Challenge, GbxError, Ghost, InputTimeline, Replay, read
from trackmaster.units import TICK_MS

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

SAMPLE_TICKS = 10
SAMPLE_S = 0.1
MIN_SAMPLES = 8
SMOOTH_MPS = 1.5
DAMPER_STEP_M = 4.0 / 255.0
"""A ghost stores suspensions rounded down to such steps (race starts with known suspensions show it)."""


@dataclass(frozen=True, eq=False)
class Drive:
    """One finished run and the map inside its replay.

    Attributes:
        name: file and driver.
        challenge: the map.
        ghost: the run; it has samples and inputs.
        race_time_ms: when it finished.
        respawn_ms: race times of the ticks in which the driver was put back.
    """

    name: str
    challenge: Challenge
    ghost: Ghost
    race_time_ms: int
    respawn_ms: tuple[int, ...]


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the .gbx files among paths and inside folders, sorted.

    Raises:
        CaptureError: a path does not exist, or there is no such file.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise CaptureError(f"{path}: there is no such file or folder. Give replays, or folders of them.")
        inside = path.rglob("*") if path.is_dir() else [path]
        files += sorted(p for p in inside if p.is_file() and (p.suffix.lower() == ".gbx" or not path.is_dir()))
    if not files:
        raise CaptureError(f"{', '.join(map(str, paths))}: no .Gbx file in there. Give replays, or folders of them.")
    return files


def read_drives(files: Iterable[Path]) -> tuple[list[Drive], list[str]]:
    """Return every distinct finished Stadium run with inputs, and a sentence for each file that could not be read."""
    drives: list[Drive] = []
    left_out: list[str] = []
    known: set[bytes] = set()
    for path in files:
        try:
            content = read(path)
        except GbxError as error:
            left_out.append(str(error))
            continue
        except OSError as error:
            left_out.append(f"{path.name}: cannot be read ({error.strerror}).")
            continue
        if not isinstance(content, Replay) or content.challenge is None:
            continue
        for ghost in content.ghosts:
            drive = as_drive(path.name, content.challenge, ghost)
            key = b"" if ghost.samples is None else ghost.samples.raw.tobytes()
            if drive is not None and key not in known:
                known.add(key)
                drives.append(drive)
    return drives, left_out


def as_drive(file_name: str, challenge: Challenge, ghost: Ghost) -> Drive | None:
    """Return a ghost as a drive; None when it is unfinished, without inputs, or not driven in the Stadium."""
    samples, events = ghost.samples, ghost.events
    if challenge.environment != "Stadium" or ghost.race_time_ms is None or ghost.race_time_ms <= 0:
        return None
    if samples is None or events is None or len(events) == 0 or len(samples) < MIN_SAMPLES:
        return None
    if samples.period_ms != SAMPLE_TICKS * TICK_MS or int(samples.time_ms[0]) != 0:
        return None
    pressed = events.of("Respawn") & (events.value != 0) & (events.time_ms > 0)
    ticks = -(-events.time_ms[pressed] // TICK_MS) * TICK_MS
    name = f"{file_name} ({ghost.nickname or ghost.login or 'nobody'})"
    return Drive(name, challenge, ghost, ghost.race_time_ms, tuple(int(t) for t in ticks))


@dataclass(frozen=True, eq=False)
class Recording:
    """All drives one after the other: row r is a ghost sample, ticks 10 r to 10 r + 9 lead to the next row.

    Attributes:
        drives: where the rows come from.
        drive_of: (R,) number of the drive.
        first_row: (D,) row of each drive's sample 0.
        end_row: (D,) one past the last row before the finish.
        position_m, rotation, spin_radps: (R, 3), (R, 3, 3), (R, 3) as recorded, world.
        velocity_mps: (R, 3) from the positions around each row where the car just drove on, else as recorded.
        recorded_mps: (R, 3) velocity as recorded.
        contact, sliding, material: (R, 4) per wheel.
        damper_m: (R, 4) middle of the step into which the suspension's length was rounded down.
        rpm, turbo, gear: (R,) engine speed, strength of a boost, gear that explains the engine speed.
        time_ms: (R,) race time.
        segment: (R,) grows by one at every respawn and every new drive: rows of one segment belong together.
        steer, gas, brake: (10 R,) inputs in force in each tick.
    """

    drives: tuple[Drive, ...]
    drive_of: NDArray[np.int64]
    first_row: NDArray[np.int64]
    end_row: NDArray[np.int64]
    position_m: F64
    rotation: F64
    velocity_mps: F64
    recorded_mps: F64
    spin_radps: F64
    contact: Bools
    sliding: Bools
    material: NDArray[np.uint8]
    damper_m: F64
    rpm: F64
    turbo: F64
    gear: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    segment: NDArray[np.int64]
    steer: NDArray[np.float32]
    gas: NDArray[np.float32]
    brake: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.drive_of)

    @classmethod
    def of(cls, drives: Sequence[Drive]) -> Recording:
        """Put drives one after the other."""
        ghosts = [drive.ghost.samples for drive in drives]
        samples = [found for found in ghosts if found is not None]
        sizes = np.array([len(found) for found in samples], np.int64)
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        inputs = [_inputs(drive, int(size)) for drive, size in zip(drives, sizes, strict=True)]
        before_finish = [
            int(np.searchsorted(s.time_ms, d.race_time_ms, "right")) for s, d in zip(samples, drives, strict=True)
        ]

        def joined(name: str) -> NDArray[np.generic]:
            return np.concatenate([getattr(found, name) for found in samples])

        return cls(
            drives=tuple(drives),
            drive_of=np.repeat(np.arange(len(drives)), sizes),
            first_row=first,
            end_row=first + np.array(before_finish, np.int64),
            position_m=joined("position_m").astype(np.float64),
            rotation=joined("rotation").astype(np.float64),
            velocity_mps=_velocities(drives),
            recorded_mps=joined("velocity_mps").astype(np.float64),
            spin_radps=joined("angular_velocity_radps").astype(np.float64),
            contact=joined("wheel_contact").astype(np.bool_),
            sliding=joined("wheel_sliding").astype(np.bool_),
            material=joined("wheel_material").astype(np.uint8),
            damper_m=joined("damper_m").astype(np.float64) + DAMPER_STEP_M / 2,
            rpm=joined("rpm").astype(np.float64),
            turbo=joined("turbo").astype(np.float64),
            gear=np.concatenate(
                [rebuild_gears(s.forward_speed_mps, s.rpm, s.wheel_contact.sum(axis=1) > 0) for s in samples]
            ),
            time_ms=joined("time_ms").astype(np.int64),
            segment=_segments(drives, [s.time_ms for s in samples]),
            steer=np.concatenate([steer for steer, _, _ in inputs]),
            gas=np.concatenate([gas for _, gas, _ in inputs]),
            brake=np.concatenate([brake for _, _, brake in inputs]),
        )

    @cached_property
    def slewed_steer(self) -> NDArray[np.float32]:
        """(R,) the steering after its slew (at most 0.2 per tick) at every row; kept, as every map asks again."""
        steer = np.zeros(len(self), np.float32)
        for first, size in zip(self.first_row, np.bincount(self.drive_of), strict=True):
            held = 0.0
            for row in range(int(first), int(first + size)):
                steer[row] = held
                for wanted in self.steer[SAMPLE_TICKS * row : SAMPLE_TICKS * (row + 1)].tolist():
                    held += min(max(wanted - held, -0.2), 0.2)
        steer.flags.writeable = False
        return steer


def _inputs(drive: Drive, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    events = drive.ghost.events
    assert events is not None
    ticks = size * SAMPLE_TICKS
    return inputs_in_force(InputTimeline.from_events(events, ticks * TICK_MS), ticks)


def _velocities(drives: Sequence[Drive]) -> F64:
    parts = []
    for drive in drives:
        samples = drive.ghost.samples
        assert samples is not None
        parts.append(smoothed_velocity(samples.position_m.astype(np.float64), samples.velocity_mps.astype(np.float64)))
    return np.concatenate(parts)


def smoothed_velocity(position_m: F64, velocity_mps: F64) -> F64:
    """Return velocities (n, 3), replaced by central differences of positions (n, 3) where the car just drove on.

    A ghost stores the direction of its velocity in steps of 0.7 and 1.4 degrees only.
    """
    smooth = (position_m[2:] - position_m[:-2]) / (2 * SAMPLE_S)
    close = np.linalg.norm(smooth - velocity_mps[1:-1], axis=1) < SMOOTH_MPS
    found = velocity_mps.copy()
    found[1:-1][close] = smooth[close]
    return found


def _segments(drives: Sequence[Drive], times: Sequence[NDArray[np.int32]]) -> NDArray[np.int64]:
    parts, offset = [], 0
    for drive, time_ms in zip(drives, times, strict=True):
        # A press in tick t shows from the state after that tick on.
        part = offset + np.searchsorted(np.array(sorted(drive.respawn_ms)), time_ms, side="left")
        parts.append(part)
        offset = int(part[-1]) + 1
    return np.concatenate(parts).astype(np.int64)
