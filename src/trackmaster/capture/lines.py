"""Reference lines beside the captured tracks: found, or built from a replay when missing."""

import itertools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from trackmaster import gbx
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.source import ReplaySource
from trackmaster.gbx import Ghost, Replay
from trackmaster.track import ReferenceLine, TrackError, ZoneMap, gate_points, line_of_ghost, vcp_name

log = logging.getLogger(__name__)


def line_path(config: CaptureConfig, track_id: str) -> Path:
    """Return where the line of a track is kept."""
    return config.vcp_dir / vcp_name(track_id, distance_m=config.vcp_distance, suffix=config.vcp_suffix)


class LineShelf:
    """Gives the zone map of each captured track; a line is read or built once."""

    def __init__(self, config: CaptureConfig, replays_of_track: dict[str, Sequence[ReplayFile]]) -> None:
        """Remember where lines are kept.

        Args:
            config: folder, spacing, suffix and whether lines may be built.
            replays_of_track: all replay files of a track: one of them may serve better, or where the first cannot.
        """
        self._config = config
        self._replays_of_track = replays_of_track
        self._known: dict[tuple[str, str], ZoneMap | None] = {}

    def zones(self, source: ReplaySource) -> ZoneMap | None:
        """Return the zone map of a replay's track, None (said aloud) where there is no line and none may be built."""
        key = (source.track_id, source.map.challenge.uid)
        if key not in self._known:
            line = self._line(source)
            gates = gate_points(source.map.challenge.blocks)
            self._known[key] = None if line is None else ZoneMap(line.points_m, gates)
        return self._known[key]

    def _line(self, source: ReplaySource) -> ReferenceLine | None:
        path = line_path(self._config, source.track_id)
        uid = source.map.challenge.uid
        try:
            if path.is_file():
                line = ReferenceLine.load(path)
                if line.info.map_uid in ("", uid):
                    return line
                log.warning(
                    "%s belongs to map %s, but the replay was driven on %s: its frames use a line of their own.",
                    path, line.info.map_uid, uid,
                )  # fmt: skip
                return self._build(source, source.ghost, source.file)
            if not self._config.vcp_auto_generate:
                log.warning(
                    "%s does not exist and may not be built: the floats of %s lack their zone part.",
                    path,
                    source.track_id,
                )
                return None
            line = self._new_line(source)
            line.save(path)
        except TrackError as error:
            log.warning("no reference line for %s: %s", source.track_id, error)
            return None
        log.info("reference line %s built from %s", path, line.info.replay_id)
        return line

    def _new_line(self, source: ReplaySource) -> ReferenceLine:
        """Return the line of the first run that one can be built from.

        Raises:
            TrackError: there is none; the text is about the first choice.
        """
        first_error: TrackError | None = None
        for ghost, file in self._teachers(source):
            try:
                return self._build(source, ghost, file)
            except TrackError as error:
                first_error = first_error or error
        assert first_error is not None, "the replay at hand is always asked"
        raise first_error

    def _build(self, source: ReplaySource, ghost: Ghost, file: ReplayFile) -> ReferenceLine:
        return line_of_ghost(
            ghost, distance_m=self._config.vcp_distance, map_uid=source.map.challenge.uid, replay_id=file.path.name
        )

    def _teachers(self, source: ReplaySource) -> Iterable[tuple[Ghost, ReplayFile]]:
        """Return the runs that a new line may follow, the wanted one first: this one, or the fastest of the track."""
        here = [(source.ghost, source.file)]
        files = (file for file in self._replays_of_track.get(source.track_id, ()) if file != source.file)
        read = ((_ghost_of(file, source.map.challenge.uid), file) for file in files)
        others = ((ghost, file) for ghost, file in read if ghost is not None)
        if self._config.vcp_source == "first":
            return itertools.chain(here, others)  # the others are read only where this one gives no line
        return sorted((*here, *others), key=lambda teacher: teacher[0].race_time_ms or 0)


def _ghost_of(file: ReplayFile, uid: str) -> Ghost | None:
    """Return the fastest finished ghost with samples of a readable replay on the same map."""
    try:
        replay = gbx.read(file.path)
    except gbx.GbxError:
        return None
    if not isinstance(replay, Replay) or replay.map_uid != uid:
        return None
    usable = [
        ghost for ghost in replay.ghosts if ghost.race_time_ms and ghost.race_time_ms > 0 and ghost.samples is not None
    ]
    return min(usable, key=lambda ghost: ghost.race_time_ms or 0, default=None)
