"""Small captured trees, made up in a temporary folder."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackmaster.data import frame_name

MakeReplay = Callable[..., Path]


@pytest.fixture
def make_replay(tmp_path: Path) -> MakeReplay:
    """Return a function that writes one replay folder under ``tmp_path/img`` and returns it."""

    def make(
        track_id: str = "1001",
        name: str = "pos1_driver_90000ms.replay",
        *,
        times_ms: list[int] | None = None,
        n: int = 6,
        size: int = 64,
        map_uid: str | None = None,
        interval_ms: float | None = 10.0,
        seed: int = 0,
    ) -> Path:
        folder = tmp_path / "img" / track_id / name
        folder.mkdir(parents=True)
        times = times_ms if times_ms is not None else [10 * step for step in range(n)]
        rng = np.random.default_rng([seed, int(track_id), len(name)])
        for step, time_ms in enumerate(times):
            coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            picture = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
            assert cv2.imwrite(str(folder / frame_name(step, time_ms)), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        metadata: dict[str, object] = {"track_id": track_id, "replay_name": name, "step_ms": 10}
        if map_uid is not None:
            metadata["map_uid"] = map_uid
        if interval_ms is not None:
            metadata["capture_interval_ms"] = interval_ms
        (folder / "metadata.json").write_text(json.dumps(metadata))
        (folder / "manifest.json").write_text(json.dumps({"entries": [], "actions": [], "meta": []}))
        return folder

    return make


@pytest.fixture
def tree(tmp_path: Path, make_replay: MakeReplay) -> Path:
    """Four maps, the last with two replays; 33 frames in all."""
    for number in range(3):
        make_replay(str(1001 + number), map_uid=f"uid{number}", n=6 + number)
    make_replay("1004", "pos1_a_80000ms.replay", map_uid="uid3", n=5)
    make_replay("1004", "pos2_b_81000ms.replay", map_uid="uid3", n=7, seed=1)
    return tmp_path / "img"
