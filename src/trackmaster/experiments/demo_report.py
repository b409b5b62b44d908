"""What the demo's stages left becomes the data of one report page."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import cv2
import numpy as np

from trackmaster.experiments.collect import FoundReplay
from trackmaster.experiments.lap import Lap, track_length_m
from trackmaster.experiments.report_data import Evaluation, FramePicture, ReplayRow, ReportData, ShownLap, TrainingRun
from trackmaster.experiments.stages import Place
from trackmaster.gbx import plain_text
from trackmaster.pretrain.artifact import Artifact
from trackmaster.rl.evaluation.log import LoggedEvaluation
from trackmaster.track import Track
from trackmaster.units import format_race_time

SHEET_FRAMES = 24
NOTE_LETTERS = 160


@dataclass(frozen=True)
class DemoResult:
    """Everything the report tells about."""

    found: Sequence[FoundReplay]
    runs: Sequence[Mapping[str, Any]]
    place: Place
    encoder: Artifact
    training: TrainingRun
    lap: Lap
    track: Track
    output: Path
    facts: Mapping[str, object]
    stage_seconds: Mapping[str, float]
    command: str


def demo_report(result: DemoResult) -> ReportData:
    """Return the page's content."""
    frames = sum(int(run["total_frames"]) for run in result.runs)
    losses = _losses(result.encoder.path / "metrics.csv")
    mesh, lap = result.track.mesh, result.lap
    return ReportData(
        title=f"From replays to a driving agent: {result.place.name}",
        summary=_summary(result, frames),
        replays=_replay_rows(result),
        frames=_sheet(result.runs),
        encoder_losses=losses,
        encoder_note=f"Autoencoder on {frames} frames of {len(result.runs)} replays; the encoder of epoch "
        f"{int(result.encoder.meta['best_epoch']) + 1} went into the agent.",
        runs=(result.training,),
        track_length_m=track_length_m(result.track),
        lap=ShownLap(
            position_m=lap.states.position_m,
            speed_mps=np.linalg.norm(lap.states.velocity_mps, axis=1),
            time_ms=lap.states.time_ms,
            race_time_ms=lap.race_time_ms,
            driver="IQN",
            vertices=mesh.vertices,
            triangles=mesh.triangles,
            look=mesh.look,
        ),
        video=result.output / "lap.mp4",
        stages=tuple(result.stage_seconds.items()),
        facts=result.facts,
        commands=(result.command,),
    )


def training_run(evaluations: Sequence[LoggedEvaluation]) -> TrainingRun:
    """Return the logged evaluations of the agent on its track as the report shows them."""
    rows = (Evaluation(row.wall_s, row.env_steps, row.progress_m, row.race_time_ms) for row in evaluations)
    return TrainingRun("IQN", tuple(rows))


def _summary(result: DemoResult, frames: int) -> str:
    best, lap_ms = format_race_time(result.place.best_ms), result.lap.race_time_ms
    shown = "does not finish yet" if lap_ms is None else f"finishes in {format_race_time(lap_ms)}"
    standing = "; ".join(f"{name} {found.result}" for name, found in result.training.standing)
    return (
        f"{len(result.runs)} replays gave {frames} frames. The agent's mean progress over "
        f"{len(result.training.best.progress_m)} deterministic episodes: {standing}. "
        f"Fastest replay on this track: {best}; the lap shown, by the best evaluated weights, {shown}."
    )


def _replay_rows(result: DemoResult) -> list[ReplayRow]:
    """Return the captured replays, then one row for all that failed for the same reason."""
    frames_of = {run.get("replay_sha256"): int(run["total_frames"]) for run in result.runs}
    rows = [
        ReplayRow(
            file=row.source.name,
            map_name=plain_text(row.map_name),
            map_uid=row.track_id,
            driver=plain_text(row.driver),
            race_time_ms=row.race_time_ms,
            origin=row.source.parent.name,
            frames=frames_of[row.sha256],
        )
        for row in result.found
        if row.sha256 in frames_of
    ]
    refused: dict[tuple[str, str], list[FoundReplay]] = {}
    for row in result.found:
        if row.sha256 not in frames_of:
            reason = row.reason or "capture rejected it, see img/index.json"
            refused.setdefault((plain_text(row.map_name), shorten(reason, NOTE_LETTERS)), []).append(row)
    for (map_name, reason), group in refused.items():
        file = group[0].source.name + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        rows.append(ReplayRow(file, map_name, origin=group[0].source.parent.name, note=reason))
    return rows


def _sheet(runs: Sequence[Mapping[str, Any]]) -> list[FramePicture]:
    """Return frames from all runs in turn, spread over each run."""
    pictures = []
    per_run = max(1, SHEET_FRAMES // max(1, len(runs)))
    for run in runs[:SHEET_FRAMES]:
        files = sorted(Path(run["folder"]).glob("frame_*.jpeg"))
        for index in np.linspace(0, len(files) - 1, per_run + 2, dtype=int)[1:-1]:
            frame = cv2.imread(str(files[index]), cv2.IMREAD_GRAYSCALE)
            if frame is not None:
                pictures.append(
                    FramePicture(np.asarray(frame, dtype=np.uint8), f"{run['replay_name']} {files[index].stem}")
                )
    return pictures


def _losses(path: Path) -> dict[str, list[float]]:
    """Return the columns of the encoder's history that are losses."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {"train_loss": "train", "val_loss": "validation"}
    curves = {label: [float(row[key]) for row in rows if row.get(key)] for key, label in names.items()}
    return {label: values for label, values in curves.items() if values}
