"""Workers of the agents with analog actions: one version per rollout, pictures once, states carried along."""

import itertools
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from trackmaster.distributed.racing import on_policy_worker
from trackmaster.distributed.racing.on_policy_worker import GRACE_S, OnPolicyVectorWorker
from trackmaster.distributed.racing.vector_worker import EpisodeKind, VectorRolloutWorker
from trackmaster.distributed.transport.contract import Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.rl.actor import ActorModule
from trackmaster.rl.continuous.columns import continuous_sample_spec, frame_history
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.evaluation.episodes import evaluate

SPACE = gym.spaces.Dict({
    "floats": gym.spaces.Box(-1e6, 1e6, (2,), np.float32), "image": gym.spaces.Box(0, 255, (3, 1, 1), np.uint8),
})  # fmt: skip
SPEC = continuous_sample_spec(SPACE, 1, extras={"hidden": (1,)})
CYCLES = [[EpisodeKind("line")]] * 2


class Counting:
    """Two cars; car i finishes after 5 + i decisions. Observations name the episode and the step in it."""

    num_envs = 2

    def __init__(self) -> None:
        self.episode, self.step_no = np.zeros(2, int), np.zeros(2, int)

    def reset(self, *, seed=None, options: dict[str, Any] | None = None):
        mask = (options or {}).get("reset_mask", np.ones(2, dtype=bool))
        self.episode[mask] += 1
        self.step_no[mask] = 0
        return self._see(), self._info()

    def step(self, actions):
        self.step_no += 1
        return self._see(), np.ones(2, np.float32), self._over(), np.zeros(2, dtype=bool), self._info()

    def close(self) -> None:
        pass

    def _over(self):
        return self.step_no >= 5 + np.arange(2)

    def _see(self):
        steps = np.maximum(0, self.step_no[:, None] - np.arange(2, -1, -1))
        return {
            "floats": np.stack((self.episode, self.step_no), axis=1).astype(np.float32),
            "image": steps.astype(np.uint8)[:, :, None, None],
        }

    def _info(self):
        over = self._over()
        return {
            "potential": np.zeros(2, np.float32), "time_ms": 50 * self.step_no, "finished": over,
            "race_time_ms": np.where(over, 50 * self.step_no, -1), "progress_m": self.step_no.astype(float),
        }  # fmt: skip


class Remembering(ActorModule):
    """Its state counts the decisions of the episode; it refuses to act on a state that does not belong to it."""

    def __init__(self) -> None:
        super().__init__(SPACE, gym.spaces.Box(-1, 1, (1,)))

    def act_batch(self, observation, test, rank=None):
        before = observation.get("hidden", np.zeros((len(test), 1), np.float32))
        assert np.array_equal(before[:, 0], observation["floats"][:, 1]), "the state of another moment"
        return np.full((len(test), 1), 0.5, np.float32), {"hidden": before + 1}

    def load_tensors(self, tensors):
        self.version = int(tensors["v"][0])


def weights(version: int) -> Weights:
    return Weights.pack(version, {"v": torch.tensor([float(version)])})


def test_a_rollout_is_driven_by_one_version_and_waits_for_the_next() -> None:
    link = InProcessTransport()
    worker = OnPolicyVectorWorker(
        Counting(), Remembering, link, spec=SPEC, cycles=CYCLES, chunk_rows=50, history={"image": 3}, rollout_steps=8
    )
    link.publish(weights(1))
    worker.collect(100)
    assert worker.env_steps == 8 * 2
    assert worker.is_waiting
    first = link.recv_chunks(0.0)
    worker.collect(100)
    assert link.recv_chunks(0.0) == []
    link.publish(weights(2))
    worker.collect(3)
    link.publish(weights(3))  # too late for this rollout
    worker.collect(5)
    second = link.recv_chunks(0.0)
    assert {chunk.weights_version for chunk in first} == {1}
    assert {chunk.weights_version for chunk in second} == {2}
    for chunks in (first, second):
        assert sum(chunk.n_transitions for chunk in chunks) == sum(chunk.n_steps for chunk in chunks) == 16
        assert sum(chunk.end_of_episode for chunk in chunks) >= 2
    going_on = next(chunk for chunk in second if chunk.context)
    assert going_on.context == 3  # as many old rows as the first new observation's pictures need


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def on_policy(link: InProcessTransport, clock: Clock) -> OnPolicyVectorWorker:
    return OnPolicyVectorWorker(
        Counting(), Remembering, link, spec=SPEC, cycles=CYCLES, chunk_rows=50, history={"image": 3}, rollout_steps=8,
        clock=clock,
    )  # fmt: skip


def test_however_long_the_learner_takes_nothing_is_driven_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    link, clock = InProcessTransport(), Clock()
    worker, looks = on_policy(link, clock), itertools.count()
    monkeypatch.setattr(on_policy_worker.time, "sleep", lambda seconds: setattr(clock, "now_s", clock.now_s + 1.0))
    monkeypatch.setattr(link, "should_stop", lambda: next(looks) > 1_000)
    link.publish(weights(1))
    worker.run()
    assert clock.now_s > 900
    assert worker.env_steps == 16
    assert {chunk.weights_version for chunk in link.recv_chunks(0.0)} == {1}


def test_the_same_weights_once_more_ask_whoever_waits_to_drive_more() -> None:
    link, clock = InProcessTransport(), Clock()
    worker = on_policy(link, clock)
    first = weights(1)

    def drives(version: int, *, at_s: float) -> bool:
        clock.now_s, before = at_s, worker.env_steps
        link.publish(replace(first, version=version))
        worker.collect(100)
        return worker.env_steps > before

    assert drives(1, at_s=0.0)
    assert not drives(2, at_s=GRACE_S - 0.1), "published before its share can have been noticed"
    assert not drives(2, at_s=3 * GRACE_S), "and it has been seen before"
    assert drives(3, at_s=4 * GRACE_S)
    worker.collect(100)
    link.recv_chunks(0.0)
    link.publish(replace(weights(9), version=4))  # learnt meanwhile
    worker.collect(3)
    link.publish(replace(weights(9), version=5))  # while it drives: the others were quicker, nothing more
    clock.now_s = 10 * GRACE_S
    worker.collect(100)
    worker.collect(100)
    assert worker.env_steps == 3 * 16
    assert {chunk.weights_version for chunk in link.recv_chunks(0.0)} == {4}


def test_pictures_sent_once_are_stacked_as_the_environment_stacked_them() -> None:
    link, seen = InProcessTransport(), Counting()
    worker = VectorRolloutWorker(seen, Remembering, link, spec=SPEC, cycles=CYCLES, chunk_rows=5, history={"image": 3})
    link.publish(weights(1))
    worker.collect(30)
    memory = TransitionMemory(SPEC, 500, batch_size=200, history=frame_history(SPACE), rng=np.random.default_rng(0))
    chunks = link.recv_chunks(0.0)
    assert any(chunk.context == 3 for chunk in chunks)
    assert sum(memory.append(chunk) for chunk in chunks) == sum(chunk.n_steps for chunk in chunks)
    batch = memory.sample()
    step = batch.obs["floats"][:, 1]
    expected = torch.stack([(step - back).clamp(min=0) for back in (2, 1, 0)], dim=1)
    assert torch.equal(batch.obs["image"][:, :, 0, 0].float(), expected)
    assert torch.equal(batch.next_obs["floats"][:, 1], step + 1)
    assert torch.equal(batch.obs["hidden"][:, 0], step)  # the state with which this observation was looked at
    assert torch.equal(batch.next_obs["hidden"][:, 0], step + 1)


def test_evaluation_carries_states_from_an_empty_one_on() -> None:
    assert evaluate(Remembering(), Counting(), 2).race_time_ms == (250, 300)


def test_chunks_must_have_room_for_more_than_they_repeat() -> None:
    with pytest.raises(ValueError, match="room for new ones"):
        VectorRolloutWorker(
            Counting(), Remembering, InProcessTransport(), spec=SPEC, cycles=CYCLES, chunk_rows=3, history={"image": 3}
        )
