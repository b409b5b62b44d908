"""Losses equal what a hand or an obvious loop computes, and targets match the output's range."""

import math
import sys
import types
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from trackmaster.nn.encoder import ShapeError
from trackmaster.pretrain import PretrainError
from trackmaster.pretrain.augment import random_view
from trackmaster.pretrain.autoencoder import Autoencoder
from trackmaster.pretrain.pixels import normalise
from trackmaster.pretrain.simclr import LightlySimClr, SimClr, nt_xent, partner_accuracy
from trackmaster.pretrain.task import TaskSpec, VisualTask
from trackmaster.pretrain.vae import VariationalAutoencoder, kl_to_standard_normal

TASKS: list[type[VisualTask]] = [Autoencoder, VariationalAutoencoder, SimClr]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames(batch: int = 4, n_stack: int = 1, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (batch, n_stack, 1, side, side), dtype=torch.uint8, generator=seeded(9))


def test_pixel_scales() -> None:
    bytes_ = torch.tensor([0, 128, 255], dtype=torch.uint8)
    assert normalise(bytes_, "01").tolist() == pytest.approx([0, 128 / 255, 1])
    assert normalise(bytes_, "iqn").tolist() == [-1, 0, 127 / 128]
    floats = bytes_ / 255
    for how in ("01", "iqn"):
        assert torch.allclose(normalise(floats, how), normalise(bytes_, how), atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(("n_stack", "mode"), [(1, "channel"), (3, "channel"), (3, "concat")])
@pytest.mark.parametrize("scale", ["01", "iqn"])
def test_every_task_gives_a_loss_with_gradients_for_the_encoder(
    kind: type[VisualTask], n_stack: int, mode: Any, scale: Any
) -> None:
    task = kind(TaskSpec(64, 64, n_stack, mode, scale), seeded())
    result = task.batch_loss(frames(n_stack=n_stack), seeded(1))
    result.loss.backward()
    assert math.isfinite(float(result.loss.detach()))
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in task.backbone.parameters())
    assert task.encoder_state()["0.weight"].shape == (16, n_stack if mode == "channel" else 1, 4, 4)
    assert (task.fusion_state() is not None) == (mode == "concat")


@pytest.mark.parametrize("kind", [Autoencoder, VariationalAutoencoder])
def test_reconstruction_refuses_sizes_that_it_cannot_draw(kind: type[VisualTask]) -> None:
    with pytest.raises(ShapeError, match="84x84"):
        kind(TaskSpec(84, 84), seeded())
    SimClr(TaskSpec(84, 84), seeded())


def test_autoencoder_loss_is_the_mean_squared_error_of_its_output() -> None:
    task = Autoencoder(TaskSpec(64, 64), seeded())
    pixels = normalise(frames()[:, :, 0], "01")
    expected = F.mse_loss(task.decoder(task.backbone(pixels)), pixels)
    assert torch.allclose(task.batch_loss(frames(), seeded()).loss, expected, atol=1e-6)


def test_output_covers_the_range_of_the_targets() -> None:
    bounded = Autoencoder(TaskSpec(64, 64, image_normalization="01"), seeded())
    free = Autoencoder(TaskSpec(64, 64, image_normalization="iqn"), seeded())
    features = 100 * torch.randn(8, 512, generator=seeded(2))
    with torch.no_grad():
        drawn = bounded.decoder(features)
        assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
        assert float(free.decoder(features).min()) < -1


def test_divergence_by_hand() -> None:
    mean, log_variance = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(4)], [0.0, 0.0]])
    by_hand = (0.5 * 1 + 0.5 * (4 - 1 - math.log(4))) / 2
    assert float(kl_to_standard_normal(mean, log_variance)) == pytest.approx(by_hand, abs=1e-6)


def test_vae_loss_is_error_plus_weighted_divergence() -> None:
    task = VariationalAutoencoder(TaskSpec(64, 64, kl_weight=0.3), seeded())
    with torch.no_grad():
        result = task.batch_loss(frames(), seeded(4))
    assert float(result.loss) == pytest.approx(float(result.parts["mse"] + 0.3 * result.parts["kl"]), rel=1e-5)
    again = task.batch_loss(frames(), seeded(4))
    assert torch.equal(result.loss, again.loss), "the noise comes from the generator alone"
    assert not torch.equal(result.loss, task.batch_loss(frames(), seeded(5)).loss)


def test_contrastive_loss_equals_the_obvious_loop() -> None:
    projections = torch.randn(6, 5, generator=seeded(3))
    unit = F.normalize(projections, dim=1)
    total, hits = 0.0, 0
    for i in range(6):
        partner = (i + 3) % 6
        others = [j for j in range(6) if j != i]
        scores = {j: float(unit[i] @ unit[j]) for j in others}
        total -= scores[partner] / 0.5 - math.log(sum(math.exp(score / 0.5) for score in scores.values()))
        hits += max(scores, key=scores.__getitem__) == partner
    assert float(nt_xent(projections, 0.5)) == pytest.approx(total / 6, rel=1e-5)
    assert float(partner_accuracy(projections)) == pytest.approx(hits / 6)


def test_views_differ_between_samples_and_not_within_a_stack() -> None:
    one = torch.rand(1, 1, 64, 64, generator=seeded(1))
    view = random_view(one.expand(5, 3, 64, 64), seeded(2), black=0.0, white=1.0)
    assert view.shape == (5, 3, 64, 64)
    for sample in view:
        assert torch.equal(sample[0], sample[1])
        assert torch.equal(sample[0], sample[2])
    assert all(not torch.allclose(view[0], other, atol=1e-3) for other in view[1:])
    assert view.min() >= 0
    assert view.max() <= 1


def test_views_shift_by_at_most_the_crop_and_never_mirror() -> None:
    ramp = torch.linspace(0.2, 0.6, 64).expand(32, 1, 64, 64)  # brighter to the right
    view = random_view(ramp, seeded(6), black=0.0, white=1.0)[:, 0]
    assert (view[:, :, 1:] - view[:, :, :-1]).min() >= 0, "still brighter to the right"
    per_pixel = 0.4 / 63
    relative = view / view.mean(dim=(1, 2), keepdim=True) * ramp[:, 0].mean()
    assert (relative - ramp[:, 0]).abs().max() < 10 * per_pixel


def test_uncut_views_are_the_picture_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.rand(2, 1, 64, 64, generator=seeded(1))
    draws = torch.zeros(5, 2)
    draws[4] = 0.5  # brightness unchanged
    monkeypatch.setattr(torch, "rand", lambda *args, **more: draws)
    assert torch.allclose(random_view(pictures, seeded(), black=0.0, white=1.0), pictures, atol=1e-5)


def test_lightly_brings_its_loss_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss(torch.nn.Module):
        def __init__(self, temperature: float) -> None:
            super().__init__()
            self.temperature = temperature

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return 3 * nt_xent(torch.cat([first, second]), self.temperature)

    package = types.ModuleType("lightly.loss")
    package.NTXentLoss = Loss  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightly", types.ModuleType("lightly"))
    monkeypatch.setitem(sys.modules, "lightly.loss", package)
    spec = TaskSpec(64, 64, temperature=0.2)
    with torch.no_grad():
        theirs, ours = (kind(spec, seeded()).batch_loss(frames(), seeded(1)).loss for kind in (LightlySimClr, SimClr))
    assert torch.allclose(theirs, 3 * ours)


def test_lightly_without_its_package_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    with pytest.raises(PretrainError, match="--framework lightning"):
        LightlySimClr(TaskSpec(64, 64), seeded())
