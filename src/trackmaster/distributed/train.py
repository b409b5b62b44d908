"""Joins one trainer and its workers into a run, on one machine."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from trackmaster.allocator import keep_freed_memory
from trackmaster.distributed.algorithms import Algorithm, RacingMemory, algorithm_of
from trackmaster.distributed.console import Console
from trackmaster.distributed.in_process import InProcessTransport
from trackmaster.distributed.live_settings import LiveSettings
from trackmaster.distributed.local import LocalTransport
from trackmaster.distributed.pretrained import begin_with_encoder, write_record
from trackmaster.distributed.racing import load_tracks, make_racing_env, plan_fleet, track_names
from trackmaster.distributed.racing_trainer import RECEIVED, REPLAY, WORKER, RacingTrainer, TrainerOptions
from trackmaster.distributed.run_stats import RunStats
from trackmaster.distributed.transport import TrainerEnd, Weights, WorkerEnd
from trackmaster.distributed.vector_worker import VectorRolloutWorker
from trackmaster.errors import ConfigError, InterruptedRunError
from trackmaster.files import atomic_write_text
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.checkpoint import CheckpointStore
from trackmaster.rl.config import TrainConfig
from trackmaster.rl.device import resolve_device
from trackmaster.rl.evaluation import Evaluation, VectorEnvironment, evaluate
from trackmaster.rl.evaluation_log import EVALUATIONS_FILE, forget_evaluations_after
from trackmaster.rl.iqn import ONLINE_FILE, IQNAgent
from trackmaster.rl.memory import IQNMemory
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.state_files import read_tree

if TYPE_CHECKING:
    from trackmaster.track import Track

CONFIG_SNAPSHOT = "config_snapshot.yaml"
METRICS_FILE = "metrics.csv"
SEED_STRIDE = 10_000
"""Distance between the seeds of two workers."""
TURN_STEPS = 8
"""Decisions of a worker's turn where worker and learner take turns in one process."""
LIFE_STRIDE = 10_000_000
"""Distance between the seeds of two lives of a run, times the decisions played before."""

RESUMABLE = (
    "device", "evaluation.stop_at_finish_rate", "network.allow_insecure", "network.host", "network.join",
    "network.keys", "network.port", "training.max_frames", "training.max_minutes", "use_tqdm",
)  # fmt: skip
"""Settings that may be said anew beside ``--resume``: where it computes, how it shows, when it ends."""

Say = Callable[[str], None]


@runtime_checkable
class LoadsPairs(Protocol):
    """An agent that can begin with the two files of weights that a run leaves."""

    def load_weights(self, folder: Path) -> None:
        """Take over the weights in a folder."""


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
        return _train(_resolve(config), say or console.say, console.progress)
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
    beginning = _restore(config, store, agent, memory, say)
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


class RacingEvaluator:
    """Drives the deterministic attempts of an actor on every track of the run; environments are made once."""

    def __init__(self, config: TrainConfig, tracks: "Sequence[Track]", *, attempts: int | None = None) -> None:
        self._config = config
        self._tracks = dict(zip(track_names(config), tracks, strict=True))
        self._attempts = attempts or config.evaluation.attempts
        self._envs: dict[str, VectorEnvironment] = {}

    def __call__(self, actor: ActorModule) -> Mapping[str, Evaluation]:
        """Return the outcome by track."""
        from trackmaster.env import evaluation_starts

        starts = evaluation_starts(self._config.evaluation.seed, self._attempts)
        return {name: evaluate(actor, self._env(name), self._attempts, starts=starts) for name in self._tracks}

    def __enter__(self) -> "RacingEvaluator":
        return self

    def __exit__(self, *error: object) -> None:
        for env in self._envs.values():
            env.close()

    def _env(self, name: str) -> VectorEnvironment:
        if name not in self._envs:
            self._envs[name] = make_racing_env(
                self._config,
                {name: self._tracks[name]},
                [0] * self._attempts,
                seed=self._config.evaluation.seed,
                evaluation=True,
            )
        return self._envs[name]


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


def _resolve(config: TrainConfig) -> TrainConfig:
    """A resumed run keeps its own configuration; only what ``RESUMABLE`` names may be said anew."""
    if config.resume is None:
        return config
    snapshot = config.resume / CONFIG_SNAPSHOT
    if not snapshot.is_file():
        raise ConfigError(f"--resume {config.resume}: there is no {CONFIG_SNAPSHOT} in it; give the folder of a run.")
    earlier = TrainConfig.load(config=snapshot, environment={})
    said = {name: value for name, value in config.said().items() if value != operator.attrgetter(name)(earlier)}
    said.pop("resume", None)
    ignored = sorted(set(said) - set(RESUMABLE))
    if ignored:
        raise ConfigError(
            f"--resume {config.resume}: the run keeps the configuration it was started with, so {', '.join(ignored)} "
            f"cannot be set beside it. Only {', '.join(RESUMABLE)} may be said anew; leave the others out of flags, "
            "TRAIN_* variables and --config, or start another run."
        )
    update: dict[str, Any] = {"resume": config.resume, "fresh": False}
    for name, value in said.items():
        section, _, field = name.rpartition(".")
        if section:
            part = update.get(section, getattr(earlier, section))
            update[section] = part.model_copy(update={field: value})
        else:
            update[field] = value
    return earlier.model_copy(update=update)


@dataclass(frozen=True)
class _Beginning:
    """Where a run begins."""

    stats: RunStats
    encoder: Mapping[str, Any] | None = None
    """Record of a pre-trained encoder that was put into the fresh networks."""
    worker: Mapping[str, Any] | None = None
    """What a worker that takes turns with the learner was in the middle of."""
    received: Mapping[str, int] = field(default_factory=dict)
    """How far the chunks of each worker's life have come into the saved memory."""


def _restore(
    config: TrainConfig, store: CheckpointStore, agent: TrainingAgent, memory: RacingMemory, say: Say
) -> _Beginning:
    """Continue the run, or start from a prepared pair of weights, or start from nothing; say which."""
    if store.exists and not config.fresh:
        return _continue(config, store, agent, memory, say)
    if config.resume is not None:
        raise ConfigError(
            f"--resume {config.resume}: nothing has been saved there yet; start the run without --resume."
        )
    encoder = config.training.pretrain_encoder_path
    is_new = config.fresh or not (store.folder / ONLINE_FILE).exists()
    if isinstance(agent, IQNAgent) and encoder is not None and is_new:
        return _Beginning(RunStats(), begin_with_encoder(agent, encoder))
    pair = store.prepared_pair(own=not config.fresh)
    if pair is not None:
        if not isinstance(agent, LoadsPairs):
            raise ConfigError(f"{pair}: holds weights to begin with, but {type(agent).__name__} cannot take them.")
        agent.load_weights(pair)
        say(f"A fresh run begins with the weights found in {pair}.")
    return _Beginning(RunStats())


def _continue(
    config: TrainConfig, store: CheckpointStore, agent: TrainingAgent, memory: RacingMemory, say: Say
) -> _Beginning:
    folder, state, counters = store.load()
    agent.load(folder, state["agent"])
    stats = RunStats.from_json(counters)
    say(f"Continuing {config.run_dir} at {stats.cumul_number_frames_played} frames.")
    saved = store.memory_of(state)
    if saved is None:
        stats.cumul_number_single_memories_should_have_been_used = stats.cumul_number_single_memories_used
        say("The replay memory was not saved; it fills again before learning goes on.")
        return _Beginning(stats)
    memory.load(saved / REPLAY)
    if isinstance(agent, IQNAgent) and isinstance(memory, IQNMemory):
        memory.gamma = agent.gamma
        memory.set_frames(agent.frames)
    takes_turns = config.performance.transport == "in_process" and (saved / f"{WORKER}.json").is_file()
    worker = read_tree(saved, WORKER) if takes_turns else None
    return _Beginning(stats, worker=worker, received=state["trainer"].get(RECEIVED, {}))


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
    beginning: _Beginning,
    *,
    say: Say,
) -> TrainerEnd:
    performance = config.performance
    if performance.transport == "websocket":
        from trackmaster.distributed.network_run import open_trainer_end

        return open_trainer_end(
            config, tracks, algorithm.spec, algorithm.chunk_rows, received=beginning.received, say=say
        )
    played = beginning.stats.cumul_number_frames_played
    if performance.transport == "ray":
        from trackmaster.distributed.ray_run import start_on_ray

        return start_on_ray(config, functools.partial(run_worker_process, config, played=played))
    return LocalTransport(
        functools.partial(run_worker_process, config, played=played), performance.gpu_collectors_count,
        spec=algorithm.spec, max_rows=algorithm.chunk_rows, n_slots=performance.max_rollout_queue_size,
        weights_bytes=2 * len(Weights.pack(0, agent.actor_tensors()).blob),
    )  # fmt: skip


def _take_turns(
    config: TrainConfig, tracks: "Sequence[Track]", beginning: _Beginning
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
