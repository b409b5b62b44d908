"""Acting through ONNX Runtime gives what PyTorch gives, follows new weights, and is not needed."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trackmaster.errors import ConfigError
from trackmaster.rl.iqn.actor import IQNActor
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.config import IQNConfig

onnxruntime = pytest.importorskip("onnxruntime")


def observation(n: int, config: IQNConfig) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "image": rng.integers(0, 256, (n, config.n_frames, config.image_height, config.image_width), dtype=np.uint8),
        "floats": rng.normal(size=(n, config.n_floats)).astype(np.float32),
    }


@pytest.mark.parametrize("n_frames", [1, 3])
@pytest.mark.parametrize("n", [1, 7])
def test_both_runtimes_agree(tiny_config: IQNConfig, n: int, n_frames: int) -> None:
    config = dataclasses.replace(
        tiny_config, n_frames=n_frames, float_mean=np.array([1, 2, 3], np.float32), float_std=np.full(3, 2, np.float32)
    )
    fast, plain = (IQNActor(dataclasses.replace(config, acting=a), seed=0) for a in ("onnxruntime", "torch"))
    plain.network.load_state_dict(fast.network.state_dict())
    assert (fast.runtime, plain.runtime) == ("onnxruntime", "torch")
    seen = observation(n, config)
    np.testing.assert_allclose(fast.advantages(seen), plain.advantages(seen), atol=1e-6, rtol=0)


def test_runtimes_agree_at_the_published_size() -> None:
    from trackmaster.rl.config.training import TrainConfig

    config = dataclasses.replace(TrainConfig.load([]).to_iqn_config(), acting="onnxruntime")
    fast, plain = IQNActor(config, seed=0), IQNActor(dataclasses.replace(config, acting="torch"), seed=0)
    plain.network.load_state_dict(fast.network.state_dict())
    seen = observation(2, config)
    np.testing.assert_allclose(fast.advantages(seen), plain.advantages(seen), atol=1e-6, rtol=0)


def test_advantages_order_actions_as_the_expected_returns_do(tiny_config: IQNConfig) -> None:
    actor = IQNAgent(tiny_config, seed=3).get_actor()
    seen = observation(5, tiny_config)
    q, advantage = actor.q_values(seen), actor.advantages(seen)
    np.testing.assert_allclose(q - q[:, :1], advantage - advantage[:, :1], atol=1e-5)
    actions, _ = actor.act_batch(seen, np.ones(5, dtype=bool))
    np.testing.assert_array_equal(actions, q.argmax(axis=1))


def test_the_graph_follows_new_weights_however_they_come(tiny_config: IQNConfig) -> None:
    actor = IQNActor(dataclasses.replace(tiny_config, acting="onnxruntime"), seed=0)
    seen = observation(2, tiny_config)
    first = actor.advantages(seen)
    actor.load_tensors(IQNAgent(tiny_config, seed=9).actor_tensors())
    second = actor.advantages(seen)
    with torch.no_grad():
        actor.network.A_head[2].bias.add_(torch.arange(12.0))
    third = actor.advantages(seen)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(third - second, np.arange(12.0)[None].repeat(2, axis=0), atol=1e-5)


def test_without_onnx_runtime_pytorch_acts(tiny_config: IQNConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = IQNAgent(tiny_config, seed=3).get_actor().advantages(observation(3, tiny_config))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    actor = IQNAgent(tiny_config, seed=3).get_actor()
    assert actor.runtime == "torch"
    np.testing.assert_allclose(actor.advantages(observation(3, tiny_config)), expected, atol=1e-6)
    wanted = IQNActor(dataclasses.replace(tiny_config, acting="onnxruntime"), seed=0)
    with pytest.raises(ConfigError, match="cannot be imported"):
        wanted.advantages(observation(1, tiny_config))


def test_acting_keeps_to_one_thread(tiny_config: IQNConfig) -> None:
    actor = IQNActor(dataclasses.replace(tiny_config, acting="onnxruntime"), seed=0)
    actor.advantages(observation(1, tiny_config))
    before = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").is_dir() else 0
    for seed in range(3):
        other = IQNActor(dataclasses.replace(tiny_config, acting="onnxruntime"), seed=seed)
        other.advantages(observation(1, tiny_config))
    after = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").is_dir() else 0
    assert after == before
