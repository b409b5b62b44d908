"""Large arrays are reused instead of being mapped anew."""

import ctypes
import resource
import sys

import numpy as np
import pytest

from trackmaster.allocator import keep_freed_memory


def faults_of(repetitions: int) -> int:
    """Page faults of making and freeing 8 MB over and over."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repetitions):
        np.empty(1 << 23, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def has_glibc() -> bool:
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not has_glibc(), reason="only glibc can be told")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    assert keep_freed_memory()
    faults_of(2)
    assert faults_of(20) < 20 * (1 << 23) // 4096 // 10


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not keep_freed_memory()


def test_an_older_glibc_gets_what_it_takes_or_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []

    def mallopt_up_to(limit: int) -> object:
        def mallopt(what: int, value: int) -> int:
            accepted = what == -1 or value <= limit
            said.extend([(what, value)] if accepted else [])
            return int(accepted)

        return type("Library", (), {"mallopt": staticmethod(mallopt)})()

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: mallopt_up_to(32 << 20))
    assert keep_freed_memory()
    assert said[0] == (-3, 32 << 20)
    said.clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: mallopt_up_to(0))
    assert not keep_freed_memory()
    assert said == [], "trimming alone would make it slower"
