"""Which replays there are to capture, in which order."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trackmaster import gbx
from trackmaster.capture.errors import CaptureError
from trackmaster.files import safe_name

REPLAY_SUFFIX = ".replay.gbx"
_POSITION = re.compile(r"^pos(\d+)_")
_TIME = re.compile(r"_(\d+)ms\.replay$", re.IGNORECASE)


@dataclass(frozen=True)
class ReplayFile:
    """One replay on disk."""

    path: Path
    track_id: str | None
    """Name of its folder; in a flat folder the map's uid, None where the file does not tell it."""

    @property
    def name(self) -> str:
        """File name without its last suffix: ``pos1_user_89250ms.replay``."""
        return self.path.name[: -len(".gbx")]

    @property
    def order(self) -> tuple[float, float, str]:
        """Sort key: leaderboard position, then race time, then name; ``pos10`` comes after ``pos2``."""
        position, time = _POSITION.search(self.path.name), _TIME.search(self.name)
        return (
            float(position.group(1)) if position else float("inf"),
            float(time.group(1)) if time else float("inf"),
            self.path.name,
        )


def read_track_ids(path: Path) -> tuple[str, ...]:
    """Read a list with one track id per line, in order; empty lines and lines that begin with # do not count.

    Raises:
        CaptureError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(f"{path}: the list of track ids cannot be read ({error}).") from None
    names = (line.strip() for line in lines)
    return tuple(dict.fromkeys(name for name in names if name and not name.startswith("#")))


def find_replays(replays_dir: Path, track_ids: tuple[str, ...] | None = None) -> tuple[ReplayFile, ...]:
    """Return the replays under ``replays_dir``: one folder per track, or a flat folder of files (any letter case).

    Args:
        replays_dir: ``<dir>/<track_id>/*.replay.gbx`` and ``<dir>/*.Replay.Gbx`` are both taken.
        track_ids: only these tracks, in this order.

    Raises:
        CaptureError: there is no such folder, or no replay in it.
    """
    if not replays_dir.is_dir():
        raise CaptureError(f"{replays_dir} is no folder. Give the folder with your replays as --replays-dir.")
    folders = {
        path.name: path for path in sorted(replays_dir.iterdir()) if path.is_dir() and not path.name.startswith(".")
    }
    flat = _replays_in(replays_dir, None)
    found = list(flat) if track_ids is None else []
    for name in folders if track_ids is None else track_ids:
        if track_ids is not None:
            found.extend(file for file in flat if file.track_id == name)
        if name in folders:
            found.extend(_replays_in(folders[name], name))
    if not found:
        where = f" for the {len(track_ids)} listed tracks" if track_ids is not None else ""
        raise CaptureError(
            f"{replays_dir} holds no replay{where}. Expected <track_id>/*.replay.gbx, or *.Replay.Gbx files in the "
            "folder itself."
        )
    return tuple(found)


def same_folder(files: Sequence[ReplayFile]) -> dict[ReplayFile, ReplayFile]:
    """Return the files whose frames would lie in the same folder as those of an earlier one, and that earlier one."""
    first: dict[str, ReplayFile] = {}
    taken = {}
    for file in files:
        if file.track_id is not None:
            other = first.setdefault(os.path.normcase(f"{file.track_id}/{file.name}"), file)
            if other is not file:
                taken[file] = other
    return taken


def _replays_in(folder: Path, track_id: str | None) -> list[ReplayFile]:
    files = [path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(REPLAY_SUFFIX)]
    return sorted((ReplayFile(path, track_id or _track_of(path)) for path in files), key=lambda replay: replay.order)


def _track_of(path: Path) -> str | None:
    """Return the map's uid as a folder's name, None when the file's header does not tell it."""
    try:
        header = gbx.read_header(path)
    except gbx.GbxError:
        return None
    return safe_name(header.map_uid) if isinstance(header, gbx.ReplayHeader) and header.map_uid else None
