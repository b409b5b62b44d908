"""An encoder as it goes into the agent: checked against its record, one channel, the agent's pixel scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trackmaster.nn.encoder import arch_hash, build_encoder
from trackmaster.nn.encoder_weights import FIRST_WEIGHT, KernelReduce, reduce_input_channels, unit_range_to_agent
from trackmaster.nn.weights import strip_prefixes
from trackmaster.pretrain.config import ImageNormalization
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.pixels import NORMALIZATION_FORMULAS, normalise

_CHECK_PICTURES = 8


@dataclass(frozen=True)
class PreparedEncoder:
    """An encoder that fits the agent, and how it was made to."""

    state: dict[str, Tensor]
    original: dict[str, Tensor]
    meta: Mapping[str, Any]
    scale: ImageNormalization
    """Pixel scale the encoder was trained on."""
    steps: tuple[str, ...]
    """Conversions in the order they were done."""
    feature_error: float
    """Largest difference between the features of the same pictures before and after the change of pixel scale."""


def prepare_encoder(
    state: Mapping[str, Tensor], meta: Mapping[str, Any], kernel_reduce: KernelReduce, source: Path
) -> PreparedEncoder:
    """Check an encoder against its record and convert it to one channel and the agent's pixel scale.

    Args:
        state: weights as read.
        meta: ``pretrain_meta.json``.
        kernel_reduce: how first-layer kernels of stacked frames become one.
        source: file, for messages.

    Raises:
        PretrainError: weights and record do not belong together, or their pixel scale is unknown.
    """
    original = strip_prefixes(state)
    weight = original.get(FIRST_WEIGHT)
    if weight is None or weight.dim() != 4:
        raise PretrainError(f"{source}: has no convolution {FIRST_WEIGHT!r}, so it is no encoder. Name an encoder.pt.")
    broken = sorted(key for key, value in original.items() if not bool(torch.isfinite(value).all()))
    if broken:
        raise PretrainError(f"{source}: {broken[0]} holds values that are not finite. Use the encoder of another run.")
    found, recorded = arch_hash(original), meta.get("arch_hash")
    if recorded is not None and recorded != found:
        raise PretrainError(f"{source}: has arch_hash {found}, its record says {recorded}: they are of different runs.")
    steps = []
    current: dict[str, Tensor] = dict(original)
    if weight.shape[1] != 1:
        current = reduce_input_channels(current, kernel_reduce)
        steps.append(f"first-layer kernels of {weight.shape[1]} frames reduced by {kernel_reduce}")
    _require_head(current, source)
    scale = pixel_scale(meta, source)
    if scale == "01":
        before = current
        current = unit_range_to_agent(current)
        steps.append("pixel scale x/255 converted to (x-128)/128")
        error = _feature_difference(before, current)
    else:
        error = 0.0
    return PreparedEncoder(current, original, meta, scale, tuple(steps), error)


def _require_head(state: Mapping[str, Tensor], source: Path) -> None:
    head = build_encoder().state_dict()
    if arch_hash(state) == arch_hash(head):
        return
    differing = [
        f"{key}: {tuple(state[key].shape) if key in state else 'missing'}, the agent's is "
        f"{tuple(head[key].shape) if key in head else 'nothing'}"
        for key in sorted(state.keys() | head.keys())
        if key not in state or key not in head or state[key].shape != head[key].shape
    ]
    raise PretrainError(f"{source}: does not fit the agent's img_head: {'; '.join(differing)}. Train a new encoder.")


def pixel_scale(meta: Mapping[str, Any], source: Path) -> ImageNormalization:
    """Return the pixel scale in a record.

    Raises:
        PretrainError: it is none that is known here, or its name alone is ambiguous.
    """
    name, formula = meta.get("image_normalization"), meta.get("image_normalization_formula")
    if name == "iqn" and formula is None:
        raise PretrainError(
            f"{source}: was trained on pixels called 'iqn' without saying the formula; some programs mean "
            "(x-127.5)/127.5 by it, the agent (x-128)/128. Add image_normalization_formula to the record to tell."
        )
    for known, its_formula in NORMALIZATION_FORMULAS.items():
        if name == known and formula in (None, its_formula):
            return known
    known_scales = " and ".join(f"{key} = {value}" for key, value in NORMALIZATION_FORMULAS.items())
    raise PretrainError(
        f"{source}: was trained on pixels {name!r} ({formula or 'no formula'}); known are {known_scales}. "
        "Train it with one of those."
    )


def _feature_difference(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> float:
    """Largest difference of features for the same pictures, each encoder fed in its own scale."""
    pictures = torch.randint(0, 256, (_CHECK_PICTURES, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    frames = pictures.to(torch.uint8)
    old, new = build_encoder(), build_encoder()
    old.load_state_dict(before)
    new.load_state_dict(after)
    with torch.no_grad():
        return float((old(normalise(frames, "01")) - new(normalise(frames, "iqn"))).abs().max())


def recorded_size(meta: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height in a record; older records know squares only.

    Raises:
        PretrainError: the record says neither.
    """
    size = meta.get("image_size")
    square = size if isinstance(size, int) else None
    width, height = meta.get("image_width", square), meta.get("image_height", square)
    if not isinstance(width, int) or not isinstance(height, int):
        raise PretrainError(f"the record of the encoder does not say its picture size (image_size is {size!r}).")
    return width, height
