"""Building a frame cache: beside its final place, resumable after any interruption, renamed when it is complete."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.writer import write_json
from trackmaster.data.cache import CACHE_META_NAME, SPLITS, CacheSpec, FrameCache, open_cache, stale_reason
from trackmaster.data.cache_plan import (
    PLAN_NAME,
    STATE_NAME,
    BuildState,
    cache_plan,
    refuse_foreign_folder,
    resume_point,
    row_index,
)
from trackmaster.data.decode import FrameList, decode_frames
from trackmaster.data.signature import SourceSignature, source_signature
from trackmaster.data.split import split_by_map
from trackmaster.data.tree import ReplayFolder, find_replays
from trackmaster.data.windows import stack_windows
from trackmaster.files import sha256_of
from trackmaster.progress import progress

COMMIT_FRAMES = 8192
"""Frames between two notes of how far the build is: what a kill costs at most."""

_WINDOW_BLOCK = 1024
_log = logging.getLogger(__name__)


def ensure_cache(
    spec: CacheSpec,
    cache_dir: Path,
    *,
    replays: Sequence[ReplayFolder] | None = None,
    signature: SourceSignature | None = None,
    workers: int = 0,
    in_ram: bool = False,
    force: bool = False,
    show_progress: bool = True,
) -> FrameCache:
    """Open the cache of a data set, building it first when it is missing or no longer true.

    Args:
        spec: what the cache must be made from.
        cache_dir: where it is kept.
        replays: the replays under ``spec.data_dir`` when they are listed already.
        signature: their fingerprint when it is known already.
        workers: decoding threads, 0 for one per core.
        in_ram: load the arrays instead of mapping them.
        force: build even when the present cache is valid.
        show_progress: draw a bar on a terminal.

    Raises:
        DataError: the tree or one of its frames cannot be used, or ``cache_dir`` holds something else than a cache.
    """
    found = tuple(replays) if replays is not None else find_replays(spec.data_dir)
    signature = signature or source_signature(found)
    cache_dir = cache_dir.resolve()  # "." has no name to put the unfinished one beside
    reason = "a rebuild was asked for" if force else stale_reason(cache_dir, spec, signature)
    if reason is not None:
        _log.info("building the frame cache in %s: %s", cache_dir, reason)
        _build(spec, cache_dir, found, signature, workers, show_progress)
    return open_cache(cache_dir, n_stack=spec.n_stack, in_ram=in_ram)


def _build(
    spec: CacheSpec,
    cache_dir: Path,
    replays: Sequence[ReplayFolder],
    signature: SourceSignature,
    workers: int,
    show_progress: bool,
) -> None:
    refuse_foreign_folder(cache_dir)
    split = split_by_map(replays, spec.val_fraction, spec.seed)
    plan = cache_plan(spec, split, signature)
    partial = cache_dir.with_name(f".{cache_dir.name}.partial")
    state = resume_point(partial, plan)
    hashes: dict[str, str] = {}
    offset = 0
    for name, half in zip(SPLITS, (split.train, split.val), strict=True):
        if half:
            if not state.is_complete(name):
                _build_half(partial, name, half, spec, state, workers, show_progress)
                np.save(partial / f"{name}_index.npy", row_index(half, offset, plan, spec))
                state.finish(name)
            hashes[name] = sha256_of(partial / f"{name}.npy")
        offset += len(half)
    write_json(partial / CACHE_META_NAME, {**plan, "data_hash": hashes})
    _replace_folder(partial, cache_dir)


def _build_half(
    partial: Path,
    name: str,
    replays: tuple[ReplayFolder, ...],
    spec: CacheSpec,
    state: BuildState,
    workers: int,
    show_progress: bool,
) -> None:
    frames_path, final_path = partial / f"{name}_frames.npy", partial / f"{name}.npy"
    starts = stack_windows(replays, spec.n_stack)
    if spec.dtype == "float32":
        frames = _decode_half(frames_path, name, replays, spec, state, workers, show_progress)
        _write_float_windows(final_path, frames, starts, spec.n_stack)
        del frames
        frames_path.unlink()
        return
    if not final_path.exists():
        frames = _decode_half(frames_path, name, replays, spec, state, workers, show_progress)
        del frames  # the map must be closed before the file moves (Windows)
        frames_path.replace(final_path)
    np.save(partial / f"{name}_windows.npy", starts)


def _decode_half(
    path: Path,
    name: str,
    replays: tuple[ReplayFolder, ...],
    spec: CacheSpec,
    state: BuildState,
    workers: int,
    show_progress: bool,
) -> NDArray[np.uint8]:
    """Decode all frames of ``replays`` into the array at ``path``, from the row that ``state`` has reached."""
    files = FrameList.of([replay.path for replay in replays], [replay.files for replay in replays])
    start = state.rows(name) if path.exists() else 0
    frames = np.lib.format.open_memmap(
        path, mode="r+" if start else "w+", dtype=np.uint8, shape=(len(files), 1, spec.height, spec.width)
    )
    committed = reached = start
    ends = decode_frames(files, frames, workers=workers, start=start)
    rows = progress(
        _each_row(ends, start), desc=f"decoding {name} frames", total=len(files) - start, enabled=show_progress
    )
    try:
        for row in rows:
            reached = row + 1
            if reached - committed >= COMMIT_FRAMES:
                frames.flush()
                state.commit(name, reached)
                committed = reached
    finally:
        ends.close()
        frames.flush()
        state.commit(name, reached)
    return frames


def _each_row(ends: Iterator[int], start: int) -> Iterator[int]:
    """Count up to every row that is done, so that a progress bar counts frames and not jobs."""
    for end in ends:
        yield from range(start, end)
        start = end


def _write_float_windows(path: Path, frames: NDArray[np.uint8], starts: NDArray[np.int64], n_stack: int) -> None:
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(starts), n_stack, *frames.shape[1:]))
    offsets = np.arange(n_stack, dtype=np.int64)
    for first in range(0, len(starts), _WINDOW_BLOCK):
        rows = starts[first : first + _WINDOW_BLOCK, None] + offsets
        np.divide(frames[rows], np.float32(255), out=out[first : first + len(rows)])
    out.flush()


def _replace_folder(partial: Path, cache_dir: Path) -> None:
    """Put the finished folder in its place; the old cache stays until the new one is complete."""
    old = cache_dir.with_name(f".{cache_dir.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if cache_dir.exists():
        cache_dir.rename(old)
    partial.rename(cache_dir)
    shutil.rmtree(old, ignore_errors=True)
    for name in (PLAN_NAME, STATE_NAME):
        (cache_dir / name).unlink(missing_ok=True)
