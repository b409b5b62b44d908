"""PPO over a network in virtual time: slow learners, slow cars, workers that are missing, rows that are lost."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.distributed.test_continuous_workers import CYCLES, SPEC, Clock, Counting, Remembering

from trackmaster.distributed.racing.on_policy_worker import GRACE_S, OnPolicyVectorWorker
from trackmaster.distributed.racing.options import TrainerOptions
from trackmaster.distributed.racing.trainer import MORE_S, RacingTrainer
from trackmaster.distributed.transport.contract import RemoteTrainerEnd, Weights
from trackmaster.rl.agent import TrainingAgent
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.evaluation.episodes import Evaluation
from trackmaster.rl.metrics import MetricsLogger
from trackmaster.rl.samples.chunk import Chunk
from trackmaster.rl.schedules import Schedule

STEPS, CARS = 8, 2
SHARE = STEPS * CARS
TICK_S = 0.5
"""Time in which a quick worker decides once."""


class Network:
    """Both ends of a link; whenever the trainer waits or works, time passes and the workers drive."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.weights: Weights | None = None
        self.inbox: deque[Chunk] = deque()
        self.versions: list[int] = []
        self.workers: list[tuple[OnPolicyVectorWorker, float]] = []
        self.is_lost: Callable[[Chunk], bool] = lambda chunk: False

    def add_worker(self, decision_s: float = TICK_S) -> OnPolicyVectorWorker:
        worker = OnPolicyVectorWorker(
            Counting(), Remembering, self, spec=SPEC, cycles=CYCLES, chunk_rows=50, history={"image": 3},
            rollout_steps=STEPS, worker_id=len(self.workers), clock=self.clock,
        )  # fmt: skip
        self.workers.append((worker, decision_s))
        return worker

    def pass_time(self, seconds: float) -> None:
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s += TICK_S
            for worker, decision_s in self.workers:
                if worker.is_waiting or self.clock.now_s % decision_s < TICK_S:
                    worker.collect(1)

    def send_chunk(self, chunk: Chunk) -> None:
        if not self.is_lost(chunk):
            columns = {name: column.copy() for name, column in chunk.columns.items()}
            self.inbox.append(Chunk(**{**chunk.__dict__, "columns": columns}))

    def poll_weights(self, have: int) -> Weights | None:
        return self.weights if self.weights is not None and self.weights.version > have else None

    def should_stop(self) -> bool:
        return False

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        if not self.inbox and timeout_s:
            self.pass_time(TICK_S)
        arrived = list(self.inbox)
        self.inbox.clear()
        return arrived

    def publish(self, weights: Weights) -> None:
        self.weights = weights
        self.versions.append(weights.version)

    def check_workers(self) -> None:
        pass

    def marks(self) -> dict[str, int]:
        return {}

    def confirm(self) -> None:
        pass

    def leave_workers(self) -> None:
        pass

    def close(self) -> None:
        pass


class Slow(TrainingAgent):
    """Learns nothing, and takes its time."""

    def __init__(self, network: Network, learning_s: float, *, learns: bool = True) -> None:
        super().__init__()
        self.network, self.learning_s, self.learns = network, learning_s, learns
        self.rollouts: list[int] = []

    def train(self, batch: Any) -> dict[str, float]:
        self.rollouts.append(len(batch.ends))
        self.network.pass_time(self.learning_s)
        return {"loss_critic": 0.0}

    def get_actor(self) -> Any:
        return Remembering()

    def actor_tensors(self) -> dict[str, torch.Tensor]:
        return {"v": torch.tensor([float(len(self.rollouts) if self.learns else 0)])}


Make = Callable[..., tuple[RacingTrainer, Slow, RolloutMemory]]


@pytest.fixture
def network() -> Network:
    return Network(Clock())


@pytest.fixture
def make(network: Network, tmp_path: Path) -> Iterator[Make]:
    logger = MetricsLogger(None, tmp_path / "metrics.csv")

    def build(shares: int, learning_s: float, **more: Any) -> tuple[RacingTrainer, Slow, RolloutMemory]:
        agent = Slow(network, learning_s, **more)
        memory = RolloutMemory(SPEC, shares * SHARE, history={"image": 3})
        constant = Schedule([(0, 0)], "staircase")
        trainer = RacingTrainer(
            agent, memory, network, lambda actor: {"line": Evaluation((None,), (1.0,), (0.0,))}, memory_size=constant,
            learning_start=constant, options=TrainerOptions(metrics_interval_s=1e9), store=None,
            logger=logger, clock=network.clock,
        )  # fmt: skip
        trainer._publish()
        return trainer, agent, memory

    yield build
    logger.close()


def learn(trainer: RacingTrainer, agent: Slow, rollouts: int) -> None:
    turns = 0
    while len(agent.rollouts) < rollouts:
        trainer.turn()
        turns += 1
        assert turns < 20_000, f"{len(agent.rollouts)} rollouts became whole: nobody drives any more"


@pytest.mark.parametrize("learning_s", [1.0, 15.0, 600.0])
@pytest.mark.parametrize("learns", [True, False], ids=["learns", "undone"])
def test_nothing_is_dropped_however_slow_the_learner_is(
    network: Network, make: Make, learning_s: float, learns: bool
) -> None:
    assert isinstance(network, RemoteTrainerEnd)
    for _ in range(2):
        network.add_worker()
    trainer, agent, memory = make(2, learning_s, learns=learns)
    learn(trainer, agent, 4)
    assert agent.rollouts == [2 * SHARE] * 4
    assert memory.n_dropped == 0
    assert network.versions == list(range(1, 6)), "nobody was asked for more"


def test_cars_of_a_real_game_take_longer_than_any_patience_and_nothing_of_theirs_is_dropped(
    network: Network, make: Make
) -> None:
    share_s = 6 * MORE_S
    for _ in range(2):
        network.add_worker(decision_s=share_s / STEPS)
    trainer, agent, memory = make(2, 40.0)
    learn(trainer, agent, 3)
    assert agent.rollouts == [2 * SHARE] * 3
    assert memory.n_dropped == 0
    assert network.versions[-1] > 4, "the learner asked, and those who drove did not listen"


def test_who_is_there_drives_for_those_who_never_came(network: Network, make: Make) -> None:
    network.add_worker()
    trainer, agent, memory = make(3, 30.0)
    began_s = network.clock.now_s
    learn(trainer, agent, 2)
    assert agent.rollouts == [3 * SHARE] * 2
    assert memory.n_dropped == 0
    assert network.clock.now_s - began_s < 2 * (3 * STEPS * TICK_S + 2 * (MORE_S + GRACE_S) + 30) + 10


def test_a_share_that_the_network_lost_is_driven_again(network: Network, make: Make) -> None:
    lost: list[Chunk] = []

    def is_lost(chunk: Chunk) -> bool:
        if len(lost) < 2:
            lost.append(chunk)
        return any(chunk is one for one in lost)

    network.is_lost = is_lost
    network.add_worker()
    trainer, agent, memory = make(1, 5.0)
    learn(trainer, agent, 2)
    assert len(lost) == 2
    assert all(SHARE <= rows < 2 * SHARE for rows in agent.rollouts), agent.rollouts
    assert len(memory) < SHARE


def test_who_sends_what_is_of_no_use_keeps_nobody_from_driving_more(network: Network, make: Make) -> None:
    sent: list[Chunk] = []
    network.is_lost = lambda chunk: bool(sent.append(chunk))  # keeps a copy of each
    network.add_worker()
    trainer, agent, memory = make(2, 5.0)
    take = network.recv_chunks

    def with_old_ones(timeout_s: float) -> list[Chunk]:
        found = take(timeout_s)
        return [*found, replace(sent[0], weights_version=-1)] if sent else found

    network.recv_chunks = with_old_ones  # type: ignore[method-assign]
    learn(trainer, agent, 2)
    assert agent.rollouts == [2 * SHARE] * 2
    assert memory.n_dropped > 0
