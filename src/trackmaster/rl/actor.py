"""What acts: the part of an agent that travels to the workers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Observation = Mapping[str, NDArray[Any]]
"""Arrays by name with a leading axis for the cars: ``image`` (N, C, H, W) uint8 and ``floats`` (N, F) float32."""


class ActorModule(ABC):
    """Chooses actions. It owns no optimiser, no memory and no connection.

    Weights arrive as tensors by name, so that a worker needs nothing but them and the constructor's arguments.
    """

    @abstractmethod
    def act_batch(
        self, observation: Observation, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Choose one action per car.

        Args:
            observation: leading axis N.
            test: (N,) True where the car must act deterministically.
            rank: (N,) 0 to 1, a car's place among its worker's cars, for actors that let them explore unequally.

        Returns:
            The actions (N, ...) and the columns that the memory wants to know about them.
        """

    @abstractmethod
    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights published by a trainer."""

    def act(self, observation: Observation, test: bool = False) -> NDArray[Any]:
        """Choose the action of one car from an observation without the leading axis."""
        batched = {name: np.asarray(array)[None] for name, array in observation.items()}
        actions, _ = self.act_batch(batched, np.array([test]))
        action: NDArray[Any] = np.asarray(actions[0])
        return action
