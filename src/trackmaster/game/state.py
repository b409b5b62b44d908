"""What a game shows of its cars at one callback time, and what a driver hands to it.

All times are callback times T: the state of T is the physics state after the tick that started at T, which is the
ghost's sample of T + 10 (``units.STATE_OFFSET_MS``). Inputs handed over at T act from the tick that starts at T + 10.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError

MAX_CP_TIMES = 64
"""Columns of ``CarStates.cp_times_ms``; a gate beyond it is counted but its time is not kept."""


class GameError(TrackmasterError):
    """A game cannot do what was asked of it, or was asked at the wrong moment."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Controls for the ticks to come: steer -1 left to +1 right, gas and brake 0 to 1."""

    steer: float = 0.0
    gas: float = 0.0
    brake: float = 0.0
    respawn: bool = False
    """Go back to the last gate (or the start) before the first of these ticks."""

    def __post_init__(self) -> None:
        """Refuse values a car does not know, NaN included.

        Raises:
            GameError: steer lies outside -1 to 1, or a pedal outside 0 to 1.
        """
        if not (-1.0 <= self.steer <= 1.0 and 0.0 <= self.gas <= 1.0 and 0.0 <= self.brake <= 1.0):
            raise GameError(
                f"inputs steer {self.steer}, gas {self.gas}, brake {self.brake} cannot be given to a car: "
                "steer goes from -1 (left) to 1 (right), gas and brake from 0 to 1."
            )


NEUTRAL = Inputs()


@dataclass(slots=True)
class CarStates:
    """N cars as one array per quantity; world frame, SI units, wheels in the order FL FR RR RL."""

    time_ms: NDArray[np.int32]
    """(N,) callback time T."""
    position_m: NDArray[np.float32]
    """(N, 3)."""
    rotation: NDArray[np.float32]
    """(N, 3, 3), car to world: columns are the car's X (left), Y (up) and Z (forward) axes."""
    velocity_mps: NDArray[np.float32]
    """(N, 3)."""
    angular_velocity_radps: NDArray[np.float32]
    """(N, 3)."""
    wheel_sliding: NDArray[np.bool_]
    """(N, 4)."""
    wheel_contact: NDArray[np.bool_]
    """(N, 4)."""
    damper_m: NDArray[np.float32]
    """(N, 4)."""
    wheel_material: NDArray[np.int32]
    """(N, 4) the game's material ids."""
    gearbox_state: NDArray[np.int32]
    """(N,) 0 steady, 1 shifting, 2 launching at the start; other values are rare launches and burnouts."""
    gear: NDArray[np.int32]
    """(N,) 0 is reverse."""
    rpm: NDArray[np.float32]
    """(N,)."""
    is_freewheeling: NDArray[np.bool_]
    """(N,)."""
    turbo: NDArray[np.float32]
    """(N,) above 0 while a turbo pad pushes."""
    lateral_contact: NDArray[np.bool_]
    """(N,) something was touched from the side."""
    cp_count: NDArray[np.int32]
    """(N,) gates passed so far, the finish included."""
    cp_times_ms: NDArray[np.int32]
    """(N, 64) their race times; only the first ``cp_count`` mean something."""
    finished: NDArray[np.bool_]
    """(N,)."""
    race_time_ms: NDArray[np.int32]
    """(N,) official race time, -1 before the finish."""

    def __len__(self) -> int:
        """Return the number of cars."""
        return len(self.time_ms)

    def __getitem__(self, index: Any) -> Self:
        """Return the cars that ``index`` (a slice, mask or array of numbers) selects."""
        return type(self)(**{name: getattr(self, name)[index] for name in STATE_FIELDS})

    def copy(self) -> Self:
        """Return a copy that no later tick changes."""
        return type(self)(**{name: getattr(self, name).copy() for name in STATE_FIELDS})

    def car(self, index: int) -> "CarState":
        """Return one car by value."""
        return CarState.from_states(self, index)


STATE_FIELDS = tuple(field.name for field in fields(CarStates))


@dataclass(frozen=True, slots=True)
class CarState:
    """One car at callback time ``time_ms``; fields and units are those of ``CarStates`` without the first axis."""

    time_ms: int
    position_m: NDArray[np.float32]
    rotation: NDArray[np.float32]
    velocity_mps: NDArray[np.float32]
    angular_velocity_radps: NDArray[np.float32]
    wheel_sliding: NDArray[np.bool_]
    wheel_contact: NDArray[np.bool_]
    damper_m: NDArray[np.float32]
    wheel_material: NDArray[np.int32]
    gearbox_state: int
    gear: int
    rpm: float
    is_freewheeling: bool
    turbo: float
    lateral_contact: bool
    cp_count: int
    cp_times_ms: NDArray[np.int32]
    finished: bool
    race_time_ms: int

    @classmethod
    def from_states(cls, states: CarStates, index: int) -> "CarState":
        """Copy car ``index`` out of ``states``."""
        values = {name: getattr(states, name)[index] for name in STATE_FIELDS}
        return cls(**{name: value.copy() if value.ndim else value.item() for name, value in values.items()})

    def as_states(self) -> CarStates:
        """Return the same car as a batch of one."""
        return stack_states([self])


_DTYPES: dict[str, type] = {
    "time_ms": np.int32,
    "wheel_sliding": np.bool_,
    "wheel_contact": np.bool_,
    "wheel_material": np.int32,
    "gearbox_state": np.int32,
    "gear": np.int32,
    "is_freewheeling": np.bool_,
    "lateral_contact": np.bool_,
    "cp_count": np.int32,
    "cp_times_ms": np.int32,
    "finished": np.bool_,
    "race_time_ms": np.int32,
}


def stack_states(cars: "list[CarState]") -> CarStates:
    """Return ``cars`` as one batch, in order (cars of one run at successive times make a trajectory)."""
    return CarStates(
        **{
            name: np.array([getattr(car, name) for car in cars], dtype=_DTYPES.get(name, np.float32))
            for name in STATE_FIELDS
        }
    )


def empty_states(n: int) -> CarStates:
    """Return ``n`` cars at rest at the origin, every array allocated and ready to be filled."""
    shapes = {
        "position_m": (n, 3),
        "rotation": (n, 3, 3),
        "velocity_mps": (n, 3),
        "angular_velocity_radps": (n, 3),
        "wheel_sliding": (n, 4),
        "wheel_contact": (n, 4),
        "damper_m": (n, 4),
        "wheel_material": (n, 4),
        "cp_times_ms": (n, MAX_CP_TIMES),
    }
    states = CarStates(
        **{name: np.zeros(shapes.get(name, (n,)), dtype=_DTYPES.get(name, np.float32)) for name in STATE_FIELDS}
    )
    states.rotation[:] = np.eye(3, dtype=np.float32)
    states.cp_times_ms[:] = -1
    states.race_time_ms[:] = -1
    return states
