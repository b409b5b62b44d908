"""Capturing one replay on the simulator: run, picture, label, check, write."""

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackmaster import __version__
from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.drive import drive_trajectory
from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.folders import PARTIAL_SUFFIX, remove_if_empty
from trackmaster.capture.ghost import ghost_trajectory
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.pictures import CAMERA, Painter
from trackmaster.capture.plan import frame_name, planned_ticks
from trackmaster.capture.snapshots import Progress, follow_line, manifest_entries, meta_snapshots, valid_ticks
from trackmaster.capture.source import ReplaySource, read_source
from trackmaster.capture.surface import match_surface
from trackmaster.capture.trajectory import Trajectory
from trackmaster.capture.verify import PictureCheck, Verification, check_frames, check_run, check_ticks
from trackmaster.capture.writer import FrameWriter, UtcClock, utc_text, write_json, write_manifest, write_ticks
from trackmaster.files import atomic_dir
from trackmaster.game.simulator import SimulatorGame
from trackmaster.track import Track, TrackError
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

SAMPLE_PERIOD_MS = 100


@dataclass(frozen=True)
class _Stage:
    """The simulator set up for one map."""

    map_sha256: str
    track: Track
    game: SimulatorGame
    painter: Painter


class ReplayCapture:
    """Captures replays one after the other; the simulator of a map is kept for its next replay."""

    def __init__(self, config: CaptureConfig, lines: LineShelf, clock: UtcClock) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            config: flags.
            lines: reference lines.
            clock: time of day for stamps.
        """
        self._config = config
        self._lines = lines
        self._clock = clock
        self._stage: _Stage | None = None

    def run(self, file: ReplayFile, sha256: str) -> Outcome:
        """Capture one replay.

        Raises:
            ReplayRejectedError: it cannot be captured, or a check failed.
        """
        config = self._config
        source = read_source(file, config)
        stage = self._stage_for(source)
        trajectory = self._trajectory(source, stage)
        driven = config.resolved_mode == "drive"
        verification = check_run(
            source,
            trajectory,
            driven=driven,
            tolerance_m=config.sample_tolerance_m,
            surface=None if driven else match_surface(source.ghost, stage.track.mesh),
            surface_counts=not config.allow_unknown_blocks,
        )
        self._demand(verification)
        zones = self._lines.zones(source)
        progress = follow_line(trajectory, zones) if zones is not None else None
        frames = self._write(source, stage, trajectory, progress, verification)
        return Outcome(
            source.track_id,
            file.name,
            "ok",
            sha256,
            self._config.fingerprint,
            frames=frames,
            mode=config.resolved_mode,
            map_uid=source.map.challenge.uid,
            race_time_ms=source.race_time_ms,
            max_sample_error_m=verification.max_sample_error_m,
        )

    def close(self) -> None:
        """Let go of the simulator."""
        if self._stage is not None:
            self._stage.game.close()
            self._stage = None

    def _demand(self, verification: Verification) -> None:
        failure = verification.first_failure
        if failure is not None and self._config.verify:
            worst = verification.max_sample_error_m
            strayed = "" if worst is None else f" The car strayed {worst:.3f} m from the ghost at most."
            found = failure.detail or f"a check failed: {failure.reason}, found {failure.value}."
            raise ReplayRejectedError(failure.reason, f"{found}{strayed}")

    def _stage_for(self, source: ReplaySource) -> _Stage:
        if self._stage is not None and self._stage.map_sha256 == source.map.sha256:
            return self._stage
        self.close()
        challenge = source.map.challenge
        is_compared = self._config.resolved_mode == "ghost" or self._config.allow_unknown_blocks
        if challenge.is_unlimiter and not is_compared:
            raise ReplayRejectedError(
                "unsupported_map",
                f"map {challenge.name!r} was made with TMUnlimiter: its blocks may not stand where the file says. "
                "--mode ghost finds out.",
            )
        try:
            track = Track.from_challenge(challenge, allow_unknown=self._config.allow_unknown_blocks)
        except TrackError as error:
            raise ReplayRejectedError("unsupported_map", str(error)) from None
        game = SimulatorGame(watched=False)
        game.load(track)
        width, height = self._config.size_px
        self._stage = _Stage(source.map.sha256, track, game, Painter(track, width, height))
        return self._stage

    def _trajectory(self, source: ReplaySource, stage: _Stage) -> Trajectory:
        if self._config.resolved_mode == "drive":
            return drive_trajectory(stage.game, source.timeline, source.race_time_ms, source.ghost.samples)
        return ghost_trajectory(source.ghost, source.timeline, source.race_time_ms)

    def _write(
        self,
        source: ReplaySource,
        stage: _Stage,
        trajectory: Trajectory,
        progress: Progress | None,
        verification: Verification,
    ) -> int:
        """Draw, judge and write one replay into its folder; nothing stays behind when it is rejected."""
        config = self._config
        planned = planned_ticks(config.fps, self._end_ms(source, trajectory))
        rows = planned // TICK_MS
        valid = valid_ticks(trajectory, progress)[rows]
        keep = valid if config.skip_bad_float_samples else np.ones(len(rows), dtype=bool)
        if not keep.any():
            raise ReplayRejectedError(
                "no_valid_frames", "not one frame of it has valid floats, and --skip-bad-float-samples is set."
            )
        folder = config.output_dir / source.track_id / source.file.name
        with self._folder(folder) as temporary:
            stamps, pictures = self._draw(temporary, stage, trajectory, rows[keep])
            write_ticks(temporary / "ticks.npz", source.timeline)
            check_ticks(verification, temporary / "ticks.npz", source.timeline, source.race_time_ms)
            check_frames(
                verification,
                temporary,
                planned=planned,
                keep=keep,
                pictures=pictures.result(),
                valid=valid[keep] if progress is not None else None,
            )
            self._demand(verification)
            self._write_records(temporary, source, trajectory, progress, verification, rows[keep], stamps)
        return int(keep.sum())

    @contextmanager
    def _folder(self, target: Path) -> Iterator[Path]:
        """Yield a temporary folder that becomes ``target``; a track folder that stays empty is removed again."""
        for stale in target.parent.glob(f".{glob.escape(target.name[:80])}.*{PARTIAL_SUFFIX}"):
            shutil.rmtree(stale, ignore_errors=True)  # left by a run that was killed
        try:
            with atomic_dir(target) as temporary:
                yield temporary
        except BaseException:
            remove_if_empty(target.parent)
            raise

    def _end_ms(self, source: ReplaySource, trajectory: Trajectory) -> int:
        margin = self._config.finish_margin_ms
        wanted = source.race_time_ms if margin < 0 else source.race_time_ms - margin
        return min(wanted, trajectory.end_ms)

    def _draw(
        self, folder: Path, stage: _Stage, trajectory: Trajectory, rows: NDArray[np.integer]
    ) -> tuple[list[str], PictureCheck]:
        width, height = self._config.size_px
        looked = PictureCheck(width, height)
        stamps: list[str] = []
        placed_until = np.cumsum(trajectory.placed)
        before = 0
        with FrameWriter() as writer:
            for row, grey in stage.painter.draw(trajectory, rows):
                time_ms = row * TICK_MS
                looked.look(
                    time_ms,
                    grey,
                    trajectory.states.position_m[row],
                    placed=bool(placed_until[row] > placed_until[before]),
                )
                before = row
                writer.write(folder / frame_name(len(stamps), time_ms), grey)
                stamps.append(utc_text(self._clock()))
            writer.wait()
        return stamps, looked

    def _write_records(
        self,
        folder: Path,
        source: ReplaySource,
        trajectory: Trajectory,
        progress: Progress | None,
        verification: Verification,
        rows: NDArray[np.integer],
        stamps: list[str],
    ) -> None:
        config = self._config
        labels = source.timeline.action_index()
        entries = manifest_entries(trajectory, rows, labels, stamps)
        fps_meta = config.fps_meta or config.fps
        meta_rows = meta_ticks(fps_meta, trajectory.end_ms, rows * TICK_MS) // TICK_MS
        meta = meta_snapshots(trajectory, meta_rows, progress, source.race_time_ms)
        actions = labels[:: config.step_ms // TICK_MS]
        write_manifest(folder, entries, actions, meta, per_frame=config.per_frame_json)
        metadata = self._metadata(source, trajectory, verification, len(rows))
        write_json(folder / "metadata.json", metadata)
        verdict = verification.as_json()
        verdict |= {"speed": config.running_speed, "machine_profile": None, "versions": {"trackmaster": __version__}}
        write_json(folder / "verify.json", verdict)

    def _metadata(
        self, source: ReplaySource, trajectory: Trajectory, verification: Verification, frames: int
    ) -> dict[str, Any]:
        config = self._config
        width, height = config.size_px
        fps_meta = config.fps_meta or config.fps
        events = source.ghost.events
        return {
            "schema_version": 2,
            "track_id": source.track_id,
            "replay_name": source.file.name,
            "challenge_name": source.map.file_name,
            "fps": config.fps,
            "width": width,
            "height": height,
            "capture_interval_ms": 1_000 / config.fps,
            "step_ms": config.step_ms,
            "run_steps_per_action": config.step_ms // TICK_MS,
            "race_time_ms": source.race_time_ms,
            "total_frames": frames,
            "fps_meta": fps_meta,
            "meta_interval_ms": 1_000 / fps_meta,
            "running_speed": config.running_speed,
            "race_finished": bool(trajectory.states.finished[-1]),
            "actual_race_time_ms": trajectory.finish_ms,
            "tmi_script_used": None,
            "map_uid": source.map.challenge.uid,
            "replay_id": None,
            "replay_sha256": source.sha256,
            "map_sha256": source.map.sha256,
            "device": source.device,
            "input_shift_ms": events.shift_ms if events is not None else 0,
            "state_offset_ms": STATE_OFFSET_MS,
            "camera": CAMERA,
            "image_source": "simulator",
            "mode": config.resolved_mode,
            "settings": config.fingerprint,
            "game_version": None,
            "plugin": None,
            "floats_rebuilt": list(trajectory.rebuilt),
            "floats_missing": list(trajectory.missing),
            "verified": verification.is_ok,
            "verify_file": "verify.json",
        }


def meta_ticks(fps_meta: float, end_ms: int, frames_ms: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the times of float snapshots: one per frame, one per ghost sample, and ``fps_meta`` per second."""
    samples = (
        np.arange(SAMPLE_PERIOD_MS, end_ms + STATE_OFFSET_MS + 1, SAMPLE_PERIOD_MS, dtype=np.int32) - STATE_OFFSET_MS
    )
    return np.unique(np.concatenate((planned_ticks(fps_meta, end_ms), samples, frames_ms))).astype(np.int32)
