"""The best rounds are kept, and a collapse leads back to the best one."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trackmaster.distributed.training_guard import MEMORY_FILE, TrainingGuard


class Agent:
    """One number is all it has learnt."""

    def __init__(self) -> None:
        self.skill = 0.0

    def save(self, folder: Path) -> dict[str, Any]:
        np.save(folder / "skill.npy", self.skill)
        return {"saved": True}

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        assert state == {"saved": True}
        self.skill = float(np.load(folder / "skill.npy"))


def course(folder: Path, returns: list[float], agent: Agent | None = None, **options: Any) -> tuple[Agent, list[bool]]:
    """Run through rounds in which the agent's skill is its test return."""
    agent, led_back = agent or Agent(), []
    guard = TrainingGuard(folder, say=lambda _: None, **options)
    for i, value in enumerate(returns):
        agent.skill = value
        training: Any = SimpleNamespace(total_samples=100 * i, agent=agent)
        led_back.append(guard.note({"return_test": value}, training))
    return agent, led_back


def test_the_best_rounds_are_kept(tmp_path: Path) -> None:
    course(tmp_path, [-9.0, -3.0, -7.0, -1.0, math.nan, -2.0], keep=2, patience=0)
    kept = sorted(float(np.load(path)) for path in tmp_path.glob("best_k/*/skill.npy"))
    assert kept == [-2.0, -1.0]


def test_bad_rounds_in_a_row_lead_back_and_single_ones_do_not(tmp_path: Path) -> None:
    agent, led_back = course(tmp_path, [-10.0, -2.0, -9.0, -9.0, -2.5, -9.0, -9.0, -9.0], patience=3)
    assert led_back == [False] * 7 + [True]
    assert agent.skill == -2.0


@pytest.mark.parametrize("options", [{"patience": 0}, {"keep": 0, "patience": 2}])
def test_it_may_be_switched_off(tmp_path: Path, options: Any) -> None:
    agent, led_back = course(tmp_path, [-10.0, -2.0, *[-9.0] * 20], **options)
    assert not any(led_back)
    assert agent.skill == -9.0


def test_a_run_that_never_got_better_has_nothing_to_lose(tmp_path: Path) -> None:
    assert not any(course(tmp_path / "even", [-5.0] * 20, patience=2)[1])
    assert not any(course(tmp_path / "worse", [-5.0, *[-6.0] * 20], patience=2)[1]), "beginners get worse first"


def test_counting_goes_on_after_a_restart(tmp_path: Path) -> None:
    course(tmp_path, [-10.0, -2.0, -9.0, -9.0], patience=3)
    agent, led_back = course(tmp_path, [-9.0], patience=3)
    assert led_back == [True]
    assert agent.skill == -2.0


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"first": 1}', '{"first": "x", "best": 1, "bad_in_a_row": 0}'])
def test_what_it_remembered_may_be_damaged(tmp_path: Path, content: str) -> None:
    course(tmp_path, [-10.0, -2.0], patience=3)
    (tmp_path / MEMORY_FILE).write_text(content)
    said: list[str] = []
    guard = TrainingGuard(tmp_path, say=said.append)
    assert [MEMORY_FILE in line and "it begins anew" in line for line in said] == [True]
    training: Any = SimpleNamespace(total_samples=300, agent=Agent())
    assert guard.note({"return_test": -9.0}, training) is False
    assert not said[1:]
