"""Whom a relay has sent away, and whose number is whose, so that nobody's rows are forgotten for another's."""

from collections import OrderedDict
from collections.abc import Collection

from trackmaster.distributed.wire.framing import fit_text
from trackmaster.distributed.wire.marks import MAX_SESSIONS
from trackmaster.distributed.wire.messages import SESSION_BYTES, Evict
from trackmaster.rl.memory.chunk_ring import UNKNOWN_WORKER

MAX_NUMBERS = UNKNOWN_WORKER
"""Numbers of workers that travel, but for the one that stands in rows of nobody knows whom."""
NOBODY = bytes(SESSION_BYTES)
"""Stands for the life of a worker that is not there any more."""


class Evictions:
    """Lives of workers that were sent away, and the numbers of all.

    A number stands in every row of the trainer's memory, so each life gets one under which nobody has sent, as long as
    there are such numbers; whoever asks for a certain one shares it with the other lives of the same token.
    """

    def __init__(self) -> None:
        self._reasons: OrderedDict[bytes, str] = OrderedDict()
        self._owners: OrderedDict[int, str] = OrderedDict()
        self._lives: dict[int, bytes] = {}
        self._evicted: OrderedDict[int, Evict] = OrderedDict()

    def reason(self, session: bytes) -> str:
        """Return why a life of a worker was sent away, empty if it was not."""
        return self._reasons.get(session, "")

    def is_gone(self, session: bytes, number: int) -> bool:
        """Return whether a life of a worker, or whoever sent under its number, was sent away."""
        return session in self._reasons or number in self._evicted

    def free_number(self, wanted: int, identity: str, taken: Collection[int]) -> int | None:
        """Return the wanted number if it may be had, else another one; None if there is none.

        Args:
            wanted: -1 for any.
            identity: name of the token.
            taken: numbers of the others who are there.
        """
        gone = {*taken, *self._evicted}
        if 0 <= wanted < MAX_NUMBERS and wanted not in gone and self._owners.get(wanted, identity) == identity:
            return wanted
        fresh = (number for number in range(MAX_NUMBERS) if number not in self._owners)
        oldest_first = iter(self._owners)
        return next((number for place in (fresh, oldest_first) for number in place if number not in gone), None)

    def note(self, number: int, identity: str, session: bytes = NOBODY) -> None:
        """Note who has sent something under a number, and in which life."""
        self._owners.pop(number, None)
        self._owners[number] = identity
        self._lives[number] = session

    def is_last_life(self, session: bytes, number: int) -> bool:
        """Return whether what was sent under a number last is of this life, as far as is known."""
        return NOBODY in (session, last := self._lives.get(number, NOBODY)) or session == last

    def numbers_of(self, identity: str) -> list[int]:
        """Return the numbers under which a token has sent something."""
        return [number for number, owner in self._owners.items() if owner == identity]

    def refuse(self, session: bytes, reason: str) -> None:
        """Take nothing more of a life of a worker; those refused longest ago are forgotten first."""
        if session != NOBODY:
            self._reasons[session] = fit_text(reason)
        while len(self._reasons) > MAX_SESSIONS:
            self._reasons.popitem(last=False)

    def forget(self, evicted: Evict) -> bool:
        """Note that the rows under a number are to be forgotten; return whether that is new."""
        is_new = evicted.worker_id not in self._evicted
        self._evicted[evicted.worker_id] = evicted
        while len(self._evicted) > MAX_SESSIONS:
            self._evicted.popitem(last=False)
        return is_new

    def told_to_every_trainer(self) -> list[Evict]:
        """Return what a trainer that comes has to forget: its memory may be older than the eviction."""
        return list(self._evicted.values())
