"""A memory on disk: each column cut into files of equal length, of which a save writes those that have changed.

Every file carries the number of the save that wrote it; an index per save lists what it consists of, with checksums.
Older files stay until ``drop_older`` is called, which is done when the checkpoint that names the new save is safe.
"""

import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.files import atomic_path, atomic_write_text
from trackmaster.rl.memory.files import damage_as_sentence, go_on_without
from trackmaster.rl.memory.ring import SHARD_ROWS, Ring
from trackmaster.rl.samples.chunk import SampleError

_FILE = re.compile(r"(?P<column>[\w.]+)-(?P<shard>\d+)-(?P<generation>\d+)\.npy")
_INDEX = re.compile(r"index-(?P<generation>\d+)\.json")


def save_ring(ring: Ring, folder: Path) -> int:
    """Write the ring's changed rows and return the number of this save."""
    folder.mkdir(parents=True, exist_ok=True)
    generation = max((int(m["generation"]) for m in _matches(folder, _INDEX)), default=0) + 1
    previous = _index(folder, generation - 1) if (folder / f"index-{generation - 1}.json").exists() else None
    files: dict[str, int] = {}
    for name, column in ring.columns.items():
        for shard in range(-(-ring.high // SHARD_ROWS)):
            stem = f"{name}-{shard}"
            kept = None if shard in ring.changed_shards or previous is None else _kept(previous, stem)
            if kept is not None:
                files[kept[0]] = kept[1]
            else:
                file = f"{stem}-{generation}.npy"
                files[file] = _write(folder / file, column[shard * SHARD_ROWS : (shard + 1) * SHARD_ROWS])
    for name in Ring.BOOKKEEPING:
        file = f"row.{name}-0-{generation}.npy"
        files[file] = _write(folder / file, getattr(ring, name)[: ring.high])
    index = {
        "rows": ring.high, "head": ring.head, "capacity": ring.capacity, "shard_rows": SHARD_ROWS,
        "columns": list(ring.columns), "crc32": files,
    }  # fmt: skip
    atomic_write_text(folder / f"index-{generation}.json", json.dumps(index))
    ring.changed_shards.clear()
    return generation


def load_ring(ring: Ring, folder: Path, generation: int) -> None:
    """Fill an empty ring with what ``save_ring`` wrote.

    Raises:
        SampleError: a file is missing or damaged, or the ring is smaller than the saved one.
    """
    with damage_as_sentence(folder):
        index = _index(folder, generation)
        rows, capacity = int(index["rows"]), int(index["capacity"])
        if capacity != ring.capacity or index["shard_rows"] != SHARD_ROWS:
            raise SampleError(
                f"{folder}: saved with memory_size {capacity}, this run has {ring.capacity}. Keep MEMORY_SIZE, or "
                f"delete the folder to begin with an empty memory."
            )
        crcs: dict[str, int] = index["crc32"]
        parts: dict[str, dict[int, NDArray[Any]]] = {}
        for file, crc in crcs.items():
            match = _FILE.fullmatch(file)
            if match is None:
                raise SampleError(f"{folder}: the index names {file!r}, which is none of its files.")
            parts.setdefault(match["column"], {})[int(match["shard"])] = _read(folder / file, crc)
        ring.columns = {}
        if rows:
            ring.allocate({name: parts[name][0] for name in index["columns"]})
        for name, column in ring.columns.items():
            for shard, part in parts[name].items():
                start = shard * SHARD_ROWS
                column[start : start + len(part)] = part
        for name in Ring.BOOKKEEPING:
            getattr(ring, name)[:rows] = parts[f"row.{name}"][0]
        ring.restored(int(index["head"]), rows)
    ring.changed_shards.clear()


def drop_older(folder: Path, generation: int) -> None:
    """Delete what only saves before this one consist of, and what later ones left unfinished."""
    needed = {f"index-{generation}.json", *_index(folder, generation)["crc32"]}
    for match in (*_matches(folder, _INDEX), *_matches(folder, _FILE)):
        if match.string not in needed:
            (folder / match.string).unlink(missing_ok=True)


def _matches(folder: Path, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    return [match for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]


def _index(folder: Path, generation: int) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / f"index-{generation}.json").read_text(encoding="utf-8"))
    return index


def _kept(index: dict[str, Any], stem: str) -> tuple[str, int] | None:
    """Return the file of a shard in an earlier save, and its checksum."""
    found = [(file, crc) for file, crc in index["crc32"].items() if file.startswith(f"{stem}-")]
    return found[0] if found else None


def _write(path: Path, rows: NDArray[Any]) -> int:
    with atomic_path(path) as temporary:
        np.save(temporary, rows, allow_pickle=False)
    return zlib.crc32(np.ascontiguousarray(rows).data)


def _read(path: Path, crc: int) -> NDArray[Any]:
    rows: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    if zlib.crc32(np.ascontiguousarray(rows).data) != crc:
        raise SampleError(f"{path}: does not have the content that was saved. {go_on_without(path.parent)}")
    return rows
