"""Which number format a learner computes in on this machine."""

import contextlib
from pathlib import Path
from typing import Literal

import torch

CPU_FLAGS = Path("/proc/cpuinfo")


def cpu_has_bf16(cpuinfo: Path = CPU_FLAGS) -> bool:
    """Return whether the processor multiplies bfloat16 natively; elsewhere bf16 would be emulated and slow."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def autocast_dtype(choice: Literal["auto", "off", "bf16"], device: torch.device) -> torch.dtype | None:
    """Return the dtype for matrix products, None for float32 everywhere.

    There is no fp16: its range is too narrow for small gradients, which would vanish.
    """
    if choice == "off":
        return None
    if choice == "bf16" or device.type == "cuda" or cpu_has_bf16():
        return torch.bfloat16
    return None


def autocast(dtype: torch.dtype | None, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Return a context that computes matrix products in ``dtype``."""
    if dtype is None:
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[None] = torch.autocast(device.type, dtype=dtype)
    return context
