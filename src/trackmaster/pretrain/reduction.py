"""What reducing the kernels of stacked frames to one does to the encoder's responses, measured on real frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from trackmaster.data import DataError, ReplayFrameDataset
from trackmaster.nn.encoder import build_encoder
from trackmaster.nn.encoder_weights import FIRST_WEIGHT
from trackmaster.pretrain.pixels import normalise
from trackmaster.pretrain.prepared import PreparedEncoder, recorded_size

MEASURED_WINDOWS = 256
WARN_FACTOR = 2.0


def describe_reduction(encoder: PreparedEncoder, frames_dir: Path | None) -> Iterator[str]:
    """Yield sentences about the ratio of feature norms after and before a reduction; nothing without one.

    Args:
        encoder: after the conversions.
        frames_dir: captured frames; None takes those the encoder was trained on, if they are still there.

    Raises:
        DataError: frames that were named cannot be used.
    """
    n_stack = encoder.original[FIRST_WEIGHT].shape[1]
    if n_stack == 1:
        return
    folder = frames_dir if frames_dir is not None else Path(str(encoder.meta.get("dataset_root", "")))
    if frames_dir is None and not folder.is_dir():
        yield "the effect of the kernel reduction was not measured: name captured frames with --frames-dir"
        return
    ratio = feature_norm_ratio(encoder, folder)
    yield f"feature norm after the kernel reduction: {ratio:.2f} of what it was, on up to {MEASURED_WINDOWS} windows"
    if not 1 / WARN_FACTOR <= ratio <= WARN_FACTOR:
        yield "warning: the responses changed their scale by more than a factor of 2; try --kernel-reduce sum or last"


def feature_norm_ratio(encoder: PreparedEncoder, frames_dir: Path) -> float:
    """Return the mean feature norm of the reduced encoder on last frames over that of the original on whole windows.

    Raises:
        DataError: there are no windows to measure on.
    """
    n_stack = encoder.original[FIRST_WEIGHT].shape[1]
    width, height = recorded_size(encoder.meta)
    source = ReplayFrameDataset(frames_dir, width=width, height=height, n_stack=n_stack)
    if len(source) == 0:
        raise DataError(f"{frames_dir}: has no window of {n_stack} consecutive frames to measure on.")
    rows = np.unique(np.linspace(0, len(source) - 1, MEASURED_WINDOWS).astype(np.int64))
    windows = torch.from_numpy(source.gather(rows))[:, :, 0]  # (B, n_stack, H, W)
    before, after = build_encoder(n_stack), build_encoder()
    before.load_state_dict(encoder.original)
    after.load_state_dict(encoder.state)
    with torch.no_grad():
        norm_before = before(normalise(windows, encoder.scale)).norm(dim=1).mean()
        norm_after = after(normalise(windows[:, -1:], "iqn")).norm(dim=1).mean()
    return float(norm_after / norm_before)
