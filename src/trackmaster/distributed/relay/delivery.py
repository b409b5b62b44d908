"""The way of the waiting chunks to the trainer: in order, and never further ahead of it than a window."""

import asyncio
from collections import deque
from collections.abc import Callable

from trackmaster.distributed.relay.chunk_queue import Entry
from trackmaster.distributed.relay.chunk_store import ChunkStore
from trackmaster.distributed.relay.clients import Client

TRAINER_WINDOW_BYTES = 64 * 2**20
"""Sent to the trainer before it has taken earlier chunks."""


class Delivery:
    """Sends what waits to one trainer.

    Args:
        store: where the chunks wait.
        trainer: the client to send them to; what an earlier one has not acknowledged is given back to the store.
        note_sent: called after every chunk.
        note_lost: called after every chunk that the journal has lost.
    """

    def __init__(
        self, store: ChunkStore, trainer: Client, note_sent: Callable[[], None],
        note_lost: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._store, self._trainer, self._note_sent, self._note_lost = store, trainer, note_sent, note_lost
        self._turn = store.queue.give_back()
        self._window: deque[Entry] = deque()
        self._taken = asyncio.Event()

    def note_taken(self, n_chunks: int) -> None:
        """The trainer has taken the oldest chunks."""
        for _ in range(min(n_chunks, len(self._window))):
            self._store.queue.note_taken(self._window.popleft())
        self._taken.set()

    async def run(self) -> None:
        """Send until cancelled, or until another trainer's turn has come.

        Raises:
            ConnectionClosed: the trainer is gone.
            sqlite3.Error: the journal cannot be read.
        """
        while True:
            while sum(entry.size for entry in self._window) > TRAINER_WINDOW_BYTES:
                self._taken.clear()
                await self._taken.wait()
            entry = await self._store.queue.take(self._turn)
            if entry is None:
                return
            frame = await self._store.frame(entry)
            if not self._store.queue.holds(entry):
                continue  # its worker was sent away meanwhile
            if frame is None:
                self._store.queue.drop(lambda lost, gone=entry: lost is gone)  # type: ignore[misc]
                self._note_lost()
                continue
            self._window.append(entry)
            await self._trainer.connection.send(frame)
            self._note_sent()
            await asyncio.sleep(0)  # sending alone would not let anything in while the network is fast
