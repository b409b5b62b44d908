"""Which worker captures which replay next: a track stays with its worker while there are tracks for the others."""

from collections import deque
from collections.abc import Iterable

from trackmaster.capture.discover import ReplayFile


class TrackQueue:
    """Replays in the order of their tracks.

    A worker goes on with the track it has loaded, then takes one that nobody began, then helps where most replays
    wait. A track is *closed* until one of its replays was captured, because the reference line of all of them is built
    from that one: only one worker at a time has a replay of a closed track, so that the line does not depend on who
    was faster.
    """

    def __init__(self, files: Iterable[ReplayFile]) -> None:
        """Take the replays in the order in which one worker would capture them."""
        self._waiting: dict[str, deque[ReplayFile]] = {}
        for file in files:
            self._waiting.setdefault(_track_of(file), deque()).append(file)
        self._open: set[str] = set()
        self._begun: set[str] = set()
        self._in_work: dict[str, int] = dict.fromkeys(self._waiting, 0)
        self._last: dict[int, str] = {}

    def __len__(self) -> int:
        """Return how many replays wait."""
        return sum(len(files) for files in self._waiting.values())

    def take(self, worker: int) -> ReplayFile | None:
        """Return the next replay of a worker, None while there is none that it may have."""
        track = self._choose(worker)
        if track is None:
            return None
        self._last[worker] = track
        self._begun.add(track)
        self._in_work[track] += 1
        return self._waiting[track].popleft()

    def done(self, file: ReplayFile, *, captured: bool) -> None:
        """Say that a replay that was taken is finished; a captured one opens its track."""
        track = _track_of(file)
        self._in_work[track] -= 1
        if captured:
            self._open.add(track)

    def again(self, file: ReplayFile) -> None:
        """Say that a finished replay is in work once more, by the worker that has its track loaded."""
        self._in_work[_track_of(file)] += 1

    def give_back(self, file: ReplayFile) -> None:
        """Put a replay that was taken back in front, to be taken again."""
        track = _track_of(file)
        self._in_work[track] -= 1
        self._waiting[track].appendleft(file)

    def _choose(self, worker: int) -> str | None:
        free = [track for track in self._waiting if self._is_free(track)]
        last = self._last.get(worker)
        if last in free:
            return last
        for track in free:
            if track not in self._begun:
                return track
        return max(free, key=lambda track: len(self._waiting[track]), default=None)

    def _is_free(self, track: str) -> bool:
        return bool(self._waiting[track]) and (track in self._open or self._in_work[track] == 0)


def _track_of(file: ReplayFile) -> str:
    """Return the key of a replay's track; one that does not tell it stands alone."""
    return f"track {file.track_id}" if file.track_id is not None else f"file {file.path}"
