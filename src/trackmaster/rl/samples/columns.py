"""Samples as rows of typed columns, as they travel and are stored, and back.

An observation has one column per leaf, ``obs.<leaf>`` (``obs`` where it is a single array). A leaf of ``bytes``, such
as a JPEG picture, is padded to the longest of its chunk, with the lengths in ``bytes.<leaf>``. ``crc`` holds one CRC-32
per leaf of the *uncompressed* sample, ``info.<name>`` the numbers of ``info`` that were asked for.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.rl.samples.buffer import Sample
from trackmaster.rl.samples.chunk import Chunk, Columns, SampleError
from trackmaster.rl.samples.nested import ALONE, leaves, nest

OBS, BYTES, CRC, INFO = "obs", "bytes", "crc", "info"
ACTION, REWARD, TERMINATED, TRUNCATED = "action", "reward", "terminated", "truncated"
_SCALARS = {REWARD: "<f4", TERMINATED: "|b1", TRUNCATED: "|b1"}
_PORTABLE = {"b1": "|b1", "u1": "|u1", "u2": "<u2", "u4": "<u4", "i4": "<i4", "i8": "<i8"} | {
    "i1": "<i4", "i2": "<i4", "u8": "<i8", "f2": "<f2", "f4": "<f4", "f8": "<f8",
}  # fmt: skip
"""What a dtype is stored as; those that do not travel become wider ones."""


def portable(value: Any) -> NDArray[Any]:
    """Return an array in a dtype that travels, C order and little-endian.

    Raises:
        SampleError: it holds something other than numbers.
    """
    array = np.asarray(value)
    dtype = _PORTABLE.get(array.dtype.str[1:])
    if dtype is None:
        raise SampleError(
            f"A sample holds {array.dtype} values, expected numbers. Let the sample compressor or the observation "
            "preprocessor turn them into an array of numbers or into bytes."
        )
    return np.asarray(array, dtype=dtype, order="C")


def obs_column(leaf: str) -> str:
    """Return the column of a leaf."""
    return OBS if leaf == ALONE else f"{OBS}.{leaf}"


def leaf_of(column: str) -> str:
    """Return the leaf of a column."""
    return ALONE if column == OBS else column.removeprefix(f"{OBS}.")


def is_obs(column: str) -> bool:
    """Return whether the column holds a leaf of the observation."""
    return column == OBS or column.startswith(f"{OBS}.")


def row_of(sample: Sample, *, info_keys: Sequence[str] = (), crc: NDArray[np.uint32] | None = None) -> Columns:
    """Return one sample as arrays by column, without a leading axis; bytes are arrays of uint8."""
    action, obs, reward, terminated, truncated, info = sample
    row: Columns = {ACTION: portable(action)}
    if row[ACTION].dtype.kind == "f":
        row[ACTION] = row[ACTION].astype("<f4")
    for name, leaf in leaves(obs):
        if isinstance(leaf, (bytes, bytearray)):
            row[obs_column(name)] = np.frombuffer(bytes(leaf), np.uint8)
            row[f"{BYTES}.{name}"] = np.asarray(len(leaf), "<i4")
        else:
            row[obs_column(name)] = portable(leaf)
    row |= {
        REWARD: np.asarray(reward, "<f4").reshape(()),
        TERMINATED: np.asarray(bool(terminated)),
        TRUNCATED: np.asarray(bool(truncated)),
    }
    row |= {f"{INFO}.{key}": np.asarray(info.get(key, 0.0), "<f4").reshape(()) for key in info_keys}
    return row if crc is None else row | {CRC: crc}


def stack_rows(rows: Sequence[Columns]) -> Columns:
    """Return rows as columns with a leading axis.

    Raises:
        SampleError: two rows have different names or shapes.
    """
    columns: Columns = {}
    for name, first in rows[0].items():
        parts = [row[name] for row in rows if name in row]
        if len(parts) == len(rows) and f"{BYTES}.{leaf_of(name)}" in rows[0] and is_obs(name):
            width = max(len(part) for part in parts)
            columns[name] = np.stack([np.pad(part, (0, width - len(part))) for part in parts])
        elif len(parts) == len(rows) and all(p.shape == first.shape and p.dtype == first.dtype for p in parts):
            columns[name] = np.stack(parts)
        else:
            raise SampleError(f"Samples of one episode differ in the shape or dtype of {name}; they must be alike.")
    return columns


def check_samples(chunk: Chunk) -> None:
    """Refuse a chunk that does not hold samples; whoever sent it is not trusted.

    Raises:
        SampleError: a column is missing or misshapen, the leaves do not nest, or a number is not finite.
    """
    columns, n = chunk.columns, len(chunk)
    problems = [f"{name} is missing" for name in (ACTION, *_SCALARS) if name not in columns]
    for name, dtype in _SCALARS.items():
        if name in columns and (columns[name].dtype != np.dtype(dtype) or columns[name].shape != (n,)):
            problems.append(f"{name} is {columns[name].dtype}{columns[name].shape}, expected {dtype}({n},)")
    problems += _beside(columns, n)
    names = [leaf_of(name) for name in columns if is_obs(name)]
    if not _nests(names):
        problems.append(f"the leaves of the observation are {', '.join(names) or 'missing'}")
    history = chunk.act_history
    checked = {**columns, "act_history": history}
    problems += [
        f"{name} holds values that are not finite"
        for name, c in checked.items()
        if c.dtype.kind == "f" and not np.isfinite(c).all()
    ]
    if problems:
        raise SampleError(
            f"Worker {chunk.worker_id} sent what is no run of samples (episode {chunk.episode_id}): "
            f"{'; '.join(problems)}. Look at what its environment observes and rewards."
        )


def _beside(columns: Columns, n: int) -> Iterator[str]:
    """Yield what is wrong with the columns that stand beside the samples: lengths of bytes, numbers of ``info``."""
    for name, column in columns.items():
        if name.startswith(f"{INFO}.") and column.shape != (n,):
            yield f"{name} is shaped {column.shape}, expected ({n},)"
        elif name == CRC and (column.dtype != np.dtype("<u4") or column.ndim != 2):
            yield f"{name} is {column.dtype}{column.shape}, expected uint32({n}, leaves)"
        elif name.startswith(f"{BYTES}."):
            content = columns.get(obs_column(name.removeprefix(f"{BYTES}.")))
            if column.dtype != np.dtype("<i4") or column.shape != (n,):
                yield f"{name} is {column.dtype}{column.shape}, expected int32({n},)"
            elif content is None or content.dtype != np.uint8 or content.ndim != 2:
                yield f"{name} has no bytes that it is the length of"
            elif n and not 0 <= column.min() <= column.max() <= content.shape[1]:
                yield f"{name} is from {column.min()} to {column.max()}, there are {content.shape[1]} bytes"


def samples_of(chunk: Chunk) -> Iterator[Sample]:
    """Yield the samples that a chunk brings for the first time, in order.

    ``info`` tells where each is from, what it was compressed from if the worker sends checksums, and the action buffer
    of a reset sample.
    """
    columns = chunk.columns
    for i in range(chunk.context, len(chunk)):
        step = chunk.first_step + i
        info: dict[str, Any] = {
            "worker_id": chunk.worker_id, "episode": chunk.episode_id, "step": step,
            "weights_version": chunk.weights_version,
        }  # fmt: skip
        info |= {
            name.removeprefix(f"{INFO}."): float(c[i]) for name, c in columns.items() if name.startswith(f"{INFO}.")
        }
        if CRC in columns:
            info[CRC] = columns[CRC][i]
            info["crc_before"] = columns[CRC][i - 1] if i else None
        if step == 0 and chunk.act_history.size:
            info["act_history"] = chunk.act_history
        obs = {leaf_of(name): _leaf(columns, name, i) for name in columns if is_obs(name)}
        yield (
            columns[ACTION][i], nest(obs), float(columns[REWARD][i]), bool(columns[TERMINATED][i]),
            bool(columns[TRUNCATED][i]), info,
        )  # fmt: skip


def checksums(sample: Sample) -> NDArray[np.uint32]:
    """Return one CRC-32 per leaf of an uncompressed sample: the observation's, then action, reward and both flags."""
    return np.array([_crc(value) for _, value in checked_leaves(sample)], dtype=np.uint32)


def checked_leaves(sample: Sample) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield what ``checksums`` runs over, by name."""
    action, obs, reward, terminated, truncated, _ = sample
    for name, leaf in leaves(obs):
        yield obs_column(name), portable(leaf)
    exact = portable(action)
    yield ACTION, exact.astype("<f4") if exact.dtype.kind == "f" else exact
    yield REWARD, np.asarray(reward, "<f4").reshape(())
    yield TERMINATED, np.asarray(bool(terminated))
    yield TRUNCATED, np.asarray(bool(truncated))


def _leaf(columns: Columns, name: str, i: int) -> Any:
    lengths = columns.get(f"{BYTES}.{leaf_of(name)}")
    return columns[name][i] if lengths is None else columns[name][i][: int(lengths[i])].tobytes()


def _nests(names: Sequence[str]) -> bool:
    """Return whether ``nest`` can put leaves of these names together, and would get them all."""
    try:
        return bool(names) and sorted(name for name, _ in leaves(nest({n: n for n in names}))) == sorted(names)
    except (KeyError, AttributeError, TypeError):
        return False


def _crc(value: NDArray[Any]) -> int:
    """Include dtype and shape, so that no array passes for another with the same bytes."""
    return zlib.crc32(value.tobytes(), zlib.crc32(f"{value.dtype.str}{value.shape}".encode()))
