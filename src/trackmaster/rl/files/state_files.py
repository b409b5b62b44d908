"""A tree of plain values and arrays in two files: ``<name>.json`` and the bytes of its arrays beside it.

Nothing is pickled; what is read is checked against the length and checksum that were written.
"""

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trackmaster.files import atomic_write_bytes, atomic_write_text
from trackmaster.rl.samples.chunk import SampleError

ARRAY = "__array__"


class _Writer:
    """Takes the arrays out of a tree and lays them one after the other."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def strip(self, value: object) -> Any:
        """Return the value with the place of every array in its stead."""
        if isinstance(value, np.ndarray):
            content = value.tobytes()
            place = {ARRAY: [value.dtype.str, list(value.shape), self.size]}
            self.parts.append(content)
            self.size += len(content)
            return place
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Mapping):
            return {str(key): self.strip(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.strip(part) for part in value]
        return value


def write_tree(folder: Path, name: str, tree: object) -> None:
    """Write a tree of dictionaries with text keys, sequences, arrays and plain values; tuples come back as lists."""
    writer = _Writer()
    skeleton = writer.strip(tree)
    content = b"".join(writer.parts)
    atomic_write_bytes(folder / f"{name}.bin", content)
    sealed = {"tree": skeleton, "bytes": len(content), "crc32": zlib.crc32(content)}
    atomic_write_text(folder / f"{name}.json", json.dumps(sealed))


def read_tree(folder: Path, name: str) -> Any:
    """Return what was written.

    Raises:
        SampleError: a file is missing or damaged.
    """
    try:
        sealed = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        content = (folder / f"{name}.bin").read_bytes()
        _check(content, sealed, name)
        return _fill(sealed["tree"], content)
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise SampleError(
            f"{folder / name}.json: the saved state is damaged ({type(error).__name__}: {error}). Delete {folder} to "
            "continue with an empty memory and new episodes."
        ) from error


def _check(content: bytes, sealed: Mapping[str, Any], name: str) -> None:
    if (len(content), zlib.crc32(content)) != (sealed["bytes"], sealed["crc32"]):
        raise ValueError(f"{name}.bin does not have the content that was saved")


def _fill(value: Any, content: bytes) -> Any:
    if isinstance(value, dict):
        if ARRAY in value:
            dtype, shape, offset = value[ARRAY]
            if np.dtype(dtype).hasobject:
                raise ValueError(f"an array of {dtype} holds Python objects")
            count = math.prod(shape)
            return np.frombuffer(content, dtype, count, offset).reshape(shape).copy()
        return {key: _fill(part, content) for key, part in value.items()}
    return [_fill(part, content) for part in value] if isinstance(value, list) else value
