"""``trackmaster compare``: runs side by side at equal wall time and at equal steps."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trackmaster.errors import ConfigError, TrackmasterError
from trackmaster.experiments.compare_config import CompareConfig
from trackmaster.experiments.comparison import Comparison, Label, Table, chosen_scalars, compare, end_of
from trackmaster.experiments.paired import TEST_NAME, PairedTest, paired_tests
from trackmaster.experiments.race_stats import Axis, Clock, start_of
from trackmaster.experiments.run_logs import RunLog, read_run
from trackmaster.experiments.seed_interval import INTERVAL_LEGEND, INTERVAL_NAME, Estimate, cell
from trackmaster.files import atomic_write_text

UNITS: dict[Axis, str] = {"minutes": "min", "steps": "steps"}
FORMATS = {
    "races": ".0f", "evaluations": ".0f", "episodes": ".0f", "finish_rate": ".3f", "last_finish_rate": ".3f",
    "best_s": ".2f", "mean_s": ".2f", "std_s": ".2f", "best_finished_s": ".2f", "official_s": ".2f",
    "median_s": ".2f", "value": ".4g",
}  # fmt: skip
PLOTTED = ("finish_rate", "best_finished_s", "official_s", "value")


def run_compare(config: CompareConfig) -> None:
    """Print the tables, and write the page and the JSON file where they are asked for.

    Raises:
        TrackmasterError: a run is missing or holds nothing that can be read.
    """
    _refuse_paths(config)
    labels = read_labels(config)
    logs = [log for label in labels for log in label.logs]
    for log in logs:
        for note in log.notes:
            print(note)
    scalars = chosen_scalars(logs, config.metrics, everything=config.all_scalars)
    comparisons = (
        compare(labels, "minutes", config.interval, scalars),
        compare(labels, "steps", config.step_interval, scalars),
    )
    print("\n".join(_heading(labels)))
    for comparison in comparisons:
        print("\n".join(_printed(comparison)))
    tests = paired_tests(labels, comparisons) if any(len(label.logs) > 1 for label in labels) else []
    if tests:
        print("\n".join(_printed_tests(tests)))
    if config.json_file:
        path = config.output_dir / f"{config.prefix}{config.json_file}"
        atomic_write_text(path, json.dumps(as_json(labels, comparisons, tests), indent=1, allow_nan=False))
        print(f"Numbers: {path}")
    if config.plot:
        print(f"Page: {write_page(config.output_dir / f'{config.prefix}comparison.html', comparisons)}")


def read_labels(config: CompareConfig) -> list[Label]:
    """Return the labels of the command line with the logs of their runs.

    Raises:
        TrackmasterError: a label stands twice or names no run, or a run cannot be read.
    """
    labels: dict[str, Label] = {}
    for word in config.runs:
        name, equals, listed = word.partition("=")
        runs = [run for run in listed.split(",") if run] if equals else [word]
        if not name or not runs:
            raise ConfigError(f"'{word}': expected RUN or LABEL=RUN1,RUN2 with the names of runs.")
        if name in labels:
            raise ConfigError(f"The label {name} stands twice: give each setting a label of its own.")
        if len(set(runs)) < len(runs):
            raise ConfigError(f"'{word}': a run stands twice in it, as if it were two seeds.")
        labels[name] = Label(name, tuple(read_run(config.logdir, run) for run in runs))
    if not labels:
        raise ConfigError("Nothing to compare: name at least one run.")
    return list(labels.values())


def _refuse_paths(config: CompareConfig) -> None:
    if "/" in config.prefix or "\\" in config.prefix or Path(config.json_file).name != config.json_file:
        raise ConfigError("--prefix and --json-file are parts of file names; the folder is --output-dir.")


def _duration(log: RunLog) -> tuple[float, float]:
    return end_of(log, Clock("minutes", start_of(log))), end_of(log, Clock("steps", 0.0))


def _heading(labels: Sequence[Label]) -> Iterator[str]:
    for label in labels:
        for log in label.logs:
            minutes, steps = _duration(log)
            name = log.name if log.name == label.name else f"{label.name}: {log.name}"
            yield f"{name}: {minutes:.1f} minutes, {steps:.0f} steps"
    if any(len(label.logs) > 1 for label in labels):
        yield f"Several seeds: {INTERVAL_LEGEND}."


def _printed(comparison: Comparison) -> Iterator[str]:
    what = "wall time since the first race" if comparison.axis == "minutes" else "environment steps (decisions)"
    yield f"\n=== By {what}, cumulative to each mark ==="
    if comparison.is_short:
        yield "The shortest run ends before the first mark: its end is the only one."
    if not comparison.tables:
        yield "There is neither a race nor one of the usual scalars; --all-scalars shows what there is."
    for table in comparison.tables:
        yield f"\n{table.title}"
        yield from _grid(table, UNITS[comparison.axis])


def _grid(table: Table, unit: str) -> list[str]:
    used = [c for c in table.columns if any(row.cells[c].known for row in table.rows)]
    head = [unit, "label", *(f"{c} [{unit}]" if c == "first_finish" else c for c in used)]
    lines = [head]
    for row in table.rows:
        mark = f"{row.mark:.1f}" if unit == UNITS["minutes"] else f"{row.mark:.0f}"
        lines.append([mark, row.label, *(cell(row.cells[c], _format(c, unit)) for c in used)])
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(f"{cell:>{w}}" for cell, w in zip(line, widths, strict=True)) for line in lines]


def _format(column: str, unit: str) -> str:
    return FORMATS.get(column, ".1f" if unit == UNITS["minutes"] else ".0f")


def _printed_tests(tests: Sequence[PairedTest]) -> Iterator[str]:
    yield f"\n=== Differences to {tests[0].against}, seed by seed, at the last mark ==="
    yield f"mean [{INTERVAL_NAME}]; p of the {TEST_NAME} ({sum(test.p is not None for test in tests)})"
    lines = [["at", "label", "number", "pairs", "difference", "p", "p_adjusted"]]
    for test in tests:
        mark = f"{test.mark:.1f} min" if test.axis == "minutes" else f"{test.mark:.0f} steps"
        what = f"{test.column} {test.title.removeprefix('deterministic evaluation ')}"
        difference = cell(test.difference, _format(test.column, UNITS[test.axis]))
        p_values = ["-" if p is None else f"{p:.3f}" for p in (test.p, test.p_adjusted)]
        lines.append([mark, test.label, what, str(len(test.difference.values)), difference, *p_values])
    yield from _aligned(lines)


def as_json(
    labels: Sequence[Label], comparisons: Sequence[Comparison], tests: Sequence[PairedTest] = ()
) -> dict[str, Any]:
    """Return every number of the tables, per seed as well."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for label in labels:
        for log in label.logs:
            minutes, steps = _duration(log)
            runs.setdefault(label.name, []).append(
                {"run": log.name, "minutes": minutes, "steps": int(steps), "notes": log.notes}
            )
    return {
        "labels": runs,
        "interval": INTERVAL_NAME,
        "by": {
            comparison.axis: {
                "marks": list(comparison.marks),
                "tables": [
                    {
                        "title": table.title,
                        "rows": [
                            {"mark": row.mark, "label": row.label}
                            | {column: _as_numbers(row.cells[column]) for column in table.columns}
                            for row in table.rows
                        ],
                    }
                    for table in comparison.tables
                ],
            }
            for comparison in comparisons
        },
        "paired": [
            {"axis": t.axis, "mark": t.mark, "title": t.title, "column": t.column, "label": t.label}
            | {"against": t.against, "difference": _as_numbers(t.difference), "p": t.p, "p_adjusted": t.p_adjusted}
            for t in tests
        ],
    }


def _as_numbers(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "interval": estimate.interval, "values": estimate.values}


def write_page(path: Path, comparisons: Sequence[Comparison]) -> Path:
    """Write the curves of the tables as one page that needs nothing else.

    Raises:
        TrackmasterError: no table has a number to draw.
    """
    from trackmaster.view.figures import Curve, comparison_figure
    from trackmaster.view.page import write_figure_page

    parts = []
    for comparison in comparisons:
        for table in comparison.tables:
            for column in (c for c in PLOTTED if c in table.columns):
                curves: dict[str, list[Curve]] = {}
                for row in table.rows:
                    found = row.cells[column]
                    if found.mean is not None:
                        low, high = found.interval or (found.mean, found.mean)
                        curves.setdefault(row.label, []).append(Curve(row.mark, found.mean, low, high))
                if curves:
                    title = table.title if column == "value" else f"{table.title}: {column}"
                    figure = comparison_figure(curves, x_title=comparison.axis, y_title=column)
                    parts.append((f"{title}, by {comparison.axis}", figure))
    if not parts:
        raise TrackmasterError("No table has a number that could be drawn: leave --plot out.")
    return write_figure_page(path, "Comparison of runs", f"Bands: {INTERVAL_NAME}.", parts)
