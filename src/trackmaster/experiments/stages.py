"""The stages between replays and report: frames, encoder, agent. Each continues what an earlier call began."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackmaster import gbx
from trackmaster.capture import CaptureConfig
from trackmaster.capture.run import CaptureSummary, capture
from trackmaster.errors import TrackmasterError
from trackmaster.pretrain.artifact import Artifact
from trackmaster.pretrain.config import PretrainConfig
from trackmaster.pretrain.inject import init_iqn_from_encoder
from trackmaster.pretrain.runner import run as run_pretraining
from trackmaster.rl.config.training import TrainConfig
from trackmaster.rl.config.world import MapCycleSection, MapEntry
from trackmaster.rl.evaluation.log import EVALUATIONS_FILE, LoggedEvaluation, read_evaluations

RUN_NAME = "demo"


@dataclass(frozen=True)
class Place:
    """The track the agent learns to drive."""

    track_id: str
    name: str
    map_path: Path
    line_path: Path
    best_ms: int
    """Fastest replay that was captured on it."""


def capture_frames(config: CaptureConfig) -> CaptureSummary:
    """Turn replays into frames; what cannot be used is in the summary with its reason.

    Raises:
        TrackmasterError: not a single replay could be used.
    """
    summary = capture(config)
    if not captured_runs(config.output_dir):
        reasons = "; ".join(f"{o.replay}: {o.reason} ({o.detail})" for o in summary.rejected[:3])
        raise TrackmasterError(f"None of the replays in {config.replays_dir} became frames. {reasons}.")
    return summary


def captured_runs(frames_dir: Path) -> list[dict[str, Any]]:
    """Return the metadata of every captured replay, in the order of the folders."""
    files = sorted(frames_dir.glob("*/*/metadata.json"))
    return [json.loads(file.read_text(encoding="utf-8")) | {"folder": str(file.parent)} for file in files]


def choose_place(runs: list[dict[str, Any]], maps_dir: Path, wanted: str | None) -> Place:
    """Take the wanted track (by id or name), else the one with the shortest run.

    Raises:
        TrackmasterError: the wanted track was not captured, or has no reference line.
    """
    names = {run["track_id"]: _map_of(maps_dir, run["track_id"])[1] for run in runs}
    chosen = [run for run in runs if wanted is None or wanted in (run["track_id"], names[run["track_id"]])]
    if not chosen:
        listed = ", ".join(f"{track_id} ({name})" for track_id, name in sorted(names.items()))
        raise TrackmasterError(f"--track {wanted}: no captured replay drives it. Captured: {listed}.")
    best = min(chosen, key=lambda run: (run["race_time_ms"], run["track_id"], run["replay_name"]))
    track_id = best["track_id"]
    lines = sorted((maps_dir / "vcp").glob(f"{track_id}_*.npy"))
    if not lines:
        raise TrackmasterError(f"{maps_dir / 'vcp'}: there is no reference line of {names[track_id]}; capture again.")
    return Place(track_id, names[track_id], _map_of(maps_dir, track_id)[0], lines[0], int(best["race_time_ms"]))


def _map_of(maps_dir: Path, track_id: str) -> tuple[Path, str]:
    path = maps_dir / "tracks" / f"{track_id}.Challenge.Gbx"
    return path, gbx.plain_text(gbx.read_challenge(path).name)


def train_encoder(config: PretrainConfig) -> Artifact:
    """Train the encoder, continue an interrupted training, or return the finished one."""
    folder = config.output_dir / (config.run_name or RUN_NAME)
    if (folder / "pretrain_meta.json").is_file():
        found = Artifact.open(folder)
        if not found.meta.get("interrupted"):
            print(f"{folder}: kept from an earlier call.")
            return found
    if (folder / "checkpoints").is_dir() and any((folder / "checkpoints").iterdir()):
        return run_pretraining(config.model_copy(update={"resume": folder}), say=print)
    return run_pretraining(config.model_copy(update={"overwrite": folder.exists()}), say=print)


def training_config(
    base: TrainConfig, place: Place, output: Path, *, minutes: float, episodes: int, seed: int, use_tqdm: bool
) -> TrainConfig:
    """Return the quick preset, pointed at one track and one folder."""
    entry = MapEntry(
        short_name=re.sub(r"[^A-Za-z0-9_-]+", "_", place.name).strip("_") or place.track_id,
        map_path=str(place.map_path),
        reference_line_path=str(place.line_path),
    )
    folders = {"save_dir": output / "save", "tensorboard_dir": output / "tensorboard"}
    return base.model_copy(
        update={
            "run_name": RUN_NAME,
            "use_tqdm": use_tqdm,
            "map_cycle": MapCycleSection(entries=(entry,)),
            "training": base.training.model_copy(update={"max_minutes": minutes, "seed": seed}),
            "evaluation": base.evaluation.model_copy(update={"attempts": episodes, "stop_at_finish_rate": 0.0}),
            "performance": base.performance.model_copy(update=folders),
        }
    )


def evaluations_of(config: TrainConfig) -> list[LoggedEvaluation]:
    """Return the evaluations of a finished training on the track it trained on, in order.

    Raises:
        TrackmasterError: there is none.
    """
    path, track = config.run_dir / EVALUATIONS_FILE, config.map_cycle.entries[0].short_name
    found = [row for row in read_evaluations(path) if row.track == track]
    if not found:
        raise TrackmasterError(f"{path}: holds no evaluation on {track}. Choose another --output.")
    return found


def inject_encoder(encoder: Artifact, config: TrainConfig, config_path: Path) -> None:
    """Write the pair of networks that training starts from, unless it is there."""
    save_dir = config.performance.save_dir
    if (save_dir / "weights1.torch").is_file():
        return
    init_iqn_from_encoder(encoder.encoder_path, save_dir, rl_config_path=config_path, seed=config.training.seed)
