"""Progress for people and for log files: a bar on a terminal, one plain line per interval elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

Item = TypeVar("Item")

PLAIN_INTERVAL_S = 5.0
"""Seconds between two lines when the output is not a terminal."""


def progress(
    iterable: Iterable[Item],
    *,
    desc: str,
    total: int | None = None,
    enabled: bool = True,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield the items of ``iterable`` and tell how far it is.

    Args:
        iterable: what to run through.
        desc: the word in front of the bar.
        total: number of items; taken from ``len`` when it can be.
        enabled: False (``--no-tqdm``) writes plain lines even on a terminal.
        stream: where to write; standard error by default.
        clock: seconds that only grow; a test passes its own.
    """
    out = stream if stream is not None else sys.stderr
    if total is None:
        length = getattr(iterable, "__len__", None)
        total = int(length()) if length is not None else None
    if enabled and out.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, desc=desc, total=total, file=out, dynamic_ncols=True)
        return
    yield from _plain(iterable, desc, total, out, clock)


def _plain(
    iterable: Iterable[Item], desc: str, total: int | None, out: TextIO, clock: Callable[[], float]
) -> Iterator[Item]:
    started = last = clock()
    count = 0
    for item in iterable:
        yield item
        count += 1
        now = clock()
        if now - last >= PLAIN_INTERVAL_S and count != total:
            last = now
            print(_line(desc, count, total, now - started), file=out, flush=True)
    print(_line(desc, count, total, clock() - started), file=out, flush=True)


def _line(desc: str, count: int, total: int | None, elapsed_s: float) -> str:
    share = f"{count}/{total} ({100 * count / total:.0f} %)" if total else f"{count}"
    return f"{desc}: {share} in {elapsed_s:.1f} s"
