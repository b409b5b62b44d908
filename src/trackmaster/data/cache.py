"""The frame cache: every frame decoded once, as one array that batches are gathered from.

By default ``train.npy`` holds every frame once as uint8 (F, 1, H, W) and ``train_windows.npy`` the first row of each
window; a cache written for other tools holds float32 windows (N, n_stack, 1, H, W) in [0, 1] instead. Readers take
both. ``cache_meta.json`` says what a cache was made from, and thereby whether it still holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from trackmaster.data.errors import DataError
from trackmaster.data.json_file import read_json, read_number
from trackmaster.data.signature import SourceSignature
from trackmaster.data.source import Frames

CACHE_META_NAME = "cache_meta.json"
CACHE_VERSION = 2
CacheDtype = Literal["uint8", "float32"]
SPLITS = ("train", "val")
REBUILD = "Rebuild the cache."


@dataclass(frozen=True)
class CacheSpec:
    """What a cache has to be made from to be usable."""

    data_dir: Path
    width: int
    height: int
    n_stack: int = 1
    val_fraction: float = 0.0
    seed: int = 42
    dtype: CacheDtype | None = None
    """None takes either kind when reading and uint8 when building."""

    def meta(self) -> dict[str, Any]:
        """Return the keys of ``cache_meta.json`` that this decides."""
        return {
            "source_data_dir": str(self.data_dir.resolve()),
            "image_size": self.width if self.width == self.height else [self.width, self.height],
            "n_stack": self.n_stack,
            "val_fraction": self.val_fraction,
            "seed": self.seed,
        }


class CachedFrames:
    """One half (training or validation) of a cache as a frame source."""

    def __init__(self, frames: Frames, starts: NDArray[np.int64], n_stack: int) -> None:
        """Wrap the arrays of a cache.

        Args:
            frames: (F, 1, H, W) uint8 with every frame once, or (N, n_stack, 1, H, W) float32 windows.
            starts: (N,) row of the first frame of each window.
            n_stack: frames per window.
        """
        self.frames = frames
        self.starts = starts
        self._shape = (n_stack, 1, int(frames.shape[-2]), int(frames.shape[-1]))
        self._offsets = np.arange(n_stack if frames.ndim == 4 else 0, dtype=np.int64)

    @property
    def sample_shape(self) -> tuple[int, int, int, int]:
        """(n_stack, 1, H, W) of one sample."""
        return self._shape

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Frames:
        """Return window ``index`` as (n_stack, 1, H, W)."""
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        return cast(Frames, self.gather(np.array([index], dtype=np.int64))[0])

    def gather(self, rows: NDArray[np.int64]) -> Frames:
        """Return the windows ``rows`` (B,) as (B, n_stack, 1, H, W), uint8 or float32 as the cache holds them."""
        first = self.starts[rows]
        if self.frames.ndim == 5:
            return cast(Frames, np.take(self.frames, first, axis=0))
        return cast(Frames, np.take(self.frames, first[:, None] + self._offsets, axis=0))


@dataclass(frozen=True)
class FrameCache:
    """An opened cache."""

    path: Path
    meta: Mapping[str, Any]
    train: CachedFrames
    val: CachedFrames | None

    @property
    def fingerprint(self) -> str:
        """What this cache was made from, as one word for the record of a run."""
        signature = self.meta.get("source_signature", {})
        return str(signature.get("sha256", "unsigned")) if isinstance(signature, Mapping) else "unsigned"


def read_cache_meta(cache_dir: Path) -> dict[str, Any]:
    """Read ``cache_meta.json``.

    Raises:
        DataError: it is missing or damaged.
    """
    path = cache_dir / CACHE_META_NAME
    meta = read_json(path, advice=REBUILD)
    if not isinstance(meta, dict):
        raise DataError(f"{path}: holds {type(meta).__name__}, expected an object. {REBUILD}")
    return meta


def stale_reason(cache_dir: Path, spec: CacheSpec, signature: SourceSignature) -> str | None:
    """Tell why a cache cannot be used for ``spec``, or return None when it can."""
    if not (cache_dir / CACHE_META_NAME).is_file():
        return "there is no cache yet"
    try:
        meta = read_cache_meta(cache_dir)
        open_cache(cache_dir, n_stack=_count(cache_dir, meta, "n_stack"))
    except DataError as error:
        return str(error)
    for key, wanted in spec.meta().items():
        if meta.get(key) != wanted:
            return f"{key} is {meta.get(key)!r} in the cache and {wanted!r} now"
    if spec.dtype is not None and spec.dtype != meta.get("dtype", "float32"):
        return f"it holds {meta.get('dtype', 'float32')} and {spec.dtype} is asked for"
    return _changed_source(meta, signature)


def _changed_source(meta: Mapping[str, Any], signature: SourceSignature) -> str | None:
    stored = meta.get("source_signature")
    if not isinstance(stored, Mapping):
        return "it does not say which files it was made from"
    for key, wanted in signature.items():
        # Caches of other programs count files only; ours must also agree about every file.
        if key == "sha256" and key not in stored and meta.get("cache_version", 1) == 1:
            continue
        if stored.get(key) != wanted:
            return "a captured file changed" if key == "sha256" else f"{key} was {stored.get(key)} and is {wanted} now"
    return None


def open_cache(cache_dir: Path, *, n_stack: int, in_ram: bool = False) -> FrameCache:
    """Open a cache, as memory maps or loaded into memory.

    Args:
        cache_dir: folder with ``train.npy`` and ``cache_meta.json``.
        n_stack: frames per window that the caller expects.
        in_ram: read everything now; saves the page faults of a set that fits.

    Raises:
        DataError: a file is missing or damaged, or its rows or stack depth differ from what the meta says.
    """
    meta = read_cache_meta(cache_dir)
    stored = _count(cache_dir, meta, "n_stack")
    if stored != n_stack:
        raise DataError(f"{cache_dir}: holds stacks of {stored} frames, {n_stack} are wanted. {REBUILD}")
    present = [split for split in SPLITS if _count(cache_dir, meta, f"n_{split}", missing=0)]
    if "train" not in present:
        raise DataError(f"{cache_dir}: holds no training samples. {REBUILD}")
    halves = {split: _open_half(cache_dir, split, meta, in_ram) for split in present}
    return FrameCache(cache_dir, meta, halves["train"], halves.get("val"))


def _count(cache_dir: Path, meta: Mapping[str, Any], key: str, *, missing: int | None = None) -> int:
    """Return a whole number of the meta; ``missing`` stands for a key that is not there."""
    path = cache_dir / CACHE_META_NAME
    value = read_number(meta.get(key, missing), key, path, advice=REBUILD)
    if value < 0 or value != int(value):
        raise DataError(f"{path}: {key} is {value:g}, expected a whole number from 0. {REBUILD}")
    return int(value)


def _open_half(cache_dir: Path, split: str, meta: Mapping[str, Any], in_ram: bool) -> CachedFrames:
    n_samples, n_stack = (_count(cache_dir, meta, key) for key in (f"n_{split}", "n_stack"))
    path, windows_path = cache_dir / f"{split}.npy", cache_dir / f"{split}_windows.npy"
    frames = _load(path, in_ram)
    if frames.ndim == 5 and frames.dtype == np.float32:
        starts = np.arange(n_samples, dtype=np.int64)
        _require_rows(path, len(frames), n_samples)
        if frames.shape[1] != n_stack:
            raise DataError(f"{path}: stacks of {frames.shape[1]}, the meta says {n_stack}. {REBUILD}")
    elif frames.ndim == 4 and frames.dtype == np.uint8:
        starts = _load(windows_path, True)
        if starts.ndim != 1 or starts.dtype.kind not in "iu":
            raise DataError(f"{windows_path}: holds {starts.dtype} {starts.shape}, expected rows of frames. {REBUILD}")
        starts = starts.astype(np.int64)
        _require_rows(path, len(frames), _count(cache_dir, meta, f"n_{split}_frames"))
        _require_rows(windows_path, len(starts), n_samples)
        if len(starts) and not 0 <= int(starts.min()) <= int(starts.max()) <= len(frames) - n_stack:
            raise DataError(f"{windows_path}: points outside of the frames. {REBUILD}")
    else:
        raise DataError(f"{path}: holds {frames.dtype} {frames.shape}, which is no frame cache. {REBUILD}")
    return CachedFrames(frames, starts, n_stack)


def _load(path: Path, in_ram: bool) -> NDArray[Any]:
    try:
        # Not np.load: that opens an archive of arrays too, which is something else than an array.
        if not in_ram:
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as handle:
            return np.lib.format.read_array(handle, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}). {REBUILD}") from None


def _require_rows(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise DataError(f"{path}: {found} rows, the meta says {expected}. {REBUILD}")
