"""Samples that a memory begins with: columns in an ``.npz`` file, or in a folder with one ``.npy`` file each.

The columns are those of a chunk: ``action``, ``obs`` or ``obs.<leaf>``, ``reward``, ``terminated`` and ``truncated``.
Row 0 and every row behind a terminated or truncated one are what ``reset`` returned.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError
from trackmaster.rl.samples.columns import ACTION, BYTES, REWARD, TERMINATED, TRUNCATED, is_obs, portable

REQUIRED = (ACTION, REWARD, TERMINATED, TRUNCATED)
_DAMAGE = (OSError, ValueError, EOFError, KeyError, SyntaxError, zipfile.BadZipFile)


def read_dataset(path: Path) -> Iterator[Chunk]:
    """Yield one chunk per episode.

    Raises:
        SampleError: the file is missing or damaged, or its columns do not make samples.
    """
    columns = _columns(path)
    missing = [name for name in REQUIRED if name not in columns]
    missing += [] if any(map(is_obs, columns)) else ["obs"]
    foreign = [name for name in columns if name not in REQUIRED and not is_obs(name)]
    lengths = {len(column) for column in columns.values() if column.ndim}
    if missing or foreign or len(lengths) != 1 or not all(column.ndim for column in columns.values()):
        raise SampleError(
            f"{path}: no samples (missing: {', '.join(missing) or 'none'}; unknown: {', '.join(foreign) or 'none'}; "
            f"rows: {sorted(lengths)}). Expected columns of equal length: {', '.join(REQUIRED)}, obs or obs.<leaf>."
        )
    over = columns[TERMINATED].astype(bool) | columns[TRUNCATED].astype(bool)
    starts = np.concatenate(([0], np.flatnonzero(over[:-1]) + 1))
    for episode, (start, end) in enumerate(zip(starts, [*starts[1:], len(over)], strict=True)):
        yield Chunk(
            session="dataset", seq=episode, worker_id=0, episode_id=episode, first_step=0, context=0,
            weights_version=-1, columns={name: column[start:end] for name, column in columns.items()},
            end_of_episode=bool(over[end - 1]), n_steps=int(end - start) - 1,
        )  # fmt: skip


def _columns(path: Path) -> Columns:
    found: dict[str, Any] = {}
    try:
        if path.is_dir():
            found = {file.stem: np.load(file, allow_pickle=False) for file in sorted(path.glob("*.npy"))}
        else:
            with np.load(path, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise SampleError(f"dataset_path {path}: there is no such file or folder.") from None
    except (*_DAMAGE, AttributeError, TypeError) as error:
        raise SampleError(
            f"dataset_path {path}: cannot be read as an .npz file without Python objects ({type(error).__name__}: "
            f"{error}). Save the columns with numpy.savez."
        ) from None
    columns = {name: portable(array) for name, array in found.items() if not name.startswith(f"{BYTES}.")}
    for name, dtype in ((ACTION, None), (REWARD, "<f4"), (TERMINATED, "|b1"), (TRUNCATED, "|b1")):
        if name in columns:
            is_float = columns[name].dtype.kind == "f"
            columns[name] = columns[name].astype(dtype or ("<f4" if is_float else columns[name].dtype))
    return columns
