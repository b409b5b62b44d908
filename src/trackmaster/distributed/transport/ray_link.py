"""Workers as Ray actors: for many simulator workers in a trusted cluster (extra ``cluster``; not for Windows).

Ray itself moves objects with pickle between machines that already trust each other completely; what we hand to it are
the same checked frames as on the network, and weights as one object that each node fetches once.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from trackmaster.distributed.transport.contract import TransportError, Weights
from trackmaster.distributed.wire.messages import decode, encode
from trackmaster.errors import ConfigError
from trackmaster.rl.samples.chunk import Chunk

STOP_CHECK_S = 0.2
"""How often a worker asks whether to end."""
CLOSE_S = 10.0
START_S = 300.0
"""How long Ray may take to begin with what it was given: a busy machine imports for a minute, a cluster that grows on
demand brings up a node, and without any limit a cluster without room would look like a run that is only slow."""
ANSWER_S = 120.0
"""How long an answer may take beyond what was asked for; Ray notices a node that is gone much sooner."""
FIRST_WEIGHTS_S = 0.2
"""How long asking for weights waits while there have been none: workers are up before the first evaluation is over."""
LOCAL_SETTINGS = {
    "RAY_worker_niceness": "0",  # 15 otherwise: beside anything else that computes, workers would hardly ever run
    "RAY_worker_register_timeout_seconds": str(int(START_S)),  # after 60 s otherwise they are killed and begin again
}
"""Ray's own variables for what it starts on this machine; those that are set already stay as they are."""
RayTask = Callable[[Any, int], None]
"""Runs a worker with its end and its number until the end says stop."""


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "The transport ray needs Ray, which is not installed: pip install 'trackmaster[cluster]' (Linux or macOS)."
        ) from None
    return ray


@contextlib.contextmanager
def ray_session(address: str | None = None, num_cpus: int | None = None) -> Iterator[None]:
    """Join the cluster at an address ("auto" finds one), or start Ray on this machine; what was started ends too.

    Raises:
        TransportError: there is no such cluster, or Ray does not start here.
    """
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    # "local" starts a new one even where "ray start" has been: that one may have other CPUs than asked for.
    more = {} if address else {"num_cpus": num_cpus, "include_dashboard": False}
    try:
        with contextlib.nullcontext() if address else _local_settings():
            ray.init(address=address or "local", log_to_driver=False, logging_level="error", **more)
    except Exception as error:  # Ray raises bare ones: no answer in time, no such cluster, a port, a version
        ray.shutdown()
        where = f"The Ray cluster at {address} cannot be joined" if address else "Ray does not start on this machine"
        raise TransportError(f"{where}: {' '.join(str(error).split())[:400]}") from None
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _local_settings() -> Iterator[None]:
    added = {name: value for name, value in LOCAL_SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


class Exchange:
    """The actor between workers and trainer: a bounded queue of frames and the newest weights."""

    def __init__(self, max_chunks: int) -> None:
        self._max_chunks = max_chunks
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Condition()
        self._weights: tuple[int, list[Any], str] | None = None
        self._entered: set[int] = set()
        self._stopped = False

    async def enter(self, number: int) -> None:
        """Note that a worker has come up."""
        self._entered.add(number)

    async def entered(self) -> int:
        """Return how many workers have come up."""
        return len(self._entered)

    async def put(self, frame: bytes) -> bool:
        """Queue a frame, waiting for room; return whether the run goes on."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._frames) < self._max_chunks or self._stopped)
            if not self._stopped:
                self._frames.append(frame)
                self._changed.notify_all()
            return not self._stopped

    async def take(self, timeout_s: float) -> list[bytes]:
        """Return what waits, waiting for something if there is time."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait_for(lambda: bool(self._frames) or self._stopped)
            taken = list(self._frames)
            self._frames.clear()
            self._changed.notify_all()
            return taken

    async def publish(self, version: int, reference: list[Any], sha256: str) -> None:
        """Make weights the newest; they travel as a reference to one object of the cluster."""
        async with self._changed:
            self._weights = (version, reference, sha256)
            self._changed.notify_all()

    async def newest(self, have: int) -> tuple[int, list[Any], str] | None:
        """Return the newest weights if they are newer than ``have``, waiting a moment for the first ones."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WEIGHTS_S):
                    await self._changed.wait_for(lambda: self._weights is not None or self._stopped)
        return self._weights if self._weights is not None and self._weights[0] > have else None

    async def stop(self) -> None:
        """Ask the workers to end."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def is_stopped(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._stopped


class RayWorkerEnd:
    """A worker's end; one call at a time, so that its chunks stay in order."""

    def __init__(self, exchange: Any) -> None:
        self._ray, self._exchange = _ray(), exchange
        self._stopped = False
        self._asked_at = float("-inf")

    def send_chunk(self, chunk: Chunk) -> None:
        """Hand a chunk over, waiting while the queue is full."""
        self._stopped = not self._call(self._exchange.put.remote(encode(chunk)))

    def poll_weights(self, have: int) -> Weights | None:
        """Return the newest weights if they are newer than ``have``."""
        found = self._call(self._exchange.newest.remote(have))
        if found is None:
            return None
        version, (reference,), sha256 = found
        return Weights(version, self._call(reference), sha256)

    def should_stop(self) -> bool:
        """Return whether the trainer has asked to end; asks at most a few times per second."""
        if not self._stopped and time.monotonic() - self._asked_at >= STOP_CHECK_S:
            self._asked_at = time.monotonic()
            self._stopped = bool(self._call(self._exchange.is_stopped.remote()))
        return self._stopped

    def close(self) -> None:
        """Nothing waits here."""

    def _call(self, reference: Any) -> Any:
        return _answer(self._ray, reference, None)  # a full queue holds a worker for as long as the trainer evaluates


class RayTransport:
    """The trainer's end of workers on a Ray cluster; Ray must have been started (``ray_session``).

    Args:
        task: what each worker runs; must be importable on every node.
        n_workers: actors to start, one CPU each.
        max_chunks: chunks that may wait for the trainer.
        say: where lines for people go.
        start_s: how long the cluster may take to begin.
        clock: seconds that only grow.

    Raises:
        TransportError: the cluster does not begin.
    """

    def __init__(
        self,
        task: RayTask | None,
        n_workers: int,
        *,
        max_chunks: int,
        say: Callable[[str], None] = print,
        start_s: float = START_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray = ray = _ray()
        self._say, self._start_s, self._clock = say, start_s, clock
        self._is_closed, self._are_all_here = False, n_workers == 0
        self._exchange = ray.remote(num_cpus=0, max_concurrency=10_000)(Exchange).remote(max_chunks)
        run = ray.remote(num_cpus=1, max_retries=0)(_run_worker)
        self._runs = [run.remote(task, self._exchange, number) for number in range(n_workers)]
        self._began = clock()
        try:
            self._count_entered(start_s)
        except TransportError as error:
            self._end_runs(self._runs)
            raise TransportError(f"Ray has not begun with the run: {error}") from None

    def worker_end(self) -> RayWorkerEnd:
        """Return one more worker's end, for a worker in this process."""
        return RayWorkerEnd(self._exchange)

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what has arrived, waiting for at most ``timeout_s`` if there is nothing."""
        messages = [decode(frame) for frame in self._call(self._exchange.take.remote(timeout_s), timeout_s + ANSWER_S)]
        return [message for message in messages if isinstance(message, Chunk)]

    def publish(self, weights: Weights) -> None:
        """Make weights the newest."""
        reference = self._ray.put(weights.blob)
        self._call(self._exchange.publish.remote(weights.version, [reference], weights.sha256))

    def check_workers(self) -> None:
        """Raise ``TransportError`` if a worker has ended without being asked to, or none has come up in time."""
        ended, _ = self._ray.wait(self._runs, timeout=0) if self._runs else ([], [])
        for reference in ended:
            number = self._runs.index(reference)
            try:
                self._ray.get(reference)
                reason = "it came to its end"
            except self._ray.exceptions.RayError as error:
                reason = _reason(error)
            raise TransportError(
                f"Worker {number} ended unexpectedly ({reason}); its last rows may be missing. Continue with --resume."
            )
        if not self._are_all_here:
            self._look_for_missing()

    def close(self) -> None:
        """Ask the workers to end and wait for them; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(TransportError):
            self._call(self._exchange.stop.remote(), CLOSE_S)
        _, left = self._ray.wait(self._runs, num_returns=len(self._runs), timeout=CLOSE_S) if self._runs else ([], [])
        self._end_runs(left)

    def _look_for_missing(self) -> None:
        entered, wanted = self._count_entered(ANSWER_S), len(self._runs)
        self._are_all_here = entered == wanted
        if self._are_all_here or self._clock() - self._began < self._start_s:
            return
        cpus = self._ray.cluster_resources().get("CPU", 0.0)
        free = self._ray.available_resources().get("CPU", 0.0)
        found = (
            f"{entered} of {wanted} workers have come up within {self._start_s:.0f} s. Each takes one CPU; the cluster "
            f"has {cpus:g}, {free:g} of them free."
        )
        advice = "Add nodes, end other jobs, or ask for fewer workers (performance.gpu_collectors_count)."
        if not entered:
            raise TransportError(f"{found} {advice}")
        self._are_all_here = True  # those that come later are welcome, nobody asks for them again
        self._say(f"{found} The run goes on with those that are there. {advice}")

    def _count_entered(self, timeout_s: float) -> int:
        return int(self._call(self._exchange.entered.remote(), timeout_s))

    def _end_runs(self, runs: list[Any]) -> None:
        for reference in runs:
            self._ray.cancel(reference, force=True)

    def _call(self, reference: Any, timeout_s: float = ANSWER_S) -> Any:
        return _answer(self._ray, reference, timeout_s)


def _answer(ray: Any, reference: Any, timeout_s: float | None) -> Any:
    try:
        return ray.get(reference, timeout=timeout_s)
    except ray.exceptions.GetTimeoutError:
        raise TransportError(
            f"The cluster has not answered within {timeout_s:.0f} s. What Ray was doing stands in its logs, on one "
            "machine in /tmp/ray/session_latest/logs."
        ) from None
    except ray.exceptions.RayError as error:
        raise TransportError(f"The cluster does not answer any more ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    """Return in a line why something on the cluster failed."""
    if cause := getattr(error, "cause", None):  # what a worker itself raised
        return str(cause) or type(cause).__name__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([type(error).__name__, *lines[:1]])[:400]


def _run_worker(task: RayTask, exchange: Any, number: int) -> None:
    end = RayWorkerEnd(exchange)
    _answer(_ray(), exchange.enter.remote(number), None)
    task(end, number)
