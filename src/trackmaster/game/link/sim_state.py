"""``SimStateData``: a typed view on the state blob of the game, and cars made from blobs without a loop per field."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.game.link.state_layout import (
    ALL_SECTIONS,
    CHECKPOINT_TIME,
    FIXED,
    FIXED_BYTES,
    MIN_BLOB_BYTES,
    Section,
)
from trackmaster.game.state import MAX_CP_TIMES, CarStates, GameError

MAX_CHECKPOINTS = 65_536
"""More entries than any map has; a longer list means that the bytes are no state."""

MATERIAL_MASK = 0xFFFF
"""The high half of a contact material id holds something else."""

NEEDED_FOR_A_CAR = Section.DYNA | Section.SCENE_MOBIL | Section.WHEELS | Section.PLAYER_INFO

Buffer = bytes | bytearray | memoryview


class SimStateData:
    """One state of the game: fields by name as numpy views, the blob unchanged underneath.

    Reading copies nothing. Writing needs a blob that may be written to (a ``bytearray``, as ``copy`` makes one): fields
    are edited in place and the blob goes back to the game as it is.
    """

    __slots__ = ("_fixed", "_memory", "cp_states", "cp_times")

    def __init__(self, content: Buffer) -> None:
        """Look at a blob.

        Args:
            content: the bytes as the game sent them; kept, not copied.

        Raises:
            GameError: the bytes cannot be a state.
        """
        self._memory = memoryview(content).cast("B")
        size = len(self._memory)
        if size < MIN_BLOB_BYTES:
            raise GameError(
                f"a state of the game has at least {MIN_BLOB_BYTES} bytes, these are {size}: it was cut, or something "
                "else was sent. Connect anew."
            )
        self._fixed: NDArray[Any] = np.frombuffer(self._memory, FIXED, count=1)
        n_states = self._length_at(FIXED_BYTES + 4, "checkpoint states")
        n_times = self._length_at(FIXED_BYTES + 8 + 4 * n_states, "checkpoint times")
        expected = MIN_BLOB_BYTES + 4 * n_states + 8 * n_times
        if size != expected:
            raise GameError(
                f"a state with {n_states} checkpoints and {n_times} times has {expected} bytes, these are {size}: it "
                "was damaged on the way. Connect anew."
            )
        self.cp_states: NDArray[np.int32] = np.frombuffer(self._memory, "<i4", n_states, FIXED_BYTES + 8)
        """(n,) bool4 per physical checkpoint, the finish included."""
        self.cp_times: NDArray[Any] = np.frombuffer(
            self._memory, CHECKPOINT_TIME, n_times, FIXED_BYTES + 12 + 4 * n_states
        )
        """(m,) ``time`` and ``stunts_score`` per required pass; time -1 is not passed."""

    @classmethod
    def blank(cls, n_states: int = 0, n_times: int = 0) -> "SimStateData":
        """Return a writable state full of zeros, all sections marked as filled and nothing passed."""
        content = bytearray(MIN_BLOB_BYTES + 4 * n_states + 8 * n_times)
        content[FIXED_BYTES + 4 : FIXED_BYTES + 8] = n_states.to_bytes(4, "little")
        behind = FIXED_BYTES + 8 + 4 * n_states
        content[behind : behind + 4] = n_times.to_bytes(4, "little")
        state = cls(content)
        state["flags"] = int(ALL_SECTIONS)
        state.cp_times["time"] = -1
        return state

    def __getitem__(self, name: str) -> Any:
        """Return a field of the fixed part: a scalar, or a view where it has a shape or fields of its own."""
        return self._fixed[name][0]

    def __setitem__(self, name: str, value: object) -> None:
        """Write a field of the fixed part into the blob."""
        self._fixed[name][0] = value

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._memory)

    @property
    def fixed(self) -> NDArray[Any]:
        """(1,) of dtype ``FIXED``: the fixed part, a view."""
        return self._fixed

    @property
    def memory(self) -> memoryview:
        """The blob itself."""
        return self._memory

    @property
    def race_time_ms(self) -> int:
        """Race time; negative in the countdown, the official time after the finish."""
        return int(self._fixed["race_time"][0])

    @property
    def cp_times_ms(self) -> tuple[int, ...]:
        """Race times of the gates passed so far, in order."""
        times: list[int] = self.cp_times["time"].tolist()
        return tuple(time for time in times if time >= 0)

    def has(self, sections: Section) -> bool:
        """Tell whether all of ``sections`` are filled."""
        return int(self._fixed["flags"][0]) & sections == sections

    def copy(self) -> "SimStateData":
        """Return a copy that may be written to."""
        return SimStateData(bytearray(self._memory))

    def to_bytes(self) -> bytes:
        """Return the blob as it goes to the game."""
        return bytes(self._memory)

    def without_finish(self) -> "SimStateData":
        """Return a copy in which the last required pass did not happen, so that the game shows no medals.

        Raises:
            GameError: the map asks for no pass at all.
        """
        if not len(self.cp_times):
            raise GameError("this map counts no passes: prevent the finish with the game's own command instead.")
        copy = self.copy()
        copy.cp_times["time"][-1] = -1
        return copy

    def car_states(self) -> CarStates:
        """Return the car as a batch of one."""
        return car_states([self])

    def _length_at(self, offset: int, what: str) -> int:
        if offset + 4 > len(self._memory):
            raise GameError(f"a state ends before the number of its {what}: it was cut on the way. Connect anew.")
        count = int.from_bytes(self._memory[offset : offset + 4], "little")
        if count > MAX_CHECKPOINTS:
            raise GameError(
                f"a state announces {count} {what}, no map has more than {MAX_CHECKPOINTS}: these bytes are no state. "
                "Check that the plugin and this program belong together."
            )
        return count


def _fixed_parts(states: Sequence[SimStateData]) -> NDArray[Any]:
    """Return (n,) of dtype ``FIXED``; as bytes, because joining arrays of 200 fields compares their types each time."""
    raw = np.empty((len(states), FIXED_BYTES), np.uint8)
    for row, state in zip(raw, states, strict=True):
        row[:] = np.frombuffer(state.memory, np.uint8, FIXED_BYTES)
    return raw.view(FIXED)[:, 0]


def car_states(states: Sequence[SimStateData]) -> CarStates:
    """Return cars of many blobs (one run at successive times makes a trajectory) in one go per quantity.

    ``time_ms`` is the race time in the blob, which stands still after the finish.

    Raises:
        GameError: a blob lacks a section that a car needs.
    """
    fixed = _fixed_parts(states)
    missing = (fixed["flags"] & np.uint32(NEEDED_FOR_A_CAR)) != np.uint32(NEEDED_FOR_A_CAR)
    if missing.any():
        flags = int(fixed["flags"][missing][0])
        raise GameError(
            f"a state of the game holds only the sections {flags:#04x}, a car needs {int(NEEDED_FOR_A_CAR):#04x}: "
            "use TMInterface 2.1 or newer."
        )
    body, wheel = fixed["current"], fixed["wheels"]["real_time"]
    factor = fixed["turbo_boost_factor"]
    is_turbo = fixed["sync_state"]["is_turbo"] != 0
    finished = fixed["race_finished"] != 0
    times = _gate_times(states)
    count = fixed["cur_cp_count"].astype(np.int32)
    last = np.array([int(state.cp_times["time"][-1]) if len(state.cp_times) else -1 for state in states], np.int32)
    return CarStates(
        time_ms=fixed["race_time"].astype(np.int32),
        position_m=body["position"].astype(np.float32),
        rotation=body["rotation"].astype(np.float32),
        velocity_mps=body["linear_speed"].astype(np.float32),
        angular_velocity_radps=body["angular_speed"].astype(np.float32),
        wheel_sliding=wheel["is_sliding"] != 0,
        wheel_contact=wheel["has_ground_contact"] != 0,
        damper_m=wheel["damper_absorb"].astype(np.float32),
        wheel_material=(wheel["contact_material_id"] & MATERIAL_MASK).astype(np.int32),
        gearbox_state=fixed["gearbox_state"].astype(np.int32),
        gear=fixed["gear"].astype(np.int32),
        rpm=fixed["actual_rpm"].astype(np.float32),
        is_freewheeling=fixed["is_freewheeling"] != 0,
        turbo=np.where(is_turbo, np.where(factor > 0, factor, 1), 0).astype(np.float32),
        lateral_contact=fixed["has_any_lateral_contact"] != 0,
        cp_count=count,
        cp_times_ms=times,
        finished=finished,
        race_time_ms=np.where(finished, np.where(last >= 0, last, fixed["race_time"]), -1).astype(np.int32),
    )


def _gate_times(states: Sequence[SimStateData]) -> NDArray[np.int32]:
    times = np.full((len(states), MAX_CP_TIMES), -1, np.int32)
    for row, state in zip(times, states, strict=True):
        known = min(len(state.cp_times), MAX_CP_TIMES)
        row[:known] = state.cp_times["time"][:known]
    return times
