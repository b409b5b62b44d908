"""What the runs of an experiment came to, read from what they left behind."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackmaster.distributed.racing.environments import BUNDLED
from trackmaster.errors import TrackmasterError
from trackmaster.experiments.comparison import Comparison, Label, compare, end_of
from trackmaster.experiments.core_pool import is_done
from trackmaster.experiments.matrix import Job, Matrix, Run
from trackmaster.experiments.program import UNKNOWN
from trackmaster.experiments.race_stats import Clock, evaluation_stats, race_keys, race_stats
from trackmaster.experiments.run_logs import RunLog, read_run
from trackmaster.pretrain.artifact import read_meta
from trackmaster.pretrain.probe import PROBE_NAME
from trackmaster.track.bundled import bundled_replays


@dataclass(frozen=True)
class Outcome:
    """A finished run on one of its tracks; times in seconds, minutes since the training began."""

    run: Run
    track: str
    minutes: float
    decisions: int
    updates: int
    first_finish_min: float | None
    """First finish from the start line, exploring or greedy."""
    first_eval_finish_min: float | None
    """First evaluation in which an episode finished."""
    finish_rate: float
    """Of the episodes at the end, whose starts no evaluation has seen."""
    best_s: float | None
    official_s: float | None
    """Of the undisturbed start."""
    core_share: float | None
    """Processor time over wall time of the job: below 1 the core was shared or idle."""
    finished: int
    """Episodes at the end that finished."""
    episodes: int
    """Episodes at the end."""


@dataclass(frozen=True)
class EncoderResult:
    """An encoder that runs began with."""

    name: str
    minutes: float | None
    epochs: int
    train_loss: float | None
    val_loss: float | None
    scores: Mapping[str, float | None]
    """Linear probe by reader: the encoder, random weights, principal components of the pixels."""


@dataclass(frozen=True)
class Results:
    """Everything that the report tells."""

    matrix: Matrix
    outcomes: tuple[Outcome, ...]
    encoders: tuple[EncoderResult, ...]
    labels: tuple[Label, ...]
    """Arms that have at least one finished run."""
    over_time: Comparison | None
    missing: tuple[str, ...]
    """Runs that are not finished."""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the finished jobs, encoders included, by the program that did them."""

    def of(self, arm: str) -> list[Outcome]:
        """Return the outcomes of an arm, by seed."""
        return [outcome for outcome in self.outcomes if outcome.run.arm == arm]


def read_results(matrix: Matrix) -> Results:
    """Read what is finished.

    Raises:
        TrackmasterError: a finished run has lost its files, or was made with other settings.
    """
    finished = [run for run in matrix.runs if is_done(run.job)]
    logs = {run.name: read_run(matrix.save_dir, run.name) for run in finished}
    outcomes = [outcome for run in finished for outcome in _outcomes(run, logs[run.name])]
    labels = tuple(
        Label(arm, tuple(logs[run.name] for run in matrix.of_arm(arm) if run.name in logs)) for arm in matrix.plan.arms
    )
    labels = tuple(label for label in labels if label.logs)
    over_time = compare(labels, "minutes", matrix.plan.mark_minutes, ()) if labels else None
    folders = dict.fromkeys(run.encoder for run in finished if run.encoder is not None)
    marks = {job.leavings[0]: job.mark for job in matrix.encoders}
    encoders = tuple(_encoder(folder, marks.get(folder)) for folder in folders)
    missing = tuple(run.name for run in matrix.runs if run not in finished)
    jobs = [*matrix.encoders, *(run.job for run in finished)]
    return Results(matrix, tuple(outcomes), encoders, labels, over_time, missing, _programs(jobs))


def expert_s(run: Run, track: str) -> float | None:
    """Return the time of the bundled expert, None on other tracks."""
    for entry in run.config.map_cycle.entries:
        if entry.short_name == track and entry.map_path.startswith(BUNDLED):
            best = bundled_replays(entry.map_path.removeprefix(BUNDLED))[0]
            return int(best.name.rsplit("_", 1)[1].partition("ms")[0]) / 1000
    return None


def _programs(jobs: Sequence[Job]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for job in jobs:
        if job.mark.is_file():
            made_by = str(_json(job.mark).get("program") or UNKNOWN)
            found[made_by] = (*found.get(made_by, ()), job.name)
    return found


def _outcomes(run: Run, log: RunLog) -> Iterator[Outcome]:
    clock = Clock("minutes", 0.0)
    mark = _json(run.job.mark)
    share = mark["cpu_s"] / mark["wall_s"] if mark.get("cpu_s") and mark.get("wall_s") else None
    for track, judged in _json(run.outcome).items():
        times: list[int | None] = judged["race_time_ms"]
        finished = [time_ms / 1000 for time_ms in times if time_ms is not None]
        explored = [
            race_stats(log, key, clock)(math.inf)["first_finish"] for key in race_keys([log]) if key[2] == track
        ]
        evaluated = evaluation_stats(log, track, clock)(math.inf).get("first_finish")
        yield Outcome(
            run, track, end_of(log, clock), int(end_of(log, Clock("steps", 0.0))), _updates(run),
            min((value for value in (*explored, evaluated) if value is not None), default=None), evaluated,
            len(finished) / len(times), min(finished, default=None), None if times[0] is None else times[0] / 1000,
            share, len(finished), len(times),
        )  # fmt: skip


def _updates(run: Run) -> int:
    return int(_json(run.config.run_dir / "accumulated_stats.json")["cumul_number_batches_done"])


def _encoder(folder: Path, mark: Path | None) -> EncoderResult:
    meta = read_meta(folder / "pretrain_meta.json")
    minutes = _json(mark)["wall_s"] / 60 if mark is not None else None
    scores = _scores(folder / PROBE_NAME)
    return EncoderResult(
        folder.name,
        minutes,
        int(meta["epochs_trained"]),
        meta.get("train_loss_final"),
        meta.get("val_loss_final"),
        scores,
    )


def _scores(path: Path) -> dict[str, float | None]:
    """Return the scores of the linear probe; none where the frames had no labels to score with."""
    if not path.is_file():
        return {}
    score: dict[str, float | None] = _json(path)["score"]
    return score


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrackmasterError(
            f"{path}: cannot be read ({error}). Delete the run's file in done/ and run the experiment again."
        ) from None
    if not isinstance(content, dict):
        raise TrackmasterError(f"{path}: holds {type(content).__name__}, expected an object.")
    return content


def of_each(outcomes: Sequence[Outcome], column: str) -> list[float | None]:
    """Return one number of several outcomes."""
    return [getattr(outcome, column) for outcome in outcomes]
