"""Process-wide switches of torch, set for one run; all but the reuse of memory are put back afterwards."""

import contextlib
from collections.abc import Iterator

import torch

from trackmaster.allocator import keep_freed_memory
from trackmaster.pretrain.config import LightningOptions


@contextlib.contextmanager
def torch_modes(options: LightningOptions) -> Iterator[None]:
    """Apply the precision of matrix products and the ban on order-dependent operations inside the block."""
    keep_freed_memory()
    precision, deterministic = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    torch.set_float32_matmul_precision(options.float32_matmul_precision)
    torch.use_deterministic_algorithms(options.deterministic or deterministic)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)
