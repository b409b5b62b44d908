"""Captured frames as Parquet shards in the layout of the Hugging Face hub, with a dataset card.

Memory is bounded by one row group and one manifest, whatever the size of the tree. Shards appear under their name when
they are whole, inside a folder that becomes the export when all of them are there; a stopped export continues.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trackmaster.capture.writer import write_json
from trackmaster.data.card import dataset_card
from trackmaster.data.errors import DataError
from trackmaster.data.export_rows import SCHEMA_VERSION, ReplayRows, arrow_schema, load_pyarrow, plain_name
from trackmaster.data.json_file import read_json
from trackmaster.data.origin import is_all_ours
from trackmaster.data.signature import source_signature
from trackmaster.data.split import Split, refuse_shared_maps
from trackmaster.data.tree import ReplayFolder
from trackmaster.files import atomic_path, atomic_write_text, swap_in
from trackmaster.progress import progress

EXPORT_NAME, CARD_NAME, SHARD_FOLDER = "export.json", "README.md", "data"
SPLIT_NAMES = ("train", "validation")
ROW_GROUP = 256
"""Frames in memory at a time."""


@dataclass(frozen=True)
class Shard:
    """A stretch of the frames of one half, laid end to end."""

    split: str
    name: str
    first: int
    last: int


@dataclass(frozen=True)
class ExportSpec:
    """How an export is to look."""

    name: str
    shard_frames: int = 8192
    keep_names: bool = False
    """Show the names of replay folders, which usually hold the login of the driver."""


def plan_shards(split: Split, shard_frames: int) -> list[Shard]:
    """Return the shards of both halves, named as the hub's libraries expect it."""
    shards = []
    for name, half in zip(SPLIT_NAMES, (split.train, split.val), strict=True):
        total = sum(len(replay) for replay in half)
        ends = [*range(0, total, shard_frames), total]
        for number, (first, last) in enumerate(pairwise(ends)):
            file = f"{name}-{number:05d}-of-{len(ends) - 1:05d}.parquet"
            shards.append(Shard(name, file, first, last))
    return shards


def export_dataset(split: Split, output_dir: Path, spec: ExportSpec, *, show_progress: bool = True) -> dict[str, Any]:
    """Write an export, or continue one that was stopped; one that is whole already is left as it is.

    Args:
        split: what becomes ``train`` and ``validation``.
        output_dir: folder of the export; it appears when everything is there, and replaces an older export.
        spec: how it is to look.
        show_progress: draw a bar on a terminal.

    Returns:
        The content of ``export.json``.

    Raises:
        DataError: pyarrow is missing, a frame or a manifest cannot be read, a map stands in both halves, or
            ``output_dir`` holds something else than an export.
    """
    load_pyarrow()
    refuse_shared_maps(split.train, split.val)
    output_dir = output_dir.resolve()
    _refuse_foreign_folder(output_dir)
    plan = _plan(split, spec)
    if _content_of(output_dir / EXPORT_NAME) == plan:
        return plan
    partial = output_dir.with_name(f".{output_dir.name}.partial")
    if _content_of(partial / EXPORT_NAME) != plan:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / EXPORT_NAME, plan)
    halves = dict(zip(SPLIT_NAMES, (split.train, split.val), strict=True))
    shards = plan_shards(split, spec.shard_frames)
    _remove_halves(partial / SHARD_FOLDER, {shard.name for shard in shards})
    for shard in progress(shards, desc="writing shards", enabled=show_progress):
        target = partial / SHARD_FOLDER / shard.name
        if not _is_whole(target, shard.last - shard.first):
            _write_shard(target, halves[shard.split], shard, spec)
    atomic_write_text(partial / CARD_NAME, dataset_card(plan))
    swap_in(partial, output_dir)
    return plan


def _remove_halves(folder: Path, shards: set[str]) -> None:
    """Remove what a killed export was writing."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in shards:
            path.unlink()


def _plan(split: Split, spec: ExportSpec) -> dict[str, Any]:
    replays = (*split.train, *split.val)
    halves = zip(SPLIT_NAMES, (split.train, split.val), strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": spec.name,
        "shard_frames": spec.shard_frames,
        "keep_names": spec.keep_names,
        "is_all_ours": is_all_ours(replays),
        "source_signature": dict(source_signature(replays)),
        "splits": {
            name: {
                "frames": sum(len(replay) for replay in half),
                "replays": len(half),
                "maps": len({replay.map_uid or replay.track_id for replay in half}),
                "tracks": [plain_name(track) for track in dict.fromkeys(replay.track_id for replay in half)],
            }
            for name, half in halves
            if half
        },
        "shards": [shard.name for shard in plan_shards(split, spec.shard_frames)],
    }


def _write_shard(target: Path, replays: Sequence[ReplayFolder], shard: Shard, spec: ExportSpec) -> None:
    parquet = load_pyarrow("pyarrow.parquet")
    with atomic_path(target) as temporary:
        # Pictures are compressed already, and a dictionary of them would only cost memory.
        columns = [name for name in arrow_schema().names if name != "image"]
        with parquet.ParquetWriter(temporary, arrow_schema(), compression="zstd", use_dictionary=columns) as writer:
            for table in _tables(replays, shard, spec):
                writer.write_table(table, row_group_size=ROW_GROUP)
        if not _is_whole(temporary, shard.last - shard.first):
            raise DataError(f"{target}: what was written cannot be read back. Is the disk full or failing?")


def _tables(replays: Sequence[ReplayFolder], shard: Shard, spec: ExportSpec) -> Iterator[Any]:
    """Yield the frames of a shard, at most a row group at a time and one replay after the other."""
    offsets = np.concatenate([[0], np.cumsum([len(replay) for replay in replays])])
    for number, replay in enumerate(replays):
        start, end = max(shard.first, int(offsets[number])), min(shard.last, int(offsets[number + 1]))
        if start >= end:
            continue
        rows = ReplayRows(replay, shown_name(replay, replays, spec.keep_names))
        for first in range(start, end, ROW_GROUP):
            wanted = range(first, min(first + ROW_GROUP, end))
            yield rows.table([row - int(offsets[number]) for row in wanted])


def shown_name(replay: ReplayFolder, replays: Sequence[ReplayFolder], keep_names: bool) -> str:
    """Return the name of a replay in an export: its folder's, or its number within the track without the driver."""
    if keep_names:
        return plain_name(replay.name)
    mates = [one.name for one in replays if one.track_id == replay.track_id]
    return f"replay_{mates.index(replay.name) + 1:05d}"


def _is_whole(path: Path, rows: int) -> bool:
    if not path.is_file():
        return False
    pa, parquet = load_pyarrow(), load_pyarrow("pyarrow.parquet")
    try:
        return bool(parquet.read_metadata(path).num_rows == rows)
    except (pa.ArrowException, OSError):
        return False


def _content_of(path: Path) -> Mapping[str, Any] | None:
    try:
        content = read_json(path) if path.is_file() else None
    except DataError:  # half a plan of a killed run says nothing
        return None
    return content if isinstance(content, dict) else None


def _refuse_foreign_folder(output_dir: Path) -> None:
    if output_dir == Path.cwd():
        raise DataError(f"{output_dir}: is the folder you are in, and an export takes the place of its folder.")
    if not output_dir.exists():
        return
    if not output_dir.is_dir():
        raise DataError(f"{output_dir}: is a file; an export needs a folder of its own. Choose another name.")
    if any(output_dir.iterdir()) and _content_of(output_dir / EXPORT_NAME) is None:
        raise DataError(f"{output_dir}: holds files but no export, which would replace them. Choose a new folder.")
