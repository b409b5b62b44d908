"""Worker and trainer together learn to drive the toy lane."""

import csv
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


def build(
    toy: ModuleType, config: IQNConfig, folder: Path | None, said: list[str], *, stats: RunStats | None = None, **options: float
) -> tuple[Trainer, IQNAgent]:
    spec = iqn_sample_spec(toy.IMAGE, toy.N_FLOATS)
    agent = IQNAgent(config, seed=0)
    memory = IQNMemory(
        spec, 20_000, batch_size=config.batch_size, mini_race=MiniRace(int(options.pop("horizon", 20)), 8, 2), rng=np.random.default_rng(0)
    )
    link = InProcessTransport()
    worker = RolloutWorker(
        toy.ToyLane(8), lambda: IQNActor(config, seed=1), link, spec=spec, cycles=[[EpisodeKind("lane")]] * 8,
        chunk_rows=64, session="test",
    )  # fmt: skip
    link.pump = lambda: worker.collect(8)
    arena = toy.ToyLane(len(STARTS))

    def judge(actor: ActorModule) -> dict[str, Evaluation]:
        return {"lane": evaluate(actor, arena, starts=STARTS)}

    chosen = {"batch_size": config.batch_size, "uses_per_transition": 8, "evaluate_every_frames": 4_000, **options}
    trainer = Trainer(
        agent, memory, link, judge, memory_size=constant(20_000), learning_start=constant(600),
        options=TrainerOptions(**chosen), store=CheckpointStore(folder / "save") if folder else None,
        logger=MetricsLogger(None, folder / "metrics.csv" if folder else None), stats=stats, say=said.append,
    )  # fmt: skip
    return trainer, agent


@pytest.mark.learns
def test_worker_and_trainer_solve_the_toy_lane(toy: ModuleType, toy_config: IQNConfig, tmp_path: Path) -> None:
    said: list[str] = []
    trainer, agent = build(toy, toy_config, tmp_path, said, max_frames=40_000, stop_at_finish_rate=0.9)
    before = evaluate(agent.get_actor(), toy.ToyLane(10), starts=STARTS)
    assert before.finish_rate == 0.0, "the lane must not be easy"
    stats = trainer.run()
    after = evaluate(agent.get_actor(), toy.ToyLane(10), starts=STARTS)
    assert after.finish_rate >= 0.9, said
    assert stats.alltime_min_ms["lane"] >= 50 * toy.LENGTH, "nobody beats the speed limit"
    assert stats.first_finish_s["lane"] > 0
    assert (tmp_path / "save" / BEST / ONLINE_FILE).is_file()
    tags = {row["tag"] for row in csv.DictReader((tmp_path / "metrics.csv").open())}
    assert {"Eval/finish_rate_lane", "Training/loss", "Buffer/size", "Race/explo_race_finished_trained_lane"} <= tags


def test_two_equal_runs_are_equal(toy: ModuleType, toy_config: IQNConfig) -> None:
    actors = []
    for _ in range(2):
        trainer, agent = build(toy, toy_config, None, [], max_frames=2_000, metrics_interval_s=1e-6)
        trainer.run()
        actors.append(agent.actor_tensors())
    assert all((actors[0][k] == actors[1][k]).all() for k in actors[0])


def test_learner_keeps_to_the_reuse_limit(toy: ModuleType, toy_config: IQNConfig) -> None:
    trainer, _ = build(toy, toy_config, None, [], max_frames=3_000, uses_per_transition=3)
    stats = trainer.run()
    used, generated = stats.cumul_number_single_memories_used, stats.cumul_number_memories_generated
    assert 2.5 < used / generated <= 3.0
    assert stats.cumul_number_frames_played >= generated > 2_500


def test_interrupted_run_is_saved_and_continues(toy: ModuleType, toy_config: IQNConfig, tmp_path: Path) -> None:
    trainer, agent = build(toy, toy_config, tmp_path, [], max_frames=10_000)
    turns = iter(range(60))
    original = trainer._is_over

    def interrupt() -> bool:
        if next(turns, None) is None:
            raise KeyboardInterrupt
        return original()

    trainer._is_over = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    store = CheckpointStore(tmp_path / "save")
    folder, state, counters = store.load()
    stats = RunStats.from_json(counters)
    assert stats.cumul_number_frames_played > 0
    resumed, other = build(toy, toy_config, tmp_path, [], stats=stats, max_frames=stats.cumul_number_frames_played + 500)
    other.load(folder, state["agent"])
    assert all((a == b).all() for a, b in zip(agent.actor_tensors().values(), other.actor_tensors().values(), strict=True))
    assert resumed.run().cumul_number_frames_played >= stats.cumul_number_frames_played
