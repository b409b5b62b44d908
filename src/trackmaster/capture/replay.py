"""Capturing one replay: run, check, picture, label, write."""

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
from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.folders import PARTIAL_SUFFIX, remove_if_empty
from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.machine import machine_profile
from trackmaster.capture.outcomes import Outcome
from trackmaster.capture.pictures import CAMERA
from trackmaster.capture.plan import planned_ticks
from trackmaster.capture.recorder import Recorder, Recording
from trackmaster.capture.snapshots import Progress, follow_line, manifest_entries, meta_snapshots, valid_ticks
from trackmaster.capture.source import ReplaySource, read_source
from trackmaster.capture.verify import Verification, check_frames, check_run, check_ticks
from trackmaster.capture.writer import UtcClock, write_json, write_manifest, write_ticks
from trackmaster.files import atomic_dir
from trackmaster.units import STATE_OFFSET_MS, TICK_MS

SAMPLE_PERIOD_MS = 100


@dataclass(frozen=True)
class _Judged:
    """A run that passed its checks, with where it was on the reference line."""

    source: ReplaySource
    recording: Recording
    progress: Progress | None
    verification: Verification


class ReplayCapture:
    """Captures replays one after the other."""

    def __init__(self, config: CaptureConfig, recorder: Recorder, lines: LineShelf, clock: UtcClock) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            config: flags.
            recorder: what runs the replays.
            lines: reference lines.
            clock: time of day for stamps.
        """
        self._config = config
        self._recorder = recorder
        self._lines = lines
        self._clock = clock

    def run(self, file: ReplayFile, sha256: str) -> Outcome:
        """Capture one replay; nothing stays behind when it is rejected.

        Raises:
            ReplayRejectedError: it cannot be captured, or a check failed.
        """
        config = self._config
        source = read_source(file, config)
        planned = planned_ticks(config.fps, self._end_ms(source))
        width, height = config.size_px
        with (
            self._folder(config.output_dir / source.track_id / file.name) as temporary,
            FrameTaker(temporary, width, height, self._clock) as frames,
        ):
            recording = self._recorder.record(source, planned // TICK_MS, frames)
            judged = self._judge(source, recording)
            shown = planned[planned <= recording.trajectory.end_ms]
            count = self._write(temporary, judged, shown, frames)
        return Outcome(
            source.track_id,
            file.name,
            "ok",
            sha256,
            self._config.fingerprint,
            frames=count,
            mode=config.resolved_mode,
            map_uid=source.map.challenge.uid,
            race_time_ms=source.race_time_ms,
            max_sample_error_m=judged.verification.max_sample_error_m,
        )

    def close(self) -> None:
        """Let go of the game."""
        self._recorder.close()

    def _end_ms(self, source: ReplaySource) -> int:
        margin = self._config.finish_margin_ms
        return source.race_time_ms if margin < 0 else source.race_time_ms - margin

    def _judge(self, source: ReplaySource, recording: Recording) -> _Judged:
        verification = check_run(
            source,
            recording.trajectory,
            driven=recording.driven,
            tolerance_m=self._config.resolved_tolerance_m,
            surface=recording.surface,
            surface_counts=not self._config.allow_unknown_blocks,
        )
        verification.checks.update(recording.checks)
        self._demand(verification)
        zones = self._lines.zones(source)
        progress = follow_line(recording.trajectory, zones) if zones is not None else None
        return _Judged(source, recording, progress, verification)

    def _demand(self, verification: Verification) -> None:
        failure = verification.first_failure
        if failure is not None and self._config.verify:
            worst = verification.max_sample_error_m
            strayed = "" if worst is None else f" The car strayed {worst:.3f} m from the ghost at most."
            found = failure.detail or f"a check failed: {failure.reason}, found {failure.value}."
            raise ReplayRejectedError(failure.reason, f"{found}{strayed}")

    def _write(self, folder: Path, judged: _Judged, planned: NDArray[np.integer], frames: FrameTaker) -> int:
        """Draw what is not drawn yet, judge the pictures and write everything; return the number of frames."""
        source, trajectory, progress = judged.source, judged.recording.trajectory, judged.progress
        rows = planned // TICK_MS
        valid = valid_ticks(trajectory, progress)[rows]
        keep = valid if self._config.skip_bad_float_samples else np.ones(len(rows), dtype=bool)
        if not keep.any():
            raise ReplayRejectedError(
                "no_valid_frames", "not one frame of it has valid floats, and --skip-bad-float-samples is set."
            )
        frames.expect(rows[keep])
        judged.recording.draw(rows[keep], frames)
        stamps = frames.keep(rows[keep])
        write_ticks(folder / "ticks.npz", source.timeline)
        check_ticks(judged.verification, folder / "ticks.npz", source.timeline, source.race_time_ms)
        check_frames(
            judged.verification,
            folder,
            planned=planned,
            keep=keep,
            pictures=frames.judged(),
            valid=valid[keep] if progress is not None else None,
        )
        self._demand(judged.verification)
        self._write_records(folder, judged, rows[keep], stamps)
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

    def _write_records(self, folder: Path, judged: _Judged, rows: NDArray[np.integer], stamps: list[str]) -> None:
        config, source, trajectory = self._config, judged.source, judged.recording.trajectory
        labels = source.timeline.action_index()
        entries = manifest_entries(trajectory, rows, labels, stamps)
        fps_meta = config.fps_meta or config.fps
        meta_rows = meta_ticks(fps_meta, trajectory.end_ms, rows * TICK_MS) // TICK_MS
        meta = meta_snapshots(trajectory, meta_rows, judged.progress, source.race_time_ms)
        actions = labels[:: config.step_ms // TICK_MS]
        write_manifest(folder, entries, actions, meta, per_frame=config.per_frame_json)
        write_json(folder / "metadata.json", self._metadata(judged, len(rows)))
        verdict = judged.verification.as_json()
        versions = {"trackmaster": __version__} | dict(judged.recording.versions)
        verdict |= {"speed": config.running_speed, "machine_profile": machine_profile(), "versions": versions}
        write_json(folder / "verify.json", verdict)

    def _metadata(self, judged: _Judged, frames: int) -> dict[str, Any]:
        config, source, trajectory = self._config, judged.source, judged.recording.trajectory
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
            "verified": judged.verification.is_ok,
            "verify_file": "verify.json",
        } | dict(judged.recording.metadata)


def meta_ticks(fps_meta: float, end_ms: int, frames_ms: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the times of float snapshots: one per frame, one per ghost sample, and ``fps_meta`` per second."""
    samples = (
        np.arange(SAMPLE_PERIOD_MS, end_ms + STATE_OFFSET_MS + 1, SAMPLE_PERIOD_MS, dtype=np.int32) - STATE_OFFSET_MS
    )
    return np.unique(np.concatenate((planned_ticks(fps_meta, end_ms), samples, frames_ms))).astype(np.int32)
