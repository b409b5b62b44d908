"""Which replays are still to be captured, and what becomes of the tree when one of them is done."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.capture.folders import is_whole, recall, remove_capture
from trackmaster.capture.outcomes import Outcome, OutcomeBook
from trackmaster.capture.settled import SAME_NAME, is_passing, is_settled
from trackmaster.capture.tasks import Task, rejection
from trackmaster.files import sha256_of

log = logging.getLogger(__name__)


@dataclass
class CaptureSummary:
    """What a capture run did."""

    output_dir: Path
    outcomes: list[Outcome] = field(default_factory=list)
    skipped: int = 0
    """Replays that an earlier run had captured."""
    known_rejects: int = 0
    """Replays that an earlier run had rejected for the same reason."""
    wall_s: float = 0.0

    @property
    def captured(self) -> list[Outcome]:
        """Replays captured in this run."""
        return [outcome for outcome in self.outcomes if outcome.status == "ok"]

    @property
    def rejected(self) -> list[Outcome]:
        """Replays rejected in this run."""
        return [outcome for outcome in self.outcomes if outcome.status == "rejected"]

    @property
    def frames(self) -> int:
        """Frames written in this run."""
        return sum(outcome.frames for outcome in self.captured)

    @property
    def exit_code(self) -> int:
        """0 when every replay is captured, 2 when some are rejected."""
        return 2 if self.rejected or self.known_rejects else 0

    def withdraw(self, outcome: Outcome) -> None:
        """Forget what became of a replay at its first try in this run: a second one has come to its end."""
        self.outcomes = [one for one in self.outcomes if one is not outcome]

    def sentence(self) -> str:
        """Return the last line of a run."""
        speed = self.frames / self.wall_s if self.wall_s > 0 else 0.0
        count = len(self.captured)
        parts = [f"{count} replay{'' if count == 1 else 's'} captured ({self.frames} frames, {speed:.0f}/s)"]
        if self.skipped:
            parts.append(f"{self.skipped} were there already")
        rejects = len(self.rejected) + self.known_rejects
        if rejects:
            parts.append(f"{rejects} rejected, see {self.output_dir / 'index.json'}")
        return ", ".join(parts) + "."


class Ledger:
    """Decides about replays before and after they are captured, in one process for all workers."""

    def __init__(self, config: CaptureConfig, book: OutcomeBook, same_folder: dict[ReplayFile, ReplayFile]) -> None:
        """Begin a run.

        Args:
            config: flags.
            book: outcomes of earlier runs and of this one.
            same_folder: files whose frames would lie in the folder of another file, and that other one.
        """
        self.summary = CaptureSummary(config.output_dir)
        self._config = config
        self._book = book
        self._same_folder = same_folder
        self._fingerprint = config.fingerprint
        self._settled: dict[str, Outcome] = {}
        """What became of replays in this run, by key."""

    def begin(self, file: ReplayFile) -> Task | None:
        """Return the task of a replay, None when its outcome is known already.

        Raises:
            CaptureError: it was captured with other flags.
        """
        key = file.path.relative_to(self._config.replays_dir).as_posix()
        sha256 = _sha256_or_empty(file.path)
        task = Task(key, file, sha256, self._before(key, file, sha256))
        if self._is_known(task):
            return None
        other = self._same_folder.get(file)
        if other is None:
            return task
        taken = ReplayRejectedError(
            SAME_NAME,
            f"{file.path}: {other.path} is of the same track and has the same name, so both would become "
            f"{file.track_id}/{other.name}. Rename one of them, or remove it if they are the same run.",
        )
        self.settle(task, rejection(task, self._config, taken), wall_s=0.0)
        return None

    def settle(self, task: Task, outcome: Outcome, *, wall_s: float) -> bool:
        """Note what became of a task, and remove frames that no longer count.

        Returns:
            Whether this is the first word about the replay in this run, not that of its second try.
        """
        first, before = self._settled.get(task.key), task.before
        if first is not None:
            self.summary.withdraw(first)
        self._settled[task.key] = outcome
        self.summary.outcomes.append(outcome)
        # A fault of the moment says nothing about frames that are there.
        if before is None or before.status != "ok" or not is_passing(outcome.reason, self._config):
            self._book.record(task.key, outcome, wall_s=wall_s)
            self._forget_earlier(task.key, before, outcome)
        return first is None

    def _before(self, key: str, file: ReplayFile, sha256: str) -> Outcome | None:
        """Return what became of a file earlier; a killed run may have written the folder but not the index."""
        before = self._book.known(key)
        is_own = file.track_id is not None and file not in self._same_folder
        if before is None and not self._config.overwrite and is_own:
            before = recall(file, sha256, self._config)
            if before is not None:
                self._book.record(key, before, wall_s=0.0)
        return before

    def _is_known(self, task: Task) -> bool:
        """Return whether an earlier outcome stands, and count it.

        Raises:
            CaptureError: it was captured with other flags.
        """
        before, file = task.before, task.file
        if before is None or before.sha256 != task.sha256 or self._config.overwrite:
            return False
        is_taken = file in self._same_folder
        if before.reason == SAME_NAME if is_taken else is_settled(before, self._config):
            if task.key in self._settled:  # its second try was lost with its worker: the first one stands
                return True
            self.summary.known_rejects += 1
            log.info("%s was rejected before (%s): %s", task.key, before.reason, before.detail)
            self._forget_earlier(task.key, before, before)
            return True
        folder = self._config.output_dir / before.track_id / before.replay
        is_here = (file.track_id or before.track_id, file.name) == (before.track_id, before.replay)
        is_done = before.status == "ok" and is_here and is_whole(folder, task.sha256, verify=self._config.verify)
        if not is_done or is_taken:
            return False
        if before.settings != self._fingerprint:
            raise CaptureError(
                f"{folder} was captured with other flags. One tree holds one kind of frames: choose another "
                "--output-dir, or capture again with --overwrite."
            )
        self.summary.skipped += 1
        return True

    def _forget_earlier(self, key: str, before: Outcome | None, outcome: Outcome) -> None:
        """Remove frames that no longer count: those of a rejected replay, and those it left under another name."""
        named = {(found.track_id, found.replay) for found in (before, outcome) if found is not None}
        kept = {(outcome.track_id, outcome.replay)} if outcome.status == "ok" else set()
        for track_id, replay in named - kept:
            others = self._book.others_with(key, track_id, replay)
            is_anothers = any((self._config.replays_dir / other).is_file() for other in others)
            if not is_anothers and remove_capture(self._config.output_dir, track_id, replay):
                log.warning("%s: the frames of its earlier capture were removed (%s/%s).", key, track_id, replay)


def _sha256_or_empty(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return ""
