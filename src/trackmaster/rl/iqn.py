"""Implicit quantile networks: the learner and the actor of the driving agent.

Double DQN on quantiles with n-step returns inside a bounded mini-race. The losses are in ``iqn_loss``, what a batch
consists of in ``memory`` and ``targets``.

Source: Dabney et al. 2018, arXiv:1806.06923; van Hasselt et al. 2016, arXiv:1509.06461; constants from Linesight.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trackmaster.env.layout import FLOAT_LAYOUT_VERSION
from trackmaster.nn.iqn import IQNNetwork, fixed_tau, stratified_tau
from trackmaster.nn.weights import WeightsError, change_normalisation, load_strict, plain_state
from trackmaster.rl.actor import ActorModule, Observation
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.exploration import ExplorationRates, choose_actions
from trackmaster.rl.guard import RollbackGuard
from trackmaster.rl.iqn_config import REFERENCE_BATCH, IQNConfig
from trackmaster.rl.iqn_loss import SelfNormalisation, bootstrap_target, by_sample, quantile_huber_loss, taken
from trackmaster.rl.memory import Batch
from trackmaster.rl.optimizer import make_optimizer, restore_optimizer
from trackmaster.rl.precision import autocast, autocast_dtype
from trackmaster.rl.torch_files import load_torch, save_torch

EXPLORATION_PREFIX = "exploration."
ONLINE_FILE, TARGET_FILE, OPTIMIZER_FILE = "weights1.torch", "weights2.torch", "optimizer1.torch"


def build_network(config: IQNConfig, generator: torch.Generator | None = None) -> IQNNetwork:
    """Return a network with fresh weights in the sizes of the configuration."""
    return IQNNetwork(
        config.image_height, config.image_width, config.embedding_dim, n_frames=config.n_frames,
        n_floats=config.n_floats, float_hidden_dim=config.float_hidden_dim,
        dense_hidden_dimension=config.dense_hidden_dimension, float_mean=config.float_mean, float_std=config.float_std,
        generator=generator,
    )  # fmt: skip


class IQNActor(ActorModule):
    """Acts on the mean over a fixed grid of quantile fractions; explores with the rates that came with the weights.

    Always in float32, so that the same weights drive the same laps on every machine, up to rounding.

    Args:
        config: the agent's configuration.
        seed: of the exploration draws.
        device: where the network runs.
    """

    def __init__(self, config: IQNConfig, *, seed: int, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self.network = build_network(config).to(self.device).eval().requires_grad_(False)
        self.rates = ExplorationRates(tau_boltzmann=config.tau_epsilon_boltzmann)
        self._tau = fixed_tau(config.iqn_k).to(self.device)
        self._rng = np.random.default_rng(seed)
        self._weights = np.array(config.random_action_weights) if config.random_action_weights else None

    def q_values(self, observation: Observation) -> NDArray[np.float32]:
        """Return the expected return of every action for every car: (N, 12)."""
        image = torch.from_numpy(np.ascontiguousarray(observation["image"])).to(self.device)
        floats = torch.from_numpy(np.ascontiguousarray(observation["floats"])).to(self.device)
        with torch.no_grad():
            q: NDArray[np.float32] = self.network.mean_q(image, floats, self._tau).cpu().numpy()
        return q

    def act_batch(
        self, observation: Observation, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
        """Return the actions (N,) and the column ``greedy`` (N,)."""
        q = self.q_values(observation)
        exponent = None if rank is None else 1.0 + self.config.epsilon_spread * rank
        action, greedy = choose_actions(
            q, self.rates, ~test, self._rng, exponent=exponent, random_weights=self._weights
        )
        return action.astype(np.uint8), {"greedy": greedy}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights and exploration rates; everything must fit."""
        rates = {
            k.removeprefix(EXPLORATION_PREFIX): float(v) for k, v in tensors.items() if k.startswith(EXPLORATION_PREFIX)
        }
        load_strict(self.network, tensors, source="published weights", ignore=(EXPLORATION_PREFIX,))
        if rates:
            self.rates = ExplorationRates(**rates, tau_boltzmann=self.config.tau_epsilon_boltzmann)


class IQNAgent(TrainingAgent):
    """Learns the quantiles of the return of every action.

    Args:
        config: sizes, loss, optimiser and schedules.
        seed: of initial weights and of the quantile fractions drawn while training.
        device: where to learn.
    """

    def __init__(self, config: IQNConfig, *, seed: int, device: str = "cpu") -> None:
        self.config, self.device, self.seed = config, torch.device(device), seed
        self._generator = torch.Generator().manual_seed(seed)
        self._test_generator = torch.Generator().manual_seed(seed)  # testing must not change what training draws
        self.online = build_network(config, self._generator).to(self.device)
        self.target = build_network(config).to(self.device).requires_grad_(False)
        self.target.load_state_dict(self.online.state_dict())
        self.optimizer = make_optimizer(self.online, config)
        self.normalise = SelfNormalisation()
        self.guard = RollbackGuard(self.online, self.target, self.optimizer)
        self._dtype = autocast_dtype(config.autocast, self.device)
        self.frames = self.batches_done = self.target_updates = self._since_target_update = 0
        self.set_frames(0)

    @property
    def gamma(self) -> float:
        """Discount per decision at this moment of the schedule."""
        return self.config.gamma(self.frames)

    @property
    def memories_until_target_update(self) -> int:
        """Transitions still to be trained on before the target network moves."""
        return self.config.target_update_interval - self._since_target_update

    def set_frames(self, frames: int) -> None:
        """Move learning rate, discount and exploration to this number of decisions played."""
        self.frames = frames
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr(frames)

    def rates(self) -> ExplorationRates:
        """Return how much exploring cars stray at this moment."""
        return ExplorationRates(
            self.config.epsilon(self.frames),
            self.config.epsilon_boltzmann(self.frames),
            self.config.tau_epsilon_boltzmann,
        )

    def train(self, batch: Batch) -> dict[str, float]:
        """Do one update; a loss or gradient that is not finite changes nothing, repeated ones roll back."""
        loss, mean_q = self._loss(batch, learning=True)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * REFERENCE_BATCH).backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.online.parameters(), self.config.clip_grad_norm))
        metrics = {
            "Training/loss": float(loss.detach()) * REFERENCE_BATCH,
            "Gradients/norm_before_clip": norm,
            "RL/avg_Q": mean_q,
        }
        healthy = math.isfinite(norm) and math.isfinite(metrics["Training/loss"]) and abs(mean_q) <= self.config.q_bound
        if healthy:
            nn.utils.clip_grad_value_(self.online.parameters(), self.config.clip_grad_value)
            self.optimizer.step()
            self.batches_done += 1
            self._soft_update(len(batch.reward))
        metrics.update(self.guard.after_update(healthy=healthy))
        return metrics

    def test_loss(self, batch: Batch) -> float:
        """Return the loss on held-out transitions, on the scale of ``Training/loss``; no running mean moves."""
        with torch.no_grad():
            return float(self._loss(batch, learning=False)[0]) * REFERENCE_BATCH

    def get_actor(self) -> IQNActor:
        """Return an actor with a copy of the online weights."""
        actor = IQNActor(self.config, seed=self.seed, device=str(self.device))
        actor.load_tensors(self.actor_tensors())
        return actor

    def actor_tensors(self) -> dict[str, Tensor]:
        """Return the online weights and the exploration rates of this moment."""
        rates = self.rates()
        return plain_state(self.online) | {
            f"{EXPLORATION_PREFIX}epsilon": torch.tensor([rates.epsilon]),
            f"{EXPLORATION_PREFIX}epsilon_boltzmann": torch.tensor([rates.epsilon_boltzmann]),
        }

    def weight_norms(self) -> dict[str, float]:
        """Return the length of every parameter tensor, under its plain name."""
        return {f"Network/weights/{name}/L2": float(p.detach().norm()) for name, p in self.online.named_parameters()}

    def save(self, folder: Path) -> dict[str, Any]:
        """Write both networks and the optimiser; return counters, running means and the generator's state."""
        save_torch(plain_state(self.online), folder / ONLINE_FILE)
        save_torch(plain_state(self.target), folder / TARGET_FILE)
        save_torch(self.optimizer.state_dict(), folder / OPTIMIZER_FILE)
        return {
            "frames": self.frames, "batches_done": self.batches_done, "target_updates": self.target_updates,
            "since_target_update": self._since_target_update, "mean_spread": self.normalise.mean_spread,
            "mean_divisor": self.normalise.mean_divisor,
            "generator": bytes(self._generator.get_state().tolist()).hex(),
            "optimizer": self.config.optimizer, "float_layout_version": FLOAT_LAYOUT_VERSION,
            "float_mean": self.online.float_mean.tolist(),
            "float_std": self.online.float_std.tolist(),
        }  # fmt: skip

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Continue exactly where ``save`` stopped; weights of another normalisation are converted exactly.

        The optimiser goes on with this agent's epsilon, betas and decay.

        Raises:
            WeightsError: the files do not fit, another kind of optimiser was used, or the floats had another meaning.
        """
        if state["float_layout_version"] != FLOAT_LAYOUT_VERSION:
            raise WeightsError(
                f"{folder}: trained on version {state['float_layout_version']} of the float inputs, this program makes "
                f"version {FLOAT_LAYOUT_VERSION}. Train anew with --fresh."
            )
        self.load_weights(folder)
        self._convert(torch.tensor(state["float_mean"]), torch.tensor(state["float_std"]))
        file = folder / OPTIMIZER_FILE
        restore_optimizer(
            self.optimizer, load_torch(file), self.config, kind=state.get("optimizer", self.config.optimizer),
            source=str(file),
        )  # fmt: skip
        self.batches_done, self.target_updates = int(state["batches_done"]), int(state["target_updates"])
        self._since_target_update = int(state["since_target_update"])
        self.normalise.mean_spread, self.normalise.mean_divisor = state["mean_spread"], state["mean_divisor"]
        self._generator.set_state(torch.tensor(list(bytes.fromhex(state["generator"])), dtype=torch.uint8))
        self.set_frames(int(state["frames"]))
        self.guard.keep()  # only now weights, running averages of the optimiser and its rate belong together

    def load_weights(self, folder: Path) -> None:
        """Take over a pair of networks without optimiser or counters, as a fresh run does with a prepared pair."""
        load_strict(self.online, load_torch(folder / ONLINE_FILE), source=str(folder / ONLINE_FILE))
        load_strict(self.target, load_torch(folder / TARGET_FILE), source=str(folder / TARGET_FILE))
        self.guard.keep()

    def _convert(self, mean: Tensor, std: Tensor) -> None:
        """Adapt loaded weights from the normalisation they were trained with to this run's."""
        new_mean, new_std = self.online.float_mean.cpu(), self.online.float_std.cpu()
        if torch.equal(mean, new_mean) and torch.equal(std, new_std):
            return
        for network in (self.online, self.target):
            converted = change_normalisation(
                plain_state(network), old_mean=mean, old_std=std, new_mean=new_mean, new_std=new_std
            )
            load_strict(network, converted, source="converted weights")
        self.guard.keep()

    def _loss(self, batch: Batch, *, learning: bool) -> tuple[Tensor, float]:
        generator = self._generator if learning else self._test_generator
        image, floats = batch.image.to(self.device), batch.floats.to(self.device)
        action = batch.action.to(self.device)
        with autocast(self._dtype, self.device):
            target, target_tau = self._target(batch, generator)
            tau = self._draw_tau(len(action), generator)
            quantiles = self.online.quantiles(self.online.features(image, floats), tau)
        predicted = taken(quantiles, action)
        loss = quantile_huber_loss(predicted, target, by_sample(tau, len(action)), kappa=self.config.iqn_kappa)
        if self.config.loss == "reference":
            target_tau = by_sample(target_tau, len(action))
            loss = self.normalise(loss, target, target_tau, kappa=self.config.iqn_kappa, advance=learning)
        return loss.mean(), float(predicted.detach().mean())

    @torch.no_grad()
    def _target(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        image, floats = batch.next_image.to(self.device), batch.next_floats.to(self.device)
        tau = self._draw_tau(len(image), generator)
        features = self.target.features(image, floats)
        chooser = self.online if self.config.use_ddqn else self.target
        choosing = self.online.features(image, floats) if self.config.use_ddqn else features
        best = chooser.mean_advantage(choosing, tau).argmax(dim=1)
        values = taken(self.target.quantiles(features, tau), best)
        return bootstrap_target(batch.reward.to(self.device), batch.gamma.to(self.device), values), tau

    def _draw_tau(self, batch_size: int, generator: torch.Generator) -> Tensor:
        return stratified_tau(batch_size, self.config.iqn_n, generator=generator, device=self.device)

    def _soft_update(self, trained: int) -> None:
        self._since_target_update += trained
        if self._since_target_update < self.config.target_update_interval:
            return
        self._since_target_update = 0
        self.target_updates += 1
        with torch.no_grad():
            targets: list[Tensor] = list(self.target.parameters())
            onlines: list[Tensor] = list(self.online.parameters())
            torch._foreach_lerp_(targets, onlines, self.config.soft_update_tau)
