"""A small agent and hand-made chunks."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.samples.chunk import Chunk, SampleSpec, iqn_sample_spec
from trackmaster.rl.schedules import Schedule

N_FLOATS = 3
SPEC = iqn_sample_spec((1, 36, 36), N_FLOATS)

MakeChunk = Callable[..., Chunk]


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def spec() -> SampleSpec:
    return SPEC


@pytest.fixture
def make_chunk() -> MakeChunk:
    """Rows numbered from ``first``: picture and float 1 hold the number, so a gathered row names where it came from."""

    def make(n: int, *, first: int = 0, episode: int = 0, finished: bool = False, **columns: object) -> Chunk:
        number = np.arange(first, first + n)
        made = {
            "image": np.broadcast_to((number % 251).astype(np.uint8)[:, None, None, None], (n, 1, 36, 36)).copy(),
            "floats": np.stack((np.full(n, -7.0), number, -number), axis=1).astype(np.float32),
            "action": (number % 12).astype(np.uint8),
            "reward": (0.001 * number).astype(np.float32),
            "potential": (-0.01 * number).astype(np.float32),
            "terminated": np.zeros(n, dtype=bool),
            "truncated": np.zeros(n, dtype=bool),
            "greedy": np.ones(n, dtype=bool),
        }
        made["terminated"][-1] = finished
        made.update({k: np.asarray(v, dtype=made[k].dtype) for k, v in columns.items()})
        return Chunk("s", 0, 0, episode, 0, 0, 1, made, end_of_episode=True, n_steps=n - 1)

    return make


@pytest.fixture
def tiny_config() -> IQNConfig:
    def constant(value: float) -> Schedule:
        return Schedule([(0, value)], "linear")

    return IQNConfig(
        lr=constant(1e-3), gamma=constant(1.0), epsilon=constant(0.1), epsilon_boltzmann=constant(0.1), image_height=36,
        image_width=36, n_floats=N_FLOATS, embedding_dim=32, float_hidden_dim=32, dense_hidden_dimension=64,
        float_mean=np.zeros(N_FLOATS, np.float32), float_std=np.ones(N_FLOATS, np.float32), batch_size=64,
        target_update_interval=64, soft_update_tau=0.05, autocast="off",
    )  # fmt: skip
