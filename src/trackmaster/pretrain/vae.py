"""Task ``vae``: rebuild the frames from a latent normal distribution kept near the standard one.

Source: Kingma and Welling 2014, arXiv:1312.6114.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trackmaster.nn.decoder import FrameDecoder, GaussianHead, require_decodable
from trackmaster.nn.encoder import init_orthogonal
from trackmaster.pretrain.task import TaskLoss, TaskSpec, VisualTask


class VariationalAutoencoder(VisualTask):
    """Encoder, latent distribution, decoder; squared error per pixel plus weighted divergence per sample."""

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build encoder, latent head and decoder; both sides of the picture must be multiples of 16."""
        require_decodable(spec.height, spec.width)
        super().__init__(spec, generator)
        self.head = GaussianHead(self.backbone.features, spec.vae_latent)
        self.decoder = FrameDecoder(
            spec.vae_latent, spec.n_stack, spec.height, spec.width, bounded=spec.image_normalization == "01"
        )
        init_orthogonal(self.head, generator=generator)
        init_orthogonal(self.decoder, generator=generator)

    def loss(self, frames: Tensor, generator: torch.Generator) -> TaskLoss:
        """Return squared error plus ``kl_weight`` times the divergence, for (B, n_stack, H, W)."""
        mean, log_variance = (part.float() for part in self.head(self.backbone(frames)))
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        rebuilt = self.decoder(mean + torch.exp(0.5 * log_variance) * noise)
        error = F.mse_loss(rebuilt.float(), frames)
        divergence = kl_to_standard_normal(mean, log_variance)
        return TaskLoss(error + self.spec.kl_weight * divergence, {"mse": error, "kl": divergence})


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence of N(mean, variance) from N(0, 1): summed over latents, averaged over the batch.

    Args:
        mean: (B, latent).
        log_variance: (B, latent).
    """
    each = -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
    return each.sum(dim=1).mean()
