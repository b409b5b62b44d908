"""Where a racing run begins: where an earlier life ended, from weights that lie there, or from nothing."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from trackmaster.distributed.racing.algorithms import RacingMemory
from trackmaster.distributed.racing.pretrained import begin_with_encoder
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.racing.trainer import RECEIVED, REPLAY, WORKER
from trackmaster.errors import ConfigError
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.files.checkpoint import CheckpointStore
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.rl.files.state_files import read_tree
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.memory.replay import IQNMemory

CONFIG_SNAPSHOT = "config_snapshot.yaml"
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


def resolve(config: TrainConfig) -> TrainConfig:
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
class Beginning:
    """Where a run begins."""

    stats: RunStats
    encoder: Mapping[str, Any] | None = None
    """Record of a pre-trained encoder that was put into the fresh networks."""
    worker: Mapping[str, Any] | None = None
    """What a worker that takes turns with the learner was in the middle of."""
    received: Mapping[str, int] = field(default_factory=dict)
    """How far the chunks of each worker's life have come into the saved memory."""


def begin(
    config: TrainConfig, store: CheckpointStore, agent: TrainingAgent, memory: RacingMemory, say: Say
) -> Beginning:
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
        return Beginning(RunStats(), begin_with_encoder(agent, encoder))
    pair = store.prepared_pair(own=not config.fresh)
    if pair is not None:
        if not isinstance(agent, LoadsPairs):
            raise ConfigError(f"{pair}: holds weights to begin with, but {type(agent).__name__} cannot take them.")
        agent.load_weights(pair)
        say(f"A fresh run begins with the weights found in {pair}.")
    return Beginning(RunStats(begins_prepared=pair is not None))


def _continue(
    config: TrainConfig, store: CheckpointStore, agent: TrainingAgent, memory: RacingMemory, say: Say
) -> Beginning:
    folder, state, counters = store.load()
    agent.load(folder, state["agent"])
    stats = RunStats.from_json(counters)
    say(f"Continuing {config.run_dir} at {stats.cumul_number_frames_played} frames.")
    saved = store.memory_of(state)
    if saved is None:
        stats.cumul_number_single_memories_should_have_been_used = stats.cumul_number_single_memories_used
        say("The replay memory was not saved; it fills again before learning goes on.")
        return Beginning(stats)
    memory.load(saved / REPLAY)
    if isinstance(agent, IQNAgent) and isinstance(memory, IQNMemory):
        memory.gamma = agent.gamma
        memory.set_frames(agent.frames)
    takes_turns = config.performance.transport == "in_process" and (saved / f"{WORKER}.json").is_file()
    worker = read_tree(saved, WORKER) if takes_turns else None
    return Beginning(stats, worker=worker, received=state["trainer"].get(RECEIVED, {}))
