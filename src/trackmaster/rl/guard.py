"""Protects a learner from divergence: keeps the last good state and goes back to it."""

import copy
from typing import Any, Protocol

from torch import Tensor, nn


class HasState(Protocol):
    """An optimiser, or several of them behind the same two methods."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that has to be kept."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take it over."""
        ...


class RollbackGuard:
    """Counts unhealthy updates and restores networks and optimiser when they repeat.

    A single non-finite gradient may be one odd batch and is only skipped; several in a row mean that the weights
    themselves are bad.

    Args:
        online: network that is trained.
        target: its slow copy.
        optimizer: of the online network.
        patience: unhealthy updates in a row that trigger the roll-back.
        keep_every: healthy updates between two kept states.
    """

    def __init__(
        self,
        online: nn.Module,
        target: nn.Module,
        optimizer: HasState,
        *,
        patience: int = 3,
        keep_every: int = 500,
    ) -> None:
        self._modules, self._optimizer = (online, target), optimizer
        self._patience, self._keep_every = patience, keep_every
        self._bad_in_a_row = self._healthy_since_kept = 0
        self.n_rollbacks = self.n_unhealthy = 0
        self.keep()

    def keep(self) -> None:
        """Remember this state as good."""
        self._healthy_since_kept = 0
        self._states: list[dict[str, Tensor]] = [copy.deepcopy(m.state_dict()) for m in self._modules]
        self._optimizer_state = copy.deepcopy(self._optimizer.state_dict())

    @property
    def metrics(self) -> dict[str, float]:
        """Roll-backs and unhealthy updates of this life of the run."""
        return {"Guard/rollback": float(self.n_rollbacks), "Guard/nonfinite": float(self.n_unhealthy)}

    def after_update(self, *, healthy: bool) -> None:
        """Note the outcome of an update; roll back if it was the last of too many bad ones."""
        if healthy:
            self._bad_in_a_row = 0
            self._healthy_since_kept += 1
            if self._healthy_since_kept >= self._keep_every:
                self.keep()
        else:
            self.n_unhealthy += 1
            self._bad_in_a_row += 1
            if self._bad_in_a_row >= self._patience:
                self._roll_back()

    def _roll_back(self) -> None:
        self._bad_in_a_row = 0
        self.n_rollbacks += 1
        for module, state in zip(self._modules, self._states, strict=True):
            module.load_state_dict(state)
        self._optimizer.load_state_dict(copy.deepcopy(self._optimizer_state))
