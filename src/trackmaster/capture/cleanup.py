"""Taking frames with invalid floats out of a captured tree, so that what remains can be learnt from."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackmaster.capture.errors import CaptureError
from trackmaster.capture.folders import remove_capture
from trackmaster.capture.frame_rules import labelled_run, why_invalid
from trackmaster.capture.plan import frame_name
from trackmaster.capture.writer import MAX_MANIFEST_BYTES, json_bytes, write_json
from trackmaster.files import atomic_dir

MANIFEST, METADATA = "manifest.json", "metadata.json"


@dataclass
class ReplayVerdict:
    """What is wrong with the frames of one replay."""

    folder: Path
    frames: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    """Position in the manifest of each invalid frame, and what is wrong with it."""
    problem: str = ""
    """Why the replay cannot be judged at all; it is left as it is then."""

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason occurs."""
        return Counter(self.bad.values())


def replay_folders(data_dir: Path) -> Iterator[Path]:
    """Yield the folders ``<data_dir>/<track_id>/<replay>`` in order.

    Raises:
        CaptureError: there is no such tree.
    """
    if not data_dir.is_dir():
        raise CaptureError(f"{data_dir} is no folder. Give the folder of captured frames as --data-dir.")
    for track in sorted(_plain_folders(data_dir)):
        yield from sorted(_plain_folders(track))


def judge_replay(folder: Path) -> ReplayVerdict:
    """Judge every frame of one replay; nothing is changed."""
    verdict = ReplayVerdict(folder)
    try:
        manifest, metadata = _read(folder / MANIFEST), _read(folder / METADATA)
        entries, actions, meta = _parts(manifest)
        verdict.frames = len(entries)
        run = labelled_run(entries, actions, meta, metadata if isinstance(metadata, dict) else {})
        for position, entry in enumerate(entries):
            reason = _wrong_picture(folder, entry) or why_invalid(int(entry["time_ms"]), run)
            if reason is not None:
                verdict.bad[position] = reason
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        verdict.problem = f"{folder}: its records cannot be read ({' '.join(str(error).split())})"
    return verdict


def clean_replay(verdict: ReplayVerdict) -> None:
    """Take the invalid frames out of a replay; a replay of which nothing remains goes away, with an empty track.

    The folder is built anew beside the old one and takes its place when it is whole. The timeline and the snapshots
    stay as they are, the frames are numbered from 0 without gaps.
    """
    folder = verdict.folder
    if len(verdict.bad) == verdict.frames:
        remove_capture(folder.parent.parent, folder.parent.name, folder.name)
        return
    manifest, metadata = _read(folder / MANIFEST), _read(folder / METADATA)
    entries, _, _ = _parts(manifest)
    kept = [entry for position, entry in enumerate(entries) if position not in verdict.bad]
    with atomic_dir(folder) as fresh:
        _link_records(folder, fresh, {str(entry["file"]) for entry in entries})
        renamed = [_move_frame(folder, fresh, entry, step) for step, entry in enumerate(kept)]
        content = renamed if isinstance(manifest, list) else manifest | {"entries": renamed}
        (fresh / MANIFEST).write_bytes(json_bytes(content, separators=(",", ":")))
        write_json(fresh / METADATA, metadata | {"total_frames": len(renamed)})
        write_json(fresh / "cleanup.json", _record(verdict, folder))


def _wrong_picture(folder: Path, entry: Mapping[str, Any]) -> str | None:
    name = str(entry["file"])
    if Path(name).name != name or not (folder / name).is_file():
        return "no picture"
    content = np.fromfile(folder / name, dtype=np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    return None if picture is not None else "the picture cannot be decoded"


def _parts(manifest: Any) -> tuple[list[dict[str, Any]], list[Any] | None, list[dict[str, Any]]]:
    """Return entries, timeline and snapshots of any of the known shapes of a manifest."""
    if isinstance(manifest, list):
        return manifest, None, []
    return manifest["entries"], manifest.get("actions"), manifest.get("meta") or []


def _link_records(folder: Path, fresh: Path, frames: set[str]) -> None:
    """Take over every file that is no frame and will not be written anew."""
    sides = {Path(name).with_suffix(".json").name for name in frames}
    for path in folder.iterdir():
        if path.is_file() and path.name not in {MANIFEST, METADATA, "cleanup.json"} | frames | sides:
            _link(path, fresh / path.name)


def _move_frame(folder: Path, fresh: Path, entry: dict[str, Any], step: int) -> dict[str, Any]:
    """Take over one frame under its new number and return its entry."""
    old = folder / entry["file"]
    name = frame_name(step, int(entry["time_ms"]))
    number = "index" if "index" in entry and "step" not in entry else "step"
    changed = entry | {"file": name, number: step}
    _link(old, fresh / name)
    if old.with_suffix(".json").is_file():
        (fresh / name).with_suffix(".json").write_bytes(json_bytes(changed, indent=2))
    return changed


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # the file system has no links
        shutil.copy2(source, target)


def _record(verdict: ReplayVerdict, folder: Path) -> dict[str, Any]:
    """Return the content of ``cleanup.json``: what was taken out, by this clean-up and earlier ones."""
    earlier: Any = {}
    if (folder / "cleanup.json").is_file():
        earlier = _read(folder / "cleanup.json")
    counts = Counter({str(key): int(value) for key, value in dict(earlier.get("reasons", {})).items()})
    counts.update(verdict.reasons)
    return {"removed": sum(counts.values()), "reasons": dict(sorted(counts.items()))}


def _read(path: Path) -> Any:
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_MANIFEST_BYTES >> 20} MiB")
    return json.loads(path.read_bytes())


def _plain_folders(path: Path) -> list[Path]:
    return [found for found in path.iterdir() if found.is_dir() and not found.name.startswith(".")]
