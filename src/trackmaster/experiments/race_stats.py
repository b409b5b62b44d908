"""What a run came to up to a mark: races of one kind on one map, and its deterministic evaluations."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trackmaster.experiments.run_logs import RunLog, Series

DNF_S = 300.0
"""What the reference logs as the time of a race that did not finish."""

RACE_TAG = re.compile(
    r"(?:Race/)?(?P<kept>kept_)?(?P<kind>explo|eval)_race_"
    r"(?P<what>time_finished|time_robust|time|finished)_(?P<status>trained|blind)_(?P<map>.+)"
)
EVAL_TAG = re.compile(r"Eval/(?P<what>finish_rate|median|best|official|n)_(?P<map>.+)")
BOUND = re.compile(r"Eval/finish_rate_(low|high)_")

Axis = Literal["minutes", "steps"]
Values = dict[str, float | None]
RaceKey = tuple[str, str, str]
"""Kind (explo, eval), status (trained, blind), map."""


@dataclass(frozen=True)
class Clock:
    """Where the values of a run stand on an axis."""

    axis: Axis
    t0_s: float

    def of(self, series: Series) -> NDArray[np.float64]:
        """Return minutes since the run's first race number, or steps."""
        if self.axis == "steps":
            return series.step.astype(np.float64)
        return (series.wall_s - self.t0_s) / 60


def is_race(tag: str) -> bool:
    """Return whether a tag tells about single races or evaluations."""
    return RACE_TAG.fullmatch(tag) is not None or EVAL_TAG.fullmatch(tag) is not None


def start_of(log: RunLog) -> float:
    """Return the earliest wall time over the race tags, over all tags where there is none."""
    first = {tag: float(series.wall_s.min()) for tag, series in log.series.items()}
    return min((wall_s for tag, wall_s in first.items() if is_race(tag)), default=min(first.values()))


def race_keys(logs: Iterable[RunLog]) -> list[RaceKey]:
    """Return which races the runs tell about, episodes that began on the way apart: they drove only a part."""
    found = (RACE_TAG.fullmatch(tag) for log in logs for tag in log.series)
    keys = {(m["kind"], m["status"], m["map"]) for m in found if m and not m["kept"] and m["what"] != "time_robust"}
    return sorted(keys, key=lambda key: (key[2], key))


def evaluated_maps(logs: Iterable[RunLog]) -> list[str]:
    """Return the maps that the runs have evaluated by deterministic episodes."""
    found = (EVAL_TAG.fullmatch(tag) for log in logs for tag in log.series if not BOUND.match(tag))
    return sorted({match["map"] for match in found if match and match["what"] == "finish_rate"})


def race_stats(log: RunLog, key: RaceKey, clock: Clock) -> Callable[[float], Values]:
    """Return the function that tells how the races went up to a mark.

    ``best_s``, ``mean_s`` and ``std_s`` (of the population) are over every time that was logged: with the reference
    that includes 300 s for each race without a finish, with ours none of those.
    """
    kind, status, map_name = key

    def logged(what: str) -> Series | None:
        name = f"{kind}_race_{what}_{status}_{map_name}"
        return log.series.get(f"Race/{name}", log.series.get(name))

    flags, all_times, finished_times = logged("finished"), logged("time"), logged("time_finished")
    if finished_times is None:
        finished_times = _finished(all_times, flags)
    times = all_times if all_times is not None else finished_times
    races = flags if flags is not None else times
    finishes = _where(flags, flags.value > 0) if flags is not None else finished_times

    def until(mark: float) -> Values:
        count, finished = _upto(races, clock, mark), _upto(finishes, clock, mark)
        known, done = _upto(times, clock, mark), _upto(finished_times, clock, mark)
        return {
            "races": float(len(count)),
            "finish_rate": len(finished) / len(count) if len(count) else None,
            "best_s": _or_none(known, np.min),
            "mean_s": _or_none(known, np.mean),
            "std_s": _or_none(known, np.std),
            "best_finished_s": _or_none(done, np.min),
            "first_finish": _first(finishes, clock, mark),
        }

    return until


def evaluation_stats(log: RunLog, map_name: str, clock: Clock) -> Callable[[float], Values]:
    """Return the function that tells which weights one would take at a mark, and how they did.

    Chosen is the evaluation with the highest finish rate, among equals the one with the smallest median time: the rule
    by which a run keeps its best weights.
    """
    rates = log.series.get(f"Eval/finish_rate_{map_name}")
    others = {what: _by_step(log.series.get(f"Eval/{what}_{map_name}")) for what in ("median", "best", "official", "n")}

    def until(mark: float) -> Values:
        if rates is None:
            return {}
        rows = np.flatnonzero(clock.of(rates) <= mark).tolist()
        medians = {row: others["median"].get(int(rates.step[row]), math.inf) for row in rows}
        best = max(rows, key=lambda row: (rates.value[row], -medians[row]), default=None)
        values: Values = {"evaluations": float(len(rows))}
        if best is None:
            return values
        step = int(rates.step[best])
        return values | {
            "episodes": others["n"].get(step),
            "finish_rate": float(rates.value[best]),
            "median_s": others["median"].get(step),
            "best_s": others["best"].get(step),
            "official_s": others["official"].get(step),
            "last_finish_rate": float(rates.value[rows[-1]]),
            "first_finish": _first(_where(rates, rates.value > 0), clock, mark),
        }

    return until


def scalar_value(log: RunLog, tag: str, clock: Clock) -> Callable[[float], Values]:
    """Return the function that gives a scalar at a mark: the smallest so far of race times, else the last one."""
    series = log.series.get(tag)

    def until(mark: float) -> Values:
        values = _upto(series, clock, mark)
        is_time = "time" in tag and "ms" in tag
        return {"value": None if not len(values) else float(values.min() if is_time else values[-1])}

    return until


def _where(series: Series, mask: NDArray[np.bool_]) -> Series:
    return Series(series.wall_s[mask], series.step[mask], series.value[mask])


def _finished(times: Series | None, flags: Series | None) -> Series | None:
    """Return the times of finished races: those whose flag at the same step says so, or below 300 s without flags."""
    if times is None:
        return None
    if flags is None:
        return _where(times, times.value < DNF_S)
    return _where(times, np.isin(times.step, flags.step[flags.value > 0]))


def _by_step(series: Series | None) -> dict[int, float]:
    return {} if series is None else dict(zip(series.step.tolist(), series.value.tolist(), strict=True))


def _upto(series: Series | None, clock: Clock, mark: float) -> NDArray[np.float64]:
    return np.empty(0) if series is None else series.value[clock.of(series) <= mark]


def _first(series: Series | None, clock: Clock, mark: float) -> float | None:
    places = np.empty(0) if series is None else clock.of(series)
    places = places[places <= mark]
    return float(places.min()) if len(places) else None


def _or_none(values: NDArray[np.float64], reduce: Callable[[NDArray[np.float64]], object]) -> float | None:
    return float(reduce(values)) if len(values) else None  # type: ignore[arg-type]
