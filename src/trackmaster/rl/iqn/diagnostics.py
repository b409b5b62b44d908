"""Numbers about a learner's inside, for curves: weights, gradients, the optimiser's averages, spread of quantiles."""

import torch
from torch import Tensor, nn


def network_numbers(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return lengths of every parameter, of its last gradient and of the optimiser's averages, by plain name.

    ``adaptive_lr`` is the length of the step that the averages stand for, ``exp_avg / (sqrt(exp_avg_sq) + eps)``, per
    learning rate. A frozen parameter has neither gradient nor averages.
    """
    names: list[str] = []
    values: list[Tensor] = []

    def note(name: str, value: Tensor) -> None:
        names.append(name)
        values.append(value.float())

    epsilon = float(optimizer.param_groups[0]["eps"])
    for name, parameter in network.named_parameters():
        note(f"Network/weights/{name}/L2", parameter.detach().norm())
        if parameter.grad is not None:
            note(f"Gradients/by_layer/{name}/L2", parameter.grad.norm())
            note(f"Gradients/by_layer/{name}/Linf", parameter.grad.abs().max())
        averages = optimizer.state.get(parameter, {})
        if "exp_avg" in averages:
            mean, square = averages["exp_avg"], averages["exp_avg_sq"]
            note(f"Network/optimizer/{name}/exp_avg_L2", mean.norm())
            note(f"Network/optimizer/{name}/exp_avg_sq_L2", square.norm())
            note(f"Network/optimizer/{name}/adaptive_lr_L2", (mean / (square.sqrt() + epsilon)).norm())
    return dict(zip(names, torch.stack(values).tolist(), strict=True))


def quantile_spread(quantiles: Tensor, batch_size: int) -> dict[str, float]:
    """Return how far the quantiles of each action lie apart, averaged over a batch.

    Args:
        quantiles: (B*N, A) quantile-major.
        batch_size: B.
    """
    spread = quantiles.view(-1, batch_size, quantiles.shape[1]).float().std(dim=0).mean(dim=0)
    return {f"IQN/quantile_std_action_{action}": value for action, value in enumerate(spread.tolist())}
