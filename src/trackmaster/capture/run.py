"""The capture run: every replay becomes a verified folder of frames, or one line that says why not."""

import errno
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster.capture.config import DEFAULT_REPLAYS, DEFAULT_TRACK_IDS, CaptureConfig
from trackmaster.capture.discover import ReplayFile, find_replays, read_track_ids, same_folder
from trackmaster.capture.errors import UNFORESEEN, CaptureError, ReplayRejectedError
from trackmaster.capture.folders import is_whole, recall, remove_capture
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.notes import refuse_real_game, simulator_notes
from trackmaster.capture.outcomes import Outcome, OutcomeBook
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.settled import SAME_NAME, circumstances, is_settled
from trackmaster.capture.writer import UtcClock, utc_now
from trackmaster.files import sha256_of
from trackmaster.progress import progress

log = logging.getLogger(__name__)

_NO_MORE_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


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


def capture(config: CaptureConfig, *, clock: UtcClock = utc_now) -> CaptureSummary:
    """Capture all replays that the configuration names.

    Damaged, unfinished or unsupported replays are recorded with their reason and left out. A run that is interrupted
    goes on where it stopped: folders appear only when they are whole.

    Args:
        config: flags.
        clock: time of day for the stamps that are written.

    Raises:
        CaptureError: there is nothing to capture, or the flags need a game that is not here.
    """
    refuse_real_game(config)
    for note in simulator_notes(config):
        log.warning("%s", note)
    found = find_replays(config.replays_dir, _listed(config))
    excluded = set(read_track_ids(config.exclude_enter_maps)) if config.exclude_enter_maps is not None else set()
    files = _first_of_each([file for file in found if file.track_id not in excluded], config.max_replays_per_track)
    groups: dict[str, list[ReplayFile]] = {}
    for file in files:
        groups.setdefault(file.track_id or "", []).append(file)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    book = OutcomeBook(config.output_dir, clock)
    work = ReplayCapture(config, LineShelf(config, {key: tuple(group) for key, group in groups.items() if key}), clock)
    summary = CaptureSummary(config.output_dir)
    started = time.perf_counter()
    run = _Run(config, work, book, summary, same_folder(found), config.fingerprint)
    try:
        for file in progress(files, desc="capture", enabled=config.use_tqdm):
            run.one(file)
    finally:
        book.save()
        work.close()
    summary.wall_s = time.perf_counter() - started
    return summary


def run_capture(config: CaptureConfig) -> int:
    """Capture, print the summary and return the exit code: 0 all captured, 2 some rejected."""
    logging.basicConfig(level=config.log_level, format="%(message)s")
    summary = capture(config)
    for outcome in summary.rejected:
        print(f"rejected {outcome.track_id}/{outcome.replay}: {outcome.reason}: {outcome.detail}")
    print(summary.sentence())
    return summary.exit_code


def _listed(config: CaptureConfig) -> tuple[str, ...] | None:
    """Return the tracks that flags or the usual list name, None for all."""
    if config.track_id is not None:
        return (config.track_id,)
    if config.track_ids is not None:
        listed = Path(config.track_ids)
        is_id = not listed.is_file() and (config.replays_dir / config.track_ids).is_dir()
        return (config.track_ids,) if is_id else read_track_ids(listed)
    if config.replays_dir == DEFAULT_REPLAYS and DEFAULT_TRACK_IDS.is_file():
        log.info("%s names the tracks.", DEFAULT_TRACK_IDS)
        return read_track_ids(DEFAULT_TRACK_IDS)
    return None


def _first_of_each(files: Sequence[ReplayFile], limit: int | None) -> tuple[ReplayFile, ...]:
    """Keep the first ``limit`` replays of each track; files that do not tell their track all stay."""
    counts: dict[str, int] = {}
    kept = []
    for file in files:
        if limit is not None and file.track_id is not None:
            counts[file.track_id] = counts.get(file.track_id, 0) + 1
            if counts[file.track_id] > limit:
                continue
        kept.append(file)
    return tuple(kept)


@dataclass
class _Run:
    """What one capture run works with."""

    config: CaptureConfig
    work: ReplayCapture
    book: OutcomeBook
    summary: CaptureSummary
    same_folder: dict[ReplayFile, ReplayFile]
    fingerprint: str

    def one(self, file: ReplayFile) -> None:
        """Capture one replay, or note why not."""
        key = file.path.relative_to(self.config.replays_dir).as_posix()
        sha256 = _sha256_or_empty(file.path)
        before = self._before(key, file, sha256)
        if self._is_known(key, file, before, sha256):
            return
        started = time.perf_counter()
        try:
            self._refuse_taken_folder(file)
            outcome = self.work.run(file, sha256)
        except ReplayRejectedError as reject:
            outcome = self._rejection(file, before, sha256, reject)
        except CaptureError:
            raise
        except Exception as error:
            log.debug("%s", key, exc_info=True)
            self.work.close()  # whatever it was in the middle of
            outcome = self._rejection(file, before, sha256, _as_rejection(error, file, self.config))
        self.summary.outcomes.append(outcome)
        if before is not None and before.status == "ok" and outcome.reason.startswith(UNFORESEEN):
            return  # a fault of the moment says nothing about the frames that are there
        self.book.record(key, outcome, wall_s=time.perf_counter() - started)
        self._forget_earlier(key, before, outcome)

    def _before(self, key: str, file: ReplayFile, sha256: str) -> Outcome | None:
        """Return what became of a file earlier; a killed run may have written the folder but not the index."""
        before = self.book.known(key)
        if before is None and not self.config.overwrite and file.track_id is not None and file not in self.same_folder:
            before = recall(file, sha256, self.config)
            if before is not None:
                self.book.record(key, before, wall_s=0.0)
        return before

    def _is_known(self, key: str, file: ReplayFile, before: Outcome | None, sha256: str) -> bool:
        """Return whether an earlier outcome stands, and count it.

        Raises:
            CaptureError: it was captured with other flags.
        """
        if before is None or before.sha256 != sha256 or self.config.overwrite:
            return False
        is_rejected = before.reason == SAME_NAME if file in self.same_folder else is_settled(before, self.config)
        if is_rejected:
            self.summary.known_rejects += 1
            log.info("%s was rejected before (%s): %s", key, before.reason, before.detail)
            self._forget_earlier(key, before, before)
            return True
        folder = self.config.output_dir / before.track_id / before.replay
        is_here = (file.track_id or before.track_id, file.name) == (before.track_id, before.replay)
        is_done = before.status == "ok" and is_here and is_whole(folder, sha256, verify=self.config.verify)
        if not is_done or file in self.same_folder:
            return False
        if before.settings != self.fingerprint:
            raise CaptureError(
                f"{folder} was captured with other flags. One tree holds one kind of frames: choose another "
                "--output-dir, or capture again with --overwrite."
            )
        self.summary.skipped += 1
        return True

    def _refuse_taken_folder(self, file: ReplayFile) -> None:
        other = self.same_folder.get(file)
        if other is not None:
            raise ReplayRejectedError(
                SAME_NAME,
                f"{file.path}: {other.path} is of the same track and has the same name, so both would become "
                f"{file.track_id}/{other.name}. Rename one of them, or remove it if they are the same run.",
            )

    def _forget_earlier(self, key: str, before: Outcome | None, outcome: Outcome) -> None:
        """Remove frames that no longer count: those of a rejected replay, and those it left under another name."""
        named = {(found.track_id, found.replay) for found in (before, outcome) if found is not None}
        kept = {(outcome.track_id, outcome.replay)} if outcome.status == "ok" else set()
        for track_id, replay in named - kept:
            others = self.book.others_with(key, track_id, replay)
            is_anothers = any((self.config.replays_dir / other).is_file() for other in others)
            if not is_anothers and remove_capture(self.config.output_dir, track_id, replay):
                log.warning("%s: the frames of its earlier capture were removed (%s/%s).", key, track_id, replay)

    def _rejection(self, file: ReplayFile, before: Outcome | None, sha256: str, reject: ReplayRejectedError) -> Outcome:
        track_id = file.track_id or (before.track_id if before is not None else "")
        return Outcome(
            track_id,
            file.name,
            "rejected",
            sha256,
            self.fingerprint,
            reason=reject.reason,
            detail=reject.detail,
            mode=self.config.resolved_mode,
            circumstances=circumstances(reject.reason, track_id, self.config),
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


def _sha256_or_empty(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return ""
