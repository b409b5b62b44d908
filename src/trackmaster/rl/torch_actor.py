"""An actor that is a PyTorch module: what a subclass adds is ``forward``."""

import copy
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.samples.nested import map_leaves

Module = TypeVar("Module", bound=nn.Module)


def no_grad_copy(module: Module) -> Module:
    """Return a copy for acting: it shares no storage with the original and needs no gradients."""
    with torch.no_grad():
        return copy.deepcopy(module).requires_grad_(False).eval()


class TorchActorModule(ActorModule, nn.Module):
    """Acts with a network.

    Args:
        observation_space: what the actor sees.
        action_space: what it may answer.
        device: where the network runs.
    """

    def __init__(self, observation_space: Any = None, action_space: Any = None, device: Any = "cpu") -> None:
        super().__init__(observation_space, action_space)
        self.device = device

    def forward(self, obs: Any, test: bool = False, compute_logprob: bool = True) -> tuple[Tensor, Tensor | None]:
        """Return actions and their log-probabilities for a batch of observations.

        Args:
            obs: tensors nested like the observation space, with a leading batch axis.
            test: True for the deterministic action.
            compute_logprob: whether the second result is wanted; it is None otherwise.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward(obs, test, compute_logprob).")

    def act(self, obs: Any, test: bool = False) -> NDArray[Any]:
        """Return the action for observations on the device, with their batch axis."""
        with torch.no_grad():
            action, _ = self(obs, test=test, compute_logprob=False)
            acted: NDArray[Any] = action.cpu().numpy()
            return acted

    def act_(self, obs: Any, test: bool = False) -> NDArray[Any]:
        """Return the action for one observation of an environment, without a batch axis."""
        device = next((p.device for p in self.parameters()), torch.device(self.device))

        def batched(leaf: Any) -> Tensor:
            tensor = torch.from_numpy(np.array(leaf)[None])
            return (tensor.to(torch.float32) if tensor.dtype == torch.float64 else tensor).to(device)

        with torch.no_grad():
            action = np.asarray(self.act(map_leaves(batched, obs), test=test))
        shape = getattr(self.action_space, "shape", None)
        if shape is not None and action.shape == (1, *shape):
            action = action[0]
        return action

    def act_batch(
        self, observation: Any, test: NDArray[np.bool_], rank: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Choose one action per car: one pass of the network for those that explore, one for the others."""
        del rank
        device = next((p.device for p in self.parameters()), torch.device(self.device))
        chosen: NDArray[Any] | None = None
        for is_test in (False, True):
            mine = np.flatnonzero(test == is_test)
            if len(mine):
                part = map_leaves(lambda leaf, rows=mine: torch.from_numpy(leaf[rows]).to(device), observation)
                with torch.no_grad():
                    actions = np.asarray(self.act(part, test=is_test))
                if chosen is None:
                    chosen = np.zeros((len(test), *actions.shape[1:]), dtype=actions.dtype)
                chosen[mine] = actions
        if chosen is None:
            raise ValueError("no car asks for an action")
        return chosen, {"greedy": np.asarray(test, dtype=np.bool_)}

    def to_device(self, device: Any) -> Self:
        """Move to a device and return the actor."""
        self.device = device
        return self.to(device)

    def no_grad_copy(self) -> Self:
        """Return a copy for acting; see the function of the same name."""
        return no_grad_copy(self)
