"""Ghosts that the simulator drives itself: what is left on them no better law and no better surface can mend.

Each begins where a window of a real run does, as that was fitted, drives on with its inputs, and is stored as coarsely
as the game stores its ghosts. Windows on it are then fitted and driven like any other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trackmaster.capture.fidelity.drives import (
    DAMPER_STEP_M,
    SAMPLE_TICKS,
    Recording,
    smoothed_velocity,
)
from trackmaster.capture.fidelity.state import drive_rows
from trackmaster.capture.fidelity.windows import FIT_SAMPLES, LONGEST, WARM_UP, Windows
from trackmaster.capture.ghost import rebuild_gears
from trackmaster.gbx import GhostSamples, make_samples
from trackmaster.sim import World, WorldState

LEAD: Final = WARM_UP + 1
"""Rows of an own ghost before its window."""
SIZE: Final = LEAD + LONGEST + 1
_SEEN: Final = (
    "position_m", "rotation", "velocity_mps", "angular_velocity_radps", "rpm", "damper_m", "wheel_material",
    "wheel_contact", "wheel_sliding",
)  # fmt: skip


def own_ghosts(world: World, recording: Recording, windows: Windows, state: WorldState) -> tuple[Recording, Windows]:
    """Drive a ghost from the start of every window and return them as runs, with one window on each.

    Args:
        world: as many cars as windows, on their track.
        recording: gives the inputs.
        windows: W of them.
        state: W states to begin with.

    Returns:
        W runs of 57 rows; a window on each that begins 0.6 s after its beginning and lasts 5 s, or 0.6 s less than the
        one of the real run where that is shorter than 5 s; none where it would be shorter than what is fitted.
    """
    n = len(windows)
    # The last 0.6 s may take inputs from behind a respawn: the ghost and the window on it get the same ones.
    source = np.minimum(windows.row[:, None] + np.arange(SIZE), len(recording) - 2)
    world.restore(state)
    seen: list[dict[str, Any]] = [_seen(world)]
    for k in range(SIZE - 1):
        drive_rows(world, recording, source[:, k])
        seen.append(_seen(world))
    columns = {name: np.stack([row[name] for row in seen], axis=1) for name in _SEEN}
    runs = _as_runs(recording, windows, source, columns)
    length = np.where(windows.length < LONGEST, windows.length - LEAD, LONGEST)
    found = Windows(np.arange(n) * SIZE + LEAD, length, np.full(n, WARM_UP), windows.height_m)
    return runs, found.take(length >= FIT_SAMPLES)


def _seen(world: World) -> dict[str, Any]:
    return {name: np.array(getattr(world.view, name)) for name in _SEEN}


def _as_runs(recording: Recording, windows: Windows, source: Any, columns: dict[str, Any]) -> Recording:
    """Return states (W, 57, ...) as runs, rounded as in a ghost."""
    n = len(windows)
    flat = {name: values.reshape(n * SIZE, *values.shape[2:]) for name, values in columns.items()}
    flat["damper_m"] = flat["damper_m"] - DAMPER_STEP_M / 2  # the game rounds down, we to the nearest step
    samples = make_samples(**flat)
    position = samples.position_m.astype(np.float64)
    position[:, 1] += np.repeat(windows.height_m, SIZE)
    parts = [slice(k * SIZE, (k + 1) * SIZE) for k in range(n)]
    rows = source.ravel()
    ticks = (rows[:, None] * SAMPLE_TICKS + np.arange(SAMPLE_TICKS)).ravel()
    number = np.repeat(np.arange(n), SIZE)
    velocity = samples.velocity_mps.astype(np.float64)
    return Recording(
        drives=tuple(recording.drives[recording.drive_of[row]] for row in windows.row),
        drive_of=number,
        first_row=np.arange(n) * SIZE,
        end_row=(np.arange(n) + 1) * SIZE,
        position_m=position,
        rotation=samples.rotation.astype(np.float64),
        velocity_mps=np.concatenate([smoothed_velocity(position[part], velocity[part]) for part in parts]),
        recorded_mps=velocity,
        spin_radps=samples.angular_velocity_radps.astype(np.float64),
        contact=samples.wheel_contact.astype(np.bool_),
        sliding=samples.wheel_sliding.astype(np.bool_),
        material=samples.wheel_material.astype(np.uint8),
        damper_m=samples.damper_m.astype(np.float64) + DAMPER_STEP_M / 2,
        rpm=samples.rpm.astype(np.float64),
        turbo=recording.turbo[rows],
        gear=np.concatenate([_gears(samples, part) for part in parts]),
        time_ms=recording.time_ms[rows],
        segment=number,
        steer=recording.steer[ticks],
        gas=recording.gas[ticks],
        brake=recording.brake[ticks],
    )


def _gears(samples: GhostSamples, part: slice) -> Any:
    touches = samples.wheel_contact[part].sum(axis=1) > 0
    return rebuild_gears(samples.forward_speed_mps[part], samples.rpm[part], touches)
