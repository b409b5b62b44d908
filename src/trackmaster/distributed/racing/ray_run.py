"""A racing run whose workers are Ray actors."""

import contextlib
import os
from collections.abc import Callable

from trackmaster.distributed.transport.ray_link import RayTask, RayTransport, ray_session
from trackmaster.rl.config.training import TrainConfig

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Ray's own variable; "auto" or host:port joins a cluster, without it Ray starts on this machine."""


class RayRun(RayTransport):
    """A transport that ends Ray with itself, if it started it."""

    def __init__(self, task: RayTask, n_workers: int, *, max_chunks: int, say: Callable[[str], None]) -> None:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(ray_session(os.environ.get(ADDRESS_VARIABLE), num_cpus=n_workers))
        try:
            super().__init__(task, n_workers, max_chunks=max_chunks, say=say)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Ask the workers to end, then Ray."""
        try:
            super().close()
        finally:
            self._stack.close()


def start_on_ray(config: TrainConfig, task: RayTask, *, say: Callable[[str], None]) -> RayRun:
    """Start the run's workers on the cluster.

    Raises:
        ConfigError: Ray is not installed.
        TransportError: the cluster cannot be joined, or does not begin.
    """
    performance = config.performance
    workers = performance.gpu_collectors_count
    return RayRun(task, workers, max_chunks=workers * performance.max_rollout_queue_size, say=say)
