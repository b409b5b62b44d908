"""Which replays there are to capture, in which order."""

import re
from dataclasses import dataclass
from pathlib import Path

from trackmaster.capture.errors import CaptureError

REPLAY_SUFFIX = ".replay.gbx"
_POSITION = re.compile(r"^pos(\d+)_")
_TIME = re.compile(r"_(\d+)ms\.replay$", re.IGNORECASE)


@dataclass(frozen=True)
class ReplayFile:
    """One replay on disk."""

    path: Path
    track_id: str | None
    """Name of its folder, None in a flat folder (the map's uid takes its place once the file was read)."""

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
        track_ids: only these folders, in this order; files that lie flat belong to no list and are left out then.

    Raises:
        CaptureError: there is no such folder, or no replay in it.
    """
    if not replays_dir.is_dir():
        raise CaptureError(f"{replays_dir} is no folder. Give the folder with your replays as --replays-dir.")
    folders = {
        path.name: path for path in sorted(replays_dir.iterdir()) if path.is_dir() and not path.name.startswith(".")
    }
    wanted = tuple(folders) if track_ids is None else tuple(name for name in track_ids if name in folders)
    found: list[ReplayFile] = []
    if track_ids is None:
        found.extend(_replays_in(replays_dir, None))
    for name in wanted:
        found.extend(_replays_in(folders[name], name))
    if not found:
        where = f" for the {len(track_ids)} listed tracks" if track_ids is not None else ""
        raise CaptureError(
            f"{replays_dir} holds no replay{where}. Expected <track_id>/*.replay.gbx, or *.Replay.Gbx files in the "
            "folder itself."
        )
    return tuple(found)


def _replays_in(folder: Path, track_id: str | None) -> list[ReplayFile]:
    files = [path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(REPLAY_SUFFIX)]
    return sorted((ReplayFile(path, track_id) for path in files), key=lambda replay: replay.order)
