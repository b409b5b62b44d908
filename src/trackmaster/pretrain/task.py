"""What every pre-training task has in common: the stacked encoder that is exported, and a loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trackmaster.nn.encoder import build_encoder, channels_last, encoder_dim
from trackmaster.pretrain.config import ImageNormalization, PretrainConfig, StackMode
from trackmaster.pretrain.pixels import normalise


@dataclass(frozen=True)
class TaskSpec:
    """The settings that shape a task's network and loss."""

    width: int
    height: int
    n_stack: int = 1
    stack_mode: StackMode = "channel"
    image_normalization: ImageNormalization = "01"
    vae_latent: int = 64
    proj_dim: int = 128
    temperature: float = 0.5
    kl_weight: float = 1e-3

    @classmethod
    def of(cls, config: PretrainConfig, width: int, height: int) -> "TaskSpec":
        """Take the fields a task needs out of the configuration."""
        return cls(
            width=width,
            height=height,
            n_stack=config.n_stack,
            stack_mode=config.stack_mode,
            image_normalization=config.image_normalization,
            vae_latent=config.vae_latent,
            proj_dim=config.proj_dim,
            temperature=config.temperature,
            kl_weight=config.kl_weight,
        )


@dataclass(frozen=True)
class TaskLoss:
    """Loss of one batch."""

    loss: Tensor
    """Scalar to descend on."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Scalars worth logging beside it."""


class StackEncoder(nn.Module):
    """Encoder of windows of frames; its ``encoder`` is what the agent gets."""

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build the encoder and, for concatenated stacks, the layer that fuses the frames' features."""
        super().__init__()
        self.concatenates = spec.stack_mode == "concat" and spec.n_stack > 1
        self.features = encoder_dim(spec.height, spec.width)
        self.encoder = build_encoder(1 if self.concatenates else spec.n_stack, generator=generator)
        self.fusion = nn.Linear(spec.n_stack * self.features, self.features) if self.concatenates else None

    def forward(self, frames: Tensor) -> Tensor:
        """Return features (B, enc_dim) of normalised windows (B, n_stack, H, W)."""
        if self.fusion is None:
            features: Tensor = self.encoder(frames)
            return features
        batch, n_stack, height, width = frames.shape
        each = self.encoder(frames.reshape(batch * n_stack, 1, height, width))
        fused: Tensor = self.fusion(each.reshape(batch, n_stack * self.features))
        return fused


class VisualTask(nn.Module, ABC):
    """A pre-training objective around one encoder."""

    drop_last = False
    """Whether an incomplete last batch would disturb the loss."""

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build the encoder; subclasses add what their objective needs."""
        super().__init__()
        self.spec = spec
        self.backbone = StackEncoder(spec, generator)

    @abstractmethod
    def loss(self, frames: Tensor, generator: torch.Generator) -> TaskLoss:
        """Return the loss of a batch.

        Args:
            frames: (B, n_stack, H, W) normalised pixels.
            generator: on the same device, of all noise.
        """

    def batch_loss(self, frames: Tensor, generator: torch.Generator) -> TaskLoss:
        """Return the loss of a batch as loaders deliver it: (B, n_stack, 1, H, W), uint8 0…255 or float 0…1."""
        pixels = normalise(frames.squeeze(2), self.spec.image_normalization)
        return self.loss(channels_last(pixels), generator)

    def to_channels_last(self) -> None:
        """Lay the convolutions' weights out with channels innermost: a fifth faster on CPUs, same numbers."""
        for weight in self.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def encoder_state(self) -> dict[str, Tensor]:
        """Return a copy of the encoder's weights on the CPU, keys 0.weight … 6.bias."""
        return _cpu_copy(self.backbone.encoder)

    def fusion_state(self) -> dict[str, Tensor] | None:
        """Return a copy of the fusion layer's weights, or None where frames are not concatenated."""
        return None if self.backbone.fusion is None else _cpu_copy(self.backbone.fusion)


def _cpu_copy(module: nn.Module) -> dict[str, Tensor]:
    return {
        key: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for key, value in module.state_dict().items()
    }
