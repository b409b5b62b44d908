"""Which networks an agent with analog actions consists of, built to fit its spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from torch import nn

from trackmaster.nn.critics import CriticList, MLPCritics
from trackmaster.nn.gaussian_policy import SquashedGaussianActor
from trackmaster.nn.kinds import NetworkKind, TrunkActivation
from trackmaster.nn.observation_layout import ObservationLayout
from trackmaster.nn.recurrent import CNNLSTMActor
from trackmaster.nn.trunks import HIDDEN, MLP, EncoderCNN, Trunk, VanillaCNN, VisionTransformerActor


@dataclass(frozen=True)
class PolicyNetworks:
    """Builds the actor and the critics of an agent; another network is a subclass that overrides ``trunk``."""

    network: NetworkKind = "auto"
    """``auto``: ``cnn`` where there are pictures, else ``mlp``."""
    hidden_sizes: tuple[int, ...] = (HIDDEN, HIDDEN)
    """Of the MLP."""
    layer_norm: bool = False
    """Normalise the hidden layers of MLP critics."""
    trunk_activation: TrunkActivation = "relu"
    """Of the CNN actor; ``tmrl`` takes weights trained there."""
    actor_keys: tuple[str, ...] | None = None
    """Entries of a ``Dict`` observation that the actor sees; all when left out."""
    actor_floats: int | None = None
    """The actor sees the first so many numbers of every vector only; all when left out."""
    critic_keys: tuple[str, ...] | None = None
    """Entries that the critics see: more than the actor's make an asymmetric critic, which only trains."""
    begin_at: tuple[float, ...] | None = None
    """Action around which fresh weights act, as gas without brake; the middle of the space when left out."""
    begin_std: float = 1.0
    """Deviation of fresh weights before the squash, where ``begin_at`` is given."""

    def actor(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> SquashedGaussianActor:
        """Return an actor with fresh weights."""
        net = self.trunk(
            observation_space, None, self.actor_keys, activation=self.trunk_activation, first=self.actor_floats
        )
        actor = SquashedGaussianActor(net, action_space)
        if self.begin_at is not None:
            actor.begin_at(torch.tensor(self.begin_at), self.begin_std)
        return actor

    def critics(self, observation_space: gym.Space[Any], action_space: gym.Space[Any] | None, n: int) -> nn.Module:
        """Return ``n`` critics with fresh weights that give (n, B); without an action space they judge states."""
        if self._kind(observation_space, self.critic_keys) == "mlp":
            return MLPCritics(
                observation_space, action_space, n, hidden_sizes=self.hidden_sizes, layer_norm=self.layer_norm,
                keys=self.critic_keys,
            )  # fmt: skip
        return CriticList(lambda: self.trunk(observation_space, action_space, self.critic_keys), n)

    def trunk(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any] | None,
        keys: Sequence[str] | None,
        *,
        activation: TrunkActivation = "relu",
        first: int | None = None,
    ) -> Trunk | CNNLSTMActor:
        """Return a trunk with fresh weights.

        Args:
            observation_space: of the environment.
            action_space: of a critic that judges actions; None for actors and judges of states.
            keys: entries of the observation to use.
            activation: of a CNN.
            first: numbers of every vector to use; all when left out.
        """
        kind, q_net = self._kind(observation_space, keys), action_space is not None
        if kind == "mlp":
            return MLP(
                observation_space, action_space, q_net=q_net, hidden_sizes=self.hidden_sizes, keys=keys, first=first
            )
        if kind == "cnn":
            return VanillaCNN(
                q_net, observation_space=observation_space, action_space=action_space, trunk_activation=activation,
                keys=keys, first=first,
            )  # fmt: skip
        if kind == "encoder":
            return EncoderCNN(observation_space, action_space, q_net=q_net, keys=keys, first=first)
        if kind == "cnn_lstm":
            return CNNLSTMActor(observation_space, action_space, q_net=q_net, keys=keys, first=first)
        channels, side, _ = ObservationLayout(observation_space, keys).image_shape()
        return VisionTransformerActor(
            side, in_channels=channels, q_net=q_net, observation_space=observation_space, action_space=action_space,
            keys=keys, first=first,
        )  # fmt: skip

    def _kind(self, observation_space: gym.Space[Any], keys: Sequence[str] | None) -> NetworkKind:
        """A critic that sees no picture is an MLP whatever the actor is."""
        if not ObservationLayout(observation_space, keys).images:
            return "mlp"
        return "cnn" if self.network == "auto" else self.network
