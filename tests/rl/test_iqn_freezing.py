"""Parts of the network stand still to the last bit, compiled or not, and learn at a rate of their own afterwards."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.rl.test_iqn_agent import batch_of

from trackmaster.errors import ConfigError
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.iqn.parts import N_TENSORS, PREFIXES, PartName, PartRule, apply_freezing, part_of


def weights(agent: IQNAgent) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in agent.online.named_parameters()}


def changed(before: dict[str, torch.Tensor], agent: IQNAgent) -> set[str]:
    return {part_of(name) for name, p in agent.online.named_parameters() if not torch.equal(before[name], p)}


@pytest.mark.parametrize(("part", "use_jit"), [*((part, False) for part in PREFIXES), ("encoder", True)])
def test_a_frozen_part_keeps_its_bits_and_then_learns(tiny_config: IQNConfig, part: PartName, use_jit: bool) -> None:
    config = dataclasses.replace(
        tiny_config, parts={part: PartRule(part, freeze=True, freeze_steps=100)}, use_jit=use_jit,
        compile_backend="aot_eager", weight_decay_lr_ratio=1.0,
    )  # fmt: skip
    agent = IQNAgent(config, seed=3)
    assert agent.is_compiled == use_jit
    before = weights(agent)
    for step in range(3):
        agent.set_frames(step)
        agent.train(batch_of(64, step))
    assert agent._step.calls_compiled == (3 if use_jit else 0)
    assert agent.frozen == (part,)
    assert changed(before, agent) == set(PREFIXES) - {part}
    frozen = [p for name, p in agent.online.named_parameters() if part_of(name) == part]
    assert len(frozen) == N_TENSORS[part]
    assert not any(p in agent.optimizer.state for p in frozen)
    agent.set_frames(100)
    agent.train(batch_of(64, 9))
    assert changed(before, agent) == set(PREFIXES)
    assert {int(agent.optimizer.state[p]["step"]) for p in frozen} == {1}, "a fresh slot in the optimiser"


def test_a_part_learns_at_its_own_rate_after_it_was_frozen(tiny_config: IQNConfig) -> None:
    rule = PartRule("encoder", freeze=True, freeze_steps=10, lr_scale=0.1)
    agent = IQNAgent(dataclasses.replace(tiny_config, parts={"encoder": rule}), seed=3)
    agent.set_frames(10)
    rates = {
        part_of(name): group["lr"] for group in agent.optimizer.param_groups for name in group["names"]
    }  # fmt: skip
    assert rates["encoder"] == pytest.approx(0.1 * rates["V_head"])
    assert rates["V_head"] == pytest.approx(1e-3)


def test_freezing_another_part_keeps_the_running_averages_of_the_rest(tiny_config: IQNConfig, tmp_path: Path) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    agent.train(batch_of(64, 0))
    state = agent.save(tmp_path)
    rule = PartRule("encoder", freeze=True, lr_scale=0.5)
    other = IQNAgent(dataclasses.replace(tiny_config, parts={"encoder": rule}), seed=8)
    other.load(tmp_path, state)
    for (name, a), b in zip(agent.online.named_parameters(), other.online.parameters(), strict=True):
        if part_of(name) == "encoder":
            assert b not in other.optimizer.state
        else:
            assert torch.equal(agent.optimizer.state[a]["exp_avg"], other.optimizer.state[b]["exp_avg"])


def test_names_of_a_compiled_module_are_refused_instead_of_freezing_nothing(tiny_config: IQNConfig) -> None:
    agent = IQNAgent(tiny_config, seed=3)
    wrapped = torch.nn.ModuleDict({"_orig_mod": agent.online})
    with pytest.raises(ConfigError, match="_orig_mod"):
        apply_freezing(wrapped, {"encoder": PartRule("encoder", freeze=True)}, 0)


def test_freeze_flags_reach_the_agent() -> None:
    flags = ["--training.pretrain-encoder-freeze", "--training.pretrain-encoder-freeze-steps", "50000"]
    parts = TrainConfig.load([*flags, "--training.pretrain-lr-scale", "0.3"]).to_iqn_config().parts
    assert parts == {"encoder": PartRule("encoder", True, 50_000, 0.3)}
    given = TrainConfig.load(["--training.pretrain-encoder-path", "x", "--training.pretrain-lr-scale", "0.3"])
    assert given.to_iqn_config().parts == {"encoder": PartRule("encoder", False, 0, 0.3)}
    assert TrainConfig.load([]).to_iqn_config().parts == {}


@pytest.mark.parametrize(("flags", "message"), [
    (["--training.pretrain-encoder-freeze-steps", "5"], "has no effect without"),
    (["--training.pretrain-lr-scale", "0.3"], "pretrain_lr_scale has no effect without"),
    ([f"--training.pretrain-{p.replace('_', '-')}-freeze" for p in PREFIXES], "nothing would learn"),
])  # fmt: skip
def test_freezing_without_effect_or_of_everything_is_refused(flags: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.load(flags)


@pytest.mark.parametrize("flags", [
    ["--memory.prio-alpha", "0.5"], ["--training.pretrain-encoder-freeze"], ["--training.pretrain-encoder-path", "x"],
])  # fmt: skip
def test_what_only_iqn_can_do_is_refused_elsewhere(repository_root: Path, flags: list[str]) -> None:
    preset = repository_root / "config_files" / "rl" / "config_sac.yaml"
    with pytest.raises(ConfigError, match="belong to IQN, and algorithm is sac"):
        TrainConfig.load(flags, config=preset)
    assert TrainConfig.load([], config=preset).algorithm == "sac"


def test_frozen_weights_of_the_target_network_stand_still_too(tiny_config: IQNConfig) -> None:
    config = dataclasses.replace(tiny_config, parts={"iqn_fc": PartRule("iqn_fc", freeze=True)})
    agent = IQNAgent(config, seed=3)
    before = agent.target.iqn_fc[0].weight.clone()
    for step in range(3):
        agent.train(batch_of(64, step))
    assert agent.target_updates == 3
    np.testing.assert_array_equal(agent.target.iqn_fc[0].weight.numpy(), before.numpy())
