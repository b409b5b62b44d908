"""Worker processes on this machine: chunks in shared memory, slot numbers through a pipe, weights on a board.

Nothing is pickled once a process has started. A worker blocks while all of its slots are full; it ends when asked to,
and by itself when the trainer's process is gone.
"""

import contextlib
import json
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event, Semaphore
from typing import Any

import numpy as np

from trackmaster.distributed.transport.contract import TransportError, Weights
from trackmaster.distributed.transport.shared_slots import ChunkSlots, WeightsBoard
from trackmaster.errors import TrackmasterError
from trackmaster.interrupts import interrupts_held_back
from trackmaster.rl.samples.chunk import Chunk, SampleSpec

POLL_S = 0.2
CLOSE_S = 10.0
"""How long a worker may take to finish its step and say goodbye before it is terminated."""

WorkerTask = Callable[["LocalWorkerEnd", int], None]
"""Runs a worker until its end says stop; must be importable, because it is named in another process."""


@dataclass(frozen=True)
class _Address:
    """What a worker process needs to find its end of the link."""

    spec: SampleSpec
    max_rows: int
    n_slots: int
    slots_name: str
    board_name: str
    board_bytes: int


class LocalWorkerEnd:
    """A worker's end: writes chunks into its own slots."""

    def __init__(self, address: _Address, free: Semaphore, pipe: "Connection[Any, Any]", stop: Event) -> None:
        self._slots = ChunkSlots(address.spec, address.max_rows, address.n_slots, name=address.slots_name)
        self._board = WeightsBoard(address.board_bytes, name=address.board_name)
        self._free, self._pipe, self._stop = free, pipe, stop
        self._next_slot = 0

    def send_chunk(self, chunk: Chunk) -> None:
        """Copy the chunk into a free slot, waiting for one if need be; dropped if the trainer ends meanwhile."""
        while not self._free.acquire(timeout=POLL_S):
            if self.should_stop():
                return
        rows = self._slots.write(self._next_slot, chunk.columns)
        header = {k: v for k, v in chunk.__dict__.items() if k != "columns"}
        header |= {"stats": dict(chunk.stats), "act_history": chunk.act_history.tolist()}
        self._send({"slot": self._next_slot, "rows": rows, "chunk": header})
        self._next_slot = (self._next_slot + 1) % self._slots.n_slots

    def poll_weights(self, have: int) -> Weights | None:
        """Return the newest weights if they are newer than ``have``."""
        return self._board.read(have)

    def should_stop(self) -> bool:
        """Return whether to end, because the trainer said so or is gone."""
        parent = multiprocessing.parent_process()
        return self._stop.is_set() or (parent is not None and not parent.is_alive())

    def report(self, error: str) -> None:
        """Tell the trainer in a sentence why this worker ends."""
        self._send({"error": error})

    def close(self) -> None:
        """Say goodbye."""
        self._send({"bye": True})
        self._slots.close()
        self._board.close()
        self._pipe.close()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._pipe.send_bytes(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionError):
            self._stop.set()


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection[Any, Any]"
    slots: ChunkSlots
    free: Semaphore
    has_left: bool = False


class LocalTransport:
    """The trainer's end of N worker processes.

    Args:
        task: what each worker runs, called with its end and its number.
        n_workers: processes to start.
        spec: columns of a row.
        max_rows: rows of the largest chunk.
        n_slots: chunks a worker may be ahead.
        weights_bytes: size of the largest weights message.
    """

    def __init__(
        self, task: WorkerTask, n_workers: int, *, spec: SampleSpec, max_rows: int, n_slots: int, weights_bytes: int
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.Event()
        self._is_closed = False
        self._board = WeightsBoard(weights_bytes)
        self._workers: list[_Worker] = []
        try:
            with interrupts_held_back():
                for number in range(n_workers):
                    self._workers.append(self._start(task, number, spec, max_rows, n_slots, weights_bytes))
        except BaseException:
            self.close()
            raise

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what has arrived, waiting for at most ``timeout_s`` if there is nothing.

        Raises:
            TransportError: a worker ended with an error.
        """
        pipes = {w.pipe: w for w in self._workers if not w.has_left}
        ready = wait(list(pipes), timeout_s)
        chunks: list[Chunk] = []
        for pipe in ready:
            worker = pipes[pipe]  # type: ignore[index]
            for _ in range(worker.slots.n_slots):  # no more, or a fast worker would keep the learner here
                if _has_message(worker):
                    self._receive(worker, chunks)
        return chunks

    def publish(self, weights: Weights) -> None:
        """Make weights the newest."""
        self._board.write(weights)

    def check_workers(self) -> None:
        """Raise ``TransportError`` if a worker process has ended."""
        for number, worker in enumerate(self._workers):
            if worker.process.exitcode is not None or worker.has_left:
                last_chunks: list[Chunk] = []
                while _has_message(worker):  # the reason may still wait in the pipe
                    self._receive(worker, last_chunks)
                worker.process.join(CLOSE_S)  # the pipe breaks a moment before the process has ended
                raise TransportError(
                    f"Worker {number} ended unexpectedly (exit code {worker.process.exitcode}); its last rows may be "
                    "missing. Continue with --resume."
                )

    def close(self) -> None:
        """Ask the workers to end, wait, and remove the shared memory; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop.set()
        with contextlib.ExitStack() as stack:  # what fails for one worker keeps nothing of the others alive
            stack.callback(self._board.close)
            for worker in reversed(self._workers):
                stack.callback(worker.slots.close)
                stack.callback(worker.pipe.close)
                stack.callback(self._drain_until_gone, worker)
            self._workers = []

    def _start(
        self, task: WorkerTask, number: int, spec: SampleSpec, max_rows: int, n_slots: int, weights_bytes: int
    ) -> _Worker:
        slots = ChunkSlots(spec, max_rows, n_slots)
        address = _Address(spec, max_rows, n_slots, slots.name, self._board.name, weights_bytes)
        receiving, sending = self._context.Pipe(duplex=False)
        free = self._context.Semaphore(n_slots)
        process = self._context.Process(
            target=_worker_main, args=(task, number, address, free, sending, self._stop), daemon=True,
            name=f"trackmaster-worker-{number}",
        )  # fmt: skip
        try:
            process.start()
        except BaseException:
            receiving.close()
            slots.close()
            raise
        finally:
            sending.close()
        return _Worker(process, receiving, slots, free)

    def _receive(self, worker: _Worker, chunks: list[Chunk]) -> None:
        message = _next_message(worker)
        if message is None:
            return
        if "error" in message:
            raise TransportError(message["error"])
        columns = worker.slots.read(int(message["slot"]), int(message["rows"]))
        worker.free.release()
        header = message["chunk"]
        history = np.array(header.pop("act_history"), dtype=np.float32)
        if not history.size:
            history = history.reshape(0, 0)
        chunks.append(Chunk(columns=columns, act_history=history, **header))

    def _drain_until_gone(self, worker: _Worker) -> None:
        """Keep the pipe empty, because a worker that waits to write cannot end."""
        waited = 0.0
        while worker.process.exitcode is None and waited < CLOSE_S:
            while _has_message(worker):
                _next_message(worker)
            worker.process.join(POLL_S / 4)
            waited += POLL_S / 4
        if worker.process.exitcode is None:
            worker.process.terminate()
            worker.process.join()


def _has_message(worker: _Worker) -> bool:
    """Return whether something can be received; a pipe whose other end is closed raises here on Windows."""
    if worker.has_left:
        return False
    try:
        return worker.pipe.poll()
    except (EOFError, OSError):
        worker.has_left = True
        return False


def _next_message(worker: _Worker) -> dict[str, Any] | None:
    """Return the next message, or None when it is the worker's goodbye or the pipe has broken."""
    try:
        message: dict[str, Any] = json.loads(worker.pipe.recv_bytes())
    except (EOFError, OSError):
        worker.has_left = True
        return None
    if "bye" in message:
        worker.has_left = True
        return None
    return message


def _worker_main(
    task: WorkerTask, number: int, address: _Address, free: Semaphore, pipe: "Connection[Any, Any]", stop: Event
) -> None:
    # Ctrl+C reaches the trainer, which then asks us to end. Where signals can be blocked it never came here anyway.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = LocalWorkerEnd(address, free, pipe, stop)
    try:
        task(end, number)
    except TrackmasterError as error:
        end.report(str(error))
    except Exception as error:
        import traceback

        end.report(f"Worker {number} failed with {type(error).__name__}: {error}\n{traceback.format_exc()}")
    finally:
        end.close()
