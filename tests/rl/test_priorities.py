"""Rows are drawn in proportion to their priorities, and what is drawn too often counts less."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rl.conftest import MakeChunk

from trackmaster.rl.iqn.agent import IQNAgent
from trackmaster.rl.iqn.config import IQNConfig
from trackmaster.rl.memory.priorities import Priorities, SumTree
from trackmaster.rl.memory.replay import IQNMemory
from trackmaster.rl.memory.targets import MiniRace
from trackmaster.rl.samples.chunk import SampleError, SampleSpec
from trackmaster.rl.schedules import Schedule


@settings(deadline=None)
@given(
    capacity=st.integers(1, 40),
    changes=st.lists(st.tuples(st.integers(0, 39), st.floats(0, 100)), max_size=60),
    shares=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_the_tree_finds_what_a_running_sum_finds(
    capacity: int, changes: list[tuple[int, float]], shares: list[float]
) -> None:
    tree, plain = SumTree(capacity), np.zeros(capacity)
    for index, value in changes:
        tree.set(np.array([index % capacity]), value)
        plain[index % capacity] = value
    np.testing.assert_array_equal(tree.values, plain)
    assert tree.total == pytest.approx(plain.sum())
    if tree.total == 0:
        return
    mass = np.array(shares) * tree.total
    found = tree.find(mass)
    assert (plain[found] > 0).all(), "a number of 0 is never found"
    edges = np.concatenate(([0.0], np.cumsum(plain)))
    slack = 1e-9 * tree.total
    assert ((edges[found] - slack <= mass) & (mass <= edges[found + 1] + slack)).all()


def test_draws_follow_the_priorities_and_weights_undo_it() -> None:
    priorities = Priorities(8, alpha=0.5, epsilon=0.0)
    priorities.add(np.arange(4))
    assert priorities.column[:5].tolist() == [0.4, 0.4, 0.4, 0.4, 0.0]
    priorities.update(np.arange(4), np.array([1.0, 4.0, 9.0, 16.0]))
    np.testing.assert_allclose(priorities.column[:4], [1, 2, 3, 4])
    rows, weight = priorities.draw(10_000, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(rows) / 10_000, [0.1, 0.2, 0.3, 0.4], atol=2e-4)
    np.testing.assert_allclose([weight[rows == row].mean() for row in range(4)], [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-6)
    _, half = priorities.draw(10_000, 0.5, np.random.default_rng(0))
    np.testing.assert_allclose(half, np.sqrt(weight), rtol=1e-6)
    _, none = priorities.draw(100, 0.0, np.random.default_rng(0))
    assert (none == 1).all()
    priorities.add(np.array([4]))
    assert priorities.column[4] == pytest.approx(2 * 2.5), "newcomers get twice the average"
    priorities.forget(np.array([1, 6]))
    assert set(priorities.draw(1_000, 1.0, np.random.default_rng(0))[0]) == {0, 2, 3, 4}
    priorities.update(np.array([1]), np.array([5.0]))
    assert priorities.column[1] == 0, "what was overwritten meanwhile stays forgotten"


def prioritised(spec: SampleSpec, capacity: int = 60, seed: int = 0, **options: object) -> IQNMemory:
    return IQNMemory(
        spec, capacity, batch_size=64, mini_race=MiniRace(10, 6, 1), test_ratio=0.0, rng=np.random.default_rng(seed),
        priorities=Priorities(capacity, alpha=1.0, epsilon=0.01), **options,
    )  # fmt: skip


def numbers(batch_floats: torch.Tensor) -> set[int]:
    return {int(n) for n in batch_floats[:, 1]}


def test_the_memory_draws_what_the_agent_was_wrong_about(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = prioritised(spec)
    memory.append(make_chunk(20))
    for _ in range(30):
        batch = memory.sample()
        assert batch.report is not None
        batch.report(np.where(batch.floats[:, 1].numpy() == 7, 5.0, 0.0).astype(np.float32))
    rows = memory.sample().floats[:, 1]
    assert (rows == 7).float().mean() > 0.9
    test = memory.sample(test=False)
    assert test.weight is not None
    assert float(test.weight.max()) == 1.0


def test_only_draws_with_much_of_the_race_ahead_change_a_priority(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = prioritised(spec)
    memory.append(make_chunk(20))
    batch = memory.sample()
    clock, row = batch.floats[:, 0].numpy().copy(), batch.floats[:, 1].numpy().astype(int).copy()
    assert batch.report is not None
    assert memory.priorities is not None
    batch.report(np.full(64, 3.0, np.float32))
    changed = set(np.flatnonzero(np.isclose(memory.priorities.column, 3.01)))
    assert changed == set(row[clock < 4])
    assert len(changed) < len(set(row))


def test_overwritten_rows_are_drawn_no_more(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = prioritised(spec)
    for first in range(0, 1_000, 13):
        memory.append(make_chunk(13, first=first, episode=first))
        drawn = numbers(memory.sample().floats)
        assert max(drawn) <= first + 11
        assert min(drawn) >= first - 60
        assert memory.priorities is not None
        assert np.count_nonzero(memory.priorities.column) == len(memory)


def test_priorities_are_saved_with_the_rows(spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path) -> None:
    beta = Schedule([(0, 0.4), (100, 1.0)], "linear")
    memory = prioritised(spec, beta=beta)
    memory.append(make_chunk(20))
    memory.set_frames(50)
    assert memory.beta == pytest.approx(0.7)
    batch = memory.sample()
    assert batch.report is not None
    batch.report(np.arange(64, dtype=np.float32))
    memory.save(tmp_path / "m")
    other = prioritised(spec, seed=9, beta=beta)
    other.load(tmp_path / "m")
    other.set_frames(50)
    first, second = memory.sample(), other.sample()
    assert torch.equal(first.floats, second.floats)
    assert first.weight is not None
    assert second.weight is not None
    assert torch.equal(first.weight, second.weight)
    plain = IQNMemory(spec, 60, batch_size=64, mini_race=MiniRace(10, 6, 1), rng=np.random.default_rng(0))
    plain.load(tmp_path / "m")  # a run that goes on without priorities leaves them lying
    plain.save(tmp_path / "plain")
    other.load(tmp_path / "plain")
    assert other.priorities is not None
    assert set(other.priorities.column[:20]) == {0.4, 0.0}, "rows of a memory without priorities count alike"
    column = np.load(tmp_path / "m" / "_priority.npy")
    np.save(tmp_path / "m" / "_priority.npy", column + 1)
    with pytest.raises(SampleError, match="_priority"):
        prioritised(spec).load(tmp_path / "m")


def test_the_agent_weights_its_loss_and_reports_its_errors(
    spec: SampleSpec, make_chunk: MakeChunk, tiny_config: IQNConfig
) -> None:
    memory = prioritised(spec)
    memory.append(make_chunk(20))
    agent = IQNAgent(tiny_config, seed=0)
    before = memory.priorities.column.copy() if memory.priorities else None
    for _ in range(3):
        agent.train(memory.sample())
    assert memory.priorities is not None
    assert (memory.priorities.column[:19] != before[:19]).any()
    assert set(memory.priorities.spread()) >= {"Buffer/priorities_min", "Buffer/priorities_mean"}
    batch = memory.sample()
    assert batch.weight is not None
    losses = {}
    for factor in (1.0, 0.5, 0.0):
        fresh = IQNAgent(replace(tiny_config, loss="paper"), seed=0)
        losses[factor] = fresh.train(replace(batch, weight=factor * torch.ones(64), report=None))["Training/loss"]
    assert losses[0.5] == pytest.approx(losses[1.0] / 2)
    assert losses[0.0] == 0 < losses[1.0]
    one = torch.zeros(64)
    one[5] = 64.0
    first, second = (IQNAgent(replace(tiny_config, loss="paper"), seed=0) for _ in range(2))
    alone = first.train(replace(batch, weight=one, report=None))["Training/loss"]
    of_all = second.train(replace(batch, weight=None, report=None))["Training/loss"]
    assert of_all == pytest.approx(losses[1.0])
    assert alone != pytest.approx(of_all), "each sample has the weight of its own row"
