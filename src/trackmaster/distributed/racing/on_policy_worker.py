"""Collects for learners that use only what their newest weights drove: a fixed number of decisions, then a wait."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker

WAIT_S = 0.002
"""How long a worker process rests before it looks again for new weights."""
PATIENCE_S = 10.0
"""How long newer weights may be missing before a worker drives another share with those it has: over a network fewer
workers may have come than the run expects, or one may be gone with its share, and the rollout would never be whole.
Twice as long before each further share: the learner may only be slow, or away until it is started again."""


class OnPolicyVectorWorker(VectorRolloutWorker):
    """Drives ``rollout_steps`` decisions with every car under one version, sends them all and waits for the next.

    Unlike other workers' cars, these change their weights in the middle of an episode; a chunk never holds rows of two
    versions.

    Args:
        env: as for every vector worker.
        rollout_steps: decisions per car and version.
        clock: seconds that only grow.
        others: everything else ``VectorRolloutWorker`` takes.
    """

    def __init__(
        self, env: Any, *others: Any, rollout_steps: int, clock: Callable[[], float] = time.monotonic, **more: Any
    ) -> None:
        super().__init__(env, *others, **more)
        self._rollout_steps, self._clock = rollout_steps, clock
        self._left = 0
        self._driven = -1

    @property
    def is_waiting(self) -> bool:
        """Whether the rollout is complete and newer weights have not come yet."""
        return self._left == 0

    def run(self) -> None:
        """Collect until the trainer asks to stop."""
        began, patience_s = self._clock(), PATIENCE_S
        while not self._end.should_stop():
            version = self._driven
            self.collect(1)
            if self._driven != version:
                began, patience_s = self._clock(), PATIENCE_S
            if not self.is_waiting:
                began = self._clock()
            elif self._driven >= 0 and self._clock() - began > patience_s:
                self._left = self._rollout_steps  # of the same version, so that the learner can use it as well
                began, patience_s = self._clock(), 2 * patience_s
            else:
                time.sleep(WAIT_S)

    def collect(self, n_steps: int) -> None:
        """Drive every car for up to ``n_steps`` decisions, fewer where the rollout is complete before."""
        for _ in range(n_steps):
            if self._left == 0 and not self._renew():
                return
            assert self._observation is not None
            self._step(self._observation)
            self._left -= 1
            if self._left == 0:
                self._send_rest()

    def state(self) -> dict[str, Any] | None:
        """Return everything that ``restore`` of an equally made worker needs to go on as if it had never stopped."""
        state = super().state()
        return None if state is None else {**state, "left": self._left, "driven": self._driven}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        super().restore(state)
        self._left, self._driven = int(state["left"]), int(state["driven"])

    def _renew(self) -> bool:
        """Let every car go on with newer weights; return whether there were any."""
        if self._observation is None:
            self._begin()
        else:
            self._poll_weights()
        if self._newest == self._driven:
            return False
        self._versions[:] = self._driven = self._newest
        self._left = self._rollout_steps
        return True

    def _look_for_weights(self) -> None:
        """Weights change between rollouts only."""

    def _send_rest(self) -> None:
        for i, car in enumerate(self._cars):
            if self._rows[i] > max(1, car.context):
                self._send(int(i), None)
