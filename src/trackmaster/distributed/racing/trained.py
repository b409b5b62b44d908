"""Trained runs read back: their configuration and their driver."""

import json
from pathlib import Path

import torch

from trackmaster.distributed.racing.algorithms import algorithm_of
from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT
from trackmaster.env.layout import FLOAT_LAYOUT_VERSION
from trackmaster.errors import ConfigError
from trackmaster.nn.weights import WeightsError, change_normalisation, load_strict, plain_state
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.files.checkpoint import BEST, STATE_FILE, CheckpointError
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.rl.files.torch_files import load_torch
from trackmaster.rl.iqn.actor import IQNActor


def open_run(run_dir: Path, *, seed: int) -> TrainConfig:
    """Return the configuration of a run, with another seed for the starts of its evaluations.

    Raises:
        ConfigError: the folder is not that of a run.
    """
    snapshot = run_dir / CONFIG_SNAPSHOT
    if not snapshot.is_file():
        raise ConfigError(f"{run_dir}: there is no {CONFIG_SNAPSHOT} in it; give the folder of a run.")
    run = TrainConfig.load(config=snapshot, environment={})
    return run.model_copy(update={"evaluation": run.evaluation.model_copy(update={"seed": seed})})


def chosen_weights(run_dir: Path, weights: Path | None) -> Path:
    """Return the named weights, else the best evaluated ones of a run, else its newest.

    Raises:
        ConfigError: the run has saved none.
    """
    if weights is not None:
        return weights
    best, newest = run_dir / BEST / ONLINE_FILE, run_dir / ONLINE_FILE
    for path in (best, newest):
        if path.is_file():
            return path
    raise ConfigError(
        f"{run_dir}: holds no weights, neither {BEST}/{ONLINE_FILE} nor {ONLINE_FILE}. Train until the first "
        "checkpoint, or name weights with --weights."
    )


def trained_actor(run: TrainConfig, weights: Path) -> ActorModule:
    """Return the greedy driver of a run.

    Raises:
        WeightsError: the weights do not fit, or the float inputs had another meaning when they were trained.
    """
    actor = algorithm_of(run).actor(run.evaluation.seed)
    if isinstance(actor, IQNActor):
        load_weights(actor, weights)
    else:
        actor.load_tensors(load_torch(weights))
    return actor


def load_weights(actor: IQNActor, weights: Path) -> None:
    """Take over weights; those of a saved run are converted from the normalisation that they were trained with."""
    load_strict(actor.network, load_torch(weights), source=str(weights))
    state_file = weights.parent / STATE_FILE
    if not state_file.is_file():
        return
    try:
        state = json.loads(state_file.read_text(encoding="utf-8"))["agent"]
        version, mean, std = state["float_layout_version"], state["float_mean"], state["float_std"]
        old_mean, old_std = torch.tensor(mean), torch.tensor(std)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{state_file}: does not say how the weights beside it were trained ({type(error).__name__}: {error}). "
            "Evaluate another snapshot of the run, for example one in its recovery folder."
        ) from None
    if version != FLOAT_LAYOUT_VERSION:
        raise WeightsError(
            f"{weights}: trained on version {version} of the float inputs, this program makes version "
            f"{FLOAT_LAYOUT_VERSION}. Train anew, or evaluate with the program that trained it."
        )
    if old_mean.shape != actor.network.float_mean.shape or old_std.shape != actor.network.float_std.shape:
        raise WeightsError(
            f"{state_file}: normalises {len(mean)} floats, the network takes {len(actor.network.float_mean)}. "
            "Evaluate weights that lie beside the state they were saved with."
        )
    new_mean, new_std = actor.network.float_mean.cpu(), actor.network.float_std.cpu()
    converted = change_normalisation(
        plain_state(actor.network), old_mean=old_mean, old_std=old_std, new_mean=new_mean, new_std=new_std
    )
    load_strict(actor.network, converted, source="converted weights")
