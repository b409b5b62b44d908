"""Building what captures: the flags decide whether the simulator or a game runs the replays."""

from dataclasses import dataclass

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.lines import LineShelf
from trackmaster.capture.replay import ReplayCapture
from trackmaster.capture.simulated import SimulatedRecorder
from trackmaster.capture.writer import UtcClock


@dataclass(frozen=True)
class CaptureMaker:
    """Builds what captures, in this process or in that of a worker."""

    files: tuple[ReplayFile, ...]
    """All replays of the run: reference lines are built from them."""
    clock: UtcClock

    def __call__(self, config: CaptureConfig, number: int) -> ReplayCapture:
        """Return the capturer of worker ``number``."""
        del number  # simulators do not differ
        groups: dict[str, list[ReplayFile]] = {}
        for file in self.files:
            if file.track_id:
                groups.setdefault(file.track_id, []).append(file)
        lines = LineShelf(config, {key: tuple(group) for key, group in groups.items()})
        return ReplayCapture(config, SimulatedRecorder(config), lines, self.clock)
