"""Faults on demand: what a site in trouble, or a hostile one, does to its visitors."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

KINDS = ("429", "500", "timeout", "reset", "cut", "short", "html", "wrong", "deleted", "moving")
"""429 with Retry-After; 500; silence; a connection that breaks; a body cut off; one that ends early without a sign; a
page with status 200; another file than the one asked for; items that are gone; lists that change between pages."""
PER_REQUEST = ("429", "500", "timeout", "reset", "cut", "short", "html", "wrong")
FILES_ONLY = ("wrong",)


@dataclass
class FaultPlan:
    """Which faults happen how often; the same seed and requests give the same faults, in whatever order they come.

    Attributes:
        rate: share of requests that meet a fault, shared out evenly among the kinds that happen per request.
        kinds: of ``KINDS``; ``deleted`` and ``moving`` happen to items and lists, each at ``rate`` over all kinds.
        seed: of the draws.
    """

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    _asked: Counter[str] = field(default_factory=Counter)

    def draw(self, path: str, *, is_file: bool) -> str | None:
        """Return the fault that this request meets, or None."""
        if self.rate <= 0:
            return None
        self._asked[path] += 1
        kinds = [kind for kind in PER_REQUEST if kind in self.kinds and (is_file or kind not in FILES_ONLY)]
        chance = self.chance(f"{path}#{self._asked[path]}")
        if not kinds or chance >= self.rate:
            return None
        return kinds[int(chance / self.rate * len(kinds))]

    def times_asked(self, path: str) -> int:
        """Return how often a path was asked for while there were faults."""
        return self._asked[path]

    def is_deleted(self, item: str) -> bool:
        """Whether an item (``track/12``, ``replay/345``) is gone for good."""
        return "deleted" in self.kinds and self.chance(f"deleted {item}") < self.rate / len(KINDS)

    def moves(self, n: int) -> bool:
        """Whether the list of tracks changes before its n-th page is given out."""
        return "moving" in self.kinds and self.chance(f"moving {n}") < self.rate

    def chance(self, key: str) -> float:
        """Return a number from 0 to 1 that follows from the seed and ``key``."""
        digest = hashlib.blake2b(f"{self.seed} {key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
