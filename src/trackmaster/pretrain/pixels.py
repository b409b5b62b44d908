"""The two pixel scales, as one function; the agent's scale is (x - 128)/128 and nothing near it."""

import torch
from torch import Tensor

from trackmaster.pretrain.config import ImageNormalization

NORMALIZATION_FORMULAS: dict[ImageNormalization, str] = {"01": "x/255", "iqn": "(x-128)/128"}
"""What the name in an artefact means, spelt out because other programs use another formula under the same name."""


def normalise(frames: Tensor, how: ImageNormalization) -> Tensor:
    """Return pixels as float32 in the scale a network is trained on.

    Args:
        frames: any shape, uint8 0…255, or float 0…1 from a float cache.
        how: ``01`` gives x/255, ``iqn`` gives (x - 128)/128.
    """
    if frames.dtype == torch.uint8:
        values = frames.to(torch.float32)
        return values.div_(255) if how == "01" else values.sub_(128).div_(128)
    return frames if how == "01" else (frames * 255 - 128) / 128
