"""What a cache build will write, and how far an interrupted one got."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.writer import write_json
from trackmaster.data.cache import CACHE_META_NAME, CACHE_VERSION, SPLITS, CacheSpec
from trackmaster.data.errors import DataError
from trackmaster.data.json_file import read_json, read_number
from trackmaster.data.signature import SourceSignature
from trackmaster.data.split import Split
from trackmaster.data.tree import ReplayFolder
from trackmaster.data.windows import stack_windows

PLAN_NAME = "plan.json"
STATE_NAME = "state.json"
INDEX_COLUMNS = ("track", "replay", "step", "time_ms")

_ARRAY_KINDS = ("", "_frames", "_windows", "_index", "_actions", "_floats")
_CACHE_FILES = frozenset(
    {CACHE_META_NAME, PLAN_NAME, STATE_NAME, "skip_indices.json"}
    | {f"{split}{kind}.npy" for split in SPLITS for kind in _ARRAY_KINDS}
)
_log = logging.getLogger(__name__)


class BuildState:
    """How far a build is, kept on disk so that a kill loses little."""

    def __init__(self, path: Path, rows: dict[str, int], complete: list[str]) -> None:
        """Note a state without writing it.

        Args:
            path: file the state is kept in.
            rows: frames on disk, by half.
            complete: halves with all their files on disk.
        """
        self._path = path
        self._rows, self._complete = rows, complete

    @classmethod
    def read(cls, path: Path) -> "BuildState":
        """Read the state of an interrupted build.

        Raises:
            DataError: the file is missing or damaged.
        """
        content = read_json(path)
        rows, complete = (content.get(key) for key in ("rows", "complete")) if isinstance(content, dict) else (0, 0)
        if not isinstance(rows, dict) or not isinstance(complete, list):
            raise DataError(f"{path}: holds no state of a build.")
        return cls(path, {name: int(read_number(rows.get(name), name, path)) for name in SPLITS}, complete)

    def rows(self, split: str) -> int:
        """Return how many frames of a half are decoded and on disk."""
        return self._rows[split]

    def is_complete(self, split: str) -> bool:
        """Tell whether all files of a half are written."""
        return split in self._complete

    def commit(self, split: str, rows: int) -> None:
        """Note that the first ``rows`` frames of a half are on disk."""
        self._rows[split] = rows
        self.write()

    def finish(self, split: str) -> None:
        """Note that all files of a half are on disk."""
        self._complete.append(split)
        self.write()

    def write(self) -> None:
        """Write the state to its file."""
        write_json(self._path, {"rows": self._rows, "complete": self._complete})


def cache_plan(spec: CacheSpec, split: Split, signature: SourceSignature) -> dict[str, Any]:
    """Return the content of ``cache_meta.json`` except for the hashes of the arrays.

    Raises:
        DataError: one half has frames but not one complete window.
    """
    halves = dict(zip(SPLITS, (split.train, split.val), strict=True))
    counts = {name: len(stack_windows(half, spec.n_stack)) for name, half in halves.items()}
    for name, half in halves.items():
        if half and not counts[name]:
            raise DataError(
                f"the {name} set has no window of {spec.n_stack} consecutive frames: use a smaller --n-stack, "
                "or capture replays without gaps."
            )
    replays = (*split.train, *split.val)
    tracks = {track: number for number, track in enumerate(dict.fromkeys(replay.track_id for replay in replays))}
    dtype = spec.dtype or "uint8"
    return {
        **spec.meta(),
        "source_signature": dict(signature),
        "n_train": counts["train"],
        "n_val": counts["val"],
        "cache_version": CACHE_VERSION,
        "dtype": dtype,
        "scale": 1 / 255 if dtype == "uint8" else 1.0,
        "image_width": spec.width,
        "image_height": spec.height,
        "n_train_frames": sum(len(replay) for replay in split.train),
        "n_val_frames": sum(len(replay) for replay in split.val),
        "index_columns": list(INDEX_COLUMNS),
        "tracks": list(tracks),
        "replays": [
            {"track": tracks[r.track_id], "name": r.name, "map_uid": r.map_uid, "interval_ms": r.interval_ms}
            for r in replays
        ],
        "track_ids_train": list(split.track_ids_train),
        "track_ids_val": list(split.track_ids_val),
        "split_note": split.note,
    }


def row_index(replays: Sequence[ReplayFolder], offset: int, plan: dict[str, Any], spec: CacheSpec) -> NDArray[np.int64]:
    """Return (rows, 4) track, replay, step and time of every row of ``train.npy`` or ``val.npy``.

    The numbers of track and replay point into the lists of the meta; a float32 row, which is a window, gets the
    numbers of its last frame.

    Args:
        replays: of this half.
        offset: number of the first of them in the list of the meta.
        plan: the meta.
        spec: of the cache.
    """
    parts = []
    for number, replay in enumerate(replays, start=offset):
        part = np.empty((len(replay), len(INDEX_COLUMNS)), dtype=np.int64)
        part[:, 0], part[:, 1] = plan["replays"][number]["track"], number
        part[:, 2], part[:, 3] = replay.steps, replay.times_ms
        parts.append(part)
    index = np.concatenate(parts)
    return index[stack_windows(replays, spec.n_stack) + spec.n_stack - 1] if spec.dtype == "float32" else index


def resume_point(partial: Path, plan: dict[str, Any]) -> BuildState:
    """Return the state of an interrupted build of the same plan, or of a fresh one when there is none."""
    try:
        if read_json(partial / PLAN_NAME) == plan:
            state = BuildState.read(partial / STATE_NAME)
            for leftover in partial.glob(".*.part*"):  # what a killed build was writing; no part of a cache
                leftover.unlink()
            _log.info("continuing an interrupted build: %d frames are there", sum(state.rows(name) for name in SPLITS))
            return state
    except DataError as error:
        _log.debug("no build to continue in %s: %s", partial, error)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_json(partial / PLAN_NAME, plan)
    state = BuildState(partial / STATE_NAME, dict.fromkeys(SPLITS, 0), [])
    state.write()
    return state


def refuse_foreign_folder(cache_dir: Path) -> None:
    """Check that replacing ``cache_dir`` cannot destroy anything but a cache.

    Raises:
        DataError: it is a file, the folder one works in, or holds files that no cache has.
    """
    if not cache_dir.exists():
        return
    if cache_dir == Path.cwd():
        raise DataError(
            f"{cache_dir}: is the folder you are in, and a complete cache takes the place of its folder. Name a new "
            "folder below it."
        )
    if not cache_dir.is_dir():
        raise DataError(f"{cache_dir}: is a file; a cache needs a folder of its own. Choose another name.")
    foreign = sorted(path.name for path in cache_dir.iterdir() if path.name not in _CACHE_FILES)
    if foreign:
        raise DataError(
            f"{cache_dir}: holds {foreign[0]!r}, which is no part of a cache, and building would replace the folder. "
            "Choose an empty or new folder."
        )
