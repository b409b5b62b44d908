"""The optimiser of the IQN agent: made from the configuration, restored by parameter name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.iqn.parts import part_of

LR_SCALE, NAMES = "lr_scale", "names"
"""What a group holds beside the optimiser's own options."""


def make_optimizer(network: nn.Module, config: IQNConfig) -> torch.optim.Optimizer:
    """Return a new optimiser; decay belongs to weight matrices only, biases and the last layers' offsets stay free.

    Parameters of equal decay and equal ``PartRule.lr_scale`` share a group. A frozen parameter has no gradient, so the
    optimiser neither moves nor decays it and keeps no running averages of it.
    """
    members: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in network.named_parameters():
        rule = config.parts.get(part_of(name))
        decay = config.weight_decay_lr_ratio if parameter.dim() > 1 else 0.0
        members.setdefault((rule.lr_scale if rule else 1.0, decay), []).append((name, parameter))
    groups = [
        {
            "params": [p for _, p in named], NAMES: [n for n, _ in named], LR_SCALE: scale, "weight_decay": decay,
            "lr": config.lr(0) * scale,
        }
        for (scale, decay), named in members.items()
    ]  # fmt: skip
    betas = (config.beta1, config.beta2)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, betas=betas, eps=config.adam_epsilon, foreach=True)
    return torch.optim.RAdam(groups, betas=betas, eps=config.adam_epsilon, decoupled_weight_decay=True, foreach=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the rate of every group: the schedule's times the group's own scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group[LR_SCALE]


def forget_averages(optimizer: torch.optim.Optimizer, frozen: list[nn.Parameter]) -> None:
    """Drop the running averages of parameters that stand still, so that they begin with fresh ones later."""
    for parameter in frozen:
        optimizer.state.pop(parameter, None)


def restore_optimizer(
    optimizer: torch.optim.Optimizer, saved: dict[str, Any], config: IQNConfig, *, kind: str, source: str
) -> None:
    """Take over running averages by parameter name; epsilon, betas, decay and scales are those of the configuration.

    The groups may differ from the saved ones: freezing a part or giving it a rate of its own loses nothing of the
    others.

    Args:
        optimizer: as ``make_optimizer`` gave it.
        saved: state dict of the earlier optimiser.
        config: what holds from now on.
        kind: ``IQNConfig.optimizer`` of the earlier run.
        source: the file, for messages.

    Raises:
        WeightsError: another kind of optimiser made it, or it belongs to another network.
    """
    if kind != config.optimizer:
        raise WeightsError(
            f"{source}: was written by {kind}, the configuration asks for {config.optimizer}, and the running averages "
            f"of one mean nothing to the other. Set training.optimizer to {kind}, or train anew with --fresh."
        )
    try:
        optimizer.load_state_dict(_with_averages(optimizer, saved))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{source}: does not belong to this network ({type(error).__name__}: {error}). Use the optimiser that was "
            "saved with the weights, or train anew with --fresh."
        ) from None


def _with_averages(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimiser's own state dict with the saved running averages of the parameters of the same names."""
    averages, names = _averages_by_name(saved)
    groups = optimizer.state_dict()["param_groups"]
    if names != {name for group in groups for name in group[NAMES]}:
        raise ValueError("it moves other parameters")
    state: dict[int, dict[str, Tensor]] = {}
    for group, live in zip(groups, optimizer.param_groups, strict=True):
        for index, name, parameter in zip(group["params"], group[NAMES], live["params"], strict=True):
            if name in averages:
                _check_shapes(name, averages[name], parameter)
                state[index] = averages[name]
    return {"state": state, "param_groups": groups}


def _averages_by_name(saved: Mapping[str, Any]) -> tuple[dict[str, dict[str, Tensor]], set[str]]:
    """Return the running averages by parameter name, and the names of all parameters."""
    found, names = {}, set()
    for group in saved["param_groups"]:
        for index, name in zip(group["params"], group[NAMES], strict=True):
            names.add(str(name))
            if index in saved["state"]:
                found[str(name)] = dict(saved["state"][index])
    return found, names


def _check_shapes(name: str, averages: Mapping[str, Tensor], parameter: nn.Parameter) -> None:
    for what, value in averages.items():
        if value.dim() and value.shape != parameter.shape:
            raise ValueError(f"{what} of {name} has shape {tuple(value.shape)}, expected {tuple(parameter.shape)}")
