"""Trunks of the continuous agents: an observation (and for a critic an action) in, 256 features out.

Sizes, strides and activations are those of the TMRL seed; every width follows from the spaces.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from trackmaster.nn.encoder import ShapeError, build_encoder, channels_last, encoder_dim
from trackmaster.nn.kinds import TrunkActivation
from trackmaster.nn.observation_layout import (
    Observation,
    ObservationLayout,
    analog_action_space,
    as_unit_range,
    full_observation_space,
)

HIDDEN = 256
CNN_STAGES = ((64, 8, 2), (64, 4, 2), (128, 4, 2), (128, 4, 2))
"""Output channels, kernel size and stride of each convolution of ``VanillaCNN``."""


class Trunk(nn.Module):
    """An observation to features; ``out_features`` is their number."""

    out_features: int

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return features (B, out_features).

        Args:
            observation: tensors with a leading batch axis, nested as the space.
            action: (B, A) for a critic, None for an actor.
        """
        raise NotImplementedError


def mlp(sizes: Sequence[int], *, last: bool, layer_norm: bool = False) -> nn.Sequential:
    """Return linear layers with ReLU between them.

    Args:
        sizes: widths, input first.
        last: whether the last layer, too, is followed by ReLU.
        layer_norm: normalise what every hidden layer gives, which lets critics bear many updates per sample.
    """
    layers: list[nn.Module] = []
    for number, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        layers.append(nn.Linear(n_in, n_out))
        if number < len(sizes) - 1 or last:
            layers += [nn.LayerNorm(n_out)] if layer_norm else []
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def action_width(action_space: gym.Space[Any] | None, *, q_net: bool) -> int:
    """Return how many numbers of the action a trunk takes in: none for an actor.

    Raises:
        ShapeError: the action space is no vector of numbers.
    """
    space = analog_action_space() if action_space is None else action_space
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
        raise ShapeError(f"the action space is {space}, expected a Box of one axis: this agent's actions are analog")
    return space.shape[0] if q_net else 0


class MLP(Trunk):
    """Numbers alone: lidar, telemetry, reference points. 256-256 with ReLU by default.

    Args:
        observation_space: pictures in it are refused.
        action_space: of a critic.
        q_net: take an action in.
        hidden_sizes: widths of the layers.
        layer_norm: normalise hidden layers.
        keys: entries of a ``Dict`` observation to use.
        first: numbers of every vector to use; all when left out.

    Raises:
        ShapeError: the observation has pictures or nothing at all.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any] | None = None,
        *,
        q_net: bool = False,
        hidden_sizes: Sequence[int] = (HIDDEN, HIDDEN),
        layer_norm: bool = False,
        keys: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        super().__init__()
        self.layout = ObservationLayout(observation_space, keys, first)
        if self.layout.images or not self.layout.n_floats:
            raise ShapeError("the MLP takes numbers alone: use VanillaCNN for pictures, or leave the picture out")
        n_in = self.layout.n_floats + action_width(action_space, q_net=q_net)
        self.mlp = mlp((n_in, *hidden_sizes), last=True, layer_norm=layer_norm)
        self.out_features = hidden_sizes[-1]

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return features (B, out_features)."""
        floats = self.layout.floats(observation)
        features: Tensor = self.mlp(floats if action is None else torch.cat((floats, action), dim=1))
        return features


class VanillaCNN(Trunk):
    """Four strided convolutions over stacked pictures, joined with the numbers; the seed's and tmrl's network.

    Numbers keep their place: those before the picture in the observation stand before its features, the rest and a
    critic's action behind them.

    Args:
        q_net: take an action in.
        observation_space: with one picture of at least 50x50; the seed's full observation when left out.
        action_space: of a critic.
        trunk_activation: ``tmrl`` leaves out the last ReLU.
        keys: entries of a ``Dict`` observation to use.
        first: numbers of every vector to use; all when left out.

    Raises:
        ShapeError: there is no picture, or it is too small.
    """

    def __init__(
        self,
        q_net: bool = False,
        *,
        observation_space: gym.Space[Any] | None = None,
        action_space: gym.Space[Any] | None = None,
        trunk_activation: TrunkActivation = "relu",
        keys: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        super().__init__()
        space = full_observation_space() if observation_space is None else observation_space
        self.layout = ObservationLayout(space, keys, first)
        channels, rows, columns = self.layout.image_shape()
        self.conv1, self.conv2, self.conv3, self.conv4 = convolutions(channels, CNN_STAGES)
        self.flat_features = CNN_STAGES[-1][0] * grid_places(rows, columns, CNN_STAGES)
        n_in = self.flat_features + self.layout.n_floats + action_width(action_space, q_net=q_net)
        self.mlp = mlp((n_in, HIDDEN, HIDDEN), last=trunk_activation == "relu")
        self.out_features = HIDDEN

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return features (B, 256)."""
        before, image, after = self.layout.split(observation)
        assert image is not None  # the constructor refuses observations without one
        x = as_unit_range(image)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = torch.relu(conv(x))
        parts = [*before, x.flatten(1), *after]
        features: Tensor = self.mlp(torch.cat(parts if action is None else [*parts, action], dim=1))
        return features


class EncoderCNN(Trunk):
    """The visual encoder of pretraining and of IQN over stacked pictures, joined with the numbers.

    Eight times fewer multiplications than ``VanillaCNN``: 3.5 million instead of 28 for four pictures of 64x64. The
    encoder is called ``img_head`` as in IQN and has its keys.

    Args:
        observation_space: with one picture.
        action_space: of a critic.
        q_net: take an action in.
        keys: entries of a ``Dict`` observation to use.
        first: numbers of every vector to use; all when left out.

    Raises:
        ShapeError: there is no picture, or it is too small.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any] | None = None,
        *,
        q_net: bool = False,
        keys: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        super().__init__()
        self.layout = ObservationLayout(observation_space, keys, first)
        channels, rows, columns = self.layout.image_shape()
        self.img_head = build_encoder(channels)
        n_in = encoder_dim(rows, columns) + self.layout.n_floats + action_width(action_space, q_net=q_net)
        self.mlp = mlp((n_in, HIDDEN, HIDDEN), last=True)
        self.out_features = HIDDEN

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return features (B, 256)."""
        before, image, after = self.layout.split(observation)
        assert image is not None  # the constructor refuses observations without one
        parts = [*before, self.img_head(channels_last(as_unit_range(image))), *after]
        features: Tensor = self.mlp(torch.cat(parts if action is None else [*parts, action], dim=1))
        return features


class VisionTransformerActor(Trunk):
    """Patches of the stacked pictures and one token of numbers through a transformer; the token is read out.

    Args:
        img_size: side of the picture; must be that of the observation.
        patch_size: side of a patch.
        in_channels: pictures stacked; must be those of the observation.
        embed_dim: width of a token.
        depth: layers.
        num_heads: attention heads.
        q_net: take an action in, as part of the numbers.
        observation_space: the seed's full observation when left out.
        action_space: of a critic.
        keys: entries of a ``Dict`` observation to use.
        first: numbers of every vector to use; all when left out.

    Raises:
        ShapeError: picture and arguments disagree, or patches do not tile the picture.
    """

    def __init__(
        self,
        img_size: int = 64,
        patch_size: int = 8,
        in_channels: int = 4,
        embed_dim: int = 256,
        depth: int = 6,
        num_heads: int = 8,
        *,
        q_net: bool = False,
        observation_space: gym.Space[Any] | None = None,
        action_space: gym.Space[Any] | None = None,
        keys: Sequence[str] | None = None,
        first: int | None = None,
    ) -> None:
        super().__init__()
        space = full_observation_space(side=img_size) if observation_space is None else observation_space
        self.layout = ObservationLayout(space, keys, first)
        shape = self.layout.image_shape()
        if shape != (in_channels, img_size, img_size) or img_size % patch_size:
            raise ShapeError(
                f"pictures of {shape} do not fit a transformer for ({in_channels}, {img_size}, {img_size}) in patches "
                f"of {patch_size}: give square pictures whose side is a multiple of the patch"
            )
        self.patch_embed = nn.Conv2d(in_channels, embed_dim, patch_size, stride=patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, (img_size // patch_size) ** 2, embed_dim))
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, dim_feedforward=4 * embed_dim, dropout=0.0, activation="gelu", batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, num_layers=depth, enable_nested_tensor=False)
        self.telemetry_embed = nn.Linear(self.layout.n_floats + action_width(action_space, q_net=q_net), embed_dim)
        self.head = mlp((embed_dim, HIDDEN, HIDDEN), last=True)
        self.out_features = HIDDEN

    def forward(self, observation: Observation, action: Tensor | None = None) -> Tensor:
        """Return features (B, 256)."""
        _, image, _ = self.layout.split(observation)
        assert image is not None
        patches = self.patch_embed(as_unit_range(image)).flatten(2).transpose(1, 2) + self.pos_embed
        floats = self.layout.floats(observation)
        telemetry = self.telemetry_embed(floats if action is None else torch.cat((floats, action), dim=1))
        tokens = self.transformer(torch.cat((telemetry[:, None], patches), dim=1))
        features: Tensor = self.head(tokens[:, 0])
        return features


def convolutions(channels: int, stages: Sequence[tuple[int, int, int]]) -> list[nn.Conv2d]:
    """Return unpadded convolutions, one per (output channels, kernel size, stride)."""
    layers = []
    for out_channels, kernel, stride in stages:
        layers.append(nn.Conv2d(channels, out_channels, kernel, stride))
        channels = out_channels
    return layers


def grid_places(rows: int, columns: int, stages: Sequence[tuple[int, int, int]]) -> int:
    """Return the places of the last feature map.

    Raises:
        ShapeError: the picture is too small.
    """
    side = (rows, columns)
    for _, kernel, stride in stages:
        side = ((side[0] - kernel) // stride + 1, (side[1] - kernel) // stride + 1)
        if min(side) < 1:
            raise ShapeError(f"pictures of {columns}x{rows} are too small for these convolutions: use at least 50x50")
    return side[0] * side[1]
