"""The embedded simulator as a recorder: the run first, the pictures afterwards, as many per call as it likes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.drive import drive_trajectory
from trackmaster.capture.errors import ReplayRejectedError
from trackmaster.capture.frames import FrameTaker
from trackmaster.capture.ghost import ghost_trajectory
from trackmaster.capture.pictures import Painter
from trackmaster.capture.recorder import Recording
from trackmaster.capture.source import ReplaySource
from trackmaster.capture.surface import match_surface
from trackmaster.capture.trajectory import Trajectory
from trackmaster.game.simulator import SimulatorGame
from trackmaster.track import Track, TrackError


@dataclass(frozen=True)
class _Stage:
    """The simulator set up for one map."""

    map_sha256: str
    track: Track
    game: SimulatorGame
    painter: Painter


class SimulatedRecorder:
    """Runs replays on the simulator; what was set up for a map is kept for its next replay."""

    def __init__(self, config: CaptureConfig) -> None:
        """Prepare; nothing is loaded yet."""
        self._config = config
        self._stage: _Stage | None = None

    def record(self, source: ReplaySource, rows: NDArray[np.integer], frames: FrameTaker) -> Recording:
        """Run one replay; its pictures are drawn when they are asked for, so ``rows`` and ``frames`` wait till then.

        Raises:
            ReplayRejectedError: its map cannot be driven here.
        """
        del rows, frames
        stage = self._stage_for(source)
        driven = self._config.resolved_mode == "drive"
        trajectory = self.trajectory(source, stage.game)
        return Recording(
            trajectory,
            draw=lambda chosen, frames: _draw(stage.painter, trajectory, chosen, frames),
            driven=driven,
            surface=None if driven else match_surface(source.ghost, stage.track.mesh),
        )

    def trajectory(self, source: ReplaySource, game: SimulatorGame) -> Trajectory:
        """Return the run of a replay on the loaded track."""
        if self._config.resolved_mode == "drive":
            return drive_trajectory(game, source.timeline, source.race_time_ms, source.ghost.samples)
        return ghost_trajectory(source.ghost, source.timeline, source.race_time_ms)

    def close(self) -> None:
        """Let go of the simulator."""
        if self._stage is not None:
            self._stage.game.close()
            self._stage = None

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


def _draw(painter: Painter, trajectory: Trajectory, rows: NDArray[np.integer], frames: FrameTaker) -> None:
    placed_until = np.cumsum(trajectory.placed)
    before = 0
    for row, grey in painter.draw(trajectory, rows):
        placed = bool(placed_until[row] > placed_until[before])
        frames.take(row, grey, trajectory.states.position_m[row], placed=placed)
        before = row
