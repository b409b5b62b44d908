"""What one update of the IQN agent computes, as one function of tensors, so that it can be compiled as a whole."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from trackmaster.nn.iqn import IQNNetwork
from trackmaster.rl.iqn.loss import bootstrap_target, by_sample, quantile_huber_loss, taken


class StepInputs(NamedTuple):
    """A batch on the learner's device, with the quantile fractions drawn for it."""

    image: Tensor
    floats: Tensor
    action: Tensor
    reward: Tensor
    gamma: Tensor
    next_image: Tensor
    next_floats: Tensor
    tau: Tensor
    """(B*N, 1) fractions of the predictions."""
    target_tau: Tensor
    """(B*N, 1) fractions of the targets."""


class StepOutputs(NamedTuple):
    """The loss of every sample and what is measured beside it."""

    loss: Tensor
    """(B,) quantile Huber loss."""
    target: Tensor
    """(B, N) bootstrapped quantiles, without gradient."""
    predicted: Tensor
    """(B, N) predicted quantiles of the actions taken."""


class IQNStep(nn.Module):
    """Loss of a pair of networks on a batch.

    Args:
        online: the network that learns.
        target: the network that values the next state.
        use_ddqn: whether the online network chooses the next action.
        kappa: half-width of the loss's quadratic zone.
    """

    def __init__(self, online: IQNNetwork, target: IQNNetwork, *, use_ddqn: bool, kappa: float) -> None:
        super().__init__()
        self.online, self.target = online, target
        self._use_ddqn, self._kappa = use_ddqn, kappa

    def forward(self, inputs: StepInputs) -> StepOutputs:
        """Return the loss of every sample."""
        n = inputs.action.shape[0]
        with torch.no_grad():
            features = self.target.features(inputs.next_image, inputs.next_floats)
            chooser = self.online if self._use_ddqn else self.target
            seen = self.online.features(inputs.next_image, inputs.next_floats) if self._use_ddqn else features
            best = chooser.mean_advantage(seen, inputs.target_tau).argmax(dim=1)
            values = taken(self.target.quantiles(features, inputs.target_tau), best)
            target = bootstrap_target(inputs.reward, inputs.gamma, values)
        quantiles = self.online.quantiles(self.online.features(inputs.image, inputs.floats), inputs.tau)
        predicted = taken(quantiles, inputs.action)
        loss = quantile_huber_loss(predicted, target, by_sample(inputs.tau, n), kappa=self._kappa)
        return StepOutputs(loss, target, predicted)
