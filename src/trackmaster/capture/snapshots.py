"""What is written beside the pictures: manifest entries, float snapshots, and which of them are valid.

Numbers are float32 in the simulator and the ghost; they are written in the shortest decimal form that reads back to
the same float32, so that a data set rebuilds exactly the observation that the environment would have given.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.decimals import short_numbers
from trackmaster.capture.plan import frame_name
from trackmaster.capture.trajectory import Trajectory
from trackmaster.env import layout
from trackmaster.env.observation import ShiftClock, gear_and_wheels, parts_from_cars, to_car_frame
from trackmaster.game.state import CarStates
from trackmaster.gbx import ACTION_KEYS
from trackmaster.track import ZoneMap
from trackmaster.units import MPS_TO_KMPH, TICK_MS

MAX_SPEED_MPS = 300.0
MAX_DETERMINANT_ERROR = 1e-3
META_VERSION = 2

BLOCK = 512
"""Entries or snapshots made at a time: as Python objects they take twenty times their size as arrays."""

KEY_NAMES = ("accelerate", "brake", "left", "right")


@dataclass(frozen=True)
class Progress:
    """Where the car was on the reference line, per tick."""

    zones: ZoneMap
    zone_idx: NDArray[np.int32]
    """(n,)."""
    margin_m: NDArray[np.float64]
    """(n,)."""

    def points_m(self, ticks: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the points of the line ahead of some ticks, (m, 40, 3)."""
        return self.zones.ahead(self.zone_idx[ticks], layout.N_POINTS, layout.POINT_STRIDE)


def follow_line(trajectory: Trajectory, zones: ZoneMap) -> Progress:
    """Walk the zones tick by tick, as an environment does decision by decision."""
    positions = trajectory.states.position_m
    zone_idx = zones.follow(positions)
    margin = np.maximum(zones.finish_m - zones.progress_m(zone_idx, positions), 0.0)
    return Progress(zones, zone_idx, np.minimum(layout.MARGIN_CAP_M, margin))


def shift_counts(trajectory: Trajectory) -> NDArray[np.int32]:
    """Return the shift counter (observation index 36) of every tick."""
    states = trajectory.states
    clock = ShiftClock(1)
    counts = np.zeros(len(states), dtype=np.int32)
    for tick in np.flatnonzero(states.gearbox_state):
        if tick and states.gearbox_state[tick - 1] == 0:
            clock.reset(np.ones(1, dtype=bool))
        counts[tick] = clock.update(states.time_ms[tick : tick + 1], states.gearbox_state[tick : tick + 1])[0]
    return counts


def meta_snapshots(
    trajectory: Trajectory, ticks: NDArray[np.integer], progress: Progress | None, race_time_ms: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield one float snapshot per tick number in ``ticks``, in blocks.

    Args:
        trajectory: the run.
        ticks: (m,) rows of the trajectory.
        progress: where the car was on the line; zone fields are left out without it.
        race_time_ms: written as ``race_time`` once reached, the running time before.
    """
    shifts = shift_counts(trajectory)
    for first in range(0, len(ticks), BLOCK):
        yield _snapshots(trajectory, ticks[first : first + BLOCK], progress, race_time_ms, shifts)


def _snapshots(
    trajectory: Trajectory,
    ticks: NDArray[np.integer],
    progress: Progress | None,
    race_time_ms: int,
    shifts: NDArray[np.int32],
) -> list[dict[str, Any]]:
    states = trajectory.states[ticks]
    columns: dict[str, Any] = {
        "time_ms": states.time_ms.tolist(),
        "race_time": np.minimum(states.time_ms, race_time_ms).tolist(),
        "position": short_numbers(states.position_m),
        "velocity": short_numbers(states.velocity_mps),
        "angular_velocity": short_numbers(states.angular_velocity_radps),
        "orientation_flat": short_numbers(states.rotation.transpose(0, 2, 1).reshape(-1, 9)),
        "gear_and_wheels": short_numbers(gear_and_wheels(states, shifts[ticks])),
        "is_freewheeling": states.is_freewheeling.astype(float).tolist(),
    }
    if progress is not None:
        parts = parts_from_cars(
            states, progress.points_m(ticks), progress.margin_m[ticks], np.zeros(len(ticks), dtype=np.int32)
        )
        columns["zone_centers_in_car_frame"] = short_numbers(parts.points_car.reshape(len(ticks), -1))
        columns["margin"] = short_numbers(parts.margin_m)
        columns["current_zone_idx"] = progress.zone_idx[ticks].tolist()
    columns["wheel_material"] = states.wheel_material.tolist()
    columns["nb_ground_contacts"] = states.wheel_contact.astype(int).tolist()
    columns["has_any_lateral_contact"] = states.lateral_contact.tolist()
    columns["cur_cp_count"] = states.cp_count.tolist()
    names = tuple(columns)
    fixed = {"meta_version": META_VERSION, "frame_of_reference": "world"}
    return [dict(zip(names, row, strict=True)) | fixed for row in zip(*columns.values(), strict=True)]


def manifest_entries(
    trajectory: Trajectory, ticks: NDArray[np.integer], labels: NDArray[np.integer], captured_utc: list[str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the manifest entries of the saved frames, numbered from 0, in blocks.

    Args:
        trajectory: the run.
        ticks: (m,) row of each frame.
        labels: (n,) action index of every tick of the run.
        captured_utc: (m,) when each picture was taken.
    """
    for first in range(0, len(ticks), BLOCK):
        chosen = ticks[first : first + BLOCK]
        states = trajectory.states[chosen]
        yield _entries(first, states, trajectory.cp_ms, labels[chosen], captured_utc[first : first + BLOCK])


def _entries(
    first: int, states: CarStates, cp_ms: tuple[int, ...], labels: NDArray[np.integer], captured_utc: list[str]
) -> list[dict[str, Any]]:
    local = to_car_frame(states.rotation, states.velocity_mps)
    columns = zip(
        states.time_ms.tolist(),
        short_numbers(states.position_m),
        short_numbers(states.velocity_mps),
        short_numbers(states.angular_velocity_radps),
        short_numbers(local),
        np.floor(np.abs(local[:, 2]) * MPS_TO_KMPH).astype(int).tolist(),
        short_numbers(states.rotation.reshape(-1, 9)),
        states.cp_count.tolist(),
        labels.tolist(),
        captured_utc,
        strict=True,
    )
    return [
        {
            "file": frame_name(step, time_ms),
            "step": step,
            "time_ms": time_ms,
            "capture_timestamp_utc": utc,
            "inputs": dict(zip(KEY_NAMES, ACTION_KEYS[label], strict=True)),
            "action_idx": label,
            "state": {
                "position": position,
                "speeds": {
                    "linear": linear,
                    "angular": angular,
                    "forward": car_frame[2],
                    "sideways": car_frame[0],
                    "display_kmh": display,
                },
                "rotation": rotation,
                "cp_times_ms": list(cp_ms[:cp_count]),
                "current_checkpoint": cp_count,
            },
        }
        for step, (
            time_ms, position, linear, angular, car_frame, display, rotation, cp_count, label, utc,
        ) in enumerate(columns, first)
    ]  # fmt: skip


def valid_ticks(trajectory: Trajectory, progress: Progress | None) -> NDArray[np.bool_]:
    """Return (n,) True where all floats of a tick can be trusted for training.

    Numbers are finite, the attitude is a rotation, the speed is possible, zone fields are there, and the car drove on
    from here rather than being put elsewhere. Labels cover every tick of the race, so they are always there.
    """
    states = trajectory.states
    finite = np.ones(len(states), dtype=bool)
    for values in (states.position_m, states.velocity_mps, states.angular_velocity_radps, states.damper_m, states.rpm):
        finite &= np.isfinite(values.reshape(len(states), -1)).all(axis=1)
    rotation = states.rotation.astype(np.float64)
    is_rotation = np.abs(np.linalg.det(rotation) - 1.0) < MAX_DETERMINANT_ERROR
    speed = np.linalg.norm(states.velocity_mps, axis=1)
    drives_on = np.ones(len(states), dtype=bool)
    moved = np.linalg.norm(np.diff(states.position_m, axis=0), axis=1)
    reach = np.maximum(speed[:-1], speed[1:]) * TICK_MS / 1_000
    drives_on[:-1] = (moved <= 2.0 * reach + 0.1) & ~trajectory.placed[1:]
    has_zone = np.full(len(states), progress is not None)
    valid: NDArray[np.bool_] = finite & is_rotation & (speed <= MAX_SPEED_MPS) & drives_on & has_zone
    return valid
