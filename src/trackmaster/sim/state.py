"""The state of cars as plain arrays: a complete copy (:class:`WorldState`) and a live look (:class:`CarView`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.sim import layout

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class WorldState:
    """Complete state of some cars; restoring it continues bit for bit.

    Attributes:
        floats: float32 (layout.N_FLOATS, n).
        ints: int32 (layout.N_INTS, n).
        bytes: uint8 (layout.N_BYTES, n).
    """

    floats: F32
    ints: I32
    bytes: NDArray[np.uint8]

    @property
    def n_cars(self) -> int:
        """How many cars it holds."""
        return int(self.floats.shape[1])

    def equals(self, other: WorldState) -> bool:
        """Tell whether both states are the same to the last bit."""
        return (
            np.array_equal(self.floats.view(np.int32), other.floats.view(np.int32))
            and np.array_equal(self.ints, other.ints)
            and np.array_equal(self.bytes, other.bytes)
        )

    def take(self, cars: NDArray[np.integer[Any]]) -> WorldState:
        """Return the states of chosen cars, which may repeat (one state for many cars: ``take(np.zeros(n, int))``)."""
        return WorldState(
            np.ascontiguousarray(self.floats[:, cars]),
            np.ascontiguousarray(self.ints[:, cars]),
            np.ascontiguousarray(self.bytes[:, cars]),
        )


@dataclass(frozen=True, eq=False)
class CarView:
    """Named views of the state tables, car axis first; wheels are ordered FL, FR, RR, RL.

    On the CPU these arrays *are* the simulator's memory: they change with every step, cost nothing, and must not be
    written to. On a GPU they are a copy made when the view was asked for.

    Attributes:
        time_ms: int32 (N,) race time of this state, which is the time of the ghost sample that shows it: 0 after a
            reset, then 10 more per tick.
        position_m: (N, 3) car origin, world.
        rotation: (N, 3, 3), columns are the car's axes left, up, forward in the world.
        quaternion_wxyz: (N, 4), car to world.
        velocity_mps: (N, 3) world.
        angular_velocity_radps: (N, 3) world.
        wheel_contact: bool (N, 4), on the ground (a wheel against a wall does not count).
        wheel_sliding: bool (N, 4).
        wheel_material: uint8 (N, 4) game material ids, 0 without contact.
        damper_m: (N, 4) extension of the suspension, 0.2 when unloaded.
        gear: int32 (N,), 0 is reverse.
        rpm: (N,).
        gearbox_state: int32 (N,): 0 steady, 1 shifting (no thrust), 2 launch, 3 launch backwards, 4 burnout.
        is_freewheeling: bool (N,).
        turbo: (N,) boost factor on the thrust, 0 without.
        lateral_contact: bool (N,), a wheel touched something from the side in the last tick.
        body_contact: bool (N,), the hull touched something in the last tick.
        steer: (N,) steering after its slew, + = right.
        local_velocity_mps: (N, 3) velocity along left, up, forward at the last force evaluation.
        cp_count: int32 (N,) passages counted so far: checkpoints, and finish lines of laps and race.
        cp_times_ms: int32 (N, 64) their race times; only the first ``cp_count`` mean something.
        lap: int32 (N,) completed laps.
        finished: bool (N,).
        race_time_ms: int32 (N,), -1 before the finish.
    """

    time_ms: I32
    position_m: F32
    rotation: F32
    quaternion_wxyz: F32
    velocity_mps: F32
    angular_velocity_radps: F32
    wheel_contact: NDArray[np.bool_]
    wheel_sliding: NDArray[np.bool_]
    wheel_material: NDArray[np.uint8]
    damper_m: F32
    gear: I32
    rpm: F32
    gearbox_state: I32
    is_freewheeling: NDArray[np.bool_]
    turbo: F32
    lateral_contact: NDArray[np.bool_]
    body_contact: NDArray[np.bool_]
    steer: F32
    local_velocity_mps: F32
    cp_count: I32
    cp_times_ms: I32
    lap: I32
    finished: NDArray[np.bool_]
    race_time_ms: I32


def view_of(floats: F32, ints: I32, flags: NDArray[np.uint8]) -> CarView:
    """Return named views of state tables (rows, N), without copying."""

    def f(name: str) -> F32:
        return _rows(floats, layout.FLOAT_ROWS[name])

    def i(name: str) -> I32:
        return _rows(ints, layout.INT_ROWS[name])

    def b(name: str) -> NDArray[np.uint8]:
        return _rows(flags, layout.BYTE_ROWS[name])

    n_cars = floats.shape[1]
    rotation = floats[layout.FLOAT_ROWS["rotation"]].reshape(3, 3, n_cars).transpose(2, 0, 1)
    return CarView(
        time_ms=i("time"),
        position_m=f("position"),
        rotation=rotation,
        quaternion_wxyz=f("quaternion"),
        velocity_mps=f("velocity"),
        angular_velocity_radps=f("spin"),
        wheel_contact=b("contact").view(np.bool_),
        wheel_sliding=b("sliding").view(np.bool_),
        wheel_material=b("material"),
        damper_m=f("absorb"),
        gear=i("gear"),
        rpm=f("rpm"),
        gearbox_state=i("engine_mode"),
        is_freewheeling=b("free_wheel").view(np.bool_),
        turbo=f("turbo_factor"),
        lateral_contact=b("side_hit").view(np.bool_),
        body_contact=b("body_hit").view(np.bool_),
        steer=f("steer"),
        local_velocity_mps=f("local_velocity"),
        cp_count=i("cp_count"),
        cp_times_ms=i("cp_times"),
        lap=i("lap"),
        finished=b("finished").view(np.bool_),
        race_time_ms=i("race_time"),
    )


def _rows(table: NDArray[Any], rows: slice) -> NDArray[Any]:
    """Return one row as (N,), several as (N, rows)."""
    part = table[rows]
    return part[0] if len(part) == 1 else part.T
