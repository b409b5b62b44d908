"""What a worker has driven and the server has not yet acknowledged: bounded, in order, optionally on disk too."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal

from trackmaster.distributed.link.spool import Spool

OnFull = Literal["block", "drop"]


@dataclass(eq=False)
class Parcel:
    """One encoded chunk; a spooled one may have its frame on disk only."""

    session: bytes
    seq: int
    worker_id: int
    episode: Hashable
    size: int
    steps: int
    frame: bytes | None
    is_sent: bool = False


class Outbox:
    """Parcels until their acknowledgement. The owner's lock guards every call.

    Args:
        max_bytes: of all parcels in memory.
        spool: keeps parcels on disk until they are acknowledged, those of an earlier life included.
        say: told once when the disk refuses.
    """

    def __init__(self, max_bytes: int, spool: Spool | None, say: Callable[[str], None]) -> None:
        self._max_bytes, self._spool, self._say = max_bytes, spool, say
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._next = 0
        self.dropped_chunks = self.dropped_steps = self.acknowledged = 0
        if spool is not None:
            self._parcels.extend(
                Parcel(found.session, found.seq, found.worker_id, found.session, found.size, found.steps, None)
                for found in spool.load()
            )

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def is_sent(self) -> bool:
        """Whether nothing waits to be sent for the first time on this connection."""
        return self.unsent <= 0

    @property
    def unsent(self) -> int:
        """Parcels that have not been sent on this connection."""
        return len(self._parcels) - self._next

    def has_room(self, size: int) -> bool:
        """Return whether a parcel may be added; one that is larger than the box fits into an empty one."""
        if self._spool is not None and self._spool.is_writable and self._spool.has_room(size):
            return True
        return self._bytes == 0 or self._bytes + size <= self._max_bytes

    def put(self, parcel: Parcel) -> None:
        """Append a parcel; with a spool its frame goes to disk, and stays in memory only while there is room."""
        is_spooled = False
        if self._spool is not None and parcel.frame is not None:
            is_spooled = self._spool.write(parcel.session, parcel.seq, parcel.frame, self._say)
        if is_spooled and self._bytes + parcel.size > self._max_bytes:
            parcel.frame = None
        if parcel.frame is not None:
            self._bytes += parcel.size
        self._parcels.append(parcel)

    def drop_oldest_episode(self) -> bool:
        """Make room by giving up the oldest episode that has not been sent; return whether there was one."""
        unsent = [parcel for parcel in self._parcels if not parcel.is_sent]
        if not unsent:
            return False
        episode = unsent[0].episode
        for parcel in [p for p in unsent if p.episode == episode]:
            self._remove(parcel)
            self.count_drop(parcel)
        return True

    def count_drop(self, parcel: Parcel) -> None:
        """Count a parcel that is given up."""
        self.dropped_chunks += 1
        self.dropped_steps += parcel.steps

    def next_frame(self) -> tuple[int, bytes] | None:
        """Return the next frame to send and the worker number in it, None if all are sent."""
        while self._next < len(self._parcels):
            parcel = self._parcels[self._next]
            frame = parcel.frame
            if frame is None and self._spool is not None:
                frame = self._spool.read(parcel.session, parcel.seq, self._say)
            if frame is None:  # the spool was tampered with
                self._remove(parcel)
                self.count_drop(parcel)
                continue
            parcel.is_sent = True
            self._next += 1
            return parcel.worker_id, frame
        return None

    def rewind(self) -> None:
        """Send everything again: the connection is a new one."""
        self._next = 0
        for parcel in self._parcels:
            parcel.is_sent = False

    def ack(self, session: bytes, seq: int) -> None:
        """Let go of everything of a session up to ``seq``."""
        while self._parcels and self._parcels[0].session == session and self._parcels[0].seq <= seq:
            self._remove(self._parcels[0])
            self.acknowledged += 1
        if self._parcels and self._parcels[0].session != session:  # lives of a spool, mixed
            for parcel in [p for p in self._parcels if p.session == session and p.seq <= seq]:
                self._remove(parcel)
                self.acknowledged += 1

    def _remove(self, parcel: Parcel) -> None:
        at = self._parcels.index(parcel)
        del self._parcels[at]
        if at < self._next:
            self._next -= 1
        if parcel.frame is not None:
            self._bytes -= parcel.size
        if self._spool is not None:
            self._spool.delete(parcel.session, parcel.seq)
