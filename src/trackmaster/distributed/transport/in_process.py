"""Worker and trainer in one process, taking turns: no copies of weights, no threads, the same run every time."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trackmaster.distributed.transport.contract import Weights
from trackmaster.rl.samples.chunk import Chunk


class InProcessTransport:
    """A bounded queue of chunks and a slot for weights; both ends are the object itself.

    When the trainer finds nothing to receive, the worker's turn comes: ``pump`` lets it collect a little.

    Args:
        max_chunks: chunks that may wait; a full queue lets the trainer's next turn come first.
    """

    def __init__(self, max_chunks: int = 1024) -> None:
        self._chunks: deque[Chunk] = deque()
        self._max_chunks = max_chunks
        self._weights: Weights | None = None
        self._stopped = False
        self.pump: Callable[[], None] | None = None
        """Collects a few decisions; set by whoever joins worker and trainer."""

    def send_chunk(self, chunk: Chunk) -> None:
        """Keep a copy of the chunk for the trainer."""
        if len(self._chunks) >= self._max_chunks:
            raise RuntimeError(f"{self._max_chunks} chunks wait and nobody receives: the trainer's turn never came")
        columns = {name: np.array(column) for name, column in chunk.columns.items()}
        self._chunks.append(replace(chunk, columns=columns, act_history=chunk.act_history.copy()))

    def poll_weights(self, have: int) -> Weights | None:
        """Return the newest weights if they are newer than ``have``."""
        return self._weights if self._weights is not None and self._weights.version > have else None

    def should_stop(self) -> bool:
        """Return whether ``close`` was called."""
        return self._stopped

    def recv_chunks(self, timeout_s: float) -> list[Chunk]:
        """Return what waits; if nothing does and there is time, let the worker collect first."""
        if not self._chunks and timeout_s > 0 and self.pump is not None:
            self.pump()
        received = list(self._chunks)
        self._chunks.clear()
        return received

    def publish(self, weights: Weights) -> None:
        """Make weights the newest."""
        self._weights = weights

    def state(self) -> dict[str, Any] | None:
        """Return the newest weights for ``restore``; None before the first and while chunks wait."""
        if self._weights is None or self._chunks:
            return None
        blob = np.frombuffer(self._weights.blob, dtype=np.uint8)
        return {"version": self._weights.version, "blob": blob, "sha256": self._weights.sha256}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with the weights that ``state`` held."""
        self._weights = Weights(int(state["version"]), state["blob"].tobytes(), str(state["sha256"]))

    def check_workers(self) -> None:
        """Nothing can be lost: a worker's exception is the trainer's own."""

    def close(self) -> None:
        """Refuse further work."""
        self._stopped = True
