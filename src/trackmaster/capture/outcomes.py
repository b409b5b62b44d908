"""What became of every replay: ``index.json`` (the latest outcome of each) and ``rejects.jsonl`` (every rejection)."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.writer import UtcClock, json_bytes, utc_text, write_json

INDEX_NAME = "index.json"
REJECTS_NAME = "rejects.jsonl"
SAVE_INTERVAL_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """The latest fate of one replay."""

    track_id: str
    replay: str
    """Folder name: the file's name without ``.gbx``."""
    status: str
    """"ok" or "rejected"."""
    sha256: str
    settings: str
    """Fingerprint of the flags that decide about it."""
    frames: int = 0
    reason: str = ""
    detail: str = ""
    mode: str = ""
    map_uid: str = ""
    race_time_ms: int | None = None
    max_sample_error_m: float | None = None
    utc: str = ""
    circumstances: str = ""
    """Fingerprint of what else a rejection depends on."""


class OutcomeBook:
    """The outcomes of one output folder, on disk every few seconds and at the end.

    What a kill leaves unwritten is no loss: the folder of a captured replay says itself that it is whole.
    """

    def __init__(self, output_dir: Path, clock: UtcClock, ticker: Callable[[], float] = time.monotonic) -> None:
        """Read what earlier runs left.

        Args:
            output_dir: where ``index.json`` and ``rejects.jsonl`` stand.
            clock: time of day for stamps.
            ticker: seconds that only grow.

        Raises:
            CaptureError: ``index.json`` is there but is none of ours.
        """
        self._dir = output_dir
        self._clock = clock
        self._ticker = ticker
        self._saved_s = ticker()
        self._outcomes: dict[str, Outcome] = {}
        path = output_dir / INDEX_NAME
        if path.is_file():
            self._outcomes = _read_index(path)

    def known(self, file_key: str) -> Outcome | None:
        """Return the outcome recorded for a file (its path below the replays folder)."""
        return self._outcomes.get(file_key)

    def others_with(self, file_key: str, track_id: str, replay: str) -> Iterator[str]:
        """Yield the keys of other files whose frames lie in a folder."""
        for key, outcome in self._outcomes.items():
            if key != file_key and outcome.status == "ok" and (outcome.track_id, outcome.replay) == (track_id, replay):
                yield key

    def record(self, file_key: str, outcome: Outcome, *, wall_s: float) -> None:
        """Note an outcome; a rejection also gets its line in ``rejects.jsonl``."""
        stamped = Outcome(**{**asdict(outcome), "utc": utc_text(self._clock())})
        self._outcomes[file_key] = stamped
        if outcome.status == "rejected":
            self._append_reject(stamped, wall_s)
        if self._ticker() - self._saved_s >= SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Write ``index.json``, replays in the order of their names."""
        listed = {key: asdict(self._outcomes[key]) for key in sorted(self._outcomes)}
        write_json(self._dir / INDEX_NAME, {"schema_version": 1, "replays": listed})
        self._saved_s = self._ticker()

    def _append_reject(self, outcome: Outcome, wall_s: float) -> None:
        line = {
            "track_id": outcome.track_id,
            "replay": outcome.replay,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "wall_s": round(wall_s, 3),
            "utc": outcome.utc,
        }
        self._dir.mkdir(parents=True, exist_ok=True)
        with (self._dir / REJECTS_NAME).open("ab") as stream:
            stream.write(json_bytes(line))


def _read_index(path: Path) -> dict[str, Outcome]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): Outcome(**values) for key, values in content["replays"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CaptureError(
            f"{path}: is no index of captured replays ({error}). Move it away, or choose another --output-dir."
        ) from None
