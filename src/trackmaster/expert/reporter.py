"""Tells how a long search goes."""

import time

from trackmaster.progress import PLAIN_INTERVAL_S


class Reporter:
    """Prints what a search says, at most one line per interval.

    Args:
        label: what is searched for; stands before each line.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._said_s = time.monotonic()

    def __call__(self, text: str) -> None:
        """Take a line; it is printed if the last one is long enough ago."""
        if time.monotonic() - self._said_s >= PLAIN_INTERVAL_S:
            self._said_s = time.monotonic()
            print(f"  {self._label}: {text}", flush=True)
