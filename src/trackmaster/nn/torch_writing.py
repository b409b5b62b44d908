"""Writing with ``torch.save`` in one go, so that a disk that refuses says why."""

import io
from pathlib import Path

import torch


def write_torch(content: object, path: Path) -> None:
    """Write tensors and plain values.

    Raises:
        OSError: the disk refuses; PyTorch itself would raise a ``RuntimeError`` that does not say why.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getbuffer())
