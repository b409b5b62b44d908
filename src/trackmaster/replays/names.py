"""Names of files: from what the exchange says, but never as it says it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from trackmaster.files import safe_name
from trackmaster.gbx import plain_text
from trackmaster.replays.records import ReplayRecord

REPLAY_SUFFIX = ".replay.gbx"
MAP_SUFFIX = ".Challenge.Gbx"
_UNLOADABLE = re.compile(r"[^!-~]")


def replay_name(row: ReplayRecord, rank: int) -> str:
    """Return the file name of a replay: ``pos1_driver_89250ms.replay.gbx``, in letters that every system takes."""
    driver = safe_name(plain_text(row.user_name) or "driver", max_length=60)
    return f"pos{row.position or rank}_{driver}_{row.time_ms}ms{REPLAY_SUFFIX}"


def paths_of(track_id: int, rows: Sequence[ReplayRecord], known: Mapping[int, str]) -> dict[int, str]:
    """Return where each replay of a track lies, below the folder of replays.

    Args:
        track_id: of the exchange.
        rows: best first.
        known: paths that were given before; they stay, also when the leaderboard has moved on.
    """
    paths = {row.replay_id: known[row.replay_id] for row in rows if row.replay_id in known}
    taken = {path.casefold() for path in known.values()}
    for rank, row in enumerate(rows, 1):
        if row.replay_id in paths:
            continue
        path = str(PurePosixPath(str(track_id), replay_name(row, rank)))
        if path.casefold() in taken:
            path = f"{path.removesuffix(REPLAY_SUFFIX)}_r{row.replay_id}{REPLAY_SUFFIX}"
        taken.add(path.casefold())
        paths[row.replay_id] = path
    return paths


def loadable_name(name: str) -> str:
    """Return a file name that TMInterface can load: every character outside of visible ASCII becomes ``_``."""
    return _UNLOADABLE.sub("_", name)


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, or the first of ``name_2``, ``name_3`` ... that no system would take for one of ``taken``."""
    others = {other.casefold() for other in taken}
    dot = name.find(".")
    stem, suffix = (name[:dot], name[dot:]) if dot > 0 else (name, "")
    candidate, number = name, 1
    while candidate.casefold() in others:
        number += 1
        candidate = f"{stem}_{number}{suffix}"
    return candidate
