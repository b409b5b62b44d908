"""One suite for every transport: what they promise does not depend on what they are made of."""

import importlib.util
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.distributed.net_kit import (
    SPEC,
    chunk,
    receive,
    relay,
    trainer_end,
    until,
    weights,
    worker_end,
)
from tests.distributed.wire_samples import same

from trackmaster.distributed.transport import local
from trackmaster.distributed.transport.contract import TrainerEnd, WorkerEnd
from trackmaster.distributed.transport.in_process import InProcessTransport
from trackmaster.distributed.transport.local import LocalTransport, LocalWorkerEnd, _Worker
from trackmaster.distributed.transport.shared_slots import ChunkSlots
from trackmaster.rl.samples.chunk import Chunk

KINDS = ("in_process", "local", "websocket", "websocket_tls", "ray")


class Link:
    """Both ends of a transport in one process."""

    def __init__(self, stack: ExitStack, trainer: TrainerEnd, make_worker: Callable[[int], WorkerEnd]) -> None:
        self._stack, self.trainer, self._make = stack, trainer, make_worker

    def worker(self, number: int) -> WorkerEnd:
        return self._make(number)


class _StandingProcess:
    """A worker process that is this one."""

    exitcode: int | None = None

    def join(self, timeout: float | None = None) -> None:
        self.exitcode = 0


def local_link(stack: ExitStack, folder: Path) -> Link:
    context = multiprocessing.get_context("spawn")
    link = LocalTransport(print, 0, spec=SPEC, max_rows=3, n_slots=2, weights_bytes=4096)
    stack.callback(link.close)

    def make(number: int) -> WorkerEnd:
        slots, (receiving, sending), free = ChunkSlots(SPEC, 3, 2), context.Pipe(duplex=False), context.Semaphore(2)
        link._workers.append(_Worker(_StandingProcess(), receiving, slots, free))  # type: ignore[arg-type]
        address = local._Address(SPEC, 3, 2, slots.name, link._board.name, 4096)
        return LocalWorkerEnd(address, free, sending, link._stop)

    return Link(stack, link, make)


def websocket_link(stack: ExitStack, folder: Path, *, tls: bool) -> Link:
    server = stack.enter_context(relay(folder, tls=tls))
    trainer = stack.enter_context(trainer_end(server))
    return Link(
        stack, trainer, lambda number: stack.enter_context(worker_end(server, worker_id=number, outbox_bytes=4000))
    )


def ray_link(stack: ExitStack) -> Link:
    from trackmaster.distributed.transport.ray_link import RayTransport

    hub = RayTransport(None, 0, max_chunks=4)
    stack.callback(hub.close)
    return Link(stack, hub, lambda number: hub.worker_end())


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """One small Ray for all tests of this file, because starting it takes long."""
    from trackmaster.distributed.transport.ray_link import ray_session

    with ray_session(num_cpus=1):
        yield


@pytest.fixture(params=KINDS)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Link]:
    with ExitStack() as stack:
        if request.param == "in_process":
            both = InProcessTransport()
            yield Link(stack, both, lambda number: both)
        elif request.param == "local":
            yield local_link(stack, tmp_path)
        elif request.param == "ray":
            if importlib.util.find_spec("ray") is None:
                pytest.skip("ray is not installed (extra 'cluster')")
            request.getfixturevalue("ray_here")
            yield ray_link(stack)
        else:
            yield websocket_link(stack, tmp_path, tls=request.param == "websocket_tls")


def drive(end: WorkerEnd, number: int, count: int) -> threading.Thread:
    """Send chunks from a thread of its own, as a worker does; in one process the turns follow each other."""

    def send() -> None:
        for i in range(count):
            end.send_chunk(chunk(i, worker=number, episode=i // 5, end=i % 5 == 4))

    thread = threading.Thread(target=send)
    thread.start()
    if isinstance(end, InProcessTransport):
        thread.join()
    return thread


def by_worker(chunks: list[Chunk], number: int) -> list[Chunk]:
    return [c for c in chunks if c.worker_id == number]


def test_chunks_arrive_in_order_once_and_unchanged(link: Link) -> None:
    threads = [drive(link.worker(number), number, 20) for number in (0, 1)]
    link.trainer.publish(weights(1))
    chunks = receive(link.trainer, 40)
    for thread in threads:
        thread.join()
    assert link.trainer.recv_chunks(0.05) == []
    for number in (0, 1):
        mine = by_worker(chunks, number)
        assert [c.seq for c in mine] == list(range(20))
        assert len({c.session for c in mine}) == 1
        for found in mine:
            sent = chunk(found.seq, worker=number, episode=found.seq // 5, end=found.seq % 5 == 4)
            version = found.weights_version  # weights that nobody has polled are of no known version
            assert same(replace(found, session=sent.session, weights_version=1), sent), found
            assert version in (1, -1)
    assert len({c.session for c in chunks}) == 2


def test_the_arrays_may_be_reused_once_a_chunk_is_handed_over(link: Link) -> None:
    end = link.worker(0)
    used = chunk(1)
    thread = threading.Thread(
        target=lambda: (end.send_chunk(used), used.columns["floats"].fill(-1), used.act_history.fill(-1))
    )
    thread.start()
    thread.join()
    (found,) = receive(link.trainer, 1)
    assert (found.columns["floats"] == 1).all()
    np.testing.assert_array_equal(found.act_history, chunk(1).act_history)


def test_the_newest_weights_win_and_chunks_name_the_ones_that_drove_them(link: Link) -> None:
    end = link.worker(0)
    assert end.poll_weights(-1) is None
    for version in (3, 4, 5):
        link.trainer.publish(weights(version))
    found = [w for w in [end.poll_weights(-1)] if w is not None]

    def has_newest() -> bool:
        newer = end.poll_weights(found[-1].version if found else -1)
        found.extend([newer] if newer is not None else [])
        return bool(found) and found[-1].unpack()["a"].tolist() == [5.0, 5.0, 5.0]

    until(has_newest, "the newest weights")
    versions = [w.version for w in found]
    assert versions == sorted(set(versions)), "versions only grow"
    assert end.poll_weights(versions[-1]) is None
    end.send_chunk(replace(chunk(0), weights_version=versions[-1]))
    (received,) = receive(link.trainer, 1)
    assert received.weights_version == 5, "the trainer sees its own numbers"


def test_a_full_queue_holds_the_worker_and_loses_nothing(link: Link) -> None:
    if isinstance(link.trainer, InProcessTransport):
        pytest.skip("in one process worker and trainer take turns; there is nobody to wait for")
    thread = drive(link.worker(0), 0, 60)
    chunks = receive(link.trainer, 60)
    thread.join()
    assert [c.seq for c in chunks] == list(range(60))


def test_workers_are_asked_to_end_when_the_trainer_closes(link: Link) -> None:
    end = link.worker(0)
    link.trainer.publish(weights(1))
    until(lambda: end.poll_weights(-1) is not None, "the first weights")
    assert not end.should_stop()
    closing = threading.Thread(target=link.trainer.close)
    closing.start()
    until(end.should_stop, "the trainer's goodbye")
    if not isinstance(link.trainer, InProcessTransport):
        end.close()
    closing.join()


def test_nothing_is_wrong_while_the_workers_live(link: Link) -> None:
    end = link.worker(0)
    link.trainer.check_workers()
    end.send_chunk(chunk(0))
    assert [c.seq for c in receive(link.trainer, 1)] == [0]
    link.trainer.check_workers()
