"""Files of a saved replay memory: one array per column, and ``memory.json`` with the rest and a checksum of each."""

import json
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trackmaster.files import atomic_dir
from trackmaster.rl.samples.chunk import Columns, SampleError

STATE_FILE = "memory.json"
_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, EOFError, MemoryError, ArithmeticError, RecursionError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip
"""What reading damaged JSON and arrays raises, NumPy's header parser included."""


def write_memory(folder: Path, columns: Columns, rows: int, state: dict[str, Any]) -> None:
    """Write the first rows of every column and ``state``; ``folder`` changes only when all of it is written."""
    filled = {name: column[:rows] for name, column in columns.items()}
    with atomic_dir(folder) as temporary:
        for name, column in filled.items():
            np.save(temporary / f"{name}.npy", column, allow_pickle=False)
        sealed = {**state, "crc32": {name: zlib.crc32(column.data) for name, column in filled.items()}}
        (temporary / STATE_FILE).write_text(json.dumps(sealed), encoding="utf-8")


def read_state(folder: Path) -> dict[str, Any]:
    """Return what was given to ``write_memory`` as state, and the checksums."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    return state


def read_columns(folder: Path, columns: Columns, rows: int, checksums: dict[str, int]) -> Columns:
    """Return the stored rows, mapped into memory and compared with their checksums.

    Args:
        folder: what ``write_memory`` wrote.
        columns: arrays of the dtypes and row shapes that are expected.
        rows: how many rows.
        checksums: CRC-32 by column.

    Raises:
        SampleError: a column has another form or another content.
    """
    stored: Columns = {}
    for name, column in columns.items():
        path = folder / f"{name}.npy"
        # Mapped, so that a damaged header cannot ask for more memory than the file has bytes.
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        if array.shape != (rows, *column.shape[1:]) or array.dtype != column.dtype:
            raise SampleError(f"{folder}: column {name} is {array.dtype}{array.shape}: made by another configuration.")
        if zlib.crc32(array.data) != checksums[name]:
            raise SampleError(f"{path}: does not have the content that was saved. {go_on_without(folder)}")
        stored[name] = array
    return stored


def go_on_without(folder: Path) -> str:
    """Return what to do about a memory that cannot be used."""
    return f"Delete {folder} to continue with an empty memory."


@contextmanager
def damage_as_sentence(folder: Path) -> Iterator[None]:
    """Turn whatever reading a damaged memory raises into a ``SampleError``."""
    try:
        yield
    except _DAMAGE as error:
        raise SampleError(
            f"{folder}: the saved memory is damaged ({type(error).__name__}: {error}). {go_on_without(folder)}"
        ) from error
