"""Collects for learners that use only what their newest weights drove: a fixed number of decisions, then a wait."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker

WAIT_S = 0.002
"""How long a worker process rests before it looks again for new weights."""
GRACE_S = 5.0
"""The same weights under a newer version mean that the learner waits and wants more driven with them: over a network
fewer workers may have come than the run expects, or one is gone with its share. They count if they come so long after a
share was sent; whoever published them earlier did not know of that share."""


class OnPolicyVectorWorker(VectorRolloutWorker):
    """Drives ``rollout_steps`` decisions with every car under one version, sends them all and waits for the next.

    Unlike other workers' cars, these change their weights in the middle of an episode; a chunk never holds rows of two
    versions. However long the learner takes, nothing is driven that it could not use: only the learner knows whether a
    rollout is whole, and it publishes the same weights once more where it is not.

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
        self._driven, self._driven_sha256 = -1, ""
        self._sent_s = self._arrived_s = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether the rollout is complete and newer weights have not come yet."""
        return self._left == 0

    def run(self) -> None:
        """Collect until the trainer asks to stop."""
        while not self._end.should_stop():
            self.collect(1)
            if self.is_waiting:
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
                self._sent_s = self._clock()

    def state(self) -> dict[str, Any] | None:
        """Return everything that ``restore`` of an equally made worker needs to go on as if it had never stopped."""
        state = super().state()
        return None if state is None else {**state, "left": self._left, "driven": self._driven}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        super().restore(state)
        self._left, self._driven = int(state["left"]), int(state["driven"])

    def _renew(self) -> bool:
        """Let every car go on with newer weights; return whether there were any to drive with."""
        before = self._newest
        if self._observation is None:
            self._begin()
        else:
            self._poll_weights()
        if self._newest != before:
            self._arrived_s = self._clock()
        is_same = self._newest_sha256 == self._driven_sha256
        if self._newest == self._driven or (is_same and self._arrived_s < self._sent_s + GRACE_S):
            return False
        self._versions[:] = self._driven = self._newest
        self._driven_sha256 = self._newest_sha256
        self._left = self._rollout_steps
        return True

    def _look_for_weights(self) -> None:
        """Weights change between rollouts only."""

    def _send_rest(self) -> None:
        for i, car in enumerate(self._cars):
            if self._rows[i] > max(1, car.context):
                self._send(int(i), None)
