"""Ctrl+C turned into a request, and left alone where whoever started the program lets it be ignored."""

import signal
from collections.abc import Iterator

import pytest

from trackmaster.interrupts import StopFlag, stop_on_interrupt


@pytest.fixture(autouse=True)
def handler_comes_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_ctrl_c_asks_and_the_second_interrupts() -> None:
    flag, before = StopFlag(), signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt(flag):
        signal.raise_signal(signal.SIGINT)
        assert flag.is_set
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what runs in the background
    flag = StopFlag()
    with stop_on_interrupt(flag):
        signal.raise_signal(signal.SIGINT)
    assert not flag.is_set
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
