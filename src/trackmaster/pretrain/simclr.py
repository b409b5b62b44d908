"""Task ``simclr``: two views of one frame belong together, views of different frames do not.

Source: Chen et al. 2020, arXiv:2002.05709, sections 2.1 and B.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from trackmaster.nn.decoder import ProjectionHead
from trackmaster.nn.encoder import init_orthogonal
from trackmaster.pretrain.augment import random_view
from trackmaster.pretrain.errors import PretrainError
from trackmaster.pretrain.task import TaskLoss, TaskSpec, VisualTask


class SimClr(VisualTask):
    """Encoder, projection head, normalised-temperature cross-entropy between two random views."""

    drop_last = True  # the number of negatives is part of the loss

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build encoder and projection head."""
        super().__init__(spec, generator)
        self.projection = ProjectionHead(self.backbone.features, spec.proj_dim)
        init_orthogonal(self.projection, generator=generator)

    def loss(self, frames: Tensor, generator: torch.Generator) -> TaskLoss:
        """Return the contrastive loss of two views of (B, n_stack, H, W), and how often partners are nearest."""
        black, white = (0.0, 1.0) if self.spec.image_normalization == "01" else (-1.0, 127 / 128)
        views = [random_view(frames, generator, black=black, white=white) for _ in range(2)]
        projections = self.projection(self.backbone(torch.cat(views))).float()
        return TaskLoss(self.contrast(projections), {"accuracy": partner_accuracy(projections.detach())})

    def contrast(self, projections: Tensor) -> Tensor:
        """Return the loss of projections (2B, D), whose rows i and i + B belong together."""
        return nt_xent(projections, self.spec.temperature)


class LightlySimClr(SimClr):
    """The same task with the loss of the ``lightly`` package."""

    def __init__(self, spec: TaskSpec, generator: torch.Generator) -> None:
        """Build the task; lightly must be installed beside a torchvision that loads."""
        super().__init__(spec, generator)
        try:
            from lightly.loss import NTXentLoss  # type: ignore[import-not-found]
        except (ImportError, RuntimeError) as error:  # a torchvision of another build raises RuntimeError
            raise PretrainError(
                f"the lightly back-end cannot be loaded ({error}). It needs the package lightly and a torchvision made "
                "for the installed torch; --framework lightning trains the same task without them."
            ) from None
        self._criterion = NTXentLoss(temperature=spec.temperature)

    def contrast(self, projections: Tensor) -> Tensor:
        """Return lightly's contrastive loss of projections (2B, D)."""
        first, second = projections.chunk(2)
        loss: Tensor = self._criterion(first, second)
        return loss


def nt_xent(projections: Tensor, temperature: float) -> Tensor:
    """Return the normalised-temperature cross-entropy.

    Args:
        projections: (2B, D); sample i and sample i + B are views of the same frame.
        temperature: of the softmax over cosine similarities.

    Source: Chen et al. 2020, arXiv:2002.05709, equation 1.
    """
    return F.cross_entropy(_similarity(projections) / temperature, _partners(projections))


def partner_accuracy(projections: Tensor) -> Tensor:
    """Return the share of samples whose nearest other sample is their partner, for (2B, D)."""
    return (_similarity(projections).argmax(dim=1) == _partners(projections)).float().mean()


def _similarity(projections: Tensor) -> Tensor:
    """Cosine of every pair (2B, 2B); a sample is infinitely far from itself."""
    unit = F.normalize(projections, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return (unit @ unit.T).masked_fill(itself, float("-inf"))


def _partners(projections: Tensor) -> Tensor:
    count = len(projections)
    return torch.arange(count, device=projections.device).roll(count // 2)
