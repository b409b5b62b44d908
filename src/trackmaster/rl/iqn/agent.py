"""Implicit quantile networks: the learner and the actor of the driving agent.

Double DQN on quantiles with n-step returns inside a bounded mini-race. The losses are in ``loss``, what a batch
consists of in ``memory`` and ``targets``.

Source: Dabney et al. 2018, arXiv:1806.06923; van Hasselt et al. 2016, arXiv:1509.06461; constants from Linesight.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.env.layout import FLOAT_LAYOUT_VERSION
from trackmaster.nn.iqn import stratified_tau
from trackmaster.nn.weights import WeightsError, change_normalisation, load_strict, plain_state
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.exploration import ExplorationRates
from trackmaster.rl.files.names import ONLINE_FILE, OPTIMIZER_FILE, SCALER_FILE, TARGET_FILE
from trackmaster.rl.files.torch_files import load_torch, save_torch
from trackmaster.rl.guard import RollbackGuard
from trackmaster.rl.iqn.actor import EXPLORATION_PREFIX, IQNActor, build_network
from trackmaster.rl.iqn.compiled import Compiled
from trackmaster.rl.iqn.config import REFERENCE_BATCH, IQNConfig
from trackmaster.rl.iqn.diagnostics import network_numbers, quantile_spread
from trackmaster.rl.iqn.loss import SelfNormalisation, by_sample
from trackmaster.rl.iqn.optimizer import forget_averages, make_optimizer, restore_optimizer, set_learning_rate
from trackmaster.rl.iqn.parts import PartName, apply_freezing
from trackmaster.rl.iqn.precision import LossScale, autocast, autocast_dtype
from trackmaster.rl.iqn.step import IQNStep, StepInputs, StepOutputs
from trackmaster.rl.memory.replay import Batch


class IQNAgent(TrainingAgent):
    """Learns the quantiles of the return of every action.

    Args:
        config: sizes, loss, optimiser and schedules.
        seed: of initial weights and of the quantile fractions drawn while training.
        device: where to learn.
        say: where remarks for the user go.
    """

    def __init__(
        self, config: IQNConfig, *, seed: int, device: str = "cpu", say: Callable[[str], None] = print
    ) -> None:
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
        self.loss_scale = LossScale(self._dtype, self.device)
        step = IQNStep(self.online, self.target, use_ddqn=config.use_ddqn, kappa=config.iqn_kappa)
        wanted = self.device.type == "cuda" if config.use_jit == "auto" else config.use_jit
        self._step = Compiled(step, wanted=wanted, mode=config.compile_mode, backend=config.compile_backend, say=say)
        self.frozen: tuple[PartName, ...] = ()
        """Parts of the online network that stand still at this moment."""
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

    @property
    def is_compiled(self) -> bool:
        """Whether updates run through ``torch.compile``."""
        return self._step.is_compiled

    def set_frames(self, frames: int) -> None:
        """Move learning rate, discount, exploration and freezing to this number of decisions played."""
        self.frames = frames
        set_learning_rate(self.optimizer, self.config.lr(frames))
        self._freeze(again=False)

    def rates(self) -> ExplorationRates:
        """Return how much exploring cars stray at this moment."""
        return ExplorationRates(
            self.config.epsilon(self.frames),
            self.config.epsilon_boltzmann(self.frames),
            self.config.tau_epsilon_boltzmann,
        )

    def train(self, batch: Batch) -> dict[str, float]:
        """Do one update; a loss or gradient that is not finite changes nothing, repeated ones roll back."""
        outputs, target_tau = self._outputs(batch, self._generator)
        loss = self._loss(outputs, target_tau, batch.weight, learning=True)
        predicted = outputs.predicted.detach()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_scale.scaled(loss * REFERENCE_BATCH).backward()  # type: ignore[no-untyped-call]
        self.loss_scale.unscale(self.optimizer)
        gradient = nn.utils.clip_grad_norm_(self.online.parameters(), self.config.clip_grad_norm)
        numbers = torch.stack((loss.detach() * REFERENCE_BATCH, gradient.float(), predicted.mean())).tolist()
        value, norm, mean_q = (float(number) for number in numbers)  # one wait for the device instead of three
        metrics = {
            "Training/loss": value, "Gradients/norm_before_clip": norm,
            "Gradients/norm": min(norm, self.config.clip_grad_norm), "RL/avg_Q": mean_q,
        }  # fmt: skip
        is_credible = math.isfinite(value) and abs(mean_q) <= self.config.q_bound
        if is_credible and math.isfinite(norm):
            nn.utils.clip_grad_value_(self.online.parameters(), self.config.clip_grad_value)
            self.loss_scale.step(self.optimizer)
            self.batches_done += 1
            self._soft_update(len(batch.reward))
            if batch.report is not None:
                batch.report((predicted.mean(dim=1) - outputs.target.mean(dim=1)).abs().float().cpu().numpy())
        was_too_large = self.loss_scale.update() and self.loss_scale.value >= 1
        if not (is_credible and was_too_large):  # a factor that was too large for float16 says nothing about weights
            self.guard.after_update(healthy=is_credible and math.isfinite(norm))
        if self.loss_scale.is_used:
            metrics["Training/loss_scale"] = self.loss_scale.value
        return metrics | self.guard.metrics

    def test_loss(self, batch: Batch) -> float:
        """Return the loss on held-out transitions, on the scale of ``Training/loss``; no running mean moves."""
        with torch.no_grad():
            outputs, target_tau = self._outputs(batch, self._test_generator)
            return float(self._loss(outputs, target_tau, None, learning=False)) * REFERENCE_BATCH

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

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Return numbers about weights, gradients and optimiser, and how far the quantiles lie apart on a batch."""
        with torch.no_grad():
            tau = self._draw_tau(len(batch.action), self._test_generator)
            image, floats = batch.image.to(self.device), batch.floats.to(self.device)
            spread = quantile_spread(self.online(image, floats, tau)[0], len(batch.action))
        return network_numbers(self.online, self.optimizer) | spread

    def save(self, folder: Path) -> dict[str, Any]:
        """Write both networks and the optimiser; return counters, running means and the generator's state."""
        save_torch(plain_state(self.online), folder / ONLINE_FILE)
        save_torch(plain_state(self.target), folder / TARGET_FILE)
        save_torch(self.optimizer.state_dict(), folder / OPTIMIZER_FILE)
        if self.loss_scale.is_used:
            save_torch(self.loss_scale.state(), folder / SCALER_FILE)
        return {
            "frames": self.frames, "batches_done": self.batches_done, "target_updates": self.target_updates,
            "since_target_update": self._since_target_update, "mean_spread": self.normalise.mean_spread,
            "mean_divisor": self.normalise.mean_divisor,
            "generator": _generator_to_text(self._generator),
            "test_generator": _generator_to_text(self._test_generator),
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
        for generator, text in ((self._generator, "generator"), (self._test_generator, "test_generator")):
            generator.set_state(torch.tensor(list(bytes.fromhex(state[text])), dtype=torch.uint8))
        if (folder / SCALER_FILE).is_file():
            self.loss_scale.restore(load_torch(folder / SCALER_FILE))
        self.set_frames(int(state["frames"]))
        self._freeze(again=True)
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

    def _outputs(self, batch: Batch, generator: torch.Generator) -> tuple[StepOutputs, Tensor]:
        """Return what the update computes, and the fractions of its targets, (B, N)."""
        device, n = self.device, len(batch.action)
        target_tau, tau = self._draw_tau(n, generator), self._draw_tau(n, generator)
        inputs = StepInputs(
            batch.image.to(device), batch.floats.to(device), batch.action.to(device), batch.reward.to(device),
            batch.gamma.to(device), batch.next_image.to(device), batch.next_floats.to(device), tau, target_tau,
        )  # fmt: skip
        with autocast(self._dtype, device):
            return self._step(inputs), by_sample(target_tau, n)

    def _loss(self, outputs: StepOutputs, target_tau: Tensor, weight: Tensor | None, *, learning: bool) -> Tensor:
        """Return the mean loss of a batch, each sample weighted as its draw asks for."""
        loss = outputs.loss
        if self.config.loss == "reference":
            loss = self.normalise(loss, outputs.target, target_tau, kappa=self.config.iqn_kappa, advance=learning)
        return (loss if weight is None else loss * weight.to(loss.device)).mean()

    def _freeze(self, *, again: bool) -> None:
        """Freeze what the schedule says, if it says something else than before or ``again``."""
        frozen = tuple(part for part, rule in self.config.parts.items() if rule.is_frozen(self.frames))
        if frozen == self.frozen and not again:
            return
        self.frozen = apply_freezing(self.online, self.config.parts, self.frames)
        forget_averages(self.optimizer, [p for p in self.online.parameters() if not p.requires_grad])

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


def _generator_to_text(generator: torch.Generator) -> str:
    return bytes(generator.get_state().tolist()).hex()
