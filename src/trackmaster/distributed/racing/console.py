"""What a person sees of a run: lines, and on a terminal a bar below them."""

import sys
from typing import TextIO

PARTS = 1000
"""Steps of the bar; it is drawn anew when one is full."""


class Console:
    """Prints lines and, on a terminal, shows how much of the run's limit is used up.

    Args:
        desc: the word in front of the bar.
        enabled: False shows lines only.
        stream: where to write; standard error by default, lines without a bar go to standard output.
    """

    def __init__(self, desc: str, *, enabled: bool = True, stream: TextIO | None = None) -> None:
        out = stream if stream is not None else sys.stderr
        self._bar = None
        if enabled and out.isatty():
            from tqdm import tqdm

            layout = "{desc}: {percentage:3.0f} %|{bar}| {elapsed}<{remaining}"
            self._bar = tqdm(total=PARTS, desc=desc, file=out, dynamic_ncols=True, bar_format=layout)

    def say(self, line: str) -> None:
        """Write a line, above the bar if there is one."""
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.write(line, file=self._bar.fp)

    def progress(self, share: float) -> None:
        """Move the bar to a share from 0 to 1."""
        if self._bar is not None:
            part = int(PARTS * min(1.0, share))
            if part > self._bar.n:
                self._bar.update(part - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
