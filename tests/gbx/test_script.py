"""TMInterface script text: its syntax, its refusals, and what it leaves out."""

import pytest

from trackmaster import gbx
from trackmaster.gbx import Command, Control


def test_to_script_writes_ranges_and_axes() -> None:
    commands = [
        Command(0, Control.ACCELERATE, 1),
        Command(100, Control.LEFT, 1),
        Command(150, Control.LEFT, 0),
        Command(160, Control.STEER, -1_200),
        Command(170, Control.GAS, 65_536),
        Command(180, Control.RESPAWN, 1),
        Command(190, Control.RESPAWN, 0),
    ]
    assert gbx.to_script(commands).splitlines() == [
        "0 press up",
        "100-150 press left",
        "160 steer -1200",
        "170 gas -65536",
        "180-190 press enter",
    ]
    assert gbx.script_commands(gbx.to_script(commands)) == commands


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("1230 press up", [(1230, Control.ACCELERATE, 1)]),
        ("1.23 press up", [(1230, Control.ACCELERATE, 1)]),
        ("1.2 press up", [(1200, Control.ACCELERATE, 1)]),
        ("1:02.30 rel down", [(62_300, Control.BRAKE, 0)]),
        ("1:00:02.30 rel down", [(3_602_300, Control.BRAKE, 0)]),
        ("0.10-0.05 press left", [(50, Control.LEFT, 1), (100, Control.LEFT, 0)]),
        ("100-200 steer 500", [(100, Control.STEER, 500), (200, Control.STEER, 0)]),
        ("10 gas 65536; 20 gas 0 # end", [(10, Control.GAS, -65_536), (20, Control.GAS, 0)]),
        ('10 press "right";30 rel right', [(10, Control.RIGHT, 1), (30, Control.RIGHT, 0)]),
        ("set speed 2\nload x.txt\n\n# only a comment\n10 press horn", []),
        ("30 press up\n10 press down", [(10, Control.BRAKE, 1), (30, Control.ACCELERATE, 1)]),
        ("10-20 press up\n20-30 press up", [(10, Control.ACCELERATE, 1), (20, Control.ACCELERATE, 0),
                                            (20, Control.ACCELERATE, 1), (30, Control.ACCELERATE, 0)]),
    ],
)  # fmt: skip
def test_script_syntax(text: str, commands: list[tuple[int, Control, int]]) -> None:
    assert gbx.script_commands(text) == commands


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("press up", "line 1: 'press up' has no time"),
        ("\n15 press up", "line 2: 15 ms is between two ticks"),
        ("1x press up", "is no time"),
        ("10 press jump", "'jump' is no key"),
        ("10 press delete", "restarted"),
        ("10 steer 70000", "expected a number from"),
        ("10 steer left", "expected a number from"),
        ("10 hold up", "is no input"),
        ("10 press up down", "is no input"),
        ("10-20 rel up", "a release cannot last"),
        ('10 press up\n"" press up', "line 2: empty quotes stand where a time is expected"),
    ],
)
def test_script_refuses_with_the_line(text: str, message: str) -> None:
    with pytest.raises(gbx.ScriptError, match=message):
        gbx.from_script(text, 100)


def test_to_script_of_a_timeline_reads_back() -> None:
    timeline = gbx.InputTimeline.from_actions([0, 1, 9, 3, 11], ticks_per_action=5)
    assert gbx.from_script(gbx.to_script(timeline), 240) == timeline
