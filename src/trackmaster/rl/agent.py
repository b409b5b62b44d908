"""What learns: the contract between a trainer and an algorithm."""

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.files.agent_state import load_attributes, save_attributes


class TrainingAgent(ABC):
    """Improves on batches and hands out actors; knows neither workers nor transports.

    A subclass writes ``train`` and ``get_actor``. Saving keeps every network, optimiser, generator, tensor and plain
    number among its attributes; an agent with a layout of its own overrides ``save`` and ``load``.

    Args:
        observation_space: what its actor sees.
        action_space: what its actor may answer.
        device: where to learn.
    """

    def __init__(self, observation_space: Any = None, action_space: Any = None, device: Any = "cpu") -> None:
        self.observation_space, self.action_space, self.device = observation_space, action_space, device

    @abstractmethod
    def train(self, batch: Any) -> dict[str, float]:
        """Do one optimiser update and return what is worth plotting.

        Args:
            batch: what the agent's memory draws. A ``TorchMemory`` gives (obs, action, reward, next_obs, terminated,
                truncated): tensors on the device with a leading batch axis, observations nested like the space, the
                other ones float32.
        """

    @abstractmethod
    def get_actor(self) -> ActorModule:
        """Return an actor without gradients that shares nothing with the learner."""

    def actor_tensors(self) -> dict[str, Tensor]:
        """Return copies of what ``ActorModule.load_tensors`` takes."""
        return self.get_actor().tensors()

    def judged_tensors(self) -> dict[str, Tensor] | None:
        """Return those of the actor of test episodes; None where it is the one of ``actor_tensors``."""
        return None

    def set_frames(self, frames: int) -> None:
        """Move every schedule to this number of decisions played; an agent without schedules ignores it."""
        del frames

    def test_loss(self, batch: Any) -> float:
        """Return the loss on held-out transitions without learning from them; not a number where there is none."""
        del batch
        return math.nan

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights and optimiser into an existing folder and return the rest of the state as plain JSON values."""
        return save_attributes(self, folder)

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Read what ``save`` wrote."""
        load_attributes(self, folder, state)
