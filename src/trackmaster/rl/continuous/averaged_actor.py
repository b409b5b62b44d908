"""Running averages of weights: target networks, and an actor that is steadier than the newest one.

Source of the averaged actor: Polyak and Juditsky 1992, doi:10.1137/0330046, in the exponential form.
"""

import torch
from torch import Tensor, nn

from trackmaster.rl.continuous.gaussian_actor import GaussianActor


@torch.no_grad()
def polyak_update(targets: nn.Module, onlines: nn.Module, polyak: float) -> None:
    """Move target parameters: target = polyak target + (1 - polyak) online."""
    slow: list[Tensor] = list(targets.parameters())
    fast: list[Tensor] = list(onlines.parameters())
    torch._foreach_lerp_(slow, fast, 1.0 - polyak)


class AveragedActor:
    """An actor whose weights follow those of another one slowly.

    While a critic still changes its mind, the newest actor swings about the policy that it would settle on, and one
    evaluation tells about one moment of that. The average is what it swings about.

    Args:
        actor: to begin with.
        share: of the average that stays per update; in the first updates less, so that fresh weights are soon gone.
    """

    def __init__(self, actor: GaussianActor, share: float) -> None:
        self.actor = actor.no_grad_copy()
        self._share = share

    def follow(self, newest: GaussianActor, update: int) -> None:
        """Take in the newest weights; ``update`` counts them from 1.

        The agent counts, and saves the count: one kept here would differ after a restart.
        """
        polyak_update(self.actor, newest, min(self._share, update / (9 + update)))
