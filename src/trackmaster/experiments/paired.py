"""Differences between labels seed by seed, with a test that takes the number of tests into account."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trackmaster.experiments.comparison import Comparison, Label
from trackmaster.experiments.race_stats import Axis
from trackmaster.experiments.seed_interval import Estimate, over_seeds

TESTED = ("finish_rate", "official_s", "median_s")
"""Columns of the deterministic evaluations; chosen here, once, and not by what came out."""
TEST_NAME = "two-sided paired t test, adjusted by Holm for all tests of this output"


@dataclass(frozen=True)
class PairedTest:
    """How far a label is from the first one, over pairs of runs."""

    title: str
    column: str
    axis: Axis
    mark: float
    label: str
    against: str
    difference: Estimate
    """Per pair, label minus the first one."""
    p: float | None
    """None where there is nothing to test: fewer than two pairs, a missing value, or no spread at all."""
    p_adjusted: float | None = None


def paired_tests(labels: Sequence[Label], comparisons: Sequence[Comparison]) -> list[PairedTest]:
    """Compare every label with the first one at the last mark of each axis.

    Args:
        labels: with their runs.
        comparisons: of the same labels; their tables of deterministic evaluations are used.
    """
    first, *others = labels
    tests = []
    for comparison in comparisons:
        for table in comparison.tables:
            for column in (c for c in TESTED if c in table.columns and "evaluations" in table.columns):
                last = {row.label: row.cells[column].values for row in table.rows if row.mark == comparison.marks[-1]}
                for label in others:
                    values = [_minus(last[label.name][i], last[first.name][j]) for i, j in pairs_of_runs(label, first)]
                    tests.append(
                        PairedTest(
                            table.title, column, comparison.axis, comparison.marks[-1], label.name, first.name,
                            over_seeds(values), paired_p(values),
                        )
                    )  # fmt: skip
    return with_adjusted(tests)


def pairs_of_runs(label: Label, other: Label) -> list[tuple[int, int]]:
    """Return which runs of two labels belong together: those of equal seeds, else, of equally many, those in order."""
    seeds, theirs = ([log.seed for log in each.logs] for each in (label, other))
    if None not in seeds and None not in theirs and len(set(seeds)) == len(seeds) and len(set(theirs)) == len(theirs):
        return [(i, theirs.index(seed)) for i, seed in enumerate(seeds) if seed in theirs]
    return list(zip(range(len(seeds)), range(len(theirs)), strict=True)) if len(seeds) == len(theirs) else []


def with_adjusted(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the tests with their p values adjusted for all of them together."""
    adjusted = iter(holm([test.p for test in tests if test.p is not None]))
    return [test if test.p is None else replace(test, p_adjusted=next(adjusted)) for test in tests]


def paired_p(differences: Sequence[float | None]) -> float | None:
    """Return the p value of "the mean difference is 0", or None where the differences cannot tell.

    Equal differences give None: numbers as coarse as a share of 20 episodes repeat without being certain.
    """
    known = [value for value in differences if value is not None]
    n = len(known)
    if n < 2 or n < len(differences) or Estimate(tuple(known)).are_equal:
        return None
    mean = math.fsum(known) / n
    variance = math.fsum((value - mean) ** 2 for value in known) / (n - 1)
    return student_p(mean / math.sqrt(variance / n), n - 1)


def student_p(t: float, degrees: int) -> float:
    """Return how probable a Student t of at least this size, to either side, is by chance alone.

    Args:
        t: the statistic.
        degrees: of freedom, at least 1.

    Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.
    """
    if degrees < 1:
        raise ValueError(f"degrees is {degrees}, expected at least 1")
    angle = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2 == 1
    term = cosine if is_odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 if is_odd else 1, degrees - 2, 2):
        term *= cosine**2 * k / (k + 1)
        total += term
    inside = 2 / math.pi * (angle + sine * total) if is_odd else sine * total
    return max(0.0, 1.0 - inside)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number: below 0.05 the chance of *any* false one stays below 0.05.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
