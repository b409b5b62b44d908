"""A cache is the same bytes every time, follows its source, survives interruption and never hides a mismatch."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster.data import (
    CacheSpec,
    DataError,
    ReplayFrameDataset,
    cache_build,
    ensure_cache,
    find_replays,
    open_cache,
    source_signature,
    split_by_map,
    stale_reason,
)


def spec(tree: Path, **more: Any) -> CacheSpec:
    return CacheSpec(tree, 64, 64, **{"val_fraction": 0.25, "seed": 1, **more})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def why_stale(tree: Path, cache: Path, **more: Any) -> str | None:
    return stale_reason(cache, spec(tree, **more), source_signature(find_replays(tree)))


def test_cache_holds_what_decoding_gives(tree: Path, tmp_path: Path) -> None:
    cache = ensure_cache(spec(tree, n_stack=3), tmp_path / "cache", workers=2)
    split = split_by_map(find_replays(tree), 0.25, 1)
    for half, replays in ((cache.train, split.train), (cache.val, split.val)):
        live = ReplayFrameDataset(replays, width=64, height=64, n_stack=3)
        assert half is not None
        assert len(half) == len(live)
        rows = np.arange(len(live))[::-1].copy()
        assert np.array_equal(half.gather(rows), live.gather(rows))
        assert half.sample_shape == (3, 1, 64, 64)
        assert np.array_equal(half[0], live[0])


def test_built_twice_it_is_byte_identical(tree: Path, tmp_path: Path) -> None:
    ensure_cache(spec(tree, n_stack=2), tmp_path / "a", workers=1)
    ensure_cache(spec(tree, n_stack=2), tmp_path / "b", workers=3)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == [
        "cache_meta.json", "train.npy", "train_index.npy", "train_windows.npy",
        "val.npy", "val_index.npy", "val_windows.npy",
    ]  # fmt: skip


def test_every_row_can_be_traced(tree: Path, tmp_path: Path) -> None:
    cache = ensure_cache(spec(tree), tmp_path / "cache")
    replays = {(replay.track_id, replay.name): replay for replay in find_replays(tree)}
    for name in ("train", "val"):
        index = np.load(tmp_path / "cache" / f"{name}_index.npy")
        assert len(index) == cache.meta[f"n_{name}_frames"]
        for track, replay, step, time_ms in index:
            entry = cache.meta["replays"][replay]
            assert entry["track"] == track
            found = replays[cache.meta["tracks"][track], entry["name"]]
            assert found.times_ms[step] == time_ms


def test_one_changed_picture_invalidates(tree: Path, tmp_path: Path) -> None:
    ensure_cache(spec(tree), tmp_path / "cache")
    assert why_stale(tree, tmp_path / "cache") is None
    frame = find_replays(tree)[0].frame_path(2)
    other = find_replays(tree)[0].frame_path(3)
    before = frame.stat()
    frame.write_bytes(other.read_bytes())
    os.utime(frame, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert why_stale(tree, tmp_path / "cache") == "a captured file changed"
    rebuilt = ensure_cache(spec(tree), tmp_path / "cache")
    assert why_stale(tree, tmp_path / "cache") is None
    assert rebuilt.meta["n_train"] + rebuilt.meta["n_val"] == 33


@pytest.mark.parametrize(
    ("more", "named"),
    [({"n_stack": 2}, "n_stack"), ({"seed": 9}, "seed"), ({"val_fraction": 0.0}, "val_fraction"),
     ({"dtype": "float32"}, "float32")],
)  # fmt: skip
def test_other_settings_invalidate(tree: Path, tmp_path: Path, more: dict[str, Any], named: str) -> None:
    ensure_cache(spec(tree), tmp_path / "cache")
    assert named in str(why_stale(tree, tmp_path / "cache", **more))


def test_added_and_relabelled_replays_invalidate(tree: Path, tmp_path: Path, make_replay) -> None:  # type: ignore[no-untyped-def]
    ensure_cache(spec(tree), tmp_path / "cache")
    metadata = find_replays(tree)[0].path / "metadata.json"
    metadata.write_text(json.dumps({"map_uid": "another", "capture_interval_ms": 10.0}))
    assert why_stale(tree, tmp_path / "cache") == "a captured file changed"
    make_replay("1009", n=2)
    assert why_stale(tree, tmp_path / "cache") == "n_tracks was 4 and is 5 now"


def test_float_cache_is_the_published_array(tree: Path, tmp_path: Path) -> None:
    as_float = ensure_cache(spec(tree, n_stack=2, dtype="float32"), tmp_path / "float")
    as_bytes = ensure_cache(spec(tree, n_stack=2), tmp_path / "bytes")
    array = np.load(tmp_path / "float" / "train.npy", mmap_mode="r")
    assert array.dtype == np.float32
    assert array.shape == (as_float.meta["n_train"], 2, 1, 64, 64)
    rows = np.arange(len(as_bytes.train))
    assert np.array_equal(as_float.train.gather(rows), as_bytes.train.gather(rows) / np.float32(255))
    index = np.load(tmp_path / "float" / "train_index.npy")
    assert len(index) == len(array)
    assert index[0, 2] == 1, "a row is traced by the last frame of its window"
    assert why_stale(tree, tmp_path / "float", n_stack=2) is None, "readers take both kinds"


def test_foreign_caches_are_read(tree: Path, tmp_path: Path) -> None:
    replays = find_replays(tree)
    frames = ReplayFrameDataset(replays, width=64, height=64).gather(np.arange(33)) / np.float32(255)
    signature = dict(source_signature(replays))
    del signature["sha256"]
    folder = tmp_path / "foreign"
    folder.mkdir()
    np.save(folder / "train.npy", frames)
    meta = {**spec(tree, val_fraction=0.0).meta(), "source_signature": signature, "n_train": 33, "n_val": 0}
    (folder / "cache_meta.json").write_text(json.dumps(meta))
    assert why_stale(tree, folder, val_fraction=0.0) is None
    cache = ensure_cache(spec(tree, val_fraction=0.0), folder)
    assert np.array_equal(cache.train[5], frames[5])
    assert cache.val is None
    assert cache.fingerprint == "unsigned"


def test_in_memory_and_mapped_agree(tree: Path, tmp_path: Path) -> None:
    mapped = ensure_cache(spec(tree), tmp_path / "cache")
    loaded = ensure_cache(spec(tree), tmp_path / "cache", in_ram=True)
    assert isinstance(mapped.train.frames, np.memmap)
    assert not isinstance(loaded.train.frames, np.memmap)
    rows = np.arange(5)
    assert np.array_equal(mapped.train.gather(rows), loaded.train.gather(rows))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_interrupted_build_continues_where_it_was(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    ensure_cache(spec(tree, dtype=dtype), tmp_path / "whole")
    decode = cache_build.decode_frames
    starts: list[int] = []
    cut_after = 7

    def stopping(files: Any, out: Any, *, workers: int, start: int) -> Iterator[int]:
        starts.append(start)
        for row in range(start, len(files)):
            if cut_after is not None and row - start == cut_after:
                raise KeyboardInterrupt
            yield from decode(_Upto(files, row + 1), out, workers=1, start=row)

    monkeypatch.setattr(cache_build, "decode_frames", stopping)
    monkeypatch.setattr(cache_build, "COMMIT_FRAMES", 2)
    while True:
        try:
            ensure_cache(spec(tree, dtype=dtype), tmp_path / "cut", workers=1)
            break
        except KeyboardInterrupt:
            assert not (tmp_path / "cut").exists(), "nothing half done is ever in place"
    assert len(starts) > 3
    assert sorted(starts[:3]) == starts[:3]
    assert starts[1] > 0, "the second attempt did not begin at the first frame"
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".cut*"))


class _Upto:
    """The first rows of a list of files."""

    def __init__(self, files: Any, end: int) -> None:
        self._files, self._end = files, end

    def __len__(self) -> int:
        return self._end

    def __getitem__(self, row: int) -> Path:
        return self._files[row]


def test_leftovers_of_another_build_are_not_continued(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> Iterator[int]:
        raise KeyboardInterrupt
        yield 0

    with monkeypatch.context() as patch:
        patch.setattr(cache_build, "decode_frames", fail)
        with pytest.raises(KeyboardInterrupt):
            ensure_cache(spec(tree), tmp_path / "cache")
    assert (tmp_path / ".cache.partial").is_dir()
    cache = ensure_cache(spec(tree, seed=5), tmp_path / "cache")
    assert cache.meta["seed"] == 5
    assert len(cache.train) + len(cache.val or ()) == 33


def test_a_folder_with_other_files_is_never_replaced(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no part of a cache"):
        ensure_cache(spec(tree), tree)
    assert len(find_replays(tree)) == 5
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        ensure_cache(spec(tree), tmp_path / "file")


def test_a_broken_frame_leaves_the_old_cache_in_place(tree: Path, tmp_path: Path) -> None:
    ensure_cache(spec(tree), tmp_path / "cache")
    before = contents(tmp_path / "cache")
    find_replays(tree)[0].frame_path(1).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be decoded"):
        ensure_cache(spec(tree), tmp_path / "cache")
    assert contents(tmp_path / "cache") == before


def test_rows_and_stacks_that_contradict_the_meta_are_refused(tree: Path, tmp_path: Path) -> None:
    ensure_cache(spec(tree), tmp_path / "cache")
    with pytest.raises(DataError, match="stacks of 1"):
        open_cache(tmp_path / "cache", n_stack=2)
    np.save(tmp_path / "cache" / "train.npy", np.zeros((3, 1, 64, 64), dtype=np.uint8))
    with pytest.raises(DataError, match="3 rows"):
        open_cache(tmp_path / "cache", n_stack=1)
    np.save(tmp_path / "cache" / "train.npy", np.zeros((3, 64, 64), dtype=np.int16))
    with pytest.raises(DataError, match="no frame cache"):
        open_cache(tmp_path / "cache", n_stack=1)
    (tmp_path / "cache" / "train.npy").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        open_cache(tmp_path / "cache", n_stack=1)
    assert why_stale(tree, tmp_path / "cache") is not None


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"n_train_frames": None}, "n_train_frames is None"),
        ({"n_train": "x"}, "n_train is 'x'"),
        ({"n_train": -3}, "n_train is -3"),
        ({"n_val": [1]}, r"n_val is \[1\]"),
        ({"n_stack": {}}, "n_stack is {}"),
        ({"n_stack": 1.5}, "n_stack is 1.5"),
    ],
)
def test_a_damaged_meta_is_named_and_the_cache_built_again(
    tree: Path, tmp_path: Path, damage: dict[str, Any], sentence: str
) -> None:
    cache = tmp_path / "cache"
    ensure_cache(spec(tree), cache)
    meta = json.loads((cache / "cache_meta.json").read_text()) | damage
    (cache / "cache_meta.json").write_text(json.dumps({k: v for k, v in meta.items() if v is not None}))
    with pytest.raises(DataError, match=sentence):
        open_cache(cache, n_stack=1)
    assert "Rebuild the cache." in str(why_stale(tree, cache))
    ensure_cache(spec(tree), cache)
    assert why_stale(tree, cache) is None


def test_arrays_of_another_kind_are_refused(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ensure_cache(spec(tree), cache)
    for starts in (np.array(["a"] * 33), np.zeros((33, 1), dtype=np.int64), np.zeros(33)):
        np.save(cache / "train_windows.npy", starts)
        with pytest.raises(DataError, match=r"train_windows\.npy"):
            open_cache(cache, n_stack=1)
    with (cache / "train.npy").open("wb") as handle:
        np.savez(handle, frames=np.zeros(3))
    for in_ram in (False, True):
        with pytest.raises(DataError, match="cannot be read"):
            open_cache(cache, n_stack=1, in_ram=in_ram)


@pytest.mark.parametrize(
    "state", ["[]", '{"rows": {"train": "x"}, "complete": []}', '{"rows": {"train": 3, "val": 0}}']
)
def test_a_damaged_state_of_a_build_is_not_continued(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    def fail(*args: Any, **more: Any) -> Iterator[int]:
        raise KeyboardInterrupt
        yield 0

    with monkeypatch.context() as patch:
        patch.setattr(cache_build, "decode_frames", fail)
        with pytest.raises(KeyboardInterrupt):
            ensure_cache(spec(tree), tmp_path / "cache")
    (tmp_path / ".cache.partial" / "state.json").write_text(state)
    cache = ensure_cache(spec(tree), tmp_path / "cache")
    assert len(cache.train) + len(cache.val or ()) == 33


def test_names_that_are_no_text_are_cached_too(tmp_path: Path, make_replay) -> None:  # type: ignore[no-untyped-def]
    good = make_replay("1001", map_uid="uid")
    try:
        good.rename(good.with_name(os.fsdecode(b"pos1_caf\xe9_90000ms")))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    tree, cache = tmp_path / "img", tmp_path / "cache"
    assert len(ensure_cache(spec(tree, val_fraction=0.0), cache).train) == 6
    assert why_stale(tree, cache, val_fraction=0.0) is None


def test_too_short_replays_for_a_stack_get_a_sentence(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no window of 20 consecutive frames"):
        ensure_cache(spec(tree, n_stack=20), tmp_path / "cache")


def test_the_folder_one_is_in_is_no_place_for_a_cache(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_cache(spec(tree), tmp_path / "cache")
    monkeypatch.chdir(tmp_path / "cache")
    whole = contents(Path())
    assert ensure_cache(spec(tree), Path()).train is not None, "a whole one is opened from inside"
    with pytest.raises(DataError, match="is the folder you are in"):
        ensure_cache(spec(tree), Path(), force=True)
    assert contents(tmp_path / "cache") == whole
