"""A disk that refuses while a run goes on: one sentence per outage, and the run does without what was not written."""

import contextlib
from collections.abc import Callable, Iterator


class DiskTrouble:
    """Tells of what could not be written.

    Args:
        say: where lines for people go.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[str] = set()

    @contextlib.contextmanager
    def survived(self, what: str) -> Iterator[None]:
        """Let an ``OSError`` of the block pass, and tell of it unless the same has been told and not gone well since.

        Args:
            what: begins the sentence: what is being written.
        """
        try:
            yield
        except OSError as error:
            if what not in self._told:
                self._told.add(what)
                self._say(
                    f"{what} could not be written ({reason_of(error)}). The run goes on and tries again; make room, or "
                    "end it with Ctrl+C: what was saved before stays."
                )
        else:
            self._told.discard(what)


def reason_of(error: OSError) -> str:
    """Return what the system said, with the file if it named one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
