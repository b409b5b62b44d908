"""Input commands on the script clock: the one rule by which control events become script lines, ticks and labels.

A command at script time T is what a program sets in the callback of race time T; the game acts on it in the tick that
starts at T + 10. An event in a file carries the race time of that tick, so its script time is 10 ms earlier.
"""

from collections.abc import Iterable
from enum import IntEnum
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trackmaster.gbx.events import FINISH, NO_INVERSION, RUNNING, ControlEvents, sign_extend_24
from trackmaster.units import TICK_MS

FULL_AXIS = 65_536
"""Steering or gas axis fully to one side."""


class Control(IntEnum):
    """What a command moves; keys are numbered like the bits of ``InputTimeline.keys_u8``."""

    ACCELERATE = 0
    BRAKE = 1
    LEFT = 2
    RIGHT = 3
    RESPAWN = 4
    STEER = 5
    GAS = 6


class Command(NamedTuple):
    """One change of one control.

    Attributes:
        time_ms: script time, a multiple of 10, not negative.
        control: what changes.
        value: 1 pressed, 0 released; steer + = right and gas + = forward, from -65 536 to 65 536.
    """

    time_ms: int
    control: Control
    value: int


EVENT_CONTROLS = {
    "accelerate": Control.ACCELERATE,
    "acceleratereal": Control.ACCELERATE,
    "brake": Control.BRAKE,
    "brakereal": Control.BRAKE,
    "steerleft": Control.LEFT,
    "steer left": Control.LEFT,
    "steerright": Control.RIGHT,
    "steer right": Control.RIGHT,
    "respawn": Control.RESPAWN,
    "steer": Control.STEER,
    "steer (analog)": Control.STEER,
    "gas": Control.GAS,
    "accelerate (analog)": Control.GAS,
}
"""Control names as files and the game's memory spell them, in small letters."""

_REAL = {"acceleratereal", "brakereal"}
_FULL_REAL = 1


def script_times_ms(time_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the script time of events at race time ``time_ms``; negative before the start.

    An event acts in the first tick that starts at its time or later, so it is set one tick earlier. Driving events lie
    on the grid of ticks, respawns do not, and in replays of the first Nations no event does.
    """
    return -(-time_ms // TICK_MS) * TICK_MS - TICK_MS


def commands_from_events(events: ControlEvents, *, offset_ms: int = 0) -> list[Command]:
    """Return the commands that reproduce ``events``, in the order in which they apply.

    What is still held when the race begins becomes a command at 0; other events before the start are dropped, and so
    are Respawn presses during the countdown, which the game does not count.

    Args:
        events: of a run.
        offset_ms: added to every script time; a multiple of 10, for diagnosis only.

    Raises:
        ValueError: ``offset_ms`` is no multiple of 10.
    """
    if offset_ms % TICK_MS:
        raise ValueError(f"offset_ms is {offset_ms}, expected a multiple of {TICK_MS}")
    names = [name.lower() for name in events.names]
    controls = [EVENT_CONTROLS.get(name) for name in names]
    sign = -1 if NO_INVERSION.lower() in names else 1
    times = script_times_ms(events.time_ms) + offset_ms
    analog = np.clip(sign_extend_24(events.value), -FULL_AXIS, FULL_AXIS)
    commands: list[Command] = []
    for time, index, value, axis in zip(
        times.tolist(), events.control.tolist(), events.value.tolist(), analog.tolist(), strict=True
    ):
        control = controls[index]
        if control is None:
            continue
        if control is Control.STEER:
            commands.append(Command(time, control, -sign * axis))
        elif control is Control.GAS:
            commands.append(Command(time, control, sign * axis))
        elif names[index] not in _REAL or value == 0 or value >> 16 == _FULL_REAL:
            commands.append(Command(time, control, int(value != 0)))
    return _stretch_respawns(_start_at_zero(commands))


def _start_at_zero(commands: list[Command]) -> list[Command]:
    """Replace what happens before 0 by what is still held at 0."""
    held: dict[Control, int] = {}
    first = len(commands)
    for position, command in enumerate(commands):
        if command.time_ms >= 0:
            first = position
            break
        held.pop(command.control, None)
        if command.value and command.control is not Control.RESPAWN:
            held[command.control] = command.value
    rest = [command for command in commands[first:] if command.time_ms >= 0]
    return [Command(0, control, value) for control, value in held.items()] + sorted(rest, key=itemgetter(0))


def _stretch_respawns(commands: list[Command]) -> list[Command]:
    """Hold every Respawn press for at least one tick: a shorter one would vanish between two callbacks."""
    release: Command | None = None
    pressed_at: int | None = None
    result = []
    for command in commands:
        if command.control is not Control.RESPAWN:
            result.append(command)
        elif command.value:
            if release is not None and release.time_ms <= command.time_ms:
                result.append(release)
            release, pressed_at = None, command.time_ms
            result.append(command)
        elif pressed_at is not None:
            release, pressed_at = command._replace(time_ms=max(command.time_ms, pressed_at + TICK_MS)), None
    if release is not None:
        result.append(release)
    return sorted(result, key=itemgetter(0))


def events_from_commands(
    commands: Iterable[Command], *, race_time_ms: int | None = None, shift_ms: int = 0
) -> ControlEvents:
    """Return the control events a game would have stored for ``commands``.

    Args:
        commands: in order of time.
        race_time_ms: finish; adds the finish event. Without it the run is unfinished.
        shift_ms: as in ``ControlEvents``.
    """
    rows = [(0, RUNNING, 1)]
    names_of = {Control.ACCELERATE: "Accelerate", Control.BRAKE: "Brake", Control.LEFT: "SteerLeft",
                Control.RIGHT: "SteerRight", Control.RESPAWN: "Respawn", Control.STEER: "Steer",
                Control.GAS: "Gas"}  # fmt: skip
    for time, control, value in commands:
        stored = {Control.STEER: -value, Control.GAS: value}.get(control, value) & 0xFFFFFF
        rows.append((time + TICK_MS, names_of[control], stored))
    if race_time_ms is not None:
        rows.append((race_time_ms, FINISH, 1))
        rows.sort(key=lambda row: row[0])
    names = tuple(dict.fromkeys(name for _, name, _ in rows))
    return ControlEvents(
        np.array([time for time, _, _ in rows], np.int64),
        np.array([names.index(name) for _, name, _ in rows], np.uint8),
        np.array([value for _, _, value in rows], np.uint32),
        names,
        shift_ms,
    )
