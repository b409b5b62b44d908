"""The actor of SAC, REDQ and PPO: draws from a squashed normal distribution, or takes its middle."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.nn.observation_layout import batched
from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.carried import HIDDEN_COLUMN
from trackmaster.rl.exploration import ActingError
from trackmaster.rl.generators import generator_state, restore_generator
from trackmaster.rl.torch_actor import TorchActorModule

DRAW_COLUMN, LOG_PROB_COLUMN = "draw", "log_prob"
"""What ``act_batch`` tells about an action: the draw before the squash and its log density."""


class GaussianActor(TorchActorModule):
    """Acts with the networks of an agent.

    Args:
        observation_space: of the environment.
        action_space: a box with finite bounds.
        device: where the network runs.
        networks: sizes and kind.
        seed: of the draws; torch's global generator when left out.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        device: Any = "cpu",
        *,
        networks: PolicyNetworks | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(observation_space, action_space, device)
        self.policy = (networks or PolicyNetworks()).actor(observation_space, action_space).to(device)
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def forward(self, obs: Any, test: bool = False, compute_logprob: bool = True) -> tuple[Tensor, Tensor | None]:
        """Return actions (B, A) and their log densities (B,), or None if not asked for or deterministic."""
        if not test:
            action, log_prob = self.policy.sample(obs, generator=self.generator)
            return action, log_prob if compute_logprob else None
        mean, log_std = self.policy.distribution(obs)
        return self.policy.squash(mean), self.policy.log_prob(mean, mean, log_std) if compute_logprob else None

    def act_batch(
        self, observation: Any, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
        """Return actions (N, A) and what the memory may want to know of them.

        Raises:
            ActingError: the network gives no number.
        """
        del rank
        with torch.no_grad():
            mean, log_std, state = self.policy.distribution_and_state(batched(observation, self.device))
            noise = torch.randn(mean.shape, generator=self.generator).to(mean.device)
            noise[torch.from_numpy(np.asarray(test, dtype=bool)).to(mean.device)] = 0.0
            draw = mean + torch.exp(log_std) * noise
            if not bool(torch.isfinite(draw).all()):
                raise ActingError(
                    "The network gives actions that are no numbers: its weights or its inputs are broken. Go on from "
                    "an older snapshot, or lower the learning rate."
                )
            extras = {
                "greedy": np.asarray(test, dtype=bool),
                DRAW_COLUMN: draw.cpu().numpy(),
                LOG_PROB_COLUMN: self.policy.log_prob(draw, mean, log_std).cpu().numpy(),
            }
            if state is not None:
                extras[HIDDEN_COLUMN] = state.cpu().numpy()
            # Rounding may put a saturated action a hair beyond its bound, which environments refuse.
            space = self.action_space
            action = np.clip(self.policy.squash(draw).cpu().numpy(), space.low, space.high).astype(np.float32)
        return action, extras

    def exploration_state(self) -> dict[str, Any]:
        """Return where the draws stand."""
        return {"generator": generator_state(self.generator)}

    def restore_exploration(self, state: Mapping[str, Any]) -> None:
        """Go on with the draws where ``exploration_state`` was taken."""
        restore_generator(self.generator, state["generator"])
