"""Paired tests: right p values, adjusted for their number, and silence where there is nothing to test."""

import numpy as np
import pytest

from trackmaster.experiments.comparison import Label
from trackmaster.experiments.paired import holm, paired_p, pairs_of_runs, student_p
from trackmaster.experiments.run_logs import RunLog
from trackmaster.experiments.seed_interval import t_975


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [(1.0, 1, 0.5), (0.0, 5, 1.0), (4.3027, 2, 0.05), (2.7764, 4, 0.05), (3.1824, 3, 0.05), (9.9248, 2, 0.01),
     (2.2281, 10, 0.05), (2.0860, 20, 0.05), (-2.5706, 5, 0.05)],
)  # fmt: skip
def test_p_values_are_those_of_the_tables(t: float, degrees: int, p: float) -> None:
    assert student_p(t, degrees) == pytest.approx(p, abs=2e-5)


@pytest.mark.parametrize("degrees", range(1, 30))
def test_test_and_interval_agree(degrees: int) -> None:
    assert student_p(t_975(degrees), degrees) == pytest.approx(0.05, abs=3e-5)
    with pytest.raises(ValueError, match="at least 1"):
        student_p(1.0, 0)


def test_under_no_difference_one_test_in_twenty_is_below_a_twentieth() -> None:
    rng = np.random.default_rng(0)
    found = [paired_p(rng.normal(size=3).tolist()) for _ in range(4000)]
    assert np.mean([p is not None and p < 0.05 for p in found]) == pytest.approx(0.05, abs=0.011)


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, None, 2.0], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_too_little_to_test_gives_no_p_value(differences: list[float | None]) -> None:
    assert paired_p(differences) is None


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def label(name: str, seeds: list[int | None]) -> Label:
    return Label(name, tuple(RunLog(f"{name}{i}", {}, [], seed) for i, seed in enumerate(seeds)))


@pytest.mark.parametrize(
    ("mine", "theirs", "pairs"),
    [
        ([3, 1, 2], [1, 2, 3], [(0, 2), (1, 0), (2, 1)]),
        ([1, 2], [2, 9], [(1, 0)]),
        ([None, None], [None, None], [(0, 0), (1, 1)]),
        ([7, 7], [1, 2], [(0, 0), (1, 1)]),
        ([None, None], [1], []),
    ],
)
def test_runs_are_paired_by_seed_else_by_order(
    mine: list[int | None], theirs: list[int | None], pairs: list[tuple[int, int]]
) -> None:
    assert pairs_of_runs(label("b", mine), label("a", theirs)) == pairs
