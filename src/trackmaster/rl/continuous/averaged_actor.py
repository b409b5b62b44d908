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
        self._share, self._updates = share, 0

    def follow(self, newest: GaussianActor) -> None:
        """Take in the newest weights."""
        share = min(self._share, (1 + self._updates) / (10 + self._updates))
        polyak_update(self.actor, newest, share)
        self._updates += 1

    def go_on(self, updates: int) -> None:
        """Go on with weights that are the average of so many updates."""
        self._updates = updates
