"""Critics by the dozen: N networks that judge the same actions, as one batched product where they are plain MLPs."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trackmaster.nn.observation_layout import Observation, ObservationLayout
from trackmaster.nn.recurrent import CNNLSTMActor
from trackmaster.nn.trunks import HIDDEN, Trunk, action_width


class Critics(Protocol):
    """N judges of actions, or of states where they take no action."""

    n: int

    def __call__(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return the values, (N, B)."""
        ...


class CriticList(nn.Module):
    """N trunks with a last linear layer each, one after the other.

    Args:
        make_trunk: makes a trunk with fresh weights.
        n: how many.
    """

    def __init__(self, make_trunk: Callable[[], Trunk | CNNLSTMActor], n: int) -> None:
        super().__init__()
        self.n = n
        self.trunks = nn.ModuleList([make_trunk() for _ in range(n)])
        self.heads = nn.ModuleList([nn.Linear(_features_of(trunk), 1) for trunk in self.trunks])

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return the values, (N, B)."""
        values = []
        for trunk, head in zip(self.trunks, self.heads, strict=True):
            if isinstance(trunk, CNNLSTMActor):  # a critic sees the same frames with a memory that begins empty
                features, _ = trunk(observation, None, action)
            else:
                features = trunk(observation, action)
            values.append(head(features)[:, 0])
        return torch.stack(values)


class MLPCritics(nn.Module):
    """N multilayer perceptrons whose weights lie in one tensor per layer: one product judges for all of them.

    Args:
        observation_space: numbers alone.
        action_space: what is judged; None judges states.
        n: how many.
        hidden_sizes: widths of the layers.
        layer_norm: normalise hidden layers.
        keys: entries of a ``Dict`` observation to use.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any] | None,
        n: int,
        *,
        hidden_sizes: Sequence[int] = (HIDDEN, HIDDEN),
        layer_norm: bool = False,
        keys: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.n, self.layer_norm = n, layer_norm
        self.layout = ObservationLayout(observation_space, keys)
        n_in = self.layout.n_floats + (0 if action_space is None else action_width(action_space, q_net=True))
        sizes = (n_in, *hidden_sizes, 1)
        self.weights = nn.ParameterList([nn.Parameter(torch.empty(n, a, b)) for a, b in pairwise(sizes)])
        self.biases = nn.ParameterList([nn.Parameter(torch.empty(n, 1, b)) for b in sizes[1:]])
        self.gains = nn.ParameterList([nn.Parameter(torch.ones(n, 1, b)) for b in hidden_sizes] if layer_norm else [])
        self.offsets = nn.ParameterList(
            [nn.Parameter(torch.zeros(n, 1, b)) for b in hidden_sizes] if layer_norm else []
        )
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])  # torch's own rule for linear layers
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return the values, (N, B)."""
        floats = self.layout.floats(observation)
        inputs = floats if action is None else torch.cat((floats, action), dim=1)
        x = inputs.expand(self.n, *inputs.shape)
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if number < last:
                if self.layer_norm:
                    x = F.layer_norm(x, x.shape[-1:]) * self.gains[number] + self.offsets[number]
                x = torch.relu(x)
        return x[:, :, 0]


def _features_of(trunk: nn.Module) -> int:
    width: Any = trunk.out_features
    return int(width)
