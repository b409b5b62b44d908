"""Names of the files in a captured tree, and their order by the numbers inside the names.

Text order is wrong everywhere here: ``pos10`` sorts before ``pos2`` and step 100000 before step 99999.
"""

import re
from typing import NamedTuple

MANIFEST_NAME = "manifest.json"
METADATA_NAME = "metadata.json"

# 15 digits: more would fit no array of integers, and no run has them.
_FRAME = re.compile(r"frame_(\d{1,15})_(-?\d{1,15})ms\.(?:jpe?g|png|bmp|npy)", re.IGNORECASE)
_LEADERBOARD = re.compile(r"pos(\d+)_.*?_(\d+)ms")
_DIGITS = re.compile(r"(\d+)")


class FrameName(NamedTuple):
    """The two numbers in the name of a frame."""

    step: int
    """Index of the frame within its replay, from 0."""
    time_ms: int
    """Race time of the frame's tick."""


def parse_frame_name(name: str) -> FrameName | None:
    """Return the numbers of ``frame_<step>_<time>ms.<suffix>``, or None for any other file.

    Up to 15 digits are accepted: writers pad to five or six, long runs need more.
    """
    found = _FRAME.fullmatch(name)
    return FrameName(int(found[1]), int(found[2])) if found else None


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that compares runs of digits as numbers and everything else as text."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def replay_key(name: str) -> tuple[int, int, int, tuple[tuple[int, int, str], ...]]:
    """Return a sort key for replay folders: by leaderboard position, then race time, then name.

    Folders that do not follow ``pos<position>_<login>_<time>ms`` come after those that do.
    """
    found = _LEADERBOARD.match(name)
    position, time_ms = (int(found[1]), int(found[2])) if found else (0, 0)
    return (0 if found else 1, position, time_ms, natural_key(name))
