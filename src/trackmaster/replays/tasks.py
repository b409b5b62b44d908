"""What travels through the queues of the pipeline."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrackTask:
    """A track whose replays are wanted; ``index`` is its place in the list."""

    index: int
    track_id: int


@dataclass(frozen=True, slots=True)
class FileTask:
    """A replay, or the map of a track, to be fetched."""

    index: int
    track_id: int
    item_id: int
    is_map: bool
    uid: str
    time_ms: int | None
    target: Path


@dataclass(frozen=True, slots=True)
class MapTask:
    """A map to be taken out of a replay that is there."""

    index: int
    track_id: int
    uid: str
    replay: Path
    target: Path


@dataclass
class Counts:
    """What a run did, in this process."""

    tracks: int = 0
    tracks_gone: int = 0
    tracks_failed: int = 0
    done: int = 0
    adopted: int = 0
    gone: int = 0
    rejected: int = 0
    failed: int = 0
    maps: int = 0

    def sentence(self) -> str:
        """Return what a run did as one line."""
        kept = f" ({self.adopted} were there already)" if self.adopted else ""
        parts = [f"{self.tracks} tracks", f"{self.done} files fetched and verified{kept}", f"{self.maps} maps"]
        for count, word in (
            (self.gone + self.tracks_gone, "deleted on the exchange"),
            (self.rejected, "rejected"),
            (self.failed + self.tracks_failed, "left for the next run"),
        ):
            if count:
                parts.append(f"{count} {word}")
        return ", ".join(parts) + "."
