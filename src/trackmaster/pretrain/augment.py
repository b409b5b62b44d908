"""Random views of frames for contrastive learning, drawn per sample and shared within a stack."""

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_CROP_PX = 8
CROP_SHARE = 8
"""At most one eighth of a side is cut away."""
BRIGHTNESS = 0.2


def random_view(frames: Tensor, generator: torch.Generator, *, black: float, white: float) -> Tensor:
    """Return frames cropped at random, resized back and made brighter or darker.

    A crop cuts up to min(8, side/8) pixels off each axis at a random place; brightness is scaled by 0.8 to 1.2 about
    black. There is no mirror image: left and right differ for a driver.

    Args:
        frames: (B, n_stack, H, W) normalised pixels.
        generator: on the same device.
        black: value of a black pixel in this scale; brightness is scaled from here.
        white: value of a white pixel; brighter ones are clipped.

    Returns:
        (B, n_stack, H, W); each sample has its own crop and brightness, equal for all frames of its stack.
    """
    batch, _, height, width = frames.shape
    draws = torch.rand((5, batch), generator=generator, device=frames.device)
    grid = _crop_grid(draws[:4], height, width)
    cropped = F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
    factor = 1 + BRIGHTNESS * (2 * draws[4] - 1)
    return ((cropped - black) * factor[:, None, None, None] + black).clamp(black, white)


def _crop_grid(draws: Tensor, height: int, width: int) -> Tensor:
    """Sampling positions (B, H, W, 2) of a crop per sample: size from draws 0 and 1, place from draws 2 and 3."""
    axes = []
    for side, size_draw, place_draw in ((width, draws[0], draws[2]), (height, draws[1], draws[3])):
        cut = torch.floor(size_draw * (min(MAX_CROP_PX, side // CROP_SHARE) + 1))
        first = torch.floor(place_draw * (cut + 1))
        scale = (side - cut) / side
        centre = (2 * first + (side - cut)) / side - 1
        steps = (2 * torch.arange(side, device=draws.device, dtype=draws.dtype) + 1) / side - 1
        axes.append(centre[:, None] + scale[:, None] * steps[None])
    columns, rows = axes
    batch = columns.shape[0]
    return torch.stack(
        [columns[:, None, :].expand(batch, height, width), rows[:, :, None].expand(batch, height, width)], dim=-1
    )
