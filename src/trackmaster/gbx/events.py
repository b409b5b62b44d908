"""Control events: what the driver pressed and when, in race time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from trackmaster.units import TICK_MS

FILE_OFFSET_MS = 100_000
"""Race time 0 is stored as this number."""

TMINTERFACE_SHIFT_MS = 65_535
"""Further shift of every event of a run made under TMInterface."""

RUNNING = "_FakeIsRaceRunning"
FINISH = "_FakeFinishLine"
NO_INVERSION = "_FakeDontInverseAxis"

EVENT_DTYPE = np.dtype([("time", "<u4"), ("control", "u1"), ("value", "<u4")])
"""One event as stored: 9 bytes."""

_ANALOG = {"steer", "gas", "steer (analog)", "accelerate (analog)"}


def sign_extend_24(value: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Return the low 24 bits of each value as a signed number."""
    low = (value.astype(np.int64) & 0xFFFFFF).astype(np.int32)
    return np.where(low >= 1 << 23, low - (1 << 24), low).astype(np.int32)


@dataclass(frozen=True, eq=False)
class ControlEvents:
    """The m control events of a run, in file order (ascending time, equal times in press order).

    Attributes:
        time_ms: (m,) int64 race time; the constant 100 000 and the shift of TMInterface runs are already taken off,
            so a key that is held when the countdown ends is an event at 10. Negative before the start.
        control: (m,) uint8 index into ``names``.
        value: (m,) uint32 as stored: non-zero = pressed; steer and gas carry a signed number in the low 24 bits.
        names: control names in file order (``Accelerate``, ``SteerLeft``, ``Steer``, ``_FakeIsRaceRunning`` ...).
        shift_ms: what was taken off on top of 100 000: 0, or 65 535 for a run made under TMInterface.
    """

    time_ms: npt.NDArray[np.int64]
    control: npt.NDArray[np.uint8]
    value: npt.NDArray[np.uint32]
    names: tuple[str, ...]
    shift_ms: int = 0

    @classmethod
    def from_rows(cls, rows: npt.NDArray[np.void], names: tuple[str, ...]) -> "ControlEvents":
        """Build events from stored rows (``EVENT_DTYPE``), removing the time offsets.

        A run made under TMInterface is recognised by its start event, whose time ends in 5.
        """
        time_ms = rows["time"].astype(np.int64) - FILE_OFFSET_MS
        control = rows["control"].copy()
        value = rows["value"].copy()
        shift_ms = 0
        if RUNNING in names:
            starts = time_ms[control == names.index(RUNNING)]
            if bool((starts % 10 == 5).any()):
                shift_ms = TMINTERFACE_SHIFT_MS
        for array in (control, value):
            array.setflags(write=False)
        time_ms -= shift_ms
        time_ms.setflags(write=False)
        return cls(time_ms, control, value, names, shift_ms)

    def to_rows(self) -> npt.NDArray[np.void]:
        """Return the events as stored in a file, time offsets added back.

        Raises:
            ValueError: a time lies outside what the file can hold.
        """
        stored = self.time_ms + FILE_OFFSET_MS + self.shift_ms
        if len(stored) and not 0 <= int(stored.min()) <= int(stored.max()) < 1 << 32:
            raise ValueError("an event time does not fit into a file: race times run from -100 s to about 49 days")
        rows = np.empty(len(stored), EVENT_DTYPE)
        rows["time"], rows["control"], rows["value"] = stored, self.control, self.value
        return rows

    def __len__(self) -> int:
        return len(self.time_ms)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ControlEvents):
            return NotImplemented
        return (
            self.names == other.names
            and self.shift_ms == other.shift_ms
            and np.array_equal(self.time_ms, other.time_ms)
            and np.array_equal(self.control, other.control)
            and np.array_equal(self.value, other.value)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_tminterface(self) -> bool:
        """Whether the run was made under TMInterface."""
        return self.shift_ms != 0

    @property
    def device(self) -> Literal["keyboard", "pad"]:
        """``pad`` if any steer or gas axis event was recorded, else ``keyboard``."""
        used = {self.names[index].lower() for index in np.unique(self.control)}
        return "pad" if used & _ANALOG else "keyboard"

    def of(self, name: str) -> npt.NDArray[np.bool_]:
        """Return a (m,) mask of the events of one control."""
        if name not in self.names:
            return np.zeros(len(self), dtype=bool)
        mask: npt.NDArray[np.bool_] = self.control == self.names.index(name)
        return mask

    def respawn_presses(self, race_time_ms: int | None = None) -> int:
        """Return how often Respawn was pressed after the start and up to ``race_time_ms``."""
        pressed = self._respawns()
        if race_time_ms is not None and race_time_ms >= 0:
            pressed &= self.time_ms <= race_time_ms
        return int(pressed.sum())

    def respawn_presses_ms(self) -> npt.NDArray[np.int64]:
        """Return the ticks (n,) in which Respawn was pressed after the start."""
        ticks: npt.NDArray[np.int64] = self.time_ms[self._respawns()].astype(np.int64) // TICK_MS * TICK_MS
        return ticks

    def _respawns(self) -> npt.NDArray[np.bool_]:
        pressed: npt.NDArray[np.bool_] = self.of("Respawn") & (self.value != 0) & (self.time_ms > 0)
        return pressed
