"""The visual encoder that every task trains and that the agent's picture head is initialised from.

Four unpadded convolutions with LeakyReLU, then flatten: the ``img_head`` of the IQN network, key for key.
"""

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trackmaster.errors import TrackmasterError

LEAKY_SLOPE = 0.01
CONV_STAGES = ((16, 4, 2), (32, 4, 2), (64, 3, 2), (32, 3, 1))
"""Output channels, kernel size and stride of each convolution."""

ENCODER_CHANNELS = CONV_STAGES[-1][0]


class ShapeError(TrackmasterError):
    """A picture size or a channel count that a network cannot take."""


def build_encoder(in_channels: int = 1, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """Return the encoder: (B, in_channels, H, W) to (B, encoder_dim(H, W)).

    The state dict has the keys 0, 2, 4 and 6 (.weight and .bias). Weights start orthogonal with the gain of the
    activation and biases at zero, like the agent's.

    Args:
        in_channels: 1 for single grey frames, N for N frames stacked as channels.
        generator: of the initial weights; None draws from torch's global generator.

    Raises:
        ShapeError: ``in_channels`` is below 1.
    """
    encoder = encoder_layers(in_channels)
    init_orthogonal(encoder, generator=generator)
    return encoder


def encoder_layers(in_channels: int) -> nn.Sequential:
    """Return the layers of ``build_encoder`` for a network that draws the weights of all its parts itself.

    Raises:
        ShapeError: ``in_channels`` is below 1.
    """
    if in_channels < 1:
        raise ShapeError(f"an encoder of {in_channels} input channels is impossible: use 1 or more")
    layers: list[nn.Module] = []
    channels = in_channels
    for out_channels, kernel, stride in CONV_STAGES:
        layers += [nn.Conv2d(channels, out_channels, kernel, stride), nn.LeakyReLU(LEAKY_SLOPE, inplace=True)]
        channels = out_channels
    return nn.Sequential(*layers, nn.Flatten())


def channels_last(images: Tensor) -> Tensor:
    """Return pictures (B, C, H, W) with their channels innermost in memory.

    Convolutions on a CPU are fastest so. A single channel lies the same way in both layouts, and torch then takes the
    other one: only the strides can tell it, and without them every activation behind is copied back and forth.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    if images.device.type != "cpu":
        return images
    n, c, h, w = images.shape
    return images.as_strided((n, c, h, w), (c * h * w, 1, c * w, c))


def encoder_grid(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the encoder's last feature map.

    Raises:
        ShapeError: the picture is too small for the four convolutions.
    """
    rows, columns = height, width
    for _, kernel, stride in CONV_STAGES:
        rows, columns = (rows - kernel) // stride + 1, (columns - kernel) // stride + 1
        if rows < 1 or columns < 1:
            raise ShapeError(f"pictures of {width}x{height} are too small for the encoder: use at least 36x36")
    return rows, columns


def encoder_dim(height: int, width: int) -> int:
    """Return the number of features per picture: 512 at 64x64, 5632 at 160x120."""
    rows, columns = encoder_grid(height, width)
    return ENCODER_CHANNELS * rows * columns


def init_orthogonal(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Give every linear and convolution layer orthogonal weights with the gain of LeakyReLU, and zero biases."""
    gain = math.sqrt(2 / (1 + LEAKY_SLOPE**2))
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.orthogonal_(layer.weight, gain=gain, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def arch_hash(state: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits that stand for the keys and shapes of a state dict.

    The text ``key:shape`` of every tensor, sorted by key and joined with ``|``, is hashed with SHA-256; shapes as
    Python prints a tuple. Convolutions do not depend on the picture size, so one hash covers every size.
    """
    text = "|".join(f"{key}:{tuple(state[key].shape)}" for key in sorted(state))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
