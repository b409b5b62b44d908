"""What SAC, REDQ and PPO have in common: a Gaussian actor, critics, seeded draws and the files of all that."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.nn.weights import load_strict, plain_state
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.continuous.gaussian_actor import GaussianActor
from trackmaster.rl.continuous.optimizer_set import OptimizerSet
from trackmaster.rl.files.names import ONLINE_FILE, OPTIMIZER_FILE, TARGET_FILE
from trackmaster.rl.files.torch_files import load_torch, save_torch
from trackmaster.rl.generators import generator_state, restore_generator

NEWEST_PREFIX = "newest_actor."
"""Of the newest actor's tensors beside the judges, where an average is kept."""


class GaussianAgent(TrainingAgent):
    """Learner around a ``GaussianActor`` and its critics; a subclass makes the critics and sets ``optimizers``.

    Args:
        observation_space: what the actor sees.
        action_space: a box with finite bounds.
        device: where to learn.
        networks: kind and sizes.
        seed: of weights and draws; torch's global generator when left out.
    """

    optimizers: OptimizerSet

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        device: Any,
        *,
        networks: PolicyNetworks | None,
        seed: int | None,
    ) -> None:
        super().__init__(observation_space, action_space, torch.device(device))
        networks = networks or PolicyNetworks()
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            self.actor = GaussianActor(
                observation_space, action_space, self.device, networks=networks, seed=None if seed is None else seed + 1
            )
            self.critics = self.make_critics(networks).to(self.device)
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    @abstractmethod
    def make_critics(self, networks: PolicyNetworks) -> nn.Module:
        """Return critics with fresh weights."""

    def judges(self) -> nn.Module:
        """Return what is saved beside the actor."""
        return self.critics

    def driver(self) -> GaussianActor:
        """Return the actor that is judged and kept."""
        return self.actor

    def get_actor(self) -> GaussianActor:
        """Return a copy of the actor that is judged and kept, without gradients."""
        return self.driver().no_grad_copy()

    def actor_tensors(self) -> dict[str, Tensor]:
        """Return copies of the newest actor's weights for ``ActorModule.load_tensors``: they explore."""
        return plain_state(self.actor)

    def judged_tensors(self) -> dict[str, Tensor] | None:
        """Return copies of the weights of the actor that is judged and kept; None where it is the newest one."""
        return None if self.driver() is self.actor else plain_state(self.driver())

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the actor (``weights1.torch``), its judges (``weights2.torch``) and the optimisers.

        Where the actor that is kept is not the newest, the newest lies beside the judges.
        """
        newest = {} if self.driver() is self.actor else plain_state(self.actor)
        save_torch(plain_state(self.driver()), folder / ONLINE_FILE)
        judges = plain_state(self.judges()) | {NEWEST_PREFIX + name: tensor for name, tensor in newest.items()}
        save_torch(judges, folder / TARGET_FILE)
        save_torch(self.optimizers.state_dict(), folder / OPTIMIZER_FILE)
        return {"generators": [generator_state(generator) for generator in self._generators]}

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Continue exactly where ``save`` stopped.

        Raises:
            WeightsError: the files do not fit.
        """
        self.load_weights(folder)
        self.optimizers.load_state_dict(load_torch(folder / OPTIMIZER_FILE))
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            restore_generator(generator, saved)

    def load_weights(self, folder: Path) -> None:
        """Take over the networks without optimisers or counters, as a fresh run does with a prepared pair."""
        kept, beside = load_torch(folder / ONLINE_FILE), load_torch(folder / TARGET_FILE)
        newest = {name: tensor for name, tensor in beside.items() if str(name).startswith(NEWEST_PREFIX)}
        judges = {name: tensor for name, tensor in beside.items() if name not in newest}
        load_strict(self.judges(), judges, source=str(folder / TARGET_FILE))
        load_strict(self.driver(), kept, source=str(folder / ONLINE_FILE))
        if self.driver() is not self.actor:
            own = {name.removeprefix(NEWEST_PREFIX): tensor for name, tensor in newest.items()}
            load_strict(self.actor, own or kept, source=str(folder / TARGET_FILE if own else folder / ONLINE_FILE))

    @property
    def _generators(self) -> tuple[torch.Generator | None, torch.Generator | None]:
        return self._generator, self.actor.generator
