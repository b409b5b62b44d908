"""The features that read-outs are fitted on: of the encoder, of random weights, and of the pixels themselves."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.nn.encoder import arch_hash, build_encoder, encoder_dim
from trackmaster.nn.encoder_weights import FIRST_WEIGHT
from trackmaster.pretrain.config import ImageNormalization
from trackmaster.pretrain.errors import ProbeError
from trackmaster.pretrain.pixels import normalise
from trackmaster.pretrain.probe_data import ProbeSide
from trackmaster.pretrain.probe_fit import F64, Scale, principal_components

READERS = ("encoder", "random_init", "pixel_pca")

_BATCH = 256


def features_of(
    state: Mapping[str, Tensor], scale: ImageNormalization, sides: tuple[ProbeSide, ProbeSide], seed: int
) -> dict[str, tuple[F64, F64]]:
    """Return for each of ``READERS`` the features (N, D) of both sides, scaled by the side that is fitted on.

    Args:
        state: weights of the encoder.
        scale: pixel scale that it was trained on.
        sides: frames to fit on, frames to test on.
        seed: of the random weights.

    Raises:
        ProbeError: the weights are those of another architecture.
    """
    channels = in_channels(state)
    found = {}
    fit, test = (encoded(state, scale, side, seed) for side in sides)
    for who, features in fit.items():
        to_unit = Scale.of(features)
        found[who] = to_unit(features), to_unit(test[who])
    pixels = [_pixels(side, channels) for side in sides]
    found["pixel_pca"] = principal_components(pixels[0], pixels[1], _n_components(sides[0]))
    return found


def features_of_all(
    state: Mapping[str, Tensor], scale: ImageNormalization, side: ProbeSide, seed: int
) -> dict[str, F64]:
    """Return for each of ``READERS`` the features (N, D) of all frames, unscaled.

    The components of the pixels are those of all of them: an encoder, too, has seen pictures of most maps.

    Raises:
        ProbeError: the weights are those of another architecture.
    """
    pixels = _pixels(side, in_channels(state))
    components, _ = principal_components(pixels, pixels[:0], _n_components(side))
    return {**encoded(state, scale, side, seed), "pixel_pca": components}


def encoded(state: Mapping[str, Tensor], scale: ImageNormalization, side: ProbeSide, seed: int) -> dict[str, F64]:
    """Return the features (N, D) of an encoder and of random weights.

    Raises:
        ProbeError: the weights are those of another architecture.
    """
    channels = in_channels(state)
    trained = build_encoder(channels)
    trained.load_state_dict(dict(state))
    untrained = build_encoder(channels, generator=torch.Generator().manual_seed(seed))
    networks = {"encoder": trained, "random_init": untrained}
    return {who: _encode(network, side, channels, scale) for who, network in networks.items()}


def in_channels(state: Mapping[str, Tensor]) -> int:
    """Return how many frames an encoder takes as channels.

    Raises:
        ProbeError: the weights are those of another architecture.
    """
    weight = state.get(FIRST_WEIGHT)
    channels = int(weight.shape[1]) if weight is not None and weight.dim() == 4 else 0
    if channels < 1 or arch_hash(build_encoder(channels).state_dict()) != arch_hash(state):
        raise ProbeError(f"the weights (arch_hash {arch_hash(state)}) are not those of an encoder that is known here.")
    return channels


def _n_components(side: ProbeSide) -> int:
    """As many as the encoder has features."""
    height, width = side.frames_u8.shape[-2:]
    return encoder_dim(height, width)


def _pixels(side: ProbeSide, channels: int) -> NDArray[np.uint8]:
    return _newest(side, channels).reshape(len(side.groups), -1)


def _newest(side: ProbeSide, channels: int) -> NDArray[np.uint8]:
    """The frames of each window that the encoder takes: all of them as channels, or the newest one."""
    return side.frames_u8[:, -channels:]


@torch.no_grad()
def _encode(network: torch.nn.Module, side: ProbeSide, channels: int, scale: ImageNormalization) -> F64:
    frames = torch.from_numpy(np.ascontiguousarray(_newest(side, channels)))
    parts = [network(normalise(frames[i : i + _BATCH], scale)) for i in range(0, len(frames), _BATCH)]
    return np.asarray(torch.cat(parts).double().numpy())
