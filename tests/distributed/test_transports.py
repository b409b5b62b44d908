"""The promises of a transport, for those that join the roles on one machine."""

import importlib
import multiprocessing
import os
import signal
import time
from multiprocessing.context import SpawnProcess
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import pytest
import torch

from trackmaster.distributed.transport import local
from trackmaster.distributed.transport.contract import TransportError, Weights
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.distributed.transport.local import LocalTransport, LocalWorkerEnd, _Worker
from trackmaster.distributed.transport.shared_slots import ChunkSlots, WeightsBoard
from trackmaster.rl.samples.chunk import Chunk, SampleError, iqn_sample_spec

SPEC = iqn_sample_spec((1, 36, 36), 8)
PATIENCE_S = 60.0


def start(task: str, n_workers: int = 1) -> LocalTransport:
    function = getattr(importlib.import_module("toy_task"), task)
    return LocalTransport(function, n_workers, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)


def receive(link: LocalTransport, enough: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(chunks) < enough and time.monotonic() < deadline:
        chunks += link.recv_chunks(1.0)
        link.check_workers()
    return chunks


def test_worker_processes_send_ordered_chunks_and_take_new_weights(importable_helpers: None) -> None:
    link = start("drive", n_workers=2)
    try:
        link.publish(Weights.pack(1, {"action": torch.tensor([0.0])}))
        first: list[Chunk] = []
        while {c.worker_id for c in first} != {0, 1}:
            first += receive(link, 1)
        link.publish(Weights.pack(2, {"action": torch.tensor([3.0])}))
        later = receive(link, 150)
    finally:
        processes = [worker.process for worker in link._workers]
        link.close()
    assert [process.exitcode for process in processes] == [0, 0], "they end by themselves and need not be killed"
    for worker in (0, 1):
        sequence = [c.seq for c in first + later if c.worker_id == worker]
        assert sequence == list(range(len(sequence)))
    for chunk in first + later:
        chunk.check(SPEC)
        assert (chunk.columns["action"][chunk.context or 1 :] == {1: 0, 2: 3}[chunk.weights_version]).all()
    assert 2 in {c.weights_version for c in later}


def numbered(number: int) -> Chunk:
    """A chunk whose every row says which one it is."""
    columns = {name: np.zeros((3, *c.shape), c.dtype) for name, c in SPEC.items()}
    columns["floats"][:] = number
    history = np.full((4, 3), number + 0.1, np.float32) if number % 2 else np.zeros((0, 0), np.float32)
    return Chunk("s", number, 0, 0, 2 * number, 0, 1, columns, end_of_episode=False, act_history=history)


class PausingReader:
    """The slots' semaphore of a trainer that reads only when the worker has found no free slot for the second time."""

    def __init__(self, link: LocalTransport, n_slots: int) -> None:
        self._link, self._free, self._refused = link, n_slots, 0
        self.received: list[Chunk] = []

    def acquire(self, *args: object, **kwargs: object) -> bool:
        if not self._free:
            self._refused += 1
            if self._refused % 2:
                return False
            self.received += self._link.recv_chunks(0.0)
        self._free -= 1
        return True

    def release(self) -> None:
        self._free += 1


def test_a_full_queue_blocks_the_worker_instead_of_losing_rows() -> None:
    context = multiprocessing.get_context("spawn")
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    slots, (receiving, sending) = ChunkSlots(SPEC, 3, 2), context.Pipe(duplex=False)
    reader = PausingReader(link, 2)
    link._workers.append(_Worker(FakeProcess(is_alive=True), receiving, slots, reader))  # type: ignore[arg-type]
    address = local._Address(SPEC, 3, 2, slots.name, link._board.name, 4096)
    end = LocalWorkerEnd(address, reader, sending, context.Event())  # type: ignore[arg-type]
    try:
        for number in range(7):
            end.send_chunk(numbered(number))
        chunks = reader.received + link.recv_chunks(0.0)
        assert [c.seq for c in chunks] == list(range(7))
        for chunk in chunks:
            assert (chunk.columns["floats"] == chunk.first_step / 2).all(), "a row that nobody had read was overwritten"
            np.testing.assert_array_equal(chunk.act_history, numbered(chunk.seq).act_history, strict=True)
    finally:
        end.close()
        link.close()


def test_a_worker_that_waits_for_a_slot_ends_when_it_is_asked_to() -> None:
    context = multiprocessing.get_context("spawn")
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=1, weights_bytes=4096)
    slots, (receiving, sending), stop = ChunkSlots(SPEC, 3, 1), context.Pipe(duplex=False), context.Event()
    address = local._Address(SPEC, 3, 1, slots.name, link._board.name, 4096)
    end = LocalWorkerEnd(address, context.Semaphore(0), sending, stop)
    try:
        stop.set()
        end.send_chunk(numbered(0))
        assert not receiving.poll()
    finally:
        end.close()
        receiving.close()
        slots.close()
        link.close()


needs_masks = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here")


@needs_masks
def test_ctrl_c_does_not_end_a_worker_that_is_still_starting(importable_helpers: None) -> None:
    link = start("drive")
    try:
        pid = link._workers[0].process.pid
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        link.publish(Weights.pack(1, {"action": torch.tensor([0.0])}))
        assert receive(link, 1)
    finally:
        link.close()


@needs_masks
def test_ctrl_c_waits_until_the_workers_are_started_and_then_ends_them(
    importable_helpers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_Worker] = []
    original = LocalTransport._start

    def interrupted(link: LocalTransport, *args: Any) -> _Worker:
        os.kill(os.getpid(), signal.SIGINT)
        started.append(original(link, *args))
        return started[-1]

    monkeypatch.setattr(LocalTransport, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start("drive", n_workers=2)
    assert len(started) == 2
    assert all(worker.process.exitcode is not None for worker in started)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.parametrize(("task", "message"), [
    ("fail_politely", "^the map is missing: download it$"), ("fail", "ZeroDivisionError: a bug"),
    ("vanish", "exit code 7"),
])  # fmt: skip
def test_a_failing_worker_stops_the_trainer_with_its_reason(importable_helpers: None, task: str, message: str) -> None:
    link = start(task)
    try:
        with pytest.raises(TransportError, match=message):
            receive(link, 1)
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                link.recv_chunks(0.05)
                link.check_workers()
    finally:
        link.close()


class BrokenPipe:
    """Behaves as a pipe does on Windows once the worker has closed its end."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages, self.is_closed = messages, False

    def poll(self) -> bool:
        if not self._messages:
            raise BrokenPipeError(109, "The pipe has been ended")
        return True

    def recv_bytes(self) -> bytes:
        return self._messages.pop(0)

    def close(self) -> None:
        self.is_closed = True


class FakeProcess:
    """A worker process that ends when it is waited for."""

    def __init__(self, *, is_alive: bool) -> None:
        self.exitcode = None if is_alive else 0

    def join(self, timeout: float | None = None) -> None:
        self.exitcode = 0


def fake_worker(messages: list[bytes], *, is_alive: bool = False) -> _Worker:
    free = multiprocessing.get_context("spawn").Semaphore(1)
    return _Worker(FakeProcess(is_alive=is_alive), BrokenPipe(messages), ChunkSlots(SPEC, 3, 2), free)  # type: ignore[arg-type]


@pytest.mark.parametrize("last_words", [[], [b'{"bye": true}']])
def test_a_pipe_that_raises_when_it_is_asked_means_that_the_worker_has_left(
    monkeypatch: pytest.MonkeyPatch, last_words: list[bytes]
) -> None:
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    worker = fake_worker(last_words)
    link._workers.append(worker)
    monkeypatch.setattr(local, "wait", lambda pipes, timeout: pipes)
    try:
        assert link.recv_chunks(0.0) == []
        assert worker.has_left
        with pytest.raises(TransportError, match="ended unexpectedly"):
            link.check_workers()
    finally:
        link.close()


def test_the_reason_that_still_waits_in_the_pipe_is_told() -> None:
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    link._workers.append(fake_worker([b'{"error": "the map is missing"}', b'{"bye": true}']))
    try:
        with pytest.raises(TransportError, match="the map is missing"):
            link.check_workers()
    finally:
        link.close()


def test_closing_goes_on_for_every_worker_and_releases_the_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    link._workers += [fake_worker([], is_alive=True), fake_worker([b'{"bye": true}'], is_alive=True), fake_worker([])]
    workers = list(link._workers)
    names = [w.slots.name for w in workers] + [link._board.name]

    def fail(timeout: float | None = None) -> None:
        raise OSError("the process cannot be waited for")

    monkeypatch.setattr(workers[0].process, "join", fail)
    with pytest.raises(OSError, match="cannot be waited for"):
        link.close()
    assert all(w.pipe.is_closed for w in workers)  # type: ignore[attr-defined]
    assert [w.has_left for w in workers[:2]] == [True, True]
    for name in names:
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)


def test_a_worker_that_cannot_be_started_leaves_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ChunkSlots] = []

    def remember(*args: object) -> ChunkSlots:
        made.append(ChunkSlots(*args))  # type: ignore[arg-type]
        return made[-1]

    def fail(process: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(local, "ChunkSlots", remember)
    monkeypatch.setattr(SpawnProcess, "start", fail)
    with pytest.raises(OSError, match="no more processes"):
        LocalTransport(print, 1, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    with pytest.raises(FileNotFoundError):
        SharedMemory(made[0].name)


def test_weights_arrive_whole_or_not_at_all() -> None:
    weights = Weights.pack(3, {"a": torch.arange(5.0)})
    torch.testing.assert_close(weights.unpack()["a"], torch.arange(5.0))
    with pytest.raises(TransportError, match="damaged"):
        Weights(3, weights.blob[:-1] + b"x", weights.sha256).unpack()


def test_weights_board_gives_the_newest_only() -> None:
    board = WeightsBoard(4096)
    reader = WeightsBoard(4096, name=board.name)
    try:
        assert reader.read(-1) is None
        for version in (1, 2, 3):
            board.write(Weights.pack(version, {"a": torch.full((3,), float(version))}))
        newest = reader.read(1)
        assert newest is not None
        assert newest.version == 3
        assert newest.unpack()["a"].tolist() == [3.0, 3.0, 3.0]
        assert reader.read(3) is None
        with pytest.raises(TransportError, match="do not fit"):
            board.write(Weights.pack(4, {"a": torch.zeros(2000)}))
        board._buffer[-4096:] = bytes(4096)
        board._buffer[8 + 40 : 8 + 60] = b"x" * 20
        with pytest.raises(TransportError, match="damaged"):
            reader.read(1)
    finally:
        reader.close()
        board.close()


def test_slots_keep_every_column_apart() -> None:
    slots = ChunkSlots(SPEC, 4, 2)
    rng = np.random.default_rng(0)
    try:
        written = []
        for slot in (0, 1):
            columns = {name: rng.integers(0, 2, (4, *c.shape)).astype(c.dtype) for name, c in SPEC.items()}
            assert slots.write(slot, columns) == 4
            written.append(columns)
        for slot in (0, 1):
            read = slots.read(slot, 4)
            for name in SPEC:
                np.testing.assert_array_equal(read[name], written[slot][name])
        with pytest.raises(TransportError, match="does not exist"):
            slots.read(2, 1)
        with pytest.raises(TransportError, match="chunk_rows"):
            slots.write(0, {name: np.zeros((5, *c.shape), c.dtype) for name, c in SPEC.items()})
    finally:
        slots.close()


def test_in_process_link_lets_the_worker_collect_when_the_trainer_waits() -> None:
    link = InProcessTransport()
    turns = []
    link.pump = lambda: turns.append(1)
    assert link.recv_chunks(0.0) == []
    assert turns == []
    link.recv_chunks(0.05)
    assert turns == [1]


def test_in_process_link_keeps_copies_of_columns_and_action_histories() -> None:
    link = InProcessTransport()
    chunk = numbered(1)
    link.send_chunk(chunk)
    chunk.columns["floats"][:] = -1
    chunk.act_history[:] = -1
    (received,) = link.recv_chunks(0.0)
    np.testing.assert_array_equal(received.columns["floats"], numbered(1).columns["floats"])
    np.testing.assert_array_equal(received.act_history, numbered(1).act_history, strict=True)


def test_foreign_columns_are_refused_with_a_list() -> None:
    columns = {name: np.zeros((2, *c.shape), c.dtype) for name, c in SPEC.items()}
    columns["floats"] = np.zeros((2, 9), np.float32)
    del columns["greedy"]
    chunk = Chunk("s", 0, 0, 0, 0, 0, 1, columns, end_of_episode=True)
    with pytest.raises(SampleError, match=r"floats is float32\(2, 9\).*greedy is missing"):
        chunk.check(SPEC)
