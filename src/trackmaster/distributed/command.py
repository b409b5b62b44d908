"""The verbs ``train`` and ``evaluate`` of the command line."""

import json
from pathlib import Path

import torch
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.distributed.racing import load_tracks
from trackmaster.distributed.train import CONFIG_SNAPSHOT, RacingEvaluator, sample_spec, train
from trackmaster.env.layout import FLOAT_LAYOUT_VERSION
from trackmaster.errors import ConfigError
from trackmaster.nn.weights import WeightsError, change_normalisation, load_strict, plain_state
from trackmaster.rl.checkpoint import BEST, STATE_FILE, CheckpointError
from trackmaster.rl.config import TrainConfig
from trackmaster.rl.iqn import ONLINE_FILE, IQNActor
from trackmaster.rl.torch_files import load_torch
from trackmaster.units import format_race_time


class EvaluateConfig(Settings):
    """Drive a trained agent over deterministic episodes."""

    model_config = SettingsConfigDict(env_prefix="EVALUATE_")

    run_dir: Path
    """Folder of the run, ``save/<run_name>``."""
    weights: Path | None = None
    """Weights file; the best evaluated ones of the run, else its newest, when left out."""
    episodes: int = Field(default=20, ge=1, le=1000)
    """Deterministic episodes per track."""
    seed: int = Field(default=1, ge=0)
    """Draws the starts; attempt 0 is undisturbed."""
    output: Path | None = None
    """Also write the outcome as JSON."""


def run_train(config: TrainConfig) -> None:
    """Train and say what came of it."""
    result = train(config)
    stats = result.stats
    print(f"{result.run_dir}: {stats.cumul_number_frames_played} frames, {stats.cumul_number_batches_done} updates.")
    for track, seconds in stats.first_finish_s.items():
        evaluated = stats.first_eval_finish_s.get(track)
        best = stats.eval_min_ms.get(track)
        print(
            f"{track}: first finish after {seconds / 60:.1f} min, first evaluated finish after "
            f"{'-' if evaluated is None else f'{evaluated / 60:.1f} min'}, best evaluated time "
            f"{format_race_time(None if best is None else int(best))}."
        )


def run_evaluate(config: EvaluateConfig) -> None:
    """Evaluate a run's weights and print the outcome per track.

    Raises:
        ConfigError: the folder is not that of a run.
        WeightsError: the weights do not fit, or the float inputs had another meaning when they were trained.
    """
    snapshot = config.run_dir / CONFIG_SNAPSHOT
    if not snapshot.is_file():
        raise ConfigError(f"{config.run_dir}: there is no {CONFIG_SNAPSHOT} in it; give the folder of a run.")
    run = TrainConfig.load(config=snapshot, environment={})
    run = run.model_copy(update={"evaluation": run.evaluation.model_copy(update={"seed": config.seed})})
    best, newest = config.run_dir / BEST / ONLINE_FILE, config.run_dir / ONLINE_FILE
    weights = config.weights or (best if best.is_file() else newest)
    actor = IQNActor(run.to_iqn_config(sample_spec(run)["floats"].shape[0]), seed=config.seed)
    _load_weights(actor, weights)
    with RacingEvaluator(run, load_tracks(run), attempts=config.episodes) as evaluator:
        outcome = evaluator(actor)
    print(f"{weights}:")
    for track, result in outcome.items():
        low, high = result.wilson_interval()
        print(
            f"  {track}: {len(result.finished_ms)} of {result.n} finished ({100 * low:.0f} to {100 * high:.0f} %), "
            f"best {format_race_time(result.best_ms)}, undisturbed start {format_race_time(result.race_time_ms[0])}, "
            f"mean progress {result.mean_progress_m:.1f} m"
        )
    if config.output is not None:
        from trackmaster.files import atomic_write_text

        report = {track: {"race_time_ms": r.race_time_ms, "progress_m": r.progress_m} for track, r in outcome.items()}
        atomic_write_text(config.output, json.dumps(report, indent=1))


def _load_weights(actor: IQNActor, weights: Path) -> None:
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
