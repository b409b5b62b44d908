"""Which number format a learner computes in on this machine, and the scale that keeps small gradients alive."""

import contextlib
from pathlib import Path
from typing import Any

import torch

from trackmaster.rl.iqn.config import Precision

CPU_FLAGS = Path("/proc/cpuinfo")

FIRST_SCALE = 256.0
"""Smaller than usual, because the learner's loss is a sum over a reference batch of 512 already."""


def cpu_has_bf16(cpuinfo: Path = CPU_FLAGS) -> bool:
    """Return whether the processor multiplies bfloat16 natively; elsewhere bf16 would be emulated and slow."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def autocast_dtype(choice: Precision, device: torch.device) -> torch.dtype | None:
    """Return the dtype for matrix products, None for float32 everywhere.

    ``auto`` is bfloat16 where the device has it, float16 on CUDA GPUs from before bfloat16, else float32.
    """
    if choice == "off":
        return None
    if choice != "auto":
        return torch.float16 if choice == "fp16" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if cpu_has_bf16() else None


def autocast(dtype: torch.dtype | None, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Return a context that computes matrix products in ``dtype``."""
    if dtype is None:
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[None] = torch.autocast(device.type, dtype=dtype)
    return context


class LossScale:
    """Multiplies the loss before its gradients are taken, so that small ones do not vanish in float16.

    In every other format it is 1 and stays 1.

    Args:
        dtype: what ``autocast_dtype`` gave.
        device: where the gradients are.
    """

    def __init__(self, dtype: torch.dtype | None, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type, init_scale=FIRST_SCALE, enabled=dtype == torch.float16)

    @property
    def is_used(self) -> bool:
        """Whether the loss is scaled, so that there is something to save."""
        return self._scaler.is_enabled()

    @property
    def value(self) -> float:
        """The factor of the next loss."""
        return float(self._scaler.get_scale())

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss to take gradients of."""
        scaled: torch.Tensor = self._scaler.scale(loss)
        return scaled

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the factor."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights; gradients that have overflown are skipped."""
        self._scaler.step(optimizer)

    def update(self) -> bool:
        """Adapt the factor to what the last gradients were; return whether it had been too large for them."""
        before = self.value
        self._scaler.update()
        return self.value < before

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` takes."""
        return dict(self._scaler.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with an earlier run's factor; one of a run in another format says nothing about this one.

        Raises:
            KeyError: it is no state of a scaler.
        """
        if self.is_used and state:
            self._scaler.load_state_dict(state)
