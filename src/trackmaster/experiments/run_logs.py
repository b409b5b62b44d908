"""Scalars of a training run, from our own table or from the event files of TensorBoard.

Whatever can be read of a damaged log is read; what could not is said in the run's notes.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackmaster.distributed.racing.beginning import CONFIG_SNAPSHOT
from trackmaster.errors import ConfigError, TrackmasterError
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.evaluation.log import EVALUATIONS_FILE, read_evaluations
from trackmaster.rl.metrics import HEADER
from trackmaster.strict_yaml import read_yaml

METRICS_FILE = "metrics.csv"
EVENT_FILES = "*tfevents*"
LAST_PART = 10
"""Linesight goes on in RUN_2 ... RUN_7 as its training grows; the tool it brings merges up to this number."""

CONTINUES_FROM = 0.5
"""A folder RUN_k goes on with RUN if it begins behind this share of the steps; a run of its own begins at 0."""

Row = tuple[str, float, int, float]
"""Tag, wall time in s, step, value."""


@dataclass(frozen=True)
class Series:
    """The values of one tag in the order in which they were logged."""

    wall_s: NDArray[np.float64]
    step: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.value)


@dataclass(frozen=True)
class RunLog:
    """All scalars of a run."""

    name: str
    series: dict[str, Series]
    """By tag; none is empty. Wall times are seconds on the run's own clock, or since 1970 in event files."""
    notes: list[str] = field(default_factory=list)
    """What could not be read, in sentences."""
    seed: int | None = None
    """Of the training, where its folder says so."""


def read_run(logdir: Path, name: str) -> RunLog:
    """Return the scalars of a run and of the folders that go on with it.

    A folder with ``metrics.csv`` is read from there, its wall clock leaves out the pauses of a run that was continued;
    one with ``evaluations.jsonl`` alone gives the evaluations; any other one is read from its event files.

    Raises:
        TrackmasterError: the folder is missing, or holds no number at all.
    """
    folder = logdir / name
    if not folder.is_dir():
        raise TrackmasterError(f"{folder}: there is no such folder. {_known_runs(logdir)}")
    notes: list[str] = []
    if (folder / METRICS_FILE).is_file():
        rows = _without_lost_rows(_csv_rows(folder / METRICS_FILE, notes))
    elif (folder / EVALUATIONS_FILE).is_file():
        rows = list(_evaluation_rows(folder / EVALUATIONS_FILE))
    else:
        rows = _event_rows(logdir, name, notes)
    finite = [row for row in rows if math.isfinite(row[1]) and math.isfinite(row[3])]
    if len(finite) < len(rows):
        notes.append(f"{name}: {len(rows) - len(finite)} values that are not finite are left out.")
    if not finite:
        found = " ".join(notes)
        raise TrackmasterError(
            f"{folder}: holds no number that could be compared. {found}{' ' if found else ''}Give the folder of a run "
            f"with {METRICS_FILE} or event files of TensorBoard."
        )
    return RunLog(name, _by_tag(finite), notes, _seed_of(folder))


def _seed_of(folder: Path) -> int | None:
    """Return the seed in the configuration that a run of ours keeps; a log of another program has none."""
    path = folder / CONFIG_SNAPSHOT
    try:
        training = read_yaml(path).get("training") if path.is_file() else None
    except ConfigError:
        return None
    seed = training.get("seed") if isinstance(training, dict) else None
    return seed if isinstance(seed, int) else None


def _known_runs(logdir: Path) -> str:
    if not logdir.is_dir():
        return "Name the folder that holds the runs with --logdir."
    names = sorted(path.name for path in logdir.iterdir() if path.is_dir() and not path.name.startswith("."))
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{logdir} has: {listed}." if names else f"{logdir} holds no run."


def _by_tag(rows: Iterable[Row]) -> dict[str, Series]:
    columns: dict[str, list[Row]] = {}
    for row in rows:
        columns.setdefault(row[0], []).append(row)
    return {
        tag: Series(
            np.array([row[1] for row in found]),
            np.array([row[2] for row in found], dtype=np.int64),
            np.array([row[3] for row in found]),
        )
        for tag, found in columns.items()
    }


def _csv_rows(path: Path, notes: list[str]) -> list[Row]:
    """Return the rows of a table; lines that are none are counted in the notes."""
    rows: list[Row] = []
    spoiled = 0
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for cells in csv.reader(line.replace("\0", "") for line in file):
            if tuple(cells) == HEADER or not cells:
                continue
            try:
                wall_s, env_steps, _, tag, value = cells
                rows.append((tag, float(wall_s), int(env_steps), float(value)))
            except ValueError:
                spoiled += 1
    if spoiled:
        notes.append(f"{path}: {spoiled} lines are damaged and left out.")
    return rows


def _without_lost_rows(rows: list[Row]) -> list[Row]:
    """Leave out what a run wrote before it went back to a snapshot: later rows stand earlier on its clock."""
    if not rows:
        return rows
    wall_s = np.array([row[1] for row in rows])
    later = np.append(np.minimum.accumulate(wall_s[::-1])[::-1][1:], math.inf)
    return [row for row, is_kept in zip(rows, wall_s <= later, strict=True) if is_kept]


def _evaluation_rows(path: Path) -> Iterator[Row]:
    for row in read_evaluations(path):
        if row.race_time_ms and len(row.progress_m) == len(row.race_time_ms):
            result = Evaluation(row.race_time_ms, row.progress_m, (math.nan,) * len(row.race_time_ms))
            for tag, value in result.metrics(row.track).items():
                if not math.isnan(value):
                    yield tag, row.wall_s, row.env_steps, value


def _event_rows(logdir: Path, name: str, notes: list[str]) -> list[Row]:
    """Return the rows of all event files of RUN, RUN_2 ... that belong to one training, in order."""
    lives = [_events_of(path, notes) for path in _event_files(logdir / name)]
    lives = [life for life in lives if life]
    for number in range(2, LAST_PART + 1):
        part = logdir / f"{name}_{number}"
        if not part.is_dir():
            continue
        more = [life for life in (_events_of(path, notes) for path in _event_files(part)) if life]
        reached = max((row[2] for life in lives for row in life), default=0)
        if more and min(row[2] for row in more[0]) < CONTINUES_FROM * reached:
            notes.append(f"{part}: begins before {name} ends, so it is a run of its own and left out.")
            continue
        lives += more
    rows: list[Row] = []
    gone_back_to = math.inf
    for life in reversed(lives):  # what a run wrote before it went back to a snapshot stands behind a later life
        rows = [row for row in life if row[2] <= gone_back_to] + rows
        gone_back_to = min(gone_back_to, min(row[2] for row in life))
    return rows


def _event_files(folder: Path) -> list[Path]:
    """Return the event files of a folder; the seconds in their names put them in order."""
    return sorted(path for path in folder.glob(EVENT_FILES) if path.is_file())


def _events_of(path: Path, notes: list[str]) -> list[Row]:
    from google.protobuf.message import DecodeError
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    rows: list[Row] = []
    try:
        for event in LegacyEventFileLoader(str(path)).Load():
            rows += [
                (value.tag, float(event.wall_time), int(event.step), number)
                for value in event.summary.value
                if (number := _number(value)) is not None
            ]
    except (DecodeError, ValueError) as error:
        notes.append(f"{path}: damaged after {len(rows)} numbers ({type(error).__name__}); the rest is left out.")
    if not rows:
        notes.append(f"{path}: holds no number.")
    return rows


def _number(value: object) -> float | None:
    """Return what a summary holds if it is one number: as a plain value, or as a tensor of newer writers."""
    from tensorboard.util.tensor_util import make_ndarray

    if value.HasField("simple_value"):  # type: ignore[attr-defined]
        return float(value.simple_value)  # type: ignore[attr-defined]
    if not value.HasField("tensor"):  # type: ignore[attr-defined]
        return None
    try:
        array = make_ndarray(value.tensor)  # type: ignore[attr-defined]
        return float(array) if array.size == 1 else None
    except (TypeError, ValueError):
        return None
