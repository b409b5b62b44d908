"""Recorded demonstrations: ``reward.npy`` with the points, ``reward.json`` with what they are."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.env.demo.reward import POINT_DISTANCE_M, checked_points, resampled
from trackmaster.env.errors import EnvError
from trackmaster.files import atomic_path, atomic_write_text
from trackmaster.game.openplanet.client import OpenPlanetClient
from trackmaster.game.openplanet.layouts import Record

F64 = NDArray[np.float64]

VERSION: Final = 1
MAX_BYTES: Final = 200_000_000
_MAX_FACTS_BYTES: Final = 100_000
_STANDING_M: Final = 0.01
_JUMP_M: Final = 50.0
_FALL_M: Final = 1.0
_FALL_MS: Final = 100
"""By how much the way driven and the race's time fall at least where a race begins anew."""


def save_demo(path: Path, points_m: F64, *, map_uid: str = "", race_time_ms: int | None = None) -> None:
    """Write points 0.1 m apart to ``path`` (``.npy``) and their description beside it, the points last."""
    facts = {
        "version": VERSION,
        "distance_m": POINT_DISTANCE_M,
        "n_points": len(points_m),
        "length_m": round(POINT_DISTANCE_M * (len(points_m) - 1), 3),
        "map_uid": map_uid,
        "race_time_ms": race_time_ms,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, points_m)


def load_demo(path: Path | str) -> F64:
    """Return the points (M, 3) of a recorded demonstration.

    Raises:
        EnvError: there is none (with the command that records one), or the file is something else.
    """
    file = Path(path)
    if file.suffix == ".pkl":
        raise EnvError(f"{file}: a pickle runs code when it is read, so it is not. Record the demonstration anew.")
    if not file.is_file():
        raise EnvError(
            f"there is no recorded demonstration at {file}: drive the track once with `trackmaster record reward "
            f"--output {file}`."
        )
    if file.stat().st_size > MAX_BYTES:
        raise EnvError(f"{file}: has {file.stat().st_size} bytes, a demonstration has at most {MAX_BYTES}.")
    try:
        return checked_points(np.load(file, allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise EnvError(f"{file}: holds no demonstration ({error}). Record it anew.") from error


def demo_map_uid(path: Path | str) -> str:
    """Return the map that a demonstration was driven on; empty where its description does not say."""
    file = Path(path).with_suffix(".json")
    if not file.is_file() or file.stat().st_size > _MAX_FACTS_BYTES:
        return ""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return ""
    return str(facts.get("map_uid") or "") if isinstance(facts, dict) else ""


def record_demo(records: Iterable[Record], *, note: Callable[[str], None] = lambda _: None) -> tuple[F64, Record]:
    """Follow a drive until it is finished; return its points 0.1 m apart and the last record.

    A car that was put elsewhere (restart) begins the demonstration anew.

    Args:
        records: one after the other.
        note: told what happens, for people.

    Raises:
        EnvError: the records end before the finish.
    """
    path: list[NDArray[np.float32]] = []
    before: Record | None = None
    was_finished = True  # a race that is over when recording begins is not the drive
    for record in records:
        if record.is_finished and not was_finished:
            points = resampled([*path, record.position_m])
            return points, record
        moved = float(np.linalg.norm(record.position_m - path[-1])) if path else np.inf
        if path and before is not None and (moved > _JUMP_M or _begins_anew(before, record)):
            note("the car was put elsewhere: the recording begins anew")
            path.clear()
            moved = np.inf
        before = record
        if moved > _STANDING_M:
            path.append(record.position_m)
        was_finished = record.is_finished
    raise EnvError("the drive was not finished: a demonstration goes from the start to the finish.")


def _begins_anew(before: Record, record: Record) -> bool:
    """Return whether the race was restarted between two records, also where the car was still near the start."""
    if before.race_time_ms is not None and record.race_time_ms is not None:
        return record.race_time_ms < before.race_time_ms - _FALL_MS
    if before.distance_m is not None and record.distance_m is not None:
        return record.distance_m < before.distance_m - _FALL_M
    return False


def records_of(client: OpenPlanetClient, *, timeout_s: float = 30.0) -> Iterable[Record]:
    """Yield records as they come, each once."""
    seen = 0
    while True:
        record = client.latest(newer_than=seen, timeout_s=timeout_s)
        seen = client.count
        yield record
