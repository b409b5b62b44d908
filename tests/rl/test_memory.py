"""The ring: rows come back as they went in, transitions equal hand-computed ones, nothing is drawn that may not be."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackmaster.rl.memory.priorities import Priorities
from trackmaster.rl.memory.replay import Batch, IQNMemory
from trackmaster.rl.memory.targets import MiniRace
from trackmaster.rl.samples.chunk import Chunk, SampleError, SampleSpec

MakeChunk = Callable[..., Chunk]
LONG = MiniRace(horizon_actions=10_000, oversample_long_term_steps=10_000, oversample_maximum_term_steps=9_999)
"""A mini-race so long that its end is next to never drawn; the clock is 0 more often than not."""


def memory_of(spec: SampleSpec, capacity: int = 100, **options: object) -> IQNMemory:
    chosen = {"batch_size": 256, "test_ratio": 0.0, "rng": np.random.default_rng(0), "mini_race": LONG, **options}
    return IQNMemory(spec, capacity, **chosen)


def starts_and_ends(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    return batch.floats[:, 1].numpy().astype(int), batch.next_floats[:, 1].numpy().astype(int)


def test_transitions_equal_hand_computed_ones(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec)
    memory.gamma = 0.5
    assert memory.append(make_chunk(6, first=10)) == 5
    batch = memory.sample()
    start, end = starts_and_ends(batch)
    assert set(start) == {10, 11, 12, 13, 14}
    np.testing.assert_array_equal(end, np.minimum(start + 3, 15))
    np.testing.assert_array_equal(batch.image[:, 0, 0, 0], start)
    np.testing.assert_array_equal(batch.next_image[:, 0, 5, 5], end)
    np.testing.assert_array_equal(batch.action, (start + 1) % 12)
    np.testing.assert_array_equal(batch.next_floats[:, 0] - batch.floats[:, 0], end - start)
    steps = end - start
    reward = sum(np.where(k < steps, 0.001 * (start + 1 + k) * 0.5**k, 0.0) for k in range(3))
    shaped = reward + 0.5**steps * (-0.01 * end) - (-0.01 * start)
    np.testing.assert_allclose(batch.reward, shaped, atol=1e-6)
    np.testing.assert_allclose(batch.gamma, 0.5**steps)


def test_the_finish_is_terminal_and_a_cut_off_is_not(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec)
    memory.append(make_chunk(6, first=10, finished=True))
    memory.append(make_chunk(6, first=30, truncated=[0, 0, 0, 0, 0, 1]))
    batch = memory.sample()
    start, end = starts_and_ends(batch)
    np.testing.assert_array_equal(batch.gamma == 0, end == 15)
    last = start == 14
    np.testing.assert_allclose(batch.reward[last], 0.015 + 0.14, atol=1e-6)


def test_the_end_of_the_mini_race_is_terminal(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(
        spec, mini_race=MiniRace(horizon_actions=8, oversample_long_term_steps=4, oversample_maximum_term_steps=1)
    )
    memory.append(make_chunk(50))
    batch = memory.sample()
    clock, after = batch.floats[:, 0].numpy(), batch.next_floats[:, 0].numpy()
    assert clock.min() == 0
    assert clock.max() == 7
    assert after.max() == 8
    np.testing.assert_array_equal(batch.gamma == 0, after == 8)


def test_windows_stop_before_exploratory_actions(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    greedy = [1, 1, 0, 1, 1, 0]  # the actions that led to rows 2 and 5 were random
    memory = memory_of(spec)
    memory.append(make_chunk(6, greedy=greedy))
    start, end = starts_and_ends(memory.sample())
    ends = dict(zip(start.tolist(), end.tolist(), strict=True))
    assert ends == {0: 1, 1: 4, 2: 4, 3: 4, 4: 5}


def test_windows_never_leave_their_chunk_however_often_the_ring_turns(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory, rng, expected = memory_of(spec, 60), np.random.default_rng(1), 0
    last_of: dict[int, int] = {}
    for turn in range(80):
        n = int(rng.integers(2, 20))
        first = 30 * turn
        memory.append(make_chunk(n, first=first, episode=turn))
        last_of[turn] = first + n - 1
        batch = memory.sample()
        start, end = starts_and_ends(batch)
        for s, e, clock in zip(start.tolist(), end.tolist(), batch.floats[:, 0].tolist(), strict=True):
            assert e == min(s + 3, last_of[s // 30]) or clock > LONG.horizon_actions - 3
        expected = len(set(start.tolist()))
        assert len(memory) >= expected
    assert len(memory) <= 59


def test_length_counts_what_can_be_drawn(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec, 20)
    memory.append(make_chunk(8))
    memory.append(make_chunk(8, first=50))
    assert len(memory) == 14
    memory.append(make_chunk(8, first=100))  # does not fit behind: starts over and takes the first chunk's place
    assert len(memory) == 14
    assert set(starts_and_ends(memory.sample())[0].tolist()) == {*range(50, 57), *range(100, 107)}


def test_limit_grows_without_losing_rows(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec, 40)
    memory.limit = 20
    memory.append(make_chunk(10))
    memory.append(make_chunk(10, first=50))
    memory.limit = 40
    memory.append(make_chunk(10, first=100))
    assert len(memory) == 27


def test_test_episodes_are_whole_and_kept_out_of_training(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec, 4_000, test_ratio=0.3)
    for episode in range(300):
        memory.append(make_chunk(6, first=6 * episode, episode=episode))
    assert 0.2 < memory.n_test / (memory.n_test + len(memory)) < 0.4
    trained = {s // 6 for _ in range(20) for s in starts_and_ends(memory.sample())[0].tolist()}
    tested = {s // 6 for _ in range(20) for s in starts_and_ends(memory.sample(test=True))[0].tolist()}
    assert not trained & tested


def test_testing_does_not_change_what_training_draws(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    drawn = []
    for tests in (0, 3):
        memory = memory_of(spec, 1_000, test_ratio=0.3)
        for episode in range(60):
            memory.append(make_chunk(6, first=6 * episode, episode=episode))
        for _ in range(tests):
            memory.sample(test=True)
        drawn.append(memory.sample().floats.clone())
    assert (drawn[0] == drawn[1]).all()


def test_saved_memory_continues_exactly(spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path) -> None:
    memory = memory_of(spec, 60, test_ratio=0.2)
    for episode in range(9):
        memory.append(make_chunk(9, first=20 * episode, episode=episode))
    memory.save(tmp_path / "memory")
    other = memory_of(spec, 60, test_ratio=0.2, rng=np.random.default_rng(99))
    other.load(tmp_path / "memory")
    for kept in (memory, other):
        kept.append(make_chunk(9, first=500, episode=50))
    assert len(memory) == len(other)
    a, b = memory.sample(), other.sample()
    for name in ("image", "floats", "action", "reward", "gamma", "next_image", "next_floats"):
        assert (getattr(a, name) == getattr(b, name)).all(), name
    with pytest.raises(SampleError, match="raise the rows"):
        memory_of(spec, 10).load(tmp_path / "memory")


def saved_memory(spec: SampleSpec, make_chunk: MakeChunk, folder: Path, **options: object) -> IQNMemory:
    memory = memory_of(spec, 60, **options)
    for episode in range(9):
        memory.append(make_chunk(9, first=20 * episode, episode=episode))
    memory.save(folder)
    return memory


def test_a_saved_memory_keeps_what_the_test_loss_draws(spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path) -> None:
    memory = saved_memory(spec, make_chunk, tmp_path / "memory", test_ratio=0.5)
    other = memory_of(spec, 60, rng=np.random.default_rng(99))
    other.load(tmp_path / "memory")
    assert (memory.sample(test=True).floats == other.sample(test=True).floats).all()


def test_a_memory_never_uses_more_rows_than_it_has(spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path) -> None:
    big = memory_of(spec, 1_000)
    big.append(make_chunk(9))
    big.save(tmp_path / "memory")
    small = memory_of(spec, 30)
    small.load(tmp_path / "memory")
    assert small.limit == 30
    for episode in range(9):
        small.append(make_chunk(9, first=20 * episode, episode=episode))
    assert len(small) <= 29


def test_an_empty_memory_can_be_saved(spec: SampleSpec, tmp_path: Path) -> None:
    memory_of(spec, 30).save(tmp_path / "memory")
    other = memory_of(spec, 30)
    other.load(tmp_path / "memory")
    assert len(other) == 0


def break_json(folder: Path) -> None:
    (folder / "memory.json").write_text("{")


def drop_json(folder: Path) -> None:
    (folder / "memory.json").unlink()


def list_in_json(folder: Path) -> None:
    (folder / "memory.json").write_text("[]")


def drop_key(folder: Path) -> None:
    state = json.loads((folder / "memory.json").read_text())
    del state["test_rng"]
    (folder / "memory.json").write_text(json.dumps(state))


def spoil_generator(folder: Path) -> None:
    state = json.loads((folder / "memory.json").read_text())
    state["rng"] = {"bit_generator": "PCG64", "state": 3}
    (folder / "memory.json").write_text(json.dumps(state))


def negative_head(folder: Path) -> None:
    state = json.loads((folder / "memory.json").read_text())
    (folder / "memory.json").write_text(json.dumps(state | {"head": -5}))


def drop_column(folder: Path) -> None:
    (folder / "reward.npy").unlink()


def cut_column(folder: Path) -> None:
    path = folder / "image.npy"
    path.write_bytes(path.read_bytes()[:-100])


def flip_bit(folder: Path) -> None:
    path = folder / "image.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def announce_terabytes(folder: Path) -> None:
    with (folder / "image.npy").open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**13, 1, 36, 36)}
        np.lib.format.write_array_header_1_0(stream, header)


def spoil_header(folder: Path) -> None:
    (folder / "image.npy").write_bytes(b"\x93NUMPY\x01\x00\x03\x00(((" + bytes(64))


def point_beyond_the_end(folder: Path) -> None:
    state = json.loads((folder / "memory.json").read_text())
    left = np.load(folder / "_left.npy")
    left[:] = 50
    np.save(folder / "_left.npy", left)
    state["crc32"]["_left"] = zlib.crc32(left)
    (folder / "memory.json").write_text(json.dumps(state))


@pytest.mark.parametrize("damage", [
    break_json, drop_json, list_in_json, drop_key, spoil_generator, negative_head, drop_column, cut_column, flip_bit,
    announce_terabytes, spoil_header, point_beyond_the_end,
])  # fmt: skip
def test_a_damaged_memory_is_refused_with_a_sentence(
    spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "memory"
    saved_memory(spec, make_chunk, folder)
    damage(folder)
    with pytest.raises(SampleError, match=r"Delete .*memory to continue with an empty memory"):
        memory_of(spec, 60).load(folder)


def test_empty_memory_and_huge_chunks_are_refused(spec: SampleSpec, make_chunk: MakeChunk) -> None:
    memory = memory_of(spec, 10)
    with pytest.raises(SampleError, match="collect before training"):
        memory.sample()
    with pytest.raises(SampleError, match=r"raise the rows in memory\.memory_size_schedule"):
        memory.append(make_chunk(11))


@pytest.mark.parametrize("prioritised", [False, True])
def test_rows_of_one_worker_are_never_drawn_again(
    spec: SampleSpec, make_chunk: MakeChunk, tmp_path: Path, prioritised: bool
) -> None:
    def fresh() -> IQNMemory:
        priorities = Priorities(100, alpha=0.5, epsilon=1e-3) if prioritised else None
        return memory_of(spec, priorities=priorities, test_ratio=0.3)

    memory = fresh()
    for number in range(6):
        memory.append(replace(make_chunk(6, first=100 * number), worker_id=number % 2, episode_id=number))
    memory.save(tmp_path / "memory")
    again = fresh()
    again.load(tmp_path / "memory")
    for one in (memory, again):
        before = len(one) + one.n_test
        assert one.evict(1) == 15
        assert len(one) + one.n_test == before - 15
        start, _ = starts_and_ends(one.sample())
        assert {value // 100 % 2 for value in start} == {0}
        assert one.evict(1) == 0


def test_episodes_of_workers_that_are_gone_are_not_remembered_for_ever(
    spec: SampleSpec, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackmaster.rl.memory.replay.MAX_EPISODES", 3)
    memory = memory_of(spec, test_ratio=0.5)
    for number in range(10):
        memory.append(replace(make_chunk(3), session=f"{number:032x}", end_of_episode=False))
    assert [session[-1] for session, _ in memory._test_episodes] == ["7", "8", "9"]
