"""The log of evaluations stays readable over crashes and continued runs."""

from pathlib import Path

import pytest

from trackmaster.errors import TrackmasterError
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.evaluation.log import append_evaluations, forget_evaluations_after, read_evaluations

OUTCOME = {"first": Evaluation((None, 12_300), (3.5, 90.0), (0.0, 1.0))}


def add(path: Path, env_steps: int) -> None:
    append_evaluations(path, OUTCOME, wall_s=1.0, env_steps=env_steps, train_steps=env_steps // 10)


def steps(path: Path) -> list[int]:
    return [row.env_steps for row in read_evaluations(path)]


@pytest.mark.parametrize("kept_bytes", [0, 1, 30])
def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "run" / "evaluations.jsonl"
    add(path, 0)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept_bytes])
    add(path, 500)
    add(path, 900)
    assert steps(path) == [0, 500, 900]
    assert read_evaluations(path)[1].race_time_ms == (None, 12_300)


def test_a_continued_run_forgets_what_came_after_its_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    assert forget_evaluations_after(path, 500) == 0
    for env_steps in (0, 500, 900):
        add(path, env_steps)
    before = path.read_bytes()
    assert forget_evaluations_after(path, 900) == 0
    assert path.read_bytes() == before
    path.write_bytes(before + before[:20])
    assert forget_evaluations_after(path, 500) == 2
    add(path, 700)
    assert steps(path) == [0, 500, 700]
    assert forget_evaluations_after(path, -1) == 3
    assert steps(path) == []


def test_a_line_glued_to_a_cut_one_is_named_until_the_run_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    add(path, 0)
    whole = path.read_text()
    path.write_text(whole + whole[:20] + whole + whole)
    with pytest.raises(TrackmasterError, match="line 2"):
        read_evaluations(path)
    forget_evaluations_after(path, 0)
    assert steps(path) == [0, 0]
