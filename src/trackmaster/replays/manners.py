"""Good manners towards the exchange: a steady pace, patience after errors, and silence when it is in trouble.

All waiting goes through the running event loop, so a loop with a clock of its own (the tests have one) decides how fast
time passes.
"""

import asyncio
import email.utils
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from trackmaster.replays.errors import ExchangeError

LONGEST_BACKOFF_S = 600.0
BREAK_AFTER = 10
"""Failures in a row after which the exchange is left alone."""
BREAK_S = 60.0
"""First time of silence; each further one in a row is twice as long, up to ``LONGEST_BACKOFF_S``."""
MAX_BREAKS = 6
"""Times of silence in a row after which the run gives up (about half an hour)."""
LONGEST_RETRY_AFTER_S = 3_600.0
"""A run does not wait longer than this: it ends with a sentence."""


@dataclass(frozen=True)
class Manners:
    """How hard the exchange is asked.

    Attributes:
        api_per_s, files_per_s: starts of requests a second, for listings and for files; 0 for no limit.
        connections: requests under way at the same time, at most.
        attempts: tries per item before it is left for the next run.
        backoff_s: first wait after an error; doubles up to ten minutes.
        break_s: first time of silence after ten errors in a row.
    """

    api_per_s: float = 1.0
    files_per_s: float = 2.0
    connections: int = 2
    attempts: int = 6
    backoff_s: float = 5.0
    break_s: float = 60.0


class Pace:
    """At most ``per_s`` starts a second, evenly spaced: a token bucket that holds one token.

    Whoever wants to start takes ``line``, waits until it is due, and calls ``started``. The gap counts from the moment
    of starting, not from the end of the waiting: whoever had to wait for something else as well starts no pair.

    Args:
        per_s: starts a second; 0 for no limit.
    """

    def __init__(self, per_s: float) -> None:
        self._gap_s = 1.0 / per_s if per_s > 0 else 0.0
        self._next_s = float("-inf")
        self.line = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until a start is due."""
        while not self.is_due():  # the time may be put off while we sleep
            await sleep_until(self._next_s)

    def is_due(self) -> bool:
        """Whether a start is due."""
        return asyncio.get_running_loop().time() >= self._next_s

    def started(self) -> None:
        """Note a start."""
        self._next_s = max(self._next_s, asyncio.get_running_loop().time() + self._gap_s)

    def hold_until(self, time_s: float) -> None:
        """Let no start be due before a time of the loop's clock."""
        self._next_s = max(self._next_s, time_s)


async def sleep_until(time_s: float) -> None:
    """Sleep until a time of the loop's clock, not a moment less."""
    loop = asyncio.get_running_loop()
    while (left_s := time_s - loop.time()) > 0:
        await asyncio.sleep(left_s)


class Backoff:
    """How long to wait before the n-th new try: doubling from ``first_s``, with jitter, up to ten minutes."""

    def __init__(self, first_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._rng = rng

    def delay_s(self, failures: int) -> float:
        """Return the wait after so many failures; between half and all of the doubled time, so that few tries meet."""
        whole_s = min(LONGEST_BACKOFF_S, self._first_s * 2.0 ** min(failures - 1, 30))
        return whole_s * self._rng.uniform(0.5, 1.0)


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Return how long a ``Retry-After`` header asks to wait: seconds, or a date. None if it says nothing usable."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        wait_s = (date - (now or datetime.now(UTC))).total_seconds()
    return max(wait_s, 0.0) if math.isfinite(wait_s) else None


class Breaker:
    """Leaves the exchange alone after many failures in a row, then sends one request to see whether it is back.

    Args:
        after: failures in a row that open it.
        break_s: first time of silence.
    """

    def __init__(self, *, after: int = BREAK_AFTER, break_s: float = BREAK_S, max_breaks: int = MAX_BREAKS) -> None:
        self._after = after
        self._break_s = break_s
        self._max_breaks = max_breaks
        self._failures = 0
        self._breaks = 0
        self._changed = asyncio.Event()
        self._probe_at_s: float | None = None
        self.is_open = False
        """Whether the exchange is being left alone."""

    async def passage(self) -> bool:
        """Wait while the exchange is left alone; return whether the caller is the probe, which goes alone after it."""
        while self.is_open:
            probe_at_s = self._probe_at_s
            if probe_at_s is None:  # another one is the probe: wait for what it says
                await self._changed.wait()
                continue
            self._probe_at_s = None
            try:
                await sleep_until(probe_at_s)
            except asyncio.CancelledError:
                self._probe_at_s = probe_at_s
                raise
            return True
        return False

    def success(self) -> None:
        """Note an answer that the exchange could give, whatever it says."""
        self._failures = self._breaks = 0
        if self.is_open:
            self._turn(is_open=False, probe_at_s=None)

    def failure(self, detail: str, *, is_probe: bool) -> float:
        """Note a failure; return how long the exchange is left alone from now on, 0 if nothing changes.

        Args:
            detail: what happened, for the last sentence.
            is_probe: whether it was the one request that looked whether the exchange is back; while it is left alone,
                failures of requests that were under way before say nothing new.

        Raises:
            ExchangeError: it did not come back for a long time.
        """
        self._failures += 1
        if self._failures < self._after or (self.is_open and not is_probe):
            return 0.0
        self._breaks += 1
        if self._breaks > self._max_breaks:
            raise ExchangeError(
                f"The exchange did not give one good answer in {self._failures} requests ({detail}). Everything that "
                "was finished is kept: look whether its site works in a browser, and run the same command again later."
            )
        silence_s = min(LONGEST_BACKOFF_S, self._break_s * 2.0 ** (self._breaks - 1))
        self._turn(is_open=True, probe_at_s=asyncio.get_running_loop().time() + silence_s)
        return silence_s

    def _turn(self, *, is_open: bool, probe_at_s: float | None) -> None:
        self.is_open, self._probe_at_s = is_open, probe_at_s
        self._changed.set()
        self._changed = asyncio.Event()
