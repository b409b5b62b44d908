"""The reference line of a track ("zone centres", VCP): built from a ghost, kept as ``.npy`` with a ``.json`` beside it.

Source: reference tables of the Linesight and rulka projects, with the finish point made exact.
"""

from __future__ import annotations

import json
import tokenize
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trackmaster.files import atomic_path, atomic_write_text
from trackmaster.track.errors import TrackError

if TYPE_CHECKING:
    from trackmaster.gbx import Ghost, GhostSamples

F64 = NDArray[np.float64]
B1 = NDArray[np.bool_]

BUILDER_VERSION = 1
"""Grows when the same ghost would give another line."""

DEFAULT_DISTANCE_M = 0.5
"""Spacing of the points."""

RESPAWN_REACH_M = 40.0
"""A respawn puts the car within this distance of where it passed the gate: a gate is one cell of 32 m."""

_RESPAWN_SHOWS_MS = 30
"""A sample this soon after the press may still show the place that was left."""
_MAX_POINTS = 2_000_000
_MAX_HEADER_BYTES = 10_000
_DECIMALS = 4
_NO_ARRAY = (
    OSError, ValueError, TypeError, EOFError, OverflowError, MemoryError, RecursionError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip
"""What NumPy raises on files that are damaged or are something else."""


@dataclass(frozen=True)
class LineInfo:
    """Where a reference line comes from; the content of its ``.json``.

    Attributes:
        length_m: length of the driven path up to the finish.
        n_points: number of points.
        distance_m: spacing that was asked for.
        race_time_ms: time of the ghost, None for a line that nobody drove.
        sample_period_ms: distance of the ghost's samples in time, None without a ghost.
        map_uid: identifier of the map, empty if unknown.
        replay_id: name or number of the replay, empty if unknown.
        source: ``ghost`` or ``centre_line``.
        builder_version: see :data:`BUILDER_VERSION`.
    """

    length_m: float
    n_points: int
    distance_m: float
    race_time_ms: int | None = None
    sample_period_ms: int | None = None
    map_uid: str = ""
    replay_id: str = ""
    source: str = "ghost"
    builder_version: int = BUILDER_VERSION


@dataclass(frozen=True, eq=False)
class ReferenceLine:
    """Equally spaced points from the start to just behind the finish; the finish is the middle of the last two.

    Attributes:
        points_m: float64 (N, 3), world.
        info: provenance.
    """

    points_m: F64
    info: LineInfo

    def save(self, path: Path) -> None:
        """Write the points to ``path`` (``.npy``) and the provenance to the ``.json`` beside it.

        The points come last: a line that is there has its provenance, even when the writer was killed.
        """
        atomic_write_text(path.with_suffix(".json"), json.dumps(asdict(self.info), indent=2) + "\n")
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, self.points_m)

    @classmethod
    def load(cls, path: Path) -> ReferenceLine:
        """Read a line; files of other projects without a ``.json`` are accepted.

        Raises:
            TrackError: the file is missing, is no array file, is larger than any line, or does not hold finite points
                (N, 3).
        """
        points = _load_points(path)
        return cls(points, _load_info(path.with_suffix(".json"), points))


def vcp_name(track_id: str, *, distance_m: float = DEFAULT_DISTANCE_M, suffix: str = "cl") -> str:
    """Return the file name of a line: ``924307_0.5m_cl.npy``."""
    return f"{track_id}_{distance_m:g}m_{suffix}.npy"


def build_reference_line(
    samples: GhostSamples,
    race_time_ms: int,
    *,
    distance_m: float = DEFAULT_DISTANCE_M,
    map_uid: str = "",
    replay_id: str = "",
    respawns_ms: Sequence[int] = (),
    cp_times_ms: Sequence[int] = (),
) -> ReferenceLine:
    """Build the line of a finished ghost: samples up to the finish, plus the point at the exact race time.

    What was driven between a gate and a respawn back to it is left out, or the line would run backwards there.

    Args:
        samples: times (n,) ms and positions (n, 3) of the ghost.
        race_time_ms: race time of the ghost.
        distance_m: spacing of the points.
        map_uid: written to the provenance.
        replay_id: written to the provenance.
        respawns_ms: when the driver pressed Respawn.
        cp_times_ms: when the gates were passed: where a respawn leads back to.

    Raises:
        TrackError: the ghost did not finish, has too few samples, does not move, or a respawn leads to no gate.
    """
    times = np.asarray(samples.time_ms, np.int64)
    positions = np.asarray(samples.position_m, np.float64)
    if race_time_ms <= 0 or len(times) < 2 or times[0] > 0:
        raise TrackError(
            f"The ghost has {len(times)} samples and race time {race_time_ms} ms; a reference line needs a finished "
            "drive with samples from the start. Choose another replay."
        )
    end_ms = min(race_time_ms, int(times[-1]))
    inside = _kept(times, positions, respawns_ms, cp_times_ms) & (times < end_ms)
    finish = [np.interp(end_ms, times, positions[:, k]) for k in range(3)]
    path = np.vstack([positions[inside], finish])
    period = int(np.median(np.diff(times)))
    points, length_m = line_points(path, distance_m)
    info = LineInfo(length_m, len(points), distance_m, race_time_ms, period, map_uid, replay_id)
    return ReferenceLine(points, info)


def line_of_ghost(
    ghost: Ghost, *, distance_m: float = DEFAULT_DISTANCE_M, map_uid: str = "", replay_id: str = ""
) -> ReferenceLine:
    """Build the line of a ghost, without the ways that it gave up by respawning.

    Raises:
        TrackError: as :func:`build_reference_line`, or the ghost has no samples or did not finish.
    """
    if ghost.samples is None or ghost.race_time_ms is None:
        raise TrackError("The ghost has no samples or did not finish; a reference line needs a finished drive.")
    return build_reference_line(
        ghost.samples, ghost.race_time_ms, distance_m=distance_m, map_uid=map_uid, replay_id=replay_id,
        respawns_ms=() if ghost.events is None else ghost.events.respawn_presses_ms().tolist(),
        cp_times_ms=ghost.cp_times_ms,
    )  # fmt: skip


def _kept(times: NDArray[np.int64], positions: F64, respawns_ms: Sequence[int], gates_ms: Sequence[int]) -> B1:
    """Return (n,) False for the samples of ways that were given up by a respawn."""
    kept = np.ones(len(times), dtype=bool)
    gates = [time for time in gates_ms if time >= 0]
    last_press = {max((gate for gate in gates if gate <= press), default=0): press for press in sorted(respawns_ms)}
    for gate_ms, press in last_press.items():
        is_after = times >= press + _RESPAWN_SHOWS_MS
        if not is_after.any():
            continue
        place = positions[np.argmax(is_after)]
        cut_ms = gate_ms
        if np.linalg.norm(place - positions[times <= gate_ms][-1]) > RESPAWN_REACH_M:  # that gate led to another place
            driven = np.flatnonzero(kept & (times <= press))
            cut_ms = int(times[driven[np.argmin(np.linalg.norm(positions[driven] - place, axis=1))]])
        kept &= (times <= cut_ms) | is_after
        rows = np.flatnonzero(kept & (times <= cut_ms)).tolist()
        while len(rows) > 1 and _is_beyond(positions[rows[-1]], positions[rows[-2]], place):
            kept[rows.pop()] = False
        gap_m = float(np.linalg.norm(place - positions[rows[-1]]))
        if gap_m > RESPAWN_REACH_M:
            raise TrackError(
                f"The driver respawned at {press} ms to a place {gap_m:.0f} m away from all that was driven before, "
                f"expected at most {RESPAWN_REACH_M:g} m; the way between is unknown. Choose a replay without respawns."
            )
    return kept


def _is_beyond(last: F64, previous: F64, place: F64) -> bool:
    """Return whether the car was past ``place`` already at ``last``, in its own direction."""
    return bool(np.dot(place - last, last - previous) < 0)


def line_points(path_m: F64, distance_m: float = DEFAULT_DISTANCE_M) -> tuple[F64, float]:
    """Return points (N, 3) about ``distance_m`` apart along a polyline, and the polyline's length.

    The spacing is adjusted so that the end of the polyline lies half a step behind the last inner point; one point
    mirrored at the end follows.

    Raises:
        TrackError: the polyline has fewer than two steps, is longer than two million steps or is not finite.
    """
    if not np.isfinite(path_m).all():
        raise TrackError("The path of the ghost holds positions that are not finite numbers; the file is damaged.")
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path_m, axis=0), axis=1))])
    length = float(along[-1])
    steps = round(length / distance_m - 0.5)
    if not 2 <= steps <= _MAX_POINTS:
        raise TrackError(
            f"The path is {length:.1f} m long, expected between {2.5 * distance_m:g} m and "
            f"{_MAX_POINTS * distance_m:g} m. Choose a ghost that drives the track."
        )
    step_m = length / (steps + 0.5)
    at = np.arange(steps + 1) * step_m
    inner = np.stack([np.interp(at, along, path_m[:, k]) for k in range(3)], axis=1)
    points = np.vstack([inner, 2 * path_m[-1] - inner[-1]])
    return np.round(points, _DECIMALS), length


def line_from_path(path_m: F64, *, distance_m: float = DEFAULT_DISTANCE_M, map_uid: str = "") -> ReferenceLine:
    """Return the line along a path that nobody drove, such as the centre line of a track."""
    points, length_m = line_points(np.asarray(path_m, np.float64), distance_m)
    return ReferenceLine(points, LineInfo(length_m, len(points), distance_m, map_uid=map_uid, source="centre_line"))


def _load_points(path: Path) -> F64:
    try:
        with path.open("rb") as stream:
            _check_announced(path, stream)
            stream.seek(0)
            points = np.load(stream, allow_pickle=False)
    except FileNotFoundError:
        raise TrackError(f"{path} does not exist. Build the reference line of the track first.") from None
    except _NO_ARRAY as error:
        raise TrackError(f"{path} is not a NumPy array file ({error}). Delete it and build the line again.") from error
    if not np.isfinite(points).all():
        raise TrackError(f"{path} holds points that are not finite numbers. Delete it and build the line again.")
    return np.asarray(points, np.float64)


def _check_announced(path: Path, stream: IO[bytes]) -> None:
    """Refuse, before a byte of it is reserved, an array that is no line or larger than its file."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"array format {version[0]}.{version[1]}, expected 1.0 or 2.0")
    shape, _, dtype = readers[version](stream, max_header_size=_MAX_HEADER_BYTES)
    if len(shape) != 2 or shape[1] != 3 or dtype.kind not in "fiu":
        raise TrackError(f"{path} does not hold points of shape (N, 3). Delete it and build the line again.")
    if not 4 <= shape[0] <= _MAX_POINTS + 2:
        raise TrackError(
            f"{path} holds {shape[0]} points, expected 4 to {_MAX_POINTS + 2}. Delete it and build the line again."
        )
    announced, there = shape[0] * 3 * dtype.itemsize, path.stat().st_size - stream.tell()
    if announced != there:
        raise ValueError(f"it announces {announced} bytes of points and holds {there}")


def _load_info(path: Path, points: F64) -> LineInfo:
    if not path.exists():
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        return LineInfo(float(steps[:-1].sum() + steps[-1] / 2), len(points), round(float(np.median(steps)), 3))
    try:
        return LineInfo(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrackError(
            f"{path} does not describe a reference line ({error}). Delete it, the line stays usable."
        ) from error
