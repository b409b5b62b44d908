"""Memories of the agents with analog actions: histories by index, borders of chunks and episodes, files."""

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from trackmaster.rl.continuous.columns import continuous_sample_spec, frame_history, observed
from trackmaster.rl.continuous.rollout_memory import RolloutMemory
from trackmaster.rl.continuous.transition_memory import TransitionMemory
from trackmaster.rl.continuous.variety import action_variety, policy_variety
from trackmaster.rl.samples.chunk import Chunk, SampleError

SPACE = gym.spaces.Dict({
    "floats": gym.spaces.Box(-1e6, 1e6, (1,), np.float32), "image": gym.spaces.Box(0, 255, (3, 2, 2), np.uint8),
})  # fmt: skip
SPEC = continuous_sample_spec(SPACE, 1)
HISTORY = frame_history(SPACE)


def chunk(first: int, last: int, *, context: int = 0, episode: int = 0, version: int = 1, ended: bool = False) -> Chunk:
    """Rows ``first`` to ``last`` of an episode; every column holds the row's number."""
    number = np.arange(first, last + 1)
    n = len(number)
    return Chunk(
        session="s", seq=0, worker_id=0, episode_id=episode, first_step=first, context=context,
        weights_version=version, end_of_episode=ended, columns={
            "floats": number[:, None].astype(np.float32),
            "image": np.broadcast_to(number.astype(np.uint8)[:, None, None, None], (n, 1, 2, 2)).copy(),
            "action": number[:, None].astype(np.float32), "reward": number.astype(np.float32),
            "potential": -number.astype(np.float32), "terminated": (number == last) & ended,
            "truncated": np.zeros(n, dtype=bool),
        },
    )  # fmt: skip


def make_memory(capacity: int = 100, batch_size: int = 4, gamma: float = 1.0) -> TransitionMemory:
    rng = np.random.default_rng(0)
    return TransitionMemory(SPEC, capacity, batch_size=batch_size, history=HISTORY, gamma=gamma, rng=rng)


def frames(images) -> list[list[int]]:
    return images[:, :, 0, 0].tolist()


def test_pictures_travel_once_and_come_back_stacked() -> None:
    assert SPEC["image"].shape == (1, 2, 2)
    assert observed(SPEC) == ("floats", "image")
    memory = make_memory()
    assert memory.append(chunk(0, 5)) == 5
    batch = memory.transitions(np.array([0, 1, 2, 4]))
    assert frames(batch.obs["image"]) == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [2, 3, 4]]
    assert frames(batch.next_obs["image"]) == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [3, 4, 5]]
    assert batch.obs["floats"][:, 0].tolist() == [0, 1, 2, 4]


def test_action_and_reward_are_those_of_the_row_after() -> None:
    memory = make_memory(gamma=0.5)
    memory.append(chunk(0, 4, ended=True))
    batch = memory.transitions(np.arange(4))
    assert batch.action[:, 0].tolist() == [1, 2, 3, 4]
    assert batch.terminated.tolist() == [0, 0, 0, 1]
    shaping = [0.5 * -(k + 1) + k for k in range(3)] + [3.0]  # nothing is left of the potential at the end
    assert batch.reward.tolist() == pytest.approx([1 + shaping[0], 2 + shaping[1], 3 + shaping[2], 4 + shaping[3]])


def test_context_rebuilds_histories_and_is_not_drawn_again() -> None:
    memory = make_memory(batch_size=64)
    memory.append(chunk(7, 12, context=3))  # rows 7, 8 and 9 were sent before
    batch = memory.sample()
    assert len(memory) == 3
    seen = sorted(set(batch.obs["floats"][:, 0].tolist()))
    assert seen == [9, 10, 11]
    assert frames(batch.obs["image"])[batch.obs["floats"][:, 0].tolist().index(9.0)] == [7, 8, 9]


def test_no_transition_leads_from_one_episode_into_the_next() -> None:
    memory = make_memory(batch_size=256)
    memory.append(chunk(0, 3, ended=True))
    memory.append(chunk(20, 24, episode=1))
    batch = memory.sample()
    step = (batch.next_obs["floats"] - batch.obs["floats"])[:, 0]
    assert step.eq(1).all()
    assert len(memory) == 3 + 4


def test_rows_whose_history_was_overwritten_are_not_drawn() -> None:
    memory = make_memory(capacity=20, batch_size=512)
    memory.append(chunk(0, 19))
    memory.append(chunk(100, 105, episode=1))  # over rows 0 to 5 of the ring
    assert len(memory) == 5 + 19 - 6 - 2  # rows 6 and 7 need 4 and 5
    batch = memory.sample()
    for newest, row in zip(batch.obs["floats"][:, 0].tolist(), frames(batch.obs["image"]), strict=True):
        assert row == [max(100.0 if newest >= 100 else 0.0, newest - back) for back in (2, 1, 0)]


def test_the_ring_begins_anew_where_a_chunk_no_longer_fits() -> None:
    memory = make_memory(capacity=12)
    memory.append(chunk(0, 7))
    memory.append(chunk(50, 57, episode=1))  # four rows are left: it goes to the front
    assert len(memory) == 7
    with pytest.raises(SampleError, match="does not fit a memory of 12 rows"):
        memory.append(chunk(0, 12))


def test_a_memory_continues_from_its_files(tmp_path: Path) -> None:
    memory, other = make_memory(), make_memory()
    memory.append(chunk(0, 9))
    memory.append(chunk(30, 35, episode=1))
    memory.save(tmp_path / "memory")
    other.load(tmp_path / "memory")
    assert len(other) == len(memory) == 14
    for ours, theirs in zip(memory.sample(), other.sample(), strict=True):
        for a, b in zip(_tensors(ours), _tensors(theirs), strict=True):
            assert a.equal(b)


def test_damaged_files_and_empty_memories_are_refused(tmp_path: Path) -> None:
    memory = make_memory()
    with pytest.raises(SampleError, match="no transition"):
        memory.sample()
    memory.append(chunk(0, 9))
    memory.save(tmp_path / "memory")
    column = tmp_path / "memory" / "reward.npy"
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    with pytest.raises(SampleError, match="does not have the content"):
        make_memory().load(tmp_path / "memory")


def test_a_rollout_takes_rows_of_the_newest_weights_only(tmp_path: Path) -> None:
    memory = RolloutMemory(SPEC, 8, history=HISTORY)
    memory.begin(2)
    assert memory.append(chunk(0, 4, version=1)) == 0
    assert memory.append(chunk(0, 4, version=2)) == 4
    assert (memory.n_dropped, memory.is_full) == (4, False)
    assert memory.append(chunk(9, 15, version=2, context=3, episode=1, ended=True)) == 4
    assert memory.is_full
    rollout = memory.sample()
    assert rollout.batch.obs["floats"][:, 0].tolist() == [0, 1, 2, 3, 11, 12, 13, 14]
    assert rollout.ends.tolist() == [False] * 3 + [True] + [False] * 3 + [True]
    assert frames(rollout.batch.obs["image"])[3:5] == [[1, 2, 3], [9, 10, 11]]
    assert rollout.batch.terminated.tolist() == [0] * 7 + [1]
    memory.save(tmp_path / "memory")
    other = RolloutMemory(SPEC, 8, history=HISTORY)
    other.load(tmp_path / "memory")
    assert other.sample().batch.reward.equal(rollout.batch.reward)
    assert (other.version, other.n_dropped) == (2, 4)
    memory.begin(3)
    assert len(memory) == 0
    with pytest.raises(SampleError, match="empty"):
        memory.sample()


def test_a_rollout_goes_on_with_the_same_weights_under_another_number(tmp_path: Path) -> None:
    memory = RolloutMemory(SPEC, 12, history=HISTORY)
    memory.begin(5)
    assert memory.append(chunk(0, 4, version=5)) == 4
    memory.go_on(7)
    assert memory.append(chunk(0, 4, version=5, episode=1)) == 4
    memory.save(tmp_path / "memory")
    again = RolloutMemory(SPEC, 12, history=HISTORY)
    again.load(tmp_path / "memory")
    for one in (memory, again):
        assert one.append(chunk(0, 4, version=7, episode=2)) == 4
        assert one.is_full
        assert one.n_dropped == 0
        one.begin(8)
        assert one.append(chunk(0, 4, version=7)) == 0
        assert one.n_dropped == 4


def test_a_rollout_of_many_short_chunks_becomes_whole(tmp_path: Path) -> None:
    memory = RolloutMemory(SPEC, 10, history=HISTORY)
    memory.begin(1)
    for number in range(1, 11):
        assert memory.append(chunk(number, number + 9, version=1, context=10)) == 0, "nothing but context"
        assert memory.append(chunk(number, number + 9, version=1, context=9, episode=number)) == 1
    assert memory.is_full
    assert memory.n_dropped == 0
    assert memory.sample().batch.reward.tolist() == [float(number + 9 - 1) for number in range(1, 11)]
    memory.save(tmp_path / "memory")
    other = RolloutMemory(SPEC, 10, history=HISTORY)
    other.load(tmp_path / "memory")
    assert other.sample().batch.reward.equal(memory.sample().batch.reward)


def test_rows_of_one_worker_can_be_taken_out_of_every_memory(tmp_path: Path) -> None:
    for number, make in enumerate((make_memory, lambda: RolloutMemory(SPEC, 100, history=HISTORY))):
        memory = make()
        memory.begin(1) if isinstance(memory, RolloutMemory) else None
        for episode in range(4):
            memory.append(replace(chunk(10 * episode, 10 * episode + 4, episode=episode), worker_id=episode % 2))
        memory.save(tmp_path / f"{number}")
        again = make()
        again.load(tmp_path / f"{number}")
        for one in (memory, again):
            assert one.evict(7) == 0
            assert one.evict(1) == 8
            assert len(one) == 8
            batch = one.sample()
            seen = (batch.batch if isinstance(one, RolloutMemory) else batch).obs["floats"][:, 0]
            assert all(int(value) // 10 in (0, 2) for value in seen)
            assert one.evict(1) == 0
            assert one.evict(0) == 8
            with pytest.raises(SampleError):
                one.sample()


def test_a_memory_that_was_saved_before_workers_were_noted_goes_on(tmp_path: Path) -> None:
    for number, make in enumerate((make_memory, lambda: RolloutMemory(SPEC, 100, history=HISTORY))):
        memory = make()
        memory.begin(1) if isinstance(memory, RolloutMemory) else None
        memory.append(chunk(0, 4))
        folder = tmp_path / f"{number}"
        memory.save(folder)
        state = json.loads((folder / "memory.json").read_text())
        for name in ("_worker", "first_version"):
            state.pop(name, None)
            state["crc32"].pop(name, None)
        (folder / "memory.json").write_text(json.dumps(state))
        (folder / "_worker.npy").unlink()
        again = make()
        again.load(folder)
        assert len(again) == 4
        assert again.evict(0) == 0


def test_variety_tells_one_habit_from_many() -> None:
    rng = np.random.default_rng(0)
    assert action_variety(np.zeros((500, 3), np.float32)) == 0.0
    assert action_variety(rng.uniform(-1, 1, (5_000, 3)).astype(np.float32)) > 0.99
    assert policy_variety(np.full(100, 7)) == pytest.approx(1.0)
    assert policy_variety(np.repeat(np.arange(5), 20)) == pytest.approx(5.0)


def _tensors(value):
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return [value]
