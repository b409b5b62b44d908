"""The state of a car at a ghost sample: what is recorded is taken, the rest is found by driving up to it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.fidelity.drives import DAMPER_STEP_M, F64, SAMPLE_S, SAMPLE_TICKS, Recording
from trackmaster.capture.fidelity.windows import I64, Windows
from trackmaster.capture.interpolate import rotation_of
from trackmaster.sim import World, WorldState, layout
from trackmaster.sim.rotation import quaternion_from_matrix
from trackmaster.track.contacts import HUBS_M

RPM_TRUST: Final = 400.0
SPIN_GAIN: Final = 0.7
LOST_M: Final = 0.2
"""A car this far from the ghost after a tenth of a second has met something else; nothing is learnt from it."""
AIR_DRAG, GROUND_GRAVITY, AIR_GRAVITY = 0.03, 3.0, 2.5


def put(state: WorldState, name: str, values: Any, where: NDArray[np.bool_] | None = None) -> None:
    """Write one quantity of a state: (n,) or (n, k) values, only for some cars if ``where`` is given."""
    if name in layout.FLOAT_ROWS:
        table: NDArray[Any] = state.floats[layout.FLOAT_ROWS[name]]
    elif name in layout.INT_ROWS:
        table = state.ints[layout.INT_ROWS[name]]
    else:
        table = state.bytes[layout.BYTE_ROWS[name]]
    new = np.broadcast_to(np.asarray(values, table.dtype).T, table.shape)
    table[:] = new if where is None else np.where(where[None], new, table)


def get(state: WorldState, name: str) -> NDArray[Any]:
    """Return one float quantity of a state, (n,) or (n, k)."""
    rows = state.floats[layout.FLOAT_ROWS[name]]
    return rows[0] if len(rows) == 1 else rows.T


def fresh_states(world: World, recording: Recording, rows: I64, steer: NDArray[np.float32]) -> WorldState:
    """Return the recorded state at rows, one per car of the world; what is not recorded is as if driving steadily.

    Args:
        world: as many cars as rows; its states are overwritten.
        recording: all drives.
        rows: (W,).
        steer: (R,) slewed steering of all rows.
    """
    world.reset()
    state = world.snapshot()
    touches = recording.contact[rows]
    grounded = touches.any(axis=1)
    put(state, "time", recording.time_ms[rows])
    put(state, "air_tick", recording.time_ms[rows])
    put(state, "gear", recording.gear[rows])
    put(state, "absorb", np.clip(recording.damper_m[rows], 0.0, 0.2))
    put(state, "contact", touches)
    put(state, "material", np.where(touches, recording.material[rows], 0))
    put(state, "normal", (touches[:, :, None] * np.array([0.0, 1.0, 0.0])).reshape(len(rows), 12))
    put(state, "any_contact", grounded)
    put(state, "steer", steer[rows])
    put(state, "gravity", np.where(grounded, GROUND_GRAVITY, AIR_GRAVITY))
    put(state, "drag", np.where(grounded, 0.0, AIR_DRAG))
    set_motion(state, recording.position_m[rows], recording.rotation[rows], recording.velocity_mps[rows],
               recording.spin_radps[rows])  # fmt: skip
    put(state, "rpm", recording.rpm[rows])
    put(state, "sliding", recording.sliding[rows])
    at_rest = recording.time_ms[rows] == 0
    if at_rest.any():
        start = world.snapshot()
        for table, other in zip(tables_of(state), tables_of(start), strict=True):
            table[:, at_rest] = other[:, at_rest]
        put(state, "position", recording.position_m[rows], at_rest)
        put(state, "quaternion", quaternion_from_matrix(recording.rotation[rows]), at_rest)
    return state


def tables_of(state: WorldState) -> tuple[NDArray[Any], ...]:
    """Return the arrays of a state, cars along their second axis."""
    return state.floats, state.ints, state.bytes


def set_motion(state: WorldState, position_m: F64, rotation: F64, velocity_mps: F64, spin_radps: F64) -> None:
    """Write pose and velocities; the memory of the air control follows the spin, as it does while grounded."""
    put(state, "position", position_m)
    put(state, "quaternion", quaternion_from_matrix(rotation))
    put(state, "rotation", rotation.reshape(len(rotation), 9))
    put(state, "velocity", velocity_mps)
    put(state, "spin", spin_radps)
    put(state, "local_velocity", np.einsum("nji,nj->ni", rotation, velocity_mps))
    put(state, "air_spin", np.einsum("nji,nj->ni", rotation, spin_radps)[:, :2])


def warm_states(world: World, recording: Recording, windows: Windows, steer: NDArray[np.float32]) -> WorldState:
    """Drive from up to half a second before each window to its first row, held on the ghost at every row.

    Args:
        world: as many cars as windows.
        recording: all drives.
        windows: where to arrive.
        steer: (R,) slewed steering of all rows.

    Returns:
        One state per window, with the ghost's recorded pose and velocities.
    """
    state = fresh_states(world, recording, windows.row - windows.warm, steer)
    _shift_height(state, windows.height_m)
    for left in range(int(windows.warm.max(initial=0)), 0, -1):
        due = windows.warm >= left
        rows = np.where(due, windows.row - left, windows.row)
        world.restore(state)
        drive_rows(world, recording, rows)
        driven = world.snapshot()
        nudge(driven, recording, rows + 1, windows.height_m)
        for table, other in zip(tables_of(state), tables_of(driven), strict=True):
            table[:, due] = other[:, due]
    return state


def drive_rows(world: World, recording: Recording, rows: I64) -> None:
    """Drive every car through the ten ticks between a row and the next, with the recorded inputs."""
    for tick in range(SAMPLE_TICKS):
        at = rows * SAMPLE_TICKS + tick
        world.step(recording.steer[at], recording.gas[at], recording.brake[at])


def nudge(state: WorldState, recording: Recording, rows: I64, height_m: F64) -> None:
    """Put a driven state back onto the ghost, keeping what only driving can tell (suspension rates, shifts, slip)."""
    velocity, spin = _observed(state, recording, rows, height_m)
    absorb = _still_on_the_ground(state, recording, rows, height_m)
    set_motion(state, recording.position_m[rows], recording.rotation[rows], velocity, spin)
    _shift_height(state, height_m)
    wrong = np.abs(get(state, "rpm") - recording.rpm[rows]) > RPM_TRUST
    put(state, "gear", recording.gear[rows], wrong)
    put(state, "engine_mode", 0, wrong)
    put(state, "shift_timer", 0.0, wrong)
    put(state, "rpm", recording.rpm[rows])
    put(state, "sliding", recording.sliding[rows])
    recorded, half = np.clip(recording.damper_m[rows], 0.0, 0.2), DAMPER_STEP_M / 2
    put(state, "absorb", np.clip(absorb, np.maximum(recorded - half, 0.0), recorded + half))


def _still_on_the_ground(state: WorldState, recording: Recording, rows: I64, height_m: F64) -> F64:
    """Return suspensions (n, 4) with which the wheels stay where they are when the body is put back onto the ghost.

    A wheel lifted off the ground together with the body would be without its spring until it has come down again.
    """
    position = get(state, "position").astype(np.float64)
    position[:, 1] += height_m
    driven = rotation_of(get(state, "quaternion").astype(np.float64))
    hubs = recording.position_m[rows, None] + np.einsum("nij,wj->nwi", recording.rotation[rows], HUBS_M)
    hubs -= position[:, None] + np.einsum("nij,wj->nwi", driven, HUBS_M)
    lifted = np.einsum("nwi,ni->nw", hubs, recording.rotation[rows, :, 1])
    touches = state.bytes[layout.BYTE_ROWS["contact"]].T != 0
    kept: F64 = get(state, "absorb") + np.where(touches, lifted, 0.0)
    return kept


def _observed(state: WorldState, recording: Recording, rows: I64, height_m: F64) -> tuple[F64, F64]:
    """Return velocity and spin (n, 3): the driven ones, corrected by how far the last ten ticks went astray.

    A ghost stores directions in steps of a degree; where it was a tenth of a second later tells far more.
    """
    position = get(state, "position").astype(np.float64)
    position[:, 1] += height_m
    missed = recording.position_m[rows] - position
    quaternion = get(state, "quaternion").astype(np.float64)
    turn = recording.rotation[rows] @ rotation_of(quaternion).transpose(0, 2, 1)
    skew = np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1)
    velocity = get(state, "velocity") + missed / SAMPLE_S
    spin = get(state, "spin") + SPIN_GAIN * skew / 2 / SAMPLE_S
    lost = np.linalg.norm(missed, axis=1) > LOST_M
    return (
        np.where(lost[:, None], recording.velocity_mps[rows], velocity),
        np.where(lost[:, None], recording.spin_radps[rows], spin),
    )


def _shift_height(state: WorldState, height_m: F64) -> None:
    state.floats[layout.FLOAT_ROWS["position"]][1] -= height_m.astype(np.float32)
