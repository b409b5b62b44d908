"""Number formats with a scaled loss, and compiling with a way back."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tests.rl.test_iqn_agent import batch_of

from trackmaster.rl.files.names import SCALER_FILE
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.compiled import Compiled
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.iqn.precision import autocast_dtype, cpu_has_bf16


def flat(agent: IQNAgent) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in agent.online.parameters()])


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_half_precision_learns_nearly_what_full_precision_learns(tiny_config: IQNConfig, autocast: str) -> None:
    half, full = (IQNAgent(dataclasses.replace(tiny_config, autocast=a), seed=3) for a in (autocast, "off"))
    start = flat(full)
    for step in range(12):
        metrics = [agent.train(batch_of(64, step)) for agent in (half, full)]
        assert metrics[0]["Training/loss"] == pytest.approx(metrics[1]["Training/loss"], rel=0.2)
    moved = flat(full) - start
    assert torch.linalg.vector_norm(flat(half) - flat(full)) < 0.5 * torch.linalg.vector_norm(moved)


def test_a_loss_scale_that_is_too_large_is_lowered_and_no_reason_to_roll_back(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, autocast="fp16"), seed=3)
    agent.loss_scale._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22)
    before = flat(agent)
    metrics = agent.train(batch_of(64, 0))
    assert metrics["Guard/nonfinite"] == 0
    assert torch.equal(flat(agent), before)
    for step in range(20):
        metrics = agent.train(batch_of(64, step))
    assert not torch.equal(flat(agent), before)
    assert 1 <= agent.loss_scale.value < 2.0**22
    assert metrics["Guard/rollback"] == 0


def test_a_bad_batch_in_float16_still_counts(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, autocast="fp16"), seed=3)
    bad = batch_of(64, 1, reward=torch.full((64,), float("nan")))
    assert [agent.train(bad)["Guard/rollback"] for _ in range(3)] == [0, 0, 1]


def test_the_loss_scale_is_saved_where_there_is_one(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(dataclasses.replace(tiny_config, autocast="fp16"), seed=3)
    agent.loss_scale._scaler = torch.amp.GradScaler("cpu", init_scale=512.0, growth_interval=2)
    for step in range(3):
        agent.train(batch_of(64, step))
    state = agent.save(tmp_path)
    other = IQNAgent(agent.config, seed=4)
    other.load(tmp_path, state)
    assert other.loss_scale.value == agent.loss_scale.value == 1024.0
    assert agent.train(batch_of(64, 9)) == other.train(batch_of(64, 9))
    (tmp_path / "full").mkdir()
    IQNAgent(tiny_config, seed=3).save(tmp_path / "full")
    assert not (tmp_path / "full" / SCALER_FILE).exists()


def test_formats_that_are_asked_for_are_taken_and_auto_takes_what_the_processor_has() -> None:
    cpu = torch.device("cpu")
    assert [autocast_dtype(a, cpu) for a in ("off", "bf16", "fp16")] == [None, torch.bfloat16, torch.float16]
    assert autocast_dtype("auto", cpu) == (torch.bfloat16 if cpu_has_bf16() else None)


def test_a_compiled_update_equals_the_plain_one(tiny_config: IQNConfig) -> None:
    config = dataclasses.replace(tiny_config, use_jit=True, compile_backend="aot_eager")
    compiled, plain = IQNAgent(config, seed=3), IQNAgent(tiny_config, seed=3)
    for step in range(3):
        for agent in (compiled, plain):
            agent.train(batch_of(64, step))
    assert compiled._step.calls_compiled == 3
    torch.testing.assert_close(flat(compiled), flat(plain), atol=1e-6, rtol=1e-5)
    assert set(compiled.online.state_dict()) == set(plain.online.state_dict()), "no prefix of the compiler"


def test_where_compiling_fails_the_run_goes_on_with_a_sentence(tiny_config: IQNConfig) -> None:
    said: list[str] = []
    config = dataclasses.replace(tiny_config, use_jit=True, compile_backend="broken")

    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler")

    torch._dynamo.register_backend(broken, name="broken")
    agent, plain = IQNAgent(config, seed=3, say=said.append), IQNAgent(tiny_config, seed=3)
    assert agent.train(batch_of(64, 0)) == plain.train(batch_of(64, 0))
    assert not agent.is_compiled
    assert len(said) == 1
    assert "the run goes on without" in said[0]
    assert torch.equal(flat(agent), flat(plain))


def test_an_error_of_the_function_itself_is_not_taken_for_one_of_the_compiler() -> None:
    def half(x: torch.Tensor) -> torch.Tensor:
        return x[:2] / 2

    function = Compiled(half, wanted=True, backend="aot_eager")
    torch.testing.assert_close(function(torch.ones(2)), torch.full((2,), 0.5))
    with pytest.raises(TypeError):
        function(None)
    assert function.is_compiled
