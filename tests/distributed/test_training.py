"""Worker and trainer together learn to drive the toy lane."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trackmaster.distributed.in_process import InProcessTransport
from trackmaster.distributed.run_stats import RunStats
from trackmaster.distributed.trainer import Trainer, TrainerOptions
from trackmaster.distributed.worker import EpisodeKind, RolloutWorker
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.checkpoint import BEST, CheckpointStore
from trackmaster.rl.evaluation import Evaluation, evaluate
from trackmaster.rl.iqn import ONLINE_FILE, IQNActor, IQNAgent
from trackmaster.rl.iqn_config import IQNConfig
from trackmaster.rl.memory import IQNMemory
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.samples import iqn_sample_spec
from trackmaster.rl.schedules import Schedule
from trackmaster.rl.targets import MiniRace

STARTS = np.linspace(-0.5, 0.5, 10).tolist()


def constant(value: float) -> Schedule:
    return Schedule([(0, value)], "staircase")


Build = Callable[..., tuple[Trainer, IQNAgent]]


@pytest.fixture
def build(toy: ModuleType, toy_config: IQNConfig, tmp_path: Path) -> Iterator[Build]:
    """Join one worker and one trainer on the toy lane, taking turns in this process."""
    loggers: list[MetricsLogger] = []

    def make(*, stats: RunStats | None = None, save: bool = False, **options: float) -> tuple[Trainer, IQNAgent]:
        spec = iqn_sample_spec(toy.IMAGE, toy.N_FLOATS)
        batch_size = toy_config.batch_size
        agent = IQNAgent(toy_config, seed=0)
        race, rng = MiniRace(5, 2, 1), np.random.default_rng(0)
        memory = IQNMemory(
            spec, 20_000, batch_size=batch_size, mini_race=race, n_steps=3, cut_non_greedy=False, rng=rng
        )
        link = InProcessTransport()
        worker = RolloutWorker(
            toy.ToyLane(8), lambda: IQNActor(toy_config, seed=1), link, spec=spec, cycles=[[EpisodeKind("lane")]] * 8,
            chunk_rows=64, session="test",
        )  # fmt: skip
        link.pump = lambda: worker.collect(8)
        arena = toy.ToyLane(len(STARTS))

        def judge(actor: ActorModule) -> dict[str, Evaluation]:
            return {"lane": evaluate(actor, arena, starts=STARTS)}

        loggers.append(MetricsLogger(None, tmp_path / "metrics.csv"))
        chosen = {"batch_size": batch_size, "uses_per_transition": 8, "evaluate_every_frames": 500, **options}
        trainer = Trainer(
            agent, memory, link, judge, memory_size=constant(20_000), learning_start=constant(600),
            options=TrainerOptions(**chosen), store=CheckpointStore(tmp_path / "save") if save else None,
            logger=loggers[-1], stats=stats, say=lambda line: None,
        )  # fmt: skip
        return trainer, agent

    yield make
    for logger in loggers:
        logger.close()


@pytest.mark.learns
def test_worker_and_trainer_solve_the_toy_lane(build: Build, toy: ModuleType, tmp_path: Path) -> None:
    trainer, agent = build(save=True, max_frames=24_000, stop_at_finish_rate=0.9)
    before = evaluate(agent.get_actor(), toy.ToyLane(10), starts=STARTS)
    assert before.finish_rate == 0.0, "the lane must not be easy"
    stats = trainer.run()
    after = evaluate(agent.get_actor(), toy.ToyLane(10), starts=STARTS)
    assert after.finish_rate >= 0.9
    assert stats.alltime_min_ms["lane"] >= 50 * toy.LENGTH, "nobody beats the speed limit"
    assert stats.first_finish_s["lane"] > 0
    assert (tmp_path / "save" / BEST / ONLINE_FILE).is_file()
    tags = {row["tag"] for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())}
    assert {"Eval/finish_rate_lane", "Training/loss", "Buffer/size", "Race/explo_race_finished_trained_lane"} <= tags


def test_two_equal_runs_are_equal(build: Build) -> None:
    actors = []
    for _ in range(2):
        trainer, agent = build(max_frames=1_000, metrics_interval_s=1e-6)
        trainer.run()
        actors.append(agent.actor_tensors())
    assert all((actors[0][k] == actors[1][k]).all() for k in actors[0])


def test_learner_keeps_to_the_reuse_limit(build: Build) -> None:
    trainer, _ = build(max_frames=1_500, uses_per_transition=3)
    stats = trainer.run()
    used, generated = stats.cumul_number_single_memories_used, stats.cumul_number_memories_generated
    assert 2.2 < used / generated <= 3.0
    assert stats.cumul_number_frames_played >= generated > 1_000


def test_interrupted_run_is_saved_and_continues(build: Build, tmp_path: Path) -> None:
    trainer, agent = build(save=True, max_frames=10_000)
    turns = iter(range(60))
    original = trainer._is_over

    def interrupt() -> bool:
        if next(turns, None) is None:
            raise KeyboardInterrupt
        return original()

    trainer._is_over = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    folder, state, counters = CheckpointStore(tmp_path / "save").load()
    stats = RunStats.from_json(counters)
    frames = stats.cumul_number_frames_played
    assert frames > 0
    resumed, other = build(stats=stats, save=True, max_frames=frames + 500)
    other.load(folder, state["agent"])
    before, after = agent.actor_tensors(), other.actor_tensors()
    assert all((before[k] == after[k]).all() for k in before)
    assert resumed.run().cumul_number_frames_played >= frames
