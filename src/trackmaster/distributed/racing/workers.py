"""The workers of a racing run, made from its configuration alone: here, in another process, on another machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from trackmaster.allocator import keep_freed_memory
from trackmaster.distributed.racing.algorithms import algorithm_of
from trackmaster.distributed.racing.environments import load_tracks, make_racing_env, plan_fleet, track_names
from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker
from trackmaster.distributed.transport.contract import WorkerEnd
from trackmaster.rl.config.training import TrainConfig

if TYPE_CHECKING:
    from trackmaster.track import Track

SEED_STRIDE = 10_000
"""Distance between the seeds of two workers."""
LIFE_STRIDE = 10_000_000
"""Distance between the seeds of two lives of a run, times the decisions played before."""


def make_worker(
    config: TrainConfig, end: WorkerEnd, number: int, *, tracks: "Sequence[Track] | None" = None, played: int = 0
) -> VectorRolloutWorker:
    """Return a worker of this run with its environment.

    Args:
        config: the whole run.
        end: link to the trainer.
        number: number of the worker.
        tracks: of the run; loaded when left out.
        played: decisions of the run's earlier lives, so that none of them is driven again with the same draws.
    """
    tracks = load_tracks(config) if tracks is None else tracks
    algorithm = algorithm_of(config)
    fleet = plan_fleet(config, config.environment.n_envs)
    first_seed = config.training.seed + SEED_STRIDE * (number + 1) + LIFE_STRIDE * played
    seeds = iter(range(first_seed, 2**62))
    named = dict(zip(track_names(config), tracks, strict=True))
    env = make_racing_env(config, named, fleet.track_of_car, seed=next(seeds))
    return algorithm.worker(
        env, lambda: algorithm.actor(next(seeds)), end, cycles=fleet.cycles, worker_id=number,
    )  # fmt: skip


def run_worker_process(config: TrainConfig, end: WorkerEnd, number: int, *, played: int = 0) -> None:
    """Be a worker process until the trainer asks to end."""
    keep_freed_memory()
    torch.set_num_threads(config.performance.worker_threads)
    make_worker(config, end, number, played=played).run()
