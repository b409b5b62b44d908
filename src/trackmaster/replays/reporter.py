"""How far a download is: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from trackmaster.progress import PLAIN_INTERVAL_S
from trackmaster.replays.tasks import Counts


class Reporter:
    """Shows the counts of a run.

    Args:
        total: tracks of the list.
        has_bar: draw a bar where there is a terminal.
        stream: standard error by default.
        clock: seconds that only grow.
    """

    def __init__(
        self, total: int, *, has_bar: bool, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = stream if stream is not None else sys.stderr
        self._total = total
        self._clock = clock
        self._started = self._last = clock()
        self._bar: Any = None
        if has_bar and self._out.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc="tracks", total=total, file=self._out, dynamic_ncols=True)

    def __call__(self, counts: Counts) -> None:
        """Show the counts, if it is time."""
        if self._bar is not None:
            self._bar.set_postfix(files=counts.done, failed=counts.failed + counts.rejected, refresh=False)
            self._bar.update(counts.tracks - self._bar.n)
            return
        now = self._clock()
        if now - self._last >= PLAIN_INTERVAL_S:
            self._last = now
            self._line(counts, now)

    def close(self, counts: Counts) -> None:
        """Show the last counts."""
        if self._bar is not None:
            self(counts)
            self._bar.close()
        else:
            self._line(counts, self._clock())

    def _line(self, counts: Counts, now: float) -> None:
        elapsed_s = max(now - self._started, 1e-9)
        lost = counts.rejected + counts.failed
        print(
            f"tracks: {counts.tracks}/{self._total}, files: {counts.done} ({counts.done / elapsed_s:.1f}/s), "
            f"{counts.gone} deleted, {lost} failed, in {elapsed_s:.1f} s",
            file=self._out, flush=True,
        )  # fmt: skip
