"""Losses against numbers worked out by hand, and their minimisers."""

import pytest
import torch

from trackmaster.rl.iqn.loss import SelfNormalisation, bootstrap_target, by_sample, quantile_huber_loss, taken


def test_loss_by_hand() -> None:
    predicted, target, tau = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 2.0]]), torch.tensor([[0.25, 0.75]])
    # kappa 1: errors 0.5 -> 0.125, 2 -> 1.5 at tau .25; -0.5 -> 0.125 (weight .25), 1 -> 0.5 at tau .75
    expected = (0.25 * 0.125 + 0.25 * 1.5) / 2 + (0.25 * 0.125 + 0.75 * 0.5) / 2
    assert quantile_huber_loss(predicted, target, tau, kappa=1.0).item() == pytest.approx(expected)


def test_small_kappa_is_the_pinball_loss_minus_half_kappa() -> None:
    loss = quantile_huber_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]), torch.tensor([[0.3]]), kappa=0.005)
    assert loss.item() == pytest.approx(0.3 * (1 - 0.0025))


def test_loss_is_minimal_at_the_quantile() -> None:
    target = torch.linspace(0, 1, 1001)[None]
    grid = torch.linspace(0, 1, 201)
    for tau in (0.1, 0.5, 0.9):
        losses = torch.cat([quantile_huber_loss(g.view(1, 1), target, torch.tensor([[tau]]), kappa=1e-3) for g in grid])
        assert grid[losses.argmin()].item() == pytest.approx(tau, abs=0.006)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="kappa"):
        quantile_huber_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2), kappa=0.0)
    with pytest.raises(ValueError, match="both must be"):
        quantile_huber_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 3), kappa=1.0)


def test_self_normalisation_by_hand() -> None:
    normalise = SelfNormalisation()
    target, tau = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.25, 0.75], [0.25, 0.75]])
    # Against itself: sample 0 pays .25*.9975/2 twice -> S = sqrt(.249375); sample 1 pays nothing and is clamped.
    spread = 0.249375**0.5
    mean_spread = 0.99 * 0.01 + 0.01 * spread / 2
    divisor = 0.99 * 0.01 + 0.01 * (spread + mean_spread / 4) / 2
    result = normalise(torch.tensor([1.0, 1.0]), target, tau, kappa=0.005)
    torch.testing.assert_close(result, torch.tensor([divisor / spread, divisor / (mean_spread / 4)]))
    assert normalise.mean_spread == pytest.approx(mean_spread)


def test_bootstrap_and_selection_keep_sample_and_quantile_apart() -> None:
    # two samples, two quantiles, two actions; value = 100*quantile + 10*sample + action
    quantiles = torch.tensor([[0.0, 1], [10, 11], [100, 101], [110, 111]])
    chosen = taken(quantiles, torch.tensor([1, 0]))
    torch.testing.assert_close(chosen, torch.tensor([[1.0, 101], [10, 110]]))
    torch.testing.assert_close(
        by_sample(torch.tensor([[0.1], [0.2], [0.3], [0.4]]), 2), torch.tensor([[0.1, 0.3], [0.2, 0.4]])
    )
    torch.testing.assert_close(
        bootstrap_target(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0]), chosen),
        torch.tensor([[1.5, 51.5], [2, 2]]),
    )
