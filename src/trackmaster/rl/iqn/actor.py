"""The actor of the IQN agent: greedy on the mean over fixed quantile fractions, exploring at published rates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackmaster.errors import ConfigError
from trackmaster.nn.iqn import IQNNetwork, fixed_tau
from trackmaster.nn.weights import load_strict, plain_state
from trackmaster.rl.actor import ActorModule, Observation
from trackmaster.rl.exploration import ExplorationRates, choose_actions
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.iqn.onnx_actor import OnnxPolicy

EXPLORATION_PREFIX = "exploration."


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

    Always in float32, so that the same weights drive the same laps on every machine, up to rounding. On the CPU the
    network runs in ONNX Runtime where it is installed, several times faster than in PyTorch; the graph is made again
    when weights have arrived and the first action is asked for.

    Args:
        config: the agent's configuration; its ``acting`` names the runtime.
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
        self._use_onnx = config.acting != "torch" and self.device.type == "cpu"
        self._policy: OnnxPolicy | None = None
        self._policy_made_at = -1

    @property
    def runtime(self) -> str:
        """What computes the next action: ``onnxruntime`` or ``torch``."""
        return "onnxruntime" if self._onnx_policy() is not None else "torch"

    def q_values(self, observation: Observation) -> NDArray[np.float32]:
        """Return the expected return of every action for every car: (N, 12)."""
        image, floats = (torch.from_numpy(array).to(self.device) for array in _arrays(observation))
        with torch.no_grad():
            q: NDArray[np.float32] = self.network.mean_q(image, floats, self._tau).cpu().numpy()
        return q

    def advantages(self, observation: Observation) -> NDArray[np.float32]:
        """Return what decides between the actions: their expected returns up to one number per car, (N, 12)."""
        image, floats = _arrays(observation)
        policy = self._onnx_policy()
        if policy is not None:
            return policy.advantages(image, floats)
        tau = self._tau.repeat_interleave(len(image))[:, None]
        with torch.no_grad():
            pixels, numbers = torch.from_numpy(image).to(self.device), torch.from_numpy(floats).to(self.device)
            found: NDArray[np.float32] = (
                self.network.mean_advantage(self.network.features(pixels, numbers), tau).cpu().numpy()
            )
        return found

    def act_batch(
        self, observation: Observation, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
        """Return the actions (N,) and the column ``greedy`` (N,)."""
        exponent = None if rank is None else 1.0 + self.config.epsilon_spread * rank
        action, greedy = choose_actions(
            self.advantages(observation), self.rates, ~test, self._rng, exponent=exponent, random_weights=self._weights
        )
        return action.astype(np.uint8), {"greedy": greedy}

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of weights and exploration rates."""
        return plain_state(self.network) | {
            f"{EXPLORATION_PREFIX}{name}": torch.tensor([value])
            for name, value in (
                ("epsilon", self.rates.epsilon), ("epsilon_boltzmann", self.rates.epsilon_boltzmann),
            )
        }  # fmt: skip

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights and exploration rates; everything must fit."""
        rates = {
            k.removeprefix(EXPLORATION_PREFIX): float(v) for k, v in tensors.items() if k.startswith(EXPLORATION_PREFIX)
        }
        load_strict(self.network, tensors, source="published weights", ignore=(EXPLORATION_PREFIX,))
        if rates:
            self.rates = ExplorationRates(**rates, tau_boltzmann=self.config.tau_epsilon_boltzmann)

    def exploration_state(self) -> dict[str, Any]:
        """Return where the exploration draws stand."""
        return dict(self._rng.bit_generator.state)

    def restore_exploration(self, state: Mapping[str, Any]) -> None:
        """Go on with the draws where ``exploration_state`` was taken."""
        self._rng.bit_generator.state = dict(state)

    def _onnx_policy(self) -> OnnxPolicy | None:
        """Return the graph of the current weights; None where PyTorch has to do."""
        if not self._use_onnx:
            return None
        changes = sum(p._version for p in self.network.parameters())  # counts what was written in place
        if self._policy is None or changes != self._policy_made_at:
            try:
                self._policy, self._policy_made_at = OnnxPolicy(self.network, self._tau), changes
            except ImportError as error:
                if self.config.acting == "onnxruntime":
                    raise ConfigError(
                        f"performance.acting is onnxruntime, but it cannot be imported ({error}): install onnx and "
                        "onnxruntime, or set it to auto."
                    ) from None
                self._use_onnx = False
        return self._policy


def _arrays(observation: Observation) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return np.ascontiguousarray(observation["image"]), np.ascontiguousarray(observation["floats"])
