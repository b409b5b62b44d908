"""What the agents with analog actions learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor


class TransitionBatch(NamedTuple):
    """Transitions in the order that every ``TrainingAgent`` unpacks; only ``terminated`` ends a return."""

    obs: Any
    """Tensors (B, ...), nested like the observation space."""
    action: Tensor
    """(B, A) float32."""
    reward: Tensor
    """(B,) float32."""
    next_obs: Any
    terminated: Tensor
    """(B,) float32, 1 where no value follows."""
    truncated: Tensor
    """(B,) float32, 1 where the episode was cut off by a limit."""


@dataclass(frozen=True)
class Rollout:
    """Consecutive transitions that one version of the policy drove, segment after segment."""

    batch: TransitionBatch
    ends: Tensor
    """(B,) bool: the next row belongs to another segment."""
    draw: Tensor | None = None
    """(B, A) what the actor drew before the squash."""
    log_prob: Tensor | None = None
    """(B,) its log density under the policy that drove."""


def to_device(value: Any, device: torch.device) -> Any:
    """Return tensors nested in tuples and mappings on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: to_device(part, device) for key, part in value.items()}
    return tuple(to_device(part, device) for part in value)


def rows_of(value: Any, index: Tensor) -> Any:
    """Return chosen rows of tensors nested in tuples and mappings."""
    if isinstance(value, Tensor):
        return value[index]
    if isinstance(value, Mapping):
        return {key: rows_of(part, index) for key, part in value.items()}
    return tuple(rows_of(part, index) for part in value)
