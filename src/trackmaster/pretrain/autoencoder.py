"""Task ``ae``: rebuild the frames from the encoder's features."""

import torch
from torch import Tensor
from torch.nn import functional as F

from trackmaster.nn.decoder import FrameDecoder, require_decodable
from trackmaster.nn.encoder import init_orthogonal
from trackmaster.pretrain.task import TaskLoss, TaskSpec, VisualTask


class Autoencoder(VisualTask):
    """Encoder, decoder, mean squared error per pixel.

    The decoder's output covers the range of the targets: a sigmoid for pixels in [0, 1], linear for the agent's scale.
    """

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build encoder and decoder; both sides of the picture must be multiples of 16."""
        require_decodable(spec.height, spec.width)
        super().__init__(spec, generator)
        self.decoder = FrameDecoder(
            self.backbone.features, spec.n_stack, spec.height, spec.width, bounded=spec.image_normalization == "01"
        )
        init_orthogonal(self.decoder, generator=generator)

    def loss(self, frames: Tensor, generator: torch.Generator) -> TaskLoss:
        """Return the mean squared error of the rebuilt frames (B, n_stack, H, W)."""
        del generator  # nothing is drawn here
        rebuilt = self.decoder(self.backbone(frames))
        return TaskLoss(F.mse_loss(rebuilt.float(), frames))
