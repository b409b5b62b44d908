"""The stochastic policy of SAC, REDQ and PPO: a normal distribution squashed by tanh into the action space.

Source: Haarnoja et al. 2018, arXiv:1801.01290, appendix C; the stable form of the log-determinant is that of the TMRL
seed's reference.
"""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trackmaster.nn.encoder import ShapeError
from trackmaster.nn.observation_layout import Observation
from trackmaster.nn.recurrent import CNNLSTMActor, pack_state, unpack_state
from trackmaster.nn.trunks import Trunk, action_width

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LN_2 = math.log(2.0)
_EDGE = 1e-6
"""How near to the bounds an action may lie where the draw behind it is recovered from it."""


def gaussian_log_prob(draw: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the log density of draws (B, A) before the squash, summed over the action: (B,)."""
    z = (draw - mean) * torch.exp(-log_std)
    density: Tensor = (-0.5 * z * z - log_std - _HALF_LOG_2PI).sum(dim=1)
    return density


def tanh_log_det(draw: Tensor) -> Tensor:
    """Return log(1 - tanh(u)^2) summed over the action, without ever taking the log of a rounded zero: (B,)."""
    determinant: Tensor = (2.0 * (_LN_2 - draw - F.softplus(-2.0 * draw))).sum(dim=1)
    return determinant


def squashed_log_prob(draw: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return log pi of the action tanh(draw), (B,), per unit of the squashed action."""
    return gaussian_log_prob(draw, mean, log_std) - tanh_log_det(draw)


class SquashedGaussianActor(nn.Module):
    """A trunk, a mean and a log deviation; actions lie within the bounds of the action space.

    Parameter names are those of tmrl's actors (``net``, ``mu_layer``, ``log_std_layer``).

    Args:
        net: the trunk; a ``CNNLSTMActor`` makes the actor recurrent.
        action_space: a box with finite bounds.
        hidden_key: of a recurrent actor, the entry of the observation that holds its packed state.

    Raises:
        ShapeError: the action space is no vector with finite bounds.
    """

    centre: Tensor
    half_width: Tensor

    def __init__(self, net: Trunk | CNNLSTMActor, action_space: gym.Space[Any], *, hidden_key: str = "hidden") -> None:
        super().__init__()
        self.n_actions = action_width(action_space, q_net=True)
        assert isinstance(action_space, gym.spaces.Box)
        low, high = (torch.as_tensor(np.asarray(bound), dtype=torch.float32) for bound in
                     (action_space.low, action_space.high))  # fmt: skip
        if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
            raise ShapeError("the action space has no bounds: an action squashed by tanh needs finite ones")
        self.net, self.hidden_key = net, hidden_key
        self.mu_layer = nn.Linear(net.out_features, self.n_actions)
        self.log_std_layer = nn.Linear(net.out_features, self.n_actions)
        self.register_buffer("centre", (high + low) / 2, persistent=False)
        self.register_buffer("half_width", (high - low) / 2, persistent=False)

    @property
    def is_recurrent(self) -> bool:
        """Whether the observation carries a state."""
        return isinstance(self.net, CNNLSTMActor)

    def distribution(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Return mean and log deviation of the draw before the squash, (B, A) each."""
        return self.distribution_and_state(observation)[:2]

    def distribution_and_state(self, observation: Observation) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return mean, log deviation and, of a recurrent actor, its packed state after this observation."""
        state: Tensor | None = None
        if isinstance(self.net, CNNLSTMActor):
            carried = _carried(observation, self.hidden_key)
            features, after = self.net(observation, None if carried is None else unpack_state(carried))
            state = pack_state(after)
        else:
            features = self.net(observation)
        log_std = torch.clamp(self.log_std_layer(features), LOG_STD_MIN, LOG_STD_MAX)
        return self.mu_layer(features), log_std, state

    def sample(self, observation: Observation, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return reparametrised actions (B, A) and their log densities (B,)."""
        mean, log_std = self.distribution(observation)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        draw = mean + torch.exp(log_std) * noise
        return self.squash(draw), self.log_prob(draw, mean, log_std)

    def log_prob(self, draw: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        """Return the log density of the action that a draw is squashed to, (B,), per unit of the action space."""
        return squashed_log_prob(draw, mean, log_std) - torch.log(self.half_width).sum()

    def squash(self, draw: Tensor) -> Tensor:
        """Return the action of a draw, (B, A)."""
        action: Tensor = torch.tanh(draw) * self.half_width + self.centre
        return action

    def unsquash(self, action: Tensor) -> Tensor:
        """Return the draw behind an action; what lies at the bounds is taken a little inside of them."""
        unit = ((action - self.centre) / self.half_width).clamp(-1 + _EDGE, 1 - _EDGE)
        return torch.atanh(unit)

    @torch.no_grad()
    def begin_at(self, action: Tensor, std: float) -> None:
        """Let fresh weights act around a chosen action: small last layers whose offsets are that action."""
        for layer in (self.mu_layer, self.log_std_layer):
            layer.weight.mul_(0.1)
        self.mu_layer.bias.copy_(torch.atanh(((action - self.centre) / self.half_width).clamp(-0.9, 0.9)))
        self.log_std_layer.bias.fill_(math.log(std))


def _carried(observation: Observation, key: str) -> Tensor | None:
    """Return the state that an observation carries, None where it carries none."""
    if isinstance(observation, dict) and key in observation:
        state: Tensor = observation[key]
        return state
    return None
