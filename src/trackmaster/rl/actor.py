"""What acts: the part of an agent that travels to the workers."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trackmaster.nn.weights import WeightsError, load_strict, plain_state
from trackmaster.rl.files.weights_files import read_weights, write_json_weights, write_weights
from trackmaster.rl.samples.nested import length, map_leaves

Observation = Mapping[str, NDArray[Any]]
"""Arrays by name with a leading axis for the cars: ``image`` (N, C, H, W) uint8 and ``floats`` (N, F) float32."""

FILE_KEY = "__file__"
"""Name under which the file of an actor travels that writes one of its own kind."""


class ActorModule:
    """Chooses actions. It owns no optimiser, no memory and no connection.

    A subclass writes ``act`` for one environment or ``act_batch`` for many; each follows from the other. Weights travel
    as tensors by name: those of the state dict where the subclass is an ``nn.Module``, otherwise the file that its own
    ``save`` writes.

    Args:
        observation_space: what the actor sees.
        action_space: what it may answer.
    """

    def __init__(self, observation_space: Any = None, action_space: Any = None) -> None:
        super().__init__()
        self.observation_space, self.action_space = observation_space, action_space

    def act(self, obs: Any, test: bool = False) -> NDArray[Any]:
        """Choose the action for one observation.

        Args:
            obs: one observation of the environment, without a leading axis.
            test: True for a deterministic action, False for one that explores.
        """
        self._must_override("act", "act_batch")
        batched = map_leaves(lambda leaf: np.asarray(leaf)[None], obs)
        actions, _ = self.act_batch(batched, np.array([test]))
        action: NDArray[Any] = np.asarray(actions[0])
        return action

    def act_batch(
        self, observation: Any, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Choose one action per car.

        Args:
            observation: leading axis N.
            test: (N,) True where the car must act deterministically.
            rank: (N,) 0 to 1, a car's place among its worker's cars, for actors that let them explore unequally.

        Returns:
            The actions (N, ...) and the columns that the memory wants to know about them.
        """
        self._must_override("act_batch", "act")
        del rank
        rows = (map_leaves(lambda leaf, i=i: leaf[i], observation) for i in range(length(observation)))
        actions = [self.act_(row, bool(is_test)) for row, is_test in zip(rows, test, strict=True)]
        return np.stack(actions), {"greedy": np.asarray(test, dtype=np.bool_)}

    def q_values(self, observation: Observation) -> NDArray[np.float32] | None:
        """Return the expected return of every action for every car, (N, A); None where the actor knows none."""
        del observation
        return None

    def act_(self, obs: Any, test: bool = False) -> NDArray[Any]:
        """Return what a worker sends to the environment; wraps ``act``."""
        return np.asarray(self.act(obs, test=test))

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of everything that ``load_tensors`` of another instance needs."""
        if isinstance(self, nn.Module):
            return plain_state(self)
        if type(self).save is not ActorModule.save:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "actor.tmod"
                self.save(str(path))
                return {FILE_KEY: torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)}
        return {}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights published by a trainer.

        Raises:
            WeightsError: they belong to another kind of actor.
        """
        if isinstance(self, nn.Module):
            load_strict(self, tensors, source="published weights")
        elif FILE_KEY in tensors and type(self).load is not ActorModule.load:
            self._load_file(tensors[FILE_KEY])
        elif tensors:
            raise WeightsError(
                f"{type(self).__name__} got {len(tensors)} tensors and has no place for them. Give it save and load, "
                "or make it a TorchActorModule."
            )

    def save(self, path: str | Path) -> None:
        """Write the weights into one file: as JSON that people can read if its name ends so, else as safetensors."""
        write = write_json_weights if Path(path).suffix == ".json" else write_weights
        write(Path(path), self.tensors())

    def load(self, path: str | Path, device: Any) -> Self:
        """Read what ``save`` wrote and return the actor that has it, on ``device``.

        Raises:
            WeightsError: the file is no weights file or does not fit.
        """
        self.load_tensors(read_weights(Path(path), like=self.tensors()))
        return self.to_device(device)

    def to_device(self, device: Any) -> Self:
        """Move to a device and return the actor."""
        del device
        return self

    def _load_file(self, content: Tensor) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "actor.tmod"
            path.write_bytes(content.numpy().tobytes())
            loaded = self.load(str(path), "cpu")
        if loaded is not self:
            self.__dict__.update(loaded.__dict__)

    def _must_override(self, asked: str, other: str) -> None:
        if getattr(type(self), other) is getattr(ActorModule, other):
            raise NotImplementedError(
                f"{type(self).__name__} chooses no actions: give it a method {asked} or {other} that returns them."
            )
