"""``<track_id>/index.json``: what the catalogue knows of a track's replays, beside them, for programs without SQLite.

The catalogue is the truth; this is a copy that is written when a track is finished or changed. Keys by the documents:
a list of objects, the best run first.
"""

import json
from pathlib import Path
from sqlite3 import Row

from trackmaster.replays.catalogue import DONE, Catalogue

INDEX_NAME = "index.json"
UNFINISHED_NAME = ".index.json.part"
"""Always the same, so that a run that is killed leaves no more than one, and the next one takes it over."""


def write_index(catalogue: Catalogue, replays_dir: Path, track_id: int) -> None:
    """Bring the index of one track up to date; a track without a folder has none.

    The folder must be held (``locks.folder_lock``): two writers would meet in the unfinished file.

    Raises:
        OSError: it cannot be written.
    """
    folder = replays_dir / str(track_id)
    if not folder.is_dir():
        return
    rows = catalogue.read(
        "SELECT * FROM replays WHERE track_id = ? ORDER BY rank IS NULL, rank, time_ms, replay_id", (track_id,)
    )
    entries = ",\n".join(json.dumps(_entry(row)) for row in rows)
    content = f"[\n{entries}\n]\n".encode("ascii") if entries else b"[]\n"
    target, part = folder / INDEX_NAME, folder / UNFINISHED_NAME
    if target.is_file() and target.read_bytes() == content:
        part.unlink(missing_ok=True)
        return
    part.write_bytes(content)
    part.replace(target)


def write_indexes(catalogue: Catalogue, replays_dir: Path) -> None:
    """Bring the indexes of all tracks up to date.

    Raises:
        OSError: one cannot be written.
    """
    for row in list(catalogue.read("SELECT DISTINCT track_id FROM replays")):
        write_index(catalogue, replays_dir, row["track_id"])


def _entry(row: Row) -> dict[str, object]:
    """Return one replay; place and best are those of the last listing, which a beaten run is not on."""
    is_listed = row["rank"] is not None
    respawns = row["file_respawns"] if row["file_respawns"] is not None else row["respawns"]
    return {
        "replay_id": row["replay_id"],
        "file": row["path"].rpartition("/")[2],
        "sha256": row["sha256"] if row["state"] == DONE else None,
        "race_time_ms": row["time_ms"],
        "user": row["user_name"],
        "position": row["position"] if is_listed else None,
        "is_best": _truth(row["is_best"]) if is_listed else None,
        "validated": _truth(row["validated"]),
        "respawns": respawns,
        "replay_at": row["replay_at"],
        "track_at": row["track_at"],
        "map_uid": row["map_uid"],
        "device": row["device"],
        "status": row["state"],
        "reason": row["reason"],
    }


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)
