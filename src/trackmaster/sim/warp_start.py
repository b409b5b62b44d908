"""Starts Warp quietly, once: importing this module is enough, and ``trackmaster.sim`` does so before anything else.

Warp prints a banner to standard output, and its native library complains on standard error when the machine has no
NVIDIA driver. Neither belongs into the output of every command.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import warp


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 nowhere; Python's own handles are not enough for that."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


wp: Any = warp
"""Warp, initialised. Untyped on purpose: its annotations describe kernels, not the calls around them."""

wp.config.log_level = wp.LOG_ERROR
with _native_stderr_silenced():
    wp.init()
