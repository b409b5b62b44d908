"""Which running speeds of the real game are exact on this machine: measured once, read by every capture."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.recorder import Recorder
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.trajectory import Trajectory
from trackmaster.capture.verify import Check
from trackmaster.capture.writer import UtcClock, utc_now, utc_text, write_json
from trackmaster.home import state_dir

SPEEDS_NAME: Final = "speeds.json"
DEFAULT_SPEEDS: Final = (1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 10.0, 16.0, 20.0)
"""Not monotonic: a speed between two exact ones may be inexact, so each is tried."""


@dataclass(frozen=True)
class MeasuredSpeed:
    """One speed on this machine."""

    speed: float
    instances: int
    """Games that ran at the same time."""
    exact: bool
    detail: str = ""
    utc: str = ""


def speeds_path() -> Path:
    """Return the file in which measured speeds are kept: ``$TRACKMASTER_HOME`` or ``~/.trackmaster``."""
    return state_dir() / SPEEDS_NAME


def read_speeds(path: Path | None = None) -> tuple[MeasuredSpeed, ...]:
    """Return what was measured, nothing where nobody did.

    Raises:
        CaptureError: the file is none of ours.
    """
    path = path if path is not None else speeds_path()
    if not path.is_file():
        return ()
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return tuple(MeasuredSpeed(**values) for values in content["speeds"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CaptureError(f"{path}: holds no measured speeds ({error}). Remove it, and measure again.") from None


def keep_speeds(measured: Iterable[MeasuredSpeed], path: Path | None = None) -> Path:
    """Add measurements to the file, in place of older ones of the same speed and number of games."""
    path = path if path is not None else speeds_path()
    known = {(one.speed, one.instances): one for one in (*read_speeds(path), *measured)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"schema_version": 1, "speeds": [asdict(known[key]) for key in sorted(known)]})
    return path


def speed_check(known: Iterable[MeasuredSpeed], speed: float, *, instances: int, force: bool) -> Check:
    """Return check 13 for a run.

    Raises:
        CaptureError: the speed was measured as inexact, and nobody forces it.
    """
    found = next((one for one in known if (one.speed, one.instances) == (speed, instances)), None)
    if found is None:
        return Check(None, "not measured")
    if found.exact:
        return Check(True, speed)
    if force:
        return Check(None, "inexact, forced")
    games = "one game" if instances == 1 else f"{instances} games"
    raise CaptureError(
        f"--running-speed {speed:g} with {games} was measured as inexact on this machine ({found.detail}). Take "
        "another speed, or --force-speed: runs that do not reproduce are rejected."
    )


def measure_speeds(
    recorders_at: Iterable[tuple[float, Sequence[Recorder]]], source: ReplaySource, *, clock: UtcClock = utc_now
) -> Iterator[MeasuredSpeed]:
    """Play the same inputs at several speeds and compare every tick with the first run, bit for bit.

    Nothing is compared with the recorded car: only whether every game does the same at every speed.

    Args:
        recorders_at: speeds with the games that play at them, all at the same time. The first game at the first speed
            (1) plays alone before, as the yardstick.
        source: the inputs.
        clock: for the stamp.
    """
    yardstick: Trajectory | None = None
    for speed, recorders in recorders_at:
        if yardstick is None:
            yardstick = _play(recorders[0], source)
        with ThreadPoolExecutor(len(recorders)) as together:
            runs = list(together.map(lambda recorder: _play(recorder, source), recorders))
        detail = ""
        for number, run in enumerate(runs):
            difference = _difference(yardstick, run)
            if difference and not detail:
                detail = difference if len(runs) == 1 else f"game {number} {difference}"
        yield MeasuredSpeed(speed, len(recorders), not detail, detail, utc_text(clock()))


def _play(recorder: Recorder, source: ReplaySource) -> Trajectory:
    with tempfile.TemporaryDirectory() as folder, FrameTaker(Path(folder), 8, 8, utc_now) as frames:
        return recorder.record(source, np.zeros(0, np.int64), frames).trajectory


def _difference(yardstick: Trajectory, found: Trajectory) -> str:
    """Return how a run differs, an empty text where it does not."""
    ticks = min(len(yardstick), len(found))
    apart = yardstick.states.position_m[:ticks] != found.states.position_m[:ticks]
    rows = np.flatnonzero(apart.any(axis=1))
    if len(rows):
        worst = np.linalg.norm(yardstick.states.position_m[:ticks] - found.states.position_m[:ticks], axis=1).max()
        return f"leaves the run at speed 1 after {10 * int(rows[0])} ms, by {worst:.3f} m at most"
    if yardstick.finish_ms != found.finish_ms:
        return f"finishes at {found.finish_ms} ms, at speed 1 at {yardstick.finish_ms} ms"
    return ""
