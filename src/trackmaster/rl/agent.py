"""What learns: the contract between a trainer and an algorithm."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.memory import Batch


class TrainingAgent(ABC):
    """Improves on batches and hands out actors; knows neither workers nor transports."""

    @abstractmethod
    def train(self, batch: Batch) -> dict[str, float]:
        """Do one optimiser update and return what is worth plotting."""

    @abstractmethod
    def get_actor(self) -> ActorModule:
        """Return an actor without gradients that shares nothing with the learner."""

    @abstractmethod
    def actor_tensors(self) -> dict[str, Tensor]:
        """Return copies of what ``ActorModule.load_tensors`` takes."""

    @abstractmethod
    def set_frames(self, frames: int) -> None:
        """Move every schedule to this number of decisions played."""

    @abstractmethod
    def test_loss(self, batch: Batch) -> float:
        """Return the loss on held-out transitions without learning from them."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights and optimiser into an existing folder and return the rest of the state as plain JSON values."""

    @abstractmethod
    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Read what ``save`` wrote."""
