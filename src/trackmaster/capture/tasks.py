"""One replay as a task: tried once, it ends as an outcome whatever happens."""

import errno
import logging
from dataclasses import dataclass
from typing import Protocol

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import UNFORESEEN, CaptureError, ReplayRejectedError
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.settled import circumstances

log = logging.getLogger(__name__)

_NO_MORE_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True)
class Task:
    """One replay that has to be captured."""

    key: str
    """Its path below the replays folder."""
    file: ReplayFile
    sha256: str
    before: Outcome | None
    """What became of it in an earlier run."""
    on_fresh_map: bool = False
    """Tried once more because others of its map failed alike: the map has to be loaded anew."""


class Capturer(Protocol):
    """What captures replays: see ``ReplayCapture``."""

    def run(self, file: ReplayFile, sha256: str) -> Outcome:
        """Capture one replay; raise ``ReplayRejectedError`` where it does not count."""

    def close(self) -> None:
        """Let go of the game; ``run`` may be called again."""


def attempt(work: Capturer, task: Task, config: CaptureConfig) -> Outcome:
    """Capture one replay, or return why not.

    Raises:
        CaptureError: the next replays would fail alike.
    """
    try:
        if task.on_fresh_map:
            work.close()
        return work.run(task.file, task.sha256)
    except ReplayRejectedError as reject:
        return rejection(task, config, reject)
    except CaptureError:
        raise
    except Exception as error:
        log.debug("%s", task.key, exc_info=True)
        work.close()  # whatever it was in the middle of
        return rejection(task, config, _as_rejection(error, task.file, config))


def rejection(task: Task, config: CaptureConfig, reject: ReplayRejectedError) -> Outcome:
    """Return the outcome of a replay that does not count."""
    track_id = task.file.track_id or (task.before.track_id if task.before is not None else "")
    return Outcome(
        track_id,
        task.file.name,
        "rejected",
        task.sha256,
        config.fingerprint,
        reason=reject.reason,
        detail=reject.detail,
        mode=config.resolved_mode,
        circumstances=circumstances(reject.reason, track_id, config),
    )


def _as_rejection(error: Exception, file: ReplayFile, config: CaptureConfig) -> ReplayRejectedError:
    """Return an error that nobody foresaw as the rejection of the one replay that it stopped.

    Raises:
        CaptureError: nothing can be written any more, so the next replays would fail alike.
    """
    if isinstance(error, OSError) and error.errno in _NO_MORE_WRITING:
        raise CaptureError(
            f"{config.output_dir}: nothing can be written there any more ({error.strerror}). Make room or choose "
            "another --output-dir, and run the same command again: what was captured stays."
        ) from error
    text = " ".join(str(error).split())
    said = f": {text.rstrip('.')}" if text else ""
    return ReplayRejectedError(
        f"{UNFORESEEN}{type(error).__name__}",
        f"{file.path.name}: an unforeseen {type(error).__name__} stopped its capture{said}. Please report it together "
        "with the file.",
    )
