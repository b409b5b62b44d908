"""What a worker sends can be put together to exactly what the cars lived through."""

import itertools
from types import ModuleType

import numpy as np
import torch

from trackmaster.distributed.racing.vector_worker import EpisodeKind, VectorRolloutWorker
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.samples.chunk import Chunk, iqn_sample_spec


class ScriptActor(ActorModule):
    """Acts by a counter, so that every action can be predicted; counts which cars it was asked for."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.asked: list[int] = []

    def act_batch(self, observation, test, rank=None):
        self.asked.append(len(test))
        actions = np.where(test, 0, self.rng.integers(0, 12, len(test))).astype(np.uint8)
        return actions, {"greedy": actions == 0}

    def load_tensors(self, tensors):
        self.version = float(tensors["v"][0])


def weights(version: int) -> Weights:
    return Weights.pack(version, {"v": torch.tensor([float(version)])})


def collect(toy: ModuleType, n_steps: int, cycles: list[list[EpisodeKind]], chunk_rows: int = 4) -> list[Chunk]:
    link = InProcessTransport()
    spec = iqn_sample_spec(toy.IMAGE, toy.N_FLOATS)
    worker = VectorRolloutWorker(
        toy.ToyLane(len(cycles)), ScriptActor, link, spec=spec, cycles=cycles, chunk_rows=chunk_rows
    )
    worker.collect(5)
    assert worker.env_steps == 0, "nothing happens before the first weights"
    link.publish(weights(1))
    worker.collect(n_steps)
    link.publish(weights(2))
    worker.collect(n_steps)
    return link.recv_chunks(0.0)


def test_chunks_join_to_whole_episodes(toy: ModuleType) -> None:
    chunks = collect(toy, 40, [[EpisodeKind("lane")]] * 3)
    spec = iqn_sample_spec(toy.IMAGE, toy.N_FLOATS)
    episodes: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        chunk.check(spec)
        episodes.setdefault(chunk.episode_id, []).append(chunk)
    assert len(episodes) > 10
    assert any(len(parts) > 1 for parts in episodes.values()), "no episode was long enough to be cut"
    for parts in episodes.values():
        assert parts[0].first_step == parts[0].context == 0
        for earlier, later in itertools.pairwise(parts):
            assert not earlier.end_of_episode
            assert later.context == 1
            assert later.first_step == earlier.first_step + len(earlier) - 1
            for name in spec:
                np.testing.assert_array_equal(earlier.columns[name][-1], later.columns[name][0])
        if parts[-1].end_of_episode:
            rows = np.concatenate([p.columns["reward"][p.context :] for p in parts])
            assert parts[-1].stats["steps"] == len(rows) - 1 == sum(p.n_steps for p in parts)
            assert np.isclose(parts[-1].stats["return"], rows.sum(), atol=1e-5)
            assert parts[-1].columns["terminated"][-1] or parts[-1].columns["truncated"][-1]


def test_action_belongs_to_the_observation_it_led_to(toy: ModuleType) -> None:
    for chunk in collect(toy, 30, [[EpisodeKind("lane")]] * 2):
        x = chunk.columns["floats"][:, 2] * toy.LENGTH
        is_free = np.abs(chunk.columns["floats"][:-1, 1]) <= 1.5
        moved = np.clip(x[:-1] + is_free * toy.GAS[chunk.columns["action"][1:]], 0, toy.LENGTH)
        np.testing.assert_allclose(x[1:], moved, atol=1e-4)


def test_weights_change_between_episodes_only(toy: ModuleType) -> None:
    chunks = collect(toy, 30, [[EpisodeKind("lane")]] * 3)
    versions: dict[int, set[int]] = {}
    for chunk in chunks:
        versions.setdefault(chunk.episode_id, set()).add(chunk.weights_version)
    assert all(len(v) == 1 for v in versions.values())
    assert {v for found in versions.values() for v in found} == {1, 2}


def test_cycle_decides_exploration_and_what_is_learnt_from(toy: ModuleType) -> None:
    cycle = [EpisodeKind("lane"), EpisodeKind("lane", is_exploration=False, fill_buffer=False)]
    chunks = collect(toy, 60, [cycle])
    kinds = {c.episode_id: c.stats["is_exploration"] for c in chunks if c.end_of_episode}
    assert list(kinds.values())[:4] == [1.0, 0.0, 1.0, 0.0]
    for chunk in chunks:
        is_exploration = chunk.episode_id % 2 == 0
        assert chunk.fill_buffer == is_exploration
        assert (len(chunk) > 1) == is_exploration
        if not is_exploration:
            assert (chunk.columns["action"] == 0).all()
