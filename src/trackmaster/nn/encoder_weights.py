"""Turning a trained encoder into one that fits the agent: fewer input channels, the agent's picture scale."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from trackmaster.nn.encoder import ShapeError

FIRST_WEIGHT, FIRST_BIAS = "0.weight", "0.bias"
KernelReduce = Literal["mean", "sum", "last"]


def reduce_input_channels(state: Mapping[str, Tensor], how: KernelReduce = "mean") -> dict[str, Tensor]:
    """Return a one-channel encoder made from one that takes N frames as channels; biases stay.

    Args:
        state: encoder weights, the first (16, N, 4, 4).
        how: ``mean`` averages the kernels over the frames, ``sum`` adds them (N equal frames then give the response
            they gave before), ``last`` keeps the kernel of the newest frame.

    Raises:
        ShapeError: the first weight is no convolution.
    """
    weight = state[FIRST_WEIGHT]
    if weight.dim() != 4:
        raise ShapeError(f"{FIRST_WEIGHT} has shape {tuple(weight.shape)}: expected a convolution of four dimensions")
    reduced = {
        "mean": lambda: weight.mean(dim=1, keepdim=True),
        "sum": lambda: weight.sum(dim=1, keepdim=True),
        "last": lambda: weight[:, -1:].clone(),
    }[how]()
    return {**state, FIRST_WEIGHT: reduced}


def rescale_input(state: Mapping[str, Tensor], *, scale: float, shift: float) -> dict[str, Tensor]:
    """Return an encoder that gives for x exactly what ``state`` gives for ``scale * x + shift``.

    Exact because no convolution is padded: every input of the first layer is a real pixel.
    """
    weight, bias = state[FIRST_WEIGHT].double(), state[FIRST_BIAS].double()
    return {
        **state,
        FIRST_WEIGHT: (weight * scale).to(state[FIRST_WEIGHT].dtype),
        FIRST_BIAS: (bias + shift * weight.sum(dim=(1, 2, 3))).to(state[FIRST_BIAS].dtype),
    }


def unit_range_to_agent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert an encoder trained on x/255 to the agent's (x - 128)/128: w' = w·128/255, b' = b + (128/255)·Σw."""
    return rescale_input(state, scale=128 / 255, shift=128 / 255)
