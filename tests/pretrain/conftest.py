"""A small captured tree with structure to learn, and configurations that train on it in a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from trackmaster.data import frame_name
from trackmaster.pretrain import PretrainConfig

MakeConfig = Callable[..., PretrainConfig]


@pytest.fixture(autouse=True)
def one_torch_thread() -> Any:
    """Networks this small only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def frames_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three maps of 16 frames each: a bright road of changing place under a darker sky."""
    root = tmp_path_factory.mktemp("captured")
    for number in range(3):
        folder = root / str(2001 + number) / "pos1_driver_90000ms.replay"
        folder.mkdir(parents=True)
        for step in range(16):
            picture = np.full((128, 128), 60 + 30 * number, dtype=np.uint8)
            centre = 30 + 4 * step
            cv2.fillConvexPoly(picture, np.array([[centre, 60], [centre - 30, 127], [centre + 30, 127]]), 220)
            cv2.imwrite(str(folder / frame_name(step, 50 * step)), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        metadata = {"map_uid": f"uid{number}", "capture_interval_ms": 50.0}
        (folder / "metadata.json").write_text(json.dumps(metadata))
    return root


@pytest.fixture
def make_config(frames_dir: Path, tmp_path: Path) -> MakeConfig:
    """Return a function that makes a quick configuration; keyword arguments change it."""

    def make(**more: Any) -> PretrainConfig:
        lightning = {"accelerator": "cpu", "tensorboard": False, "early_stopping": False, **more.pop("lightning", {})}
        values: dict[str, Any] = {
            "data_dir": frames_dir,
            "output_dir": tmp_path / "out",
            "epochs": 2,
            "batch_size": 16,
            "workers": 1,
            "use_tqdm": False,
            "lightning": lightning,
        }
        return PretrainConfig(**{**values, **more})

    return make
