"""Inputs on the 10 ms grid: what is held in each callback, what the car obeys, and which of 12 actions that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trackmaster.gbx import limits
from trackmaster.gbx.commands import FULL_AXIS, Command, Control, commands_from_events, events_from_commands
from trackmaster.gbx.errors import TimelineError
from trackmaster.gbx.events import ControlEvents
from trackmaster.units import TICK_MS

ACTION_KEYS: tuple[tuple[bool, bool, bool, bool], ...] = (
    (True, False, False, False),
    (True, False, True, False),
    (True, False, False, True),
    (False, False, False, False),
    (False, False, True, False),
    (False, False, False, True),
    (False, True, False, False),
    (False, True, True, False),
    (False, True, False, True),
    (True, True, False, False),
    (True, True, True, False),
    (True, True, False, True),
)
"""The 12 actions as (accelerate, brake, left, right)."""

ACCELERATE, BRAKE, LEFT, RIGHT, RESPAWN = 1, 2, 4, 8, 16
"""Bits of ``InputTimeline.keys_u8``."""

GAS_THRESHOLD = 19_661
"""Gas axis beyond this counts as full gas, below its negative as full brake; the game knows nothing between."""

LABEL_STEER_THRESHOLD = 21_845
"""Steering axis beyond this (a third) is called left or right in an action label."""

DEAD_ZONE = 655
"""Steering axis up to this (1 %) does not take over from the keys in the same tick."""

_ACTION_OF = np.zeros(16, np.uint8)
for _index, _keys in enumerate(ACTION_KEYS):
    _ACTION_OF[sum(1 << bit for bit, is_held in enumerate(_keys) if is_held)] = _index

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class InputTimeline:
    """What is set in the callback of race time 10 k ms (k = 0 ... n - 1); it acts in the tick that starts 10 ms later.

    Attributes:
        keys_u8: (n,) bits 1 accelerate, 2 brake, 4 left, 8 right, 16 respawn.
        steer_i32: (n,) steering axis, + = right, -65 536 to 65 536.
        gas_i32: (n,) gas axis, + = forward.
        steer_is_axis: (n,) bool, whether the axis (not the arrow keys) steers: the latest change wins.
        gas_is_axis: (n,) bool, the same for gas and brake.
        respawn_presses: (n,) uint8, how many times Respawn goes down in this callback; 255 stands for more, too.
    """

    keys_u8: npt.NDArray[np.uint8]
    steer_i32: npt.NDArray[np.int32]
    gas_i32: npt.NDArray[np.int32]
    steer_is_axis: Bool
    gas_is_axis: Bool
    respawn_presses: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.keys_u8)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InputTimeline):
            return NotImplemented
        return all(np.array_equal(a, b) for a, b in zip(vars(self).values(), vars(other).values(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def from_events(cls, events: ControlEvents, duration_ms: int, *, offset_ms: int = 0) -> "InputTimeline":
        """Build the timeline of a recorded run; n = duration_ms // 10 + 1.

        Args:
            events: of the run.
            duration_ms: race time of the last callback; the race time of a finished run.
            offset_ms: shifts every event, a multiple of 10; for diagnosis only.

        Raises:
            TimelineError: ``duration_ms`` is more than a day.
            ValueError: ``duration_ms`` is negative or ``offset_ms`` no multiple of 10.
        """
        return cls.from_commands(commands_from_events(events, offset_ms=offset_ms), duration_ms)

    @classmethod
    def from_commands(cls, commands: Iterable[Command], duration_ms: int) -> "InputTimeline":
        """Build the timeline of commands in order of time; n = duration_ms // 10 + 1.

        Raises:
            TimelineError: ``duration_ms`` is more than a day.
            ValueError: ``duration_ms`` is negative.
        """
        if duration_ms < 0:
            raise ValueError(f"duration_ms is {duration_ms}, expected 0 or more")
        if duration_ms > limits.DURATION_MS:
            raise TimelineError(
                f"The run is said to last {duration_ms / 3_600_000:.1f} hours, at most "
                f"{limits.DURATION_MS // 3_600_000} can be laid out tick by tick. Check where this time comes from: "
                "no real run is that long."
            )
        count = duration_ms // TICK_MS + 1
        state = ControlState()
        ticks, states = [0], [state.row()]
        presses = np.zeros(count, np.int32)
        group: list[Command] = []
        for command in commands:
            if command.time_ms > duration_ms:
                break
            if group and command.time_ms != group[0].time_ms:
                ticks.append(group[0].time_ms // TICK_MS)
                states.append(state.apply(group))
                group = []
            group.append(command)
            if command.control is Control.RESPAWN and command.value:
                presses[command.time_ms // TICK_MS] += 1
        if group:
            ticks.append(group[0].time_ms // TICK_MS)
            states.append(state.apply(group))
        most_presses = np.minimum(presses, 255).astype(np.uint8)
        return cls(*_spread(np.array(ticks), np.array(states, np.int64), count), most_presses)

    @classmethod
    def from_keys(cls, keys: npt.ArrayLike) -> "InputTimeline":
        """Build the timeline of a run driven by keys alone.

        Args:
            keys: (n,) bits as in ``keys_u8``; a Respawn bit counts as a press where it appears.
        """
        held = np.array(keys, np.uint8)
        before = np.concatenate([[np.uint8(0)], held[:-1]])
        nothing, off = np.zeros(len(held), np.int32), np.zeros(len(held), bool)
        presses = ((held & ~before) & RESPAWN != 0).astype(np.uint8)
        return cls(held, nothing, nothing.copy(), off, off.copy(), presses)

    @classmethod
    def from_actions(cls, actions: npt.ArrayLike, *, ticks_per_action: int = 1) -> "InputTimeline":
        """Build the timeline of action indices, each held for ``ticks_per_action`` callbacks.

        Args:
            actions: (m,) indices into ``ACTION_KEYS``.
            ticks_per_action: 5 for decisions of 50 ms.
        """
        return cls.from_keys(np.repeat(ACTION_BITS[np.asarray(actions, np.intp)], ticks_per_action))

    def effective(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return what the car obeys: steer (-1 to 1, + = right), gas and brake (0 or 1), each (n,) float32.

        Left and right together is left; the gas axis is a switch in this game.
        """
        left, right = self.keys_u8 & LEFT != 0, self.keys_u8 & RIGHT != 0
        digital = np.where(left, -1.0, np.where(right, 1.0, 0.0))
        steer = np.where(self.steer_is_axis, np.clip(self.steer_i32 / FULL_AXIS, -1.0, 1.0), digital)
        gas, brake = self._pedals()
        return steer.astype(np.float32), gas.astype(np.float32), brake.astype(np.float32)

    def action_index(self) -> npt.NDArray[np.uint8]:
        """Return (n,) uint8 indices into ``ACTION_KEYS``: the label of each callback."""
        steer = np.where(self.steer_is_axis, self.steer_i32, 0)
        axis_left, axis_right = steer <= -LABEL_STEER_THRESHOLD, steer >= LABEL_STEER_THRESHOLD
        key_left = ~self.steer_is_axis & (self.keys_u8 & LEFT != 0)
        key_right = ~self.steer_is_axis & (self.keys_u8 & RIGHT != 0) & ~key_left
        gas, brake = self._pedals()
        bits = gas * ACCELERATE + brake * BRAKE + (axis_left | key_left) * LEFT + (axis_right | key_right) * RIGHT
        actions: npt.NDArray[np.uint8] = _ACTION_OF[bits]
        return actions

    def _pedals(self) -> tuple[Bool, Bool]:
        gas = np.where(self.gas_is_axis, self.gas_i32 >= GAS_THRESHOLD, self.keys_u8 & ACCELERATE != 0)
        brake = np.where(self.gas_is_axis, self.gas_i32 <= -GAS_THRESHOLD, self.keys_u8 & BRAKE != 0)
        return gas, brake

    def to_commands(self) -> list[Command]:
        """Return commands from which ``from_commands`` builds this timeline again."""
        state = ControlState()
        commands: list[Command] = []
        columns = np.column_stack([self.keys_u8, self.steer_i32, self.gas_i32, self.steer_is_axis, self.gas_is_axis])
        changed = np.any(columns != np.vstack([np.zeros((1, 5), columns.dtype), columns[:-1]]), axis=1)
        for tick in np.flatnonzero(changed | (self.respawn_presses > 0)).tolist():
            wanted = tuple(columns[tick].tolist())
            group = state.changes(wanted, int(self.respawn_presses[tick]), tick * TICK_MS)
            state.apply(group)
            commands += group
        return commands

    def to_events(self, *, race_time_ms: int | None = None, shift_ms: int = 0) -> ControlEvents:
        """Return the control events a game would have stored for this timeline.

        Args:
            race_time_ms: finish of the run; None if unfinished.
            shift_ms: as in ``ControlEvents``.
        """
        return events_from_commands(self.to_commands(), race_time_ms=race_time_ms, shift_ms=shift_ms)


ACTION_BITS = np.array([sum(1 << bit for bit, held in enumerate(keys) if held) for keys in ACTION_KEYS], np.uint8)
"""(12,) the key bits of each action."""

_STEER_KEYS, _GAS_KEYS = LEFT | RIGHT, ACCELERATE | BRAKE


class ControlState:
    """Controls between two callbacks, with the rule of who has the say: keys or axis."""

    def __init__(self, row: tuple[int, int, int, bool, bool] = (0, 0, 0, False, False)) -> None:
        """Begin with nothing held, or with what ``row`` returned elsewhere."""
        self.keys = row[0]
        self.axes = [row[1], row[2]]  # steer, gas
        self.is_axis = [row[3], row[4]]

    def row(self) -> tuple[int, int, int, bool, bool]:
        """Return keys, steering axis, gas axis, and whether each axis has the say."""
        return self.keys, self.axes[0], self.axes[1], self.is_axis[0], self.is_axis[1]

    def effective(self) -> tuple[float, float, float]:
        """Return what the car obeys: steer (-1 to 1, + = right), gas and brake (0 or 1)."""
        if self.is_axis[0]:
            steer = min(max(self.axes[0] / FULL_AXIS, -1.0), 1.0)
        else:
            steer = -1.0 if self.keys & LEFT else float(bool(self.keys & RIGHT))
        if self.is_axis[1]:
            return steer, float(self.axes[1] >= GAS_THRESHOLD), float(self.axes[1] <= -GAS_THRESHOLD)
        return steer, float(bool(self.keys & ACCELERATE)), float(bool(self.keys & BRAKE))

    def apply(self, group: list[Command]) -> tuple[int, int, int, bool, bool]:
        """Apply all commands of one callback and return the state after them."""
        moved = [[False, False], [False, False]]  # of steer and gas: by key, by axis
        for _, control, value in group:
            if control >= Control.STEER:
                axis = control - Control.STEER
                self.axes[axis] = value
                moved[axis][1] = True
                continue
            self.keys = self.keys | 1 << control if value else self.keys & ~(1 << control)
            if control is not Control.RESPAWN:
                moved[control in (Control.ACCELERATE, Control.BRAKE)][0] = True
        for axis, (by_key, by_axis) in enumerate(moved):
            if by_key and by_axis:
                self.is_axis[axis] = self._axis_wins_tie(axis)
            elif by_key or by_axis:
                self.is_axis[axis] = by_axis
        return self.row()

    def _axis_wins_tie(self, axis: int) -> bool:
        """Both moved in one callback: the axis has the say only if no key is held (and it is off its centre)."""
        if axis == 0:
            return not self.keys & _STEER_KEYS and abs(self.axes[0]) > DEAD_ZONE
        return not self.keys & _GAS_KEYS

    def changes(self, wanted: tuple[int, ...], presses: int, time_ms: int) -> list[Command]:
        """Return commands of one callback that lead from this state to ``wanted``."""
        keys, axes, is_axis = wanted[0], wanted[1:3], wanted[3:5]
        group = [Command(time_ms, Control.RESPAWN, 1)] * presses
        if self.keys & ~keys & RESPAWN:
            group.append(Command(time_ms, Control.RESPAWN, 0))
        group += [Command(time_ms, Control(bit), keys >> bit & 1) for bit in range(4) if (keys ^ self.keys) >> bit & 1]
        for axis, control in ((0, Control.STEER), (1, Control.GAS)):
            pair = (Control.LEFT, Control.RIGHT) if axis == 0 else (Control.ACCELERATE, Control.BRAKE)
            by_key = any(command.control in pair for command in group)
            by_axis = axes[axis] != self.axes[axis]
            # A repeated command changes no value, but it decides who has the say.
            if is_axis[axis] and not by_axis and (by_key or not self.is_axis[axis]):
                by_axis = True
            if not is_axis[axis] and not by_key and (by_axis or self.is_axis[axis]):
                group.append(Command(time_ms, pair[0], keys >> pair[0] & 1))
            if by_axis:
                group.append(Command(time_ms, control, axes[axis]))
        return group


def _spread(
    ticks: npt.NDArray[np.int64], states: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32], Bool, Bool]:
    """Hold each state until the next one; a later state of the same tick replaces an earlier one."""
    lengths = np.diff(np.append(ticks, count))

    def held(column: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.repeat(states[:, column].astype(dtype), lengths)

    return held(0, np.uint8), held(1, np.int32), held(2, np.int32), held(3, np.bool_), held(4, np.bool_)
