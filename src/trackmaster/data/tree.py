"""The captured tree ``<data_dir>/<track_id>/<replay_name>/frame_*_*ms.jpeg`` as a list of replays."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.manifest import ReplayMetadata, read_metadata
from trackmaster.data.names import FrameName, natural_key, parse_frame_name, replay_key


@dataclass(frozen=True)
class ReplayFolder:
    """The frames of one captured replay, in the order they were driven; nothing is decoded yet."""

    track_id: str
    name: str
    path: Path
    map_uid: str | None
    """Identity of the map; two track ids can hold the same map."""
    interval_ms: float
    """Planned time between two frames."""
    files: tuple[str, ...]
    steps: NDArray[np.int64]
    """(n,) numbers of the frames."""
    times_ms: NDArray[np.int64]
    """(n,) race times."""
    sizes_bytes: NDArray[np.int64]
    """(n,) file sizes, for the fingerprint of the tree."""
    mtimes_ns: NDArray[np.int64]
    """(n,) modification times, for the fingerprint of the tree."""

    def __len__(self) -> int:
        return len(self.files)

    def frame_path(self, row: int) -> Path:
        """Return the file of frame ``row`` (0 is the first)."""
        return self.path / self.files[row]


def iter_replays(data_dir: Path) -> Iterator[ReplayFolder]:
    """Yield every replay of a captured tree: tracks by number, replays by leaderboard position and time.

    Folders whose name begins with a dot are skipped: a capture that was stopped leaves those.

    Raises:
        DataError: ``data_dir`` is no folder, or two frames of one replay claim the same step.
    """
    if not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: no such folder. Frames are expected in {data_dir}/<track_id>/<replay_name>/; "
            "capture some first, or name their folder with --data-dir."
        )
    for track in sorted(_folders(data_dir), key=lambda path: natural_key(path.name)):
        for replay in sorted(_folders(track), key=lambda path: replay_key(path.name)):
            folder = read_replay_folder(replay, track.name)
            if folder is not None:
                yield folder


def find_replays(data_dir: Path) -> tuple[ReplayFolder, ...]:
    """Return all replays of a captured tree.

    Raises:
        DataError: as ``iter_replays``; also when the tree holds no frame at all.
    """
    replays = tuple(iter_replays(data_dir))
    if not replays:
        raise DataError(
            f"{data_dir}: holds no frames. Expected {data_dir}/<track_id>/<replay_name>/frame_<step>_<time>ms.jpeg: "
            "name the folder above the track folders."
        )
    return replays


def read_replay_folder(path: Path, track_id: str) -> ReplayFolder | None:
    """List the frames of one replay folder, or return None when it holds none."""
    found: list[tuple[FrameName, os.DirEntry[str]]] = []
    with os.scandir(path) as entries:
        for entry in entries:
            numbers = parse_frame_name(entry.name)
            if numbers is not None:
                found.append((numbers, entry))
    if not found:
        return None
    found.sort(key=lambda item: (item[0], item[1].name))
    steps = np.array([name.step for name, _ in found], dtype=np.int64)
    times_ms = np.array([name.time_ms for name, _ in found], dtype=np.int64)
    _check_order(path, steps, times_ms)
    stats = [entry.stat() for _, entry in found]
    metadata = read_metadata(path)
    return ReplayFolder(
        track_id=track_id,
        name=path.name,
        path=path,
        map_uid=metadata.map_uid,
        interval_ms=_interval_ms(metadata, times_ms),
        files=tuple(entry.name for _, entry in found),
        steps=steps,
        times_ms=times_ms,
        sizes_bytes=np.array([stat.st_size for stat in stats], dtype=np.int64),
        mtimes_ns=np.array([stat.st_mtime_ns for stat in stats], dtype=np.int64),
    )


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return [path / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _check_order(path: Path, steps: NDArray[np.int64], times_ms: NDArray[np.int64]) -> None:
    repeated = np.flatnonzero(np.diff(steps) == 0)
    if repeated.size:
        raise DataError(f"{path}: two frames claim step {steps[repeated[0]]}. Remove the folder and capture it again.")
    backwards = np.flatnonzero(np.diff(times_ms) <= 0)
    if backwards.size:
        row = int(backwards[0])
        raise DataError(
            f"{path}: frame {steps[row + 1]} is at {times_ms[row + 1]} ms, not after frame {steps[row]} "
            f"at {times_ms[row]} ms. Two runs are mixed here: remove the folder and capture it again."
        )


def _interval_ms(metadata: ReplayMetadata, times_ms: NDArray[np.int64]) -> float:
    """Planned interval, or an estimate that neither gaps nor rounding to 10 ms ticks disturb."""
    if metadata.interval_ms is not None:
        return metadata.interval_ms
    steps_ms = np.diff(times_ms)
    if steps_ms.size == 0:
        return 1.0
    return float(steps_ms[steps_ms <= 1.5 * np.median(steps_ms)].mean())
