"""The rules of the filters: each returns why something is dropped, or nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trackmaster.gbx.models import MODES
from trackmaster.replays.facts import MapFacts, ReplayFacts
from trackmaster.replays.filter_config import FilterConfig

MEDIAN_WITHIN = 1.5
"""Runs slower than this times the fastest are no teachers; author runs can be 13 times too slow."""


@dataclass(frozen=True)
class Verdict:
    """Whether a track is kept, and which of its runs are used.

    Attributes:
        reason: a short name that drops are counted under; empty if the track is kept.
        detail: a sentence about it.
        runs: to use, fastest first.
    """

    reason: str = ""
    detail: str = ""
    runs: tuple[ReplayFacts, ...] = ()


def why_not_map(facts: MapFacts | None, has_file: bool, config: FilterConfig) -> tuple[str, str]:
    """Return why a map is dropped, as short name and sentence; both empty if it is not.

    Args:
        facts: of its file or, where there is none, of the catalogue, which tells neither environment nor intro; None
            where nobody tells anything.
        has_file: whether there is a file.
        config: the rules.
    """
    if config.only_with_maps and not has_file:
        return "no_map", "there is no map file"
    if facts is None or not config.judges_maps:
        return "", ""
    if facts.error:
        return "damaged_map", facts.error
    mode = MODES[facts.mode] if 0 <= facts.mode < len(MODES) else f"mode {facts.mode}"
    if has_file and config.environments and facts.environment not in config.environments:
        return "environment", f"the environment is {facts.environment or 'unknown'}"
    if config.map_types and mode not in config.map_types:
        return "map_type", f"the map is for {mode}"
    longest = config.max_preview_duration
    if longest is not None and facts.intro_s > longest:
        return "preview", f"the intro lasts {facts.intro_s:.3f} s, longer than {longest:g} s"
    if config.no_unlimiter and facts.is_unlimiter:
        return "unlimiter", "the map needs TMUnlimiter"
    return "", ""


def why_not_run(run: ReplayFacts, uid: str, is_validated: bool | None, config: FilterConfig) -> str:
    """Return why a run is left out, in a few words; empty if it is used."""
    if run.error:
        return "damaged"
    if run.time_ms is None:
        return "unfinished"
    if config.min_run_s is not None and run.time_ms < config.min_run_s * 1000:
        return f"shorter than {config.min_run_s:g} s"
    if config.max_run_s is not None and run.time_ms > config.max_run_s * 1000:
        return f"longer than {config.max_run_s:g} s"
    if config.current_version and uid and run.map_uid != uid:
        return "on another version of the map"
    if config.device is not None and run.device != config.device:
        return f"on {run.device or 'an unknown device'}"
    if config.no_tminterface and run.is_tminterface is not False:
        return "made under TMInterface" if run.is_tminterface else "without inputs"
    if config.validated and not (run.is_validable if is_validated is None else is_validated):
        return "not validated"
    return ""


def choose(runs: Sequence[ReplayFacts], config: FilterConfig) -> tuple[ReplayFacts, ...]:
    """Return the runs that ``--teacher`` wants, out of usable ones sorted by time."""
    if not runs or config.teacher == "all":
        return tuple(runs)
    if config.teacher == "best":
        return (runs[0],)
    if config.teacher == "author":
        return tuple(run for run in runs if run.login and run.login == run.map_author)[:1]
    near = [run for run in runs if (run.time_ms or 0) <= MEDIAN_WITHIN * (runs[0].time_ms or 0)]
    return (near[(len(near) - 1) // 2],)


def judge(
    runs: Sequence[ReplayFacts], facts: MapFacts | None, has_map: bool, uid: str, validated: dict[str, bool | None],
    config: FilterConfig,
) -> Verdict:  # fmt: skip
    """Return whether a track is kept.

    Args:
        runs: all its replays.
        facts: of its map, as for ``why_not_map``.
        has_map: whether there is a map file.
        uid: of the current version of the map; empty where nobody tells.
        validated: what the exchange says, by file name.
        config: the rules.
    """
    reason, detail = why_not_map(facts, has_map, config)
    if reason:
        return Verdict(reason, detail)
    if config.only_with_replays and not runs:
        return Verdict("no_replay", "there is no replay")
    if config.drops_respawns:
        for run in runs:
            if (run.respawns or 0) > 0:
                return Verdict("respawn", f"{run.path.name} respawns {run.respawns} times")
        if runs and all(run.error for run in runs):
            return Verdict("damaged", f"none of its replays can be read; {runs[0].error}")
    if not config.judges_runs:
        return Verdict(runs=_sorted(run for run in runs if not run.error))
    left_out = {run.path: why_not_run(run, uid, validated.get(run.path.name), config) for run in runs}
    usable = _sorted(run for run in runs if not left_out[run.path])
    chosen = choose(usable, config)
    if chosen:
        return Verdict(runs=chosen)
    if usable:
        return Verdict("no_author_run", f"none of its {len(usable)} runs is by the map's author")
    why = Counter(left_out.values()).most_common()
    listed = ", ".join(f"{count} {word}" for word, count in why) or "there are none"
    return Verdict("no_run", f"no run is left: {listed}")


def _sorted(runs: object) -> tuple[ReplayFacts, ...]:
    return tuple(sorted(runs, key=lambda run: (run.time_ms or 0, run.path.name)))  # type: ignore[call-overload]
