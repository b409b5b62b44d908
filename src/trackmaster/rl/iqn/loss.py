"""Losses of the quantile agent as pure functions of tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def quantile_huber_loss(predicted: Tensor, target: Tensor, tau: Tensor, *, kappa: float) -> Tensor:
    """Penalise return quantiles that do not sit at their own fraction of the target samples.

    A prediction that is too low costs ``tau``, one that is too high ``1 - tau``: the minimiser is the ``tau``-quantile.
    The Huber term is divided by ``kappa``, so far from zero the loss grows with slope one whatever ``kappa`` is.

    Args:
        predicted: (B, N) quantiles of the return of the action taken, in reward units.
        target: (B, M) samples of the bootstrapped return, treated as constants.
        tau: (B, N) fraction in (0, 1) belonging to each predicted quantile.
        kappa: half-width of the quadratic zone, in reward units.

    Returns:
        (B,) summed over N, averaged over M; left per transition so that prioritised sampling can weight it.

    Raises:
        ValueError: ``kappa`` is not positive, or ``tau`` is not shaped like ``predicted``.

    Source: Dabney et al. 2018, arXiv:1806.06923, section 3; Huber form from arXiv:1710.10044.
    """
    if kappa <= 0:
        raise ValueError(f"kappa is {kappa}, expected a positive width in reward units")
    if tau.shape != predicted.shape:
        raise ValueError(
            f"tau has shape {tuple(tau.shape)} and predicted {tuple(predicted.shape)}: both must be (B, N)"
        )
    error = target.detach()[:, None, :] - predicted[:, :, None]  # (B, N, M)
    huber = F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=kappa) / kappa
    return ((tau[:, :, None] - (error < 0).to(tau.dtype)).abs() * huber).mean(dim=2).sum(dim=1)


@dataclass
class SelfNormalisation:
    """The reference's scale-free loss: each sample is divided by how widely its own target is spread.

    ``S`` is the root of the loss of the target quantiles against themselves, ``M`` its running mean; a sample is
    multiplied by ``T / max(S, M / clamp)`` where ``T`` is the running mean of the denominator.

    Source: Linesight (``target_self_loss_clamp_ratio``).
    """

    clamp_ratio: float = 4.0
    decay: float = 0.99
    mean_spread: float = 0.01
    mean_divisor: float = 0.01

    def __call__(
        self, loss: Tensor, target: Tensor, target_tau: Tensor, *, kappa: float, advance: bool = True
    ) -> Tensor:
        """Return the normalised loss per sample, (B,).

        Args:
            loss: (B,) loss per sample.
            target: (B, M) bootstrapped return quantiles.
            target_tau: (B, M) their fractions.
            kappa: as in ``quantile_huber_loss``.
            advance: move the running means along; False uses them as they are.
        """
        with torch.no_grad():
            spread = quantile_huber_loss(target, target, target_tau, kappa=kappa).sqrt()
            if not bool(torch.isfinite(spread).all()):  # the guard refuses this batch; the means must not keep it
                return loss
            if advance:
                self.mean_spread += (1 - self.decay) * (float(spread.mean()) - self.mean_spread)
            divisor = spread.clamp(min=self.mean_spread / self.clamp_ratio)
            if advance:
                self.mean_divisor += (1 - self.decay) * (float(divisor.mean()) - self.mean_divisor)
        return loss * (self.mean_divisor / divisor)


def bootstrap_target(reward: Tensor, gamma: Tensor, next_quantiles: Tensor) -> Tensor:
    """Return ``r + gamma * Z(s', a*)`` for every target quantile: (B, M).

    Args:
        reward: (B,) n-step reward.
        gamma: (B,) discount of the next state; 0 where the transition is terminal.
        next_quantiles: (B, M) quantiles of the chosen next action.
    """
    return reward[:, None] + gamma[:, None] * next_quantiles


def taken(quantiles: Tensor, action: Tensor) -> Tensor:
    """Pick the quantiles of one action per sample from quantile-major rows: (B*N, A) and (B,) give (B, N)."""
    by_quantile = quantiles.view(-1, len(action), quantiles.shape[1])
    index = action[None, :, None].expand(by_quantile.shape[0], -1, 1)
    return by_quantile.gather(2, index).squeeze(2).transpose(0, 1)


def by_sample(tau: Tensor, batch_size: int) -> Tensor:
    """Reorder quantile-major fractions (B*N, 1) to (B, N)."""
    return tau.view(-1, batch_size).transpose(0, 1)
