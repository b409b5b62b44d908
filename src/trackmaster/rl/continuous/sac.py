"""Soft actor-critic: two critics of the soft return, an actor that maximises it, a fixed or learned entropy weight.

Source: Haarnoja et al. 2018, arXiv:1801.01290 (algorithm) and arXiv:1812.05905 (learned entropy weight); constructor
and defaults are those of the TMRL seed.
"""

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.errors import ConfigError
from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.config.continuous import OptimizerKind
from trackmaster.rl.continuous.averaged_actor import AveragedActor, polyak_update
from trackmaster.rl.continuous.batches import to_device
from trackmaster.rl.continuous.gaussian_actor import GaussianActor
from trackmaster.rl.continuous.gaussian_agent import GaussianAgent
from trackmaster.rl.continuous.optimizer_set import OptimizerSet, make_optimizer
from trackmaster.rl.guard import RollbackGuard


def soft_target(
    reward: Tensor,
    terminated: Tensor,
    next_value: Tensor,
    next_log_prob: Tensor,
    *,
    gamma: float,
    alpha: float | Tensor,
) -> Tensor:
    """Return what the critics should say, (B,): y = r + gamma (1 - d) (Q' - alpha log pi').

    Args:
        reward: (B,).
        terminated: (B,) 1 where no value follows; an episode that was only cut off still has one.
        next_value: (B,) of the target critics for an action drawn in the next state.
        next_log_prob: (B,) log density of that action.
        gamma: discount per decision.
        alpha: weight of the entropy.
    """
    return reward + gamma * (1.0 - terminated) * (next_value - alpha * next_log_prob)


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """Return the sum over critics of the mean squared error; values (N, B), target (B,)."""
    return ((values - target) ** 2).mean(dim=1).sum()


def actor_loss(value: Tensor, log_prob: Tensor, alpha: float | Tensor) -> Tensor:
    """Return mean(alpha log pi - Q) of actions drawn anew; both (B,)."""
    return (alpha * log_prob - value).mean()


def entropy_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return -mean(log alpha (log pi + H)): alpha grows while the policy's entropy is below its target H."""
    return -(log_alpha * (log_prob.detach() + target_entropy)).mean()


class SACTrainingAgent(GaussianAgent):
    """Learns from transitions of any policy.

    Args:
        observation_space: what the actor sees.
        action_space: a box with finite bounds.
        device: where to learn.
        gamma: discount per decision.
        polyak: share of a target parameter that stays per update.
        alpha: entropy weight; where it is learned, its beginning.
        lr_actor: learning rate of the actor.
        lr_critic: learning rate of the critics.
        learn_entropy_coef: adapt alpha so that the entropy stays near its target.
        target_entropy: minus the number of actions when left out.
        lr_entropy: learning rate of log alpha.
        networks: kind and sizes.
        optimizer_actor: kind of the actor's optimiser.
        optimizer_critic: kind of the critics' optimiser.
        betas_actor: of the actor's Adam.
        betas_critic: of the critics' Adam.
        l2_actor: weight decay of the actor.
        l2_critic: weight decay of the critics.
        clip_grad_norm: longest gradient of actor and critics; None sets no limit.
        actor_average: share of an averaged actor that stays per update of the actor: the average is what
            ``get_actor`` gives and files keep, while the newest one explores; 0 averages nothing.
        seed: of weights and draws; torch's global generator when left out.

    Raises:
        ConfigError: alpha is not positive, or the average keeps everything.
    """

    n_critics = 2
    critic_steps_per_actor_step = 1

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        device: Any = "cpu",
        gamma: float = 0.99,
        polyak: float = 0.995,
        alpha: float = 0.2,
        lr_actor: float = 1e-3,
        lr_critic: float = 1e-3,
        *,
        learn_entropy_coef: bool = False,
        target_entropy: float | None = None,
        lr_entropy: float = 3e-4,
        networks: PolicyNetworks | None = None,
        optimizer_actor: OptimizerKind = "adam",
        optimizer_critic: OptimizerKind = "adam",
        betas_actor: tuple[float, float] = (0.9, 0.999),
        betas_critic: tuple[float, float] = (0.9, 0.999),
        l2_actor: float = 0.0,
        l2_critic: float = 0.0,
        clip_grad_norm: float | None = None,
        actor_average: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if not 0 <= actor_average < 1:
            raise ConfigError(
                f"sac: actor_average is {actor_average:g}, expected a share from 0 to below 1, such as 0.998."
            )
        if not alpha > 0:
            raise ConfigError(
                f"sac: alpha is {alpha:g}, and its logarithm is what is kept: give a number above 0, such as 1e-8 "
                "where chance is to be worth nothing."
            )
        super().__init__(observation_space, action_space, device, networks=networks, seed=seed)
        self.gamma, self.polyak, self.clip_grad_norm = gamma, polyak, clip_grad_norm
        self.learn_entropy_coef = learn_entropy_coef
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        n_actions = self.actor.policy.n_actions
        self.target_entropy = -float(n_actions) if target_entropy is None else target_entropy
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha), device=self.device))
        self.optimizers = OptimizerSet({
            "actor": make_optimizer(self.actor.parameters(), optimizer_actor, lr_actor, betas=betas_actor, l2=l2_actor),
            "critic": make_optimizer(
                self.critics.parameters(), optimizer_critic, lr_critic, betas=betas_critic, l2=l2_critic
            ),
            "entropy": make_optimizer([self.log_alpha], "adam", lr_entropy),
        })  # fmt: skip
        self._online = nn.ModuleDict({"actor": self.actor, "critics": self.critics})
        self._online.register_parameter("log_alpha", self.log_alpha)
        self.averaged_actor = AveragedActor(self.actor, actor_average) if actor_average else None
        if self.averaged_actor is not None:
            self._online["averaged_actor"] = self.averaged_actor.actor
        self.guard = RollbackGuard(self._online, self.target_critics, self.optimizers)
        self.updates = 0

    def make_critics(self, networks: PolicyNetworks) -> nn.Module:
        """Return judges of actions."""
        return networks.critics(self.observation_space, self.action_space, self.n_critics)

    def judges(self) -> nn.ModuleDict:
        """Return critics and their targets."""
        return nn.ModuleDict({"critics": self.critics, "target_critics": self.target_critics})

    def driver(self) -> GaussianActor:
        """Return the actor that is judged and kept: the averaged one, or the newest where none is averaged."""
        return self.actor if self.averaged_actor is None else self.averaged_actor.actor

    @property
    def alpha(self) -> float:
        """Weight of the entropy at this moment."""
        return float(self.log_alpha.detach().exp())

    def train(self, batch: Any) -> dict[str, float]:
        """Do one update of the critics, of their targets and, when due, of the actor and the entropy weight.

        A loss or gradient that is not finite changes nothing; repeated ones go back to the last healthy state.

        Args:
            batch: (obs, action, reward, next_obs, terminated, truncated).
        """
        obs, action, reward, next_obs, terminated, _ = to_device(tuple(batch), self.device)
        with torch.no_grad():
            next_action, next_log_prob = self._draw(next_obs)
            next_value = self.combine_for_target(self.target_critics(next_obs, next_action))
            target = soft_target(
                reward, terminated, next_value, next_log_prob, gamma=self.gamma, alpha=self.log_alpha.exp()
            )
        values = self.critics(obs, action)
        loss = critic_loss(values, target)
        norm = self.optimizers.step("critic", loss, list(self.critics.parameters()), clip=self.clip_grad_norm)
        metrics = {
            "loss_critic": float(loss.detach()), "Gradients/norm_before_clip": norm,
            "RL/avg_Q": float(values.detach().mean()),
        }  # fmt: skip
        healthy = math.isfinite(norm)
        if healthy:
            self.updates += 1
            if self.updates % self.critic_steps_per_actor_step == 0:
                healthy = self._improve_actor(obs, metrics)
            polyak_update(self.target_critics, self.critics, self.polyak)
        self.guard.after_update(healthy=healthy)
        guard = {"Guard/rollback": float(self.guard.n_rollbacks), "Guard/nonfinite": float(self.guard.n_unhealthy)}
        return metrics | guard

    def combine_for_target(self, values: Tensor) -> Tensor:
        """Return from values (N, B) of the target critics the one that is learned from, (B,)."""
        return values.amin(dim=0)

    def combine_for_actor(self, values: Tensor) -> Tensor:
        """Return from values (N, B) the one that the actor maximises, (B,)."""
        return values.amin(dim=0)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the actor (``weights1.torch``), critics and targets (``weights2.torch``) and the optimisers.

        Where an averaged actor is kept, that is the first, and the newest lies beside the critics.
        """
        log_alpha = float(self.log_alpha.detach())
        learned = {"log_alpha": log_alpha, "learn_entropy_coef": self.learn_entropy_coef}
        return super().save(folder) | {"updates": self.updates} | learned

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Continue exactly where ``save`` stopped.

        Raises:
            WeightsError: the files do not fit.
        """
        super().load(folder, state)
        self.updates = int(state["updates"])
        if self.learn_entropy_coef and state.get("learn_entropy_coef", True):  # a fixed one is a setting of this run
            self.log_alpha.data.fill_(float(state["log_alpha"]))
        self.guard.keep()

    def load_weights(self, folder: Path) -> None:
        """Take over networks without optimisers or counters, as a fresh run does with a prepared pair."""
        super().load_weights(folder)
        self.guard.keep()

    def _improve_actor(self, obs: Any, metrics: dict[str, float]) -> bool:
        alpha = self.log_alpha.detach().exp()
        action, log_prob = self._draw(obs)
        loss = actor_loss(self.combine_for_actor(self.critics(obs, action)), log_prob, alpha)
        norm = self.optimizers.step("actor", loss, list(self.actor.parameters()), clip=self.clip_grad_norm)
        if self.averaged_actor is not None and math.isfinite(norm):
            self.averaged_actor.follow(self.actor, self.updates // self.critic_steps_per_actor_step)
        metrics.update({"loss_actor": float(loss.detach()), "RL/entropy": -float(log_prob.detach().mean())})
        if self.learn_entropy_coef:
            loss = entropy_loss(self.log_alpha, log_prob, self.target_entropy)
            self.optimizers.step("entropy", loss, [self.log_alpha])
            metrics.update({"loss_entropy_coef": float(loss.detach()), "entropy_coef": self.alpha})
        return math.isfinite(norm)

    def _draw(self, obs: Any) -> tuple[Tensor, Tensor]:
        return self.actor.policy.sample(obs, generator=self._generator)
