"""Proximal policy optimisation: learns from what the present policy has just driven, a clipped step at a time.

Source: Schulman et al. 2017, arXiv:1707.06347; advantages: Schulman et al. 2016, arXiv:1506.02438; defaults of the TMRL
seed. The limits on the divergence, with the way back, answer a published collapse at a divergence of 4e11.
"""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.rl.continuous.batches import Rollout, TransitionBatch, rows_of, to_device
from trackmaster.rl.continuous.gaussian_agent import GaussianAgent
from trackmaster.rl.continuous.optimizer_set import OptimizerSet, make_optimizer

VALUES_AT_ONCE = 4096
"""Rows whose values are computed in one go."""


def advantages(
    reward: NDArray[np.float32],
    value: NDArray[np.float32],
    next_value: NDArray[np.float32],
    terminated: NDArray[np.float32],
    ends: NDArray[np.bool_],
    *,
    gamma: float,
    gae_lambda: float,
) -> NDArray[np.float32]:
    """Return the generalised advantage of every decision, (B,).

    A terminated episode is worth nothing afterwards. One that was cut off, by a limit or by the end of the rollout,
    goes on with the value of where it stands.

    Args:
        reward: (B,) in the order driven, segment after segment.
        value: (B,) of the states before.
        next_value: (B,) of the states after.
        terminated: (B,) 1 where no value follows.
        ends: (B,) the next row belongs to another segment.
        gamma: discount per decision.
        gae_lambda: 0 trusts the values, 1 the rewards.
    """
    delta = reward + gamma * (1.0 - terminated) * next_value - value
    result = np.zeros_like(delta)
    later = 0.0
    for t in range(len(delta) - 1, -1, -1):
        later = float(delta[t]) + (0.0 if ends[t] else gamma * gae_lambda * later)
        result[t] = later
    return result


def clipped_policy_loss(log_ratio: Tensor, advantage: Tensor, clip_ratio: float) -> Tensor:
    """Return -mean(min(r A, clip(r, 1 - c, 1 + c) A)) with r = exp(log_ratio); both (B,)."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip_ratio, 1 + clip_ratio) * advantage).mean()


def divergence(log_ratio: Tensor) -> Tensor:
    """Return an estimate of KL(old || new) from draws of the old policy: mean(r - 1 - log r), never negative.

    Source: Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return (log_ratio.exp() - 1.0 - log_ratio).mean()


class PPOTrainingAgent(GaussianAgent):
    """Learns from rollouts of its own newest policy.

    Args:
        observation_space: what the actor sees.
        action_space: a box with finite bounds.
        device: where to learn.
        gamma: discount per decision.
        gae_lambda: see ``advantages``.
        clip_ratio: how far the probability of a decision may move before it stops paying.
        lr: learning rate of actor and critic.
        epochs_per_rollout: passes over each rollout.
        batch_size: decisions per step.
        n_steps: decisions per rollout, for whoever collects them.
        value_coef: weight of the critic's loss.
        entropy_coef: reward for a wide policy.
        clip_grad_norm: longest gradient; a longer one is scaled down.
        soft_kl: divergence from the policy that drove at which the passes over a rollout end.
        hard_kl: divergence at which the whole rollout is undone and the learning rate halved.
        networks: kind and sizes.
        seed: of weights and draws; torch's global generator when left out.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        device: Any = "cpu",
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_ratio: float = 0.2,
        lr: float = 3e-4,
        epochs_per_rollout: int = 10,
        batch_size: int = 64,
        n_steps: int = 2048,
        *,
        value_coef: float = 0.5,
        entropy_coef: float = 0.0,
        clip_grad_norm: float = 0.5,
        soft_kl: float = 0.2,
        hard_kl: float = 0.5,
        networks: PolicyNetworks | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(observation_space, action_space, device, networks=networks, seed=seed)
        self.gamma, self.gae_lambda, self.clip_ratio = gamma, gae_lambda, clip_ratio
        self.epochs_per_rollout, self.batch_size, self.n_steps = epochs_per_rollout, batch_size, n_steps
        self.value_coef, self.entropy_coef, self.clip_grad_norm = value_coef, entropy_coef, clip_grad_norm
        self.soft_kl, self.hard_kl = soft_kl, hard_kl
        self._both = nn.ModuleDict({"actor": self.actor, "critic": self.critics})
        self.optimizers = OptimizerSet({"both": make_optimizer(self._both.parameters(), "adam", lr)})
        self._first_lr = lr
        self.rollouts = self.n_rollbacks = self.n_unhealthy = 0

    def make_critics(self, networks: PolicyNetworks) -> nn.Module:
        """Return one judge of states."""
        return networks.critics(self.observation_space, None, 1)

    @property
    def lr(self) -> float:
        """Learning rate of this moment."""
        rate: float = self.optimizers["both"].param_groups[0]["lr"]
        return rate

    def train(self, batch: Any) -> dict[str, float]:
        """Learn from one rollout: some passes over it in shuffled minibatches.

        Args:
            batch: a ``Rollout``, or (obs, action, reward, next_obs, terminated, truncated) in the order driven by the
                present policy; what its actor drew is then recovered from the actions.
        """
        rollout = batch if isinstance(batch, Rollout) else _as_rollout(batch)
        data = TransitionBatch(*to_device(tuple(rollout.batch), self.device))
        draw, old_log_prob = self._what_drove(rollout, data)
        advantage, wanted_value = self._judge(data, rollout.ends)
        before = copy.deepcopy(self._both.state_dict()), copy.deepcopy(self.optimizers.state_dict())
        lists: dict[str, list[float]] = {"loss_actor": [], "loss_critic": [], "Gradients/norm_before_clip": []}
        kl, steps = 0.0, 0
        for index in self._minibatches(len(draw)):
            losses = self._step(data.obs, draw, old_log_prob, advantage, wanted_value, index)
            kl = losses.pop("kl")
            for name, value in losses.items():
                lists[name].append(value)
            steps += 1
            if not kl <= self.soft_kl:  # also where it is not a number
                break
        metrics = {name: float(np.median(values)) for name, values in lists.items()}
        kl = self._divergence_of_all(data.obs, draw, old_log_prob)
        healthy = math.isfinite(metrics["Gradients/norm_before_clip"]) and kl <= self.hard_kl
        if not healthy:
            self._undo(*before)
        self.rollouts += 1
        return metrics | {
            "RL/kl": kl, "Training/minibatches": float(steps), "RL/avg_Q": float(wanted_value.mean()),
            "RL/explained_variance": _explained(wanted_value - advantage, wanted_value),
            "Guard/rollback": float(self.n_rollbacks), "Guard/nonfinite": float(self.n_unhealthy),
        }  # fmt: skip

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the actor (``weights1.torch``), the critic (``weights2.torch``) and the optimiser."""
        return super().save(folder) | {"rollouts": self.rollouts, "n_rollbacks": self.n_rollbacks}

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Continue exactly where ``save`` stopped.

        Raises:
            WeightsError: the files do not fit.
        """
        super().load(folder, state)
        self.rollouts, self.n_rollbacks = int(state["rollouts"]), int(state["n_rollbacks"])
        self._set_lr(self._first_lr / 2**self.n_rollbacks)

    @torch.no_grad()
    def _what_drove(self, rollout: Rollout, data: TransitionBatch) -> tuple[Tensor, Tensor]:
        """Return draws and their log densities: as sent by workers, else by the present policy, which drove."""
        if rollout.draw is not None and rollout.log_prob is not None:
            return rollout.draw.to(self.device), rollout.log_prob.to(self.device)
        draw = self.actor.policy.unsquash(data.action)
        parts = [
            self._log_prob(data.obs, draw, index) for index in torch.split(torch.arange(len(draw)), VALUES_AT_ONCE)
        ]
        return draw, torch.cat(parts)

    @torch.no_grad()
    def _judge(self, data: TransitionBatch, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Return advantages and the values that the critic should have given, (B,) each."""
        value, next_value = self._values(data.obs), self._values(data.next_obs)
        advantage = advantages(
            data.reward.cpu().numpy(), value.cpu().numpy(), next_value.cpu().numpy(), data.terminated.cpu().numpy(),
            ends.cpu().numpy(), gamma=self.gamma, gae_lambda=self.gae_lambda,
        )  # fmt: skip
        found = torch.from_numpy(advantage).to(self.device)
        return found, found + value

    def _values(self, obs: Any) -> Tensor:
        n = len(_first(obs))
        return torch.cat([self.critics(rows_of(obs, i))[0] for i in torch.split(torch.arange(n), VALUES_AT_ONCE)])

    def _log_prob(self, obs: Any, draw: Tensor, index: Tensor) -> Tensor:
        mean, log_std = self.actor.policy.distribution(rows_of(obs, index))
        return self.actor.policy.log_prob(draw[index], mean, log_std)

    def _log_prob_of_all(self, obs: Any, draw: Tensor) -> Tensor:
        parts = torch.split(torch.arange(len(draw)), VALUES_AT_ONCE)
        return torch.cat([self._log_prob(obs, draw, index) for index in parts])

    def _minibatches(self, n: int) -> list[Tensor]:
        size = min(self.batch_size, n)
        parts: list[Tensor] = []
        for _ in range(self.epochs_per_rollout):
            order = torch.randperm(n, generator=self._generator)
            parts += [part for part in torch.split(order, size) if len(part) == size]
        return parts

    def _step(
        self, obs: Any, draw: Tensor, old_log_prob: Tensor, advantage: Tensor, wanted_value: Tensor, index: Tensor
    ) -> dict[str, float]:
        seen = rows_of(obs, index)
        mean, log_std = self.actor.policy.distribution(seen)
        log_ratio = self.actor.policy.log_prob(draw[index], mean, log_std) - old_log_prob[index]
        chosen = advantage[index]
        chosen = (chosen - chosen.mean()) / (chosen.std(correction=0) + 1e-8)
        loss_actor = clipped_policy_loss(log_ratio, chosen, self.clip_ratio)
        loss_critic = 0.5 * ((self.critics(seen)[0] - wanted_value[index]) ** 2).mean()
        width = log_std.sum(dim=1).mean()  # the entropy before the squash, up to a constant
        loss = loss_actor + self.value_coef * loss_critic - self.entropy_coef * width
        norm = self.optimizers.step("both", loss, list(self._both.parameters()), clip=self.clip_grad_norm)
        if not math.isfinite(norm):
            self.n_unhealthy += 1
        return {
            "loss_actor": float(loss_actor.detach()), "loss_critic": float(loss_critic.detach()),
            "Gradients/norm_before_clip": norm, "kl": float(divergence(log_ratio.detach())),
        }  # fmt: skip

    @torch.no_grad()
    def _divergence_of_all(self, obs: Any, draw: Tensor, old_log_prob: Tensor) -> float:
        return float(divergence(self._log_prob_of_all(obs, draw) - old_log_prob))

    def _undo(self, networks: dict[str, Any], optimizers: dict[str, Any]) -> None:
        self.n_rollbacks += 1
        self._both.load_state_dict(networks)
        self.optimizers.load_state_dict(optimizers)
        self._set_lr(self.lr / 2)

    def _set_lr(self, lr: float) -> None:
        for group in self.optimizers["both"].param_groups:
            group["lr"] = lr


def _as_rollout(batch: Any) -> Rollout:
    """An episode's end is the only border that can be seen in plain transitions; the last row is one, too."""
    data = TransitionBatch(*batch)
    ends = (data.terminated + data.truncated) > 0
    ends[-1] = True
    return Rollout(data, ends)


def _first(obs: Any) -> Tensor:
    while not isinstance(obs, Tensor):
        obs = next(iter(obs.values())) if isinstance(obs, dict) else obs[0]
    return obs


def _explained(value: Tensor, wanted: Tensor) -> float:
    """Return how much of the spread of the returns the critic foresaw: 1 all, 0 nothing."""
    spread = float(wanted.var(correction=0))
    return 1.0 - float((wanted - value).var(correction=0)) / spread if spread > 0 else 0.0
