"""The quantile network of the driving agent: picture and floats in, the return distribution of 12 actions out.

Parameter names and shapes are those of Linesight's IQN network, so state dicts interchange in both directions.

Source: Dabney et al. 2018, arXiv:1806.06923 (implicit quantile networks); Wang et al. 2016, arXiv:1511.06581 (dueling).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trackmaster.nn.encoder import LEAKY_SLOPE, channels_last, encoder_dim, encoder_layers

N_ACTIONS = 12
N_FLOATS = 184


def stratified_tau(
    batch_size: int, n_quantiles: int, *, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Return quantile fractions, one per stratum of the lower half and their mirrors: (B*N, 1), quantile-major.

    Raises:
        ValueError: ``n_quantiles`` is not a positive even number.
    """
    if n_quantiles < 2 or n_quantiles % 2:
        raise ValueError(f"n_quantiles is {n_quantiles}, expected an even number of at least 2")
    half = n_quantiles // 2
    strata = torch.arange(half, dtype=torch.float32).repeat_interleave(batch_size)[:, None]
    lower = (strata + torch.rand((half * batch_size, 1), generator=generator)) / n_quantiles
    return torch.cat((lower, 1.0 - lower)).to(device)


def fixed_tau(n_quantiles: int) -> Tensor:
    """Return the fixed grid (k + 0.5) / K used for acting and evaluation: (K,)."""
    return (torch.arange(n_quantiles, dtype=torch.float32) + 0.5) / n_quantiles


class IQNNetwork(nn.Module):
    """Linesight's IQN: convolutional picture head, float head, cosine quantile embedding, dueling heads.

    Args:
        image_height: rows of the picture in pixels.
        image_width: columns of the picture in pixels.
        embedding_dim: cosine features per quantile fraction.
        n_frames: grey frames stacked as channels; 1 keeps the weights interchangeable.
        n_floats: length of the float vector.
        float_hidden_dim: width of the float head.
        dense_hidden_dimension: total width of the two dueling heads, half of it each.
        n_actions: size of the action table.
        float_mean: (n_floats,) subtracted from the floats; the environment's table when left out.
        float_std: (n_floats,) the floats are divided by; the environment's table when left out.
        generator: source of the initial weights.

    Raises:
        ShapeError: the picture is too small for the encoder, or ``n_frames`` is below 1.
        ValueError: ``float_mean`` or ``float_std`` does not fit ``n_floats``.
    """

    float_mean: Tensor
    float_std: Tensor
    cosine_factors: Tensor

    def __init__(
        self,
        image_height: int = 64,
        image_width: int = 64,
        embedding_dim: int = 128,
        *,
        n_frames: int = 1,
        n_floats: int = N_FLOATS,
        float_hidden_dim: int = 256,
        dense_hidden_dimension: int = 1024,
        n_actions: int = N_ACTIONS,
        float_mean: Sequence[float] | NDArray[np.float32] | None = None,
        float_std: Sequence[float] | NDArray[np.float32] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.image_height, self.image_width, self.n_frames = image_height, image_width, n_frames
        self.embedding_dim, self.n_actions, self.n_floats = embedding_dim, n_actions, n_floats
        self.feature_dim = encoder_dim(image_height, image_width) + float_hidden_dim
        hidden = dense_hidden_dimension // 2
        self.img_head = encoder_layers(n_frames)
        self.float_feature_extractor = nn.Sequential(
            nn.Linear(n_floats, float_hidden_dim), nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Linear(float_hidden_dim, float_hidden_dim), nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
        )  # fmt: skip
        self.A_head = nn.Sequential(
            nn.Linear(self.feature_dim, hidden), nn.LeakyReLU(LEAKY_SLOPE, inplace=True), nn.Linear(hidden, n_actions)
        )
        self.V_head = nn.Sequential(
            nn.Linear(self.feature_dim, hidden), nn.LeakyReLU(LEAKY_SLOPE, inplace=True), nn.Linear(hidden, 1)
        )
        self.iqn_fc = nn.Sequential(nn.Linear(embedding_dim, self.feature_dim), nn.LeakyReLU(LEAKY_SLOPE, inplace=True))
        mean, std = _normalisation(float_mean, float_std, n_floats)
        self.register_buffer("float_mean", mean, persistent=False)
        self.register_buffer("float_std", std, persistent=False)
        self.register_buffer(
            "cosine_factors", math.pi * torch.arange(1, embedding_dim + 1, dtype=torch.float32), persistent=False
        )
        self.reset_parameters(generator)
        for parameter in self.img_head.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw fresh orthogonal weights and zero biases with the gains of the reference."""
        gain = nn.init.calculate_gain("leaky_relu", LEAKY_SLOPE)
        last = {self.A_head[2], self.V_head[2]}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                scale = 1.0 if module in last else gain * math.sqrt(2) if module is self.iqn_fc[0] else gain
                nn.init.orthogonal_(module.weight, gain=scale, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features(self, image: Tensor, floats: Tensor) -> Tensor:
        """Return what does not depend on the quantile: (B, D).

        Args:
            image: (B, n_frames, H, W) uint8, or floats already normalised by (x - 128) / 128.
            floats: (B, n_floats) raw observation; normalised here.
        """
        if image.dtype == torch.uint8:
            image = (image.to(self.float_mean.dtype) - 128.0) / 128.0
        pixels: Tensor = self.img_head(channels_last(image))
        with torch.autocast(image.device.type, enabled=False):  # metres and speeds need more than eight bits
            normalised = (floats - self.float_mean) / self.float_std
            return torch.cat((pixels.float(), self.float_feature_extractor(normalised)), dim=1)

    def embed_tau(self, tau: Tensor) -> Tensor:
        """Return the quantile embedding that multiplies the features: (M, 1) fractions to (M, D)."""
        embedded: Tensor = self.iqn_fc(torch.cos(tau * self.cosine_factors))
        return embedded

    def quantiles(self, features: Tensor, tau: Tensor) -> Tensor:
        """Return quantile values of all actions, (B*N, n_actions).

        Args:
            features: (B, D).
            tau: (B*N, 1), quantile-major.
        """
        mixed = self._mix(features, tau)
        advantage, value = (in_float32(head[2], head[:2](mixed)) for head in (self.A_head, self.V_head))
        return _duel(value, advantage)

    def forward(
        self, image: Tensor, floats: Tensor, tau: Tensor | int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return quantiles of the return and the fractions they belong to.

        Args:
            image: (B, n_frames, H, W) uint8 or normalised floats.
            floats: (B, n_floats) raw observation.
            tau: (B*N, 1) fractions, row q*B + b, or the number of stratified fractions to draw per sample.
            generator: source of drawn fractions.

        Returns:
            Quantile values (B*N, n_actions) and the fractions (B*N, 1).
        """
        if isinstance(tau, int):
            tau = stratified_tau(len(image), tau, generator=generator, device=image.device)
        return self.quantiles(self.features(image, floats), tau), tau

    def mean_advantage(self, features: Tensor, tau: Tensor) -> Tensor:
        """Return the mean over quantiles of each action's advantage, (B, n_actions): enough to choose an action.

        The value head is left out because it adds the same number to every action, and the mean is taken before the
        last layer because that layer is linear.
        """
        hidden = self.A_head[:2](self._mix(features, tau)).float()
        return in_float32(self.A_head[2], hidden.view(-1, len(features), hidden.shape[1]).mean(dim=0))

    def mean_q(self, image: Tensor, floats: Tensor, tau_grid: Tensor) -> Tensor:
        """Return the expected return of every action, (B, n_actions), averaged over a fixed grid of fractions (K,)."""
        features = self.features(image, floats)
        mixed = (features[:, None, :] * self.embed_tau(tau_grid[:, None])[None]).flatten(0, 1)
        shape = (len(image), len(tau_grid), -1)
        advantage, value = (
            in_float32(head[2], head[:2](mixed).float().view(shape).mean(dim=1)) for head in (self.A_head, self.V_head)
        )
        return _duel(value, advantage)

    def _mix(self, features: Tensor, tau: Tensor) -> Tensor:
        embedded = self.embed_tau(tau).view(-1, *features.shape)  # (N, B, D)
        return (embedded * features[None]).flatten(0, 1)


def in_float32(layer: nn.Module, hidden: Tensor) -> Tensor:
    """Apply a layer whose output decides between actions in full precision, whatever surrounds it.

    Around a value of 4 bfloat16 has steps of 0.03, and the best two actions are often nearer to each other than that.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        output: Tensor = layer(hidden.float())
    return output


def _duel(value: Tensor, advantage: Tensor) -> Tensor:
    return value + advantage - advantage.mean(dim=1, keepdim=True)


def _normalisation(
    mean: Sequence[float] | NDArray[np.float32] | None, std: Sequence[float] | NDArray[np.float32] | None, n_floats: int
) -> tuple[Tensor, Tensor]:
    if mean is None or std is None:
        from trackmaster.env import OBS_MEAN, OBS_STD

        mean, std = OBS_MEAN if mean is None else mean, OBS_STD if std is None else std
    vectors = tuple(torch.tensor(np.asarray(v), dtype=torch.float32) for v in (mean, std))
    for name, vector in zip(("float_mean", "float_std"), vectors, strict=True):
        if vector.shape != (n_floats,):
            raise ValueError(f"{name} has shape {tuple(vector.shape)}, expected ({n_floats},)")
    if not bool((vectors[1] > 0).all()):
        raise ValueError("float_std holds values that are not positive: every float is divided by its own")
    return vectors[0], vectors[1]
