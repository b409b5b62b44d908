"""How far the chunks of each life of a worker have come: the highest number by session, of a bounded many."""

from collections import OrderedDict
from collections.abc import ItemsView, Mapping
from typing import Generic, TypeVar

MAX_SESSIONS = 4096
"""Lives of workers whose numbers are remembered."""
Session = TypeVar("Session")


class Marks(Generic[Session]):
    """Highest numbers; those of the sessions that were silent for longest are forgotten first.

    Args:
        marks: to begin with, the most recent ones last.
        limit: sessions to remember.
    """

    def __init__(self, marks: Mapping[Session, int] | None = None, *, limit: int = MAX_SESSIONS) -> None:
        self._limit = limit
        self._seqs: OrderedDict[Session, int] = OrderedDict()
        for session, seq in (marks or {}).items():
            self.note(session, seq)

    def __len__(self) -> int:
        return len(self._seqs)

    def of(self, session: Session) -> int:
        """Return the highest number of a session, -1 for an unknown one."""
        return self._seqs.get(session, -1)

    def note(self, session: Session, seq: int) -> None:
        """Note a number; one that is not higher only keeps the session in mind."""
        self._seqs[session] = max(seq, self._seqs.pop(session, -1))
        while len(self._seqs) > self._limit:
            self._seqs.popitem(last=False)

    def items(self) -> ItemsView[Session, int]:
        """Return sessions and numbers, the most recent ones last."""
        return self._seqs.items()
