"""Counting finishes, and writing numbers down."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster.rl.actor import ActorModule
from trackmaster.rl.evaluation.episodes import Evaluation, evaluate, wilson_interval
from trackmaster.rl.metrics import MetricsLogger


class CountdownEnv:
    """Car i finishes after ``start`` steps, or is cut off after 9; nothing may step an ended car's numbers."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.rounds = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.rounds += 1
        starts = (options or {}).get("start", [3] * self.num_envs)
        self.need, self.steps = np.array(starts), np.zeros(self.num_envs, int)
        return self._observe(), self._info()

    def step(self, actions: np.ndarray) -> Any:
        self.steps += 1
        done = self.steps == self.need
        return self._observe(), np.ones(self.num_envs, np.float32), done, self.steps == 9, self._info()

    def close(self) -> None:
        pass

    def _observe(self) -> dict[str, np.ndarray]:
        return {"floats": np.zeros((self.num_envs, 1), np.float32)}

    def _info(self) -> dict[str, np.ndarray]:
        finished = self.steps == self.need
        return {
            "finished": finished,
            "race_time_ms": np.where(finished, 50 * self.steps, -1),
            "progress_m": self.steps.astype(float),
        }


class Still(ActorModule):
    def act_batch(self, observation, test, rank=None):
        assert test.all(), "evaluation must be greedy"
        return np.zeros(len(test), np.uint8), {}

    def load_tensors(self, tensors):
        raise AssertionError("weights must not change during an evaluation")


def test_every_attempt_counts_once_whatever_the_number_of_cars() -> None:
    starts = [2, 20, 4, 5, 20, 1, 7]
    env = CountdownEnv(3)
    result = evaluate(Still(), env, 7, starts=starts)
    assert env.rounds == 3
    assert result.race_time_ms == (100, None, 200, 250, None, 50, 350)
    assert result.progress_m == (2, 9, 4, 5, 9, 1, 7)
    assert result.returns == (2, 9, 4, 5, 9, 1, 7)
    assert result.finish_rate == pytest.approx(5 / 7)
    assert result.best_ms == 50
    assert result.median_ms == 200
    assert evaluate(Still(), CountdownEnv(4)).n == 4


class Expecting(Still):
    """Expects 3, 2 and 1 at the start and a hundred more with every step."""

    def q_values(self, observation):
        assert len(observation["floats"]) == 1, "the first car alone is asked for"
        return np.array([[3.0, 2.0, 1.0]], np.float32) + 100 * observation["floats"]


class ZoneEnv(CountdownEnv):
    def _observe(self) -> dict[str, np.ndarray]:
        return {"floats": np.tile(self.steps[:, None].astype(np.float32), (1, 1))}

    def _info(self) -> dict[str, np.ndarray]:
        return super()._info() | {"zone_idx": 10 * self.steps}

    def step(self, actions: np.ndarray) -> Any:
        observation, reward, done, _, info = super().step(actions)
        return observation, reward, done, self.steps == 25, info


def test_what_the_actor_expects_of_the_undisturbed_attempt_is_told_under_linesights_names() -> None:
    metrics = evaluate(Expecting(), ZoneEnv(2), 3, starts=[12, 25, 3]).metrics("t")
    assert metrics["RL/q_value_0_starting_frame_t"] == 3.0
    assert metrics["RL/avg_Q_trained_t"] == pytest.approx((3 + 1003) / 2), "looked at before decisions 0 and 10"
    assert metrics["RL/mean_action_gap_t"] == pytest.approx(1.0), "best minus 3, 2 and 1"
    assert metrics["RL/single_zone_reached_trained_t"] == 120, "that of attempt 0 when it ended"
    others = evaluate(Still(), CountdownEnv(2), 2).metrics("t")
    assert not any(tag.startswith("RL/") for tag in others), "an actor without values"


def test_a_share_of_one_has_an_interval_with_a_width() -> None:
    assert wilson_interval(60, 60) == (pytest.approx(0.9398, abs=1e-4), pytest.approx(1.0))
    assert wilson_interval(0, 60) == (0.0, pytest.approx(0.0602, abs=1e-4))


def test_wilson_interval_and_metrics() -> None:
    result = Evaluation((None, 1000, 1200, *[None] * 7), (1.0,) * 10, (0.0,) * 10)
    low, high = result.wilson_interval()
    assert (low, high) == (pytest.approx(0.0567, abs=1e-4), pytest.approx(0.5098, abs=1e-4))
    metrics = result.metrics("t")
    assert metrics["Eval/finish_rate_t"] == 0.2
    assert metrics["Eval/median_t"] == pytest.approx(1.1)
    assert "Eval/official_t" not in metrics, "the undisturbed attempt did not finish: no time is invented"
    nothing = Evaluation((None,), (3.0,), (0.0,))
    assert nothing.best_ms is nothing.median_ms is None
    assert not any("best" in tag for tag in nothing.metrics("t"))


def test_better_evaluations_rank_higher() -> None:
    def outcome(*times: int | None, progress: float = 1.0) -> tuple[float, float, float]:
        return Evaluation(times, (progress,) * len(times), (0.0,) * len(times)).rank()

    order = [
        outcome(None, None), outcome(None, None, progress=2.0), outcome(90, None), outcome(80, None),
        outcome(200, 300), outcome(100, 100),
    ]  # fmt: skip
    assert order == sorted(order)
    assert len(set(order)) == len(order)


def test_numbers_arrive_in_csv_and_tensorboard(tmp_path: Path) -> None:
    now = iter([100.0, 107.5, 120.0])
    with MetricsLogger(tmp_path / "tb", tmp_path / "m.csv", clock=lambda: next(now), wall_offset_s=60.0) as logger:
        logger.log({"Training/loss": 0.5}, env_steps=10, train_steps=2)
    with MetricsLogger(None, tmp_path / "m.csv", clock=lambda: 0.0) as logger:
        logger.log({"Training/loss": 0.25}, env_steps=20, train_steps=4)
    rows = list(csv.DictReader((tmp_path / "m.csv").read_text().splitlines()))
    assert [(r["wall_s"], r["env_steps"], r["train_steps"], r["value"]) for r in rows] == [
        ("67.500", "10", "2", "0.5"), ("0.000", "20", "4", "0.25"),
    ]  # fmt: skip
    assert rows[0]["tag"] == "Training/loss"
    assert list((tmp_path / "tb").glob("events.out.tfevents.*"))
