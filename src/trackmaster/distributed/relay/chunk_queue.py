"""What waits between workers and trainer: bounded in bytes, kept until the trainer has acknowledged it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

WORKER_SHARE = 4
"""One worker may fill a quarter of the queue; the rest stays open to the others."""


@dataclass(frozen=True)
class Entry:
    """One chunk on its way; the frame of a durable one lies in the journal."""

    session: bytes
    seq: int
    worker: int
    size: int
    frame: bytes | None


class ChunkQueue:
    """Chunks in the order of their arrival.

    Args:
        max_bytes: of everything that waits or is sent without an acknowledgement.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[Entry] = deque()
        self._sent: deque[Entry] = deque()
        self._held: Counter[int] = Counter()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = 0
        self._ahead: dict[tuple[bytes, int], int] = {}
        self._n_ahead: Counter[int] = Counter()
        self._max_ahead: int | None = None
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def has_room(self, worker: int, size: int) -> bool:
        """Return whether a chunk fits; one that is larger than the whole queue fits into an empty one."""
        if self._max_ahead is not None and self._n_ahead[worker] >= self._max_ahead:
            return False
        mine = self._held[worker]
        fits_all = self.bytes == 0 or self.bytes + size <= self._max_bytes
        return fits_all and (mine == 0 or mine + size <= self._max_bytes // WORKER_SHARE)

    def keep_near(self, max_ahead: int | None) -> None:
        """Let each worker have so many chunks here that the trainer has not taken; None for as many as fit."""
        self._max_ahead = max_ahead
        self._room.set()

    def note_taken(self, entry: Entry) -> None:
        """The trainer has it, though perhaps not on disk yet."""
        self._no_longer_ahead(entry)
        self._room.set()

    async def wait_for_room(self, worker: int, size: int) -> None:
        """Wait until a chunk fits."""
        while not self.has_room(worker, size):
            self._room.clear()
            await self._room.wait()

    def put(self, entry: Entry) -> None:
        """Append a chunk."""
        self._waiting.append(entry)
        self._count(entry, 1)
        self._note_ahead(entry)
        self._some.set()

    async def take(self, turn: int) -> Entry | None:
        """Return the next chunk, waiting for one; it is kept until it is acknowledged.

        Args:
            turn: what ``give_back`` returned to whoever takes.

        Returns:
            None once a later trainer's turn has come: a chunk taken for one that is gone would reach nobody.
        """
        while turn == self._turn and not self._waiting:
            self._some.clear()
            await self._some.wait()
        if turn != self._turn:
            return None
        entry = self._waiting.popleft()
        self._sent.append(entry)
        return entry

    def give_back(self) -> int:
        """What was sent without an acknowledgement goes to the next trainer, in the same order; return its turn."""
        self._turn += 1
        for entry in self._sent:
            self._note_ahead(entry)
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        self._some.set()  # also for whoever waits on an earlier turn
        return self._turn

    def ack(self, session: bytes, seq: int) -> int:
        """Let go of everything of a session up to ``seq``; a trainer may know it from an earlier life.

        Returns:
            Number of chunks.
        """
        before = len(self)
        for place in (self._sent, self._waiting):
            while place and place[0].session == session and place[0].seq <= seq:  # as good as always
                self._count(place.popleft(), -1)
            for entry in [e for e in place if e.session == session and e.seq <= seq]:
                place.remove(entry)
                self._count(entry, -1)
        self._room.set()
        return before - len(self)

    def holds(self, entry: Entry) -> bool:
        """Return whether a chunk that was taken still is to be sent."""
        return any(sent is entry for sent in reversed(self._sent))

    def drop(self, is_dropped: Callable[[Entry], bool]) -> list[Entry]:
        """Let go of some chunks and return them."""
        dropped = [entry for place in (self._sent, self._waiting) for entry in place if is_dropped(entry)]
        for place in (self._sent, self._waiting):
            kept = [entry for entry in place if not is_dropped(entry)]
            place.clear()
            place.extend(kept)
        for entry in dropped:
            self._count(entry, -1)
        self._room.set()
        return dropped

    def clear(self) -> int:
        """Drop everything and return the number of chunks."""
        dropped = len(self)
        self._waiting.clear()
        self._sent.clear()
        self._held.clear()
        self._ahead.clear()
        self._n_ahead.clear()
        self.bytes = 0
        self._room.set()
        return dropped

    def _count(self, entry: Entry, sign: int) -> None:
        self.bytes += sign * entry.size
        self._held[entry.worker] += sign * entry.size
        if not self._held[entry.worker]:
            del self._held[entry.worker]
        if sign < 0:
            self._no_longer_ahead(entry)

    def _note_ahead(self, entry: Entry) -> None:
        key = (entry.session, entry.seq)
        if key not in self._ahead:
            self._ahead[key] = entry.worker
            self._n_ahead[entry.worker] += 1

    def _no_longer_ahead(self, entry: Entry) -> None:
        worker = self._ahead.pop((entry.session, entry.seq), None)
        if worker is not None:
            self._n_ahead[worker] -= 1
