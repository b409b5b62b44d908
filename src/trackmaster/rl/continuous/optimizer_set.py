"""The optimisers of an agent with several networks, handled as one."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.config.continuous import OptimizerKind


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    kind: OptimizerKind,
    lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    l2: float = 0.0,
) -> torch.optim.Optimizer:
    """Return a new optimiser.

    Args:
        parameters: what it moves.
        kind: ``adam`` with L2 in the gradient, ``adamw`` with decoupled decay, or plain ``sgd``.
        lr: learning rate.
        betas: of Adam.
        l2: weight decay.
    """
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=l2, fused=True)
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=l2, fused=True)
    return torch.optim.Adam(parameters, lr=lr, betas=betas, weight_decay=l2, fused=True)


class OptimizerSet:
    """Optimisers by name, saved and restored together.

    Args:
        optimizers: by name; the names are part of the saved state.
    """

    def __init__(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._by_name = dict(optimizers)

    def __getitem__(self, name: str) -> torch.optim.Optimizer:
        return self._by_name[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the states by name."""
        return {name: optimizer.state_dict() for name, optimizer in self._by_name.items()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take over running averages from what ``state_dict`` gave; options such as the learning rate stay as they are.

        Raises:
            WeightsError: it belongs to other networks or optimisers.
        """
        if state_dict.keys() != self._by_name.keys():
            raise WeightsError(
                f"the saved optimisers are {', '.join(sorted(map(str, state_dict)))}, expected "
                f"{', '.join(sorted(self._by_name))}. Continue with the run's own settings, or train anew."
            )
        for name, optimizer in self._by_name.items():
            own = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            try:
                optimizer.load_state_dict(state_dict[name])
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise WeightsError(
                    f"the saved optimiser {name} does not belong to this network ({type(error).__name__}: {error}). "
                    "Continue with the settings of the run, or train anew with --fresh."
                ) from None
            for group, options in zip(optimizer.param_groups, own, strict=True):
                group.update(options)

    def step(self, name: str, loss: Tensor, parameters: list[nn.Parameter], *, clip: float | None = None) -> float:
        """Descend along the gradient of a loss, unless loss or gradient is not finite.

        Args:
            name: the optimiser to use.
            loss: a scalar.
            parameters: those it moves.
            clip: longest gradient; a longer one is scaled down.

        Returns:
            The length of the gradient before it was scaled; not finite where nothing was changed.
        """
        optimizer = self._by_name[name]
        optimizer.zero_grad(set_to_none=True)
        gradients = torch.autograd.grad(loss, parameters)
        norm = float(nn.utils.get_total_norm(gradients))
        if not (norm < float("inf")):
            return norm
        if clip is not None and norm > clip:
            torch._foreach_mul_(gradients, clip / norm)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        return norm
