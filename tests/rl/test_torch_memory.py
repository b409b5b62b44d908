"""Whatever way samples take, the transitions that a memory rebuilds are, byte for byte, those that happened."""

import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.rl.memory.crc_check import CrcError
from trackmaster.rl.memory.shards import drop_older
from trackmaster.rl.memory.tm_memories import (
    GenericTorchMemory,
    MemoryTMFull,
    MemoryTMLidar,
    get_local_buffer_sample_lidar,
    get_local_buffer_sample_tm20_imgs,
)
from trackmaster.rl.memory.torch_memory import TorchMemory
from trackmaster.rl.samples.buffer import Buffer
from trackmaster.rl.samples.chunk import Chunk, SampleError
from trackmaster.rl.samples.chunk_builder import ChunkBuilder
from trackmaster.rl.samples.columns import checksums, row_of
from trackmaster.rl.samples.nested import leaves
from trackmaster.rl.samples.pictures import with_jpeg


@pytest.fixture(scope="module")
def world() -> Iterator[ModuleType]:
    sys.path.insert(0, str(Path(__file__).parent))
    yield importlib.import_module("delayed_world")
    sys.path.remove(str(Path(__file__).parent))


def identity(*sample: Any) -> Any:
    return sample


def drive(
    env: Any,
    n_steps: int,
    *,
    worker: int = 0,
    compressor: Callable[..., Any] = get_local_buffer_sample_tm20_imgs,
    rows: int = 5,
    context: int = 4,
    crc: bool = True,
) -> tuple[list[Chunk], dict[tuple[int, int, int], Any]]:
    """Return what a worker sends, and every transition by (worker, episode, step)."""
    rng, builder = np.random.default_rng(worker), ChunkBuilder(session="s", worker_id=worker, context_rows=context)
    chunks, truth = [], {}

    def row(sample: Any) -> Any:
        return row_of(compressor(*sample), crc=checksums(sample) if crc else None)

    done, step, last = True, 0, None
    for _ in range(n_steps):
        if done:
            last, _ = env.reset()
            history = np.stack(last[-4:])
            builder.begin(row((env.default_action, last, 0.0, False, False, {})), act_history=history)
            done, step = False, 0
            continue
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        step, done = step + 1, terminated or truncated
        builder.add(row((action, obs, reward, terminated, truncated, info)))
        truth[worker, builder.episode_id, step] = (last, action, reward, obs, terminated, truncated)
        last = obs
        if done or builder.new_rows >= rows:
            chunks.append(builder.take(end=done))
    return chunks, truth


def check_all(memory: TorchMemory, truth: dict[Any, Any], *, complete: bool = True) -> int:
    """Compare every transition of the memory with what happened; return how many there are."""
    seen = set()
    for i in range(len(memory)):
        *transition, info = memory.get_transition(i)
        key = (info["worker_id"], info["episode"], info["step"])
        assert key not in seen
        seen.add(key)
        for mine, his in zip(transition, truth[key], strict=True):
            for (name, a), (other, b) in zip(leaves(mine), leaves(his), strict=True):
                exact = np.asarray(b)
                if exact.dtype == np.float64:
                    exact = exact.astype(np.float32)
                assert name == other
                assert np.asarray(a, dtype=exact.dtype).tobytes() == exact.tobytes(), (key, name)
                assert np.shape(a) == exact.shape
    assert not complete or seen == truth.keys()
    return len(seen)


def full(**options: Any) -> MemoryTMFull:
    return MemoryTMFull("cpu", 3, memory_size=4_000, batch_size=16, seed=1, say=lambda _: None, **options)


@pytest.mark.parametrize("reset_act_buf", [True, False])
def test_three_interleaved_workers_are_rebuilt_exactly(world: ModuleType, reset_act_buf: bool) -> None:
    sent, truth = [], {}
    for worker in range(3):
        env = world.DelayedWorld((7 + worker, 1, 2, 11), reset_act_buf=reset_act_buf, seed=worker)
        chunks, lived = drive(env, 150, worker=worker, rows=4 + worker)
        sent.append(chunks)
        truth |= lived
    memory = full(crc_debug=True)
    for chunk in itertools.chain.from_iterable(itertools.zip_longest(*sent)):
        if chunk is not None:
            memory.append(chunk)
    last_ones = {w: max(k for k in truth if k[0] == w) for w in range(3)}
    unsent = {k for k in truth if k[:2] == last_ones[k[0]][:2]}  # the chunk at work when driving ended
    for key in unsent - {(i["worker_id"], i["episode"], i["step"]) for i in map(_info, _all(memory))}:
        del truth[key]
    assert check_all(memory, truth) > 300
    for batch in memory:
        assert batch[0][3].shape == (16, 4, 6, 6)


def _all(memory: TorchMemory) -> Iterator[Any]:
    return (memory.get_transition(i) for i in range(len(memory)))


def _info(transition: Any) -> Any:
    return transition[-1]


def test_without_the_stored_buffer_the_default_action_is_taken(world: ModuleType) -> None:
    for reset_act_buf, is_right in ((True, True), (False, False)):
        chunks, truth = drive(world.DelayedWorld(reset_act_buf=reset_act_buf), 60)
        memory = full()
        for chunk in chunks:
            chunk.act_history.resize((0, 0), refcheck=False)
            memory.append(chunk)
        if is_right:
            check_all(memory, truth, complete=False)
        else:
            with pytest.raises(AssertionError):
                check_all(memory, truth, complete=False)


def test_lost_chunks_harm_nobody(world: ModuleType) -> None:
    chunks, truth = drive(world.DelayedWorld((40, 23)), 300)
    memory = full(crc_debug=True)
    for chunk in chunks[::2]:
        memory.append(chunk)
    assert check_all(memory, truth, complete=False) > 100
    memory.sample()


def test_overwritten_histories_are_never_drawn(world: ModuleType) -> None:
    chunks, truth = drive(world.DelayedWorld((40, 3, 1, 23)), 1_500)
    memory = MemoryTMFull("cpu", 1, memory_size=101, batch_size=8)
    for i, chunk in enumerate(chunks):
        memory.append(chunk)
        if i % 7 == 0:
            n = check_all(memory, truth, complete=False)
    assert n > 40


def test_more_context_than_histories_need_changes_nothing(world: ModuleType) -> None:
    for context in (4, 9):
        chunks, truth = drive(world.DelayedWorld((40,)), 80, context=context)
        memory = full()
        for chunk in chunks:
            memory.append(chunk)
        check_all(memory, truth, complete=False)
    chunks, _ = drive(world.DelayedWorld((40,)), 80, context=2)
    memory = full()
    assert sum(memory.append(chunk) for chunk in chunks) < 79 - 10, "rows without their whole history are not drawn"


def test_compressed_and_uncompressed_batches_are_the_same(world: ModuleType) -> None:
    batches = []
    for kind, compressor, context in (
        (MemoryTMFull, get_local_buffer_sample_tm20_imgs, 4),
        (GenericTorchMemory, identity, 1),
    ):
        memory = kind("cpu", 5, memory_size=4_000, batch_size=32, seed=3)
        for chunk in drive(world.DelayedWorld(), 200, compressor=compressor, context=context)[0]:
            memory.append(chunk)
        batches.append([[leaf for _, leaf in leaves(batch)] for batch in memory])
    for mine, other in zip(*batches, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


def test_batches_have_the_documented_types(world: ModuleType) -> None:
    memory = full()
    for chunk in drive(world.DelayedWorld(), 60)[0]:
        memory.append(chunk)
    obs, action, reward, new, terminated, truncated = memory.sample()
    assert [leaf.dtype for leaf in obs] == [torch.float32] * 3 + [torch.uint8] + [torch.float32] * 4
    assert action.shape == (16, 3)
    assert {t.dtype for t in (action, reward, terminated, truncated)} == {torch.float32}
    assert reward.shape == terminated.shape == truncated.shape == (16,)
    assert len(new) == len(obs) == 8


def test_one_flipped_bit_is_found_and_named(world: ModuleType) -> None:
    for column, place in (("obs.3", (9, 5, 5)), ("obs.0", (9, 0)), ("action", (9, 2)), ("reward", (9,))):
        chunks, _ = drive(world.DelayedWorld((19,)), 20, rows=50)
        memory = full(crc_debug=True)
        raw = chunks[0].columns[column]
        raw.view(f"u{raw.itemsize}")[place] ^= 1
        memory.append(chunks[0])
        with pytest.raises(
            CrcError, match=rf"{column}.* of worker 0, episode 0, step (9|1\d)" if column != "action" else "obs|action"
        ):
            for _ in range(20):
                memory.sample()


def test_every_single_bit_of_a_picture_counts(world: ModuleType) -> None:
    chunks, _ = drive(world.DelayedWorld((4,)), 5, rows=50)
    picture = chunks[0].columns["obs.3"]
    for bit in range(0, 8 * picture[2].size, 7):
        picture[2].reshape(-1)[bit // 8] ^= 1 << bit % 8
        memory = full(crc_debug=True)
        memory.append(chunks[0])
        with pytest.raises(CrcError, match=r"obs\.3"):
            for _ in range(10):
                memory.sample()
        picture[2].reshape(-1)[bit // 8] ^= 1 << bit % 8


def test_checksums_are_said_to_be_right_or_missing(world: ModuleType) -> None:
    said: list[str] = []
    memory = MemoryTMFull("cpu", 1, batch_size=4, memory_size=500, crc_debug=True, say=said.append)
    for chunk in drive(world.DelayedWorld(), 30)[0]:
        memory.append(chunk)
    memory.sample()
    assert said == ["CRC check passed: 4 transitions are what the workers saw."]
    memory = full(crc_debug=True)
    for chunk in drive(world.DelayedWorld(), 30, crc=False)[0]:
        memory.append(chunk)
    with pytest.raises(SampleError, match="start the worker with crc_debug=True"):
        memory.sample()


class ListMemory(TorchMemory):
    """Stores in its own way, as the seed's example does."""

    def __init__(self, device: Any, nb_steps: int, **options: Any) -> None:
        super().__init__(device, nb_steps, **options)
        self.data: list[Any] = []

    def append_buffer(self, buffer: Any) -> None:
        self.data += buffer.memory
        self.data = self.data[-self.memory_size :]

    def __len__(self) -> int:
        return max(0, len(self.data) - 1)

    def get_transition(self, item: int) -> Any:
        while self.data[item + 1][5]["step"] == 0:
            item -= 1
        last, new = self.data[item], self.data[item + 1]
        return last[1], new[0], new[2], new[1], new[3], new[4], new[5]


def test_a_memory_with_a_list_of_its_own_works(world: ModuleType) -> None:
    said: list[str] = []
    memory = ListMemory("cpu", 2, batch_size=8, crc_debug=True, say=said.append)
    chunks, truth = drive(world.DelayedWorld((9,)), 40, compressor=identity, context=1)
    for chunk in chunks:
        memory.append(chunk)
    check = [memory.get_transition(i) for i in range(8)]
    for *transition, info in check:
        expected = truth[info["worker_id"], info["episode"], info["step"]]
        assert transition[3][3].tobytes() == expected[3][3].tobytes()
        assert transition[0][3].tobytes() == expected[0][3].tobytes()
    batches = list(memory)
    assert len(batches) == 2
    assert batches[0][0][3].shape == (8, 4, 6, 6)
    assert said[0].startswith("CRC check passed")
    with pytest.raises(SampleError, match="ListMemory stores samples in its own way"):
        memory.save(Path("nowhere"))


def test_buffers_of_samples_are_stored_like_chunks(world: ModuleType) -> None:
    memory, env, truth = GenericTorchMemory("cpu", 1, memory_size=500), world.DelayedWorld(), {}
    buffer, life = Buffer(), []
    done, episode, step, last = True, -1, 0, None
    for k in range(100):
        if done:
            last, _ = env.reset()
            sample: Any = (env.default_action, last, 0.0, False, False, {})
            episode, step = episode + 1, 0
        else:
            action = np.full(3, k / 100, np.float32)
            obs, *rest = env.step(action)
            sample, step = (action, obs, *rest), step + 1
            truth[0, episode, step] = (last, action, rest[0], obs, rest[1], rest[2])
            last = obs
        done = sample[3] or sample[4]
        buffer.append_sample(sample)
        life.append(sample)
        if k % 9 == 8:  # a buffer ends anywhere in an episode
            memory.append_buffer(buffer)
            buffer.clear()
    memory.append_buffer(buffer)
    check_all(memory, truth)


def test_pictures_travel_as_jpeg(world: ModuleType) -> None:
    compressor = with_jpeg(get_local_buffer_sample_tm20_imgs, quality=95)
    chunks, truth = drive(world.DelayedWorld((9,)), 40, compressor=compressor, crc=False)
    assert all(c.columns["obs.3"].ndim == 2 for c in chunks)
    memory = full()
    for chunk in chunks:
        memory.append(chunk)
    for last, *_, info in _all(memory):
        expected = truth[info["worker_id"], info["episode"], info["step"]][0][3]
        assert last[3].shape == expected.shape
        assert np.abs(last[3].astype(int) - expected).mean() < 40  # noise is the worst that JPEG can be given
    chunks[0].columns["obs.3"][0, :2] = 0
    with pytest.raises(SampleError, match=r"no JPEG picture arrived in obs\.3"):
        full().append(chunks[0])


def test_a_picture_that_claims_to_be_huge_is_not_unpacked(world: ModuleType) -> None:
    compressor = with_jpeg(get_local_buffer_sample_tm20_imgs)
    chunk = drive(world.DelayedWorld((9,)), 10, compressor=compressor, crc=False)[0][0]
    content = chunk.columns["obs.3"][0]
    frame = bytes(content).index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = 255
    with pytest.raises(SampleError, match="no JPEG picture"):
        full().append(chunk)


def test_many_pictures_that_unpack_to_gigabytes_are_not_unpacked(world: ModuleType, monkeypatch: Any) -> None:
    compressor = with_jpeg(get_local_buffer_sample_tm20_imgs)
    chunk = drive(world.DelayedWorld((9,)), 10, compressor=compressor, crc=False)[0][0]
    monkeypatch.setattr("trackmaster.rl.samples.pictures.MAX_PIXELS", len(chunk) * 36)
    full().append(chunk)
    monkeypatch.setattr("trackmaster.rl.samples.pictures.MAX_PIXELS", len(chunk) * 36 - 1)
    monkeypatch.setattr("cv2.imdecode", None)  # whoever calls it fails
    with pytest.raises(SampleError, match=f"{len(chunk)} pictures of {len(chunk) * 36} pixels"):
        full().append(chunk)


def test_rows_for_which_there_is_no_room_are_refused_and_others_are_taken(world: ModuleType) -> None:
    chunk = drive(world.DelayedWorld((9,)), 10)[0][0]
    memory = TorchMemory("cpu", 1)
    picture = np.broadcast_to(np.uint8(0), (len(chunk), 2**40))  # takes no room itself
    with pytest.raises(SampleError, match=r"1000000 rows of \d+ bytes, .* GiB in all, does not fit this machine"):
        memory.append(replace(chunk, first_step=1, columns={**chunk.columns, "obs.3": picture}))
    assert memory.append(chunk) == len(chunk) - 1


def test_lidar_has_its_own_compressor() -> None:
    lidar, actions = np.arange(8.0, dtype=np.float32).reshape(4, 2), [np.zeros(3, np.float32)] * 4
    kept = get_local_buffer_sample_lidar(actions[0], (np.ones(1), lidar, *actions), 1.0, False, False, {})
    assert len(kept[1]) == 2
    np.testing.assert_array_equal(kept[1][1], lidar[-1])
    assert MemoryTMLidar("cpu", 1).history == {"1": 4}


def test_actions_stand_behind_an_observation_with_tuples_inside() -> None:
    memory, buffer = TorchMemory("cpu", 1, memory_size=20, act_buf_len=2, seed=0), Buffer()
    for k in range(4):
        inner = (np.full(2, k, np.float32), np.full(1, -k, np.float32))
        buffer.append_sample((np.full(3, k, np.float32), (np.full(1, k, np.float32), inner), 0.0, False, k == 3, {}))
    memory.append_buffer(buffer)
    last, action, _, new, *_ = memory.get_transition(len(memory) - 1)
    assert len(new) == len(last) == 4
    assert (new[1][0].tolist(), action.tolist()) == ([3, 3], [3, 3, 3])
    assert [seen.tolist() for seen in (*last[2:], *new[2:])] == [[1] * 3, [2] * 3, [2] * 3, [3] * 3]


def test_float_pictures_are_rounded_and_clipped() -> None:
    images = np.stack([np.zeros((2, 2)), np.array([[1.0, 0.5], [255 / 255, 1.01]])]).astype(np.float32)
    kept = get_local_buffer_sample_tm20_imgs(0, (0, 0, 0, images), 0.0, False, False, {})[1][3]
    assert kept.dtype == np.uint8
    assert kept.tolist() == [[255, 128], [255, 255]]  # white stays white


def test_sequences_are_consecutive(world: ModuleType) -> None:
    memory = full()
    for chunk in drive(world.DelayedWorld((40,)), 200, rows=20)[0]:
        memory.append(chunk)
    obs, action, _, new, _, _ = memory.sample_sequences(6)
    assert obs[3].shape == (16, 6, 4, 6, 6)
    assert action.shape == (16, 6, 3)
    for k in range(5):
        for a, b in zip(obs, new, strict=True):
            assert torch.equal(a[:, k + 1], b[:, k])
    with pytest.raises(SampleError, match="no runs of 60"):
        memory.sample_sequences(60)


def test_a_saved_memory_goes_on_with_the_same_draws(world: ModuleType, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("trackmaster.rl.memory.shards.SHARD_ROWS", 64)
    monkeypatch.setattr("trackmaster.rl.memory.ring.SHARD_ROWS", 64)
    chunks, _ = drive(world.DelayedWorld((40, 5)), 700)
    memory = MemoryTMFull("cpu", 3, memory_size=400, batch_size=8, seed=2)
    for chunk in chunks[:40]:
        memory.append(chunk)
    first = memory.save(tmp_path)
    written = {p.name for p in tmp_path.glob("obs.3-*")}
    for chunk in chunks[40:44]:
        memory.append(chunk)
    state = json.loads(json.dumps(memory.save(tmp_path)))
    fresh = {p.name for p in tmp_path.glob("obs.3-*")} - written
    assert 1 <= len(fresh) < len(written), "only what changed is written"
    drop_older(tmp_path, state["generation"])
    assert not (tmp_path / f"index-{first['generation']}.json").exists()
    other = MemoryTMFull("cpu", 3, memory_size=400, batch_size=8, seed=99)
    other.load(tmp_path, state)
    for chunk in chunks[44:]:
        memory.append(chunk)
        other.append(chunk)
        for (_, a), (_, b) in zip(leaves(memory.sample()), leaves(other.sample()), strict=True):
            assert torch.equal(a, b)


def test_damaged_or_foreign_memories_are_refused(world: ModuleType, tmp_path: Path) -> None:
    memory = full()
    for chunk in drive(world.DelayedWorld(), 60)[0]:
        memory.append(chunk)
    state = memory.save(tmp_path)
    with pytest.raises(SampleError, match="saved with memory_size 4000"):
        MemoryTMFull("cpu", 1, memory_size=10).load(tmp_path, state)
    with pytest.raises(SampleError, match="Keep IMG_HIST_LEN"):
        GenericTorchMemory("cpu", 1, memory_size=4_000).load(tmp_path, state)
    file = next(tmp_path.glob("obs.3-*"))
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(SampleError, match="does not have the content that was saved"):
        full().load(tmp_path, state)
    file.write_bytes(b"x")
    with pytest.raises(SampleError, match="the saved memory is damaged"):
        full().load(tmp_path, state)
    file.unlink()
    with pytest.raises(SampleError, match="the saved memory is damaged"):
        full().load(tmp_path, state)


def test_offline_data_come_from_a_file_without_pickles(world: ModuleType, tmp_path: Path) -> None:
    chunks, truth = drive(world.DelayedWorld((7, 2)), 40, rows=100, compressor=identity, crc=False)
    columns = {k: np.concatenate([c.columns[k] for c in chunks]) for k in chunks[0].columns}
    np.savez(tmp_path / "data.npz", **columns)
    (tmp_path / "folder").mkdir()
    for name, column in columns.items():
        np.save(tmp_path / "folder" / f"{name}.npy", column)
    for path in (tmp_path / "data.npz", tmp_path / "folder"):
        check_all(GenericTorchMemory("cpu", 1, memory_size=100, dataset_path=str(path)), truth, complete=False)
    np.savez(tmp_path / "bad.npz", action=np.array([{}], dtype=object))
    with pytest.raises(SampleError, match=r"bad\.npz: cannot be read"):
        GenericTorchMemory("cpu", 1, dataset_path=str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "half.npz", action=np.zeros(3), speed=np.zeros(3))
    with pytest.raises(SampleError, match=r"missing: reward.*unknown: speed"):
        GenericTorchMemory("cpu", 1, dataset_path=str(tmp_path / "half.npz"))
    with pytest.raises(SampleError, match="no such file"):
        GenericTorchMemory("cpu", 1, dataset_path=str(tmp_path / "no.npz"))


def test_samples_that_do_not_fit_are_refused_and_nothing_changes(world: ModuleType) -> None:
    chunks, _ = drive(world.DelayedWorld((9,)), 60)
    memory = full()
    with pytest.raises(SampleError, match="no transitions to draw"):
        memory.sample()
    memory.append(chunks[0])
    before = len(memory)
    chunks[1].columns["reward"][0] = np.nan
    with pytest.raises(SampleError, match="reward holds values that are not finite"):
        memory.append(chunks[1])
    chunks[2].columns["obs.3"] = chunks[2].columns["obs.3"][:, :5]
    with pytest.raises(SampleError, match=r"obs\.3 is uint8"):
        memory.append(chunks[2])
    assert len(memory) == before


def _as_bytes(columns: Any, lengths: Any) -> dict[str, Any]:
    return {"obs.3": columns["obs.3"].reshape(len(lengths), -1), "bytes.3": lengths}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("reward"), "reward is missing"),
        (lambda c: c.update({"obs.7": c["obs.0"]}), r"the leaves of the observation are 0, 1, 2, 3, 7"),
        (lambda c: c.update({"obs.3.x": c["obs.0"]}), "the leaves of the observation are"),
        (lambda c: [c.pop(f"obs.{i}") for i in range(4)], "the leaves of the observation are missing"),
        (lambda c: c.update(truncated=c["truncated"].astype(np.float32)), "truncated is float32"),
        (lambda c: c.update(reward=c["reward"][:, None]), r"reward is float32\(\d, 1\)"),
        (lambda c: c["action"].fill(np.inf), "action holds values that are not finite"),
        (lambda c: c.update({"info.lap": np.zeros((len(c["reward"]), 3), np.float32)}), r"info\.lap is shaped"),
        (lambda c: c.update(crc=np.zeros(len(c["reward"]), np.uint32)), r"crc is uint32\(\d+,\)"),
        (lambda c: c.update({"bytes.9": np.zeros(len(c["reward"]), np.int32)}), r"bytes\.9 has no bytes"),
        (lambda c: c.update({"bytes.0": np.zeros(len(c["reward"]), np.int32)}), r"bytes\.0 has no bytes"),
        (lambda c: c.update(_as_bytes(c, np.zeros((len(c["reward"]), 2), np.int32))), r"bytes\.3 is int32\(\d+, 2\)"),
        (lambda c: c.update(_as_bytes(c, np.full(len(c["reward"]), 37, np.int32))), "from 37 to 37, there are 36"),
    ],
)
def test_what_is_no_run_of_samples_is_refused(world: ModuleType, change: Any, message: str) -> None:
    """Also as the very first chunk, with which no other can be compared; by memories of either kind."""
    for memory in (full(), ListMemory("cpu", 1)):
        chunk = drive(world.DelayedWorld((9,)), 10)[0][0]
        change(chunk.columns)
        with pytest.raises(SampleError, match=message):
            memory.append(chunk)
        assert len(memory) == 0


def test_the_samples_of_one_worker_can_be_given_up(world: ModuleType) -> None:
    memory = full()
    for worker in (1, 2):
        for chunk in drive(world.DelayedWorld(), 60, worker=worker)[0]:
            memory.append(chunk)
    n = len(memory)
    assert 0 < memory.evict(1) < n
    assert {info["worker_id"] for *_, info in _all(memory)} == {2}


def test_a_sample_preprocessor_sees_whole_transitions(world: ModuleType) -> None:
    def louder(obs: Any, action: Any, reward: Any, new: Any, terminated: Any, truncated: Any) -> Any:
        assert obs[3].shape == (4, 6, 6)
        return obs, action, 100.0 + abs(reward), new, terminated, truncated

    memory = full(sample_preprocessor=louder, crc_debug=True)
    for chunk in drive(world.DelayedWorld(), 60)[0]:
        memory.append(chunk)
    assert bool((memory.sample()[2] >= 100).all())


@pytest.mark.parametrize("space", ["array", "dict", "discrete"])
def test_other_observations_and_actions_work_too(space: str) -> None:
    builder = ChunkBuilder(session="s")
    for k in range(6):
        obs: Any = np.array([k, k], np.float64)
        if space == "dict":
            obs = {"b": np.array([k], np.int16), "a": {"x": np.float32(k)}}
        action: Any = k if space == "discrete" else np.array([0.1 * k])
        row = row_of((action, obs, k, k == 5, False, {}))
        builder.add(row) if k else builder.begin(row)
    memory = GenericTorchMemory("cpu", 1, batch_size=4, memory_size=50)
    memory.append(builder.take(end=True))
    obs, action, *_ = memory.sample()
    if space == "dict":
        assert obs["b"].dtype == torch.int32
        assert torch.equal(obs["a"]["x"].to(torch.int32), obs["b"][:, 0])
    elif space == "discrete":
        assert action.dtype == torch.int64
        assert torch.equal(action, obs[:, 0].to(torch.int64) + 1)
    else:
        assert obs.dtype == torch.float32
