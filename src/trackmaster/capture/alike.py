"""Replays of one map that fail in the same way: the map may be at fault, so it is loaded anew and they are tried once.

A single run that does not reproduce is never tried again: it would not reproduce a second time either.
"""

import dataclasses
import logging

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.settled import RUN_REASONS
from trackmaster.capture.tasks import Task

log = logging.getLogger(__name__)

ENOUGH = 2
"""So many replays that fail alike are the map's fault rather than their own."""


class AlikeFailures:
    """Counts how replays fail, map by map; the simulator's map is the same every time, so there it counts nothing."""

    def __init__(self, config: CaptureConfig) -> None:
        self._is_played = config.resolved_game == "tminterface"
        self._failed: dict[tuple[str, str], list[Task]] = {}

    def to_try_again(self, task: Task, outcome: Outcome) -> tuple[Task, ...]:
        """Return the tasks to be done once more on a freshly loaded map, because this outcome is one too many alike."""
        kind = outcome.reason.split(":")[0]
        if not self._is_played or task.on_fresh_map or kind not in RUN_REASONS or task.file.track_id is None:
            return ()
        failed = self._failed.setdefault((task.file.track_id, kind), [])
        failed.append(task)
        if len(failed) < ENOUGH:
            return ()
        log.warning(
            "%d replays of track %s failed alike (%s): its map is loaded anew and they are tried once more.",
            len(failed), task.file.track_id, kind,
        )  # fmt: skip
        again = failed if len(failed) == ENOUGH else failed[-1:]
        return tuple(dataclasses.replace(one, on_fresh_map=True) for one in again)
