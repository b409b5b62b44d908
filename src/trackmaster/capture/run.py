"""The capture run: every replay becomes a verified folder of frames, or one line that says why not."""

import errno
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile, find_replays, read_track_ids
from trackmaster.capture.errors import CaptureError, ReplayRejectedError
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.notes import refuse_real_game, simulator_notes
from trackmaster.capture.outcomes import Outcome, OutcomeBook
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.writer import UtcClock, utc_now
from trackmaster.files import sha256_of
from trackmaster.progress import progress

log = logging.getLogger(__name__)

UNFORESEEN = "error:"
"""Begins the reason of a rejection that is our fault or the machine's; such a replay is tried again by the next run."""

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
    files = _chosen(config)
    groups: dict[str, list[ReplayFile]] = {}
    for file in files:
        groups.setdefault(file.track_id or "", []).append(file)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    book = OutcomeBook(config.output_dir, clock)
    work = ReplayCapture(config, LineShelf(config, {key: tuple(group) for key, group in groups.items() if key}), clock)
    summary = CaptureSummary(config.output_dir)
    started = time.perf_counter()
    fingerprint = config.fingerprint
    try:
        for file in progress(files, desc="capture", enabled=config.use_tqdm):
            _one(file, config, work, book, summary, fingerprint)
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


def _chosen(config: CaptureConfig) -> tuple[ReplayFile, ...]:
    """Return the replays to look at, after all lists and limits."""
    wanted: tuple[str, ...] | None = None
    if config.track_id is not None:
        wanted = (config.track_id,)
    elif config.track_ids is not None:
        listed = Path(config.track_ids)
        is_id = not listed.is_file() and (config.replays_dir / config.track_ids).is_dir()
        wanted = (config.track_ids,) if is_id else read_track_ids(listed)
    files = find_replays(config.replays_dir, wanted)
    if config.exclude_enter_maps is not None:
        excluded = set(read_track_ids(config.exclude_enter_maps))
        files = tuple(file for file in files if file.track_id not in excluded)
    return _first_of_each(files, config.max_replays_per_track)


def _first_of_each(files: Sequence[ReplayFile], limit: int | None) -> tuple[ReplayFile, ...]:
    """Keep the first ``limit`` replays of each folder; in a flat folder the track is not known yet, so all stay."""
    counts: dict[str, int] = {}
    kept = []
    for file in files:
        if limit is not None and file.track_id is not None:
            counts[file.track_id] = counts.get(file.track_id, 0) + 1
            if counts[file.track_id] > limit:
                continue
        kept.append(file)
    return tuple(kept)


def _one(
    file: ReplayFile,
    config: CaptureConfig,
    work: ReplayCapture,
    book: OutcomeBook,
    summary: CaptureSummary,
    fingerprint: str,
) -> None:
    """Capture one replay, or note why not."""
    key = file.path.relative_to(config.replays_dir).as_posix()
    before = book.known(key)
    sha256 = _sha256_or_empty(file.path)
    same = before is not None and before.sha256 == sha256 and not config.overwrite
    if before is None and not config.overwrite and file.track_id is not None and work.is_done(file.track_id, file.name):
        # A killed run wrote the folder but not the index: the folder is the truth.
        before = work.recall(file, sha256)
        same = before is not None
        if before is not None:
            book.record(key, before, wall_s=0.0)
    if before is not None and same and before.status == "ok" and work.is_done(before.track_id, before.replay):
        if before.settings != fingerprint:
            raise CaptureError(
                f"{config.output_dir / before.track_id / before.replay} was captured with other flags. One tree "
                "holds one kind of frames: choose another --output-dir, or capture again with --overwrite."
            )
        summary.skipped += 1
        return
    is_settled = before is not None and before.status == "rejected" and not before.reason.startswith(UNFORESEEN)
    if before is not None and same and is_settled and before.settings == fingerprint:
        summary.known_rejects += 1
        log.info("%s was rejected before (%s): %s", key, before.reason, before.detail)
        return
    started = time.perf_counter()
    try:
        outcome = work.run(file, sha256)
    except ReplayRejectedError as reject:
        outcome = _rejection(file, before, sha256, config, fingerprint, reject)
    except CaptureError:
        raise
    except Exception as error:
        log.debug("%s", key, exc_info=True)
        work.close()  # whatever it was in the middle of
        outcome = _rejection(file, before, sha256, config, fingerprint, _as_rejection(error, file, config))
    summary.outcomes.append(outcome)
    book.record(key, outcome, wall_s=time.perf_counter() - started)


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


def _rejection(
    file: ReplayFile,
    before: Outcome | None,
    sha256: str,
    config: CaptureConfig,
    fingerprint: str,
    reject: ReplayRejectedError,
) -> Outcome:
    return Outcome(
        file.track_id or (before.track_id if before is not None else ""),
        file.name,
        "rejected",
        sha256,
        fingerprint,
        reason=reject.reason,
        detail=reject.detail,
        mode=config.resolved_mode,
    )


def _sha256_or_empty(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError:
        return ""
