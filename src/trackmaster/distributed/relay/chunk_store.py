"""What a server keeps for the trainer: chunks that wait, how far each life of a worker has come, and the journal."""

import asyncio
import dataclasses
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from trackmaster.distributed.relay.chunk_queue import ChunkQueue, Entry
from trackmaster.distributed.relay.journal import Journal, Kept
from trackmaster.distributed.wire.marks import MAX_SESSIONS

JOURNAL_RETRY_S = 2.0
IN_MEMORY_BYTES = 64 * 2**20
"""Of journalled chunks that need not be read again; what waits behind them lies on disk only."""

EARLIER = -1
"""Number of the workers of an earlier life of the server: those of this life may have their numbers."""


@dataclass
class Session:
    """How far the chunks of one life of a worker have come."""

    received: int = -1
    acked: int = -1
    arriving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while one of its chunks is being kept: the trainer takes no number after a higher one."""


class ChunkStore:
    """The queue and, in durable mode, the journal behind it; all methods run in one event loop.

    Args:
        max_bytes: of everything that waits or is sent without an acknowledgement.
        journal: of the durable mode.
        say: where lines for people go.
    """

    def __init__(self, max_bytes: int, journal: Journal | None, say: Callable[[str], None]) -> None:
        self.queue = ChunkQueue(max_bytes)
        self.spec = b""
        """Description of the run whose chunks these are; empty before any trainer has come."""
        self._journal, self._say = journal, say
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        if journal is not None:
            self._restore(journal)

    @property
    def is_durable(self) -> bool:
        """Whether what is acknowledged to a worker has been saved by the trainer."""
        return self._journal is not None

    def known(self, session: bytes) -> Session | None:
        """Return how far a life of a worker has come, if it has."""
        return self._sessions.get(session)

    def session(self, session: bytes) -> Session:
        """Return how far a life of a worker has come, and remember it longer than those that are silent."""
        known = self._sessions.pop(session, None) or Session()
        self._sessions[session] = known
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return known

    async def set_spec(self, spec: bytes) -> None:
        """Remember what the samples look like.

        Raises:
            sqlite3.Error: the journal cannot be written.
        """
        self.spec = spec
        if self._journal is not None:
            await asyncio.wrap_future(self._journal.set_spec(spec))

    async def put(self, entry: Entry) -> None:
        """Keep a chunk; in durable mode, try for as long as the disk refuses."""
        self.queue.put(entry if self._journal is None else await self._note(self._journal, entry))

    async def frame(self, entry: Entry) -> bytes | None:
        """Return the frame of a chunk; None if the journal has lost it.

        Raises:
            sqlite3.Error: the journal cannot be read.
        """
        if entry.frame is not None or self._journal is None:
            return entry.frame
        return await asyncio.wrap_future(self._journal.frame(_kept(entry)))

    async def forget(self, session: bytes, seq: int) -> int | None:
        """Let the journal go of what the trainer has; the queue has done so before.

        Returns:
            How far that life of a worker is safe with the trainer; None where workers were told on arrival.

        Raises:
            sqlite3.Error: the journal cannot be written.
        """
        if self._journal is None:
            return None
        await asyncio.wrap_future(self._journal.acked(session, seq))
        known = self.session(session)
        known.acked = max(known.acked, seq)
        known.received = max(known.received, seq)
        return known.acked

    async def drop(self, is_dropped: Callable[[Entry], bool]) -> int:
        """Let go of some chunks for good and return how many there were.

        Raises:
            sqlite3.Error: the journal cannot be written.
        """
        dropped = self.queue.drop(is_dropped)
        if self._journal is not None and dropped:
            await asyncio.wrap_future(self._journal.drop([_kept(entry) for entry in dropped]))
        return len(dropped)

    def _restore(self, journal: Journal) -> None:
        kept, marks, self.spec = journal.load()
        for session, (received, acked) in marks.items():
            self._sessions[session] = Session(received, acked)
        for chunk in kept:
            self.queue.put(Entry(chunk.session, chunk.seq, EARLIER, chunk.size, None))
        if kept:
            self._say(f"{len(kept)} chunks of an earlier life wait in the journal for the trainer.")

    async def _note(self, journal: Journal, entry: Entry) -> Entry:
        has_said = False
        while True:
            try:
                await asyncio.shield(asyncio.wrap_future(journal.put(_kept(entry), entry.frame or b"")))
            except sqlite3.Error as error:
                if not has_said:
                    self._say(f"The journal cannot be written ({error}); workers wait until there is room on the disk.")
                    has_said = True
                await asyncio.sleep(JOURNAL_RETRY_S)
                continue
            return entry if self.queue.bytes < IN_MEMORY_BYTES else dataclasses.replace(entry, frame=None)


def _kept(entry: Entry) -> Kept:
    return Kept(entry.session, entry.seq, entry.worker, entry.size)
