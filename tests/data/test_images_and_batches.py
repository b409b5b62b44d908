"""Pictures are decoded antialiased or refused; batches come in the same order for any number of threads."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from trackmaster.data import BatchLoader, DataError, ReplayFrameDataset, find_replays, load_gray
from trackmaster.data.decode import FrameList, decode_frames
from trackmaster.data.images import jpeg_size


def picture(height: int, width: int, channels: int = 1) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (9, 9, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(256, 256), (250, 255), (128, 128), (600, 800), (64, 64), (70, 90)])
def test_scaled_decoding_equals_a_full_decode_and_area_resize(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "f.jpeg"
    cv2.imwrite(str(path), picture(*size), [cv2.IMWRITE_JPEG_QUALITY, 95])
    full = cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (64, 64), interpolation=cv2.INTER_AREA)
    fast = load_gray(path, 64, 64)
    assert fast.shape == (64, 64)
    assert np.abs(fast.astype(int) - full).mean() < 1.0
    assert jpeg_size(path.read_bytes()) == (size[1], size[0])


def test_fine_stripes_become_grey_and_not_a_pattern(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256), dtype=np.uint8)
    stripes[:, ::2] = 255
    cv2.imwrite(str(tmp_path / "f.png"), stripes)
    assert np.ptp(load_gray(tmp_path / "f.png", 64, 64)) <= 1


def test_colour_becomes_grey_with_the_agents_weights(tmp_path: Path) -> None:
    colour = picture(64, 64, 3)
    expected = colour.astype(float) @ [0.114, 0.587, 0.299]
    cv2.imwrite(str(tmp_path / "f.png"), colour)
    np.save(tmp_path / "bgr.npy", colour)
    np.save(tmp_path / "bgra.npy", np.dstack([colour, colour[..., :1]]))
    for name in ("f.png", "bgr.npy", "bgra.npy"):
        assert np.abs(load_gray(tmp_path / name, 64, 64) - expected).max() <= 1.5


def test_grey_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    grey = picture(64, 64)
    np.save(tmp_path / "a.npy", grey)
    np.save(tmp_path / "b.npy", grey[None])
    assert np.array_equal(load_gray(tmp_path / "a.npy", 64, 64), grey)
    assert np.array_equal(load_gray(tmp_path / "b.npy", 64, 64), grey)


@pytest.mark.parametrize(
    "name", ["cut.jpeg", "empty.jpeg", "text.png", "missing.jpeg", "text.npy", "float.npy", "archive.npy"]
)
def test_unreadable_frames_are_errors_and_never_black(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "cut.jpeg":
        path.write_bytes(cv2.imencode(".jpeg", picture(64, 64))[1].tobytes()[:400])
    elif name == "archive.npy":
        with path.open("wb") as handle:
            np.savez(handle, picture=np.zeros((64, 64), dtype=np.uint8))
    elif name == "float.npy":
        np.save(path, np.zeros((64, 64)))
    elif name != "missing.jpeg":
        path.write_bytes(b"" if name == "empty.jpeg" else b"no picture at all")
    with pytest.raises(DataError, match=name):
        load_gray(path, 64, 64)


def test_a_broken_frame_stops_decoding_with_its_name(make_replay, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = make_replay(n=5)
    (folder / "frame_00002_20ms.jpeg").write_bytes(b"gone")
    replay = find_replays(tmp_path / "img")[0]
    files = FrameList.of([replay.path], [replay.files])
    out = np.empty((5, 1, 64, 64), dtype=np.uint8)
    with pytest.raises(DataError, match="frame_00002_20ms"):
        list(decode_frames(files, out, workers=2))


def test_samples_are_windows_of_one_replay_oldest_first(tree: Path) -> None:
    dataset = ReplayFrameDataset(tree, width=64, height=64, n_stack=3)
    assert len(dataset) == (6 - 2) + (7 - 2) + (8 - 2) + (5 - 2) + (7 - 2)
    for index in range(len(dataset)):
        frames = dataset.window_frames(index)
        assert len({(track, name) for track, name, _, _ in frames}) == 1
        assert [step for _, _, step, _ in frames] == list(range(frames[0][2], frames[0][2] + 3))
    replay = dataset.replays[1]
    window = dataset[4]  # the first window of the second replay
    assert dataset.window_frames(4)[0][:2] == (replay.track_id, replay.name)
    for position in range(3):
        assert np.array_equal(window[position, 0], load_gray(replay.frame_path(position), 64, 64))
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_order_depends_on_seed_and_epoch_and_not_on_threads(tree: Path) -> None:
    dataset = ReplayFrameDataset(tree, width=64, height=64)
    reference = [batch.copy() for batch in BatchLoader(dataset, 4, seed=7, workers=0).batches(2)]
    threaded = list(BatchLoader(dataset, 4, seed=7, workers=3, prefetch=2).batches(2))
    assert [len(batch) for batch in threaded] == [4] * 8 + [1]
    assert all(np.array_equal(a, b) for a, b in zip(reference, threaded, strict=True))
    loader = BatchLoader(dataset, 4, seed=7)
    assert sorted(loader.order(0).tolist()) == list(range(33))
    assert loader.order(0).tolist() != loader.order(1).tolist()
    assert BatchLoader(dataset, 4).order(5).tolist() == list(range(33))
    once = BatchLoader(dataset, 4, seed=7, reshuffle=False)
    assert once.order(5).tolist() == once.order(0).tolist() == loader.order(0).tolist()


def test_incomplete_batches_can_be_dropped_but_not_all(tree: Path) -> None:
    dataset = ReplayFrameDataset(tree, width=64, height=64)
    assert [len(batch) for batch in BatchLoader(dataset, 10, drop_last=True).batches(0)] == [10, 10, 10]
    with pytest.raises(DataError, match="33 samples do not fill one batch of 64"):
        BatchLoader(dataset, 64, drop_last=True)
