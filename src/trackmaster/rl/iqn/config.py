"""Everything the IQN agent is told, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import ConfigError
from trackmaster.rl.iqn.parts import PartName, PartRule
from trackmaster.rl.schedules import Schedule

Precision = Literal["auto", "off", "bf16", "fp16"]

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
"""``reduce-overhead`` and ``max-autotune`` record CUDA graphs where the device is a CUDA GPU."""

REFERENCE_BATCH = 512
"""The mean loss is multiplied by this, so gradients have the size of the reference's summed loss at its batch of 512
and learning rate, epsilon and clipping mean the same at every batch size."""


@dataclass(frozen=True)
class IQNConfig:
    """Network sizes, loss, optimiser and schedules of one agent."""

    lr: Schedule
    gamma: Schedule
    epsilon: Schedule
    epsilon_boltzmann: Schedule
    image_height: int = 64
    image_width: int = 64
    n_frames: int = 1
    n_floats: int = 184
    embedding_dim: int = 128
    float_hidden_dim: int = 256
    dense_hidden_dimension: int = 1024
    float_mean: NDArray[np.float32] | None = None
    float_std: NDArray[np.float32] | None = None
    iqn_n: int = 8
    iqn_k: int = 32
    iqn_kappa: float = 0.005
    loss: Literal["paper", "reference"] = "reference"
    """``reference`` divides each sample's loss by the spread of its own target, ``paper`` does not."""
    use_ddqn: bool = True
    """The online network chooses the next action; otherwise the target network does. Always by the mean."""
    optimizer: Literal["radam", "adamw"] = "radam"
    beta1: float = 0.9
    beta2: float = 0.999
    adam_epsilon: float = 1e-4
    weight_decay_lr_ratio: float = 0.02
    clip_grad_norm: float = 30.0
    clip_grad_value: float = 1000.0
    soft_update_tau: float = 0.02
    target_update_interval: int = 2048
    """Trained transitions between two soft updates of the target network."""
    batch_size: int = 512
    q_bound: float = 1000.0
    """Largest credible absolute return; beyond it the learner rolls back."""
    tau_epsilon_boltzmann: float = 0.01
    epsilon_spread: float = 0.0
    """Car i of n explores with ``epsilon ** (1 + spread * i / (n - 1))``."""
    random_action_weights: tuple[float, ...] = ()
    """Relative weights of the 12 random actions; empty means equal."""
    autocast: Precision = "auto"
    use_jit: bool | Literal["auto"] = "auto"
    """Compile the update; ``auto`` does on CUDA GPUs only."""
    compile_mode: CompileMode = "default"
    compile_backend: str = "inductor"
    acting: Literal["auto", "onnxruntime", "torch"] = "auto"
    """What computes actions on the CPU; ``auto`` takes ONNX Runtime where it is installed."""
    parts: Mapping[PartName, PartRule] = field(default_factory=dict)
    """How parts of the network learn that are frozen or have a learning rate of their own."""

    def __post_init__(self) -> None:
        if self.target_update_interval < self.batch_size:
            raise ConfigError(
                f"number_memories_trained_on_between_target_network_updates is {self.target_update_interval}, below "
                f"the batch size {self.batch_size}: the check runs once per batch, so use at least {self.batch_size}."
            )
        for name in ("iqn_n", "iqn_k"):
            if getattr(self, name) < 2 or getattr(self, name) % 2:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected an even number of at least 2.")
