"""The games of a capture: where they are, what they have to know before they start, and what is put away again."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trackmaster.capture.autosave import ghosts_in_autosaves
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.errors import CaptureError
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.played import Seat
from trackmaster.capture.staging import stage_maps
from trackmaster.capture.verify import Check
from trackmaster.files import atomic_write_text


@dataclass(frozen=True)
class Games:
    """One game per worker; it travels to the processes of the workers."""

    seats: tuple[Seat, ...]
    launch: Callable[[Seat], None] | None = None
    """Starts the game of a seat (again) and returns when it can be connected to; None where somebody else does."""
    speed_check: Check | None = None
    """What is known about the running speed on this machine."""


@contextlib.contextmanager
def ready_games(config: CaptureConfig, games: Games | None, files: Sequence[ReplayFile]) -> Iterator[Games]:
    """Yield games that know every map of the batch; copies of maps are taken away again where we started the game.

    Raises:
        CaptureError: there are fewer games than workers, or the games must be started after the maps were put there.
    """
    if games is None:
        raise CaptureError(
            "--game tminterface needs to know the game: set BASE_TMI_PORT and TRACKMANIA_BASE_PATH (in .env or the "
            "environment), or leave the flag out: the simulator captures the same replays without a game."
        )
    if len(games.seats) < config.workers:
        raise CaptureError(f"--workers {config.workers} needs as many games, {len(games.seats)} are set up.")
    staging = stage_maps(config, files, [seat.base_path for seat in games.seats])
    if staging.fresh and games.launch is None:
        folders = ", ".join(sorted({str(path.parent) for path in staging.fresh}))
        raise CaptureError(
            f"{len(staging.fresh)} maps were put into {folders}. The game knows only maps that were there when it "
            "started: start it now (again, if it runs), and run the same command once more."
        )
    with ghosts_in_autosaves(config, files, games.seats):
        try:
            for seat in games.seats[: config.workers] if games.launch is not None else ():
                games.launch(seat)  # type: ignore[misc]  # not None here
            yield games
        finally:
            if games.launch is not None:
                staging.remove()


def add_enter_maps(path: Path, rejected: Iterable[Outcome]) -> None:
    """Add the tracks that never began to a list of ids, each once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    fresh = dict.fromkeys(outcome.track_id for outcome in rejected if outcome.reason == "no_start")
    wanted = [*lines, *(track_id for track_id in fresh if track_id not in lines)]
    if wanted != lines:
        atomic_write_text(path, "".join(f"{line}\n" for line in wanted))
