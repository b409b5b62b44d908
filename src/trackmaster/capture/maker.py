"""Building what captures: the flags decide whether the simulator or a game runs the replays."""

from dataclasses import dataclass

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.games import Games
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.played import PlayedRecorder
from trackmaster.capture.recorder import Recorder
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.simulated import SimulatedRecorder
from trackmaster.capture.writer import UtcClock
from trackmaster.game.setup.keeper import GameKeeper


@dataclass(frozen=True)
class CaptureMaker:
    """Builds what captures, in this process or in that of a worker."""

    files: tuple[ReplayFile, ...]
    """All replays of the run: reference lines are built from them."""
    clock: UtcClock
    games: Games | None = None
    """One game per worker; None for the simulator."""

    def __call__(self, config: CaptureConfig, number: int) -> ReplayCapture:
        """Return the capturer of worker ``number``."""
        groups: dict[str, list[ReplayFile]] = {}
        for file in self.files:
            if file.track_id:
                groups.setdefault(file.track_id, []).append(file)
        lines = LineShelf(config, {key: tuple(group) for key, group in groups.items()})
        return ReplayCapture(config, self._recorder(config, number), lines, self.clock)

    def _recorder(self, config: CaptureConfig, number: int) -> Recorder:
        if self.games is None:
            return SimulatedRecorder(config)
        instance, settings = self.games.instances[number], self.games.settings
        keeper = None if settings is None else GameKeeper(settings, instance)
        return PlayedRecorder(
            config, instance, speed_check=self.games.speed_check, keeper=keeper, login=self.games.login
        )
