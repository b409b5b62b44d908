"""Units of time, length and speed that every room shares."""

TICK_MS = 10
"""One step of the game's physics, in race time."""

TICKS_PER_ACTION = 5
"""Physics ticks that one decision of an agent lasts."""

ACTION_MS = TICK_MS * TICKS_PER_ACTION
"""One decision of an agent (50 ms: 20 decisions per second)."""

STATE_OFFSET_MS = 10
"""The state in the callback of race time T is the ghost's state of T plus this: that clock runs one tick behind."""

CELL_SIZE_M = (32.0, 8.0, 32.0)
"""Stadium block unit along x, y and z."""

MPS_TO_KMPH = 3.6
"""Metres per second to kilometres per hour."""


def format_race_time(time_ms: int | None) -> str:
    """Return a race time as people read it: ``1:23.45``, ``24.54`` or ``-`` for an unfinished run.

    The game counts in steps of 10 ms, so two decimals are exact; a foreign time with single milliseconds shows three.
    """
    if time_ms is None or time_ms < 0:
        return "-"
    minutes, rest_ms = divmod(int(time_ms), 60_000)
    seconds, millis = divmod(rest_ms, 1_000)
    fraction = f"{millis // 10:02d}" if millis % 10 == 0 else f"{millis:03d}"
    return f"{minutes}:{seconds:02d}.{fraction}" if minutes else f"{seconds}.{fraction}"
