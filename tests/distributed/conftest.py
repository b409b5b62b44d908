"""The toy world, importable here and in worker processes."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.schedules import Schedule

HERE = Path(__file__).parent


@pytest.fixture
def importable_helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this folder on the path, which spawned processes inherit."""
    monkeypatch.syspath_prepend(HERE)
    yield
    for name in ("toy_lane", "toy_task"):
        sys.modules.pop(name, None)


@pytest.fixture
def toy(importable_helpers: None) -> ModuleType:
    """The module of the toy world."""
    return importlib.import_module("toy_lane")


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def toy_config() -> IQNConfig:
    """A small agent for the toy world."""

    def constant(value: float) -> Schedule:
        return Schedule([(0, value)], "linear")

    return IQNConfig(
        lr=constant(5e-3), gamma=constant(1.0),
        epsilon=Schedule([(0, 1.0), (800, 1.0), (4_000, 0.1)], "exponential"),
        epsilon_boltzmann=constant(0.0), image_height=36, image_width=36, n_floats=8, embedding_dim=16,
        float_hidden_dim=48, dense_hidden_dimension=96, float_mean=np.zeros(8, np.float32),
        float_std=np.array([15, 1, 1, 2, 2, 2, 2, 1], np.float32), batch_size=64, target_update_interval=64,
        soft_update_tau=0.05, iqn_k=8, autocast="off",
    )  # fmt: skip
