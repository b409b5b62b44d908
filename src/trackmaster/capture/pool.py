"""Workers in processes of their own, each with its game: one that dies costs nothing but the time of its replay."""

import _thread
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from trackmaster.capture.alike import AlikeFailures
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.errors import UNFORESEEN, CaptureError, ReplayRejectedError, WorkerLostError
from trackmaster.capture.ledger import Ledger
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.schedule import TrackQueue
from trackmaster.capture.tasks import Capturer, Task, attempt, rejection

log = logging.getLogger(__name__)

MAX_TRIES = 2
"""How often a replay may take its worker down before it is rejected."""

MAX_EMPTY_DEATHS = 3
"""How often a worker may die without a replay before it is not replaced any more."""

STOP_S = 20.0
"""How long a worker may take to leave its game when the run ends."""

MakeCapturer = Callable[[CaptureConfig, int], Capturer]
"""Builds what captures in worker number i; it travels to the process of the worker."""


@dataclass(frozen=True)
class Done:
    """A worker's answer: a task's outcome."""

    outcome: Outcome
    wall_s: float


@dataclass(frozen=True)
class Failed:
    """A worker's answer: it cannot go on."""

    text: str
    is_lost: bool
    """Only this worker is concerned; otherwise none can go on."""


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    pipe: "Connection[Any, Any]"
    leash: "Connection[Any, Any]"
    """Its end, closed by us or with us, tells the worker to leave its game at once."""
    task: Task | None = None
    again: "deque[Task]" = field(default_factory=deque)
    """Replays that it does once more on a freshly loaded map, before it takes others."""

    def close(self) -> None:
        """Let go of the worker."""
        self.pipe.close()
        self.leash.close()


class WorkerPool:
    """Runs the replays of a queue on several workers and hands every outcome to the ledger."""

    def __init__(self, config: CaptureConfig, make: MakeCapturer, ledger: Ledger) -> None:
        """Start nothing yet.

        Args:
            config: flags; ``workers`` says how many.
            make: builds a worker's capturer; has to be picklable.
            ledger: decides what is to be done.
        """
        self._config = config
        self._make = make
        self._ledger = ledger
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}
        self._alike = AlikeFailures(config)
        self._tries: dict[str, int] = {}
        self._empty_deaths: dict[int, int] = {}
        self._why_lost = ""

    @property
    def pids(self) -> dict[int, int]:
        """Process ids of the workers that live, by number."""
        return {number: worker.process.pid or 0 for number, worker in self._workers.items()}

    def run(self, queue: TrackQueue) -> Iterator[None]:
        """Work until the queue is empty; yield once per replay whose fate is known.

        Raises:
            CaptureError: nothing can be written any more, or no worker is left.
        """
        try:
            for number in range(min(self._config.workers, len(queue))):
                self._start(number)
            while True:
                yield from self._hand_out(queue)
                busy = [worker for worker in self._workers.values() if worker.task is not None]
                if not busy:
                    if len(queue) and self._workers:
                        continue  # all that had nothing to do had died: their successors have not been asked yet
                    self._complain_if_alone(queue)
                    return
                for pipe in wait([worker.pipe for worker in busy]):
                    worker = next(worker for worker in busy if worker.pipe is pipe)
                    yield from self._listen(worker, queue)
        finally:
            self._stop()

    def _start(self, number: int) -> None:
        ours, theirs = self._context.Pipe()
        held, leash = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work, args=(theirs, held, self._config, number, self._make), name=f"capture-{number}", daemon=True
        )
        process.start()
        theirs.close()
        held.close()
        self._workers[number] = _Worker(number, process, ours, leash)

    def _hand_out(self, queue: TrackQueue) -> Iterator[None]:
        """Give every idle worker a replay; yield for those whose fate is known without work."""
        for worker in list(self._workers.values()):
            if worker.task is None and worker.again:
                self._send(worker, worker.again.popleft(), queue)
                continue
            while worker.task is None and (file := queue.take(worker.number)) is not None:
                there_before = self._ledger.summary.skipped
                task = self._ledger.begin(file)
                if task is None:
                    queue.done(file, captured=self._ledger.summary.skipped > there_before)
                    yield
                    continue
                if not self._send(worker, task, queue):
                    break

    def _send(self, worker: _Worker, task: Task, queue: TrackQueue) -> bool:
        """Give a worker a task; return whether it took it."""
        try:
            worker.pipe.send(task)
        except OSError:  # it died while it had nothing to do, so the replay is not to blame
            queue.give_back(task.file)
            self._replace(worker, queue)
            return False
        worker.task = task
        return True

    def _listen(self, worker: _Worker, queue: TrackQueue) -> Iterator[None]:
        task = worker.task
        assert task is not None, "only workers with a task are waited for"
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(worker, task, queue)
            return
        worker.task = None
        if isinstance(answer, Failed):
            queue.give_back(task.file)
            if not answer.is_lost:
                raise CaptureError(answer.text)
            log.warning("worker %d stops: %s", worker.number, answer.text)
            self._why_lost = answer.text
            self._retire(worker, queue)
            return
        self._empty_deaths[worker.number] = 0
        again = self._alike.to_try_again(task, answer.outcome)
        for one in again:
            if one.file != task.file:
                queue.again(one.file)
        worker.again.extend(again)
        if again:
            return
        queue.done(task.file, captured=answer.outcome.status == "ok")
        if self._ledger.settle(task, answer.outcome, wall_s=answer.wall_s):
            yield

    def _bury(self, worker: _Worker, task: Task, queue: TrackQueue) -> Iterator[None]:
        """A worker died over a replay: replace it, and try the replay once more."""
        worker.process.join(STOP_S)
        code = worker.process.exitcode
        tries = self._tries[task.key] = self._tries.get(task.key, 0) + 1
        if tries < MAX_TRIES:
            log.warning("worker %d died over %s (exit code %s); it is tried once more.", worker.number, task.key, code)
            queue.give_back(task.file)
        else:
            queue.done(task.file, captured=False)
            died = ReplayRejectedError(
                f"{UNFORESEEN}worker_died",
                f"{task.file.path.name}: {tries} workers died over it, the last one with exit code {code}. Run again "
                "with --workers 1 to see why.",
            )
            self._ledger.settle(task, rejection(task, self._config, died), wall_s=0.0)
            yield
        self._replace(worker, queue)

    def _replace(self, worker: _Worker, queue: TrackQueue) -> None:
        """Start a dead worker's successor, unless it was the last of many that died without an outcome."""
        number = worker.number
        self._retire(worker, queue)
        deaths = self._empty_deaths[number] = self._empty_deaths.get(number, 0) + 1
        if deaths <= MAX_EMPTY_DEATHS:
            self._start(number)
            return
        self._why_lost = f"worker {number} died {deaths} times without an outcome in between."
        log.warning("%s It is not started again.", self._why_lost)

    def _retire(self, worker: _Worker, queue: TrackQueue) -> None:
        for task in worker.again:
            queue.give_back(task.file)
        del self._workers[worker.number]
        worker.close()
        worker.process.join(STOP_S)

    def _complain_if_alone(self, queue: TrackQueue) -> None:
        if len(queue):
            raise CaptureError(
                f"no worker is left and {len(queue)} replays wait: {self._why_lost} Run the same command again when "
                "that is mended: what was captured stays."
            )

    def _stop(self) -> None:
        """End all workers: those in the middle of a replay leave their games at once, and its folder goes away."""
        for worker in self._workers.values():
            worker.close()
        for worker in self._workers.values():
            worker.process.join(STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _work(
    pipe: "Connection[Any, Any]",
    leash: "Connection[Any, Any]",
    config: CaptureConfig,
    number: int,
    make: MakeCapturer,
) -> None:
    """Serve tasks until the pipe ends: the process of one worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends this process
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves the game as it was found
    threading.Thread(target=_end_with, args=(leash,), daemon=True).start()
    logging.basicConfig(level=config.log_level, format=f"[{number}] %(message)s")
    work = make(config, number)
    try:
        while True:
            try:
                task = pipe.recv()
            except (EOFError, OSError):
                return
            started = time.perf_counter()
            try:
                answer: Done | Failed = Done(attempt(work, task, config), time.perf_counter() - started)
            except CaptureError as error:
                answer = Failed(str(error), isinstance(error, WorkerLostError))
            with contextlib.suppress(OSError):
                pipe.send(answer)
    finally:
        work.close()


def _end_with(leash: "Connection[Any, Any]") -> None:
    """End this process politely when the other end of the leash is gone, also with a parent that was killed."""
    with contextlib.suppress(EOFError, OSError):
        leash.recv_bytes()
    if os.name == "nt":  # a signal sent there would end the process without a word
        _thread.interrupt_main(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
