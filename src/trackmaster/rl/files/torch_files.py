"""Reading and writing ``.torch`` files: atomic, and never unpickled."""

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from trackmaster.files import atomic_path
from trackmaster.nn.torch_writing import write_torch
from trackmaster.nn.weights import WeightsError

_DAMAGE = (
    pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, LookupError, TypeError, AttributeError,
    AssertionError, ArithmeticError, MemoryError, struct.error,
)  # fmt: skip
"""What reading damaged files raises, PyTorch's unpickler included."""


def save_torch(content: object, path: Path) -> None:
    """Write tensors and plain values through a temporary name.

    Raises:
        OSError: the disk refuses.
    """
    with atomic_path(path) as temporary:
        write_torch(content, temporary)


def load_torch(path: Path) -> dict[str, Any]:
    """Return the dictionary in a ``.torch`` file; only tensors and plain values are accepted.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything that would have to be unpickled.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; expected weights written by a training run.") from None
    except _DAMAGE as error:
        raise WeightsError(
            f"{path}: cannot be read as weights ({type(error).__name__}). The file is damaged or holds Python objects: "
            "use one of the recovery snapshots beside it, or start over with --fresh."
        ) from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, expected a dictionary of tensors.")
    return content
