"""The last few embedded maps: replays of one leaderboard hold the same map, byte for byte."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from trackmaster.gbx.models import Challenge

KEPT_MAPS = 8
MAX_BYTES = 4 << 20


class RecentMaps:
    """Keeps the maps read last, by the bytes they were read from; safe to use from several threads.

    A record is frozen, so that several replays may share it. Heavy maps are not kept.
    """

    def __init__(self) -> None:
        self._maps: OrderedDict[bytes, Challenge] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, data: bytes, read: Callable[[], tuple[Challenge, int]]) -> Challenge:
        """Return the map of ``data``; if it is not among the last ones, what ``read`` returns with its weight in bytes.

        A map counts as heavy by what it became: a few kB can hold megabytes of samples.
        """
        with self._lock:
            found = self._maps.get(data)
            if found is not None:
                self._maps.move_to_end(data)
                return found
        found, weight_bytes = read()
        if len(data) + weight_bytes <= MAX_BYTES:
            with self._lock:
                self._maps[data] = found
                if len(self._maps) > KEPT_MAPS:
                    self._maps.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._maps.clear()
