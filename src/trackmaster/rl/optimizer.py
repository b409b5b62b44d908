"""The optimiser of the IQN agent: made from the configuration, restored with the configuration's numbers."""

from typing import Any

import torch
from torch import nn

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.iqn_config import IQNConfig


def make_optimizer(network: nn.Module, config: IQNConfig) -> torch.optim.Optimizer:
    """Return a new optimiser; decay belongs to weight matrices only, biases and the last layers' offsets stay free."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    offsets = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay_lr_ratio},
        {"params": offsets, "weight_decay": 0.0},
    ]
    betas = (config.beta1, config.beta2)
    lr = config.lr(0)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=config.adam_epsilon, foreach=True)
    return torch.optim.RAdam(
        groups, lr=lr, betas=betas, eps=config.adam_epsilon, decoupled_weight_decay=True, foreach=True
    )


def restore_optimizer(
    optimizer: torch.optim.Optimizer, saved: dict[str, Any], config: IQNConfig, *, kind: str, source: str
) -> None:
    """Take over running averages; epsilon, betas and decay are those of the configuration, not the saved ones.

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
    own = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(saved)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{source}: does not belong to this network ({type(error).__name__}: {error}). Use the optimiser that was "
            "saved with the weights, or train anew with --fresh."
        ) from None
    for group, options in zip(optimizer.param_groups, own, strict=True):
        group.update(options)
