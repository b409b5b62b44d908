"""Joins one trainer and its workers into a run, on one machine."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trackmaster.allocator import keep_freed_memory
from trackmaster.distributed.racing.algorithms import Algorithm, algorithm_of
from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT, Beginning, begin, resolve
from trackmaster.distributed.racing.console import Console
from trackmaster.distributed.racing.environments import load_tracks, plan_fleet
from trackmaster.distributed.racing.evaluator import RacingEvaluator
from trackmaster.distributed.racing.live_settings import LiveSettings
from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.pretrained import write_record
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.racing.trainer import RacingTrainer
from trackmaster.distributed.racing.vector_worker import VectorRolloutWorker
from trackmaster.distributed.racing.workers import make_worker, run_worker_process
from trackmaster.distributed.transport.contract import TrainerEnd, Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.distributed.transport.local import LocalTransport
from trackmaster.errors import InterruptedRunError
from trackmaster.files import atomic_write_text
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.device import resolve_device
from trackmaster.rl.evaluation.log import EVALUATIONS_FILE, forget_evaluations_after
from trackmaster.rl.files.checkpoint import CheckpointStore
from trackmaster.rl.metrics import MetricsLogger

if TYPE_CHECKING:
    from trackmaster.track import Track

METRICS_FILE = "metrics.csv"
TURN_STEPS = 8
"""Decisions of a worker's turn where worker and learner take turns in one process."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainResult:
    """What a run came to."""

    run_dir: Path
    stats: RunStats


def train(config: TrainConfig, *, say: Say | None = None) -> TrainResult:
    """Train until a limit of the configuration is reached.

    Args:
        config: the whole run.
        say: where lines for people go; the console, with a progress bar on a terminal, when left out.

    Returns:
        The run's folder and its counters; the best evaluated weights lie in ``best_eval/`` there.

    Raises:
        InterruptedRunError: Ctrl+C; everything is saved, the text says how to go on.
        TrackmasterError: a file, a setting or a worker is at fault.
    """
    console = Console("training", enabled=config.use_tqdm and say is None)
    try:
        return _train(resolve(config), say or console.say, console.progress)
    finally:
        console.close()


def _train(config: TrainConfig, say: Say, progress: Callable[[float], None]) -> TrainResult:
    store = CheckpointStore(config.run_dir, say=say)
    keep_freed_memory()
    torch.set_num_threads(config.performance.learner_threads)
    tracks = load_tracks(config)
    algorithm = algorithm_of(config)
    agent, memory = algorithm.agent(resolve_device(config.device), say), algorithm.memory()
    plan_fleet(config, config.environment.n_envs)  # refuses too few cars here instead of in every worker
    beginning = begin(config, store, agent, memory, say)
    stats = beginning.stats
    tensorboard_dir = config.performance.tensorboard_dir / config.run_name
    # Last of all, so that a run that cannot begin leaves the earlier one where it is.
    if config.fresh and (aside := store.set_aside(tensorboard_dir)):
        say(f"The earlier run was moved to {' and '.join(map(str, aside))}.")
    resumed_at = stats.cumul_number_frames_played if stats.n_evaluations else -1
    log = config.run_dir / EVALUATIONS_FILE
    forget_evaluations_after(log, resumed_at, n_evaluations=stats.n_evaluations)
    if beginning.encoder is not None:
        say(write_record(beginning.encoder, config.run_dir))
    atomic_write_text(config.run_dir / CONFIG_SNAPSHOT, config.to_yaml())
    size, start = config.memory_schedules()
    logger = MetricsLogger(
        tensorboard_dir, config.run_dir / METRICS_FILE, wall_offset_s=stats.cumul_training_hours * 3600
    )
    with logger, RacingEvaluator(config, tracks) as evaluator:
        if config.performance.transport == "in_process":
            end, worker_state = _take_turns(config, tracks, beginning)
        else:
            end = _link(config, tracks, algorithm, agent, beginning, say=say)
            worker_state = None
        trainer = RacingTrainer(
            agent, memory, end, evaluator, memory_size=size, learning_start=start, options=_options(config),
            store=store, logger=logger, stats=stats, say=say, progress=progress, worker_state=worker_state,
            is_continued=beginning.worker is not None, new_options=_changes(config, agent, say),
        )  # fmt: skip
        try:
            trainer.run()
        except KeyboardInterrupt:
            saved = "everything is saved" if trainer.is_saved else "saving was interrupted, older snapshots lie"
            raise InterruptedRunError(
                f"Stopped after {stats.cumul_number_frames_played} frames; {saved} in {config.run_dir}. "
                f"Continue with: trackmaster train --resume {config.run_dir}"
            ) from None
        finally:
            end.close()
    return TrainResult(config.run_dir, stats)


def _options(config: TrainConfig) -> TrainerOptions:
    return TrainerOptions(
        batch_size=config.training.batch_size,
        uses_per_transition=config.memory.number_times_single_memory_is_used_before_discard,
        min_uses_per_transition=config.memory.min_times_single_memory_is_used,
        publish_every_batches=config.performance.send_shared_network_every_n_batches,
        evaluate_every_frames=config.evaluation.every_frames,
        stop_at_finish_rate=config.evaluation.stop_at_finish_rate,
        max_frames=config.training.max_frames,
        max_s=config.training.max_minutes * 60,
        save_interval_s=config.performance.save_interval_s,
        metrics_interval_s=config.performance.metrics_interval_s,
        save_memory=config.memory.save_with_checkpoint,
        keep_best=config.guards.keep_best,
        collapse_drop=config.guards.collapse_drop,
        collapse_evaluations=config.guards.collapse_evaluations,
    )


def _changes(config: TrainConfig, agent: TrainingAgent, say: Say) -> Callable[[], TrainerOptions | None]:
    """Return what tells the trainer of settings that were changed while it runs."""
    live = LiveSettings(config, agent, config.run_dir / CONFIG_SNAPSHOT, say)

    def changed() -> TrainerOptions | None:
        found = live.poll()
        return None if found is None else _options(found)

    return changed


def _link(
    config: TrainConfig,
    tracks: "Sequence[Track]",
    algorithm: Algorithm,
    agent: TrainingAgent,
    beginning: Beginning,
    *,
    say: Say,
) -> TrainerEnd:
    performance = config.performance
    if performance.transport == "websocket":
        from trackmaster.distributed.racing.network_run import open_trainer_end

        return open_trainer_end(
            config, tracks, algorithm.spec, algorithm.chunk_rows, received=beginning.received, say=say
        )
    played = beginning.stats.cumul_number_frames_played
    if performance.transport == "ray":
        from trackmaster.distributed.racing.ray_run import start_on_ray

        return start_on_ray(config, functools.partial(run_worker_process, config, played=played), say=say)
    return LocalTransport(
        functools.partial(run_worker_process, config, played=played), performance.gpu_collectors_count,
        spec=algorithm.spec, max_rows=algorithm.chunk_rows, n_slots=performance.max_rollout_queue_size,
        weights_bytes=2 * len(Weights.pack(0, agent.actor_tensors()).blob),
    )  # fmt: skip


def _take_turns(
    config: TrainConfig, tracks: "Sequence[Track]", beginning: Beginning
) -> tuple[TrainerEnd, Callable[[], dict[str, Any] | None]]:
    """Return the link to a worker in this process, and what tells its state where that is everything there is."""
    link = InProcessTransport(TURN_STEPS * config.environment.n_envs)  # a car sends a chunk per decision at most
    kept = beginning.worker
    played = beginning.stats.cumul_number_frames_played if kept is None else int(kept["played"])
    worker = make_worker(config, link, 0, tracks=tracks, played=played)
    if kept is not None:
        link.restore(kept["link"])
        worker.restore(kept["worker"])
    link.pump = functools.partial(worker.collect, TURN_STEPS)
    tells = functools.partial(_state_in_this_process, worker, link, played)
    return link, tells


def _state_in_this_process(worker: VectorRolloutWorker, link: InProcessTransport, played: int) -> dict[str, Any] | None:
    """Return what worker and link were in the middle of; None before the first episode."""
    driving, waiting = worker.state(), link.state()
    return None if driving is None or waiting is None else {"worker": driving, "link": waiting, "played": played}
