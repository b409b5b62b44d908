"""Randomised ensembled double Q-learning: many critics, a random few of them in every target, many updates per sample.

Source: Chen et al. 2021, arXiv:2101.05982; names and defaults of the TMRL seed's reference.
"""

from typing import Any

import torch
from torch import Tensor

from trackmaster.errors import ConfigError
from trackmaster.rl.continuous.sac import SACTrainingAgent


class REDQTrainingAgent(SACTrainingAgent):
    """SAC with ``n`` critics, of which ``m`` drawn anew make each target, and their mean for the actor.

    Args:
        observation_space: what the actor sees.
        action_space: a box with finite bounds.
        device: where to learn.
        n: critics.
        m: critics drawn for a target.
        q_updates_per_policy_update: updates of the critics for each of the actor.
        options: those of ``SACTrainingAgent``.

    Raises:
        ConfigError: more critics are to be drawn than there are.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        device: Any = "cpu",
        *,
        n: int = 10,
        m: int = 2,
        q_updates_per_policy_update: int = 20,
        **options: Any,
    ) -> None:
        if not 1 <= m <= n:
            raise ConfigError(f"redq: m is {m} and n is {n}; draw at least one critic and no more than there are.")
        self.n_critics, self.m = n, m
        self.critic_steps_per_actor_step = q_updates_per_policy_update
        super().__init__(observation_space, action_space, device, **options)

    def combine_for_target(self, values: Tensor) -> Tensor:
        """Return the minimum over critics drawn without replacement, (B,)."""
        drawn = torch.randperm(len(values), generator=self._generator)[: self.m]
        return values[drawn.to(values.device)].amin(dim=0)

    def combine_for_actor(self, values: Tensor) -> Tensor:
        """Return the mean of all critics, (B,)."""
        return values.mean(dim=0)
