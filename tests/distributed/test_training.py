"""Worker and trainer together learn to drive the toy lane."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.run_stats import RunStats
from trackmaster.distributed.racing.trainer import RacingTrainer
from trackmaster.distributed.racing.vector_worker import EpisodeKind, VectorRolloutWorker
from trackmaster.distributed.transport.contract import TransportError
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.evaluation.episodes import Evaluation, evaluate
from trackmaster.rl.files.checkpoint import BEST, CheckpointStore
from trackmaster.rl.files.names import ONLINE_FILE
from trackmaster.rl.iqn.actor import IQNActor
from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.memory.replay import IQNMemory
from trackmaster.rl.memory.targets import MiniRace
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.samples.chunk import Chunk, iqn_sample_spec
from trackmaster.rl.schedules import Schedule

STARTS = np.linspace(-0.5, 0.5, 10).tolist()


def constant(value: float) -> Schedule:
    return Schedule([(0, value)], "staircase")


Build = Callable[..., tuple[RacingTrainer, IQNAgent]]


@pytest.fixture
def build(toy: ModuleType, toy_config: IQNConfig, tmp_path: Path) -> Iterator[Build]:
    """Join one worker and one trainer on the toy lane, taking turns in this process."""
    loggers: list[MetricsLogger] = []

    def make(
        *,
        stats: RunStats | None = None,
        save: bool = False,
        memory_rows: int = 20_000,
        learning_start: float = 600,
        test_ratio: float = 0.05,
        chunk_rows: int = 64,
        say: Callable[[str], None] = lambda line: None,
        **options: float,
    ) -> tuple[RacingTrainer, IQNAgent]:
        spec = iqn_sample_spec(toy.IMAGE, toy.N_FLOATS)
        batch_size = toy_config.batch_size
        agent = IQNAgent(toy_config, seed=0)
        race, rng = MiniRace(5, 2, 1), np.random.default_rng(0)
        memory = IQNMemory(
            spec, memory_rows, batch_size=batch_size, mini_race=race, n_steps=3, cut_non_greedy=False,
            test_ratio=test_ratio, rng=rng,
        )  # fmt: skip
        link = InProcessTransport()
        worker = VectorRolloutWorker(
            toy.ToyLane(8), lambda: IQNActor(toy_config, seed=1), link, spec=spec, cycles=[[EpisodeKind("lane")]] * 8,
            chunk_rows=chunk_rows, session="test",
        )  # fmt: skip
        link.pump = lambda: worker.collect(8)
        arena = toy.ToyLane(len(STARTS))

        def judge(actor: ActorModule) -> dict[str, Evaluation]:
            return {"lane": evaluate(actor, arena, starts=STARTS)}

        loggers.append(MetricsLogger(None, tmp_path / "metrics.csv"))
        chosen = {"batch_size": batch_size, "uses_per_transition": 8, "evaluate_every_frames": 500, **options}
        trainer = RacingTrainer(
            agent, memory, link, judge, memory_size=constant(memory_rows), learning_start=constant(learning_start),
            options=TrainerOptions(**chosen), store=CheckpointStore(tmp_path / "save") if save else None,
            logger=loggers[-1], stats=stats, say=say,
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
    due = 3 * (generated - 600)  # what had to come before learning started owes nothing
    assert due - 8 * 64 * 3 < used <= due
    assert stats.cumul_number_frames_played >= generated > 1_000
    next_move = stats.cumul_number_single_memories_used_next_target_network_update
    assert next_move == used + 64, "this target network moves after every batch of 64"


@pytest.mark.parametrize("lives", [1, 2])
def test_learning_waits_for_its_start_in_every_life_and_again_where_the_start_is_raised(
    build: Build, lives: int
) -> None:
    old = RunStats(cumul_number_memories_generated=900, cumul_number_single_memories_used=2_000)
    old.cumul_number_single_memories_should_have_been_used = old.cumul_number_single_memories_used
    trainer, _ = build(stats=old if lives == 2 else None, learning_start=600, uses_per_transition=8)
    stats, agent = trainer.stats, trainer._agent
    before = stats.cumul_number_memories_generated

    def come() -> int:
        return stats.cumul_number_memories_generated - before

    trainer._publish()
    while not agent.batches_done:
        trainer.turn()
    assert 600 <= come() < 600 + 8 * 8 + 8, "the turn of eight cars that made it due, and one batch"
    trainer._learning_start = constant(1_000)
    done = agent.batches_done
    while come() < 1_000:
        assert agent.batches_done == done
        trainer.turn()


def test_the_end_tells_which_snapshot_is_the_best(build: Build, tmp_path: Path) -> None:
    trainer, _ = build(save=True, max_frames=1_200, learning_start=10_000)
    said: list[str] = []
    trainer._say = said.append
    times = itertools.chain([(None, 300), (400, 500)], itertools.repeat((None, 900)))

    def judge(actor: ActorModule) -> dict[str, Evaluation]:
        return {"lane": Evaluation(next(times), (5.0, 7.0), (0.0, 0.0))}

    trainer._evaluator = judge
    stats = trainer.run()
    folder = tmp_path / "save" / BEST
    best = json.loads((folder / "accumulated_stats.json").read_text())
    assert 0 < stats.best_frames == best["cumul_number_frames_played"] < stats.cumul_number_frames_played
    assert said[-1] == (
        f"The best evaluation was that after {stats.best_frames} frames: 100 % finished, median 0.45. Its weights lie "
        f"in {folder}."
    )


def test_the_best_of_drives_that_never_finish_is_told_by_its_progress() -> None:
    stats = RunStats(cumul_number_frames_played=40)
    stats.note_evaluation({"lane": Evaluation((None, None), (5.0, 7.0), (0.0, 0.0))}, wall_s=1.0)
    assert stats.describe_best() == ("The best evaluation was that after 40 frames: 0 % finished, mean progress 6 m.")


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


def stopping(original: Callable[..., Any], call: int) -> Callable[..., Any]:
    """Return a function that is interrupted the n-th time it is called."""
    calls = iter(range(1, 10_000))

    def interrupted(*args: object) -> Any:
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*args)

    return interrupted


def test_interrupt_in_the_first_evaluation_is_saved(build: Build, tmp_path: Path) -> None:
    trainer, agent = build(save=True, max_frames=1_000)
    trainer._evaluator = stopping(trainer._evaluator, 1)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert trainer.is_saved
    folder, state, counters = CheckpointStore(tmp_path / "save").load()
    assert counters["n_evaluations"] == 0, "so a run that is continued begins with it"
    _, other = build()
    other.load(folder, state["agent"])
    assert all((agent.actor_tensors()[k] == other.actor_tensors()[k]).all() for k in agent.actor_tensors())


def test_what_was_handed_over_when_ctrl_c_came_is_saved(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = build(save=True, chunk_rows=4, max_frames=1_000)
    handed: list[int] = []
    receive = trainer._end.recv_chunks

    def noted(timeout_s: float) -> list[Chunk]:
        chunks = receive(timeout_s)
        handed.extend(chunk.n_transitions for chunk in chunks)
        return chunks

    monkeypatch.setattr(trainer._end, "recv_chunks", noted)
    monkeypatch.setattr(trainer._memory, "append", stopping(trainer._memory.append, 2))
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert trainer.is_saved
    assert len(handed) > 2, "something was left to store"
    assert trainer.stats.cumul_number_memories_generated == sum(handed)


def test_interrupt_in_the_last_evaluation_is_saved(build: Build, tmp_path: Path) -> None:
    trainer, agent = build(save=True, max_frames=1_500, evaluate_every_frames=0)
    trainer._evaluator = stopping(trainer._evaluator, 2)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    folder, state, counters = CheckpointStore(tmp_path / "save").load()
    assert counters["cumul_number_batches_done"] == trainer.stats.cumul_number_batches_done > 0
    resumed, other = build(stats=RunStats.from_json(counters), save=True, max_frames=1_500, evaluate_every_frames=0)
    other.load(folder, state["agent"])
    assert all((agent.actor_tensors()[k] == other.actor_tensors()[k]).all() for k in agent.actor_tensors())
    assert resumed.run().n_evaluations == 2, "the evaluation that was interrupted is made up for"


def test_interrupted_saving_is_no_success(build: Build) -> None:
    trainer, agent = build(save=True, max_frames=1_000)
    trainer._evaluator = stopping(trainer._evaluator, 1)
    agent.save = stopping(agent.save, 1)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert not trainer.is_saved


def test_nothing_is_evaluated_twice(build: Build) -> None:
    trainer, _ = build(max_frames=1_500, stop_at_finish_rate=1e-9, evaluate_every_frames=0)
    evaluations = trainer.run().n_evaluations
    resumed, _ = build(stats=trainer.stats, max_frames=1_500, evaluate_every_frames=0)
    assert resumed.run().n_evaluations == evaluations


def test_a_run_that_learned_nothing_still_ends_with_an_evaluation(build: Build) -> None:
    trainer, _ = build(max_frames=100, evaluate_every_frames=0)
    stats = trainer.run()
    assert (stats.n_evaluations, stats.cumul_number_batches_done) == (2, 0)
    resumed, _ = build(stats=stats, max_frames=100, evaluate_every_frames=0)
    assert resumed.run().n_evaluations == 2


@pytest.mark.parametrize(("test_ratio", "chunk_rows"), [(0.5, 64), (0.0, 4)])
def test_learning_begins_although_the_training_rows_never_fill_the_memory(
    build: Build, test_ratio: float, chunk_rows: int
) -> None:
    trainer, _ = build(
        memory_rows=600, learning_start=600, test_ratio=test_ratio, chunk_rows=chunk_rows, max_frames=1_600,
        uses_per_transition=1,
    )  # fmt: skip
    assert trainer.run().cumul_number_batches_done > 0


def test_lost_workers_are_noticed_while_learning(build: Build) -> None:
    trainer, _ = build(max_frames=100_000, min_uses_per_transition=1e9, uses_per_transition=1e9)

    def gone() -> None:
        if trainer.stats.cumul_number_batches_done:
            raise TransportError("Worker 0 ended")

    trainer._end.check_workers = gone  # type: ignore[method-assign]
    ticks = iter(range(10**9, 10**9 + 1_000))
    trainer._clock = lambda: float(next(ticks))
    with pytest.raises(TransportError, match="Worker 0 ended"):
        trainer.run()
    assert trainer.stats.cumul_number_batches_done < 10


def ended(start_ms: float, time_ms: float) -> Chunk:
    outcome = {"start_ms": start_ms, "finished": 1.0, "race_time_ms": time_ms, "progress_m": 9.0, "return": 1.0}
    stats = {**outcome, "is_exploration": 1.0}
    return Chunk("s", 0, 0, 0, 0, 0, 1, {}, end_of_episode=True, n_steps=3, track="lane", stats=stats)


def test_an_episode_that_began_on_the_way_sets_no_time() -> None:
    stats = RunStats()
    kept = stats.note_chunk(ended(8_000.0, 2_000.0), wall_s=5.0)
    assert not stats.first_finish_s
    assert not stats.alltime_min_ms
    assert all(tag.startswith("Race/kept_explo_") for tag in kept)
    assert kept["Race/kept_explo_race_finished_trained_lane"] == 1.0
    whole = stats.note_chunk(ended(0.0, 10_000.0), wall_s=9.0)
    assert stats.first_finish_s == {"lane": 9.0}
    assert stats.alltime_min_ms == {"lane": 10_000.0}
    assert whole["Race/explo_race_time_finished_trained_lane"] == 10.0
    assert stats.cumul_number_episodes == 2
