"""Tables that set labels side by side at the same marks, of wall time or of steps."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trackmaster.errors import TrackmasterError
from trackmaster.experiments.race_stats import (
    Axis,
    Clock,
    Values,
    evaluated_maps,
    evaluation_stats,
    is_race,
    race_keys,
    race_stats,
    scalar_value,
    start_of,
)
from trackmaster.experiments.run_logs import RunLog
from trackmaster.experiments.seed_interval import Estimate, over_seeds

USUAL_SCALARS = re.compile(
    r"alltime_min_ms_.+"
    r"|(Training/)?loss(_test)?"
    r"|(RL/)?avg_Q(_.+)?"
    r"|(Performance/)?learner_percentage_training"
    r"|Gradients/norm_before_clip(_median)?"
    r"|grad_norm_history_median"
    r"|Eval/progress_m_.+"
)
RACE_COLUMNS = ("races", "finish_rate", "best_finished_s", "best_s", "mean_s", "std_s", "first_finish")
EVALUATION_COLUMNS = (
    "evaluations", "episodes", "finish_rate", "official_s", "median_s", "best_s", "last_finish_rate", "first_finish",
)  # fmt: skip
MAX_MARKS = 10_000

Reader = Callable[[RunLog, Clock], Callable[[float], Values]]


@dataclass(frozen=True)
class Label:
    """One setting and its runs, one per seed."""

    name: str
    logs: tuple[RunLog, ...]


@dataclass(frozen=True)
class TableRow:
    """What a label had come to at a mark."""

    mark: float
    label: str
    cells: dict[str, Estimate]


@dataclass(frozen=True)
class Table:
    """One race tag, evaluation or scalar, over all marks and labels."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class Comparison:
    """The tables of one axis."""

    axis: Axis
    marks: tuple[float, ...]
    tables: tuple[Table, ...]
    is_short: bool
    """The shortest run ends before the first mark, so its end is the only one."""


def compare(labels: Sequence[Label], axis: Axis, interval: float, scalars: Sequence[str]) -> Comparison:
    """Return every table at marks of one axis, up to the end of the shortest run.

    Args:
        labels: with their logs.
        axis: what the marks count.
        interval: between two marks, minutes or steps.
        scalars: tags besides the races.

    Raises:
        TrackmasterError: there would be more marks than anybody reads.
    """
    logs = [log for label in labels for log in label.logs]
    clocks = {id(log): Clock(axis, start_of(log)) for log in logs}
    end = min(end_of(log, clocks[id(log)]) for log in logs)
    if end / interval > MAX_MARKS:
        raise TrackmasterError(
            f"An interval of {interval:g} gives {end / interval:.0f} marks up to the end of the shortest run, {end:g} "
            f"{axis}: choose a larger one."
        )
    count = int(end / interval + 1e-9)
    marks = tuple(interval * k for k in range(1, count + 1)) or (end,)
    tables: list[Table] = []

    def add(title: str, columns: Sequence[str], read: Reader) -> None:
        until = {id(log): read(log, clocks[id(log)]) for log in logs}
        rows = []
        for mark in marks:
            for label in labels:
                found = [until[id(log)](mark) for log in label.logs]
                cells = {c: over_seeds([values.get(c) for values in found], _possible(c)) for c in columns}
                rows.append(TableRow(mark, label.name, cells))
        tables.append(Table(title, tuple(columns), tuple(rows)))

    for name in evaluated_maps(logs):
        add(f"deterministic evaluation on {name}", EVALUATION_COLUMNS, _evaluation(name))
    for key in race_keys(logs):
        add(f"{key[0]}_race_{key[1]}_{key[2]}", RACE_COLUMNS, _races(key))
    for tag in scalars:
        add(tag, ("value",), _scalar(tag))
    return Comparison(axis, marks, tuple(tables), is_short=count == 0)


def _possible(column: str) -> tuple[float, float]:
    """Return the bounds of a column: rates lie between 0 and 1, counts and times are not negative."""
    if column == "value":
        return -math.inf, math.inf
    return 0.0, 1.0 if column.endswith("rate") else math.inf


def _evaluation(name: str) -> Reader:
    return lambda log, clock: evaluation_stats(log, name, clock)


def _races(key: tuple[str, str, str]) -> Reader:
    return lambda log, clock: race_stats(log, key, clock)


def _scalar(tag: str) -> Reader:
    return lambda log, clock: scalar_value(log, tag, clock)


def end_of(log: RunLog, clock: Clock) -> float:
    """Return where a run ends on an axis."""
    return max(float(np.max(clock.of(series))) for series in log.series.values())


def chosen_scalars(logs: Iterable[RunLog], wanted: Sequence[str], *, everything: bool = False) -> list[str]:
    """Return the tags to show: the wanted ones, all that are no races, or the usual ones that any run has.

    Raises:
        TrackmasterError: no run has a wanted one.
    """
    known = sorted({tag for log in logs for tag in log.series})
    if wanted:
        return list(dict.fromkeys(_known(tag, known) for tag in wanted))
    others = [tag for tag in known if not is_race(tag)]
    return others if everything else [tag for tag in others if USUAL_SCALARS.fullmatch(tag)]


def _known(tag: str, known: Sequence[str]) -> str:
    """Return a tag under the name it is logged by; the group in front may be left out or be one too many."""
    if tag in known:
        return tag
    bare = tag.partition("/")[2] or tag
    same = [name for name in known if name == bare or name.partition("/")[2] == bare]
    if len(same) == 1:
        return same[0]
    close = difflib.get_close_matches(tag, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else " --all-scalars lists those there are."
    raise TrackmasterError(f"--metrics {tag}: no run has logged it.{hint}")
