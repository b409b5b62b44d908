"""A disk that is full, for tests of what writes."""

import contextlib
from collections.abc import Iterator

import pytest

resource = pytest.importorskip("resource", reason="the system cannot bound the size of files")
ROOM_BYTES = 512


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """The system refuses what is longer than a few lines, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
