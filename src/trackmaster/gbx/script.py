"""TMInterface script text: the same commands as lines a person can read and the game can load."""

import re
from collections.abc import Iterable

from trackmaster.gbx.commands import FULL_AXIS, Command, Control, commands_from_events
from trackmaster.gbx.errors import ScriptError
from trackmaster.gbx.events import ControlEvents
from trackmaster.gbx.timeline import InputTimeline
from trackmaster.units import TICK_MS

KEYS = {
    "up": Control.ACCELERATE,
    "down": Control.BRAKE,
    "left": Control.LEFT,
    "right": Control.RIGHT,
    "enter": Control.RESPAWN,
}
_NAMES = {control: name for name, control in KEYS.items()}
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+)\.(\d{1,2})|(\d+)")
_WORDS = re.compile(r'"[^"]*"|[^\s"]+')
_INPUT_WORDS = {"press", "rel", "steer", "gas"}
MAX_SCRIPT_BYTES = 64 << 20


def to_script(source: ControlEvents | InputTimeline | Iterable[Command]) -> str:
    """Return the script that reproduces the inputs.

    Presses with a known end are written as ``from-to press KEY``, in ms; steering + = right; the gas axis is written
    with the script's sign (negative = forward).

    Args:
        source: events of a run, a timeline or commands in order of time.
    """
    if isinstance(source, ControlEvents):
        commands = commands_from_events(source)
    elif isinstance(source, InputTimeline):
        commands = source.to_commands()
    else:
        commands = list(source)
    lines = [_line(command, end) for command, end in zip(commands, _ends(commands), strict=True) if end != _FOLDED]
    return "".join(f"{line}\n" for line in lines)


_OPEN, _FOLDED = -1, -2


def _ends(commands: list[Command]) -> list[int]:
    """Return per command when its press ends, ``_OPEN`` if never, ``_FOLDED`` for the release a press already names."""
    ends = [_OPEN] * len(commands)
    pressed: dict[Control, int] = {}
    for index, command in enumerate(commands):
        if command.control >= Control.STEER:
            continue
        if command.value:
            pressed[command.control] = index  # a release ends the latest press; an earlier one stays open
        else:
            start = pressed.pop(command.control, None)
            if start is not None:
                ends[start] = command.time_ms
                ends[index] = _FOLDED
    return ends


def _line(command: Command, end_ms: int) -> str:
    time_ms, control, value = command
    if control is Control.STEER:
        return f"{time_ms} steer {value}"
    if control is Control.GAS:
        return f"{time_ms} gas {-value}"
    key = _NAMES[control]
    if not value:
        return f"{time_ms} rel {key}"
    return f"{time_ms} press {key}" if end_ms == _OPEN else f"{time_ms}-{end_ms} press {key}"


def script_commands(text: str) -> list[Command]:
    """Return the commands of a script in the order in which they apply.

    Console commands without a time (``set``, ``load`` ...) and the horn are no inputs of the race and are left out.

    Raises:
        ScriptError: a line that is not understood, a time off the 10 ms grid, a restart, or an input without a time.
    """
    if len(text) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"the script has {len(text)} characters, the limit is {MAX_SCRIPT_BYTES}")
    commands: list[Command] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for part in _statements(line):
            commands += _statement(part, number)
    return sorted(commands, key=lambda command: command.time_ms)


def from_script(text: str, duration_ms: int) -> InputTimeline:
    """Return the timeline of a script up to race time ``duration_ms``.

    Raises:
        ScriptError: as ``script_commands``.
        TimelineError: ``duration_ms`` is more than a day.
        ValueError: ``duration_ms`` is negative.
    """
    return InputTimeline.from_commands(script_commands(text), duration_ms)


def _statements(line: str) -> list[list[str]]:
    """Split a line into statements of words; ``#`` starts a comment, ``;`` separates, quotes group."""
    statements: list[list[str]] = [[]]
    for match in _WORDS.finditer(line):
        word = match.group()
        if word.startswith('"'):
            statements[-1].append(word[1:-1])
            continue
        word, is_comment, _ = word.partition("#")
        first, *rest = word.split(";")
        if first:
            statements[-1].append(first)
        statements += [[piece] if piece else [] for piece in rest]
        if is_comment:
            break
    return [statement for statement in statements if statement]


def _statement(words: list[str], number: int) -> list[Command]:
    if not words[0]:
        raise ScriptError(f"line {number}: empty quotes stand where a time is expected; take them out")
    if not words[0][0].isdigit():
        if words[0] in _INPUT_WORDS:
            raise ScriptError(f"line {number}: {' '.join(words)!r} has no time, expected for example '120 press up'")
        return []
    start, dash, end = words[0].partition("-")
    start_ms = _time_ms(start, number)
    end_ms = _time_ms(end, number) if dash else None
    if end_ms is not None and end_ms < start_ms:
        start_ms, end_ms = end_ms, start_ms
    if len(words) != 3 or words[1] not in _INPUT_WORDS:
        raise ScriptError(f"line {number}: {' '.join(words)!r} is no input, expected 'press KEY', 'rel KEY', 'steer N' "
                          "or 'gas N' after the time")  # fmt: skip
    control, value = _action(words[1], words[2], number)
    if control is None:
        return []
    commands = [Command(start_ms, control, value)]
    if end_ms is not None:
        if words[1] == "rel":
            raise ScriptError(f"line {number}: a release cannot last from {start_ms} to {end_ms}; give one time")
        commands.append(Command(end_ms, control, 0))
    return commands


def _action(verb: str, argument: str, number: int) -> tuple[Control | None, int]:
    if verb in ("steer", "gas"):
        if not re.fullmatch(r"-?\d{1,6}", argument) or abs(int(argument)) > FULL_AXIS:
            raise ScriptError(
                f"line {number}: {verb} is {argument!r}, expected a number from -{FULL_AXIS} to {FULL_AXIS}"
            )
        return (Control.STEER, int(argument)) if verb == "steer" else (Control.GAS, -int(argument))
    if argument == "horn":
        return None, 0
    if argument == "delete":
        raise ScriptError(
            f"line {number}: the run is restarted here, which has no place in one timeline; split the script"
        )
    if argument not in KEYS:
        raise ScriptError(f"line {number}: {argument!r} is no key, expected one of {', '.join(KEYS)}")
    return KEYS[argument], int(verb == "press")


def _time_ms(text: str, number: int) -> int:
    match = _TIME.fullmatch(text)
    if match is None or len(text) > 16:
        raise ScriptError(f"line {number}: {text!r} is no time, expected 1230, 1.23, 1:02.30 or 1:00:02.30")
    hours, minutes, seconds, hundredths, millis = match.groups()
    if millis is not None:
        time_ms = int(millis)
    else:
        whole_s = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds)
        time_ms = whole_s * 1000 + int(hundredths.ljust(2, "0")) * 10
    if time_ms % TICK_MS:
        raise ScriptError(f"line {number}: {time_ms} ms is between two ticks, expected a multiple of {TICK_MS}")
    return time_ms
