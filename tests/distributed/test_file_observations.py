"""What agents of a config.json learn from: numbers of the order of 1, the pictures and histories that the file says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.distributed.config_json.config import RunConfig
from trackmaster.distributed.config_json.file import run_config
from trackmaster.distributed.config_json.folder import RunFolder
from trackmaster.distributed.config_json.roles import make_training_cls, make_worker
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.memory.torch_memory import TorchMemory
from trackmaster.rl.samples.chunk import SampleError
from trackmaster.rl.samples.nested import leaves, map_leaves

STEPS = 15


def written(said: dict[str, Any]) -> RunConfig:
    """Return a small run that checks every rebuilt transition."""
    small = {
        "ROUNDS_PER_EPOCH": 1, "TRAINING_STEPS_PER_ROUND": 2, "MAX_EPOCHS": 1, "BATCH_SIZE": 4, "MEMORY_SIZE": 200,
        "ENVIRONMENT_STEPS_BEFORE_TRAINING": 5, "RW_MAX_SAMPLES_PER_EPISODE": STEPS, "CUDA_TRAINING": False,
        "DEBUG_MODE": True,
    }  # fmt: skip
    return run_config(small | said, source="test")


@pytest.mark.parametrize("name", ["SIMULATOR", "SIMULATOREXACTLIDAR", "SIMULATORLIDAR", "SIMULATORLIDARPROGRESS"])
def test_a_fresh_policy_is_not_saturated(tmp_path: Path, name: str) -> None:
    config = written({"ENV": {"RTGYM_INTERFACE": name}})
    torch.manual_seed(1)
    with make_worker(config, RunFolder(tmp_path), standalone=True, say=lambda _: None) as worker:
        obs, _ = worker.reset(collect_samples=False)
        for _ in range(STEPS - 1):
            obs, *_ = worker.step(obs, False, False)
        numbers = {leaf: np.abs(values).max() for leaf, values in leaves(obs) if values.dtype != np.uint8}
        assert max(numbers.values()) <= 1.5, numbers
        one = map_leaves(lambda leaf: torch.from_numpy(np.asarray(leaf)[None]), obs)
        with torch.no_grad():
            mean, log_std = worker.actor.policy.distribution(one)  # type: ignore[attr-defined]
        assert float(mean.abs().max()) < 1.0
        assert float(log_std.abs().max()) < 1.0


@pytest.mark.parametrize(
    "said",
    [
        {"IMG_GRAYSCALE": False},
        {"ENV": {"RTGYM_CONFIG": {"interface_kwargs": {"img_hist_len": 2}}}},
        {"ACT_BUF_LEN": 2, "ENV": {"RTGYM_CONFIG": {"act_in_obs": False}}},
    ],
)
def test_memory_and_networks_follow_what_the_file_says_of_observations(tmp_path: Path, said: dict[str, Any]) -> None:
    """A worker's samples are rebuilt bit for bit, and an agent learns from them."""
    config, link = written(said), InProcessTransport()
    lines: list[str] = []
    with make_worker(config, RunFolder(tmp_path), say=lambda _: None, end=link) as worker:
        worker.run(nb_episodes=1, verbose=False)
    training = make_training_cls(config, RunFolder(tmp_path), say=lines.append)()
    stats = training.run_epoch(link)
    assert np.isfinite(stats[0]["loss_critic"])
    assert sum(line.startswith("CRC check passed") for line in lines) == 2


def test_a_memory_of_unscaled_observations_is_not_mixed_with_scaled_ones(tmp_path: Path) -> None:
    state = TorchMemory("cpu", 1, memory_size=10).save(tmp_path)
    del state["observed_as"]  # as older programs wrote it
    with pytest.raises(SampleError, match="as the environment gives them, this run sees them as scaled_full"):
        TorchMemory("cpu", 1, memory_size=10, observed_as="scaled_full").load(tmp_path, state)
    TorchMemory("cpu", 1, memory_size=10).load(tmp_path, state)
