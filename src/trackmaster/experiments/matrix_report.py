"""The table of an experiment as Markdown: outcomes with intervals, differences by seed, every run, every encoder."""

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from trackmaster.experiments.comparison import Table
from trackmaster.experiments.matrix_results import Outcome, Results, expert_s, of_each
from trackmaster.experiments.paired import TEST_NAME, PairedTest, paired_p, with_adjusted
from trackmaster.experiments.program import program
from trackmaster.experiments.seed_interval import INTERVAL_LEGEND, Estimate, cell, over_seeds
from trackmaster.rl.evaluation.episodes import wilson_interval
from trackmaster.units import format_race_time

COLUMNS = {
    "first_finish_min": ("first finish [min]", ".1f"),
    "first_eval_finish_min": ("first evaluated finish [min]", ".1f"),
    "finish_rate": ("finish rate", ".2f"),
    "official_s": ("undisturbed start [s]", ".2f"),
    "best_s": ("best [s]", ".2f"),
}
TESTED = ("finish_rate", "official_s")
OVER_TIME = ("finish_rate", "official_s", "median_s")


def markdown(results: Results, command: str) -> str:
    """Return the whole report.

    Args:
        results: of the runs that are finished; the others are listed as missing.
        command: what was typed.
    """
    plan = results.matrix.plan
    parts = [
        f"# {plan.title}",
        plan.question,
        _made_by(results, command),
        _missing(results),
        _programs(results),
        *_outcome_tables(results),
        _differences(results),
        *_over_time(results),
        _runs(results),
        _encoders(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _made_by(results: Results, command: str) -> str:
    plan = results.matrix.plan
    seeds = ", ".join(map(str, plan.seeds))
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return (
        f"```sh\n{command}\n```\n\n"
        f"Wall time per training: {plan.minutes:g} min; seeds {seeds}, each training on one core; base "
        f"configuration `{plan.base}`. {machine}; {_program(results)}. "
        f"Worker and learner run side by side and the limit is wall time, so a repetition gives other numbers."
    )


def _program(results: Results) -> str:
    made_by = list(results.programs)
    return made_by[0] if len(made_by) == 1 else f"{len(made_by)} programs, see below" if made_by else program()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown processor"


def _missing(results: Results) -> str:
    if not results.missing:
        return ""
    return f"Not finished, so the tables lack them: {', '.join(results.missing)}."


def _programs(results: Results) -> str:
    if len(results.programs) < 2:
        return ""
    made = "\n".join(f"* {made_by}: {', '.join(names)}" for made_by, names in results.programs.items())
    return (
        "**Made by different programs**, so a difference between runs may be one between programs. Delete what an old "
        f"one made, in `done/`, and run the experiment again for a table of one:\n\n{made}"
    )


def _outcome_tables(results: Results) -> Iterator[str]:
    plan = results.matrix.plan
    yield (
        f"## After {plan.minutes:g} minutes\n\n"
        f"The best evaluated weights of every run drove {plan.episodes} deterministic episodes whose starts no "
        f"evaluation had seen; times are of the finished ones. Cells: {INTERVAL_LEGEND}. *Episodes*: how many of all "
        "episodes finished [95 % Wilson interval of that share], of these runs and not of other seeds. Minutes count "
        "from the start of the training."
    )
    for track in _tracks(results):
        rows = []
        for arm in plan.arms:
            found = [outcome for outcome in results.of(arm) if outcome.track == track]
            if found:
                cells = [cell(_estimate(found, column), form) for column, (_, form) in COLUMNS.items()]
                expert = expert_s(found[0].run, track)
                rows.append(
                    [arm, str(len(found)), *cells, _episodes(found), "-" if expert is None else f"{expert:.2f}"]
                )
        if rows:
            heads = [head for head, _ in COLUMNS.values()]
            table = _table(["arm", "seeds", *heads, "episodes", "expert [s]"], rows)
            yield f"### {track}\n\n{table}"


def _episodes(outcomes: Sequence[Outcome]) -> str:
    finished, episodes = sum(o.finished for o in outcomes), sum(o.episodes for o in outcomes)
    low, high = wilson_interval(finished, episodes)
    return f"{finished}/{episodes} [{low:.2f}, {high:.2f}]"


def _tracks(results: Results) -> list[str]:
    return list(dict.fromkeys(outcome.track for outcome in results.outcomes))


def _estimate(outcomes: Sequence[Outcome], column: str) -> Estimate:
    within = (0.0, 1.0) if column == "finish_rate" else (0.0, float("inf"))
    return over_seeds(of_each(outcomes, column), within)


def _differences(results: Results) -> str:
    tests = with_adjusted(list(_tests(results)))
    if not tests:
        return ""
    rows = [
        [t.label, t.title, COLUMNS[t.column][0], str(len(t.difference.values)),
         cell(t.difference, COLUMNS[t.column][1]), _p(t.p), _p(t.p_adjusted)]
        for t in tests
    ]  # fmt: skip
    table = _table(["arm", "track", "number", "pairs", "difference", "p", "adjusted p"], rows)
    count = sum(test.p is not None for test in tests)
    return (
        f"## Differences to {tests[0].against}, seed by seed\n\n{table}\n\n"
        f"p: {TEST_NAME} ({count}). '-' where a seed has no value or the differences do not vary."
    )


def _tests(results: Results) -> Iterator[PairedTest]:
    plan = results.matrix.plan
    first, *others = plan.arms
    for track in _tracks(results):
        by_seed = {o.run.seed: o for o in results.of(first) if o.track == track}
        for arm in others:
            pairs = [(o, by_seed[o.run.seed]) for o in results.of(arm) if o.track == track and o.run.seed in by_seed]
            for column in TESTED if pairs else ():
                values = [_minus(getattr(a, column), getattr(b, column)) for a, b in pairs]
                yield PairedTest(
                    track, column, "minutes", plan.minutes, arm, first, over_seeds(values), paired_p(values)
                )


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _over_time(results: Results) -> Iterator[str]:
    if results.over_time is None:
        return
    shown = [table for table in results.over_time.tables if "evaluations" in table.columns]
    if shown:
        yield (
            "## Over time\n\nThe best evaluation up to each mark, in minutes since the first race; its starts are "
            "those that choose the weights, so these numbers lean to the good side."
        )
    for table in shown:
        yield f"### {table.title}\n\n{_marks(table)}"


def _marks(table: Table) -> str:
    rows = []
    for row in table.rows:
        if any(row.cells[column].known for column in OVER_TIME):
            cells = [cell(row.cells[c], ".2f") for c in OVER_TIME]
            rows.append([f"{row.mark:.1f}", row.label, *cells])
    return _table(["minutes", "arm", "finish rate", "undisturbed start [s]", "median [s]"], rows)


def _runs(results: Results) -> str:
    rows = [
        [o.run.name, o.track, f"{o.minutes:.1f}", f"{o.decisions}", f"{o.updates}", _number(o.first_finish_min, ".1f"),
         f"{o.finish_rate:.2f}", _time(o.best_s), _time(o.official_s), _number(o.core_share, ".2f")]
        for o in results.outcomes
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["run", "track", "minutes", "decisions", "updates", "first finish [min]", "finish rate", "best",
            "undisturbed start", "core share"]  # fmt: skip
    return (
        f"## Every run\n\n{_table(head, rows)}\n\nCore share is processor time over wall time of the whole job: a run "
        "that shared its core with other work is well below 1, and its minutes are worth less."
    )


def _encoders(results: Results) -> str:
    rows = [
        [e.name, _number(e.minutes, ".1f"), str(e.epochs), _number(e.train_loss, ".5f"), _number(e.val_loss, ".5f"),
         *(_number(e.scores.get(who), ".3f") for who in ("encoder", "random_init", "pixel_pca"))]
        for e in results.encoders
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["encoder", "minutes", "epochs", "train loss", "val loss", "probe", "probe, random weights", "probe, pixels"]
    return (
        f"## Encoders\n\n{_table(head, rows)}\n\nMinutes are not part of the trainings' budget. Losses of different "
        f"tasks cannot be compared; the probe is the mean skill of a linear read-out.{_shared(results)}"
    )


def _shared(results: Results) -> str:
    plan = results.matrix.plan
    arms = [
        name for name, arm in plan.arms.items()
        if arm.encoder is not None or (arm.pretrain is not None and not plan.encoder_per_seed)
    ]  # fmt: skip
    if not arms:
        return ""
    return (
        f" All seeds of {' and of '.join(arms)} begin with one encoder: the intervals of the tables hold the spread of "
        "the trainings, not that of encoders."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _p(value: float | None) -> str:
    return _number(value, ".3f")


def _time(seconds: float | None) -> str:
    return format_race_time(None if seconds is None else round(1000 * seconds))
