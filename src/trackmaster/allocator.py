"""Keeps freed memory in the process instead of giving it back to the system."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER_TRIM = 2**31 - 1
_MAP_FROM_BYTES = (1 << 30, 32 << 20)
"""The second is all that glibc before 2.35 takes."""


def keep_freed_memory() -> bool:
    """Let glibc reuse large blocks, and return whether it could be told.

    A learning step makes and frees tens of megabytes. By default glibc maps each large array anew, and every 4 kB of
    it costs a page fault on first touch: a fifth to a third of an update on a CPU. Without glibc this does nothing.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    # In this order: once trimming is set, glibc no longer raises the other threshold by itself.
    is_raised = any(mallopt(_M_MMAP_THRESHOLD, size) for size in _MAP_FROM_BYTES)
    return is_raised and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))
