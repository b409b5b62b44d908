"""The capture run: every replay becomes a verified folder of frames, or one line that says why not."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from trackmaster.capture.alike import AlikeFailures
from trackmaster.capture.config import DEFAULT_REPLAYS, DEFAULT_TRACK_IDS, CaptureConfig
from trackmaster.capture.discover import ReplayFile, find_replays, read_track_ids, same_folder
from trackmaster.capture.games import Games, add_enter_maps, choose_game, ready_games
from trackmaster.capture.ledger import CaptureSummary, Ledger
from trackmaster.capture.maker import CaptureMaker
from trackmaster.capture.notes import game_notes, simulator_notes
from trackmaster.capture.outcomes import OutcomeBook
from trackmaster.capture.pool import WorkerPool
from trackmaster.capture.schedule import TrackQueue
from trackmaster.capture.tasks import attempt
from trackmaster.capture.writer import UtcClock, utc_now
from trackmaster.interrupts import ended_like_ctrl_c
from trackmaster.progress import progress

__all__ = ["CaptureSummary", "capture", "run_capture"]

log = logging.getLogger(__name__)


def capture(config: CaptureConfig, *, clock: UtcClock = utc_now, games: Games | None = None) -> CaptureSummary:
    """Capture all replays that the configuration names.

    Damaged, unfinished or unsupported replays are recorded with their reason and left out. A run that is interrupted
    goes on where it stopped: folders appear only when they are whole.

    Args:
        config: flags.
        clock: time of day for the stamps that are written.
        games: the games that play the replays; found by the flags and the settings of the game without it.

    Raises:
        CaptureError: there is nothing to capture, or the game that the flags ask for cannot be used.
    """
    is_played = config.resolved_game == "tminterface"
    for note in game_notes(config) if is_played else simulator_notes(config):
        log.warning("%s", note)
    found = find_replays(config.replays_dir, _listed(config))
    excluded = set(read_track_ids(config.exclude_enter_maps)) if config.exclude_enter_maps is not None else set()
    files = _first_of_each([file for file in found if file.track_id not in excluded], config.max_replays_per_track)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    book = OutcomeBook(config.output_dir, clock)
    ledger = Ledger(config, book, same_folder(found))
    started = time.perf_counter()
    with ready_games(config, games, files) if is_played else contextlib.nullcontext() as ready:
        make = CaptureMaker(files, clock, ready)
        steps = (
            capture_alone(config, make, ledger, files)
            if config.workers == 1
            else _together(config, make, ledger, files)
        )
        try:
            for _ in progress(steps, desc="capture", total=len(files), enabled=config.use_tqdm):
                pass
        finally:
            book.save()
            if config.write_enter_maps is not None:
                add_enter_maps(config.write_enter_maps, ledger.summary.rejected)
    ledger.summary.wall_s = time.perf_counter() - started
    return ledger.summary


def capture_alone(
    config: CaptureConfig, make: CaptureMaker, ledger: Ledger, files: Sequence[ReplayFile]
) -> Iterator[None]:
    """Capture in this process; yield once per replay."""
    work = make(config, 0)
    alike = AlikeFailures(config)
    try:
        for file in files:
            task = ledger.begin(file)
            todo = deque([task] if task is not None else [])
            while todo:
                task = todo.popleft()
                started = time.perf_counter()
                outcome = attempt(work, task, config)
                again = alike.to_try_again(task, outcome)
                todo.extend(again)
                if not again:
                    ledger.settle(task, outcome, wall_s=time.perf_counter() - started)
            yield
    finally:
        work.close()


def _together(config: CaptureConfig, make: CaptureMaker, ledger: Ledger, files: Sequence[ReplayFile]) -> Iterator[None]:
    """Capture on several workers; yield once per replay."""
    return WorkerPool(config, make, ledger).run(TrackQueue(files))


def run_capture(config: CaptureConfig) -> int:
    """Capture, print the summary and return the exit code: 0 all captured, 2 some rejected."""
    logging.basicConfig(level=config.log_level, format="%(message)s")
    with ended_like_ctrl_c():
        summary = capture(choose_game(config))
    for outcome in summary.rejected:
        name = f"{outcome.track_id}/{outcome.replay}" if outcome.track_id else outcome.replay
        print(f"rejected {name}: {outcome.reason}: {outcome.detail}")
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
