"""Lines for log files, a bar for terminals."""

import io

import pytest

from trackmaster.distributed.racing.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_are_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    console = Console("training", stream=stream)
    console.progress(0.5)
    console.say("hello")
    console.close()
    assert stream.getvalue() == ""
    assert capsys.readouterr().out == "hello\n"


def test_on_a_terminal_lines_stand_above_a_bar_that_only_grows() -> None:
    stream = Terminal()
    console = Console("training", stream=stream)
    console.say("hello")
    for share in (0.25, 0.1, 2.0):
        console.progress(share)
    console.close()
    assert "hello\n" in stream.getvalue()
    assert "100 %" in stream.getvalue()


def test_bar_can_be_switched_off() -> None:
    stream = Terminal()
    console = Console("training", enabled=False, stream=stream)
    console.progress(0.5)
    console.close()
    assert stream.getvalue() == ""
