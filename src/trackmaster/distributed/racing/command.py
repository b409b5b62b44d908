"""The verbs ``train`` and ``evaluate`` of the command line."""

import json
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from trackmaster.config import Settings
from trackmaster.distributed.racing.environments import load_tracks
from trackmaster.distributed.racing.evaluator import RacingEvaluator
from trackmaster.distributed.racing.train import train
from trackmaster.distributed.racing.trained import chosen_weights, open_run, trained_actor
from trackmaster.rl.config.training import TrainConfig
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
    run = open_run(config.run_dir, seed=config.seed)
    weights = chosen_weights(config.run_dir, config.weights)
    actor = trained_actor(run, weights)
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
