"""Means over seeds with their Student t interval: right for few seeds, where a bootstrap is far too narrow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

INTERVAL_NAME = "95 % Student t interval of the mean over seeds"
INTERVAL_LEGEND = (
    f"mean [{INTERVAL_NAME}]; (k/n) where only k of n seeds have a value, (n equal) where all n have the same one: "
    "neither tells the spread over seeds, so there is no interval"
)
ROUNDING = 1e-9
"""Values that differ by less than this part of themselves are equal."""
T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""97.5 % quantiles for 1 to 9 degrees of freedom."""
Z_975 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A number over the seeds of a label."""

    values: tuple[float | None, ...]
    """Per seed, None where it has none (no finish so far)."""
    within: tuple[float, float] = (-math.inf, math.inf)
    """What such a number can be at all; the interval is cut there."""

    @property
    def known(self) -> tuple[float, ...]:
        """Values of the seeds that have one."""
        return tuple(value for value in self.values if value is not None)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that have a value."""
        return math.fsum(self.known) / len(self.known) if self.known else None

    @property
    def are_equal(self) -> bool:
        """Whether there are several values, all of them (nearly) the same."""
        known = self.known
        return len(known) > 1 and max(known) - min(known) <= ROUNDING * max(map(abs, known))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the mean; None for fewer than two values, where a seed has none, or where all are equal.

        A mean over the seeds that made it says nothing about a label of which others did not. Equal values, as three
        rates of 1.0, show no spread: an interval of no width would claim that the next seed is known.
        """
        n, mean = len(self.known), self.mean
        if mean is None or n < 2 or n < len(self.values) or self.are_equal:
            return None
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in self.known) / (n - 1))
        half = t_975(n - 1) * deviation / math.sqrt(n)
        return max(mean - half, self.within[0]), min(mean + half, self.within[1])


def over_seeds(values: Sequence[float | None], within: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """Return the estimate of one number, from one value per seed."""
    return Estimate(tuple(values), within)


def cell(estimate: Estimate, form: str) -> str:
    """Return the mean with its interval, or with the reason why there is none, as ``INTERVAL_LEGEND`` says."""
    mean, interval, count, known = estimate.mean, estimate.interval, len(estimate.values), len(estimate.known)
    if mean is None:
        return "-" if count < 2 else f"- (0/{count})"
    if interval is not None:
        return f"{mean:{form}} [{interval[0]:{form}}, {interval[1]:{form}}]"
    if known < count:
        return f"{mean:{form}} ({known}/{count})"
    return f"{mean:{form}} ({count} equal)" if count > 1 else f"{mean:{form}}"


def t_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's distribution, to 4 digits.

    Source: expansion for 10 and more degrees from Abramowitz & Stegun 1964, 26.7.5.
    """
    if degrees < 1:
        raise ValueError(f"degrees is {degrees}, expected at least 1")
    if degrees <= len(T_975):
        return T_975[degrees - 1]
    z, v = Z_975, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3
