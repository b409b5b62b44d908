"""``.replay_progress``: how far an older downloader was, and how far we are, as the number of finished tracks."""

from pathlib import Path

from trackmaster.files import atomic_write_text

PROGRESS_NAME = ".replay_progress"


def read_progress(replays_dir: Path) -> int:
    """Return how many tracks at the top of the list are finished; 0 without a usable file."""
    try:
        text = (replays_dir / PROGRESS_NAME).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


class ProgressFile:
    """Writes the index of the first track that is not finished, as older downloaders expect it."""

    def __init__(self, replays_dir: Path) -> None:
        self._path = replays_dir / PROGRESS_NAME
        self._next = 0
        self._early: set[int] = set()
        self._written = -1

    @property
    def next_index(self) -> int:
        """Number of tracks at the top of the list that are finished."""
        return self._next

    def finish(self, index: int) -> None:
        """Note that the track at this place of the list is finished."""
        self._early.add(index)
        while self._next in self._early:
            self._early.remove(self._next)
            self._next += 1

    def save(self) -> None:
        """Write the file if it would change."""
        if self._next != self._written:
            atomic_write_text(self._path, f"{self._next}\n")
            self._written = self._next
