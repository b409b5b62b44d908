"""The folder of one captured replay: whether it is whole, what it tells about itself, and how it goes away."""

import json
import shutil
from pathlib import Path
from typing import Any

from trackmaster.capture.config import CaptureConfig
from trackmaster.capture.discover import ReplayFile
from trackmaster.capture.outcomes import Outcome

PARTIAL_SUFFIX = ".part"
"""Ends the names of folders that are being written or removed; they begin with a dot, so no reader looks into them."""


def is_whole(folder: Path, sha256: str, *, verify: bool) -> bool:
    """Return whether a folder holds a replay completely: its records, a good verdict and every frame.

    Args:
        folder: of the replay.
        sha256: of the replay's file.
        verify: whether the verdict has to be good.
    """
    verdict, metadata = _read_record(folder / "verify.json"), _read_record(folder / "metadata.json")
    return (
        (folder / "manifest.json").is_file()
        and bool(verdict.get("ok") or (verdict and not verify))
        and metadata.get("replay_sha256") == sha256
        and metadata.get("total_frames") == sum(1 for _ in folder.glob("frame_*.jpeg"))
    )


def recall(file: ReplayFile, sha256: str, config: CaptureConfig) -> Outcome | None:
    """Return the outcome that a whole folder tells by itself, None when it is of another file or other flags."""
    track_id = file.track_id or ""
    folder = config.output_dir / track_id / file.name
    found = _read_record(folder / "metadata.json")
    if found.get("settings") != config.fingerprint or not is_whole(folder, sha256, verify=config.verify):
        return None
    return Outcome(
        track_id,
        file.name,
        "ok",
        sha256,
        config.fingerprint,
        frames=int(found.get("total_frames", 0)),
        mode=str(found.get("mode", "")),
        map_uid=str(found.get("map_uid", "")),
        race_time_ms=found.get("race_time_ms"),
    )


def remove_capture(output_dir: Path, track_id: str, replay: str) -> bool:
    """Remove the folder of a replay, and its track's folder if nothing else is in it; tell whether there was one.

    It is renamed first: an interruption leaves no half replay that a reader would take for a whole one.
    """
    folder = output_dir / track_id / replay
    is_plain = all(Path(name).name == name and name not in ("", "..") for name in (track_id, replay))
    if not is_plain or not (folder / "metadata.json").is_file():
        return False
    aside = folder.with_name(f".{folder.name[:80]}.removed{PARTIAL_SUFFIX}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside)
    remove_if_empty(folder.parent)
    return True


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _read_record(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, an empty one when there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
