"""Workers as Ray actors: for many simulator workers in a trusted cluster (extra ``cluster``; not for Windows).

Ray itself moves objects with pickle between machines that already trust each other completely; what we hand to it are
the same checked frames as on the network, and weights as one object that each node fetches once.
"""

import asyncio
import contextlib
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
    """Join the cluster at an address ("auto" finds one), or start Ray on this machine; what was started ends too."""
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    more = {} if address else {"num_cpus": num_cpus, "include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level="error", **more)
    try:
        yield
    finally:
        ray.shutdown()


class Exchange:
    """The actor between workers and trainer: a bounded queue of frames and the newest weights."""

    def __init__(self, max_chunks: int) -> None:
        self._max_chunks = max_chunks
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Condition()
        self._weights: tuple[int, list[Any], str] | None = None
        self._stopped = False

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
        self._weights = (version, reference, sha256)

    async def newest(self, have: int) -> tuple[int, list[Any], str] | None:
        """Return the newest weights if they are newer than ``have``."""
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
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise TransportError(f"The cluster does not answer any more ({type(error).__name__}).") from None


class RayTransport:
    """The trainer's end of workers on a Ray cluster; Ray must have been started (``ray_session``).

    Args:
        task: what each worker runs; must be importable on every node.
        n_workers: actors to start, one CPU each.
        max_chunks: chunks that may wait for the trainer.
    """

    def __init__(self, task: RayTask | None, n_workers: int, *, max_chunks: int) -> None:
        self._ray = ray = _ray()
        self._exchange = ray.remote(num_cpus=0, max_concurrency=10_000)(Exchange).remote(max_chunks)
        run = ray.remote(num_cpus=1, max_retries=0)(_run_worker)
        self._runs = [run.remote(task, self._exchange, number) for number in range(n_workers)]
        self._is_closed = False

    def worker_end(self) -> RayWorkerEnd:
        """Return one more worker's end, for a worker in this process."""
        return RayWorkerEnd(self._exchange)

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what has arrived, waiting for at most ``timeout_s`` if there is nothing."""
        messages = [decode(frame) for frame in self._call(self._exchange.take.remote(timeout_s))]
        return [message for message in messages if isinstance(message, Chunk)]

    def publish(self, weights: Weights) -> None:
        """Make weights the newest."""
        reference = self._ray.put(weights.blob)
        self._call(self._exchange.publish.remote(weights.version, [reference], weights.sha256))

    def check_workers(self) -> None:
        """Raise ``TransportError`` if a worker has ended without being asked to."""
        ended, _ = self._ray.wait(self._runs, timeout=0) if self._runs else ([], [])
        for reference in ended:
            number = self._runs.index(reference)
            try:
                self._ray.get(reference)
                reason = "it came to its end"
            except self._ray.exceptions.RayTaskError as error:
                reason = str(error.cause)
            except self._ray.exceptions.RayError as error:
                reason = type(error).__name__
            raise TransportError(
                f"Worker {number} ended unexpectedly ({reason}); its last rows may be missing. Continue with --resume."
            )

    def close(self) -> None:
        """Ask the workers to end and wait for them; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(TransportError):
            self._call(self._exchange.stop.remote())
            _, left = (
                self._ray.wait(self._runs, num_returns=len(self._runs), timeout=CLOSE_S) if self._runs else ([], [])
            )
            for reference in left:
                self._ray.cancel(reference, force=True)

    def _call(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise TransportError(f"The cluster does not answer any more ({type(error).__name__}).") from None


def _run_worker(task: RayTask, exchange: Any, number: int) -> None:
    task(RayWorkerEnd(exchange), number)
