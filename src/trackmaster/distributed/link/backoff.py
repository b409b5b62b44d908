"""Waiting times between attempts: growing, bounded, and never the same for two clients that lost the same server."""

import random
from collections.abc import Iterator


def jittered_waits(shortest_s: float, longest_s: float, rng: random.Random | None = None) -> Iterator[float]:
    """Yield waiting times in seconds: twice as long each time up to ``longest_s``, each shortened by up to half."""
    rng = rng or random.Random()
    wait = shortest_s
    while True:
        yield wait * rng.uniform(0.5, 1.0)
        wait = min(longest_s, 2 * wait)
